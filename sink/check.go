package sink

import (
	"strings"

	"github.com/tarn-io/tarn/registry"
)

// Misfit is why a topic's table cannot be as its configs ask, by the schemas that
// are registered now.
type Misfit struct {
	Key    string // the config
	Reason string
}

// Error says both.
func (m *Misfit) Error() string { return m.Key + ": " + m.Reason }

// Check holds what a topic asks of its tables against the newest schemas of its
// values and keys; nil if it fits, or if there is no schema to hold it against. It
// reads the registry only, and may be called by anybody.
func Check(reg *registry.Registry, t Topic) *Misfit {
	formulas, err := t.formulas()
	if err != nil {
		return &Misfit{generatedKey, strings.TrimPrefix(err.Error(), generatedKey+": ")}
	}
	if t.Unwrap == "" && len(formulas) == 0 {
		return nil
	}
	s := &sink{topic: t.withDefaults(), registry: reg}
	d, err := s.wrappedDecoder(valuePart)
	if d == nil || err != nil {
		return nil // what the schema lacks besides, the sink says
	}
	if t.Unwrap != "" {
		if d, err = unwrap(d); err != nil {
			return &Misfit{"tarn.table.unwrap", err.Error()}
		}
	}
	if _, err := generated(formulas, nil, tableColumns(s.keyDecoder(), d, t.JSONExtra)); err != nil {
		return &Misfit{generatedKey, err.Error()}
	}
	return nil
}
