package commitlog

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/storage/sqlite"
)

var update = flag.Bool("update", false, "write what scripts print into testdata")

// TestScripts runs testdata/compact/*.txt and testdata/log/*.txt. Lines that begin
// with "> " are commands, those with "#" comments; all others are what is printed,
// the whole of it. Every engine prints the same.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(files) < 15 {
		t.Fatalf("found %d scripts, %v", len(files), err)
	}
	for _, file := range files {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(scriptName(file), func(t *testing.T) {
			got := runScript(t, memory.New(), string(want))
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				want = got
			}
			compareScript(t, want, got)
		})
		t.Run(scriptName(file)+" on sqlite", func(t *testing.T) {
			e, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "tarn.db")})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			compareScript(t, want, runScript(t, e, string(want)))
		})
	}
}

func compareScript(t *testing.T, want, got []byte) {
	t.Helper()
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range max(len(w), len(g)) {
		if i >= len(w) || i >= len(g) || w[i] != g[i] {
			t.Fatalf("the trace differs from line %d on:\n%s", i+1, strings.Join(g[min(i, len(g)):], "\n"))
		}
	}
}

func scriptName(file string) string {
	return filepath.Base(filepath.Dir(file)) + " " + filepath.Base(file)
}

// script is a log with what a script needs around it.
type script struct {
	t      *testing.T
	engine *faulty.Engine
	out    bytes.Buffer
	now    time.Time
	keys   int
	logs   *Logs
	stop   func()
	b      record.Builder
}

func runScript(t *testing.T, e storage.Engine, text string) []byte {
	s := &script{t: t, engine: faulty.New(e), now: time.UnixMilli(1000)}
	s.open()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			s.out.WriteString(line)
		}
		if cmd, ok := strings.CutPrefix(line, "> "); ok {
			s.out.WriteString(line)
			s.run(strings.Fields(cmd))
		}
	}
	s.stop()
	return s.out.Bytes()
}

// strangerID is a producer that has begun no transaction with the coordinator.
const strangerID = 99

func (s *script) open() {
	logs := New(Config{
		Engine: s.engine, CompactionKeys: s.keys, Now: func() time.Time { return s.now },
		Admit: func(_ storage.TP, h record.Header) error {
			if h.ProducerID == strangerID {
				return ErrNoTransaction
			}
			return nil
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- logs.Run(ctx) }()
	s.logs, s.stop = logs, func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("Run: %v", err)
		}
	}
}

func (s *script) printf(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func (s *script) run(words []string) {
	number := func(i int) int64 {
		n, err := strconv.ParseInt(words[i], 10, 64)
		if err != nil {
			s.t.Fatalf("%q: %v", words, err)
		}
		return n
	}
	switch words[0] {
	case "put":
		s.put(words[1:])
	case "commit", "abort":
		m := record.Marker{ProducerID: number(1), Commit: words[0] == "commit", Timestamp: s.now.UnixMilli()}
		if len(words) > 2 {
			m.ProducerEpoch = int16(number(2))
		}
		b, err := m.Batch()
		s.append(b, err)
	case "sleep":
		s.now = s.now.Add(time.Duration(number(1)) * time.Millisecond)
	case "keys":
		s.keys = int(number(1))
		s.stop()
		s.open()
	case "fail": // the next pass, after its steps
		s.engine.NextMatching(func(w storage.Write) bool { return len(w.Set) > 0 && len(w.Append) == 0 }, faulty.Refuse(errDisk))
	case "restart":
		s.stop()
		s.open()
	case "trim":
		start, err := s.logs.Trim(s.t.Context(), tp0, number(1))
		s.printf("start %d %v", start, err)
	case "compact":
		s.compact(words[1:])
	case "log":
		s.show()
	default:
		s.runLog(words, number)
	}
}

// put appends one batch: options, then key=value; "-" is null. pid comes before
// epoch and seq.
func (s *script) put(words []string) {
	o, stamp := options{}, false
	null := func(v string) []byte {
		if v == "-" {
			return nil
		}
		return []byte(v)
	}
	s.b.Reset(o)
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		n, _ := strconv.Atoi(v)
		switch k {
		case "codec":
			o.Codec, _ = record.ParseCodec(v)
		case "pid":
			o.Producer = &record.Producer{ID: int64(n)}
		case "epoch":
			o.Producer.Epoch = int16(n)
		case "seq":
			o.Producer.BaseSequence = int32(n)
		case "txn":
			o.Transactional = true
		case "stamp":
			stamp = true
		default:
			s.b.Append(s.now.UnixMilli(), null(k), null(v))
			continue
		}
		s.b.Reset(o)
	}
	b, err := s.b.Bytes()
	if err != nil {
		s.t.Fatal(err)
	}
	h, err := record.ParseHeader(b)
	if err != nil {
		s.t.Fatal(err)
	}
	s.commit(Batch{TP: tp0, Bytes: b, Header: h, Stamp: stamp})
}

