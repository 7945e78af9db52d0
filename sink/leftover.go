package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/tarn-io/tarn/tables"
)

// leftover is a data file of an entry that is an entry no more, or not for the
// file's format, while it is not certain that no table has it: another sink may
// have committed it, or may be about to. It is remembered in the write that
// takes the entry back, and judged once its table has moved past where the
// file's commit expects it.
//
// Why that is safe. A commit goes in only while the table stands exactly at its
// expectation, and every format decides that in the very write that commits:
// plain Parquet and Delta in putting the next number, Iceberg in the catalog's
// compare-and-set. Progress never goes back but by a person's hand, and no two
// commits leave the same. So once a table is past the expectation, the commit
// is either in or never will be, whoever holds the entry, in whatever order and
// however long asleep; and the table, read after that look, says which: it
// names the file, or some version of it does that can still be read. Until then
// the file stays. Who comes with its commit after the file is gone is refused,
// since the table is past.
//
// Where a person sets a table back, or makes it anew in another place, the file
// is not the present table's any more, or the table is behind again; both leave
// it alone.
type leftover struct {
	ID     string          `json:"id"` // of the entry
	Format string          `json:"format"`
	Dead   bool            `json:"dead,omitempty"` // a file of dead letters
	Expect tables.Progress `json:"expect"`         // of the commit that would bring it
	Path   string          `json:"path"`

	key     string
	version int64
}

func (s *sink) leftKey() string { return s.prefix() + "left/" }

// leave returns what must be stored with the write that takes entry e back for
// a format: a leftover for each of its files there that this run did not commit
// itself.
func (s *sink) leave(e *entry, format string) ([]tables.Item, error) {
	f, ok := e.Formats[format]
	if !ok {
		return nil, nil
	}
	var all []leftover
	for _, file := range f.Files {
		if !e.ours[format] {
			all = append(all, leftover{ID: e.ID, Format: format, Expect: f.Expect, Path: file.Path})
		}
	}
	if f.Gone != nil && !e.ours[format] {
		all = append(all, leftover{ID: e.ID, Format: format, Expect: f.Expect, Path: f.Gone.Path})
	}
	if f.Dead != nil && !e.ours[format+deadSuffix] {
		all = append(all, leftover{ID: e.ID, Format: format, Dead: true, Expect: f.Dead.Expect, Path: f.Dead.File.Path})
	}
	var puts []tables.Item
	for _, l := range all {
		key := s.leftKey() + path.Join(format, path.Base(l.Path))
		if slices.ContainsFunc(s.left, func(have *leftover) bool { return have.key == key }) {
			continue // another sink has said so
		}
		if len(s.left)+len(puts) >= maxLeft {
			s.lg.Warn("a file that may not be needed stays, since too many are to be judged", "path", l.Path)
			continue
		}
		value, err := json.Marshal(l)
		if err != nil {
			return nil, fmt.Errorf("encode leftover: %w", err)
		}
		puts = append(puts, tables.Item{Key: key, Value: value})
	}
	return puts, nil
}

// leaveDraft remembers the files of a draft that may or may not have been
// stored, and that is no entry now.
func (s *sink) leaveDraft(ctx context.Context, e *entry) error {
	var puts []tables.Item
	for _, name := range slices.Sorted(maps.Keys(e.Formats)) {
		more, err := s.leave(e, name)
		if err != nil {
			return err
		}
		puts = append(puts, more...)
	}
	if len(puts) == 0 {
		return nil
	}
	s.loaded = false
	if err := s.items.Put(ctx, puts...); err != nil {
		return fmt.Errorf("remember files to judge: %w", err)
	}
	return s.load(ctx)
}

// judge removes the leftovers that can be told to be nobody's, and forgets
// those that can be told at all. What goes wrong with one leaves it for the next
// time; the error returned is one of the stored state.
func (s *sink) judge(ctx context.Context) error {
	if len(s.left) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	var told []tables.Item
	for _, l := range s.left {
		i := slices.IndexFunc(s.members, func(m *member) bool { return m.name == l.Format })
		if i < 0 || s.members[i].table == nil || s.members[i].err != nil {
			continue // until it is back, or well
		}
		decided, err := s.judgeOne(ctx, s.members[i], l)
		if err != nil {
			s.lg.Warn("a file that may not be needed stays for now", "path", l.Path, "error", err)
		} else if decided {
			told = append(told, tables.Item{Key: l.key, Version: l.version, Delete: true})
		}
	}
	if len(told) == 0 {
		return nil
	}
	s.loaded = false
	if err := s.items.Put(ctx, told...); err != nil && !errors.Is(err, tables.ErrItemConflict) {
		return fmt.Errorf("forget files that were judged: %w", err)
	}
	return s.load(ctx) // after a conflict, another sink has judged some
}

// judgeOne reports whether it is certain what becomes of a leftover, and has
// removed the file if nothing needs it.
func (s *sink) judgeOne(ctx context.Context, m *member, l *leftover) (decided bool, err error) {
	t := m.table
	if l.Dead {
		if t, err = s.openDead(ctx, m, false); err != nil || t == nil {
			return false, err
		}
	}
	if l.Path != t.DataPath(path.Base(l.Path)) {
		return true, nil // of a table that was here before this one
	}
	// First where the table stands, then what it has: a commit that comes in
	// between the two is refused.
	p, err := s.progress(ctx, t)
	if err != nil || behind(p, l.Expect) {
		return false, err
	}
	landed, err := t.Landed(ctx, l.ID, l.Path)
	if err != nil || landed {
		return landed, err
	}
	if err := s.store.Delete(ctx, l.Path); err != nil {
		return false, fmt.Errorf("remove %s: %w", l.Path, err)
	}
	s.lg.Debug("removed a file that no table has", "format", m.name, "path", l.Path)
	return true, nil
}
