package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type configCmd struct {
	Print  configPrintCmd  `cmd:"" help:"Print the settings that a broker started here would have."`
	Lint   configLintCmd   `cmd:"" help:"Check a settings file: unknown keys, values that do not fit."`
	Schema configSchemaCmd `cmd:"" help:"Print the JSON Schema of the settings file, for editors."`

	Describe configDescribeCmd `cmd:"" help:"Show the configs of a running broker, as Kafka has them."`
	Alter    configAlterCmd    `cmd:"" help:"Change configs of a running broker, for good."`
}

type configPrintCmd struct {
	outputFlag
	WithSource bool `help:"Say where each value is from: environment, file or default."`
	All        bool `help:"Print settings that have their default value, too." default:"true" negatable:""`
}

// notShown stands for a secret.
const notShown = "(not shown)"

// secretWords are parts of names whose values are not printed.
func secretWords() []string { return []string{"password", "secret", "token-key", "credential"} }

// Run prints the settings.
func (c *configPrintCmd) Run(std stdio, app *cli) error {
	all, err := settingsHere(app.Config)
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"SETTING", "VALUE"}}
	if c.WithSource {
		s.Columns = append(s.Columns, "SOURCE")
	}
	for _, one := range all {
		if one.source == "default" && !c.All {
			continue
		}
		row := []any{one.name, one.value}
		if c.WithSource {
			row = append(row, one.source)
		}
		s.add(row...)
	}
	return s.write(std.out, c.Output)
}

// settingNow is a setting as it would be.
type settingNow struct{ name, value, source string }

// settingsHere works the settings out as tarn serve does.
func settingsHere(path string) ([]settingNow, error) {
	var c cli
	parser, err := newParser(&c, stdio{})
	if err != nil {
		return nil, err
	}
	args := []string{"serve"}
	// The default file may be missing, one that is named may not.
	if _, err := os.Stat(path); err == nil || path != absolute("tarn.yaml") {
		args = append([]string{"--config", path}, args...)
	}
	kctx, err := parser.Parse(args)
	if err != nil {
		return nil, err
	}
	file, err := settingsOf(parser, path)
	if err != nil {
		return nil, err
	}
	variables := newFileVariables(parser.Model.Node)
	var out []settingNow
	for _, f := range kctx.Selected().Flags {
		one := settingNow{name: f.Name, value: plainly(f), source: "default"}
		secret := isSecret(f.Name)
		if _, ok := file.values[f.Name]; ok {
			one.source = "file " + path
			if written, ok := file.written[f.Name]; ok {
				one.value, secret = written, false
			}
		}
		if env := fromEnvironment(f); env != "" {
			one.source, one.value, secret = "environment "+env, plainly(f), isSecret(f.Name)
		}
		if env, at := variables.variable(f); env != "" {
			one.source, one.value, secret = "environment "+env, "${file:"+at+"}", false
		}
		if one.value != "" && secret {
			one.value = notShown
		}
		out = append(out, one)
	}
	return out, nil
}

// plainly is a flag's value.
func plainly(f *kong.Flag) string {
	text := fmt.Sprint(f.Target.Interface())
	if f.IsSlice() {
		return strings.Trim(text, "[]")
	}
	return text
}

// isSecret reports whether a setting's value is not to be seen. Names of files with
// secrets are.
func isSecret(name string) bool {
	return !strings.HasSuffix(name, "-file") && slices.ContainsFunc(secretWords(), func(w string) bool { return strings.Contains(name, w) })
}

// settingsOf reads a settings file; one that is not there has no keys.
func settingsOf(parser *kong.Kong, path string) (*settingsFile, error) {
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return &settingsFile{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	known, mapped := serveFlags(parser.Model)
	return parseSettings(path, b, known, mapped)
}

type configLintCmd struct {
	outputFlag
	File string `arg:"" optional:"" help:"Settings file; default: that of --config, else tarn.yaml."`
}

// Run checks the file as a broker reads it at its start.
func (c *configLintCmd) Run(std stdio, given *cli) error {
	if c.File == "" {
		c.File = given.Config
	}
	b, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	var app cli
	parser, err := newParser(&app, stdio{})
	if err != nil {
		return err
	}
	known, mapped := serveFlags(parser.Model)
	s, err := parseSettings(c.File, b, known, mapped)
	if err != nil {
		return err
	}
	if _, err := parser.Parse([]string{"--config", c.File, "serve"}); err != nil {
		return fmt.Errorf("settings file %s: %w", c.File, err)
	}
	return c.sayFields(std, []field{{"file", c.File}, {"settings", len(s.values)}, {"status", "ok"}},
		fmt.Sprintf("%s: %d settings, all known", c.File, len(s.values)))
}

type configSchemaCmd struct{}

// Run prints the schema: dotted names are nested objects.
func (c *configSchemaCmd) Run(k *kong.Kong, std stdio) error {
	object := func() map[string]any {
		return map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}}
	}
	root := object()
	root["$schema"], root["title"] = "https://json-schema.org/draft/2020-12/schema", "tarn.yaml"
	for _, n := range k.Model.Children {
		if n.Name != "serve" {
			continue
		}
		for _, f := range n.Flags {
			placeSetting(root["properties"].(map[string]any), f.Name, settingSchema(f), object)
		}
	}
	return encodeJSON(std.out, root)
}

// placeSetting puts a setting among properties, nested by the dots in its name. Where
// one name is the beginning of another's, the longer one keeps its dots: the file may
// have them in keys, too.
func placeSetting(at map[string]any, name string, as map[string]any, object func() map[string]any) {
	for {
		word, rest, dotted := strings.Cut(name, ".")
		if !dotted {
			break
		}
		if _, ok := at[word]; !ok {
			at[word] = object()
		}
		deeper, ok := at[word].(map[string]any)["properties"].(map[string]any)
		if !ok {
			break
		}
		at, name = deeper, rest
	}
	at[name] = as
}

// settingSchema describes one setting.
func settingSchema(f *kong.Flag) map[string]any {
	out := map[string]any{"description": f.Help}
	switch {
	case f.IsBool():
		out["type"] = "boolean"
	case f.IsSlice():
		out["type"] = []string{"array", "string"}
	case isMapped(f):
		out["type"] = []string{"object", "string"}
	case f.Target.CanInt() && f.Target.Type().String() != "time.Duration", f.Target.CanFloat():
		out["type"] = "number"
	default:
		out["type"] = []string{"string", "number"}
		if e := enumOf(f.Value); e != nil {
			delete(out, "type")
			out["enum"] = e
		}
	}
	if f.Default != "" {
		out["default"] = f.Default
	}
	return out
}
