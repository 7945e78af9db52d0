package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// quotedCommand finds a command of this program behind a quote: code in prose, an
// advice in a message, a command that the console shows.
var quotedCommand = regexp.MustCompile("[`\"']tarn ([a-z][a-z -]*[a-z])")

// placedCommand finds a command with words that stand for arguments.
var placedCommand = regexp.MustCompile("tarn ([a-z][a-z -]*[a-z])((?: [A-Z]{3,})+)")

// TestNamedCommands holds that a command which documents, messages or the console name
// is there. Blocks of documents are held to more, by TestDocumentBlocks.
func TestNamedCommands(t *testing.T) {
	root := tree(t)
	named := 0
	err := filepath.WalkDir(".", func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if at != "." && strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"node_modules", "testdata", "vendor"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".md", ".go", ".js", ".txt", ".html"}, path.Ext(at)) || strings.HasSuffix(at, "_test.go") {
			return nil
		}
		if strings.HasPrefix(filepath.ToSlash(at), "sink/query/") && path.Ext(at) == ".go" {
			return nil // its pointers have names that begin so, for SQLite
		}
		b, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		for _, m := range quotedCommand.FindAllStringSubmatch(string(b), -1) {
			named++
			if !namesCommand(&root, strings.Fields(m[1])) {
				t.Errorf("%s: there is no command %q", at, "tarn "+m[1])
			}
		}
		for _, m := range placedCommand.FindAllStringSubmatch(string(b), -1) {
			of, rest := root.find(strings.Fields(m[1]))
			if given := len(strings.Fields(m[2])); len(rest) == 0 && len(of.Commands) == 0 && !takes(of, given) {
				t.Errorf("%s: %q: %s takes %d arguments", at, m[0], of.Name, len(of.Args))
			}
		}
		return nil
	})
	if err != nil || named < 200 {
		t.Errorf("%d commands named: %v", named, err)
	}
	for words, want := range map[string]bool{
		"topic": true, "topic create orders": true, "consume orders": true, "generate orders": true,
		"topic infer orders": false, "group lag": false, "serv": false,
	} {
		if got := namesCommand(&root, strings.Fields(words)); got != want {
			t.Errorf("%q: got %v", words, got)
		}
	}
}

// namesCommand reports whether words begin with a command, as far as the command has
// others below it.
func namesCommand(root *commandTree, words []string) bool {
	at, rest := root.find(words)
	if at == nil || at == root {
		return false
	}
	// tarn generate TOPIC stands beside tarn generate alerts.
	return len(at.Commands) == 0 || len(rest) == 0 || at.Name == "tarn generate"
}

// takes reports whether a command takes so many arguments.
func takes(c *commandTree, given int) bool {
	return given <= len(c.Args) || len(c.Args) > 0 && c.Args[len(c.Args)-1].Repeated
}
