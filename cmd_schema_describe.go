package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/validate"
)

type schemaDescribeCmd struct {
	connect
	Name    string `arg:"" name:"subject-or-topic" help:"Subject; or topic, for the schemas of its keys and values."`
	Version int    `default:"-1" help:"Version; -1 is the latest."`
	Message string `placeholder:"NAME" help:"Full name of a Protobuf message. Without it, the one that the topic takes, or the file's first."`
}

// Run says which columns a schema makes, how its payloads are read, and their
// limits.
func (c *schemaDescribeCmd) Run(ctx context.Context, std stdio) error {
	q := url.Values{"name": {c.Name}, "version": {strconv.Itoa(c.Version)}}
	if c.Message != "" {
		q.Set("message", c.Message)
	}
	var list []describedSchema
	if err := c.call(ctx, http.MethodGet, "/api/schemas/describe?"+q.Encode(), nil, &list); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, list)
	}
	for i := range list {
		if i > 0 {
			fmt.Fprintln(std.out)
		}
		if err := describeSchema(std.out, c.Output, &list[i].Description); err != nil {
			return err
		}
		if err := describeRules(std.out, c.Output, list[i].Rules); err != nil {
			return err
		}
	}
	return nil
}

// describeRules says which rules a schema has, and what they took in the broker.
func describeRules(out io.Writer, form string, all []validate.DescribedRule) error {
	if len(all) == 0 || form == "csv" {
		return nil
	}
	fmt.Fprintln(out, "\nrules, and what they took since the broker started:")
	s := &sheet{Columns: []string{"RULE", "TYPE", "RECORDS", "BROKEN", "NS-PER-RECORD", "NOT RUN HERE BECAUSE"}}
	for _, r := range all {
		s.add(r.Rule, r.Type, r.Records, r.Violations, r.Nanos/max(r.Records, 1), r.Idle)
	}
	return s.write(out, form)
}

func describeSchema(out io.Writer, form string, d *registry.Description) error {
	columns := &sheet{Columns: []string{"COLUMN", "TYPE", "NULL"}}
	for _, f := range d.Columns {
		null := "never"
		if f.Nullable {
			null = "may be"
		}
		columns.add(f.Column, f.Type, null)
	}
	if form == "csv" {
		return columns.write(out, form)
	}
	name := ""
	if d.Name != "" {
		name = ", " + d.Name
	}
	level := string(d.Level)
	if d.Policy != "" {
		level += ", policy " + string(d.Policy)
	}
	fmt.Fprintf(out, "%s version %d, id %d: %s%s (%s)\n\n", d.Subject, d.Version, d.ID, d.Type, name, level)
	if d.Formless != "" {
		fmt.Fprintf(out, "no table form: %s\n", d.Formless)
	} else if err := columns.write(out, form); err != nil {
		return err
	}
	switch {
	case d.Formless != "":
	case len(d.Library) == 0:
		fmt.Fprintln(out, "\nread in one pass over the bytes: the fast path")
	default:
		fmt.Fprintln(out, "\nread by the library in part, which is slower there:")
		places := &sheet{Columns: []string{"PLACE", "FIELD", "BECAUSE OF"}}
		for _, p := range d.Library {
			field := p.Field
			switch {
			case field == "" && strings.HasPrefix(p.Path, "#"):
				field = "(all)"
			case field == "":
				field = "-" // the place is in a reference
			}
			places.add(p.Path, field, p.Why)
		}
		if err := places.write(out, form); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "\nlimits:")
	for _, l := range d.Limits {
		fmt.Fprintf(out, "  %s\n", l)
	}
	return nil
}
