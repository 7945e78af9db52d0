package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"

	"github.com/tarn-io/tarn/broker/topic"
)

// settingsFile reads tarn.yaml for kong: nested keys stand for dotted flags, so
// "kafka: {listen: …}" is --kafka.listen. Only flags of tarn serve may stand
// there, and unknown keys are errors.
type settingsFile struct {
	path   string
	values map[string]any
}

// loadSettings adds the settings file, if there is one, below flags and
// environment. The default path may be missing, a named one may not.
func loadSettings(kctx *kong.Context, c *cli) error {
	path := "tarn.yaml"
	named := false
	for _, p := range kctx.Path {
		if p.Flag != nil && p.Flag.Name == "config" {
			if s, ok := kctx.FlagValue(p.Flag).(string); ok {
				path, named = s, true
			}
		}
	}
	if env := os.Getenv("TARN_CONFIG"); env != "" && !named {
		path, named = env, true
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read settings (--config): %w", err)
	}
	s, err := parseSettings(path, b, serveFlags(kctx.Model))
	if err != nil {
		return err
	}
	kctx.AddResolver(s)
	return nil
}

// serveFlags lists the flags that the settings file may set.
func serveFlags(app *kong.Application) []string {
	var out []string
	for _, n := range app.Children {
		if n.Name == "serve" {
			for _, f := range n.Flags {
				out = append(out, f.Name)
			}
		}
	}
	return out
}

func parseSettings(path string, b []byte, known []string) (*settingsFile, error) {
	var tree map[string]any
	if err := yaml.Unmarshal(b, &tree); err != nil {
		return nil, fmt.Errorf("settings file %s: %w", path, err)
	}
	s := &settingsFile{path: path, values: map[string]any{}}
	s.flatten("", tree)
	for key := range s.values {
		if slices.Contains(known, key) {
			continue
		}
		msg := fmt.Sprintf("settings file %s: unknown key %q", path, key)
		if hint := topic.Suggest(key, known); hint != "" {
			msg += fmt.Sprintf(", did you mean %s?", hint)
		}
		return nil, errors.New(msg)
	}
	return s, nil
}

func (s *settingsFile) flatten(prefix string, tree map[string]any) {
	for k, v := range tree {
		if sub, ok := v.(map[string]any); ok {
			s.flatten(prefix+k+".", sub)
			continue
		}
		s.values[prefix+k] = v
	}
}

// Validate implements kong.Resolver; parseSettings has validated.
func (s *settingsFile) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (s *settingsFile) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if parent.Command == nil || parent.Command.Name != "serve" {
		return nil, nil
	}
	v, ok := s.values[flag.Name]
	if !ok {
		return nil, nil
	}
	if list, ok := v.([]any); ok {
		words := make([]string, len(list))
		for i, w := range list {
			words[i] = fmt.Sprint(w)
		}
		return strings.Join(words, ","), nil
	}
	return fmt.Sprint(v), nil
}
