package query

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"modernc.org/sqlite/vtab"

	"github.com/tarn-io/tarn/tables/parquet"
)

// term is a comparison of a column with a value.
type term struct {
	at     int // the column's place
	column *column
	op     vtab.ConstraintOp
	value  any
}

// ops are the comparisons that are understood, as they stand in a plan.
var ops = map[vtab.ConstraintOp]string{
	vtab.OpEQ: "=", vtab.OpIS: "=", vtab.OpGT: ">", vtab.OpGE: "]", vtab.OpLT: "<", vtab.OpLE: "[",
}

// shown are the comparisons as people write them.
var shown = map[string]string{"=": "=", ">": ">", "]": ">=", "<": "<", "[": "<="}

// planNote stands between a plan and what it says to people.
const planNote = " ("

// planned says in words what a scan reads, for EXPLAIN QUERY PLAN.
func (r *relation) planned(used uint64, terms []string) string {
	text := "every row"
	if len(terms) > 0 {
		text = "rows where " + strings.Join(terms, " and ")
	}
	n := 0
	for i := range r.columns {
		if used&(1<<min(i, 63)) != 0 {
			n++
		}
	}
	return fmt.Sprintf("%s; %d of %d columns", text, n, len(r.columns))
}

// Costs of a scan, relative to a row.
const (
	// guessedRows is how many rows a table is taken to have for the planner.
	guessedRows = 1_000_000
	pointRows   = 1
	partRows    = guessedRows / 4
	someRows    = guessedRows / 10
)

// BestIndex implements vtab.Table. A plan is the mask of the columns that are used,
// and for each argument its column and comparison; behind planNote, the same for
// people. SQLite checks all terms again: what is handed in only narrows what is read.
func (r *relation) BestIndex(info *vtab.IndexInfo) error {
	var plan strings.Builder
	var terms []string
	plan.WriteString(strconv.FormatUint(info.ColUsed, 16))
	args := 0
	rows := float64(guessedRows)
	var partition, offset, other bool
	for i := range info.Constraints {
		c := &info.Constraints[i]
		op, known := ops[c.Op]
		if !c.Usable || !known || c.Column < 0 || c.Column >= len(r.columns) || !r.narrows(&r.columns[c.Column], op == "=") {
			continue
		}
		plan.WriteString("," + strconv.Itoa(c.Column) + op)
		c.ArgIndex = args
		args++
		terms = append(terms, r.columns[c.Column].name+" "+shown[op]+" ?")
		switch col := r.columns[c.Column].from; {
		case col == fromPartition && op == "=":
			partition = true
		case col == fromOffset && op == "=":
			offset = true
		case col == fromKey && op == "=", col == fromOffset, col == fromTimestamp:
			other = true
		}
	}
	switch {
	case partition && offset:
		rows = pointRows
	case offset:
		rows = 16 * pointRows
	case other:
		rows = someRows
	case partition:
		rows = partRows
	}
	if r.s.st.explain {
		plan.WriteString(planNote + r.planned(info.ColUsed, terms) + ")")
	}
	info.IdxStr = plan.String()
	info.EstimatedRows, info.EstimatedCost = int64(rows), rows
	return nil
}

// narrows reports whether comparisons with a column narrow what is read. With IN, a
// scan is begun for each value, so there it must save more than it costs. Which
// collation a comparison has, a table is not told: with COLLATE, texts are left
// alone.
func (r *relation) narrows(c *column, equal bool) bool {
	switch c.from {
	case fromPartition, fromOffset:
		return true
	case fromTimestamp:
		return !r.s.collates
	case fromKey:
		return equal && !r.s.collates && !r.s.lists
	case fromField:
		switch c.logical.ID() {
		case arrow.INT32, arrow.INT64, arrow.FLOAT32, arrow.FLOAT64:
			return !equal || !r.s.lists
		case arrow.STRING:
			return !r.s.collates && (!equal || !r.s.lists)
		}
	}
	return false
}

