package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// maxSecretBytes bounds a file whose content is a setting's value: passwords, tokens
// and addresses are far below.
const maxSecretBytes = 64 << 10

// settingValue puts values into the text of a setting: ${env:NAME} is a variable, and
// ${file:PATH} what a file holds, without the end of its last line. $${ is ${ itself.
func settingValue(text string) (string, error) {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "${")
		if !ok {
			out.WriteString(text)
			return out.String(), nil
		}
		if plain, escaped := strings.CutSuffix(before, "$"); escaped {
			out.WriteString(plain + "${")
			text = rest
			continue
		}
		out.WriteString(before)
		inside, after, ok := strings.Cut(rest, "}")
		kind, name, _ := strings.Cut(inside, ":")
		switch {
		case !ok, name == "", kind != "env" && kind != "file":
			return "", fmt.Errorf("${%s is neither ${env:NAME} nor ${file:PATH}; $${ stands for ${ itself", inside)
		case kind == "env":
			value, set := os.LookupEnv(name)
			if !set {
				return "", fmt.Errorf("${env:%s}: the variable is not set", name)
			}
			out.WriteString(value)
		default:
			value, err := readSecret(name)
			if err != nil {
				return "", fmt.Errorf("${file:%s}: %w", name, err)
			}
			out.WriteString(value)
		}
		text = after
	}
}

// readSecret reads a value from a file, without the end of its last line.
func readSecret(path string) (string, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecretBytes {
		return "", fmt.Errorf("holds more than %d bytes, which no setting has", maxSecretBytes)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

// fromEnvironment is the variable that sets a flag, "" if none does.
func fromEnvironment(f *kong.Flag) string {
	for _, env := range f.Envs {
		if value, ok := os.LookupEnv(env); ok && !noPath(f, value) {
			return env
		}
	}
	return ""
}

// noPath reports whether a value of a flag that names a file or a directory names none.
// Such a value says nothing, wherever it stands: it is not the working directory, as the
// library that reads flags would have it.
func noPath(f *kong.Flag, value string) bool {
	isPath := f.Tag.Type == "path" || f.PlaceHolder == "FILE" || f.PlaceHolder == "DIR"
	return isPath && value == ""
}

// passEmptyPaths takes variables that are set to no path away from their flags, for the
// library that would take them for one. Flag.Envs, what the reference shows, stays.
func passEmptyPaths(kctx *kong.Context) error {
	eachFlag(kctx.Model.Node, func(f *kong.Flag) {
		f.Tag.Envs = slices.DeleteFunc(slices.Clone(f.Tag.Envs), func(env string) bool {
			value, set := os.LookupEnv(env)
			return set && noPath(f, value)
		})
	})
	return nil
}

// eachFlag visits the flags of a command and of all below it.
func eachFlag(n *kong.Node, visit func(*kong.Flag)) {
	for _, f := range n.Flags {
		visit(f)
	}
	for _, c := range n.Children {
		eachFlag(c, visit)
	}
}

// fileVariables reads flags from files that variables name: TARN_PASSWORD_FILE has the
// path of a file that holds what TARN_PASSWORD would, as secrets are given to
// containers.
type fileVariables struct {
	taken map[string]bool // variables of flags whose own names end so
}

// newFileVariables looks at all flags of the program.
func newFileVariables(app *kong.Node) *fileVariables {
	v := &fileVariables{taken: map[string]bool{}}
	eachFlag(app, func(f *kong.Flag) {
		for _, env := range f.Envs {
			v.taken[env] = true
		}
	})
	return v
}

// variable is the one that names a file for a flag, "" if none is set.
func (v *fileVariables) variable(f *kong.Flag) (name, path string) {
	for _, env := range f.Envs {
		name := env + "_FILE"
		if path := os.Getenv(name); path != "" && !v.taken[name] {
			return name, path
		}
	}
	return "", ""
}

// Validate implements kong.Resolver.
func (v *fileVariables) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (v *fileVariables) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	name, path := v.variable(flag)
	if name == "" {
		return nil, nil
	}
	if env := fromEnvironment(flag); env != "" {
		return nil, fmt.Errorf("%s and %s are both set: take one of them away", env, name)
	}
	text, err := readSecret(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if text == "" {
		return nil, errors.New(name + ": " + path + " is empty")
	}
	return text, nil
}
