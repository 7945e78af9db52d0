package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/language"
)

// fence is a block of code in a document. Blocks whose first line says "run" behind
// the language are run: those of sh here, the others by the conformance scenario
// "documents", which has the languages. Those of SQL that say "tarn" are for tarn sql,
// and run by TestDocumentSQL.
type fence struct {
	file, language, text string
	line                 int
	run, tarn            bool
}

// documents are all Markdown files, by their path from here.
func documents(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(".", func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == ".cache" || d.Name() == "node_modules" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if path.Ext(at) == ".md" {
			out = append(out, filepath.ToSlash(at))
		}
		return nil
	})
	if err != nil || len(out) < 20 {
		t.Fatalf("%d documents: %v", len(out), err)
	}
	return append(out, "llms.txt")
}

// fences are the blocks of a document, and what it says outside of them.
func fences(t *testing.T, file string) (blocks []fence, prose string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var now *fence
	var out strings.Builder
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		mark := strings.HasPrefix(strings.TrimSpace(line), "```")
		switch {
		case mark && now == nil:
			words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "```"))
			now = &fence{file: file, line: n}
			if len(words) > 0 {
				now.language, now.run, now.tarn = words[0], slices.Contains(words[1:], "run"), slices.Contains(words[1:], "tarn")
			}
		case mark:
			blocks, now = append(blocks, *now), nil
		case now != nil:
			now.text += line
		default:
			out.WriteString(line)
		}
	}
	if now != nil {
		t.Errorf("%s:%d: the block has no end", file, now.line)
	}
	return blocks, out.String()
}

// anchor is the name under which a heading is linked to.
func anchor(heading string) string {
	heading = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(heading, "$1")
	heading = strings.ToLower(strings.TrimSpace(heading))
	heading = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(heading, "")
	return strings.ReplaceAll(heading, " ", "-")
}

// TestDocumentLinks holds that each link to a file leads to one, and each anchor to a
// heading.
func TestDocumentLinks(t *testing.T) {
	anchors := map[string]map[string]bool{}
	of := func(file string) map[string]bool {
		if anchors[file] == nil {
			anchors[file] = map[string]bool{}
			_, prose := fences(t, file)
			for _, h := range regexp.MustCompile(`(?m)^#{1,6} (.*)$`).FindAllStringSubmatch(prose, -1) {
				name := anchor(h[1])
				for i := 1; anchors[file][name]; i++ {
					name = fmt.Sprintf("%s-%d", anchor(h[1]), i)
				}
				anchors[file][name] = true
			}
		}
		return anchors[file]
	}
	links, code := 0, regexp.MustCompile("`[^`\n]*`")
	for _, file := range documents(t) {
		_, prose := fences(t, file)
		prose = code.ReplaceAllString(prose, "")
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"`).FindAllStringSubmatch(prose, -1) {
			to := m[1] + m[2]
			if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			links++
			at, name, _ := strings.Cut(to, "#")
			at, err := url.PathUnescape(at)
			if err != nil {
				t.Errorf("%s: link %s: %v", file, to, err)
				continue
			}
			target := path.Join(path.Dir(file), at)
			if at == "" {
				target = file
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: link %s: %v", file, to, err)
				continue
			}
			if name != "" && !of(target)[name] {
				t.Errorf("%s: link %s: %s has no such heading", file, to, target)
			}
		}
	}
	if links < 100 {
		t.Errorf("%d links found", links)
	}
}

