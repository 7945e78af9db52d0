package main

import (
	"cmp"
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

// profiles is the file of connections that a person uses. A profile has the flags of
// commands that talk to a broker, by their names.
type profiles struct {
	// Current is the profile of commands that name no broker; "" is none.
	Current  string                       `yaml:"current,omitempty"`
	Profiles map[string]map[string]string `yaml:"profiles"`
}

// profilesPath is where the file lies: ~/.config/tarn/config.yaml, or below
// XDG_CONFIG_HOME.
func profilesPath() (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the file of profiles: %w", err)
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "tarn", "config.yaml"), nil
}

// readProfiles reads the file; one that is not there has no profiles.
func readProfiles() (*profiles, error) {
	out := &profiles{Profiles: map[string]map[string]string{}}
	path, err := profilesPath()
	if err != nil {
		return out, nil //nolint:nilerr // who has no home has no profiles
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	if err := yaml.Load(b, out, yaml.WithKnownFields()); err != nil {
		return nil, fmt.Errorf("profiles in %s: %w", path, err)
	}
	if out.Profiles == nil {
		out.Profiles = map[string]map[string]string{}
	}
	for name, set := range out.Profiles {
		for key := range set {
			if err := checkProfileKey(key); err != nil {
				return nil, fmt.Errorf("profile %q in %s: %w", name, path, err)
			}
		}
	}
	if _, ok := out.Profiles[out.Current]; out.Current != "" && !ok {
		return nil, fmt.Errorf("profiles in %s: the current one, %q, is not there", path, out.Current)
	}
	return out, nil
}

// checkProfileKey refuses what is no flag of a connection.
func checkProfileKey(key string) error {
	known := connectionFlagNames()
	if slices.Contains(known, key) {
		return nil
	}
	err := fmt.Errorf("unknown key %q", key)
	if hint := topic.Suggest(key, known); hint != "" {
		err = fmt.Errorf("%w, did you mean %s?", err, hint)
	}
	return fmt.Errorf("%w (keys are %s)", err, strings.Join(known, ", "))
}

// write puts the file in place whole, for its owner only: it may hold passwords.
func (p *profiles) write() error {
	path, err := profilesPath()
	if err != nil {
		return err
	}
	b, err := yaml.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode profiles: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write profiles: %w", err)
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("write profiles: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write profiles: %w", err)
	}
	return nil
}

// find returns a profile.
func (p *profiles) find(name string) (map[string]string, error) {
	set, ok := p.Profiles[name]
	if ok {
		return set, nil
	}
	if len(p.Profiles) == 0 {
		return nil, fmt.Errorf("there is no profile %q, nor any other: make one with tarn profile set %s brokers=HOST:PORT", name, cmp.Or(name, "NAME"))
	}
	return nil, fmt.Errorf("there is no profile %q: there are %s", name, strings.Join(slices.Sorted(maps.Keys(p.Profiles)), ", "))
}

// addressFlags say which broker is meant.
func addressFlags() []string { return []string{"brokers", "http", "data"} }

// profileResolver gives flags of connections from a profile.
type profileResolver struct {
	name   string
	values map[string]string
}

// newProfileResolver finds the profile for a command line; "" is the current one. That
// holds only where nothing else says which broker is meant: its password is not for
// others. Commands that talk to no broker have none.
func newProfileResolver(kctx *kong.Context, name string) (*profileResolver, error) {
	out := &profileResolver{name: name}
	flags := flagsOfConnection(kctx)
	if flags == nil {
		return out, nil
	}
	all, err := readProfiles()
	if err != nil {
		return nil, err
	}
	if name == "" {
		if all.Current == "" || addressed(kctx, flags) {
			return out, nil
		}
		out.name = all.Current
	}
	out.values, err = all.find(out.name)
	return out, err
}

// flagsOfConnection are the flags of the chosen command if it talks to a broker.
func flagsOfConnection(kctx *kong.Context) []*kong.Flag {
	for _, p := range kctx.Path {
		if slices.ContainsFunc(p.Flags, func(f *kong.Flag) bool { return f.Name == "brokers" }) {
			return p.Flags
		}
	}
	return nil
}

// Validate implements kong.Resolver.
func (r *profileResolver) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (r *profileResolver) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	text, ok := r.values[flag.Name]
	connects := slices.ContainsFunc(parent.Flags, func(f *kong.Flag) bool { return f.Name == "brokers" })
	if !ok || !connects || fromEnvironment(flag) != "" {
		return nil, nil
	}
	value, err := settingValue(text)
	if err != nil {
		return nil, fmt.Errorf("profile %q: %s: %w", r.name, flag.Name, err)
	}
	if noPath(flag, value) {
		return nil, nil
	}
	return value, nil
}

// addressed reports whether the command line or the environment says which broker is
// meant.
func addressed(kctx *kong.Context, flags []*kong.Flag) bool {
	for _, p := range kctx.Path {
		if p.Flag != nil && !p.Resolved && slices.Contains(addressFlags(), p.Flag.Name) {
			return true
		}
	}
	return slices.ContainsFunc(flags, func(f *kong.Flag) bool {
		return slices.Contains(addressFlags(), f.Name) && fromEnvironment(f) != ""
	})
}
