package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/tarn-io/tarn/sink/query"
)

// shellHelp is what .help prints.
const shellHelp = `A statement ends with a semicolon and may have several lines. Tab completes names.
  show tables;             the tables that there are          .tables
  describe orders;         the columns of one                 .schema orders
  explain query plan …;    what is read for a statement
  .mode text|json|csv|jsonl  form of results
  .limit N                 rows of a result, at most
  .stats on|off            what was read for each result
  .duckdb                  the last statement for DuckDB
  .quit                    as does Ctrl-D; Ctrl-C ends a query that runs, or drops what is typed
`

// lineReader is where a shell's lines come from.
type lineReader interface {
	// ReadLine shows the prompt and reads a line; io.EOF ends the shell, and
	// errInterrupted drops what was typed.
	ReadLine(prompt string) (string, error)
}

// errInterrupted says that Ctrl-C was pressed at the prompt.
var errInterrupted = errors.New("interrupted")

// sqlShell is tarn sql at a terminal.
type sqlShell struct {
	cmd   *sqlCmd
	lines lineReader
	out   io.Writer
	mode  string // as in --output and --format
	stats bool
	last  string // the last statement
}

// shellModes are the forms in which a shell shows results.
var shellModes = []string{"text", "json", "csv", "jsonl"}

// shell reads statements and commands from the terminal until it ends.
func (c *sqlCmd) shell(ctx context.Context, std stdio) error {
	in, ok := std.in.(*os.File)
	if !ok {
		return errors.New("the shell needs a terminal")
	}
	s := &sqlShell{cmd: c, out: std.out, mode: "text", stats: true}
	t := newTerminalLines(in, std.out)
	t.edit.AutoCompleteCallback = completer(func() []string { return s.words(ctx) })
	s.lines = t
	if base, err := c.httpAddress(); err == nil {
		fmt.Fprintf(s.out, "tarn %s at %s: .help says more\n", version, base)
	}
	return s.run(ctx)
}

// run reads to the end of the lines.
func (s *sqlShell) run(ctx context.Context) error {
	text, interrupted := "", 0 // in a row
	for {
		prompt := "tarn> "
		if text != "" {
			prompt = " ...> "
		}
		line, err := s.lines.ReadLine(prompt)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if errors.Is(err, errInterrupted) {
			if text, interrupted = "", interrupted+1; interrupted > 1 {
				fmt.Fprintln(s.out, "tarn: .quit or Ctrl-D ends the shell")
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("read from the terminal: %w", err)
		}
		interrupted = 0
		line = strings.TrimSpace(line)
		if text == "" && (line == "" || strings.HasPrefix(line, ".")) {
			if s.command(ctx, strings.Fields(line)) {
				return nil
			}
			continue
		}
		if text += line + "\n"; strings.HasSuffix(line, ";") {
			for _, one := range query.Statements(text) {
				s.ask(ctx, one)
			}
			text = ""
		}
	}
}

// command runs a command of the shell; done is true when it ends.
func (s *sqlShell) command(ctx context.Context, words []string) (done bool) {
	if len(words) == 0 {
		return false
	}
	given := ""
	if len(words) > 1 {
		given = words[1]
	}
	switch words[0] {
	case ".quit", ".exit":
		return true
	case ".help":
		fmt.Fprint(s.out, shellHelp)
	case ".tables":
		s.ask(ctx, "SHOW TABLES")
	case ".schema":
		if given == "" {
			s.ask(ctx, "SHOW TABLES")
			return false
		}
		s.ask(ctx, "DESCRIBE "+strings.Join(words[1:], " "))
	case ".mode":
		if !slices.Contains(shellModes, given) {
			fmt.Fprintf(s.out, "tarn: .mode is one of %s, now %s\n", strings.Join(shellModes, ", "), s.mode)
			return false
		}
		s.mode = given
	case ".limit":
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > query.MaxRows {
			fmt.Fprintf(s.out, "tarn: .limit is 1 to %d, now %d\n", query.MaxRows, s.cmd.Limit)
			return false
		}
		s.cmd.Limit = n
	case ".stats":
		if given != "on" && given != "off" {
			fmt.Fprintln(s.out, "tarn: .stats on or .stats off")
			return false
		}
		s.stats = given == "on"
	case ".duckdb":
		mode := s.mode
		s.mode = formatDuckDB
		s.ask(ctx, s.last)
		s.mode = mode
	default:
		fmt.Fprintf(s.out, "tarn: there is no %s; .help lists what there is\n", words[0])
	}
	return false
}

// ask runs a statement and shows its result, or why there is none. Ctrl-C ends it.
func (s *sqlShell) ask(ctx context.Context, sql string) {
	if !strings.HasPrefix(sql, "SHOW ") && !strings.HasPrefix(sql, "DESCRIBE ") {
		s.last = sql
	}
	// The program's own context ends with the first Ctrl-C, the shell's does not.
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt)
	defer stop()
	mode := s.mode
	if mode == "json" {
		mode = "objects"
	}
	resp, err := s.cmd.ask(ctx, sqlRequest{SQL: sql, Limit: s.cmd.Limit, TimeoutMs: s.cmd.Timeout.Milliseconds(), Format: mode})
	if err == nil {
		_, err = io.Copy(s.out, resp.Body)
		_ = resp.Body.Close() // it was read
		if note := resp.Header.Get(noteHeader); note != "" {
			fmt.Fprintln(s.out, "tarn:", note)
		}
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(s.out, "\ntarn: the query was ended")
	case err != nil:
		fmt.Fprintln(s.out, "tarn:", err)
	case s.stats && mode != formatDuckDB:
		if text := statsLine(resp); text != "" {
			fmt.Fprintln(s.out, text)
		}
	}
}

