package query

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/record"
)

// "The newest ten" is what people ask first of a topic: select … order by kafka_offset
// desc limit 10. SQLite would take every row of table and log to sort them. So such a
// statement is asked of the rows at that end first, by a condition that is added to it:
// if that gives as many rows as are wanted, they are the answer, for all others come
// behind them. If not, it is asked of more, and in the end of all.

// Limits of statements that are asked of one end first.
const (
	// edgeRows are added to the rows that are wanted: a batch or two are read anyway.
	edgeRows = 1000
	// edgeGrowth is how many times as many rows each try has as the one before, and
	// edgeTries how many there are before all rows are asked: a condition that few
	// rows fulfil costs little more than without.
	edgeGrowth = 32
	edgeTries  = 3
	// edgeLeast is how many rows a topic has at least for this.
	edgeLeast = 5_000
)

// edge is a statement that sorts the rows of one table by offset or time, and wants
// the first of them.
type edge struct {
	r         *relation
	column    *column
	name      string // of the column, with the table's
	desc      bool
	want      int // rows that the statement gives at most
	skipped   int // and leaves out before
	sql       string
	where     [2]int // where its condition begins and ends; equal: there is none
	condition bool
	partition int64 // the one that the condition names, -1: none. To guess by.
}

// edgy finds out whether the statement is one.
func (s *session) edgy() (e *edge, ok bool) {
	t := s.st.tokens
	if s.collates || s.st.explain || len(t) > maxFolded || s.req.plain {
		return nil, false
	}
	p := &folder{s: s, folding: &folding{}}
	if !p.clauses(t) || !p.from() || p.r.part == lettersOnly {
		return nil, false
	}
	_, grouped := p.parts["group"]
	_, having := p.parts["having"]
	order, ordered := p.parts["order"]
	if grouped || having || !ordered || !p.rowwise() {
		return nil, false
	}
	e = &edge{r: p.r, sql: s.st.sql}
	if !e.sorts(p, commas(order)[0]) || !e.limits(p.parts["limit"], s.req.Rows) {
		return nil, false
	}
	where, there := p.parts["where"]
	if e.condition = there; there && len(where) == 0 {
		return nil, false
	}
	from := p.parts["from"]
	e.where = [2]int{from[len(from)-1].end, from[len(from)-1].end}
	e.partition = -1
	for i := range where[:max(0, len(where)-2)] {
		if n, err := strconv.ParseInt(where[i+2].text, 10, 32); err == nil && strings.EqualFold(where[i].text, "kafka_partition") && where[i+1].text == "=" {
			e.partition = n
		}
	}
	if there {
		e.where = [2]int{where[0].pos, where[len(where)-1].end}
	}
	return e, true
}

// perRow are functions that make a value of one row, beside scalars.
var perRow = [...]string{
	"datetime", "date", "time", "strftime", "unixepoch", "julianday", "json_extract", "json", "json_array_length", "json_type",
	"hex", "typeof", "cast", "trim", "replace", "instr", "concat", "in", "and", "or", "not", "when", "then", "else", "between", "like",
}

// rowwise reports whether each row of the result is made of one row of the table, and
// which are there depends on that row alone.
func (p *folder) rowwise() bool {
	for _, name := range []string{"select", "where", "order"} {
		for i, t := range p.parts[name] {
			if t.is("SELECT") || t.is("DISTINCT") || t.is("OVER") {
				return false
			}
			called := i+1 < len(p.parts[name]) && p.parts[name][i+1].op("(")
			if low := strings.ToLower(t.text); called && t.named() && !slices.Contains(scalars[:], low) && !slices.Contains(perRow[:], low) {
				return false
			}
		}
	}
	return true
}

