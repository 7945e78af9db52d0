package query

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"modernc.org/sqlite/vtab"

	"github.com/tarn-io/tarn/tables/parquet"
)

// Limits of what groups hold in memory. A statement with more is run by SQLite, which
// sorts on disk.
const (
	maxFoldBytes = 32 << 20
	// keyOverhead and groupOverhead are about what a key in a map and a group take
	// beside the bytes of values.
	keyOverhead   = 64
	groupOverhead = 160
	// totalOverhead is about what an exact sum takes.
	totalOverhead = 200
)

// folded is a folding at work.
type folded struct {
	*folding
	s      *session
	index  map[string]int32 // of groups, by their key
	groups [][]any          // their keys' values
	into   [][]accumulator  // by call, then by group
	bytes  int
	key    []byte  // at hand
	rows   []int32 // of the chunk at hand that fulfil the condition
	of     []int32 // their groups
}

// fold works the groups out, so that f.sql can be run over them. It returns false where
// only SQLite can: nothing has come of it then.
func (s *session) fold(f *folding) (ok bool, err error) {
	w := &folded{folding: f, s: s, index: map[string]int32{}, into: make([][]accumulator, len(f.calls))}
	if !f.grouped {
		if err := w.begin(nil); err != nil {
			return false, err
		}
	}
	if err := w.scan(); errors.Is(err, errUnfit) {
		s.scanned, s.out.Read, s.err = 0, Read{}, nil
		return false, nil
	} else if err != nil {
		return false, err
	}
	t, ok := w.table()
	if !ok {
		s.scanned, s.out.Read = 0, Read{}
		return false, nil
	}
	s.groups = t
	return true, s.create(s.conn, "temp."+groupsTable, "groups")
}

// bounds are what the scan needs to read.
func (f *folding) bounds() *bounds {
	b := f.r.readPlan("0", nil)
	asked := make([]bool, len(b.used))
	ask := func(at int) { asked[at] = true }
	f.where.columns(ask)
	for _, c := range f.calls {
		if c.at >= 0 {
			ask(c.at)
		}
	}
	for _, at := range f.keys {
		ask(at)
	}
	copy(b.used, asked)
	for _, c := range f.where.conjuncts() {
		if len(c.of) > 0 {
			continue
		}
		if (c.op == opIn || c.op == "=") && f.r.columns[c.at].from == fromKey { // one scan for all of them
			b.addKeys(c.vals)
		}
		ops, vals := c.interval()
		for k, op := range ops {
			if f.r.narrows(&f.r.columns[c.at], op == '=') {
				b.add(f.r.columns, c.at, op, vals[k])
				b.used[c.at] = true
			}
		}
	}
	b.filesOnly = make([]bool, len(b.used))
	for i := range b.used {
		b.filesOnly[i] = b.used[i] && !asked[i]
	}
	return b
}

// scan reads the rows.
func (w *folded) scan() error {
	s := w.s
	b := w.bounds()
	if b.empty() {
		return nil
	}
	if !w.grouped {
		b.answer = w.answer
	}
	residual := slices.ContainsFunc(w.where.conjuncts(), func(c *condition) bool { return !c.bound })
	for c, err := range w.r.scan(b) {
		if err != nil {
			return s.fail(err)
		}
		if s.ctx.Err() != nil {
			return s.explain(s.ctx.Err())
		}
		s.scanned += int64(max(c.n, c.looked))
		if err := w.chunk(c, residual); err != nil {
			return err
		}
	}
	return nil
}

// chunk takes the rows of one chunk.
func (w *folded) chunk(c *chunk, residual bool) error {
	made := map[int]*vector{}
	column := func(at int) *vector {
		v := made[at]
		if v == nil {
			v = c.vector(at)
			made[at] = v
		}
		return v
	}
	rows, n := c.sel, c.n
	if rows != nil {
		n = len(rows)
	}
	if residual {
		test := w.where.test(column)
		w.rows = w.rows[:0]
		for k := range n {
			i := int32(k)
			if rows != nil {
				i = rows[k]
			}
			if test(int(i)) == isYes {
				w.rows = append(w.rows, i)
			}
		}
		rows, n = w.rows, len(w.rows)
	}
	if n == 0 {
		return nil
	}
	var of []int32
	if w.grouped {
		var err error
		if of, err = w.assign(column, n, rows); err != nil {
			return err
		}
	}
	for k := range w.calls {
		call := &w.calls[k]
		if call.at < 0 {
			countRows(w.into[k], n, of)
			continue
		}
		v := column(call.at)
		if call.distinct && !fitsKey(&w.r.columns[call.at], v) {
			return errUnfit
		}
		if err := call.take(v, c.n, rows, of, w.into[k], w.grow); err != nil {
			return err
		}
	}
	return nil
}

