package query

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/sink"
)

// Table is a table that a query may name.
type Table struct {
	Name  string `json:"name"` // as it stands in SQL
	Topic string `json:"topic"`
	// Rows says what its rows are.
	Rows    string   `json:"rows"`
	Columns []Column `json:"columns"`
	// Error says why it cannot be read; then there are no columns.
	Error string `json:"error,omitempty"`
}

// Tables lists the tables of the topics that allow does not refuse; nil allows all.
func (e *Engine) Tables(ctx context.Context, allow func(topic string) error) []Table {
	return e.tablesOf(ctx, slices.Clone(e.cfg.Topics()), allow)
}

// tablesOf lists the tables of some topics, which it sorts.
func (e *Engine) tablesOf(ctx context.Context, topics []sink.Topic, allow func(topic string) error) []Table {
	slices.SortFunc(topics, func(a, b sink.Topic) int { return strings.Compare(a.Name, b.Name) })
	out := []Table{}
	s := &session{engine: e, ctx: ctx, topics: map[string]*source{}}
	for _, t := range topics {
		if allow != nil && allow(t.Name) != nil {
			continue
		}
		out = append(out, s.listed(t, whole, bare(t.Name), rowsOf(t)))
		if len(t.Formats) > 0 {
			out = append(out,
				s.listed(t, logOnly, logSchema+"."+bare(t.Name), "records of the log"),
				s.listed(t, rowsOnly, lakeSchema+"."+bare(t.Name), "rows of the table"),
				s.listed(t, lettersOnly, lakeSchema+"."+bare(t.Name+lettersSuffix), "its dead letters"))
		}
	}
	return out
}

func rowsOf(t sink.Topic) string {
	if len(t.Formats) == 0 {
		return "records of the log"
	}
	return "rows of the table, and records of the log that it does not have yet"
}

func (s *session) listed(t sink.Topic, p part, name, rows string) Table {
	out := Table{Name: name, Topic: t.Name, Rows: rows, Columns: []Column{}}
	r := &relation{s: s, topic: t, part: p}
	if err := r.open(); err != nil {
		out.Error = err.Error()
		return out
	}
	for _, c := range r.columns {
		out.Columns = append(out.Columns, Column{c.name, c.decl})
	}
	return out
}

// bare is a name as it may stand in SQL: in quotes where it must.
func bare(name string) string {
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return quote(name)
		}
	}
	if slices.Contains(reserved, strings.ToLower(name)) {
		return quote(name)
	}
	return name
}

// reserved are the words of SQLite's and DuckDB's SQL that are no bare names.
var reserved = strings.Fields(`add all alter analyse analyze and any array as asc asymmetric autoincrement between both by case
	cast check collate column commit constraint create cross current_date current_time current_timestamp default deferrable
	delete desc describe distinct do drop else end escape except exists false fetch for foreign from full glob grant group having
	if in index indexed initially inner insert intersect into is isnull join lateral leading left like limit natural not nothing
	notnull null offset on only or order outer over partition pivot placing primary qualify references returning right select set
	show some summarize symmetric table then to trailing transaction true union unique unpivot update using values variadic
	when where window with`)

// DuckDB is a command that runs a query by DuckDB on the lake tables that it names,
// as they are then: without the records that only the log has. where gives the
// expression by which DuckDB reads the table of a topic, "" if it cannot, and the
// statements that come before it.
func (e *Engine) DuckDB(sql string, where func(t sink.Topic) (before, from string)) (string, error) {
	st, err := parse(sql)
	if err != nil {
		return "", err
	}
	names := st.names()
	var b strings.Builder
	if _, there := names[lakeSchema]; there {
		b.WriteString("CREATE SCHEMA lake; ")
	}
	found, first := false, map[string]bool{}
	for _, t := range e.cfg.Topics() {
		if _, there := names[strings.ToLower(t.Name)]; !there {
			continue
		}
		if pos, there := st.qualified(logSchema, t.Name); there {
			return "", invalid(st.sql, pos, "log.%s is in no file, so DuckDB cannot read it: ask for %s, which is the table's rows there", bare(t.Name), bare(t.Name))
		}
		before, from := where(t)
		if from == "" {
			return "", fmt.Errorf("%w: topic %s has no table that DuckDB reads: set tarn.table.formats", ErrRefused, t.Name)
		}
		found = true
		if !first[before] {
			first[before] = true
			b.WriteString(before)
		}
		fmt.Fprintf(&b, "CREATE VIEW %s AS FROM %s; ", bare(t.Name), from)
		if _, there := names[lakeSchema]; there {
			fmt.Fprintf(&b, "CREATE VIEW lake.%s AS FROM %s; ", bare(t.Name), from)
		}
	}
	if !found {
		return "", fmt.Errorf("%w: the statement names no topic", ErrInvalid)
	}
	return "duckdb -c '" + strings.ReplaceAll(b.String()+st.sql, "'", `'\''`) + "'", nil
}
