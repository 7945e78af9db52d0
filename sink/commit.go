package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/tarn-io/tarn/tables"
)

// stopError is a state in which a sink goes no further by itself.
type stopError struct {
	state State
	err   error
}

func (e *stopError) Error() string { return e.err.Error() }
func (e *stopError) Unwrap() error { return e.err }

// finish commits the pending entries, in order, to every format that lacks
// them, and forgets those that all have. A format that fails does not hold up
// the others; its error is returned in the end.
func (s *sink) finish(ctx context.Context) error {
	failed := map[string]error{}
	for _, e := range slices.Clone(s.pending) {
		done := true
		for _, format := range slices.Sorted(maps.Keys(e.Formats)) {
			if failed[format] != nil {
				done = false
				continue
			}
			t, ok := s.tables[format]
			if !ok {
				continue // the format was taken off the topic since
			}
			if err := s.commit(ctx, e, format, t); err != nil {
				failed[format], done = fmt.Errorf("%s table: %w", format, err), false
			}
		}
		if done {
			if err := s.forget(ctx, e); err != nil {
				return err
			}
			s.status.addRows(e.Rows + e.Dead)
		}
	}
	return errors.Join(slices.Collect(maps.Values(failed))...)
}

// commit brings one entry into one format: its dead letters first, then its
// rows. What the table holds decides, not what we remember: an entry whose
// earlier commit had an unknown outcome is found done or not done here.
func (s *sink) commit(ctx context.Context, e *entry, format string, t tables.Table) error {
	f := e.Formats[format]
	p, err := s.progress(ctx, t)
	if err != nil {
		return err
	}
	if covers(p, e.To) {
		return nil
	}
	if !p.Equal(f.Expect) {
		return &stopError{Diverged, fmt.Errorf("table stands at %v, the next commit expects %v: %w", p.Offsets, f.Expect.Offsets, tables.ErrConflict)}
	}
	if f.DeadFile != nil {
		if err := s.commitDead(ctx, e, format, *f.DeadFile); err != nil {
			return fmt.Errorf("dead letters: %w", err)
		}
	}
	c := tables.Commit{ID: e.ID, Expect: f.Expect, Progress: f.Progress, Summary: e.summary()}
	if f.File != nil {
		c.Add = []tables.DataFile{*f.File}
	}
	if have := t.Schema(); have == nil || have.ID != e.Schema.ID {
		c.Schema = e.Schema
	}
	begun := s.now()
	if err := t.Commit(ctx, c); err != nil {
		if p, perr := s.progress(ctx, t); perr == nil && covers(p, e.To) {
			s.lg.Warn("commit reported an error but is in the table", "format", format, "error", err)
			return nil
		}
		return fmt.Errorf("commit: %w", err)
	}
	s.lg.Debug("committed", "format", format, "rows", e.Rows, "dead_letters", e.Dead, "took", s.now().Sub(begun))
	return nil
}

// commitDead commits an entry's dead letters. Their table has a progress of its
// own, which may lag behind where no letter was: any state before the entry's
// end is where it may be gone on from.
func (s *sink) commitDead(ctx context.Context, e *entry, format string, file tables.DataFile) error {
	t, err := s.deadTable(ctx, format)
	if err != nil {
		return err
	}
	p, err := s.progress(ctx, t)
	if err != nil || covers(p, e.To) {
		return err
	}
	err = t.Commit(ctx, tables.Commit{
		ID: e.ID, Expect: p, Progress: s.advance(p, e.To, nil), Add: []tables.DataFile{file}, Summary: e.summary(),
	})
	if err != nil {
		if p, perr := s.progress(ctx, t); perr == nil && covers(p, e.To) {
			return nil
		}
		return err
	}
	return nil
}

// summary is what a commit writes into the table's history for people.
func (e *entry) summary() map[string]string {
	return map[string]string{
		"tarn.rows": strconv.FormatInt(e.Rows, 10), "tarn.dead-letters": strconv.FormatInt(e.Dead, 10),
	}
}

// progress reads a table's progress and holds it against the log.
func (s *sink) progress(ctx context.Context, t tables.Table) (tables.Progress, error) {
	p, err := t.Progress(ctx)
	switch {
	case errors.Is(err, tables.ErrRolledBack):
		return p, &stopError{RolledBack, err}
	case errors.Is(err, tables.ErrForeign):
		return p, &stopError{LogReplaced, err}
	case err != nil:
		return p, fmt.Errorf("read progress: %w", err)
	case p.TopicID == "":
		return p, nil
	case p.TopicID != s.topic.ID.String() || p.Incarnation != s.incarnation:
		return p, &stopError{LogReplaced, fmt.Errorf("the table was written from topic id %s, incarnation %s; this log is %s, %s: %w",
			p.TopicID, p.Incarnation, s.topic.ID, s.incarnation, tables.ErrForeign)}
	}
	for part, off := range p.Offsets {
		if part >= s.topic.Partitions {
			return p, &stopError{TableAhead, fmt.Errorf("the table holds partition %d, the topic has %d", part, s.topic.Partitions)}
		}
		log, err := s.log(ctx, part)
		if err != nil {
			return p, err
		}
		if end := log.End(); off > end {
			return p, &stopError{TableAhead, fmt.Errorf("the table holds partition %d up to offset %d, the log ends at %d", part, off, end)}
		}
	}
	return p, nil
}
