package query

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Formats are the forms in which a result can be written, with their media types.
var formats = [...]struct{ name, mediaType string }{
	{"json", "application/json"},                  // one object: columns, rows as arrays, what was done
	{"objects", "application/json"},               // an array of objects
	{"jsonl", "application/x-ndjson"},             // an object a line
	{"csv", "text/csv; charset=utf-8"},            // RFC 4180
	{"text", "text/plain; charset=utf-8"},         // a table for people
	{"parquet", "application/vnd.apache.parquet"}, // one file, zstd
	{"arrow", "application/vnd.apache.arrow.file"},
	{"arrow-stream", "application/vnd.apache.arrow.stream"},
}

// Formats names the forms in which Write writes a result.
func Formats() []string {
	var out []string
	for _, f := range formats {
		out = append(out, f.name)
	}
	return out
}

// MediaType is the media type of a form, "" if there is none of this name.
func MediaType(format string) string {
	for _, f := range formats {
		if f.name == format {
			return f.mediaType
		}
	}
	return ""
}

// Write writes the result in one of Formats. Numbers are exact in all of them; blobs
// are {"base64": …} in JSON, \x and hex digits in CSV and text. In CSV null is nothing
// and an empty text is "" (of one column alone, both are ""). Bytes of texts that are not
// UTF-8 become U+FFFD.
func (r *Result) Write(w io.Writer, format string) error {
	switch format {
	case "json":
		return r.writeJSON(w)
	case "objects", "jsonl":
		return r.writeObjects(w, format == "jsonl")
	case "csv":
		return r.writeCSV(w)
	case "text":
		return r.writeText(w)
	case "parquet":
		return r.writeParquet(w)
	case "arrow":
		return r.writeArrow(w, false)
	case "arrow-stream":
		return r.writeArrow(w, true)
	}
	return fmt.Errorf("%w: no format %q: there are %s", ErrInvalid, format, strings.Join(Formats(), ", "))
}

// sayTruth makes true and false of the 1 and 0 of columns of booleans. What a statement
// puts together under such a column's name (union all select 5) stays what it is.
func (r *Result) sayTruth() {
next:
	for i, c := range r.Columns {
		if c.Type != declBool {
			continue
		}
		for _, row := range r.Rows {
			if v := row[i]; v != nil && v != int64(0) && v != int64(1) {
				continue next
			}
		}
		for _, row := range r.Rows {
			if row[i] != nil {
				row[i] = row[i] == int64(1)
			}
		}
	}
}

// appendValue appends a value as JSON.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		if math.IsInf(v, 0) {
			return appendString(b, strconv.FormatFloat(v, 'g', -1, 64))
		}
		return appendFloat(b, v)
	case string:
		return appendString(b, v)
	case []byte:
		return append(appendString(append(b, `{"base64":`...), base64.StdEncoding.EncodeToString(v)), '}')
	}
	return append(b, "null"...)
}

// appendFloat appends a float with all its digits, without an exponent where people
// would not write one.
func appendFloat(b []byte, f float64) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e15) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

