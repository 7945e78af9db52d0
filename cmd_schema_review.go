package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/tarn-io/tarn/registry"
)

// judged is the flag of commands whose exit code is a level's verdict.
type judged struct {
	Level string `placeholder:"LEVEL" help:"Judge by this level, not by the subject's: TABLE, for example."`
}

// judge gives a review the verdict of the level that was asked for.
func (j *judged) judge(r *registry.Review) error {
	if j.Level == "" {
		return nil
	}
	for _, l := range r.Levels {
		if strings.EqualFold(string(l.Level), j.Level) {
			r.Level, r.Policy, r.Compatible = l.Level, "", l.Compatible
			return nil
		}
	}
	var names []string
	for _, l := range r.Levels {
		names = append(names, string(l.Level))
	}
	return fmt.Errorf("--level %s: must be one of %s", j.Level, strings.Join(names, ", "))
}

type schemaDiffCmd struct {
	connect
	judged
	Subject string `arg:"" help:"Subject."`
	From    int    `arg:"" help:"Version to begin with."`
	To      int    `arg:"" optional:"" default:"-1" help:"Version to end with; the latest if not given."`
}

// Run says what changes from one version to another; exit 1 if the level
// refuses the step.
func (c *schemaDiffCmd) Run(ctx context.Context, std stdio) error {
	q := url.Values{"subject": {c.Subject}, "from": {strconv.Itoa(c.From)}, "to": {strconv.Itoa(c.To)}}
	var r registry.Review
	if err := c.call(ctx, http.MethodGet, "/api/schemas/diff?"+q.Encode(), nil, &r); err != nil {
		return err
	}
	if err := c.judge(&r); err != nil {
		return err
	}
	return writeReview(std.out, c.Output, &r)
}

type schemaCheckCmd struct {
	connect
	judged
	schemaSource
}

// Run says what a schema would change as the subject's next version; exit 1 if the
// level refuses it.
func (c *schemaCheckCmd) Run(ctx context.Context, std stdio) error {
	s, err := c.schema()
	if err != nil {
		return err
	}
	var r registry.Review
	body := struct {
		Type       string               `json:"schemaType"`
		Text       string               `json:"schema"`
		References []sr.SchemaReference `json:"references,omitempty"`
	}{s.Type.String(), s.Schema, s.References}
	if err := c.call(ctx, http.MethodPost, "/api/schemas/check?"+url.Values{"subject": {c.Subject}}.Encode(), body, &r); err != nil {
		return err
	}
	if err := c.judge(&r); err != nil {
		return err
	}
	return writeReview(std.out, c.Output, &r)
}

// writeReview prints a review. The error is exit code 1 if the level refuses.
func writeReview(out io.Writer, form string, r *registry.Review) error {
	var err error
	switch form {
	case "json":
		err = writeJSON(out, r)
	case "csv":
		err = changeSheet(r).write(out, form)
	default:
		err = reviewText(out, r)
	}
	if err == nil && !r.Compatible {
		return &exitError{1, nil}
	}
	return err
}

func changeSheet(r *registry.Review) *sheet {
	s := &sheet{Columns: []string{"FIELD", "CHANGE", "BACKWARD", "FORWARD", "TABLE"}}
	for _, c := range r.Changes {
		field := c.Field
		if field == "" {
			field = "(schema)"
		}
		var effects []string
		for _, e := range c.Table {
			effects = append(effects, e.Text)
		}
		table := strings.Join(effects, "; ")
		if table == "" {
			table = "-"
		}
		s.add(field, strings.Join(c.Kinds, ", "), okOr(c.Backward), okOr(c.Forward), table)
	}
	return s
}

func okOr(reasons []string) string {
	if len(reasons) == 0 {
		return "ok"
	}
	return "refuses"
}

// reviewText is the review for people: what the level says, each level, each field,
// and the reasons in full.
func reviewText(out io.Writer, r *registry.Review) error {
	step := "version " + strconv.Itoa(r.To)
	if r.To == 0 {
		step = "the file"
	}
	if r.From > 0 {
		step = "version " + strconv.Itoa(r.From) + " to " + step
	}
	level := string(r.Level)
	if r.Policy != "" {
		level += ", policy " + string(r.Policy)
	}
	verdict := "compatible (" + level + ")"
	if !r.Compatible {
		verdict = "incompatible: " + r.Refusal()
	}
	fmt.Fprintf(out, "%s, %s: %s\n\n", r.Subject, step, verdict)
	levels := &sheet{Columns: []string{"LEVEL", "VERDICT"}}
	for _, l := range r.Levels {
		word := "ok"
		switch {
		case !l.Compatible && l.Against > 0:
			word = fmt.Sprintf("refuses, against version %d", l.Against)
		case !l.Compatible:
			word = "refuses"
		}
		levels.add(l.Level, word)
	}
	if err := levels.write(out, "text"); err != nil {
		return err
	}
	switch i := slices.IndexFunc(r.Levels, func(l registry.LevelVerdict) bool { return l.Level == registry.Table }); {
	case r.Formless != "":
		fmt.Fprintf(out, "\nno table form, so records would be dead letters: %s\n", r.Formless)
	case i >= 0 && !r.Levels[i].Compatible && r.Compatible:
		fmt.Fprintln(out, "\nreaders take it, but tables cannot: its records would be dead letters")
	}
	for _, text := range r.Warnings {
		fmt.Fprintf(out, "\nwarning: %s\n", text)
	}
	if r.From == 0 && r.Compatible {
		return nil
	}
	if r.From == 0 {
		return reviewReasons(out, r)
	}
	if len(r.Changes) == 0 {
		fmt.Fprintln(out, "\nnothing changes for readers or tables")
		return reviewReasons(out, r)
	}
	fmt.Fprintln(out)
	if err := changeSheet(r).write(out, "text"); err != nil {
		return err
	}
	return reviewReasons(out, r)
}

// reviewReasons prints why readers refuse, and what else the subject's settings have
// against it, each reason once.
func reviewReasons(out io.Writer, r *registry.Review) error {
	said := map[string]bool{}
	say := func(who string, reasons []string) {
		for _, reason := range reasons {
			if said[reason] {
				continue
			}
			if len(said) == 0 {
				fmt.Fprintln(out)
			}
			said[reason] = true
			fmt.Fprintf(out, "%s: %s\n", who, reason)
		}
	}
	for _, l := range r.Levels {
		if l.Level == registry.Backward || l.Level == registry.Forward || l.Level == registry.Table {
			say(string(l.Level), l.Reasons)
		}
	}
	say("settings", r.Reasons)
	return nil
}