// countRows is count(*).
func countRows(into []accumulator, n int, of []int32) {
	if of == nil {
		into[0].n += int64(n)
	}
	for _, g := range of {
		into[g].n++
	}
}

// assign finds the group of each row.
func (w *folded) assign(column func(at int) *vector, n int, rows []int32) (of []int32, err error) {
	keys := make([]*vector, len(w.keys))
	for k, at := range w.keys {
		if keys[k] = column(at); !fitsKey(&w.r.columns[at], keys[k]) {
			return nil, errUnfit
		}
	}
	w.of = w.of[:0]
	for k := range n {
		i := k
		if rows != nil {
			i = int(rows[k])
		}
		w.key = w.key[:0]
		for _, v := range keys {
			if w.key, err = v.appendKey(w.key, i); err != nil {
				return nil, err
			}
		}
		g, there := w.index[string(w.key)]
		if !there {
			g = int32(len(w.groups))
			values := make([]any, len(keys))
			for k, v := range keys {
				values[k] = cloned(v.value(i))
			}
			w.index[string(w.key)] = g
			if err := w.begin(values); err != nil {
				return nil, err
			}
		}
		w.of = append(w.of, g)
	}
	return w.of, nil
}

// begin begins a group.
func (w *folded) begin(values []any) error {
	w.groups = append(w.groups, values)
	for k := range w.into {
		w.into[k] = append(w.into[k], accumulator{})
	}
	return w.grow(2*len(w.key) + groupOverhead*(1+len(w.into)))
}

// grow counts memory.
func (w *folded) grow(bytes int) error {
	if w.bytes += bytes; w.bytes > maxFoldBytes {
		return errUnfit
	}
	return nil
}

// fitsKey reports whether equal values of a column have equal keys: not where a
// column's values come in more forms than one.
func fitsKey(c *column, v *vector) bool {
	switch {
	case v.shape == shapeNone:
		return true
	case c.decl == "REAL":
		return v.shape == shapeFloats
	case c.from == fromTimestamp || c.from == fromField && spanOf(c.logical) != nil:
		return v.shape == shapeStamps
	}
	return true
}

// Kinds of values in keys.
const (
	keyNull = iota
	keyWhole
	keyFloat
	keyText
)

// appendKey appends a value as a key of a map has it: equal values give equal bytes.
func (v *vector) appendKey(b []byte, i int) ([]byte, error) {
	if v.isNull(i) {
		return append(b, keyNull), nil
	}
	switch v.shape {
	case shapeInts, shapeStamps:
		return binary.BigEndian.AppendUint64(append(b, keyWhole), uint64(v.ints(i))), nil
	case shapeFloats:
		f := v.floats(i)
		if f == 0 && math.Signbit(f) {
			return nil, errUnfit // equal to another zero, which prints otherwise
		}
		return binary.BigEndian.AppendUint64(append(b, keyFloat), math.Float64bits(f)), nil
	case shapeTexts:
		return appendKeyText(b, v.texts(i)), nil
	}
	switch one := v.value(i).(type) {
	case nil:
		return append(b, keyNull), nil
	case int64:
		return binary.BigEndian.AppendUint64(append(b, keyWhole), uint64(one)), nil
	case string:
		return appendKeyText(b, one), nil
	case []byte:
		if strings.IndexByte(string(one), 0) < 0 {
			// It may be equal to no text, and texts have no zero bytes.
			return appendKeyText(append(b, keyNull), string(one)), nil
		}
		return appendKeyText(b, string(one)), nil
	}
	return nil, errUnfit
}

func appendKeyText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(append(b, keyText), uint64(len(s))), s...)
}

// groupTable has the groups as rows, for SQLite.
type groupTable struct {
	declared []string
	rows     [][]any
}

// table makes the rows of the groups. ok is false where a value is one that a query
// may not have: SQLite says so better.
func (w *folded) table() (t *groupTable, ok bool) {
	t = &groupTable{}
	for k, at := range w.keys {
		t.declared = append(t.declared, fmt.Sprintf("g%d %s", k, w.r.columns[at].decl))
	}
	for k := range w.calls {
		t.declared = append(t.declared, fmt.Sprintf("a%d", k))
	}
	for g, keys := range w.groups {
		row := slices.Clone(keys)
		for k := range w.calls {
			row = append(row, w.into[k][g].result(&w.calls[k]))
		}
		for _, v := range row {
			if sizeOf(v) > maxValueBytes {
				return nil, false
			}
		}
		t.rows = append(t.rows, row)
	}
	if !w.asCame {
		slices.SortFunc(t.rows, func(a, b []any) int {
			for k := range w.keys {
				if c := order(a[k], b[k]); c != 0 {
					return c
				}
			}
			return 0
		})
	}
	return t, true
}

func sizeOf(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	}
	return 0
}

