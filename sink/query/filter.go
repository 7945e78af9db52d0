package query

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// Limits of filters.
const (
	// maxShapes bounds the statements that a filter keeps: one for each set of
	// fields that values have. Values with more kinds than this are maps, not records.
	maxShapes = 64
	// maxAbsent bounds the names in a condition that records may lack.
	maxAbsent = 64
)

// Filter is a condition of SQL, as behind WHERE, that is held against one record at
// a time, with the columns that a topic has as a table (README.md). It reads no log
// and no table: a client uses it on records that it has. Used by one goroutine.
type Filter struct {
	where  string
	db     *sql.DB
	shapes map[string]*sql.Stmt
	absent []string        // columns that the condition names and not every record has
	met    map[string]bool // of absent, those that some record had
}

// FilterRecord is what a condition sees of a record.
type FilterRecord struct {
	Topic             string
	Partition         int32
	Offset            int64
	Timestamp         time.Time
	Key, Value        []byte
	HeaderKeys        []string
	HeaderValues      [][]byte
	SchemaID          int
	DecodedKey        []byte // JSON; nil if keys have no schema
	DecodedValue      []byte // JSON; its fields are columns if it is an object
	WhyNotDecoded     string
	ValueIsNotDecoded bool
}

// NewFilter prepares a condition. Errors wrap ErrInvalid if it is none; a name that
// is no column shows only with records.
func NewFilter(ctx context.Context, where string) (*Filter, error) {
	if len(where) > maxSQL {
		return nil, fmt.Errorf("%w: a condition of %d bytes, more than %d", ErrInvalid, len(where), maxSQL)
	}
	if tokens, err := lex(where); err == nil {
		if where, err = asColumnsHave(where, tokens, map[string]literal{"kafka_timestamp": stampLiteral}); err != nil {
			return nil, err
		}
	}
	driver := &sqlite.Driver{}
	if err := registerFunctions(driver); err != nil {
		return nil, fmt.Errorf("register functions: %w", err)
	}
	f := &Filter{where: where, db: sql.OpenDB(opener{driver}), shapes: map[string]*sql.Stmt{}, met: map[string]bool{}}
	f.db.SetMaxOpenConns(1) // a database in memory is its connection's own
	names, _ := (&FilterRecord{}).columns()
	if _, err := f.statement(ctx, names); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Close ends the filter.
func (f *Filter) Close() error {
	var all []error
	for _, s := range f.shapes {
		all = append(all, s.Close())
	}
	return errors.Join(append(all, f.db.Close())...)
}

// Match reports whether the condition is true for r; null is not. Errors wrap
// ErrInvalid where the condition cannot be worked out.
func (f *Filter) Match(ctx context.Context, r *FilterRecord) (bool, error) {
	names, values := r.columns()
	for _, n := range names {
		if slices.ContainsFunc(f.absent, func(a string) bool { return strings.EqualFold(a, n) }) {
			f.met[strings.ToLower(n)] = true
		}
	}
	st, err := f.statement(ctx, names)
	if err != nil {
		return false, err
	}
	var one int
	switch err := st.QueryRowContext(ctx, values...).Scan(&one); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return false, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return true, nil
}

// Unknown lists names in the condition that no record so far has had.
func (f *Filter) Unknown() []string {
	var out []string
	for _, n := range f.absent {
		if !f.met[strings.ToLower(n)] {
			out = append(out, n)
		}
	}
	return out
}

// statement prepares the condition for records with these columns. A name that they
// lack is null, as a field is that came with a later version of the schema.
func (f *Filter) statement(ctx context.Context, names []string) (*sql.Stmt, error) {
	shape := strings.Join(names, "\x00")
	if st, ok := f.shapes[shape]; ok {
		return st, nil
	}
	for {
		st, err := f.db.PrepareContext(ctx, f.text(names))
		if err == nil {
			if len(f.shapes) >= maxShapes {
				for shape, old := range f.shapes { // any of them
					_ = old.Close()
					delete(f.shapes, shape)
					break
				}
			}
			f.shapes[shape] = st
			return st, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		name, ok := missingColumn(err)
		if !ok || slices.Contains(f.absent, name) || len(f.absent) >= maxAbsent {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		f.absent = append(f.absent, name)
	}
}

// text is the statement: one row if the condition is true.
func (f *Filter) text(names []string) string {
	b := []byte("SELECT 1 FROM (SELECT ")
	for i, n := range names {
		b = append(b, '?')
		b = strconv.AppendInt(b, int64(i+1), 10)
		b = append(append(append(b, " AS "...), quote(n)...), ", "...)
	}
	for _, n := range f.absent {
		if !slices.ContainsFunc(names, func(has string) bool { return strings.EqualFold(has, n) }) {
			b = append(append(append(b, "NULL AS "...), quote(n)...), ", "...)
		}
	}
	b = append(b, "NULL AS \"tarn nothing\") WHERE (\n"...)
	return string(append(append(b, f.condition(names)...), "\n)"...))
}

// digitsPrefix begins the name of a column that has all digits of the number that the
// column with the rest of the name has as a float.
const digitsPrefix = "tarn digits of "

// condition is the condition with comparisons of numbers of many digits by all of them.
func (f *Filter) condition(names []string) string {
	long := map[string]bool{}
	for _, n := range names {
		if of, ok := strings.CutPrefix(n, digitsPrefix); ok {
			long[strings.ToLower(of)] = true
		}
	}
	tokens, err := lex(f.where)
	if err != nil || len(long) == 0 {
		return f.where
	}
	c := &comparer{writer: writer{sql: f.where, tokens: tokens}, long: long, prefix: digitsPrefix}
	return c.rewritten()
}

// missingColumn is the name in SQLite's message that there is no such column.
func missingColumn(err error) (string, bool) {
	_, rest, ok := strings.Cut(err.Error(), "no such column: ")
	if !ok {
		return "", false
	}
	// The driver adds its code, and SQLite a hint to names in double quotes.
	if name, hint, ok := strings.Cut(rest, " - "); ok && strings.HasPrefix(hint, "should this be") {
		rest = name
	} else if i := strings.LastIndex(rest, " ("); i >= 0 {
		rest = rest[:i]
	}
	rest = strings.Trim(rest, `"`)
	return rest, rest != "" && !strings.ContainsAny(rest, ".\"")
}

// columns are names and values of a record's columns.
func (r *FilterRecord) columns() (names []string, values []any) {
	add := func(name string, v any) {
		names, values = append(names, name), append(values, v)
	}
	var why any
	if r.WhyNotDecoded != "" {
		why = r.WhyNotDecoded
	}
	var headers []byte
	for i, k := range r.HeaderKeys {
		headers = appendHeader(append(headers, ','), []byte(k), r.HeaderValues[i])
	}
	if len(headers) > 0 {
		headers[0] = '['
	} else {
		headers = []byte{'['}
	}
	var id any
	if r.SchemaID != 0 {
		id = int64(r.SchemaID)
	}
	add("kafka_topic", r.Topic)
	add("kafka_partition", int64(r.Partition))
	add("kafka_offset", r.Offset)
	add("kafka_timestamp", stampText(r.Timestamp))
	add("kafka_key", utf8OrBytes(r.Key))
	add("kafka_headers", string(append(headers, ']')))
	add("kafka_schema_id", id)
	add("kafka_key_decoded", textOrNull(r.DecodedKey))
	add("kafka_value", blobOrNull(r.Value))
	add("kafka_error", why)
	fixed := len(names)
	taken := map[string]bool{}
	for _, n := range names {
		taken[n] = true
	}
	if !r.ValueIsNotDecoded {
		for _, m := range members(r.DecodedValue) {
			n := m.name
			if taken[strings.ToLower(n)] {
				n += "_2"
			}
			if taken[strings.ToLower(n)] || len(names) >= fixed+maxColumns {
				continue
			}
			taken[strings.ToLower(n)] = true
			add(n, m.value)
			if m.digits != "" {
				add(digitsPrefix+n, m.digits)
			}
		}
	}
	if !taken["value"] {
		if r.DecodedValue != nil && !r.ValueIsNotDecoded {
			add("value", string(r.DecodedValue))
		} else {
			add("value", utf8OrBytes(r.Value))
		}
	}
	return names, values
}

func blobOrNull(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

func textOrNull(b []byte) any {
	if b == nil {
		return nil
	}
	return string(b)
}

// member is a field of an object of JSON, as a value of SQL.
type member struct {
	name   string
	value  any
	digits string // of a number with more than a float has, perhaps
}

// members lists the fields of an object, in order; none of anything else.
func members(text []byte) []member {
	if t := bytes.TrimSpace(text); len(t) == 0 || t[0] != '{' {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return nil
	}
	var out []member
	for d.More() {
		name, err := d.Token()
		var raw json.RawMessage
		if err == nil {
			err = d.Decode(&raw)
		}
		if err != nil {
			return out
		}
		m := member{name: fmt.Sprint(name), value: sqlValue(raw)}
		if _, float := m.value.(float64); float && len(raw) > exactDigits {
			if _, ok := digitsOf(string(raw), nil); ok { // 1.000000000000000000 too: the next record's is 1.000000000000000001
				m.digits = string(raw)
			}
		}
		out = append(out, m)
	}
	return out
}

// sqlValue is a value of JSON as SQL has it: objects and lists are JSON.
func sqlValue(raw json.RawMessage) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	t, err := d.Token()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	switch t := t.(type) {
	case string:
		return textOrBytes(t)
	case bool:
		if t {
			return int64(1)
		}
		return int64(0)
	case json.Number:
		if n, err := t.Int64(); err == nil {
			return n
		}
		f, _ := t.Float64() // beyond a double it is infinite, as in SQLite
		return f
	case json.Delim:
		var compact bytes.Buffer
		if json.Compact(&compact, raw) == nil {
			return compact.String()
		}
	}
	return nil
}
