package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// wantedSchema is a schema that a subject is to have, and the subject's level.
type wantedSchema struct {
	Subject string `json:"subject"`
	// File is named from where the YAML lies; Text stands in its place.
	File string `json:"file"`
	Text string `json:"text"`
	Type string `json:"type"` // by the file's ending if it is empty
	// References without a version mean the latest.
	References []schema.Reference `json:"references"`
	Metadata   *schema.Metadata   `json:"metadata"`
	RuleSet    *schema.RuleSet    `json:"ruleSet"`
	Normalize  bool               `json:"normalize"`
	Level      string             `json:"level"`
}

// schemaBody is a schema as the registry's HTTP API takes it.
type schemaBody struct {
	Schema     string             `json:"schema"`
	SchemaType string             `json:"schemaType,omitempty"`
	References []schema.Reference `json:"references,omitempty"`
	Metadata   *schema.Metadata   `json:"metadata,omitempty"`
	RuleSet    *schema.RuleSet    `json:"ruleSet,omitempty"`
	Version    int                `json:"version,omitempty"` // of answers
}

// readAtMost reads to the end, and no further than limit.
func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	return b, err
}

// typeOf gives a schema's language by its file's ending.
func typeOf(file string) (schema.Type, bool) {
	switch filepath.Ext(file) {
	case ".avsc":
		return schema.Avro, true
	case ".proto":
		return schema.Protobuf, true
	case ".json":
		return schema.JSON, true
	}
	return "", false
}

// body reads the schema's text.
func (s *wantedSchema) body(dir string) (schemaBody, error) {
	out := schemaBody{
		Schema: s.Text, SchemaType: strings.ToUpper(s.Type), References: slices.Clone(s.References),
		Metadata: s.Metadata, RuleSet: s.RuleSet,
	}
	for i := range out.References {
		out.References[i].Version = cmp.Or(out.References[i].Version, registry.Latest)
	}
	if (s.File == "") == (s.Text == "") {
		return out, errors.New("give it either a file or a text")
	}
	if s.File == "" {
		return out, nil
	}
	path := s.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return out, err
	}
	defer f.Close()
	text, err := readAtMost(f, registry.MaxSchemaBytes)
	if err != nil {
		return out, fmt.Errorf("read %s: %w", path, err)
	}
	if out.Schema = string(text); out.SchemaType == "" {
		typ, ok := typeOf(path)
		if !ok {
			return out, fmt.Errorf("%s: its ending says nothing of the language; give a type", s.File)
		}
		out.SchemaType = string(typ)
	}
	return out, nil
}

// absent tells whether the registry's answer is that there is no such thing.
func absent(err error) bool {
	e, ok := errors.AsType[*apiError](err)
	return ok && e.Code/100 == 404
}