// TestDocumentBlocks holds that what stands in documents can be read by what it is
// for: commands by this program's parser, JSON, YAML and Go by theirs.
func TestDocumentBlocks(t *testing.T) {
	k, err := newParser(&cli{}, stdio{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	k.Exit = func(int) {}
	var all []fence
	for _, file := range documents(t) {
		blocks, _ := fences(t, file)
		all = append(all, blocks...)
	}
	root, err := filepath.Abs("examples")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.Symlink(root, "examples"); err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, b := range all {
		if err := readable(&b); err != nil {
			t.Errorf("%s:%d: %v", b.file, b.line, err)
		}
		if b.language != "sh" {
			continue
		}
		for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
			for _, args := range tarnLines(strings.TrimRight(line, "\n")) {
				commands++
				if _, err := k.Parse(expand(args)); err != nil && !strings.Contains(err.Error(), "no such file") {
					t.Errorf("%s:%d: %q: %v", b.file, b.line, strings.TrimSpace(line), err)
				}
			}
		}
	}
	if commands < 100 {
		t.Errorf("%d commands found", commands)
	}
}

// expand leaves away what a shell takes out of a command.
func expand(args []string) []string {
	for i, a := range args {
		switch a {
		case "&", "&&", "||", ";", "2>&1":
			return args[:i]
		}
		if strings.HasPrefix(a, "$(") {
			return args[:i]
		}
	}
	return args
}

// readable reports whether a block is what its language says.
func readable(b *fence) error {
	switch b.language {
	case "json":
		if !json.Valid([]byte(b.text)) {
			return fmt.Errorf("no JSON: %s", b.text)
		}
		if kind := schemaOf(b.text); kind != "" {
			return parsed(kind, b.text)
		}
	case "avsc":
		return parsed(schema.Avro, b.text)
	case "proto":
		return parsed(schema.Protobuf, b.text)
	case "yaml":
		var v any
		if err := yaml.Unmarshal([]byte(b.text), &v); err != nil {
			return fmt.Errorf("no YAML: %w", err)
		}
	case "go":
		text := b.text
		if !strings.Contains(text, "package ") {
			text = "package p\nfunc _() {\n" + text + "\n}"
		}
		if _, err := parser.ParseFile(token.NewFileSet(), "block.go", text, 0); err != nil {
			return fmt.Errorf("neither a Go file nor statements: %w", err)
		}
	case "", "sh", "sql", "python", "js", "java", "properties", "xml", "dockerfile", "ini", "mermaid", "text":
	default:
		return fmt.Errorf("the language %q is none that tests know", b.language)
	}
	if b.run && !slices.Contains([]string{"sh", "python", "js", "java", "go", "sql"}, b.language) {
		return fmt.Errorf("%q cannot be run", b.language)
	}
	return nil
}

// schemaOf is the language of a block of JSON that is a schema, "" if it is none.
func schemaOf(text string) schema.Type {
	var top struct {
		Schema string          `json:"$schema"`
		Type   string          `json:"type"`
		Fields json.RawMessage `json:"fields"`
		Has    json.RawMessage `json:"properties"`
	}
	switch err := json.Unmarshal([]byte(text), &top); {
	case err != nil: // an array, or members of other kinds
	case top.Type == "record" && top.Fields != nil:
		return schema.Avro
	case top.Schema != "" || top.Type == "object" && top.Has != nil:
		return schema.JSON
	}
	return ""
}

func parsed(kind schema.Type, text string) error {
	if _, err := language.Parse(schema.Source{Type: kind, Text: text}); err != nil {
		return fmt.Errorf("no schema of %s: %w", kind, err)
	}
	return nil
}

// TestReadable holds what TestDocumentBlocks asks of blocks.
func TestReadable(t *testing.T) {
	for _, c := range []struct {
		language, text string
		ok             bool
	}{
		{"avsc", `{"type":"record","name":"A","fields":[{"name":"a","type":"long"}]}`, true},
		{"avsc", `{"type":"record","name":"A","fields":[{"name":"a","type":"lng"}]}`, false},
		{"json", `{"type":"record","name":"A","fields":[{"name":"a","type":"lng"}]}`, false},
		{"json", `{"type":"object","properties":{"a":{"type":"integer"}}}`, true},
		{"json", `{"type":"object","properties":{"a":{"type":7}}}`, false},
		{"json", `{"type":"orders","n":1}`, true},
		{"json", `[1, 2`, false},
		{"proto", "syntax = \"proto3\"; message A { int64 a = 1; }", true},
		{"proto", "syntax = \"proto3\"; message A { int65 a = 1; }", false},
		{"go", "x := 1 +", false},
		{"cobol", "", false},
	} {
		if err := readable(&fence{language: c.language, text: c.text}); (err == nil) != c.ok {
			t.Errorf("%s %s: %v", c.language, c.text, err)
		}
	}
}

// documentTimeout bounds what one document runs.
const documentTimeout = 5 * time.Minute

// TestDocumentsRun runs the blocks of sh that say so, one document after another, each
// against a broker of its own that is told the data directory tarn-data.
func TestDocumentsRun(t *testing.T) {
	ran := 0
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range documents(t) {
		blocks, _ := fences(t, file)
		blocks = slices.DeleteFunc(blocks, func(b fence) bool { return b.language != "sh" || !b.run })
		if len(blocks) == 0 {
			continue
		}
		ran += len(blocks)
		t.Run(file, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"examples"} {
				if err := os.Symlink(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			at := documentBroker(t, dir)
			for _, b := range blocks {
				runBlock(t, dir, &b, at)
			}
		})
	}
	if ran == 0 {
		t.Error("no document has a block that is run")
	}
}

// documentBroker starts a broker on dir/tarn-data, as tarn alone does there but for
// the ports.
func documentBroker(t *testing.T, dir string) runFile {
	t.Helper()
	tarn, err := exec.LookPath("tarn")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(tarn, "serve", "--kafka.listen", "127.0.0.1:0", "--http.listen", "127.0.0.1:0", "--ready-json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Dir, cmd.Stderr = dir, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the broker's log:\n%s", log.String())
		}
	})
	var run runFile
	if err := json.NewDecoder(out).Decode(&run); err != nil {
		t.Fatalf("the line of a broker that is ready: %v", err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // until it ends
	return run
}

// runBlock runs a block in a shell that stops at the first failure. Addresses are
// those that documents say, put right.
func runBlock(t *testing.T, dir string, b *fence, at runFile) {
	t.Helper()
	text := strings.NewReplacer("127.0.0.1:9092", at.Kafka, "localhost:9092", at.Kafka, "http://127.0.0.1:8081", at.HTTP, "http://localhost:8081", at.HTTP).Replace(b.text)
	ctx, cancel := context.WithTimeout(t.Context(), documentTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-eu", "-c", text)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s:%d: %v\n%s\n%s", b.file, b.line, err, text, out)
	}
}
