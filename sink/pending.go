package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tarn-io/tarn/broker/trace"
	"github.com/tarn-io/tarn/tables"
)

// entry is a pending entry: a cut whose files are durable, and which is
// committed to every format in its own time. It is stored as JSON; README.md
// has the table.
type entry struct {
	Seq int64 `json:"seq"`
	// ID is the commit's id, the same on every try, and part of its files'
	// names.
	ID   string  `json:"id"`
	From offsets `json:"from"`
	To   offsets `json:"to"`
	Rows int64   `json:"rows"`
	Dead int64   `json:"dead_letters,omitempty"`
	// Gone is how many keys lose their row, in a table of latest values.
	Gone int64 `json:"gone,omitempty"`
	// Again is set where other formats have these rows already.
	Again   bool                   `json:"again,omitempty"`
	Schema  *tables.Schema         `json:"schema"`
	Formats map[string]entryFormat `json:"formats"`
	MadeMs  int64                  `json:"made_ms"`

	key     string
	version int64
	done    map[string]bool // formats that have it, as far as this run has seen
	// ours are the formats to which this run has committed it, and with
	// deadSuffix the tables of dead letters.
	ours map[string]bool
	// traces are those of its records, while the process lasts that read them.
	traces []trace.Context
	// tried is set once it may have been stored.
	tried bool
}

// entryFormat is an entry's part for one format.
type entryFormat struct {
	Expect   tables.Progress   `json:"expect"`
	Progress tables.Progress   `json:"progress"`
	Files    []tables.DataFile `json:"files,omitempty"`
	// Gone holds the keys of rows that go, and becomes no part of the table.
	Gone *tables.DataFile `json:"gone,omitempty"`
	Dead *entryDead       `json:"dead,omitempty"`
}

// UnmarshalJSON takes the file of entries that were stored when they had one at
// most.
func (f *entryFormat) UnmarshalJSON(data []byte) error {
	type plain entryFormat
	v := struct {
		*plain
		File *tables.DataFile `json:"file"`
	}{plain: (*plain)(f)}
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	if v.File != nil {
		f.Files = append(f.Files, *v.File)
	}
	return nil
}

// entryDead is what an entry brings to a format's table of dead letters.
type entryDead struct {
	Expect   tables.Progress `json:"expect"`
	Progress tables.Progress `json:"progress"`
	File     tables.DataFile `json:"file"`
}

// head is the item that every new pending entry rewrites: of two sinks on one
// store, the one that has not seen the other's entry is refused.
type head struct {
	// Seq and ID are those of the newest entry ever stored. Numbers have no
	// gaps, so an entry of this number and another id was never stored.
	Seq int64  `json:"seq"`
	ID  string `json:"id"`
}

// Item keys of a topic's sink.
func (s *sink) prefix() string     { return "sink/" + s.topic.ID.String() + "/" }
func (s *sink) headKey() string    { return s.prefix() + "head" }
func (s *sink) schemaKey() string  { return s.prefix() + "schema" }
func (s *sink) pendingKey() string { return s.prefix() + "pending/" }

// newState makes the maps that are not stored.
func (e *entry) newState() { e.done, e.ours = map[string]bool{}, map[string]bool{} }

// load reads all that is stored, in one look. What was known of the tables
// counts no more: it is read after this, so that an entry made from both is
// refused if another sink has stored one since.
func (s *sink) load(ctx context.Context) error {
	var pending []*entry
	var left []*leftover
	var h head
	var sch *tables.Schema
	var headVersion, schemaVersion, trimmedVersion int64
	var gone trimmed
	redrives, rebuilds := map[string]*redriving{}, map[string]*rebuilding{}
	for it, err := range s.items.Scan(ctx, s.prefix()) {
		if err != nil {
			return fmt.Errorf("read stored state: %w", err)
		}
		switch {
		case it.Key == s.headKey():
			err, headVersion = json.Unmarshal(it.Value, &h), it.Version
		case it.Key == s.schemaKey():
			sch, schemaVersion = &tables.Schema{}, it.Version
			err = json.Unmarshal(it.Value, sch)
		case strings.HasPrefix(it.Key, s.redriveKeyOf("")):
			r := &redriving{version: it.Version}
			err = json.Unmarshal(it.Value, r)
			redrives[strings.TrimPrefix(it.Key, s.redriveKeyOf(""))] = r
		case strings.HasPrefix(it.Key, s.prefix()+"rebuild/"):
			err = s.loadRebuild(rebuilds, it)
		case it.Key == s.trimmedKey():
			err, trimmedVersion = json.Unmarshal(it.Value, &gone), it.Version
		case strings.HasPrefix(it.Key, s.pendingKey()):
			e := &entry{key: it.Key, version: it.Version}
			e.newState()
			err = json.Unmarshal(it.Value, e)
			pending = append(pending, e)
		case strings.HasPrefix(it.Key, s.leftKey()):
			l := &leftover{key: it.Key, version: it.Version}
			err = json.Unmarshal(it.Value, l)
			left = append(left, l)
		}
		if err != nil {
			return fmt.Errorf("stored item %s: %w", it.Key, err)
		}
	}
	for _, e := range pending {
		for _, old := range s.pending {
			if old.ID == e.ID {
				maps.Copy(e.done, old.done)
				maps.Copy(e.ours, old.ours)
				e.traces = old.traces
			}
		}
	}
	s.pending, s.left, s.head, s.headVersion = pending, left, h, headVersion
	s.schema, s.schemaVersion = sch, schemaVersion
	s.trimmed, s.trimmedVersion, s.redrives, s.rebuilds = gone, trimmedVersion, redrives, rebuilds
	for _, m := range s.members {
		m.known = false
	}
	s.loaded = true
	return nil
}

