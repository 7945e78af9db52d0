package sink

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/tarn-io/tarn/tables"
)

// entry is a pending entry: a cut whose files are durable, and which is
// committed to every format in its own time. It is stored as JSON; README.md
// has the table.
type entry struct {
	Seq int64 `json:"seq"`
	// ID is the commit's id, the same on every try.
	ID      string                 `json:"id"`
	From    offsets                `json:"from"`
	To      offsets                `json:"to"`
	Rows    int64                  `json:"rows"`
	Dead    int64                  `json:"dead_letters,omitempty"`
	Schema  *tables.Schema         `json:"schema"`
	Formats map[string]entryFormat `json:"formats"`
	MadeMs  int64                  `json:"made_ms"`
	key     string
	version int64
}

// entryFormat is an entry's part for one format.
type entryFormat struct {
	Expect   tables.Progress  `json:"expect"`
	Progress tables.Progress  `json:"progress"`
	File     *tables.DataFile `json:"file,omitempty"`
	DeadFile *tables.DataFile `json:"dead_file,omitempty"`
}

// Item keys of a topic's sink.
func (s *sink) prefix() string     { return "sink/" + s.topic.ID.String() + "/" }
func (s *sink) schemaKey() string  { return s.prefix() + "schema" }
func (s *sink) pendingKey() string { return s.prefix() + "pending/" }

// load reads the pending entries and the stored table schema.
func (s *sink) load(ctx context.Context) error {
	s.pending = nil
	for it, err := range s.items.Scan(ctx, s.pendingKey()) {
		if err != nil {
			return fmt.Errorf("read pending entries: %w", err)
		}
		e := &entry{key: it.Key, version: it.Version}
		if err := json.Unmarshal(it.Value, e); err != nil {
			return fmt.Errorf("pending entry %s: %w", it.Key, err)
		}
		s.pending = append(s.pending, e)
		s.seq = e.Seq
	}
	it, err := s.items.Get(ctx, s.schemaKey())
	if err != nil {
		return fmt.Errorf("read the table's schema: %w", err)
	}
	s.schemaVersion = it.Version
	if it.Version > 0 {
		var sch tables.Schema
		if err := json.Unmarshal(it.Value, &sch); err != nil {
			return fmt.Errorf("stored table schema: %w", err)
		}
		s.schema = &sch
	}
	return nil
}

// save makes a cut a pending entry: its files are written already, and from
// here on it is committed and never cut again.
func (s *sink) save(ctx context.Context, e *entry) error {
	value, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode pending entry: %w", err)
	}
	e.key = fmt.Sprintf("%s%020d", s.pendingKey(), e.Seq)
	puts := []tables.Item{{Key: e.key, Value: value}}
	if s.schemaVersion == 0 || e.Schema.ID != s.schema.ID {
		sch, err := json.Marshal(e.Schema)
		if err != nil {
			return fmt.Errorf("encode table schema: %w", err)
		}
		puts = append(puts, tables.Item{Key: s.schemaKey(), Value: sch, Version: s.schemaVersion})
	}
	if err := s.items.Put(ctx, puts...); err != nil {
		return fmt.Errorf("store pending entry: %w", err)
	}
	// Versions and what else was stored are read back rather than guessed.
	return s.load(ctx)
}

// forget removes an entry that every format has.
func (s *sink) forget(ctx context.Context, e *entry) error {
	if err := s.items.Put(ctx, tables.Item{Key: e.key, Version: e.version, Delete: true}); err != nil {
		return fmt.Errorf("remove pending entry: %w", err)
	}
	s.pending = slices.DeleteFunc(s.pending, func(x *entry) bool { return x == e })
	return nil
}

// covers reports whether progress p has reached to.
func covers(p tables.Progress, to offsets) bool {
	for part, off := range to {
		if have, ok := p.Offsets[part]; !ok || have < off {
			return false
		}
	}
	return true
}

// advance is progress p after a commit up to to.
func (s *sink) advance(p tables.Progress, to offsets, gaps []tables.Range) tables.Progress {
	next := p.Clone()
	next.TopicID, next.Incarnation = s.topic.ID.String(), s.incarnation
	if next.Offsets == nil {
		next.Offsets = map[int32]int64{}
	}
	maps.Copy(next.Offsets, to)
	for _, g := range gaps {
		if next.Extra == nil {
			next.Extra = map[string]string{}
		}
		key := fmt.Sprintf("gap.%d", g.Partition)
		word := fmt.Sprintf("%d-%d", g.From, g.To)
		if old := next.Extra[key]; old != "" {
			word = old + "," + word
		}
		next.Extra[key] = word
	}
	return next
}
