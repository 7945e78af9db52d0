package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/layout"
)

// cutNext makes the next entry if one is due, and reports whether there may be
// more to do.
func (s *sink) cutNext(ctx context.Context) (more bool, err error) {
	stable, err := s.stable(ctx)
	if err != nil {
		return false, err
	}
	if begun, err := s.begin(ctx, stable); begun || err != nil {
		return true, err
	}
	lanes, err := s.lanes(ctx, stable)
	if err != nil {
		return false, err
	}
	due := s.due(lanes, stable)
	if len(due) == 0 {
		return false, nil
	}
	// Lanes take turns: one that has much to catch up on must not hold up
	// those in front.
	s.turn++
	return true, s.cut(ctx, due[s.turn%len(due)])
}

func (s *sink) newEntry(from, to offsets, sch *tables.Schema) *entry {
	e := &entry{
		Seq: s.head.Seq + 1, ID: uuid.NewString(), From: from, To: to, Schema: sch,
		Formats: map[string]entryFormat{}, MadeMs: s.now().UnixMilli(),
	}
	e.newState()
	return e
}

// cut reads, encodes and stores the next piece of the log as a pending entry.
// It makes none where there are no rows, unless a flush wants to see progress,
// records were lost, or the lane is to meet another one.
func (s *sink) cut(ctx context.Context, l *lane) error {
	if !s.confirm(ctx, l) {
		return nil
	}
	e, err := s.draw(ctx, l)
	if err == nil && e != nil {
		err = s.save(ctx, e)
	}
	if s.failed = err != nil; !s.failed && l.front {
		s.behindSince = time.Time{}
	}
	return err
}

// draw reads, encodes and writes the next piece of the log, and describes it;
// nil if there is nothing to store. Sinks take turns at it.
func (s *sink) draw(ctx context.Context, l *lane) (*entry, error) {
	select {
	case s.cuts <- struct{}{}:
		defer func() { <-s.cuts }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer s.cutting()()
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	for {
		e, err := s.drawOnce(ctx, l)
		if !errors.Is(err, layout.ErrTooMany) {
			return e, err
		}
		// So few rows as there may be partitions always go.
		s.lg.Debug("a cut has rows of too many partitions; a smaller one is made", "rows", s.most)
	}
}

// drawOnce is draw, but for layout.ErrTooMany: then the next cut is smaller.
func (s *sink) drawOnce(ctx context.Context, l *lane) (*entry, error) {
	c, err := s.newCut(l.from)
	if err != nil {
		return nil, err
	}
	c.to, c.skip, c.breath = maps.Clone(s.begun(l)), l.members[0].letters, s.breath(l)
	if err := c.read(ctx, l.limit); err != nil {
		return nil, err
	}
	if l.front && c.rows == 0 && len(c.gaps) == 0 && !s.asked(l.from) {
		s.barren.from, s.barren.to = c.from, c.to
		return nil, nil
	}
	if c.rows > 0 {
		s.recordBytes = max(1, c.bytes/c.rows)
	}
	return s.entry(ctx, c, l)
}

// entry writes the files of a cut and describes them. It is nil if no member is
// left that could take them.
func (s *sink) entry(ctx context.Context, c *cut, l *lane) (*entry, error) {
	rows, gone, err := c.content(ctx)
	if err != nil {
		return nil, err
	}
	e := s.newEntry(c.from, c.to, c.schema)
	e.Again, e.traces = !l.front, c.traces.All()
	for _, b := range rows {
		e.Rows += b.NumRows()
	}
	split, err := s.split(c, rows)
	if err != nil {
		return nil, err
	}
	boxes := s.boxes(ctx, l.members, c)
	to := s.targets(l.members, boxes, c.schema)
	if len(to) == 0 {
		return nil, nil
	}
	dead, err := s.placeDead(ctx, e, c, to, boxes)
	if err != nil {
		return nil, err
	}
	keys, err := s.placeGone(ctx, e, c, to, gone)
	var main map[*member][]tables.DataFile
	if err == nil {
		main, err = s.placeParts(ctx, e, to, split, c.ranges())
	}
	if err != nil {
		for _, d := range dead {
			s.remove(ctx, []string{d.File.Path})
		}
		for _, k := range keys {
			s.remove(ctx, []string{k.Path})
		}
		return nil, err
	}
	for _, t := range to {
		p := s.advance(t.m.at, c.to)
		addGaps(&p, c.gaps)
		s.countRecords(&p, t.m.at, c.rows+c.skipped)
		e.Formats[t.m.name] = entryFormat{Expect: t.m.at, Progress: p, Files: main[t.m], Gone: keys[t.m], Dead: dead[t.m]}
	}
	return e, nil
}

// content are the rows that a cut brings, and the keys of those that it takes
// away.
func (c *cut) content(ctx context.Context) (rows, gone []arrow.RecordBatch, err error) {
	if len(c.s.topic.Upsert) > 0 {
		return c.latest(ctx)
	}
	rows, err = c.batches()
	return rows, nil, err
}

// boxes says for each member where its table of dead letters stands, and opens
// it. Members whose table cannot be had fail alone and are left out; a cut
// without letters needs none, and gets nil.
func (s *sink) boxes(ctx context.Context, members []*member, c *cut) map[*member]tables.Progress {
	if c.letters() == 0 {
		return nil
	}
	out := map[*member]tables.Progress{}
	for _, m := range members {
		_, err := s.openDead(ctx, m, true)
		if err == nil {
			out[m], err = s.deadAt(ctx, m)
		}
		if err != nil {
			s.fail(m, err, true)
			delete(out, m)
		}
	}
	return out
}

// placeDead writes the files of a cut's dead letters.
func (s *sink) placeDead(ctx context.Context, e *entry, c *cut, to []target, boxes map[*member]tables.Progress) (map[*member]*entryDead, error) {
	if boxes == nil {
		return nil, nil
	}
	e.Dead = c.letters()
	sch := to[0].m.dead.Schema()
	b, err := tables.Project(c.dead.Batch(), sch)
	if err != nil {
		return nil, fmt.Errorf("fit dead letters to their table: %w", err)
	}
	var deadTo []target
	for _, t := range to {
		physical, err := t.m.dead.Physical(sch)
		if err != nil {
			return nil, fmt.Errorf("%s table of dead letters: %w", t.m.name, err)
		}
		deadTo = append(deadTo, target{t.m, t.m.dead, physical})
	}
	files, err := s.place(ctx, deadTo, batchList(b), e.fileName("dead"), tables.DataFile{Ranges: c.ranges()})
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	out := map[*member]*entryDead{}
	for m, f := range files {
		next := s.advance(boxes[m], nil)
		for part, off := range c.to {
			next.Offsets[part] = max(next.Offsets[part], off)
		}
		next.Extra[entryKey] = e.ID
		delete(next.Extra, modeKey) // letters are all kept
		out[m] = &entryDead{Expect: boxes[m], Progress: next, File: *f}
	}
	return out, nil
}

// letters counts the cut's dead letters.
func (c *cut) letters() int64 {
	if c.dead == nil {
		return 0
	}
	return int64(c.dead.Len())
}