// save makes the draft a pending entry: its files are written already, and from
// here on it is committed and not cut again. Where the outcome is not known the
// draft stays, and settleDraft looks.
func (s *sink) save(ctx context.Context, e *entry) error {
	e.key = fmt.Sprintf("%s%020d", s.pendingKey(), e.Seq)
	value, err := e.encode()
	if err != nil {
		return fmt.Errorf("encode pending entry: %w", err)
	}
	top, err := json.Marshal(head{Seq: e.Seq, ID: e.ID})
	if err != nil {
		return fmt.Errorf("encode head: %w", err)
	}
	puts := []tables.Item{{Key: e.key, Value: value}, {Key: s.headKey(), Value: top, Version: s.headVersion}}
	if !e.Schema.Equal(s.schema) {
		text, err := json.Marshal(e.Schema)
		if err != nil {
			return fmt.Errorf("encode table schema: %w", err)
		}
		puts = append(puts, tables.Item{Key: s.schemaKey(), Value: text, Version: s.schemaVersion})
	}
	s.draft, s.draftHead, s.loaded = e, s.headVersion, false
	// The files are there: to stop now would only leave them lying about.
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	err = s.items.Put(whole, puts...)
	if errors.Is(err, tables.ErrItemConflict) && !e.tried {
		// Refused, and not by an earlier try of its own: nobody knows of it.
		s.draft = nil
		s.discard(ctx, e)
	}
	e.tried = true
	if err != nil {
		return fmt.Errorf("store pending entry: %w", err)
	}
	s.draft = nil
	// Versions and what else was stored are read back rather than guessed.
	if err := s.load(ctx); err != nil {
		return err
	}
	for _, stored := range s.pending {
		if stored.ID == e.ID {
			stored.traces = e.traces
		}
	}
	return nil
}

// encode writes the entry as it is stored. One that is too large, as a table of
// very many columns may make it, or of very many files, gives up bounds of
// columns: first the long ones, then all; and then all that is said of columns.
// They only make readers faster.
func (e *entry) encode() ([]byte, error) {
	value, err := json.Marshal(e)
	for _, most := range []int{longBound, 0} {
		if err != nil || len(value) <= maxEntryBytes {
			break
		}
		for _, f := range e.files() {
			for i := range f.Columns {
				if c := &f.Columns[i]; max(len(c.Min), len(c.Max)) > most {
					c.Min, c.Max = nil, nil
				}
			}
		}
		value, err = json.Marshal(e)
	}
	if err == nil && len(value) > maxEntryBytes {
		for _, f := range e.files() {
			f.Columns = nil
		}
		value, err = json.Marshal(e)
	}
	return value, err
}

// files are the files that an entry brings to a format's table of rows, and
// that the commit cannot do without.
func (f *entryFormat) files() []tables.DataFile {
	out := slices.Clone(f.Files)
	if f.Gone != nil {
		out = append(out, *f.Gone)
	}
	return out
}

// files are all data files of the entry.
func (e *entry) files() []*tables.DataFile {
	var out []*tables.DataFile
	for _, f := range e.Formats {
		for i := range f.Files {
			out = append(out, &f.Files[i])
		}
		if f.Gone != nil {
			out = append(out, f.Gone)
		}
		if f.Dead != nil {
			out = append(out, &f.Dead.File)
		}
	}
	return out
}

// fileSet are the files of an entry, for others to know.
type fileSet struct {
	mu   sync.Mutex
	keys []string // guarded by mu
}