// bounds are what a scan needs to read.
type bounds struct {
	used []bool // by column
	// filesOnly are columns that are used to leave rows of files out, and for nothing
	// else: the log is read by offsets. nil: none.
	filesOnly []bool
	// answer takes a row group without its rows, if it returns true; nil takes none.
	// columns are the file's; progress is where rows end that count, nil: nowhere.
	answer     func(g parquet.Group, columns []column, progress map[int32]int64) bool
	none       bool // no row can match
	partition  [2]int64
	offset     [2]int64
	ms         [2]int64 // of timestamps, both ends inclusive
	keys       [][]byte // the record's is one of them; nil: any
	terms      []term   // on fields
	restricted bool     // timestamp or key is: records must be looked at
}

// readPlan makes bounds of a plan and its arguments.
func (r *relation) readPlan(plan string, vals []vtab.Value) *bounds {
	all := [2]int64{math.MinInt64, math.MaxInt64}
	b := &bounds{used: make([]bool, len(r.columns)), partition: all, offset: all, ms: all}
	plan, _, _ = strings.Cut(plan, planNote)
	words := strings.Split(plan, ",")
	mask, err := strconv.ParseUint(words[0], 16, 64)
	if err != nil {
		mask = math.MaxUint64
	}
	for i := range b.used {
		b.used[i] = mask&(1<<min(i, 63)) != 0
	}
	for i, w := range words[1:] {
		if i >= len(vals) || len(w) < 2 {
			break
		}
		n, err := strconv.Atoi(w[:len(w)-1])
		if err != nil || n < 0 || n >= len(r.columns) {
			continue
		}
		if _, isText := vals[i].(string); r.columns[n].from == fromKey && !isText && vals[i] != nil && !r.s.alone {
			// A number of another column is equal to all texts that say it, 5 to '5.0';
			// one that is written down is its own text.
			if _, isBytes := vals[i].([]byte); !isBytes {
				continue
			}
		}
		b.add(r.columns, n, w[len(w)-1], vals[i])
	}
	return b
}

// add narrows the bounds by one comparison; one that it does not understand is left
// to SQLite.
func (b *bounds) add(columns []column, at int, op byte, v any) {
	c := &columns[at]
	if v == nil {
		b.none = true // no comparison with NULL holds, and these columns are never null but for a key
		if c.from == fromKey || c.from == fromField {
			b.none = false // IS NULL comes as an equality
		}
		return
	}
	switch c.from {
	case fromPartition:
		narrow(&b.partition, op, v)
		return
	case fromOffset:
		narrow(&b.offset, op, v)
		return
	case fromTimestamp:
		b.addTime(op, v)
	case fromKey:
		switch v := v.(type) {
		case string:
			b.keys = [][]byte{[]byte(v)}
		case []byte:
			b.keys = [][]byte{append([]byte{}, v...)}
		case int64:
			b.keys = [][]byte{strconv.AppendInt(nil, v, 10)}
		default:
			return
		}
	case fromField:
		switch v := v.(type) {
		case string:
			b.terms = append(b.terms, term{at, c, opOf(op), strings.Clone(v)})
		case int64, float64:
			b.terms = append(b.terms, term{at, c, opOf(op), v})
		}
		return
	}
	b.restricted = true
}

// addKeys narrows the keys to some texts.
func (b *bounds) addKeys(vals []any) {
	var keys [][]byte
	for _, v := range vals {
		key, ok := v.(string)
		if !ok {
			return
		}
		keys = append(keys, []byte(key))
	}
	b.keys, b.restricted = keys, true
}

// hasKey reports whether a record's key is one of those that are asked for.
func (b *bounds) hasKey(key []byte) bool {
	if b.keys == nil {
		return true
	}
	return key != nil && slices.ContainsFunc(b.keys, func(k []byte) bool { return bytes.Equal(k, key) })
}

func opOf(op byte) vtab.ConstraintOp {
	for o, s := range ops {
		if s[0] == op && o != vtab.OpIS {
			return o
		}
	}
	return vtab.OpUnknown
}