// statsLine says what was read for a result, "" where nothing was.
func statsLine(resp *http.Response) string {
	var st sqlStats
	if err := json.Unmarshal([]byte(resp.Header.Get(statsHeader)), &st); err != nil || st.Scanned == 0 && st.Read == (query.Read{}) {
		return ""
	}
	text := fmt.Sprintf("%d rows looked at in %d ms", st.Scanned, st.ElapsedMs)
	if r := st.Read; r.Files+r.FilesPassed > 0 {
		text += fmt.Sprintf("; %d of %d files, %d of %d row groups", r.Files, r.Files+r.FilesPassed, r.RowGroups, r.RowGroups+r.RowGroupsPassed+r.RowGroupsAnswered)
		if r.RowGroupsAnswered > 0 {
			text += fmt.Sprintf(" and %d by their statistics", r.RowGroupsAnswered)
		}
	}
	if r := st.Read; r.Batches > 0 {
		text += fmt.Sprintf("; %d batches of the log, %d kB", r.Batches, (r.LogBytes+999)/1000)
	}
	return text
}

// words are what Tab completes: names of tables and columns, and some of SQL's own.
func (s *sqlShell) words(ctx context.Context) []string {
	out := strings.Fields("select from where group by order limit having distinct count( sum( avg( min( max( describe show tables explain query plan join with materialized datetime( json_each( .tables .schema .mode .limit .stats .duckdb .help .quit")
	var all []query.Table
	if s.cmd.call(ctx, http.MethodGet, sqlPages+"/tables", nil, &all) == nil {
		for _, t := range all {
			out = append(out, t.Name)
			for _, c := range t.Columns {
				out = append(out, c.Name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// completer completes the word before the cursor as far as all words that begin like
// it agree.
func completer(words func() []string) func(line string, pos int, key rune) (string, int, bool) {
	return func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		from := strings.LastIndexAny(line[:pos], " \t(,=<>+") + 1
		begun := line[from:pos]
		found := ""
		for _, w := range words() {
			switch {
			case begun == "" || len(w) < len(begun) || !strings.EqualFold(w[:len(begun)], begun):
			case found == "":
				found = w
			default:
				n := 0
				for n < len(w) && n < len(found) && w[n] == found[n] {
					n++
				}
				found = found[:max(n, len(begun))]
			}
		}
		if found == "" {
			return line, pos, true // a tab is no part of a statement
		}
		return line[:from] + found + line[pos:], from + len(found), true
	}
}

// terminalLines reads lines from a terminal, with editing and a history that is kept.
type terminalLines struct {
	in   *os.File
	keys *promptKeys
	edit *term.Terminal
}

func newTerminalLines(in *os.File, out io.Writer) *terminalLines {
	keys := &promptKeys{in: in}
	t := &terminalLines{in: in, keys: keys, edit: term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, out}, "")}
	if dir, err := os.UserCacheDir(); err == nil {
		t.edit.History = openShellHistory(filepath.Join(dir, "tarn", "sql_history"))
	}
	return t
}

// ReadLine implements lineReader. The terminal is as it was while nobody types, so
// that Ctrl-C ends a query.
func (t *terminalLines) ReadLine(prompt string) (line string, err error) {
	before, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, term.Restore(int(t.in.Fd()), before)) }()
	if width, height, err := term.GetSize(int(t.in.Fd())); err == nil && width > 0 {
		_ = t.edit.SetSize(width, height) // the line breaks elsewhere then
	}
	t.edit.SetPrompt(prompt)
	line, err = t.edit.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) { // pasted as a whole
		err = nil
	}
	if err == nil && line == "" && t.keys.interrupted {
		t.keys.interrupted = false
		err = errInterrupted
	}
	return line, err
}

