package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/wire"
)

// TestErrorsPage holds ERRORS.md to the list in the code.
func TestErrorsPage(t *testing.T) {
	got, err := os.ReadFile("ERRORS.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	if err := writeErrors(&want); err != nil {
		t.Fatal(err)
	}
	if string(got) != want.String() {
		t.Error("ERRORS.md is not what the list says: tarn errors --markdown > ERRORS.md")
	}
}

// TestErrorsComplete wants every code that is given explained, read off the sources,
// and none that is not given.
func TestErrorsComplete(t *testing.T) {
	given := map[string][]string{}
	for _, c := range wire.Codes() {
		given["kafka"] = append(given["kafka"], c.Name())
	}
	read := func(of, glob, pattern string) {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", glob, len(files), err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") || strings.HasPrefix(f, "errors_") {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
				given[of] = append(given[of], m[1])
			}
		}
	}
	read("registry", "registry/rest/*.go", `\b([45](?:0[0-9]|22)[0-9]{2})\b`)
	read("api", "*.go", `\b(40[0-9]0[1-9]|4220[1-9]|50[0-9]0[1-9])\b`)
	read("table", "sink/status.go", `State = "(\w+)"`)
	read("rejection", "registry/validate/tally.go", `Class = "(\w+)"`)
	for _, g := range explanations() {
		has := map[string]bool{}
		for _, e := range g.Entries {
			key := e.Code
			if g.Of == "kafka" {
				key = e.Name
			}
			if has[key] {
				t.Errorf("%s %s is explained twice", g.Of, key)
			}
			has[key] = true
			if e.Means == "" || e.Do == "" || e.Code == "" || !strings.HasSuffix(e.Means, ".") {
				t.Errorf("%s %s says too little: %+v", g.Of, key, e)
			}
		}
		if len(given[g.Of]) < 8 {
			t.Fatalf("%s: found %q", g.Of, given[g.Of])
		}
		seen := map[string]bool{}
		for _, key := range given[g.Of] {
			if seen[key] = true; !has[key] {
				t.Errorf("%s %s is given and not explained: add it to errors_kafka.go or errors_own.go", g.Of, key)
				has[key] = true
			}
		}
		for key := range has {
			if !seen[key] {
				t.Errorf("%s %s is explained and never given", g.Of, key)
			}
		}
	}
}

// TestErrorsCommands wants every command that is recommended to be there.
func TestErrorsCommands(t *testing.T) {
	parser, err := newParser(new(cli), stdio{})
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]bool{}
	for _, n := range parser.Model.Children {
		commands[n.Name] = len(n.Children) == 0
		for _, m := range n.Children {
			commands[n.Name+" "+m.Name] = true
		}
	}
	n := 0
	for _, g := range explanations() {
		for _, e := range g.Entries {
			for _, m := range regexp.MustCompile(`tarn ([a-z]+) ?([a-z]*)`).FindAllStringSubmatch(e.Do, -1) {
				if n++; !commands[m[1]] && !commands[m[1]+" "+m[2]] {
					t.Errorf("%s recommends %q, which is no command", e.Code, m[0])
				}
			}
		}
	}
	if n < 15 {
		t.Errorf("%d commands are recommended", n)
	}
}

// TestFindErrors looks words up.
func TestFindErrors(t *testing.T) {
	for what, want := range map[string]string{
		"87": "INVALID_RECORD", "-1": "UNKNOWN_SERVER_ERROR", "invalid record": "INVALID_RECORD", "Producer_Fenced": "PRODUCER_FENCED",
		"log_replaced": "log_replaced", "40801": "40801", "min.insync.replicas": "NOT_ENOUGH_REPLICAS",
	} {
		found := findErrors(what)
		if len(found) == 0 || found[0].Name != want && found[0].Code != want {
			t.Errorf("%q finds %+v, want %s first", what, found, want)
		}
	}
	if got := findErrors("no such thing"); len(got) != 0 {
		t.Errorf("nonsense finds %+v", got)
	}
	if got := findErrors(""); len(got) < 150 {
		t.Errorf("all are %d", len(got))
	}
}
