package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/tables"
)

// errNoSchema says that the tables cannot be made yet.
var errNoSchema = errors.New("no schema is registered")

// settleSchema makes sure that the tables' first schema is stored. It is
// stored before any table is made from it: a later run, which may see newer
// versions, must give the columns the same field ids.
func (s *sink) settleSchema(ctx context.Context) error {
	if s.schema != nil {
		return nil
	}
	columns, err := s.newestColumns()
	if err != nil {
		return err
	}
	if columns == nil {
		return &stopError{WaitingForSchema, fmt.Errorf("%w for subject %s: register one, the tables are made then", errNoSchema, s.subject(valuePart))}
	}
	first, err := tables.NewSchema(columns)
	if err != nil {
		return fmt.Errorf("schema of %s has no table form: %w", s.subject(valuePart), err)
	}
	text, err := json.Marshal(first)
	if err != nil {
		return fmt.Errorf("encode table schema: %w", err)
	}
	s.loaded = false // whatever the outcome, it is read back
	if err := s.items.Put(ctx, tables.Item{Key: s.schemaKey(), Value: text, Version: s.schemaVersion}); err != nil {
		return fmt.Errorf("store the table's schema: %w", err)
	}
	return s.load(ctx)
}

// The parts of a record that have schemas.
const (
	keyPart   = "key"
	valuePart = "value"
)

// subject names the schemas of a part as of now: an association may come.
func (s *sink) subject(part string) string {
	if part == keyPart && s.topic.KeySubject != "" {
		return s.topic.KeySubject
	}
	if part == valuePart && s.topic.ValueSubject != "" {
		return s.topic.ValueSubject
	}
	return s.registry.SubjectOf(s.topic.Name, part)
}

// newestColumns are the table columns of the newest registered versions, nil
// if the value's subject has none.
func (s *sink) newestColumns() (*arrow.Schema, error) {
	value, err := s.newestDecoder(s.subject(valuePart))
	if value == nil || err != nil {
		return nil, err
	}
	return tableColumns(s.keyDecoder(), value, s.topic.JSONExtra), nil
}

// keyDecoder is that of the key's newest version, nil if there is none or it
// has no table form: keys are then kept as they are, and not decoded.
func (s *sink) keyDecoder() schema.Decoder {
	key, err := s.newestDecoder(s.subject(keyPart))
	if err != nil {
		return nil
	}
	return key
}

// newestDecoder is the decoder of a subject's newest version, nil if it has
// none.
func (s *sink) newestDecoder(subject string) (schema.Decoder, error) {
	v, ok := s.registry.Latest(subject)
	if !ok {
		return nil, nil
	}
	sch, err := s.registry.Schema(v.Context, v.ID)
	if err != nil {
		return nil, fmt.Errorf("schema of %s version %d: %w", subject, v.Version, err)
	}
	d, err := sch.Decoder(nil)
	if err != nil {
		return nil, fmt.Errorf("schema of %s version %d has no table form: %w", subject, v.Version, err)
	}
	return d, nil
}