// promptKeys are the keys of a terminal in raw mode. Ctrl-C, at which the editor would
// end as at Ctrl-D, becomes the keys that leave an empty line.
type promptKeys struct {
	in          io.Reader
	left        []byte
	interrupted bool // an empty line comes that is a Ctrl-C
}

// Keys in raw mode.
const (
	keyInterrupt = "\x03"       // Ctrl-C
	keysNoLine   = "\x05\x15\r" // to the line's end, delete up to there, Enter
)

// Read implements io.Reader.
func (k *promptKeys) Read(b []byte) (int, error) {
	if len(k.left) == 0 {
		var typed [256]byte
		n, err := k.in.Read(typed[:])
		if n == 0 {
			return 0, err
		}
		keys := string(typed[:n])
		k.interrupted = k.interrupted || strings.Contains(keys, keyInterrupt)
		k.left = []byte(strings.ReplaceAll(keys, keyInterrupt, keysNoLine))
	}
	n := copy(b, k.left)
	k.left = k.left[n:]
	return n, nil
}

// maxHistory bounds the lines that a shell remembers.
const maxHistory = 1000

// shellHistory is the lines that were typed, kept in a file as far as it goes: nothing
// depends on it.
type shellHistory struct {
	lines []string // the newest last
	path  string
}

func openShellHistory(path string) *shellHistory {
	h := &shellHistory{path: path}
	f, err := os.Open(path)
	if err != nil {
		return h
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		h.lines = append(h.lines, in.Text())
	}
	if n := len(h.lines) - maxHistory; n > 0 {
		h.lines = h.lines[n:]
		_ = os.WriteFile(path, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600)
	}
	return h
}

// Add implements term.History.
func (h *shellHistory) Add(line string) {
	if line = strings.TrimSpace(line); line == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	if os.MkdirAll(filepath.Dir(h.path), 0o700) != nil {
		return
	}
	f, err := os.OpenFile(h.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, _ = f.WriteString(line + "\n")
	_ = f.Close()
}

// Len implements term.History.
func (h *shellHistory) Len() int { return len(h.lines) }

// At implements term.History; 0 is the newest.
func (h *shellHistory) At(i int) string { return h.lines[len(h.lines)-1-i] }