// narrow narrows a range of integers, inclusive at both ends.
func narrow(r *[2]int64, op byte, v any) {
	var low, high int64 // v rounded up and down
	switch v := v.(type) {
	case int64:
		low, high = v, v
	case float64:
		if math.IsNaN(v) || math.Abs(v) >= 1<<62 {
			return
		}
		low, high = int64(math.Ceil(v)), int64(math.Floor(v))
	default:
		return
	}
	switch op {
	case '=':
		r[0], r[1] = max(r[0], low), min(r[1], high)
	case ']':
		r[0] = max(r[0], low)
	case '[':
		r[1] = min(r[1], high)
	case '>':
		if high < math.MaxInt64 { // behind it is nothing, as SQLite finds by itself
			high++
		}
		r[0] = max(r[0], high)
	case '<':
		if low > math.MinInt64 {
			low--
		}
		r[1] = min(r[1], low)
	}
}

// stampForms are beginnings of the texts that kafka_timestamp has: among them and
// those, the order of texts is that of time.
var stampForms = [...]string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"}

// parseStamp reads a text in one of stampForms, the first perhaps with a fraction.
func parseStamp(s string) (time.Time, bool) {
	for _, form := range stampForms {
		// time.Parse takes fractions behind seconds by itself, and a comma too.
		if len(s) < len(form) || len(s) > len(form) && (form != stampForms[0] || s[len(form)] != '.') {
			continue
		}
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// addTime narrows the time of records.
func (b *bounds) addTime(op byte, v any) {
	s, ok := v.(string)
	if !ok {
		return
	}
	t, ok := parseStamp(s)
	if !ok {
		return
	}
	ms := t.UnixMilli() // rounded down; no record is between two milliseconds
	switch op {
	case '=':
		b.ms[0], b.ms[1] = max(b.ms[0], ms), min(b.ms[1], ms)
	case '>', ']':
		b.ms[0] = max(b.ms[0], ms)
	case '<', '[':
		b.ms[1] = min(b.ms[1], ms+1)
	}
}

// empty reports whether no row can be within the bounds.
func (b *bounds) empty() bool {
	return b.none || b.partition[0] > b.partition[1] || b.offset[0] > b.offset[1] || b.ms[0] > b.ms[1]
}

// wants reports whether a row group may hold rows within the bounds.
func (b *bounds) wants(g parquet.Group) bool {
	for _, of := range []struct {
		column string
		low    int64
		high   int64
	}{
		{parquet.PartitionColumn, b.partition[0], b.partition[1]},
		{parquet.OffsetColumn, b.offset[0], b.offset[1]},
		{parquet.TimestampColumn, micros(b.ms[0]), micros(b.ms[1])},
	} {
		least, most, ok := g.Bounds(of.column)
		from, ok1 := least.(int64)
		to, ok2 := most.(int64)
		if ok && ok1 && ok2 && (to < of.low || from > of.high) {
			return false
		}
	}
	for _, t := range b.terms {
		if least, most, ok := g.Bounds(t.column.field); ok && !t.may(least, most) {
			return false
		}
	}
	return true
}

func micros(ms int64) int64 {
	return min(max(ms, math.MinInt64/1000), math.MaxInt64/1000) * 1000
}

// may reports whether a value from least to most may fulfil the term.
func (t term) may(least, most any) bool {
	var toLeast, toMost int // of the value, against the ends
	switch v := t.value.(type) {
	case string:
		from, ok1 := least.([]byte)
		to, ok2 := most.([]byte)
		if !ok1 || !ok2 || t.column.logical.ID() != arrow.STRING {
			return true
		}
		toLeast, toMost = strings.Compare(v, string(from)), strings.Compare(v, string(to))
	default:
		value, ok := asFloat(v)
		from, ok1 := asFloat(least)
		to, ok2 := asFloat(most)
		if !ok || !ok1 || !ok2 {
			return true
		}
		// Rounding keeps the order: what is apart as floats is apart.
		toLeast, toMost = compare(value, from), compare(value, to)
	}
	switch t.op {
	case vtab.OpEQ:
		return toLeast >= 0 && toMost <= 0
	case vtab.OpGT, vtab.OpGE:
		return toMost <= 0
	case vtab.OpLT, vtab.OpLE:
		return toLeast >= 0
	}
	return true
}

func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, !math.IsNaN(v)
	}
	return 0, false
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
