package query

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"

	"modernc.org/sqlite/vtab"
)

// A join asks its inner table anew for each row of the outer one, by the value of a
// column, and SQLite makes no index of its own on a virtual table. So the rows that a
// scan would read without that value are kept, by it, once scans have cost as much as
// that may.

const (
	// maxMemoBytes bounds the rows that a session keeps; a table with more is asked
	// anew for each row.
	maxMemoBytes = 32 << 20
	// memoAfter is what scans of one plan may cost before its rows are kept, in rows
	// that were looked at. A scan costs openCost besides.
	memoAfter = 20_000
	openCost  = 500
	// leastFill is how many rows are looked at in any case to keep them.
	leastFill = 10_000
	// memoRow is what a kept row takes besides its values, memoValue each of these.
	memoRow, memoValue = 64, 16
)

// memo are the rows of one plan, by the values of its equalities.
type memo struct {
	rest   []vtab.Value // the plan's other arguments
	cost   int64        // of the scans so far
	next   int64        // what they have to cost before the rows are kept
	rows   map[string][]keptRow
	equals []int // columns of the equalities
	used   []int // columns of the rows
}

// keptRow is a row as its scan gave it: the columns that are used.
type keptRow struct {
	id   int64
	vals []vtab.Value // of the columns that are used
}

// keeps reports whether rows are kept by an argument of a plan.
func (r *relation) keeps(column int, arg string) bool {
	from := r.columns[column].from
	return arg[len(arg)-1] == '=' && (from == fromField || from == fromKey || from == fromOffset || from == fromPartition)
}

// memoOf is the memo of a plan with these arguments, and what they look for; nil if
// nothing is kept for such a plan.
func (r *relation) memoOf(plan string, vals []vtab.Value) (m *memo, key string) {
	if r.s.req.plain {
		return nil, ""
	}
	words := strings.Split(strings.SplitN(plan, planNote, 2)[0], ",")[1:]
	var equals []int
	var rest []vtab.Value
	var of []byte
	for i, w := range words {
		if i >= len(vals) || len(w) < 2 {
			return nil, ""
		}
		n, err := strconv.Atoi(w[:len(w)-1])
		if err != nil || n < 0 || n >= len(r.columns) {
			return nil, ""
		}
		if r.keeps(n, w) {
			equals = append(equals, n)
			of = appendLike(of, vals[i])
		} else {
			rest = append(rest, vals[i])
		}
	}
	if len(equals) == 0 {
		return nil, ""
	}
	m = r.memos[plan]
	if m == nil || !slices.EqualFunc(m.rest, rest, func(a, b vtab.Value) bool { return sameValue(a, b) }) {
		for i := range rest {
			rest[i] = kept(rest[i])
		}
		if m != nil {
			r.s.forget(m)
		}
		m = &memo{rest: rest, equals: equals, next: r.s.engine.memoAfter}
		if r.memos == nil {
			r.memos = map[string]*memo{}
		}
		r.memos[strings.Clone(plan)] = m
	}
	return m, string(of)
}

// fill keeps the rows of a plan. It may look at as many as twice what scans have cost,
// and is tried again when these have cost twice as much; with more rows than there is
// room for it is not.
func (r *relation) fill(m *memo, plan string, vals []vtab.Value) error {
	m.next = math.MaxInt64
	left := max(2*m.cost, leastFill)
	b := r.readPlan(withoutEquals(r, plan, vals))
	m.rows, m.used = map[string][]keptRow{}, nil
	for at := range r.columns {
		if b.used[at] || slices.Contains(m.equals, at) {
			m.used = append(m.used, at)
		}
	}
	for now, err := range r.scan(b) {
		if err == nil && r.s.ctx.Err() != nil {
			err = context.Cause(r.s.ctx)
		}
		if err != nil {
			r.s.forget(m)
			return err
		}
		looked := int64(max(now.n, now.looked))
		r.s.scanned += looked
		if left -= looked; left < 0 {
			m.next = 2 * m.cost
		}
		if left < 0 || !m.keep(r.s, now) {
			r.s.forget(m)
			return nil
		}
	}
	return nil
}

