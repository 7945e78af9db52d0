package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/tables"
)

// deadSuffix is what the table of dead letters adds to the table's name.
const deadSuffix = "__dead_letters"

// maxReason bounds the text of a reason in bytes.
const maxReason = 4096

// Columns of a dead letter behind Kafka's own.
const (
	colTopic = colSchemaID + 1 + iota
	colValue
	colReason
	colPath
)

// deadColumns are the columns of every table of dead letters: Kafka's own, and
// the record's bytes as they are with why it is here.
func deadColumns() *arrow.Schema {
	return arrow.NewSchema(append(kafkaColumns(),
		arrow.Field{Name: "kafka_topic", Type: arrow.BinaryTypes.String},
		arrow.Field{Name: "kafka_value", Type: arrow.BinaryTypes.Binary, Nullable: true},
		arrow.Field{Name: "reason", Type: arrow.BinaryTypes.String},
		arrow.Field{Name: "path", Type: arrow.BinaryTypes.String, Nullable: true},
	), nil)
}

// addDead appends a dead letter.
func addDead(rows *schema.Rows, topic string, partition int32, r *record.Record, schemaID int, why error) error {
	appendKafka(rows, partition, r, schemaID)
	rows.Column(colTopic).String(topic)
	appendBytes(rows.Column(colValue), r.Value)
	reason := why.Error()
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	rows.Column(colReason).String(strings.ToValidUTF8(reason, "\uFFFD"))
	var invalid *schema.Invalid
	if errors.As(why, &invalid) {
		rows.Column(colPath).String(strings.ToValidUTF8(invalid.Path, "\uFFFD"))
	} else {
		rows.Column(colPath).Null()
	}
	if err := rows.EndRow(); err != nil {
		rows.Undo()
		return err
	}
	return nil
}

// validUTF8 makes a header's key a string that every reader takes.
func validUTF8(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return []byte(strings.ToValidUTF8(string(b), "\uFFFD"))
}

// openDead opens a member's table of dead letters. make says that it is made
// if it is not there; else nil may be returned.
func (s *sink) openDead(ctx context.Context, m *member, make bool) (tables.Table, error) {
	if m.dead != nil {
		return m.dead, nil
	}
	spec := tables.Spec{
		Namespace: s.namespace, Name: s.topic.Table + deadSuffix,
		Comment: fmt.Sprintf("Records of Kafka topic %s that could not become rows, written by Tarn", s.topic.Name),
	}
	if make {
		sch, err := tables.NewSchema(deadColumns())
		if err != nil {
			return nil, fmt.Errorf("dead letter columns: %w", err)
		}
		spec.Schema = sch
	}
	t, err := m.format.Open(ctx, spec)
	if err != nil {
		if !make && isAbsent(err) {
			return nil, nil
		}
		return nil, stopped(fmt.Errorf("open dead letters: %w", err))
	}
	m.dead = t
	s.opened.put(m.name, s.topic.Table+deadSuffix, t)
	return t, nil
}

// isAbsent reports whether a table could not be opened because it is not there,
// and no schema was given to make it from.
func isAbsent(err error) bool {
	return errors.Is(err, tables.ErrSchema) || errors.Is(err, tables.ErrUnsupported)
}

// deadAt is where a member's table of dead letters stands once its pending
// entries are committed.
func (s *sink) deadAt(ctx context.Context, m *member) (tables.Progress, error) {
	for i := len(s.pending) - 1; i >= 0; i-- {
		e := s.pending[i]
		if f := e.Formats[m.name]; f.Dead != nil && !e.done[m.name] {
			return f.Dead.Progress, nil
		}
	}
	p, err := s.progress(ctx, m.dead)
	if err != nil {
		return p, fmt.Errorf("dead letters: %w", err)
	}
	return p, nil
}

// look holds a member's table of dead letters against its position. Letters at
// or beyond it are remembered, so that they are not written again: the main
// table was set back, or made anew, and the letters were not.
func (s *sink) look(ctx context.Context, m *member) error {
	if m.looked {
		return nil
	}
	m.letters, m.lettersEnd = nil, nil
	ctx = s.heeding(ctx, m.name)
	t, err := s.openDead(ctx, m, false)
	if err != nil {
		return err
	}
	if t == nil {
		m.looked = true
		return nil
	}
	p, err := s.progress(ctx, t)
	if err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	from, err := s.position(ctx, m)
	if err != nil {
		return err
	}
	if from.until(p.Offsets) == 0 {
		m.looked = true
		return nil
	}
	letters := map[int32]*offsetSet{}
	for id, err := range t.Rows(ctx) {
		if err != nil {
			return fmt.Errorf("read dead letters: %w", err)
		}
		if id.Offset < from[id.Partition] {
			continue
		}
		if err := addTo(letters, id); err != nil {
			return fmt.Errorf("dead letters: %w", err)
		}
	}
	m.letters, m.lettersEnd, m.looked = letters, maps.Clone(p.Offsets), true
	return nil
}

// passLetters forgets the remembered letters when from lies beyond them.
func (m *member) passLetters(from offsets) {
	if m.letters != nil && from.until(m.lettersEnd) == 0 {
		m.letters, m.lettersEnd = nil, nil
	}
}
