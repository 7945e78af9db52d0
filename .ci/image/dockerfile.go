package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"strings"
)

// instruction is one instruction of a Dockerfile.
type instruction struct {
	op    string
	flags map[string]string // --from=build
	text  string            // the rest, variables not replaced
	line  int
}

// stage is one stage of a Dockerfile.
type stage struct {
	from, name string
	all        []instruction
}

// parseDockerfile reads the part of the language that our Dockerfile uses; anything
// else is an error. Variables given before the first stage are returned apart.
func parseDockerfile(text string) (global map[string]string, stages []*stage, err error) {
	global = map[string]string{}
	whole := ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		if rest, ok := strings.CutSuffix(trimmed, `\`); ok {
			whole += rest + " "
			continue
		}
		in, err := parseInstruction(whole+trimmed, i+1)
		if err != nil {
			return nil, nil, err
		}
		whole = ""
		switch {
		case in.op == "FROM":
			words := strings.Fields(in.text)
			s := &stage{from: words[0]}
			if len(words) == 3 && strings.EqualFold(words[1], "AS") {
				s.name = words[2]
			}
			stages = append(stages, s)
		case len(stages) == 0 && in.op == "ARG":
			name, value, _ := strings.Cut(in.text, "=")
			global[name] = value
		case len(stages) == 0:
			return nil, nil, fmt.Errorf("line %d: %s before FROM", in.line, in.op)
		default:
			s := stages[len(stages)-1]
			s.all = append(s.all, in)
		}
	}
	return global, stages, nil
}

func parseInstruction(line string, number int) (instruction, error) {
	op, rest, _ := strings.Cut(line, " ")
	in := instruction{op: strings.ToUpper(op), flags: map[string]string{}, text: strings.TrimSpace(rest), line: number}
	for strings.HasPrefix(in.text, "--") {
		flag, rest, _ := strings.Cut(in.text, " ")
		name, value, ok := strings.Cut(flag[2:], "=")
		if !ok {
			return in, fmt.Errorf("line %d: flag %s has no value", number, flag)
		}
		in.flags[name], in.text = value, strings.TrimSpace(rest)
	}
	if in.text == "" {
		return in, fmt.Errorf("line %d: %s of nothing", number, op)
	}
	return in, nil
}

// list reads the JSON form of CMD, ENTRYPOINT and HEALTHCHECK.
func (in instruction) list(text string) ([]string, error) {
	var out []string
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("line %d: %s wants a list, since the image has no shell: %w", in.line, in.op, err)
	}
	return out, nil
}

// pairs reads NAME=value NAME="two words".
func (in instruction) pairs(vars map[string]string) (map[string]string, error) {
	out := map[string]string{}
	for rest := in.text; rest != ""; {
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			return nil, fmt.Errorf("line %d: %q is not NAME=value", in.line, rest)
		}
		value := ""
		if quoted, is := strings.CutPrefix(after, `"`); is {
			value, rest, ok = strings.Cut(quoted, `"`)
			if !ok {
				return nil, fmt.Errorf("line %d: a quotation without an end", in.line)
			}
		} else {
			value, rest, _ = strings.Cut(after, " ")
		}
		out[strings.TrimSpace(name)] = expand(value, vars)
		rest = strings.TrimSpace(rest)
	}
	return out, nil
}

// expand replaces ${NAME}.
func expand(text string, vars map[string]string) string {
	return os.Expand(text, func(name string) string { return vars[name] })
}

// ignores reads .dockerignore: what a pattern names, and all below it, is not part of
// the context. "**/x" is x at any depth.
func ignores(text string) func(name string) bool {
	var patterns []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, strings.Trim(line, "/"))
		}
	}
	return func(name string) bool {
		for _, p := range patterns {
			any, deep := strings.CutPrefix(p, "**/")
			for part := name; part != "."; part = path.Dir(part) {
				whole := part
				if deep {
					p, whole = any, path.Base(part)
				}
				if ok, err := path.Match(p, whole); err == nil && ok {
					return true
				}
			}
		}
		return false
	}
}
