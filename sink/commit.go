package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// stopError is a state in which a sink goes no further by itself.
type stopError struct {
	state State
	err   error
}

func (e *stopError) Error() string { return e.err.Error() }
func (e *stopError) Unwrap() error { return e.err }

// errVoid says that a pending entry can no longer be committed to a table, and
// that its rows are to be cut again from where the table stands.
var errVoid = errors.New("pending commit is void")

// finish commits the pending entries, in order, to every format that lacks
// them, and forgets those that all have. A format that fails does not hold up
// the others; the error returned is one of the stored state.
func (s *sink) finish(ctx context.Context) error {
	tried := map[*member]bool{} // and not to be tried again now
	for _, e := range slices.Clone(s.pending) {
		left := 0
		var took time.Duration
		for _, m := range s.members {
			if _, ok := e.Formats[m.name]; !ok || e.done[m.name] {
				continue
			}
			left++
			if m.table == nil || tried[m] || !s.mayTry(m) {
				tried[m] = true // entries keep their order
				continue
			}
			begun := s.now()
			err := s.commit(ctx, e, m)
			s.traceCommit(e, m, begun, err)
			if errors.Is(err, errVoid) {
				if err := s.void(ctx, m, err); err != nil {
					return err
				}
				return s.finish(ctx) // what is pending has changed
			}
			if err != nil {
				var stop *stopError
				s.fail(m, err, errors.As(err, &stop))
				tried[m] = true
				continue
			}
			took += s.taken(e, m, begun)
			m.well()
			s.noteCommit()
			e.done[m.name] = true
			left--
		}
		if took > 0 {
			s.noteRound(took)
		}
		if left > 0 {
			continue
		}
		// Formats that were taken off the topic since are not waited for.
		if err := s.forget(ctx, e); err != nil {
			return err
		}
		if !e.Again {
			s.status.addRows(e.Rows + e.Dead)
		}
	}
	return nil
}

// taken notes a commit that went in, and returns how long it took.
func (s *sink) taken(e *entry, m *member, begun time.Time) time.Duration {
	took := s.now().Sub(begun)
	s.gauge.committed(m.name, CommitInfo{
		AtMs: s.now().UnixMilli(), TookMs: took.Milliseconds(), Rows: e.Rows, DeadLetters: e.Dead,
	}, took)
	return max(took, 1)
}

// commit brings one entry into one format: its dead letters first, then its
// rows. What the table holds decides, not what we remember: an entry whose
// earlier commit had an unknown outcome is found done or not done here.
func (s *sink) commit(ctx context.Context, e *entry, m *member) error {
	ctx, cancel := context.WithTimeout(s.heeding(ctx, m.name), s.commitTimeout())
	defer cancel()
	f := e.Formats[m.name]
	p, err := s.mainProgress(ctx, m.table)
	if err != nil || covers(p, e.To) {
		return err
	}
	if err := fits(p, f.Expect); err != nil {
		return err
	}
	if f.Dead != nil {
		if err := s.commitDead(ctx, e, m); err != nil {
			return fmt.Errorf("dead letters: %w", err)
		}
	}
	c := tables.Commit{ID: e.ID, Expect: f.Expect, Progress: f.Progress, Add: f.Files, Summary: e.summary()}
	if !e.Schema.Equal(m.table.Schema()) {
		c.Schema = e.Schema
	}
	begun := s.now()
	err = s.bring(ctx, m, c, f.Gone)
	if err == nil {
		e.ours[m.name] = true
		s.lg.Debug("committed", "format", m.name, "rows", e.Rows, "deleted", e.Gone, "dead_letters", e.Dead, "took", s.now().Sub(begun))
		return nil
	}
	if p, perr := s.mainProgress(ctx, m.table); perr == nil && covers(p, e.To) {
		s.lg.Warn("commit reported an error but is in the table", "format", m.name, "error", err)
		return nil
	}
	return s.explain(ctx, err, f.files())
}

// commitTimeout bounds one commit to one format.
func (s *sink) commitTimeout() time.Duration {
	if len(s.topic.Upsert) > 0 {
		return upsertTimeout
	}
	return commitTimeout
}

// fits reports, as nil, that a table which stands at p can take a commit that
// expects want.
func fits(p, want tables.Progress) error {
	if p.Equal(want) {
		return nil
	}
	err := fmt.Errorf("table stands at %v, the next commit expects %v: %w", p.Offsets, want.Offsets, tables.ErrConflict)
	if behind(p, want) {
		return errors.Join(errVoid, err)
	}
	return &stopError{Diverged, err}
}

// explain tells a commit that was refused because a file is gone, and that can
// only be made anew, from one to be tried again.
func (s *sink) explain(ctx context.Context, err error, files []tables.DataFile) error {
	err = stopped(fmt.Errorf("commit: %w", err))
	if !errors.Is(err, tables.ErrFile) {
		return err
	}
	for _, file := range files {
		if s.lost(ctx, &file) {
			return errors.Join(errVoid, err)
		}
	}
	return err
}

// lost reports whether a file is certainly not there, or another one.
func (s *sink) lost(ctx context.Context, file *tables.DataFile) bool {
	f, err := s.store.Open(ctx, file.Path)
	if err != nil {
		return errors.Is(err, blob.ErrNotFound)
	}
	defer f.Close()
	return f.Size() != file.Size
}

// commitDead commits an entry's dead letters. Their table has a progress of its
// own, which lags behind where no letter was.
func (s *sink) commitDead(ctx context.Context, e *entry, m *member) error {
	t, err := s.openDead(ctx, m, true)
	if err != nil {
		return err
	}
	dead := e.Formats[m.name].Dead
	p, err := s.progress(ctx, t)
	if err != nil {
		return err
	}
	// Expect is asked first: letters that were cut again below the table's
	// progress, since the main table was set back, are covered from the start.
	if !p.Equal(dead.Expect) {
		if covers(p, e.To) {
			return nil
		}
		return fits(p, dead.Expect)
	}
	err = t.Commit(ctx, tables.Commit{
		ID: e.ID, Expect: dead.Expect, Progress: dead.Progress, Add: []tables.DataFile{dead.File}, Summary: e.summary(),
	})
	if err == nil {
		e.ours[m.name+deadSuffix] = true
		return nil
	}
	if landed, lerr := t.Landed(ctx, e.ID, dead.File.Path); lerr == nil && landed {
		return nil
	}
	return s.explain(ctx, err, []tables.DataFile{dead.File})
}

// summary is what a commit writes into the table's history for people.
func (e *entry) summary() map[string]string {
	return map[string]string{
		"tarn.rows": strconv.FormatInt(e.Rows, 10), "tarn.dead-letters": strconv.FormatInt(e.Dead, 10),
		"tarn.deleted-keys": strconv.FormatInt(e.Gone, 10),
	}
}

// advance is progress p after a commit up to to.
func (s *sink) advance(p tables.Progress, to offsets) tables.Progress {
	next := p.Clone()
	next.TopicID, next.Incarnation = s.topic.ID.String(), s.incarnation
	if next.Offsets == nil {
		next.Offsets = map[int32]int64{}
	}
	if next.Extra == nil {
		next.Extra = map[string]string{}
	}
	maps.Copy(next.Offsets, to)
	if delete(next.Extra, modeKey); s.topic.mode() != "" {
		next.Extra[modeKey] = s.topic.mode()
	}
	return next
}