// planLevels compares compatibility levels. They go before schemas, which may
// need them.
func (a *applier) planLevels(ctx context.Context, w *wanted) error {
	if err := a.planLevel(ctx, "", w.Level); err != nil {
		return err
	}
	levels := map[string]string{}
	for _, s := range w.Schemas {
		if old, ok := levels[s.Subject]; ok && old != s.Level && s.Level != "" {
			return fmt.Errorf("subject %s: level %s contradicts %s", s.Subject, s.Level, old)
		}
		if _, seen := levels[s.Subject]; seen || s.Level == "" {
			continue
		}
		levels[s.Subject] = s.Level
		if err := a.planLevel(ctx, s.Subject, s.Level); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) planLevel(ctx context.Context, subject, level string) error {
	if level == "" {
		return nil
	}
	path, name := "/config", "(global)"
	if subject != "" {
		path, name = "/config/"+url.PathEscape(subject), subject
	}
	var have struct {
		Level string `json:"compatibilityLevel"`
		Ours  string `json:"tarnCompatibilityLevel"`
	}
	if err := a.call(ctx, http.MethodGet, path, nil, &have); err != nil && !absent(err) {
		return fmt.Errorf("level of %s: %w", name, err)
	}
	level, have.Level = strings.ToUpper(level), cmp.Or(have.Ours, have.Level)
	if have.Level == level {
		return nil
	}
	ch := change{Kind: "level", Name: name, What: cmp.Or(have.Level, "none of its own") + " → " + level}
	if _, err := registry.ParseLevel(level); err != nil {
		ch.Refused = err.Error()
	}
	ch.do = func(ctx context.Context) error {
		return a.call(ctx, http.MethodPut, path, map[string]string{"compatibility": level}, nil)
	}
	a.add(ch)
	return nil
}

// planSchemas compares schemas, in the file's order: those that others refer to
// stand before them.
func (a *applier) planSchemas(ctx context.Context, w *wanted) error {
	pending := map[string]bool{} // subjects that are to get a version
	for i := range w.Schemas {
		s := &w.Schemas[i]
		if s.Subject == "" {
			return fmt.Errorf("schema %d has no subject", i)
		}
		if s.File == "" && s.Text == "" && s.Level != "" {
			continue // it is there for its level
		}
		body, err := s.body(a.dir)
		if err != nil {
			return fmt.Errorf("schema of %s: %w", s.Subject, err)
		}
		if err := a.planSchema(ctx, s, body, pending); err != nil {
			return fmt.Errorf("schema of %s: %w", s.Subject, err)
		}
	}
	return nil
}

func (a *applier) planSchema(ctx context.Context, s *wantedSchema, body schemaBody, pending map[string]bool) error {
	query := ""
	if s.Normalize {
		query = "normalize=true"
	}
	at := func(path string, more ...string) string {
		more = append(more, query)
		return path + "?" + strings.Trim(strings.Join(more, "&"), "&")
	}
	subject := "/subjects/" + url.PathEscape(s.Subject)
	var latest schemaBody
	err := a.call(ctx, http.MethodGet, subject+"/versions/latest", nil, &latest)
	if err != nil && !absent(err) {
		return err
	}
	waits := slices.ContainsFunc(body.References, func(r schema.Reference) bool { return pending[r.Subject] })
	ch := change{Kind: "schema", Name: s.Subject, What: "first version, " + cmp.Or(body.SchemaType, "AVRO")}
	if latest.Version > 0 && !waits {
		var have schemaBody
		err := a.call(ctx, http.MethodPost, at(subject), body, &have)
		if err == nil && have.Version != latest.Version {
			a.notes = append(a.notes, fmt.Sprintf("%s has this schema as version %d, and version %d is the latest", s.Subject, have.Version, latest.Version))
		}
		if err == nil {
			return nil
		}
		if !errors.As(err, new(*apiError)) {
			return err
		}
		if !absent(err) {
			ch.Refused = err.Error()
		}
	}
	if latest.Version > 0 {
		ch.What = fmt.Sprintf("version %d becomes %d", latest.Version, latest.Version+1)
		ch.Diff = diffLines(indented(latest.Schema), indented(body.Schema))
	}
	leveled := slices.ContainsFunc(a.changes, func(c change) bool { return c.Kind == "level" })
	if ch.Refused == "" && !waits && !leveled && !pending[s.Subject] {
		var verdict struct {
			Is       bool     `json:"is_compatible"`
			Messages []string `json:"messages"`
		}
		err := a.call(ctx, http.MethodPost, at("/compatibility"+subject+"/versions", "verbose=true"), body, &verdict)
		switch {
		case err != nil && !absent(err):
			ch.Refused = err.Error()
		case err == nil && !verdict.Is:
			ch.Refused = strings.Join(verdict.Messages, "; ")
		}
	}
	pending[s.Subject] = true
	ch.do = func(ctx context.Context) error {
		return a.call(ctx, http.MethodPost, at(subject+"/versions"), body, nil)
	}
	a.add(ch)
	return nil
}

// indented lays JSON out in lines; other texts have them.
func indented(text string) string {
	var out bytes.Buffer
	if json.Indent(&out, []byte(text), "", "  ") != nil {
		return text
	}
	return out.String()
}
