package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tree is the command tree of this program.
func tree(t *testing.T) commandTree {
	t.Helper()
	k, err := newParser(&cli{}, stdio{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return treeOf(k.Model.Node)
}

// shellWords splits a command line of an example: words, quotes, comments. Only what
// belongs to the last "tarn" of a pipe is kept, without redirections.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	quote, begun := rune(0), false
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, begun = r, true
		case quote == 0 && r == '#' && !begun:
			end()
			return words
		case quote == 0 && (r == ' ' || r == '\t'):
			end()
		case quote == 0 && (r == '|' || r == '>' || r == '<'):
			end()
			words = append(words, string(r))
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	end()
	return words
}

// tarnLines are the commands of tarn in a line with pipes and redirections.
func tarnLines(line string) [][]string {
	var out [][]string
	var now []string
	in := false
	words := shellWords(line)
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w == ">" || w == "<":
			i++ // the file
		case w == "|":
			if in {
				out = append(out, now)
			}
			now, in = nil, false
		case w == "tarn" && !in:
			in = true
		case in:
			now = append(now, w)
		}
	}
	if in {
		out = append(out, now)
	}
	return out
}

// TestExamplesOfCommands holds that every command's help has an example of it, and
// that all parse.
func TestExamplesOfCommands(t *testing.T) {
	root := tree(t)
	t.Chdir(t.TempDir())
	for _, file := range []string{"order.avsc", "new.avsc"} {
		if err := os.WriteFile(file, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	known, all := helpExamples(), helpExamples()
	k, err := newParser(&cli{}, stdio{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	k.Exit = func(int) {}
	for _, leaf := range root.leaves() {
		path := strings.TrimPrefix(leaf.Name, "tarn ")
		delete(known, path)
		shown := false
		for _, line := range leaf.Examples {
			for _, args := range tarnLines(line) {
				ctx, err := k.Parse(args)
				if err != nil {
					t.Errorf("%s: its example %q: %v", leaf.Name, line, err)
					continue
				}
				shown = shown || commandPath(ctx.Selected()) == path
			}
		}
		if !shown {
			t.Errorf("%s has no example of itself: give it a Help method, or a line in helpExamples (examples_help.go)", leaf.Name)
		}
		if leaf.Help == "" {
			t.Errorf("%s has no help", leaf.Name)
		}
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"profile", "set", "--help"}, stdio{out: &out, err: &out}); code != 0 || !strings.Contains(out.String(), "\n    "+all["profile set"]+"\n") {
		t.Errorf("an example that stands alone is not on a line of its own:\n%s", out.String())
	}
	for path := range known {
		t.Errorf("helpExamples has %q, which is no command", path)
	}
}

// TestFlagsSay holds that a flag says what it takes: the words that may stand there are in
// its help, and no type of Go's stands for a value.
func TestFlagsSay(t *testing.T) {
	root := tree(t)
	for _, leaf := range root.leaves() {
		for _, f := range leaf.Flags {
			for _, word := range f.Enum {
				if !strings.Contains(strings.ToLower(f.Help), strings.ToLower(word)) {
					t.Errorf("%s --%s: %q is not in its help: %s", leaf.Name, f.Name, word, f.Help)
				}
			}
			for _, kind := range []string{"INT", "UINT", "FLOAT", "STRING", "BOOL"} {
				if strings.HasPrefix(f.Placeholder, kind) {
					t.Errorf("%s --%s=%s: give it a placeholder", leaf.Name, f.Name, f.Placeholder)
				}
			}
			if f.Help == "" {
				t.Errorf("%s --%s has no help", leaf.Name, f.Name)
			}
		}
	}
}

// TestHelpJSON prints the tree, whole and in part, and the help of every command.
func TestHelpJSON(t *testing.T) {
	ask := func(args ...string) string {
		var out bytes.Buffer
		if code := run(t.Context(), args, stdio{in: strings.NewReader(""), out: &out, err: &out}); code != 0 {
			t.Fatalf("%q exits %d: %s", args, code, out.String())
		}
		return out.String()
	}
	var root, part commandTree
	if err := json.Unmarshal([]byte(ask("--help-json")), &root); err != nil {
		t.Fatal(err)
	}
	if want := tree(t); len(root.leaves()) != len(want.leaves()) || len(root.leaves()) < 60 {
		t.Errorf("%d commands, want %d", len(root.leaves()), len(want.leaves()))
	}
	if err := json.Unmarshal([]byte(ask("topic", "create", "--help-json")), &part); err != nil || part.Name != "tarn topic create" {
		t.Errorf("got %q, %v", part.Name, err)
	}
	for _, leaf := range root.leaves() {
		words := strings.Fields(strings.TrimPrefix(leaf.Name, "tarn "))
		if help := ask(append(words, "--help")...); !strings.Contains(help, "Usage: "+leaf.Name) && leaf.Name != "tarn serve" {
			t.Errorf("help of %s: %.200s", leaf.Name, help)
		}
	}
}

// TestReference holds CLI.md to the commands.
func TestReference(t *testing.T) {
	root := tree(t)
	var want bytes.Buffer
	if err := writeReference(&want, &root); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("CLI.md")
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("CLI.md is not what the commands say (%v): go run . man --markdown > CLI.md", err)
	}
}

// TestCompletions completes words.
func TestCompletions(t *testing.T) {
	root := tree(t)
	names := func(_ context.Context, kind string) []string {
		return map[string][]string{"topic": {"orders", "users"}, "group": {"billing"}, "subject": {"orders-value"}}[kind]
	}
	for _, tt := range []struct{ line, want string }{
		{"topi", "topic"},
		{"topic ", "create list describe alter trim replay size redrive delete"},
		{"topic de", "describe delete"},
		{"topic list --output ", "text json csv"},
		{"topic list --output=j", ""},
		{"topic list --outp", "--output"},
		{"topic describe ", "orders users"},
		{"topic describe --all or", "orders"},
		{"topic describe -b host:1 or", "orders"},
		{"topic describe orders ", "orders users"}, // it takes several
		{"table explain orders ", ""},
		{"topic delete orders u", "users"},
		{"topic create ", ""},
		{"consume o", "orders"},
		{"group seek b", "billing"},
		{"group seek billing u", "users"},
		{"schema get ", "orders-value"},
		{"completion z", "zsh"},
		{"nothing ", ""},
	} {
		var got []string
		for _, l := range completions(t.Context(), &root, strings.Split(tt.line, " "), names) {
			word, _, _ := strings.Cut(l, "\t")
			got = append(got, word)
		}
		if tt.line == "nothing " {
			got = nil // every command may follow an unknown word
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%q: got %q, want %q", tt.line, got, tt.want)
		}
	}
}

// TestManPages writes a page for every command.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	if code := run(t.Context(), []string{"man", dir}, stdio{out: &out, err: &out}); code != 0 {
		t.Fatal(out.String())
	}
	root := tree(t)
	for _, leaf := range root.leaves() {
		b, err := os.ReadFile(filepath.Join(dir, pageName(leaf.Name)+".1"))
		if err != nil || !bytes.Contains(b, []byte(".SH EXAMPLES")) || !bytes.HasPrefix(b, []byte(".TH ")) {
			t.Errorf("%s: %v, %.80q", leaf.Name, err, b)
		}
	}
}