// sorts reads the first term of ORDER BY.
func (e *edge) sorts(p *folder, term []token) bool {
	at, n := p.column(term)
	if at < 0 {
		return false
	}
	e.column = &p.r.columns[at]
	switch rest := term[n:]; {
	case len(rest) == 1 && rest[0].is("DESC"):
		e.desc = true
	case len(rest) == 0 || len(rest) == 1 && rest[0].is("ASC"):
	default:
		return false
	}
	if e.column.from != fromOffset && e.column.from != fromTimestamp {
		return false
	}
	// A column of the result that is called so would be what is sorted by.
	list := &writer{tokens: p.parts["select"]}
	for i, t := range list.tokens {
		if i > 0 && t.named() && strings.EqualFold(t.text, e.column.name) && list.names(i-1) {
			return false
		}
	}
	e.name = quote(p.alias) + "." + quote(e.column.name)
	return true
}

// limits reads LIMIT: n, n OFFSET m, or m, n. Without it, a result has rows at most.
func (e *edge) limits(t []token, rows int) bool {
	e.want = rows + 1
	if len(t) == 0 {
		return true
	}
	number := func(t token) int {
		n, err := strconv.Atoi(t.text)
		if t.kind != other || err != nil || n > MaxRows {
			return -1
		}
		return n
	}
	switch {
	case len(t) == 1:
		e.want = number(t[0])
	case len(t) == 3 && t[1].is("OFFSET"):
		e.want, e.skipped = number(t[0]), number(t[2])
	case len(t) == 3 && t[1].text == ",":
		e.skipped, e.want = number(t[0]), number(t[2])
	default:
		return false
	}
	return e.want > 0 && e.skipped >= 0
}

// within is the statement with one more condition.
func (e *edge) within(condition string) string {
	if !e.condition {
		return e.sql[:e.where[0]] + "\nWHERE " + condition + " " + e.sql[e.where[0]:]
	}
	return e.sql[:e.where[0]] + "(" + e.sql[e.where[0]:e.where[1]] + ") AND " + condition + " " + e.sql[e.where[1]:]
}

// tries are the conditions under which the statement is asked before it is asked
// without.
func (s *session) tries(e *edge) ([]string, error) {
	src := e.r.src
	least, most, all := int64(math.MaxInt64), int64(0), int64(0)
	for p, to := range src.to {
		if e.partition >= 0 && e.partition != int64(p) {
			continue
		}
		from := src.from[p]
		if src.hasLake && e.r.part != logOnly {
			from = 0
		}
		least, most, all = min(least, from), max(most, to), all+to-from
	}
	var out []string
	rows := int64(e.want+e.skipped) + edgeRows
	for range edgeTries {
		if all < edgeLeast || rows > all/3 {
			break
		}
		op, bound := " >= ", strconv.FormatInt(most-rows, 10)
		if !e.desc {
			op, bound = " < ", strconv.FormatInt(least+rows, 10)
		}
		if e.column.from == fromTimestamp {
			ms, ok, err := s.timeAt(e, rows)
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			if bound = "'" + stampText(time.UnixMilli(ms)) + "'"; !e.desc {
				op = " <= "
			}
		}
		out = append(out, e.name+op+bound)
		rows *= edgeGrowth
	}
	return out, nil
}

// timeAt is a time between which and the end that is asked for there are about so many
// rows; ok is false where the log does not tell.
func (s *session) timeAt(e *edge, rows int64) (ms int64, ok bool, err error) {
	for p, log := range e.r.logs {
		if e.partition >= 0 && e.partition != int64(p) {
			continue
		}
		from, to := e.r.src.from[p], e.r.src.to[p]
		at := to - rows
		if !e.desc {
			at = from + rows
		}
		if at < from || at >= to {
			continue // all of this partition, whatever the time is
		}
		raw, err := log.Read(s.ctx, at, 1, to)
		if err != nil || len(raw) == 0 {
			continue // deleted meanwhile: another partition tells
		}
		h, err := record.ParseHeader(raw)
		if err != nil {
			return 0, false, fmt.Errorf("%s partition %d, batch at %d: %w", e.r.topic.Name, p, at, err)
		}
		switch {
		case e.desc && (!ok || h.BaseTimestamp > ms):
			ms, ok = h.BaseTimestamp, true
		case !e.desc && (!ok || h.MaxTimestamp < ms):
			ms, ok = h.MaxTimestamp, true
		}
	}
	return ms, ok, nil
}
