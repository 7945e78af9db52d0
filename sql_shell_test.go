package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/term"
)

// typed are lines as somebody types them.
type typed []string

func (t *typed) ReadLine(string) (string, error) {
	if len(*t) == 0 {
		return "", io.EOF
	}
	line := (*t)[0]
	*t = (*t)[1:]
	if line == keyInterrupt {
		return "", errInterrupted
	}
	return line, nil
}

// TestShellInterrupted presses Ctrl-C at the prompt: what is typed is dropped, and the
// shell stays.
func TestShellInterrupted(t *testing.T) {
	asked := ""
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked += string(body) + "\n"
	}))
	defer server.Close()
	lines := typed{"select 1", keyInterrupt, "select 2;", keyInterrupt, keyInterrupt, "select 3;", keyInterrupt, ".quit"}
	var out strings.Builder
	s := &sqlShell{cmd: &sqlCmd{connect: connect{HTTP: server.URL}, Limit: 10}, lines: &lines, out: &out, mode: "text"}
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := `{"sql":"select 2","limit":10,"format":"text"}` + "\n" + `{"sql":"select 3","limit":10,"format":"text"}` + "\n"; asked != want {
		t.Errorf("asked\n%swant\n%s", asked, want)
	}
	if got := strings.Count(out.String(), ".quit"); got != 1 {
		t.Errorf("%d hints, want one:\n%s", got, out.String())
	}
}

// TestPromptKeys presses keys in an editor of lines.
func TestPromptKeys(t *testing.T) {
	keys := &promptKeys{in: strings.NewReader("half\x1b[D\x03select 1;\r\x03")}
	edit := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, io.Discard}, "> ")
	for i, want := range []string{"", "select 1;", ""} {
		if got, err := edit.ReadLine(); err != nil || got != want {
			t.Errorf("line %d: %q, %v, want %q", i, got, err, want)
		}
	}
	if !keys.interrupted {
		t.Error("Ctrl-C went unseen")
	}
	if _, err := edit.ReadLine(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// TestShell types into a shell before a broker that repeats what it is asked.
func TestShell(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if strings.Contains(string(body), "wrong") {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error_code":40001,"message":"no such column: wrong"}`)
			return
		}
		if strings.Contains(string(body), "note") {
			w.Header().Set(noteHeader, "digits")
		}
		w.Header().Set(statsHeader, `{"scanned":7,"read":{"files":1,"files_passed":3,"row_groups":2,"row_groups_passed":1,"log_batches":5,"log_bytes":1500},"elapsed_ms":3}`)
		_, _ = w.Write(append(body, '\n'))
	}))
	defer server.Close()
	lines := typed{
		"select 1", "  from orders;", "", ".tables", ".schema log.orders", ".mode csv", ".mode xml", ".limit 5", ".limit no",
		".stats off", "select ';' x; select 'note';", "select wrong;", ".duckdb", ".what", ".quit", "select 2;",
	}
	var out strings.Builder
	s := &sqlShell{cmd: &sqlCmd{connect: connect{HTTP: server.URL}, Limit: 10}, lines: &lines, out: &out, mode: "text", stats: true}
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	const stats = "7 rows looked at in 3 ms; 1 of 4 files, 2 of 3 row groups; 5 batches of the log, 2 kB\n"
	want := `{"sql":"select 1\nfrom orders","limit":10,"format":"text"}` + "\n" + stats +
		`{"sql":"SHOW TABLES","limit":10,"format":"text"}` + "\n" + stats +
		`{"sql":"DESCRIBE log.orders","limit":10,"format":"text"}` + "\n" + stats +
		"tarn: .mode is one of text, json, csv, jsonl, now csv\ntarn: .limit is 1 to 1000000, now 5\n" +
		`{"sql":"select ';' x","limit":5,"format":"csv"}` + "\n" +
		`{"sql":"select 'note'","limit":5,"format":"csv"}` + "\ntarn: digits\n" +
		"tarn: no such column: wrong\n" +
		"tarn: no such column: wrong\n" + // .duckdb, of the last statement
		"tarn: there is no .what; .help lists what there is\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(lines) != 1 {
		t.Errorf("%d lines were left, want that behind .quit", len(lines))
	}
}

func TestShellCompletes(t *testing.T) {
	complete := completer(func() []string { return []string{"orders", "order_lines", "ORDERED", "log.orders", "sum("} })
	for _, c := range []struct{ line, want string }{
		{"select * from orders|", "select * from orders|"},
		{"select * from order_|", "select * from order_lines|"},
		{"select * from lo| where", "select * from log.orders| where"},
		{"select su|", "select sum(|"},
		{"select sum(xy|", "select sum(xy|"},
		{"select |", "select |"},
	} {
		pos := strings.Index(c.line, "|")
		line, at, ok := complete(c.line[:pos]+c.line[pos+1:], pos, '\t')
		if got := line[:at] + "|" + line[at:]; !ok || got != c.want {
			t.Errorf("%s: got %s, want %s", c.line, got, c.want)
		}
	}
	if _, _, ok := complete("a", 1, 'b'); ok {
		t.Error("a letter was taken for Tab")
	}
}

func TestShellHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "history")
	h := openShellHistory(path)
	for _, line := range []string{"select 1;", "", "select 1;", "select 2;"} {
		h.Add(line)
	}
	again := openShellHistory(path)
	if again.Len() != 2 || again.At(0) != "select 2;" || again.At(1) != "select 1;" {
		t.Errorf("read again: %q", again.lines)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, want it to be for its owner: %v", info.Mode(), err)
	}
	for range maxHistory {
		again.Add("select 1;")
		again.Add("select 2;")
	}
	if n := openShellHistory(path).Len(); n != maxHistory {
		t.Errorf("%d lines are kept, want %d", n, maxHistory)
	}
}
