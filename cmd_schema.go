package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

type schemaCmd struct {
	Register schemaRegisterCmd `cmd:"" help:"Register a schema under a subject."`
	List     schemaListCmd     `cmd:"" help:"List subjects with their latest versions."`
	Get      schemaGetCmd      `cmd:"" help:"Print a subject's schema."`
	Check    schemaCheckCmd    `cmd:"" help:"Say what a schema would change, for readers and tables, and whether it could be registered."`
	Describe schemaDescribeCmd `cmd:"" help:"Say which columns a subject's or topic's schema makes, how payloads are read, and their limits."`
	Diff     schemaDiffCmd     `cmd:"" help:"Say what changes from one version to another, for readers and tables."`
	Infer    schemaInferCmd    `cmd:"" help:"Propose a schema from the JSON that flows through a topic."`
	Delete   schemaDeleteCmd   `cmd:"" help:"Delete a subject or one version."`
	Report   schemaReportCmd   `cmd:"" help:"Say what a topic's schema has refused, or with monitor would have, by client."`
	Level    schemaLevelCmd    `cmd:"" help:"Show or set the compatibility level."`
	Mode     schemaModeCmd     `cmd:"" help:"Show or set the mode: whether schemas can be registered, and whether with ids of another registry."`
}

// schemaSource are the arguments that name a schema text.
type schemaSource struct {
	Subject    string   `arg:"" help:"Subject, for example orders-value."`
	File       string   `arg:"" type:"existingfile" help:"Schema text: .avsc, .proto or .json."`
	Type       string   `enum:"AVRO,PROTOBUF,JSON,avro,protobuf,json," default:"" placeholder:"LANGUAGE" help:"AVRO, PROTOBUF or JSON; by default by the file's ending."`
	References []string `name:"reference" sep:"none" placeholder:"NAME=SUBJECT:VERSION" help:"A schema that the text refers to; may be repeated."`
}

func (s *schemaSource) schema() (sr.Schema, error) {
	text, err := os.ReadFile(s.File)
	if err != nil {
		return sr.Schema{}, fmt.Errorf("read schema: %w", err)
	}
	out := sr.Schema{Schema: string(text)}
	typ := strings.ToUpper(s.Type)
	if typ == "" {
		switch filepath.Ext(s.File) {
		case ".avsc":
			typ = "AVRO"
		case ".proto":
			typ = "PROTOBUF"
		case ".json":
			typ = "JSON"
		default:
			return out, fmt.Errorf("%s: ending says nothing of the language; give --type", s.File)
		}
	}
	if err := out.Type.UnmarshalText([]byte(typ)); err != nil {
		return out, err
	}
	for _, r := range s.References {
		name, rest, ok := strings.Cut(r, "=")
		subject, v, ok2 := cutLast(rest, ":")
		n, err := strconv.Atoi(v)
		if !ok || !ok2 || err != nil {
			return out, fmt.Errorf("--reference %q is not NAME=SUBJECT:VERSION", r)
		}
		out.References = append(out.References, sr.SchemaReference{Name: name, Subject: subject, Version: n})
	}
	return out, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

type schemaRegisterCmd struct {
	connect
	schemaSource
	ID        int `placeholder:"N" help:"The id that the schema has in another registry, whose records are to be read: wants mode IMPORT (tarn schema mode)."`
	AsVersion int `placeholder:"N" help:"The version that it has there; wants --id."`
	dryRunFlag
}

// Validate refuses a version of another registry whose id there is not said.
func (c *schemaRegisterCmd) Validate() error {
	if c.AsVersion != 0 && c.ID == 0 {
		return errors.New("--as-version wants --id: a version that comes from another registry has an id there")
	}
	return nil
}

// Run registers a schema.
func (c *schemaRegisterCmd) Run(ctx context.Context, std stdio) error {
	s, err := c.schema()
	if err != nil {
		return err
	}
	asked, got := sr.SubjectSchema{Schema: s, ID: c.ID, Version: c.AsVersion}, sr.SubjectSchema{}
	if err := c.call(ctx, http.MethodPost, c.route("/subjects/"+url.PathEscape(c.Subject)+"/versions"), asked, &got); err != nil {
		return err
	}
	would := ""
	if c.DryRun {
		would = "would be "
	} else if got.Version == 0 { // older registries answer the id alone
		reg, err := c.registry()
		if err != nil {
			return err
		}
		if got, err = reg.LookupSchema(ctx, c.Subject, s); err != nil {
			return err
		}
	}
	if !c.DryRun {
		c.warnFormless(ctx, std, got.Version)
	}
	return c.sayFields(std, []field{{"subject", c.Subject}, {"version", got.Version}, {"id", got.ID}}, fmt.Sprintf("%s %sversion %d id %d", c.Subject, would, got.Version, got.ID))
}

// warnFormless says if tables cannot take a version's records. Whoever answers as
// registry may not tell.
func (c *schemaRegisterCmd) warnFormless(ctx context.Context, std stdio, version int) {
	q := url.Values{"name": {c.Subject}, "version": {strconv.Itoa(version)}}
	var list []describedSchema
	if c.call(ctx, http.MethodGet, "/api/schemas/describe?"+q.Encode(), nil, &list) != nil {
		return
	}
	for i := range list {
		if why := list[i].Formless; why != "" {
			fmt.Fprintf(std.err, "tarn: it has no table form, so tables of its topic do not take its records: %s (tarn schema check says so before)\n", why)
		}
	}
}

type schemaListCmd struct {
	connect
}

// Run lists the subjects.
func (c *schemaListCmd) Run(ctx context.Context, std stdio) error {
	reg, err := c.registry()
	if err != nil {
		return err
	}
	subjects, err := reg.Subjects(ctx)
	if err != nil {
		return err
	}
	out := sheet{Columns: []string{"SUBJECT", "VERSION", "ID", "TYPE"}}
	for _, subject := range subjects {
		latest, err := reg.SchemaByVersion(ctx, subject, -1)
		if err != nil {
			return fmt.Errorf("subject %q: %w", subject, err)
		}
		out.add(subject, latest.Version, latest.ID, latest.Type.String())
	}
	return out.write(std.out, c.Output)
}

type schemaGetCmd struct {
	connect
	Subject string `arg:"" help:"Subject."`
	Version int    `default:"-1" help:"Version; -1 is the latest."`
}

// Run prints a schema's text.
func (c *schemaGetCmd) Run(ctx context.Context, std stdio) error {
	reg, err := c.registry()
	if err != nil {
		return err
	}
	s, err := reg.SchemaByVersion(ctx, c.Subject, c.Version)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, s)
	}
	return c.sayFields(std, []field{{"subject", s.Subject}, {"version", s.Version}, {"id", s.ID}, {"type", s.Type.String()}, {"schema", s.Schema.Schema}}, s.Schema.Schema)
}