func (f *fileSet) set(e *entry) {
	var keys []string
	if e != nil {
		for _, file := range e.files() {
			keys = append(keys, file.Path)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = keys
}

func (f *fileSet) get() map[string]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]bool{}
	for _, key := range f.keys {
		out[key] = true
	}
	return out
}

// settleDraft finds out what became of an entry whose storing had an unknown
// outcome. If nobody has stored anything since, it is stored again with the
// files that it has. If another entry has its place it never was stored, and
// nobody else knows of its files. And if more has been stored since, it may have
// been stored, committed and forgotten by another sink: its files are judged by
// the tables.
func (s *sink) settleDraft(ctx context.Context) error {
	e := s.draft
	switch {
	case e == nil:
		return nil
	case s.headVersion == s.draftHead:
		return s.save(ctx, e)
	case s.head.Seq == e.Seq && s.head.ID != e.ID:
		s.discard(ctx, e)
	case s.head.ID != e.ID && !slices.ContainsFunc(s.pending, func(x *entry) bool { return x.ID == e.ID }):
		if err := s.leaveDraft(ctx, e); err != nil {
			return err
		}
	}
	s.draft = nil
	return nil
}

// discard removes the files of an entry that was not stored and never will be.
// Those that stay are of no harm but for the space they take.
func (s *sink) discard(ctx context.Context, e *entry) {
	var paths []string
	for _, f := range e.files() {
		paths = append(paths, f.Path)
	}
	s.remove(ctx, paths)
}

func (s *sink) remove(ctx context.Context, paths []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	if err := s.store.Delete(ctx, paths...); err != nil {
		s.lg.Warn("files that are not needed stay", "paths", paths, "error", err)
	}
}

// forget removes an entry that every format has. One that another sink has
// committed may be found done because another entry brought its rows, and a
// format that was taken off the topic never got it: such files are judged.
func (s *sink) forget(ctx context.Context, e *entry) error {
	puts := []tables.Item{{Key: e.key, Version: e.version, Delete: true}}
	for _, name := range slices.Sorted(maps.Keys(e.Formats)) {
		more, err := s.leave(e, name)
		if err != nil {
			return err
		}
		puts = append(puts, more...)
	}
	if err := s.items.Put(ctx, puts...); err != nil {
		s.loaded = false // perhaps it is gone
		return fmt.Errorf("remove pending entry: %w", err)
	}
	s.loaded = s.loaded && len(puts) == 1
	s.removeGone(ctx, e)
	s.pending = slices.DeleteFunc(s.pending, func(x *entry) bool { return x == e })
	return nil
}

// removeGone removes an entry's files of keys where this run has made the
// commits: nobody needs them any more. Others are judged.
func (s *sink) removeGone(ctx context.Context, e *entry) {
	var paths []string
	for name, f := range e.Formats {
		if f.Gone != nil && e.ours[name] {
			paths = append(paths, f.Gone.Path)
		}
	}
	if len(paths) > 0 {
		s.remove(ctx, paths)
	}
}

// void takes m out of its pending entries, whose rows its table cannot take any
// more, and has it go on from where the table stands. Another sink may hold the
// entries, and commit them yet: their files are judged later.
func (s *sink) void(ctx context.Context, m *member, why error) error {
	s.lg.Warn("pending commits do not fit the table; going on from where it stands", "format", m.name, "reason", why)
	var puts []tables.Item
	for _, e := range s.pending {
		if _, ok := e.Formats[m.name]; !ok {
			continue
		}
		left := *e
		left.Formats = maps.Clone(e.Formats)
		delete(left.Formats, m.name)
		it := tables.Item{Key: e.key, Version: e.version, Delete: len(left.Formats) == 0}
		if !it.Delete {
			value, err := json.Marshal(&left)
			if err != nil {
				return fmt.Errorf("encode pending entry: %w", err)
			}
			it.Value = value
		}
		puts = append(puts, it)
		files, err := s.leave(e, m.name)
		if err != nil {
			return err
		}
		puts = append(puts, files...)
	}
	m.looked, s.loaded = false, false
	if err := s.items.Put(ctx, puts...); err != nil {
		return fmt.Errorf("take %s out of pending entries: %w", m.name, err)
	}
	return s.load(ctx)
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

// behind reports whether p comes before q: a table that stands there has lost
// commits, or was made anew, and is gone on with from there.
func behind(p, q tables.Progress) bool {
	for part, off := range p.Offsets {
		if at, ok := q.Offsets[part]; !ok || off > at {
			return false
		}
	}
	return true
}
