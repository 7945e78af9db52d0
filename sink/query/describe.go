package query

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/sink"
)

// describe answers what SQLite has no statements for: SHOW TABLES, DESCRIBE TABLE,
// SHOW COLUMNS FROM TABLE. ok is false for every other statement.
func (e *Engine) describe(ctx context.Context, r Request) (out *Result, ok bool, err error) {
	tokens, err := lex(r.SQL)
	if err != nil || len(r.SQL) > maxSQL {
		return nil, false, nil // parse says why
	}
	for n := len(tokens); n > 0 && tokens[n-1].op(";"); n = len(tokens) {
		tokens = tokens[:n-1]
	}
	name, all := described(tokens)
	switch {
	case all:
		return limited(showTables(e.Tables(ctx, r.Allow)), r), true, nil
	case name == nil:
		return nil, false, nil
	}
	t, err := e.table(ctx, name, r)
	if err != nil {
		return nil, true, err
	}
	out = &Result{Columns: []Column{{"column", "TEXT"}, {"type", "TEXT"}}}
	for _, c := range t.Columns {
		out.Rows = append(out.Rows, []any{c.Name, c.Type})
	}
	return limited(out, r), true, nil
}

// described is what a statement asks to be described: the tokens of a table's name, or
// the list of all tables.
func described(tokens []token) (name []token, all bool) {
	after := func(words ...string) []token {
		if len(tokens) < len(words) {
			return nil
		}
		for i, w := range words {
			if !tokens[i].is(w) {
				return nil
			}
		}
		return tokens[len(words):]
	}
	if len(tokens) == 2 && after("SHOW", "TABLES") != nil {
		return nil, true
	}
	for _, words := range [][]string{{"DESCRIBE", "TABLE"}, {"DESCRIBE"}, {"DESC"}, {"SHOW", "COLUMNS", "FROM"}, {"SHOW", "COLUMNS", "IN"}} {
		if rest := after(words...); len(rest) == 1 || len(rest) == 3 && rest[1].text == "." {
			return rest, false
		}
	}
	return nil, false
}

// table finds the table of a name.
func (e *Engine) table(ctx context.Context, name []token, r Request) (Table, error) {
	last := name[len(name)-1]
	low, exact := strings.ToLower(last.text), last.text
	var topics, same []sink.Topic
	for _, t := range e.cfg.Topics() {
		for _, n := range []string{t.Name, t.Name + lettersSuffix, t.Table, t.Table + lettersSuffix} {
			if strings.EqualFold(n, low) {
				topics = append(topics, t)
				break
			}
		}
		if t.Name == exact {
			same = append(same, t)
		}
	}
	if len(same) > 0 {
		topics = same
	}
	want := low
	if len(name) == 3 {
		want = strings.ToLower(name[0].text) + "." + low
	}
	for _, t := range e.tablesOf(ctx, topics, r.Allow) {
		schema, is, _ := strings.Cut(t.Name, ".")
		if strings.HasPrefix(t.Name, `"`) || is == "" {
			schema, is = "", t.Name
		}
		is = strings.ToLower(strings.ReplaceAll(strings.Trim(is, `"`), `""`, `"`))
		if schema != "" {
			is = schema + "." + is
		}
		if is == want && t.Error != "" {
			return t, fmt.Errorf("%w: %s", ErrRefused, t.Error)
		} else if is == want {
			return t, nil
		}
	}
	return Table{}, invalid(r.SQL, last.pos, "no such table: %s%s", want, e.nearTable(low, r.Allow))
}

func showTables(all []Table) *Result {
	out := &Result{Columns: []Column{{"table", "TEXT"}, {"topic", "TEXT"}, {"columns", "INTEGER"}, {"rows", "TEXT"}}}
	for _, t := range all {
		rows := t.Rows
		if t.Error != "" {
			rows = t.Error
		}
		out.Rows = append(out.Rows, []any{t.Name, t.Topic, int64(len(t.Columns)), rows})
	}
	return out
}

// limited cuts a result to what was asked for.
func limited(out *Result, r Request) *Result {
	if out.Truncated = len(out.Rows) > r.Rows; out.Truncated {
		out.Rows = out.Rows[:r.Rows]
	}
	return out
}

// hint says which name may have been meant, behind an error of SQLite's.
func (s *session) hint(message string) string {
	what, name, ok := strings.Cut(message, ": ")
	if !ok || strings.HasPrefix(name, `"`) { // in double quotes: SQLite says what that is
		return ""
	}
	switch what {
	case "no such table":
		for _, schema := range []string{"main.", logSchema + ".", lakeSchema + "."} {
			name = strings.TrimPrefix(name, schema)
		}
		return s.engine.nearTable(name, s.req.Allow)
	case "no such column":
		name = name[1+strings.LastIndexByte(name, '.'):]
		var known, full []string
		for _, r := range s.relations {
			for _, c := range r.columns {
				if strings.EqualFold(c.name, name) { // of another table than the one that was meant
					return " (a column of " + bare(r.name) + ")"
				}
				known, full = append(known, strings.ToLower(c.name)), append(full, c.name)
			}
		}
		if text := near(name, known, full, ""); text != "" {
			return text
		}
		for _, r := range s.relations {
			if r.schemaless() {
				return fmt.Sprintf(" (records of %s have no schema, so no columns: of JSON it is value ->> '$.%s')", bare(r.name), name)
			}
		}
	case "no such function":
		if instead := elsewhere[strings.ToLower(name)]; instead != "" {
			return ": write " + instead
		}
		var known []string
		rows, err := s.conn.QueryContext(s.ctx, "SELECT DISTINCT name FROM pragma_function_list")
		if err != nil {
			return ""
		}
		defer rows.Close()
		for rows.Next() {
			var f string
			if rows.Scan(&f) == nil {
				known = append(known, f)
			}
		}
		if rows.Err() != nil {
			return ""
		}
		return near(name, known, known, "")
	}
	return ""
}

