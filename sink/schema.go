package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/plain"
	"github.com/tarn-io/tarn/tables"
)

// errNoSchema says that the tables cannot be made yet.
var errNoSchema = errors.New("no schema is registered")

// settleSchema makes sure that the tables' first schema is stored. It is
// stored before any table is made from it: a later run, which may see newer
// versions, must give the columns the same field ids.
func (s *sink) settleSchema(ctx context.Context) error {
	if s.schema != nil {
		return s.pinned()
	}
	columns, err := s.newestColumns()
	if err != nil {
		return err
	}
	if columns == nil && s.topic.ValueByRecord {
		if columns, err = s.firstColumns(ctx); err != nil {
			return err
		}
		if columns == nil {
			return &stopError{WaitingForSchema, fmt.Errorf("%w: topic %s has subjects by the names of records, and its tables are made with the first that comes", errNoRecord, s.topic.Name)}
		}
	}
	if columns == nil {
		return &stopError{WaitingForSchema, fmt.Errorf("%w for %s: register one, the tables are made then; or set tarn.table.value.as=json, string or binary", errNoSchema, s.awaited())}
	}
	formulas, err := s.topic.formulas()
	if err == nil {
		columns, err = generated(formulas, nil, columns)
	}
	if err != nil {
		return &stopError{WaitingForSchema, fmt.Errorf("%s: %w: register a schema that fits, or change it", generatedKey, err)}
	}
	first, err := tables.NewSchema(schema.WithoutAliases(columns))
	if err != nil {
		return fmt.Errorf("schema of %s has no table form: %w", s.subject(valuePart), err)
	}
	if first, err = s.laidOut(first); err != nil {
		return err
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

// reading says which schemas a part has as of now: an association may come.
func (s *sink) reading(part string) registry.Reading {
	how := s.topic.Value
	if part == keyPart {
		how = s.topic.Key
	}
	if how.Subject == "" {
		how.Subject = s.registry.SubjectOf(s.topic.Name, part)
	}
	return how
}

func (s *sink) subject(part string) string { return s.reading(part).Subject }

// pinned waits for the version that rows are to be of, where a topic names one
// that is not registered, or not any more: rows of other versions would stand
// among them else, and nobody would be told.
func (s *sink) pinned() error {
	if s.topic.ValueVersion <= 0 {
		return nil
	}
	if d, err := s.newestDecoder(valuePart); d != nil || err != nil {
		return err
	}
	return &stopError{WaitingForSchema, fmt.Errorf("%w for %s: register it, or set another version", errNoSchema, s.awaited())}
}

// awaited is the schema that tables are made of.
func (s *sink) awaited() string {
	if n := s.topic.ValueVersion; n > 0 {
		return fmt.Sprintf("version %d of subject %s (tarn.table.value.version)", n, s.subject(valuePart))
	}
	return "subject " + s.subject(valuePart)
}

// newestColumns are the table columns of the newest registered versions, nil
// if the value's subject has none.
func (s *sink) newestColumns() (*arrow.Schema, error) {
	value, err := s.newestDecoder(valuePart)
	if value == nil || err != nil {
		return nil, err
	}
	return tableColumns(s.keyDecoder(), value, s.topic.JSONExtra), nil
}

// newestVersion names the newest version by which values are read, nil if there
// is none.
func (s *sink) newestVersion() *SchemaInfo {
	how := s.reading(valuePart)
	p, ok, err := s.registry.Newest(&how)
	if !ok || err != nil {
		return nil
	}
	number, _ := s.registry.VersionOf(how.Subject, p.ID)
	return &SchemaInfo{Subject: how.Subject, Version: number, ID: p.ID}
}

// keyDecoder is that of the key's newest version, nil if there is none or it
// has no table form: keys are then kept as they are, and not decoded.
func (s *sink) keyDecoder() schema.Decoder {
	key, err := s.newestDecoder(keyPart)
	if err != nil {
		return nil
	}
	return key
}

// plain reads a part that is taken without a schema; false if it has one. A nil
// decoder stands for a key that is only kept.
func (s *sink) plain(part string) (schema.Decoder, bool) {
	as := s.topic.ValueAs
	if part == keyPart {
		as = s.topic.KeyAs
	}
	if part == keyPart && as == string(plain.Binary) {
		return nil, true // kafka_key has it
	}
	d, err := plain.New(plain.Manner(as))
	if err != nil {
		return nil, false
	}
	return d, true
}

// newestDecoder reads a part's bare payloads as of now: by the newest version,
// or the newest of those that the topic takes; for values by the version that
// they are brought to, if they are. nil if there is none.
func (s *sink) newestDecoder(part string) (schema.Decoder, error) {
	d, err := s.wrappedDecoder(part)
	if d == nil || err != nil {
		return nil, err
	}
	return s.unwrapped(part, d)
}

// wrappedDecoder is newestDecoder for values as they are written.
func (s *sink) wrappedDecoder(part string) (schema.Decoder, error) {
	if d, ok := s.plain(part); ok {
		return d, nil
	}
	how := s.reading(part)
	if part == valuePart {
		s.versioned(&how)
	}
	p, ok, err := s.registry.Newest(&how)
	if !ok {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("schema of %s has no table form: %w", how.Subject, err)
	}
	return p.Decoder, nil
}

// unwrapped is what a part that d reads is read by. A schema of no envelope is
// waited for to be replaced.
func (s *sink) unwrapped(part string, d schema.Decoder) (schema.Decoder, error) {
	if part == keyPart || s.topic.Unwrap == "" {
		return d, nil
	}
	d, err := NewUnwrapper(s.topic.Unwrap).Decoder(d)
	if err != nil {
		return nil, &stopError{WaitingForSchema, unfit{fmt.Errorf("%w; register one, or unset tarn.table.unwrap", err)}}
	}
	return d, nil
}

// unfit is why a schema is as good as none.
type unfit struct{ error }

// Is implements the interface of errors.Is.
func (unfit) Is(target error) bool { return target == errNoSchema }