// startServe runs a broker in this process and returns its data directory.
func startServe(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan string, 1)
	ready, announce := io.Pipe()
	go func() {
		var problems bytes.Buffer
		code := run(ctx, []string{"serve", "--data", dir, "--storage", "memory://", "--kafka.listen", "127.0.0.1:0", "--http.listen", "127.0.0.1:0", "--ready-json", "--log.level", "error"},
			stdio{out: announce, err: &problems})
		_ = announce.CloseWithError(errors.New("ended"))
		ended <- fmt.Sprint(code, " ", problems.String())
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Error("the broker does not end")
		}
	})
	if _, err := ready.Read(make([]byte, 1<<12)); err != nil {
		t.Fatal(<-ended)
	}
	go func() { _, _ = io.Copy(io.Discard, ready) }()
	return dir
}

// triedCommands are command lines, one for each command that answers, in an order in which
// each finds what it wants.
func triedCommands() []string {
	return []string{
		"doctor", "topic create t u -p 1", "topic list", "topic describe t", "topic alter t -c retention.ms=1000000", "topic size t",
		"schema register t-value order.avsc", "schema list", "schema get t-value", "schema check t-value order.avsc", "schema describe t",
		"schema diff t-value 1 1", "schema level", "schema mode", "schema report t",
		"produce t lines.jsonl", "produce plain plain.jsonl", "consume t", "schema infer plain",
		"generate records t -n 20 --key u{n:3}", "perf produce bench -n 50 --size 10", "perf consume bench", "perf e2e t -n 5 --rate 0",
		"sql 'select * from t'", "rejections t", "topic redrive t --dry-run",
		"group seek g t --to start", "group list", "group describe g", "group config describe g --all", "group config set g -c share.isolation.level=read_committed", "config print --with-source", "version", "group forget g t", "group delete g",
		"topic trim u --before end", "topic replay t --to t2 --dry-run", "topic replay plain --to plain2",
		"config describe --all", "config alter -c log.retention.ms=86400000",
		"apply -f want.yaml",
		"table list", "table status plain", "table flush plain", "table wait plain", "table verify plain", "table explain plain", "table files plain", "table history plain",
		"table compact plain", "table expire plain", "table rebuild plain", "table redrive plain",
		"user create ann", "user list", "user delete ann",
		"token list", "acl create --principal ann --operation read --topic t", "acl list", "acl delete --topic t",
		"quota set --for-user ann producer_byte_rate=1000", "quota list",
		"produce x lines2.jsonl --transaction tx", "txn list", "txn describe tx", "txn producers x", "txn abort tx",
		"client list", "client metrics", "client subscribe s", "client subscriptions", "client unsubscribe s",
		"listener list", "listener advertise --reset",
		"log-level warn", "healthcheck", "debug bundle",
		"schema delete t-value", "topic delete u", "reset --topic plain2 -y",
	}
}

