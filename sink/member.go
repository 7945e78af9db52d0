package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/upsert"
)

// member is one format of a sink: its tables, how far they are, and what is
// wrong with them. Each format goes its own way: one that fails does not hold
// up the others. Owned by the sink's goroutine.
type member struct {
	name   string
	format tables.Format // nil: there is none of this name
	table  tables.Table  // nil until opened
	dead   tables.Table  // of dead letters; nil until needed
	index  *upsert.Index // of the rows of a table of latest values

	// at is where the table stands once its pending entries are committed. It
	// counts while known is set.
	at    tables.Progress
	known bool
	// looked is set once the table of dead letters was held against at.
	looked bool
	// letters are dead letters at or beyond at that the format has already, up
	// to lettersEnd; nil mostly.
	letters    map[int32]*offsetSet
	lettersEnd offsets

	err   error         // of the last attempt
	out   bool          // nothing is cut for it until it is well again
	pause time.Duration // after the next error
	until time.Time     // when to try again
}

// newMembers makes the members of a topic, in order of their names.
func newMembers(t Topic, formats map[string]tables.Format, b *upsert.Budget) []*member {
	var out []*member
	for _, name := range slices.Compact(slices.Sorted(slices.Values(t.Formats))) {
		out = append(out, &member{name: name, format: formats[name], index: upsert.NewIndex(b)})
	}
	return out
}

// fail notes an error of m's. out says that nothing may be cut for it for now.
func (s *sink) fail(m *member, err error, out bool) {
	m.err = fmt.Errorf("%s table: %w", m.name, err)
	m.out = out
	m.pause = min(max(2*m.pause, firstRetry), lastRetry)
	m.until = s.now().Add(m.pause)
	m.known = m.known && !out
	if errors.Is(err, tables.ErrGone) {
		// As after a restart: what has the topic's name is its table, and what it
		// lacks is cut again.
		s.lg.Warn("the table is no longer in its catalog; one is made anew from the log", "format", m.name, "table", s.topic.Table)
		m.table, m.dead, m.known, m.looked = nil, nil, false, false
	}
	s.gauge.failed(m.name, errorInfo(s.now(), err))
}

// well notes that m's table has taken something.
func (m *member) well() { m.err, m.out, m.pause = nil, false, 0 }

// mayTry reports whether m's time to be tried has come. A flush that has just
// come does not wait: it wants to know.
func (s *sink) mayTry(m *member) bool {
	return m.err == nil || !s.now().Before(m.until) ||
		slices.ContainsFunc(s.waiting, func(f *flush) bool { return !f.tried })
}

// last is the last pending entry for m, nil if there is none.
func (s *sink) last(m *member) *entry {
	for _, e := range slices.Backward(s.pending) {
		if _, ok := e.Formats[m.name]; ok && !e.done[m.name] {
			return e
		}
	}
	return nil
}

// openTables opens the tables that are not open. Those that are not there are
// made: the schema is known and stored.
func (s *sink) openTables(ctx context.Context) {
	for _, m := range s.members {
		if m.table != nil || !s.mayTry(m) {
			continue
		}
		if m.format == nil {
			s.fail(m, errors.New("there is no such format"), true)
			continue
		}
		t, err := m.format.Open(s.heeding(ctx, m.name), tables.Spec{
			Namespace: s.namespace, Name: s.topic.Table, Schema: s.schema,
			Comment: fmt.Sprintf("Kafka topic %s, written by Tarn", s.topic.Name),
		})
		if err != nil {
			s.fail(m, stopped(fmt.Errorf("open %s: %w", s.topic.Table, err)), true)
			continue
		}
		m.table = t
		s.opened.put(m.name, s.topic.Table, t)
	}
}

// refresh works out where every member stands: behind its last pending entry,
// or else where its table says.
func (s *sink) refresh(ctx context.Context) {
	for _, m := range s.members {
		if m.table == nil || m.known || !s.mayTry(m) {
			continue
		}
		if last := s.last(m); last != nil {
			if m.out {
				continue // its entries must go through first
			}
			m.at = last.Formats[m.name].Progress
		} else {
			p, err := s.mainProgress(s.heeding(ctx, m.name), m.table)
			if err != nil {
				s.fail(m, err, true)
				continue
			}
			m.at = p
			if err := s.reachable(ctx, m); err != nil {
				s.fail(m, err, true)
				continue
			}
			m.err, m.out = nil, false
		}
		if err := s.look(ctx, m); err != nil {
			s.fail(m, err, true)
			continue
		}
		m.known = true
	}
}

// confirm reads again where the members of a lane stand, right before a cut is
// made for them, and reports whether it is where they were thought to be.
func (s *sink) confirm(ctx context.Context, l *lane) bool {
	same := true
	for _, m := range l.members {
		if s.last(m) != nil {
			continue
		}
		p, err := s.mainProgress(s.heeding(ctx, m.name), m.table)
		if err != nil {
			s.fail(m, err, true)
			same = false
		} else if !p.Equal(m.at) {
			m.known, m.looked = false, false
			same = false
		}
	}
	return same
}

// position is where m goes on. A new table begins at the log's start; a
// partition that came later at 0, so that what was deleted meanwhile is seen.
func (s *sink) position(ctx context.Context, m *member) (offsets, error) {
	out := offsets{}
	for part := range s.topic.Partitions {
		off, ok := m.at.Offsets[part]
		if !ok && m.at.TopicID == "" {
			log, err := s.log(ctx, part)
			if err != nil {
				return nil, err
			}
			off = log.Start()
		}
		out[part] = off
	}
	return out, nil
}

// progress reads a table's progress and holds it against the log.
func (s *sink) progress(ctx context.Context, t tables.Table) (tables.Progress, error) {
	p, err := t.Progress(ctx)
	switch {
	case err != nil:
		return p, stopped(fmt.Errorf("read progress: %w", err))
	case p.TopicID == "":
		return p, nil
	case p.TopicID != s.topic.ID.String() || p.Incarnation != s.incarnation:
		return p, &stopError{LogReplaced, fmt.Errorf("the table was written from topic id %s, incarnation %s; this log is %s, %s: %w",
			p.TopicID, p.Incarnation, s.topic.ID, s.incarnation, tables.ErrForeign)}
	}
	for part, off := range p.Offsets {
		if part < 0 || part >= s.topic.Partitions {
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

// stopped gives an error of a table the state that it means, if it means one.
func stopped(err error) error {
	switch {
	case errors.Is(err, tables.ErrRolledBack):
		return &stopError{RolledBack, err}
	case errors.Is(err, tables.ErrNotOurs):
		return &stopError{NameTaken, err}
	case errors.Is(err, tables.ErrForeign):
		return &stopError{LogReplaced, err}
	}
	return err
}