// BestIndex implements vtab.Table.
func (t *groupTable) BestIndex(info *vtab.IndexInfo) error {
	n := cmp.Or(int64(len(t.rows)), 1)
	info.EstimatedRows, info.EstimatedCost = n, float64(n)
	return nil
}

// Open implements vtab.Table.
func (t *groupTable) Open() (vtab.Cursor, error) { return &groupCursor{t: t}, nil }

// Disconnect implements vtab.Table.
func (t *groupTable) Disconnect() error { return nil }

// Destroy implements vtab.Table.
func (t *groupTable) Destroy() error { return nil }

// groupCursor goes over the groups.
type groupCursor struct {
	t  *groupTable
	at int
}

// Filter implements vtab.Cursor.
func (c *groupCursor) Filter(int, string, []vtab.Value) error { c.at = 0; return nil }

// Next implements vtab.Cursor.
func (c *groupCursor) Next() error { c.at++; return nil }

// Eof implements vtab.Cursor.
func (c *groupCursor) Eof() bool { return c.at >= len(c.t.rows) }

// Column implements vtab.Cursor.
func (c *groupCursor) Column(i int) (vtab.Value, error) { return c.t.rows[c.at][i], nil }

// Rowid implements vtab.Cursor.
func (c *groupCursor) Rowid() (int64, error) { return int64(c.at), nil }

// Close implements vtab.Cursor.
func (c *groupCursor) Close() error { return nil }

// answer takes a row group by its statistics, where these tell all that is asked:
// every row of it fulfils the condition, and of columns only the number of nulls, the
// least and the greatest are wanted. progress is where the rows end that count, nil
// if all do.
func (w *folded) answer(g parquet.Group, columns []column, progress map[int32]int64) bool {
	if progress != nil {
		least, most, _, ok1 := g.Ends(parquet.PartitionColumn)
		_, last, _, ok2 := g.Ends(parquet.OffsetColumn)
		if !ok1 || !ok2 || least != most || last >= progress[int32(least)] {
			return false
		}
	}
	for _, c := range w.where.conjuncts() {
		if ops, _ := c.interval(); ops == nil {
			return false
		}
		e, ok := endsOf(g, &columns[c.at])
		if !ok || e.nulls != 0 || c.value(e.value(e.least)) != isYes || c.value(e.value(e.most)) != isYes {
			return false
		}
	}
	found := make([]ends, len(w.calls))
	for k, c := range w.calls {
		if c.at < 0 {
			continue
		}
		col := &columns[c.at]
		ok := false
		switch c.name {
		case "min", "max":
			found[k], ok = endsOf(g, col)
		case "count":
			if name := fileColumn(col); c.distinct || col.decl == "REAL" { // NaN is null
				return false
			} else if name == "" {
				found[k].nulls, ok = g.Rows(), true
			} else {
				found[k].nulls, ok = g.Nulls(name)
			}
		}
		if !ok {
			return false
		}
	}
	for k := range w.calls {
		e, a := &found[k], &w.into[k][0]
		n := g.Rows() - e.nulls
		a.n += n
		if name := w.calls[k].name; n > 0 && name != "count" {
			most := name == "max"
			to := e.least
			if most {
				to = e.most
			}
			a.extreme(&vector{shape: e.shape(), of: e.of, ints: func(int) int64 { return to }, any: func(int) any { return e.value(to) }}, 0, most)
		}
	}
	w.s.scanned += g.Rows()
	return true
}

// ends are the least and the greatest value of a column in a row group, and how many
// of its rows have none.
type ends struct {
	least, most, nulls int64
	of                 *span
}

func (e *ends) shape() shape {
	if e.of != nil {
		return shapeStamps
	}
	return shapeInts
}

func (e *ends) value(n int64) any {
	if e.of != nil {
		return e.of.text(n)
	}
	return n
}

// endsOf reads the ends of a column, where they are exact and mean what SQL has.
func endsOf(g parquet.Group, c *column) (e ends, ok bool) {
	want := parquet.Number
	switch {
	case c.from == fromTimestamp:
		want, e.of = parquet.Micros, stamps()
	case c.from == fromField && spanOf(c.logical) != nil:
		e.of = spanOf(c.logical)
		switch e.of.kind {
		case arrow.DATE32:
			want = parquet.Days
		case arrow.TIMESTAMP:
			want = parquet.Micros
		default:
			return e, false // times of the day have no ends of their own
		}
	case c.decl != "INTEGER":
		return e, false
	}
	name := fileColumn(c)
	nulls, ok1 := g.Nulls(name)
	e.nulls = nulls
	if ok1 && nulls == g.Rows() {
		return e, true
	}
	least, most, means, ok2 := g.Ends(name)
	e.least, e.most = least, most
	if e.of != nil && (least < e.of.low || most > e.of.high) {
		return e, false
	}
	return e, ok1 && ok2 && means == want
}
