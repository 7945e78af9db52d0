package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"go.yaml.in/yaml/v4"
)

// maxApplyBytes bounds the file of tarn apply.
const maxApplyBytes = 16 << 20

type applyCmd struct {
	connect
	File  string `short:"f" required:"" placeholder:"FILE" help:"YAML that says how things are to be; - is standard input."`
	Check bool   `help:"Change nothing: print what would change, and exit 1 if anything would."`
	// DryRun is Check for people: that something would change is no failure.
	DryRun bool `help:"Change nothing: print what would change, and exit 1 only if any of it would be refused."`
}

// wanted is the file of tarn apply: how things are to be. What it does not name
// stays as it is.
type wanted struct {
	// Level is the registry's compatibility level.
	Level   string         `json:"level"`
	Schemas []wantedSchema `json:"schemas"`
	Topics  []wantedTopic  `json:"topics"`
	ACLs    []wantedRule   `json:"acls"`
	Quotas  []wantedQuota  `json:"quotas"`
}

// change is one step from how things are to how they are to be.
type change struct {
	Kind string `json:"kind"` // level, schema, topic, config, acl, quota
	Name string `json:"name"`
	What string `json:"what"`
	// Diff shows a text's lines that go and come, with - and + in front.
	Diff []string `json:"diff,omitempty"`
	// Refused says why it cannot be done.
	Refused string `json:"refused,omitempty"`

	do func(context.Context) error
}

// applier works out the changes.
type applier struct {
	*connect
	adm     *kadm.Client
	dir     string // that files are named from
	changes []change
	notes   []string
}

func (a *applier) add(c change) { a.changes = append(a.changes, c) }

// Run compares a file with how things are and makes them so: the whole
// difference is worked out and checked first, and nothing is done if any part of
// it would be refused. Run again it changes nothing.
func (c *applyCmd) Run(ctx context.Context, std stdio) error {
	if c.Check && c.DryRun {
		return &exitError{2, errors.New("give --check or --dry-run, not both: they differ in the exit code")}
	}
	err := c.run(ctx, std)
	if c.Check && err != nil && !errors.As(err, new(*exitError)) {
		return &exitError{2, err} // it could not be told
	}
	return err
}

func (c *applyCmd) run(ctx context.Context, std stdio) error {
	w, err := c.read(std)
	if err != nil {
		return err
	}
	a := &applier{connect: &c.connect, dir: filepath.Dir(c.File)}
	if a.adm, err = c.admin(ctx); err != nil {
		return err
	}
	defer a.adm.Close()
	for _, plan := range []func(context.Context, *wanted) error{a.planLevels, a.planSchemas, a.planTopics, a.planRules, a.planQuotas} {
		if err := plan(ctx, w); err != nil {
			return err
		}
	}
	refused := 0
	for _, ch := range a.changes {
		if ch.Refused != "" {
			refused++
		}
	}
	if err := a.print(std, c.Check || c.DryRun); err != nil {
		return err
	}
	switch {
	case refused > 0:
		return &exitError{1, fmt.Errorf("%d changes would be refused; nothing was done", refused)}
	case c.Check && len(a.changes) > 0:
		return &exitError{1, nil}
	case c.Check, c.DryRun:
		return nil
	}
	for i, ch := range a.changes {
		if err := ch.do(ctx); err != nil {
			return fmt.Errorf("%s %s: %w (%d of %d changes were made; run it again to go on)", ch.Kind, ch.Name, err, i, len(a.changes))
		}
	}
	return nil
}

// read reads the file. YAML becomes JSON first, so that names are spelt as in
// the registry's JSON and unknown ones are errors.
func (c *applyCmd) read(std stdio) (*wanted, error) {
	from := std.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", c.File, err)
		}
		defer f.Close()
		from = f
	}
	text, err := readAtMost(from, maxApplyBytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.File, err)
	}
	w, err := parseWanted(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	return w, nil
}

func parseWanted(text []byte) (*wanted, error) {
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	if tree == nil {
		return &wanted{}, nil
	}
	asJSON, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("names must be text: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(asJSON))
	d.DisallowUnknownFields()
	w := new(wanted)
	if err := d.Decode(w); err != nil {
		said := jsonTrouble(err, w)
		if name, is := strings.CutPrefix(err.Error(), "json: unknown field "); is {
			said = linesOf(text, strings.Trim(name, `"`)) + said
		}
		return nil, errors.New(said)
	}
	return w, nil
}

// linesOf says on which lines of a YAML text a name stands as a key, "line 3: ".
func linesOf(text []byte, name string) string {
	var at []string
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i, child := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 && child.Value == name {
				at = append(at, strconv.Itoa(child.Line))
			}
			walk(child)
		}
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return ""
	}
	walk(&tree)
	switch len(at) {
	case 0: // of a mapping that an alias brings
		return ""
	case 1:
		return "line " + at[0] + ": "
	}
	return "one of lines " + strings.Join(at, ", ") + ": "
}

// print shows the changes.
func (a *applier) print(std stdio, check bool) error {
	if a.Output == "json" {
		if a.changes == nil {
			a.changes = []change{}
		}
		return writeJSON(std.out, a.changes)
	}
	if a.Output == "csv" {
		s := sheet{Columns: []string{"KIND", "NAME", "WHAT", "REFUSED"}}
		for _, ch := range a.changes {
			s.add(ch.Kind, ch.Name, ch.What, ch.Refused)
		}
		return s.write(std.out, a.Output)
	}
	for _, ch := range a.changes {
		fmt.Fprintf(std.out, "%s %s: %s\n", ch.Kind, ch.Name, ch.What)
		for _, line := range ch.Diff {
			fmt.Fprintln(std.out, "    "+line)
		}
		if ch.Refused != "" {
			fmt.Fprintln(std.out, "    would be refused: "+ch.Refused)
		}
	}
	for _, note := range a.notes {
		fmt.Fprintln(std.out, "note: "+note)
	}
	done := "changes"
	if check {
		done = "changes to be made"
	}
	if len(a.changes) == 0 {
		_, err := fmt.Fprintln(std.out, "nothing to change")
		return err
	}
	_, err := fmt.Fprintf(std.out, "%d %s\n", len(a.changes), done)
	return err
}

// maxDiffLines bounds the lines of each text that a diff compares: it takes a
// table of their product.
const maxDiffLines = 2000

// diffLines compares two texts line by line and gives the lines that differ,
// with one around them left out: "- old" and "+ new".
func diffLines(from, to string) []string {
	a, b := strings.Split(strings.TrimRight(from, "\n"), "\n"), strings.Split(strings.TrimRight(to, "\n"), "\n")
	if len(a) > maxDiffLines || len(b) > maxDiffLines {
		return []string{fmt.Sprintf("%d lines become %d", len(a), len(b))}
	}
	common := make([][]int, len(a)+1) // longest common sequence of a[i:], b[j:]
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, "- "+a[i])
			i++
		default:
			out = append(out, "+ "+b[j])
			j++
		}
	}
	return out
}