// keep takes a chunk's rows over; false if there is no room.
func (m *memo) keep(s *session, now *chunk) bool {
	count := now.n
	if now.sel != nil {
		count = len(now.sel)
	}
	var of []byte
	for i := range count {
		row := i
		if now.sel != nil {
			row = int(now.sel[i])
		}
		k := keptRow{id: now.rowID(row), vals: make([]vtab.Value, len(m.used))}
		size := int64(memoRow + memoValue*len(k.vals))
		for i, at := range m.used {
			if at < len(now.cols) && now.cols[at] != nil {
				k.vals[i] = kept(now.cols[at](row))
				size += valueBytes(k.vals[i])
			}
		}
		of = of[:0]
		for _, at := range m.equals {
			of = appendLike(of, k.vals[slices.Index(m.used, at)])
		}
		if s.memoBytes+size > s.engine.maxMemo {
			return false
		}
		s.memoBytes += size
		m.rows[string(of)] = append(m.rows[string(of)], k)
	}
	return true
}

// forget gives a memo's room back.
func (s *session) forget(m *memo) {
	for _, rows := range m.rows {
		for _, k := range rows {
			s.memoBytes -= int64(memoRow + memoValue*len(k.vals))
			for _, v := range k.vals {
				s.memoBytes -= valueBytes(v)
			}
		}
	}
	m.rows = nil
}

// withoutEquals is a plan without the equalities that rows are kept by.
func withoutEquals(r *relation, plan string, vals []vtab.Value) (string, []vtab.Value) {
	words := strings.Split(strings.SplitN(plan, planNote, 2)[0], ",")
	out, rest := words[:1:1], []vtab.Value{}
	for i, w := range words[1:] {
		n, _ := strconv.Atoi(w[:len(w)-1]) // memoOf has read it
		if r.keeps(n, w) {
			continue
		}
		out, rest = append(out, w), append(rest, vals[i])
	}
	return strings.Join(out, ","), rest
}

// chunk gives kept rows as a scan does.
func (m *memo) chunk(rows []keptRow, columns int) *chunk {
	c := &chunk{n: len(rows), cols: make([]reader, columns), rowID: func(i int) int64 { return rows[i].id }}
	for i, at := range m.used {
		c.cols[at] = func(row int) any { return rows[row].vals[i] }
	}
	return c
}

// appendLike appends a value so that values which SQLite may take for equal, whatever
// the affinities, are the same: 1, 1.0 and ' 1'. Others may be, too; SQLite looks again.
func appendLike(b []byte, v vtab.Value) []byte {
	number := func(f float64) []byte {
		if f == 0 {
			f = 0 // -0 is 0
		}
		return binary.BigEndian.AppendUint64(append(b, 'n'), math.Float64bits(f))
	}
	var s string
	switch v := v.(type) {
	case nil:
		return append(b, '-')
	case int64:
		return number(float64(v))
	case float64:
		return number(v)
	case string:
		s = v
	case []byte:
		s = string(v)
	case bool:
		if v {
			return number(1)
		}
		return number(0)
	default:
		return append(b, '?')
	}
	if t := strings.TrimSpace(s); t != "" && strings.IndexByte("0123456789+-.", t[0]) >= 0 {
		if f, err := strconv.ParseFloat(t, 64); err == nil || math.IsInf(f, 0) {
			return number(f)
		}
	}
	b = binary.AppendUvarint(append(b, 't'), uint64(len(s)))
	return append(b, s...)
}

// kept is a value that outlives its scan.
func kept(v vtab.Value) vtab.Value {
	switch v := v.(type) {
	case string:
		return strings.Clone(v)
	case []byte:
		return slices.Clone(v)
	}
	return v
}

func valueBytes(v vtab.Value) int64 {
	switch v := v.(type) {
	case string:
		return int64(len(v))
	case []byte:
		return int64(len(v))
	}
	return 0
}

// sameValue reports whether two arguments are one value of one type.
func sameValue(a, b vtab.Value) bool {
	x, isBytes := a.([]byte)
	y, areBytes := b.([]byte)
	if isBytes || areBytes {
		return isBytes && areBytes && string(x) == string(y)
	}
	return a == b
}
