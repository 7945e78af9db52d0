package api

import (
	"log/slog"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// Levels of the log, resource type BROKER_LOGGER (8), in DescribeConfigs (key 32)
// and IncrementalAlterConfigs (44) (KIP-412). There is one logger, "root". What is
// set lasts until the broker ends, as in Kafka. AlterConfigs (33) does not know
// the type, there either.

// rootLogger is the name of the one logger.
const rootLogger = "root"

// loggerConfigs shows the log's level.
func (h *Handlers) loggerConfigs(rr *kmsg.DescribeConfigsRequestResource) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	if err := h.checkLogger(rr.ResourceName); err != nil {
		return nil, err
	}
	if !asked(rr, rootLogger) {
		return nil, nil
	}
	level := h.cfg.LogLevel.Level().String()
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Value, c.Source = rootLogger, &level, kmsg.ConfigSourceDynamicBrokerLoggerConfig
	return []kmsg.DescribeConfigsResponseResourceConfig{c}, nil
}

// checkLogger refuses any broker but this one, and one whose log has no level.
func (h *Handlers) checkLogger(name string) error {
	if id, err := strconv.ParseInt(name, 10, 32); err != nil || int32(id) != NodeID {
		return refuse(wire.InvalidRequest, "broker %q is not this one, which is %d", name, NodeID)
	}
	if h.cfg.LogLevel == nil {
		return refuse(wire.InvalidRequest, "the level of this broker's log is not its own")
	}
	return nil
}

// alterLogger sets the log's level.
func (h *Handlers) alterLogger(name string, changes []topic.Change, replaceAll, validateOnly bool) error {
	if err := h.checkLogger(name); err != nil {
		return err
	}
	if replaceAll {
		return refuse(wire.InvalidRequest, "levels of loggers are set with IncrementalAlterConfigs")
	}
	level, set := slog.Level(0), false
	for _, c := range changes {
		var ok bool
		switch {
		case c.Key != rootLogger:
			return refuse(wire.InvalidConfig, "there is no logger %q, only %q", c.Key, rootLogger)
		case c.Op != topic.Set:
			return refuse(wire.InvalidRequest, "the level of logger %q can only be set", rootLogger)
		}
		if level, ok = parseLevel(c.Value); !ok {
			return refuse(wire.InvalidConfig, "log level %q is none of TRACE, DEBUG, INFO, WARN, ERROR, FATAL", c.Value)
		}
		set = true
	}
	if set && !validateOnly {
		h.cfg.LogLevel.Set(level)
	}
	return nil
}

// parseLevel reads a level by its name in Kafka.
func parseLevel(name string) (slog.Level, bool) {
	switch strings.ToUpper(name) {
	case "TRACE", "DEBUG":
		return slog.LevelDebug, true
	case "INFO":
		return slog.LevelInfo, true
	case "WARN":
		return slog.LevelWarn, true
	case "ERROR", "FATAL":
		return slog.LevelError, true
	}
	return 0, false
}