func (s *script) append(b []byte, err error) {
	if err != nil {
		s.t.Fatal(err)
	}
	h, err := record.ParseHeader(b)
	if err != nil {
		s.t.Fatal(err)
	}
	s.commit(Batch{TP: tp0, Bytes: b, Header: h})
}

func (s *script) commit(b Batch) {
	done, err := put(s.t, s.logs, b)
	switch {
	case err != nil:
		s.printf("%v", err)
	case done[0].Duplicate:
		s.printf("duplicate of %d", done[0].Base)
	}
}

// compact runs passes until there is no more to do.
func (s *script) compact(words []string) {
	c := Compaction{Head: 1 << 40, MaxLagMs: 1<<63 - 1, DeleteRetentionMs: 1000}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		n, err := strconv.ParseInt(v, 10, 64)
		if k == "ratio" {
			c.DirtyRatio, err = strconv.ParseFloat(v, 64)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		switch k {
		case "head":
			c.Head = n
		case "minlag":
			c.MinLagMs = n
		case "maxlag":
			c.MaxLagMs = n
		case "retention":
			c.DeleteRetentionMs = n
		case "hold":
			c.Hold = func() int64 { return n }
		}
	}
	for {
		done, err := s.logs.Compact(s.t.Context(), tp0, c)
		switch {
		case err != nil:
			s.printf("%v", err)
			return
		case !done.Ran:
			s.printf("not due, compacted to %d", done.To)
			return
		}
		s.printf("compacted to %d, %d records gone", done.To, done.Records)
		if !done.More {
			return
		}
	}
}

// show prints what readers find, batch by batch, and what is known beside it.
func (s *script) show() {
	g, err := s.logs.Log(s.t.Context(), tp0)
	if err != nil {
		s.t.Fatal(err)
	}
	aborted := g.Aborted(0)
	start, end := g.Bounds()
	for at := start; at < end; {
		b, err := g.Read(s.t.Context(), at, 1<<20, end)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(b) == 0 {
			break
		}
		for batch, err := range record.Batches(b) {
			if err != nil {
				s.t.Fatal(err)
			}
			s.showBatch(batch, aborted)
			at = batch.Header.LastOffset() + 1
		}
	}
	s.printf("= %d…%d, stable %d, aborted %d", start, end, g.LastStable(), len(aborted))
}

func (s *script) showBatch(b record.Batch, aborted AbortedTxns) {
	h := b.Header
	words := []string{fmt.Sprintf("%d…%d", h.BaseOffset, h.LastOffset())}
	if err := record.CheckCRC(b.Bytes); err != nil {
		s.t.Errorf("batch at %d: %v", h.BaseOffset, err)
	}
	if h.Codec() != record.None {
		words = append(words, h.Codec().String())
	}
	if h.Idempotent() {
		words = append(words, fmt.Sprintf("pid=%d", h.ProducerID))
		if !h.Control() {
			words = append(words, fmt.Sprintf("seq=%d…%d", h.BaseSequence, h.LastSequence()))
		}
	}
	if ms, ok := h.DeleteHorizon(); ok {
		words = append(words, fmt.Sprintf("horizon=%d", ms))
	}
	words = append(words, fmt.Sprintf("max=%d:", h.MaxTimestamp))
	if h.Control() {
		m, err := record.ReadMarker(b.Bytes)
		words = append(words, fmt.Sprintf("commit=%t %v", m.Commit, err))
	} else {
		words = append(words, s.records(b.Bytes)...)
	}
	if aborted.Holds(h) {
		words = append(words, "(aborted)")
	}
	s.printf("%s", strings.Join(words, " "))
}

func (s *script) records(b []byte) []string {
	var r record.Reader
	var out []string
	null := func(v []byte) string {
		if v == nil {
			return "-"
		}
		return string(v)
	}
	if err := r.Reset(b, 1<<20); err != nil {
		s.t.Error(err)
	}
	for r.Next() {
		rec := r.Record()
		out = append(out, fmt.Sprintf("%d:%s=%s@%d", rec.Offset, null(rec.Key), null(rec.Value), rec.Timestamp))
	}
	if err := r.Err(); err != nil {
		s.t.Error(err)
	}
	return slices.Clip(out)
}