type schemaDeleteCmd struct {
	connect
	Subject   string `arg:"" help:"Subject."`
	Version   int    `placeholder:"N" help:"Only this version; all if none is given."`
	Permanent bool   `help:"Remove for good what was deleted before."`
	dryRunFlag
}

// Run deletes a subject or one version.
func (c *schemaDeleteCmd) Run(ctx context.Context, std stdio) error {
	path, what := "/subjects/"+url.PathEscape(c.Subject), c.Subject
	answer := map[string]any{"subject": c.Subject, "status": c.did("deleted")}
	if c.Version != 0 {
		path += "/versions/" + strconv.Itoa(c.Version)
		what += " version " + strconv.Itoa(c.Version)
		answer["version"] = c.Version
	}
	if err := c.call(ctx, http.MethodDelete, c.route(path)+"?permanent="+strconv.FormatBool(c.Permanent), nil, nil); err != nil {
		return err
	}
	return c.say(std, answer, what+" "+c.did("deleted"))
}

// route is where the registry makes a change, or says what would become of it.
func (f *dryRunFlag) route(path string) string {
	if f.DryRun {
		return strings.TrimSuffix(dryRunPages, "/") + path
	}
	return path
}

type schemaLevelCmd struct {
	connect
	Subject string `arg:"" optional:"" help:"Subject; the global level if not given."`
	Set     string `placeholder:"LEVEL" help:"New level: NONE, BACKWARD, FORWARD, FULL, each but NONE also with _TRANSITIVE; TABLE asks only whether tables can take a schema."`
	dryRunFlag
}

// ofSubject is where a setting of a subject is, and what it is called; of all, for "".
func ofSubject(path, subject string) (at, name string) {
	if subject == "" {
		return path, "(global)"
	}
	return path + "/" + url.PathEscape(subject), subject
}

// Run shows or sets a compatibility level. It speaks to the registry itself: clients
// of Confluent's cannot set TABLE.
func (c *schemaLevelCmd) Run(ctx context.Context, std stdio) error {
	path, name := ofSubject("/config", c.Subject)
	var config struct {
		Set   string `json:"compatibility,omitempty"`
		Level string `json:"compatibilityLevel,omitempty"`
		Ours  string `json:"tarnCompatibilityLevel,omitempty"`
	}
	if c.Set != "" {
		config.Set = c.Set
		if err := c.call(ctx, http.MethodPut, c.route(path), config, nil); err != nil {
			return err
		}
	}
	if !c.DryRun || c.Set == "" {
		if err := c.call(ctx, http.MethodGet, path+"?defaultToGlobal=true", nil, &config); err != nil {
			return err
		}
	}
	out := sheet{Columns: []string{"SUBJECT", "LEVEL"}}
	out.add(name, cmp.Or(config.Ours, config.Level, strings.ToUpper(config.Set)))
	return out.write(std.out, c.Output)
}

type schemaModeCmd struct {
	connect
	Subject string `arg:"" optional:"" help:"Subject, or a context as :.NAME:; the global mode if not given."`
	Set     string `enum:"READWRITE,READONLY,READONLY_OVERRIDE,FORWARD,IMPORT," default:"" placeholder:"MODE" help:"New mode: READWRITE, READONLY, READONLY_OVERRIDE, FORWARD or IMPORT."`
	Force   bool   `help:"Set IMPORT although there are schemas."`
	dryRunFlag
}

// Help shows how schemas come from another registry.
func (c *schemaModeCmd) Help() string {
	return `Schemas of another registry come with the ids that its records have:

  tarn schema mode orders-value --set IMPORT
  tarn schema register orders-value order.avsc --id 1041 --as-version 7
  tarn schema mode orders-value --set READWRITE
`
}

// Run shows or sets a mode.
func (c *schemaModeCmd) Run(ctx context.Context, std stdio) error {
	path, name := ofSubject("/mode", c.Subject)
	var mode struct {
		Mode string `json:"mode"`
	}
	if c.Set != "" {
		mode.Mode = c.Set
		if err := c.call(ctx, http.MethodPut, c.route(path)+"?force="+strconv.FormatBool(c.Force), mode, nil); err != nil {
			return err
		}
	}
	if !c.DryRun || c.Set == "" {
		if err := c.call(ctx, http.MethodGet, path+"?defaultToGlobal=true", nil, &mode); err != nil {
			return err
		}
	}
	out := sheet{Columns: []string{"SUBJECT", "MODE"}}
	out.add(name, mode.Mode)
	return out.write(std.out, c.Output)
}