func (r *Result) writeJSON(w io.Writer) error {
	out := bufio.NewWriter(w)
	b := []byte(`{"columns":[`)
	for i, c := range r.Columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"name":`...), c.Name)
		b = append(appendString(append(b, `,"type":`...), c.Type), '}')
	}
	b = append(b, `],"rows":[`...)
	for i, row := range r.Rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n["...)
		for k, v := range row {
			if k > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, v)
		}
		if _, err := out.Write(append(b, ']')); err != nil {
			return err
		}
		b = b[:0]
	}
	read, err := json.Marshal(r.Read)
	if err != nil {
		return err
	}
	b = fmt.Appendf(b, "],\"row_count\":%d,\"truncated\":%t,", len(r.Rows), r.Truncated)
	if r.Note != "" {
		b = append(appendString(append(b, `"note":`...), r.Note), ',')
	}
	b = fmt.Appendf(b, "\"scanned\":%d,\"read\":%s,\"elapsed_ms\":%d}\n", r.Scanned, read, r.Elapsed.Milliseconds())
	if _, err := out.Write(b); err != nil {
		return err
	}
	return out.Flush()
}

// names are the columns' names, each once.
func (r *Result) names() []string {
	seen := map[string]bool{}
	out := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		name := c.Name
		for n := 2; seen[name]; n++ {
			name = fmt.Sprintf("%s_%d", c.Name, n)
		}
		seen[name], out[i] = true, name
	}
	return out
}

// writeObjects writes an object a row, as lines or as one array.
func (r *Result) writeObjects(w io.Writer, lines bool) error {
	out := bufio.NewWriter(w)
	open, between, end := "[\n", ",\n", "\n]\n"
	if lines {
		open, between, end = "", "\n", "\n"
	}
	names := r.names()
	b := []byte(open)
	for i, row := range r.Rows {
		if i > 0 {
			b = append(b, between...)
		}
		b = append(b, '{')
		for k, v := range row {
			if k > 0 {
				b = append(b, ',')
			}
			b = appendValue(append(appendString(b, names[k]), ':'), v)
		}
		if _, err := out.Write(append(b, '}')); err != nil {
			return err
		}
		b = b[:0]
	}
	switch {
	case len(r.Rows) == 0 && lines:
	case len(r.Rows) == 0:
		b = []byte("[]\n")
	default:
		b = []byte(end)
	}
	if _, err := out.Write(b); err != nil {
		return err
	}
	return out.Flush()
}

// wordOf is a value as CSV and text have it.
func wordOf(v any) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return string(appendFloat(nil, v))
	case string:
		return v
	case []byte:
		return `\x` + hex.EncodeToString(v)
	}
	return ""
}

// appendCSV appends a value as CSV has it. Nothing is null, and a text without anything
// has quotes, by which PostgreSQL and DuckDB (allow_quoted_nulls = false) tell the two
// apart.
func appendCSV(b []byte, v any) []byte {
	if v == nil {
		return b
	}
	// One byte that is not UTF-8 would make the whole file unreadable for many.
	s := strings.ToValidUTF8(wordOf(v), "\uFFFD")
	if s != "" && s != `\.` && s[0] != ' ' && s[0] != '\t' && !strings.ContainsAny(s, "\",\r\n") {
		return append(b, s...)
	}
	return append(append(append(b, '"'), strings.ReplaceAll(s, `"`, `""`)...), '"')
}

func (r *Result) writeCSV(w io.Writer) error {
	out := bufio.NewWriter(w)
	var b []byte
	for i, c := range r.Columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendCSV(b, c.Name)
	}
	for _, row := range r.Rows {
		if _, err := out.Write(append(b, '\n')); err != nil {
			return err
		}
		b = b[:0]
		for i, v := range row {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCSV(b, v)
		}
		if len(b) == 0 {
			b = append(b, `""`...) // a line without anything would be no record
		}
	}
	if _, err := out.Write(append(b, '\n')); err != nil {
		return err
	}
	return out.Flush()
}

// maxWidth is how wide a cell is for people; all is in the other forms.
const maxWidth = 80

// cell is a value as people see it: in one line, without anything that moves a
// terminal.
func cell(v any) string {
	if v == nil {
		return "NULL"
	}
	s := wordOf(v)
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > maxWidth {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(r) {
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (r *Result) writeText(w io.Writer) error {
	out := bufio.NewWriter(w)
	width := make([]int, len(r.Columns))
	right := make([]bool, len(r.Columns))
	for i, c := range r.Columns {
		width[i] = Width(cell(c.Name))
		right[i] = len(r.Rows) > 0
	}
	for _, row := range r.Rows {
		for i, v := range row {
			width[i] = max(width[i], Width(cell(v)))
			switch v.(type) {
			case int64, float64, nil:
			default:
				right[i] = false
			}
		}
	}
	line := func(cells func(i int) string) {
		for i := range r.Columns {
			s := cells(i)
			pad := strings.Repeat(" ", width[i]-Width(s))
			if i > 0 {
				out.WriteString("  ")
			}
			switch {
			case right[i]:
				out.WriteString(pad + s)
			case i == len(r.Columns)-1:
				out.WriteString(s)
			default:
				out.WriteString(s + pad)
			}
		}
		out.WriteByte('\n')
	}
	line(func(i int) string { return cell(r.Columns[i].Name) })
	line(func(i int) string { return strings.Repeat("-", width[i]) })
	for _, row := range r.Rows {
		line(func(i int) string { return cell(row[i]) })
	}
	rows, more := "rows", ""
	if len(r.Rows) == 1 {
		rows = "row"
	}
	if r.Truncated {
		more = ", and there are more"
	}
	fmt.Fprintf(out, "(%d %s%s)\n", len(r.Rows), rows, more)
	return out.Flush()
}
