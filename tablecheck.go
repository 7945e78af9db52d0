package main

import (
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/sink/wiring"
)

// tableCheck holds what a topic's configs say of its tables against the schemas
// that are registered now. A topic that has none yet is taken as it is: its sink
// looks when there is one.
func tableCheck(reg *registry.Registry) func(t *topic.Topic) error {
	return func(t *topic.Topic) error {
		if len(t.Config.TableFormats) == 0 {
			return nil
		}
		err := sink.Check(reg, wiring.Topic(reg, t))
		if err == nil {
			return nil
		}
		return &topic.ConfigError{Key: err.Key, Value: t.Overrides[err.Key], Reason: err.Reason}
	}
}
