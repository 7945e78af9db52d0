package share

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

var update = flag.Bool("update", false, "write what scripts print into testdata")

// TestScripts runs testdata/*.txt against the window of one share-partition.
// Lines that begin with "> " are commands, those with "#" comments; all others
// are what is expected to come of it, the whole of it.
//
//	acquire MEMBER RECORDS [strict] [batch=N] [from=N] BATCH…   a batch is 0-4, 7-9/skip
//	ack MEMBER op=N RANGE…                                      a range is 0-4:accept
//	settle N ok|failed    release MEMBER
//	at DURATION           logstart N          restart          locks N    limit N
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("found %d scripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(want))
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the trace differs:\n%s", firstDifference(string(want), string(got)))
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("want %d lines, got %d", len(w), len(g))
}

// script is a window with what a script needs around it.
type script struct {
	t          *testing.T
	w          window
	start, now time.Time
	locks      int64
	limit      int16
	out        bytes.Buffer
}

const (
	scriptLock  = 30 * time.Second
	scriptLimit = 3 // deliveries
)

func runScript(t *testing.T, text string) []byte {
	start := time.UnixMilli(1_000_000)
	s := &script{t: t, start: start, now: start, locks: 10, limit: scriptLimit}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		cmd, ok := strings.CutPrefix(line, "> ")
		if ok || strings.HasPrefix(line, "#") || line == "" {
			fmt.Fprintln(&s.out, line)
		}
		if ok {
			s.run(strings.Fields(cmd))
			s.w.check(t)
			fmt.Fprintln(&s.out, s.show())
		}
	}
	return s.out.Bytes()
}

func (s *script) number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *script) span(text string) (first, last int64) {
	a, b, ok := strings.Cut(text, "-")
	if !ok {
		b = a
	}
	return s.number(a), s.number(b)
}

func (s *script) run(words []string) {
	switch words[0] {
	case "acquire":
		s.acquire(words[1:])
	case "ack":
		s.ack(words[1:])
	case "settle":
		s.w.settle(opID(s.number(words[1])), words[2] == "ok")
	case "release":
		s.w.release(words[1], s.limit)
	case "at":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = s.start.Add(d)
		if _, next := s.w.expire(s.now, s.limit); !next.IsZero() {
			fmt.Fprintf(&s.out, "next lock ends at %v\n", next.Sub(s.start))
		}
	case "logstart":
		s.w.advance(s.number(words[1]))
	case "limit":
		s.limit = int16(s.number(words[1]))
	case "locks":
		s.locks = s.number(words[1])
	case "restart":
		w, err := decode(s.w.encode())
		if err != nil {
			s.t.Fatal(err)
		}
		s.w = w
	default:
		s.t.Fatalf("unknown command %q", words[0])
	}
}

func (s *script) acquire(words []string) {
	a := acquisition{member: words[0], until: s.now.Add(scriptLock), records: s.number(words[1]), locks: s.locks, limit: s.limit}
	var extents []extent
	from, _, ok := s.w.from(0, s.locks)
	for _, word := range words[2:] {
		if word == "strict" {
			a.strict = true
			continue
		}
		if v, is := strings.CutPrefix(word, "batch="); is {
			a.batch = s.number(v)
			continue
		}
		if v, is := strings.CutPrefix(word, "limit="); is {
			a.limit = int16(s.number(v))
			continue
		}
		if word == "more" {
			a.more = true
			continue
		}
		if v, is := strings.CutPrefix(word, "from="); is {
			from, ok = s.number(v), true
			continue
		}
		rest, skip := strings.CutSuffix(word, "/skip")
		e := extent{skip: skip}
		e.first, e.last = s.span(rest)
		extents = append(extents, e)
	}
	if !ok {
		fmt.Fprintln(&s.out, "no room")
		return
	}
	got, _, _ := s.w.acquire(a, from, extents)
	for _, g := range got {
		fmt.Fprintf(&s.out, "%s gets %d-%d delivery %d\n", a.member, g.first, g.last, g.count)
	}
}

var ackNames = []string{"gap", "accept", "release", "reject", "renew"}

func (s *script) ack(words []string) {
	var batches []ackBatch
	op := opID(s.number(strings.TrimPrefix(words[1], "op=")))
	for _, word := range words[2:] {
		spans, kinds, _ := strings.Cut(word, ":")
		b := ackBatch{}
		b.first, b.last = s.span(spans)
		for kind := range strings.SplitSeq(kinds, ",") {
			n := int8(99)
			for i, name := range ackNames {
				if name == kind {
					n = int8(i)
				}
			}
			b.types = append(b.types, n)
		}
		batches = append(batches, b)
	}
	runs, code := parseAcks(batches, true)
	write := false
	if code == wire.None {
		write, code = s.w.acknowledge(words[0], runs, op, s.now.Add(scriptLock), s.limit)
	}
	fmt.Fprintf(&s.out, "%s write=%v\n", code, write)
}

// show prints the window.
func (s *script) show() string {
	text := fmt.Sprintf("[%d,%d)", s.w.start, s.w.end)
	for _, sp := range s.w.spans {
		text += fmt.Sprintf(" %d-%d", sp.first, sp.last)
		switch sp.state {
		case done:
			text += ":done"
		case available:
			text += fmt.Sprintf(":available×%d", sp.count)
		default:
			text += fmt.Sprintf(":%s×%d@%v", sp.member, sp.count, sp.until.Sub(s.start))
			if sp.op != 0 {
				text += fmt.Sprintf("→%s#%d", []string{"available", "", "done"}[sp.next], sp.op)
			}
		}
	}
	return text
}

// check holds a window to what is always true of it.
func (w *window) check(t *testing.T) {
	t.Helper()
	at := w.start
	for i := range w.spans {
		s := &w.spans[i]
		bad := ""
		switch {
		case s.first != at || s.last < s.first:
			bad = "has a gap before it"
		case i > 0 && w.spans[i-1].like(s):
			bad = "is like the one before"
		case i == 0 && s.state == done:
			bad = "is done, at the start"
		case (s.state == acquired) != (s.member != "") || s.state != acquired && s.op != 0 || s.op == 0 && s.next != available:
			bad = "contradicts itself"
		case s.state == acquired && s.count < 1:
			bad = "was never delivered"
		}
		if bad != "" {
			t.Fatalf("span %d %+v of %+v %s", i, *s, *w, bad)
		}
		at = s.last + 1
	}
	if at != w.end {
		t.Fatalf("spans of %+v end at %d", *w, at)
	}
}
