package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/sink/query"
)

// sheet is a result with rows, written as text, JSON lines' array or CSV. A nil is what is
// not known or not there: a dash for people, null in JSON, nothing in CSV.
type sheet struct {
	// Columns are the headers; upper case without spaces in text.
	Columns []string
	Rows    [][]any
}

func (s *sheet) add(values ...any) { s.Rows = append(s.Rows, values) }

// write writes s in the given form. JSON is an array of objects whose keys are
// the columns in lower case.
func (s *sheet) write(w io.Writer, form string) error {
	switch form {
	case "json":
		out := make([]map[string]any, len(s.Rows))
		for i, row := range s.Rows {
			out[i] = make(map[string]any, len(row))
			for j, v := range row {
				out[i][strings.ReplaceAll(strings.ToLower(s.Columns[j]), "-", "_")] = v
			}
		}
		return writeJSON(w, out)
	case "csv":
		cw := csv.NewWriter(w)
		if err := cw.Write(s.Columns); err != nil {
			return err
		}
		for _, row := range s.Rows {
			if err := cw.Write(words(row, "")); err != nil {
				return err
			}
		}
		cw.Flush()
		return cw.Error()
	}
	return s.writeText(w)
}

// writeText puts columns in line, two spaces apart.
func (s *sheet) writeText(w io.Writer) error {
	lines := [][]string{s.Columns}
	for _, row := range s.Rows {
		lines = append(lines, words(row, "-"))
	}
	width := make([]int, len(s.Columns))
	for _, line := range lines {
		for i, text := range line {
			width[i] = max(width[i], query.Width(text))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		for i, text := range line {
			b.WriteString(text)
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-query.Width(text)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// words spells a row; none stands where nothing is known.
func words(row []any, none string) []string {
	out := make([]string, len(row))
	for i, v := range row {
		if out[i] = none; v != nil {
			out[i] = fmt.Sprint(v)
		}
	}
	return out
}

// envelopeVersion counts changes of the JSON that would break who reads it.
const envelopeVersion = 1

// commandOutput is the standard output of one command. It knows the command's name, so that
// JSON comes in an envelope that says what it is, and whether anything was written.
type commandOutput struct {
	w       io.Writer
	command string
	wrote   bool
}

// Write implements io.Writer.
func (a *commandOutput) Write(p []byte) (int, error) {
	a.wrote = a.wrote || len(p) > 0
	return a.w.Write(p)
}

// jsonAnswer is what --output json prints: one of Items, Item and Error.
type jsonAnswer struct {
	Command string `json:"command"`
	Version int    `json:"version"`
	Items   any    `json:"items,omitzero"`
	Item    any    `json:"item,omitzero"`
	Error   string `json:"error,omitempty"`
}

// writeJSON writes the answer of a command, in its envelope; to other writers v as it
// is.
func writeJSON(w io.Writer, v any) error {
	a, ok := w.(*commandOutput)
	if !ok {
		return encodeJSON(w, v)
	}
	out := jsonAnswer{Command: a.command, Version: envelopeVersion}
	switch of := reflect.ValueOf(v); {
	case of.Kind() == reflect.Slice && of.IsNil():
		out.Items = []any{}
	case of.Kind() == reflect.Slice:
		out.Items = v
	default:
		out.Item = v
	}
	return encodeJSON(w, out)
}

func encodeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// field is one of an answer that is one thing.
type field struct {
	name  string // as in JSON: lower_case
	value any
}

// outputFlag says how a command answers.
type outputFlag struct {
	Output string `enum:"text,json,csv" default:"text" help:"Output: text, json or csv."`
}

// sayFields answers with one thing, as JSON or a row of CSV; text is for people.
func (c *outputFlag) sayFields(std stdio, fields []field, text string) error {
	if c.Output == "csv" {
		s, row := sheet{}, []any(nil)
		for _, f := range fields {
			s.Columns, row = append(s.Columns, columnName(f.name)), append(row, f.value)
		}
		s.add(row...)
		return s.write(std.out, "csv")
	}
	item := map[string]any{}
	for _, f := range fields {
		item[f.name] = f.value
	}
	return c.say(std, item, text)
}

// columnName is the header of a field.
func columnName(field string) string { return strings.ToUpper(strings.ReplaceAll(field, "_", "-")) }

// say answers with one thing that was done: item as JSON or a row of CSV, else text.
func (c *outputFlag) say(std stdio, item map[string]any, text string) error {
	switch c.Output {
	case "json":
		return writeJSON(std.out, item)
	case "csv":
		var fields []field
		for _, k := range slices.Sorted(maps.Keys(item)) {
			fields = append(fields, field{k, item[k]})
		}
		return c.sayFields(std, fields, text)
	}
	_, err := fmt.Fprintln(std.out, text)
	return err
}