// schemaless reports whether records of r are one value each.
func (r *relation) schemaless() bool {
	one := false
	for _, c := range r.columns {
		if !strings.HasPrefix(c.name, "kafka_") && c.name != "value" {
			return false
		}
		one = one || c.name == "value"
	}
	return one
}

// elsewhere are functions of other databases, with what stands for them here.
var elsewhere = map[string]string{
	"now":                   "datetime('now'), datetime('now', '-5 minutes')",
	"getdate":               "datetime('now')",
	"current_timestamp":     "datetime('now')",
	"date_trunc":            "strftime('%Y-%m-%d %H:00:00', kafka_timestamp)",
	"date_part":             "strftime('%H', kafka_timestamp)",
	"extract":               "strftime('%H', kafka_timestamp)",
	"to_timestamp":          "datetime(SECONDS, 'unixepoch')",
	"from_unixtime":         "datetime(SECONDS, 'unixepoch')",
	"epoch":                 "unixepoch(kafka_timestamp)",
	"epoch_ms":              "unixepoch(kafka_timestamp, 'subsec') * 1000",
	"unix_timestamp":        "unixepoch(kafka_timestamp)",
	"datediff":              "unixepoch(b) - unixepoch(a)",
	"date_diff":             "unixepoch(b) - unixepoch(a)",
	"dateadd":               "datetime(kafka_timestamp, '+1 hour')",
	"date_add":              "datetime(kafka_timestamp, '+1 hour')",
	"len":                   "length(x)",
	"unnest":                "from orders, json_each(orders.items)",
	"json_extract_path":     "items ->> '$[0].sku'",
	"json_value":            "items ->> '$[0].sku'",
	"approx_count_distinct": "count(distinct x)",
	"regexp":                "x glob '*a*', or x like '%a%'",
	"regexp_matches":        "x glob '*a*', or x like '%a%'",
	"any_value":             "min(x)",
	"stddev":                "sqrt(avg(x * x) - avg(x) * avg(x))",
	"greatest":              "max(a, b)",
	"least":                 "min(a, b)",
	"left":                  "substr(x, 1, 3)",
	"to_char":               "strftime('%Y-%m-%d', kafka_timestamp)",
	"median":                "order by x limit 1 offset n, or ask DuckDB (tarn sql --duckdb)",
	"quantile":              "order by x limit 1 offset n, or ask DuckDB (tarn sql --duckdb)",
	"percentile":            "order by x limit 1 offset n, or ask DuckDB (tarn sql --duckdb)",
	"percentile_cont":       "order by x limit 1 offset n, or ask DuckDB (tarn sql --duckdb)",
	"try_cast":              "cast(x as integer)",
}

// near is the hint for a name of which known is the nearest, and otherwise if none is
// near; full are the names as they are shown.
func near(name string, known, full []string, otherwise string) string {
	best := topic.Suggest(strings.ToLower(name), known)
	for i, k := range known {
		if k == best && best != "" {
			return ", did you mean " + bare(full[i]) + "?"
		}
	}
	return otherwise
}

// nearTable is the hint for a table that is not there. It names no topic that the
// asker may not read.
func (e *Engine) nearTable(name string, allow func(topic string) error) string {
	const list = " (SHOW TABLES lists them)"
	var known, full []string
	for _, t := range e.cfg.Topics() {
		if strings.EqualFold(t.Name, name) {
			if len(t.Formats) == 0 && (allow == nil || allow(t.Name) == nil) {
				return fmt.Sprintf(": topic %s has no table of its own (tarn.table.formats); its records are in %s", t.Name, bare(t.Name))
			}
			continue
		}
		known, full = append(known, strings.ToLower(t.Name)), append(full, t.Name)
	}
	best := topic.Suggest(strings.ToLower(name), known)
	for i, k := range known {
		if k == best && best != "" && allow != nil && allow(full[i]) != nil {
			return list
		}
	}
	return near(name, known, full, list)
}

// planText is what SQLite makes of the plan of a virtual table; planned has written
// what stands in brackets.
var planText = regexp.MustCompile(`^(S[A-Z]+ .*?) VIRTUAL TABLE INDEX \d+:[0-9a-f]+(?:,\d+.)* \((.*)\)(.*)$`)

// readable is a line of EXPLAIN QUERY PLAN for people.
func readable(line string) string {
	m := planText.FindStringSubmatch(line)
	if m == nil {
		return line
	}
	return m[1] + ": " + m[2] + m[3]
}
