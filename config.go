package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"

	"github.com/tarn-io/tarn/broker/topic"
)

// settingsFile reads tarn.yaml for kong: nested keys stand for dotted flags, so
// "kafka: {listen: …}" is --kafka.listen. Only flags of tarn serve may stand
// there, and unknown keys are errors. Values may have ${env:NAME} and ${file:PATH} in
// them.
type settingsFile struct {
	path    string
	values  map[string]string
	written map[string]string // as the file has it, for values with ${…} in them
}

// loadSettings adds what stands below flags and environment: the settings file, if
// there is one, and profiles; and variables that name files. The default path may be missing, a named one may not.
func loadSettings(kctx *kong.Context, c *cli) error {
	// What is added last is asked last, and holds: variables before files.
	name, _ := flagOrVariable(kctx, "profile", profileVariable)
	profile, err := newProfileResolver(kctx, name)
	if err != nil {
		return err
	}
	kctx.AddResolver(profile)
	defer func() { kctx.AddResolver(newFileVariables(kctx.Model.Node)) }()
	path, named := flagOrVariable(kctx, "config", "TARN_CONFIG")
	if !named {
		path = "tarn.yaml"
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil
	}
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && strings.Contains(filepath.Base(path), "=") {
			return fmt.Errorf("--config names the broker's settings file, and there is no file %s: configs of topics are given by -c KEY=VALUE (--set)", filepath.Base(path))
		}
		return fmt.Errorf("read settings (--config): %w", err)
	}
	known, mapped := serveFlags(kctx.Model)
	s, err := parseSettings(path, b, known, mapped)
	if err != nil {
		if command := kctx.Selected(); !named && command != nil && command.Name != "serve" {
			return nil // the file is for tarn serve alone, and nobody asked for it here
		}
		return err
	}
	kctx.AddResolver(s)
	return nil
}

// profileVariable names the profile to use.
const profileVariable = "TARN_PROFILE"

// flagOrVariable is what the command line, or else a variable, says of a flag of the whole
// program.
func flagOrVariable(kctx *kong.Context, flag, variable string) (value string, ok bool) {
	for _, p := range kctx.Path {
		if p.Flag != nil && p.Flag.Name == flag {
			if s, isText := kctx.FlagValue(p.Flag).(string); isText {
				value, ok = s, true
			}
		}
	}
	if env := os.Getenv(variable); env != "" && !ok {
		return env, true
	}
	return value, ok
}

// serveFlags lists the flags that the settings file may set, and which of them may be
// mappings there.
func serveFlags(app *kong.Application) (names []string, mapped map[string]bool) {
	mapped = map[string]bool{}
	for _, n := range app.Children {
		if n.Name == "serve" {
			for _, f := range n.Flags {
				names, mapped[f.Name] = append(names, f.Name), isMapped(f)
			}
		}
	}
	return names, mapped
}

// isMapped reports whether a flag's text is a mapping: NAME:VALUE with commas between.
func isMapped(f *kong.Flag) bool {
	return f.PlaceHolder == "MAP" || strings.HasSuffix(f.PlaceHolder, ":N,…")
}

func parseSettings(path string, b []byte, known []string, mapped map[string]bool) (*settingsFile, error) {
	var tree map[string]any
	if err := yaml.Unmarshal(b, &tree); err != nil {
		return nil, fmt.Errorf("settings file %s: %w", path, err)
	}
	s := &settingsFile{path: path, values: map[string]string{}, written: map[string]string{}}
	if err := s.flatten("", tree, mapped); err != nil {
		return nil, fmt.Errorf("settings file %s: %w", path, err)
	}
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

// flatten takes the tree's leaves; what is in mapped is a value though it is a mapping.
func (s *settingsFile) flatten(prefix string, tree map[string]any, mapped map[string]bool) error {
	for k, v := range tree {
		if sub, ok := v.(map[string]any); ok && mapped[prefix+k] {
			v = pairs(sub)
		} else if ok {
			if err := s.flatten(prefix+k+".", sub, mapped); err != nil {
				return err
			}
			continue
		}
		text := settingText(v)
		value, err := settingValue(text)
		if err != nil {
			return fmt.Errorf("%s: %w", prefix+k, err)
		}
		if s.values[prefix+k] = value; value != text {
			s.written[prefix+k] = text
		}
	}
	return nil
}

// pairs is a mapping as a flag has it, NAME:VALUE with commas between.
func pairs(m map[string]any) string {
	words := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		words = append(words, k+":"+settingText(m[k]))
	}
	return strings.Join(words, ",")
}

// settingText is a value as a flag has it.
func settingText(v any) string {
	list, ok := v.([]any)
	switch {
	case v == nil:
		return ""
	case !ok:
		return fmt.Sprint(v)
	}
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = fmt.Sprint(w)
	}
	return strings.Join(words, ",")
}

// Validate implements kong.Resolver; parseSettings has validated.
func (s *settingsFile) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (s *settingsFile) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if parent.Command == nil || parent.Command.Name != "serve" {
		return nil, nil
	}
	v, ok := s.values[flag.Name]
	if !ok || noPath(flag, v) || fromEnvironment(flag) != "" {
		return nil, nil // the environment goes before the file
	}
	return v, nil
}
