package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// sheet is a result with rows, written as text, JSON lines' array or CSV.
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
			if err := cw.Write(words(row)); err != nil {
				return err
			}
		}
		cw.Flush()
		return cw.Error()
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(s.Columns, "\t"))
	for _, row := range s.Rows {
		fmt.Fprintln(tw, strings.Join(words(row), "\t"))
	}
	return tw.Flush()
}

func words(row []any) []string {
	out := make([]string, len(row))
	for i, v := range row {
		out[i] = fmt.Sprint(v)
	}
	return out
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