// TestEveryCommandAnswersJSON runs every command with --output json: what it prints is
// JSON, in the envelope unless it streams.
func TestEveryCommandAnswersJSON(t *testing.T) {
	data := startServe(t)
	root := tree(t)
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"order.avsc":   `{"type":"record","name":"R","fields":[{"name":"n","type":"long"}]}`,
		"lines.jsonl":  `{"n":1}` + "\n",
		"lines2.jsonl": `{"n":1}` + "\n",
		"plain.jsonl":  `{"a":1}` + "\n",
		"want.yaml":    "topics: [{name: plain, configs: {tarn.table.formats: \"iceberg,delta\", tarn.table.value.as: json}}]\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// No answers of their own, or not of one broker: tested by scripts.
	seen := []string{"tarn serve", "tarn dev", "tarn test", "tarn demo", "tarn completion", "tarn man", "tarn token create", "tarn token renew", "tarn token expire", "tarn generate grafana", "tarn generate alerts"}
	seen = append(seen, elsewhere()...)
	for _, line := range triedCommands() {
		args := append(shellWords(line), "--output", "json")
		if at, _ := root.find(shellWords(line)); slices.ContainsFunc(at.Flags, func(f flagInfo) bool { return f.Name == "data" }) {
			args = append(args, "--data", data)
		}
		var out, problems bytes.Buffer
		code := run(t.Context(), args, stdio{in: strings.NewReader("secret\n"), out: &out, err: &problems})
		at, _ := root.find(shellWords(line))
		seen = append(seen, at.Name)
		if code != 0 && !mayFail(line) {
			t.Errorf("%s: exit %d: %s", line, code, problems.String())
		}
		d := json.NewDecoder(&out)
		n := 0
		for ; ; n++ {
			var v map[string]any
			if err := d.Decode(&v); err == io.EOF {
				break
			} else if err != nil {
				t.Errorf("%s: not JSON: %v", line, err)
				break
			}
			if at.Name == "tarn consume" {
				continue
			}
			if v["command"] != strings.TrimPrefix(at.Name, "tarn ") || v["version"] != 1.0 {
				t.Errorf("%s: no envelope: %v", line, v)
			}
			_, items := v["items"]
			_, item := v["item"]
			_, failed := v["error"]
			if !items && !item && !failed || failed && code == 0 {
				t.Errorf("%s: exit %d, got %v", line, code, v)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d objects", line, n)
		}
	}
	for _, leaf := range root.leaves() {
		if !slices.Contains(seen, leaf.Name) {
			t.Errorf("%s is not tried: give it a line in triedCommands (commands_test.go)", leaf.Name)
		}
	}
}

// elsewhere are commands whose tests are scripts, since they need files, several
// brokers or none.
func elsewhere() []string {
	return []string{"tarn backup", "tarn restore", "tarn replicate", "tarn errors", "tarn config lint", "tarn config schema",
		"tarn profile list", "tarn profile show", "tarn profile set", "tarn profile use", "tarn profile delete"}
}

// mayFail reports whether a command has nothing to do in the test and says so.
func mayFail(line string) bool {
	return strings.HasPrefix(line, "acl ") || // rules are not in force
		slices.Contains([]string{"doctor", "schema report t", "topic redrive t --dry-run", "token list", "table redrive plain"}, line)
}

// TestFormatHint gives a command's other forms to --output.
func TestFormatHint(t *testing.T) {
	var out, errs strings.Builder
	code := run(t.Context(), []string{"sql", "--output", "parquet", "select 1"}, stdio{in: strings.NewReader(""), out: &out, err: &errs})
	if code == 0 || !strings.Contains(errs.String(), "--format is for parquet, arrow, arrow-stream, jsonl") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}
