package query

import (
	"context"
	"fmt"
	"iter"

	"modernc.org/sqlite/vtab"
)

// chunk are rows of a scan, by columns.
type chunk struct {
	n    int
	cols []reader // by column of the relation; nil: null in all rows
	// sel are the rows that count, nil for all n.
	sel   []int32
	rowID func(i int) int64
	// looked is how many rows were looked at for these, if more than n.
	looked int
	// vec gives a column in the form for sums; nil: null in all rows.
	vec func(at int) *vector
}

// vector is a column of the chunk in the form for sums.
func (c *chunk) vector(at int) *vector {
	if c.vec == nil {
		return &vector{}
	}
	return c.vec(at)
}

// cursor is a scan of a relation, which SQLite moves.
type cursor struct {
	r    *relation
	next func() (*chunk, error, bool)
	stop func()

	now  *chunk // nil: at the end
	at   int    // among the rows that count
	row  int    // in now
	rows int    // of now that count
	memo *memo  // of its plan; nil: none
}

// Filter implements vtab.Cursor: it begins a scan.
func (c *cursor) Filter(_ int, plan string, vals []vtab.Value) (err error) {
	defer c.r.s.guard(&err)
	c.end()
	if c.r.refused != nil {
		return c.r.s.fail(c.r.refused)
	}
	if c.r.empty {
		return nil
	}
	m, key := c.r.memoOf(plan, vals)
	if c.memo = m; m != nil {
		if done, err := c.recall(key, plan, vals); done || err != nil {
			return err
		}
	}
	b := c.r.readPlan(plan, vals)
	if b.empty() {
		return nil
	}
	c.next, c.stop = iter.Pull2(c.r.scan(b))
	return c.pull()
}

// recall answers by rows that are kept, or keeps them if scans have cost enough; false
// if it has to be scanned.
func (c *cursor) recall(key, plan string, vals []vtab.Value) (done bool, err error) {
	m := c.memo
	m.cost += openCost
	if m.rows == nil && m.cost > m.next {
		if err := c.r.fill(m, plan, vals); err != nil {
			return false, c.r.s.fail(err)
		}
	}
	if m.rows == nil {
		return false, nil
	}
	if c.r.s.ctx.Err() != nil {
		return false, c.r.s.fail(context.Cause(c.r.s.ctx))
	}
	if rows := m.rows[key]; len(rows) > 0 {
		c.now, c.at, c.row, c.rows = m.chunk(rows, len(c.r.columns)), 0, 0, len(rows)
		c.next, c.stop = func() (*chunk, error, bool) { return nil, nil, false }, func() {}
	}
	return true, nil
}

// pull gets the next chunk that has rows.
func (c *cursor) pull() error {
	s := c.r.s
	for {
		if s.ctx.Err() != nil {
			return s.fail(context.Cause(s.ctx))
		}
		now, err, ok := c.next()
		if err != nil {
			return s.fail(err)
		}
		if !ok {
			c.end()
			return nil
		}
		c.now, c.at, c.row, c.rows = now, 0, 0, now.n
		if now.sel != nil {
			if c.rows = len(now.sel); c.rows > 0 {
				c.row = int(now.sel[0])
			}
		}
		s.scanned += int64(max(now.n, now.looked))
		if c.memo != nil {
			c.memo.cost += int64(max(now.n, now.looked))
		}
		if c.rows > 0 {
			return nil
		}
	}
}

// end ends the scan.
func (c *cursor) end() {
	if c.stop != nil {
		c.stop()
	}
	c.next, c.stop, c.now = nil, nil, nil
}

// Next implements vtab.Cursor.
func (c *cursor) Next() (err error) {
	defer c.r.s.guard(&err)
	if c.now == nil {
		return nil
	}
	if c.at++; c.at >= c.rows {
		return c.pull()
	}
	c.row = c.at
	if c.now.sel != nil {
		c.row = int(c.now.sel[c.at])
	}
	return nil
}

// Eof implements vtab.Cursor.
func (c *cursor) Eof() bool { return c.now == nil }

// Column implements vtab.Cursor.
func (c *cursor) Column(i int) (v vtab.Value, err error) {
	defer c.r.s.guard(&err)
	if c.now == nil || i < 0 || i >= len(c.now.cols) || c.now.cols[i] == nil {
		return nil, nil
	}
	v = c.now.cols[i](c.row)
	n := 0
	switch v := v.(type) {
	case string:
		n = len(v)
		c.r.s.long = c.r.s.long || c.r.columns[i].isDecimal()
	case []byte:
		n = len(v)
	}
	if n > maxValueBytes {
		return nil, c.r.s.fail(fmt.Errorf("%w: a value of column %s has %d bytes, more than the %d that a value in SQL may have: leave the column out, or read the record by tarn consume",
			ErrLimit, c.r.columns[i].name, n, maxValueBytes))
	}
	return v, nil
}

// Rowid implements vtab.Cursor: the same row has the same number in all scans of a
// session.
func (c *cursor) Rowid() (int64, error) {
	if c.now == nil {
		return 0, nil
	}
	return c.now.rowID(c.row), nil
}

// Close implements vtab.Cursor.
func (c *cursor) Close() error {
	c.end()
	return nil
}

// scan yields all rows within the bounds, and some outside of them: of files first,
// then of the log.
func (r *relation) scan(b *bounds) iter.Seq2[*chunk, error] {
	return func(yield func(*chunk, error) bool) {
		files := r.src.hasLake && r.part != logOnly
		if files && !r.scanFiles(b, yield) {
			return
		}
		if r.part == rowsOnly || r.part == lettersOnly {
			return
		}
		for p := range r.topic.Partitions {
			if int64(p) < b.partition[0] || int64(p) > b.partition[1] {
				continue
			}
			start, end := r.src.from[p], r.src.to[p]
			if !files {
				if !r.scanLog(p, start, end, b, yield) {
					return
				}
				continue
			}
			// What lies before the table's beginning is in the log only.
			if begin := r.src.lake.Started[p]; begin > start && !r.scanLog(p, start, min(begin, end), b, yield) {
				return
			}
			if !r.scanLog(p, max(start, r.src.lake.Progress[p]), end, b, yield) {
				return
			}
		}
	}
}
