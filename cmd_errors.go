package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

type errorsCmd struct {
	What []string `arg:"" optional:"" help:"Code, name, or words of it; none lists all."`
	outputFlag
	Markdown bool `hidden:"" help:"Print the whole list as ERRORS.md has it."`
}

// explained is one line of a list: a code or name, what it means and what to do.
type explained struct{ name, means, do string }

// errorEntry is an explanation as it is shown.
type errorEntry struct {
	Of        string `json:"of"` // kafka, registry, api, table or rejection
	Code      string `json:"code"`
	Name      string `json:"name,omitempty"`
	Retriable bool   `json:"retriable,omitempty"`
	Means     string `json:"means"`
	Do        string `json:"do"`
}

// errorGroup is what has its codes from one place.
type errorGroup struct {
	Of, Title, About string
	Entries          []errorEntry
}

// Help shows examples.
func (c *errorsCmd) Help() string {
	return `Explains every error code of Kafka, and every code and state that Tarn gives: what it
means and what to do. No broker is asked.

  tarn errors 87
  tarn errors INVALID_RECORD
  tarn errors 40901           # of the schema registry, and of Tarn's API
  tarn errors log_replaced    # the state of a table
  tarn errors fenced          # all that speak of it`
}

// Run looks the words up.
func (c *errorsCmd) Run(_ context.Context, std stdio) error {
	if c.Markdown {
		return writeErrors(std.out)
	}
	found := findErrors(strings.Join(c.What, " "))
	if len(found) == 0 {
		return &exitError{1, fmt.Errorf("no error is called %q, nor speaks of it; tarn errors lists all", strings.Join(c.What, " "))}
	}
	if c.Output == "json" {
		return writeJSON(std.out, found)
	}
	if c.Output == "csv" || len(found) > 5 {
		s := sheet{Columns: []string{"OF", "CODE", "NAME", "RETRIABLE", "MEANS"}}
		if c.Output == "csv" {
			s.Columns = append(s.Columns, "DO")
		}
		for _, e := range found {
			row := []any{e.Of, e.Code, e.Name, e.Retriable, e.Means}
			if c.Output == "csv" {
				row = append(row, e.Do)
			}
			s.add(row...)
		}
		return s.write(std.out, c.Output)
	}
	for i, e := range found {
		if i > 0 {
			fmt.Fprintln(std.out)
		}
		fmt.Fprintf(std.out, "%s\n  %s\n  Do: %s\n", e.title(), e.Means, e.Do)
	}
	return nil
}

// title names an entry: "INVALID_RECORD (87), of kafka".
func (e *errorEntry) title() string {
	out := e.Code
	if e.Name != "" {
		out = e.Name + " (" + e.Code + ")"
	}
	out += ", of " + e.Of
	if e.Retriable {
		out += ", retriable"
	}
	return out
}

// findErrors finds entries by code or name, else by what stands in them; "" finds all.
func findErrors(what string) []errorEntry {
	what = strings.TrimSpace(what)
	name := strings.ToUpper(strings.NewReplacer(" ", "_", "-", "_").Replace(strings.TrimLeft(what, "-")))
	if strings.HasPrefix(what, "-") {
		name = "-" + name
	}
	var exact, named, spoken []errorEntry
	for _, g := range explanations() {
		for _, e := range g.Entries {
			switch text := strings.ToLower(e.Means + " " + e.Do); {
			case what == "":
				exact = append(exact, e)
			case strings.EqualFold(e.Code, what) || strings.EqualFold(e.Name, name) || strings.EqualFold(e.Code, name):
				exact = append(exact, e)
			case strings.Contains(e.Name, name) || strings.Contains(strings.ToUpper(e.Code), name):
				named = append(named, e)
			case strings.Contains(text, strings.ToLower(what)):
				spoken = append(spoken, e)
			}
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return append(named, spoken...)
}

// writeErrors writes the list as a document.
func writeErrors(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Errors\n\nEvery error code of Kafka, and every code and state that Tarn gives. `tarn errors CODE` answers the same. This page is made from the list in the code: `tarn errors --markdown > ERRORS.md`.\n")
	for _, g := range explanations() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", g.Title, g.About)
		if g.Of == "kafka" {
			b.WriteString("| code | name | retriable | means | do |\n|---|---|---|---|---|\n")
		} else {
			b.WriteString("| code | means | do |\n|---|---|---|\n")
		}
		for _, e := range g.Entries {
			if g.Of != "kafka" {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", e.Code, tableCell(e.Means), tableCell(e.Do))
				continue
			}
			again := ""
			if e.Retriable {
				again = "yes"
			}
			fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s |\n", e.Code, e.Name, again, tableCell(e.Means), tableCell(e.Do))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// tableCell is a text in a table of Markdown.
func tableCell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
