package commitlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

var errDisk = errors.New("disk error")

// blind is an engine that cannot be looked at while on is set.
type blind struct {
	storage.Engine
	on atomic.Bool
}

// Commit shows the versions that items got only with success, as the contract
// has it; the engines within show them earlier.
func (b *blind) Commit(ctx context.Context, w storage.Write) error {
	set := w.Set
	w.Set = slices.Clone(set)
	err := b.Engine.Commit(ctx, w)
	if err == nil {
		copy(set, w.Set)
	}
	return err
}

func (b *blind) Index(ctx context.Context, tp storage.TP, from int64) iter.Seq2[record.Header, error] {
	if b.on.Load() {
		return func(yield func(record.Header, error) bool) { yield(record.Header{}, errDisk) }
	}
	return b.Engine.Index(ctx, tp, from)
}

func (b *blind) Bounds(ctx context.Context, tp storage.TP) (storage.Bounds, error) {
	if b.on.Load() {
		return storage.Bounds{}, errDisk
	}
	return b.Engine.Bounds(ctx, tp)
}

func (b *blind) Get(ctx context.Context, key string) (storage.Item, error) {
	if b.on.Load() {
		return storage.Item{}, errDisk
	}
	return b.Engine.Get(ctx, key)
}

// lines lists the log as the engine has it, one batch an element: base offset
// and the first record's value. It fails the test if batches are not contiguous
// or damaged.
func lines(t *testing.T, e storage.Engine, tp storage.TP) []string {
	t.Helper()
	b, err := e.Bounds(t.Context(), tp)
	if errors.Is(err, storage.ErrNoLog) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	next := int64(-1)
	for from := b.Start; from < b.End; {
		raw, err := e.Read(t.Context(), tp, from, 1<<20)
		if err != nil || len(raw) == 0 {
			t.Fatalf("%s: read at %d of %d: %d bytes, %v", tp, from, b.End, len(raw), err)
		}
		for part, err := range record.Batches(raw) {
			if err == nil {
				err = record.CheckCRC(part.Bytes)
			}
			if err != nil {
				t.Fatal(err)
			}
			if h := part.Header; next >= 0 && h.BaseOffset != next {
				t.Fatalf("%s: batch at %d where %d was due", tp, h.BaseOffset, next)
			}
			var r record.Reader
			if err := r.Reset(part.Bytes, 1<<20); err != nil || !r.Next() {
				t.Fatalf("%s: batch at %d: %v", tp, part.Header.BaseOffset, err)
			}
			out = append(out, fmt.Sprintf("%d %s", part.Header.BaseOffset, r.Record().Value))
			next = part.Header.LastOffset() + 1
			from = next
		}
	}
	if next >= 0 && next != b.End {
		t.Fatalf("%s ends at %d, batches at %d", tp, b.End, next)
	}
	return out
}

// named is a batch of one record with a value.
func named(t *testing.T, tp storage.TP, value string, o options) Batch {
	t.Helper()
	b := record.NewBuilder(o)
	b.Append(1000, nil, []byte(value))
	raw, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	h, err := record.ParseHeader(raw)
	if err != nil {
		t.Fatal(err)
	}
	return Batch{TP: tp, Bytes: raw, Header: h}
}

// TestFailedCommits lets one commit fail in every way, then repeats the batch
// as an idempotent producer does. Whatever happened, the batch is in the log
// once, its item has the version that was reported, and the next batch follows.
func TestFailedCommits(t *testing.T) {
	cases := []struct {
		name    string
		fault   faulty.Fault
		blind   bool
		want    string // of the first attempt: "", "failed" or "unknown"
		repeats bool   // the repetition is a duplicate
	}{
		{name: "refused for space", fault: faulty.Refuse(storage.ErrFull), want: "failed"},
		{name: "failed and not persisted", fault: faulty.Refuse(errDisk), want: "failed"},
		{name: "failed but persisted", fault: faulty.Persist(errDisk), want: "", repeats: true},
		{name: "failed, not persisted, nobody can tell", fault: faulty.Refuse(errDisk), blind: true, want: "unknown"},
		{name: "failed but persisted, nobody can tell", fault: faulty.Persist(errDisk), blind: true, want: "unknown", repeats: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inner := memory.New()
			f := faulty.New(inner)
			e := &blind{Engine: f}
			l, _ := start(t, e, nil)
			mustPut(t, l, named(t, tp0, "a", idempotent(1, 0, 0)))
			f.Next(c.fault)
			entry := Entry{
				Batches: []Batch{named(t, tp0, "b", idempotent(1, 0, 1))},
				Items:   []storage.Item{{Key: "k", Value: []byte("v")}},
			}
			wait, err := l.Append(t.Context(), entry)
			if err != nil {
				t.Fatal(err)
			}
			e.on.Store(c.blind)
			got := outcome(wait(t.Context()))
			e.on.Store(false)
			if got != c.want {
				t.Fatalf("first attempt: %q, want %q", got, c.want)
			}
			if it, _ := inner.Get(t.Context(), "k"); c.want == "" && (it.Version == 0 || entry.Items[0].Version != it.Version) {
				t.Errorf("item has version %d, reported was %d", it.Version, entry.Items[0].Version)
			}
			a := mustPut(t, l, named(t, tp0, "b", idempotent(1, 0, 1)))
			if a.Base != 1 || a.Duplicate != c.repeats {
				t.Errorf("repetition: got %+v, want base 1 duplicate %v", a, c.repeats)
			}
			if a := mustPut(t, l, named(t, tp0, "c", idempotent(1, 0, 2))); a.Base != 2 {
				t.Errorf("next batch went to %d", a.Base)
			}
			if got := fmt.Sprint(lines(t, inner, tp0)); got != "[0 a 1 b 2 c]" {
				t.Errorf("log holds %s", got)
			}
			if got := offsets(t, l, tp0, 0, 1<<20); fmt.Sprint(got) != "[0 1 2]" {
				t.Errorf("readers see %v", got)
			}
		})
	}
}

// TestUnknownEndWakesReaders parks a reader on a log whose end is only learnt
// when the log is used again.
func TestUnknownEndWakesReaders(t *testing.T) {
	f := faulty.New(memory.New())
	e := &blind{Engine: f}
	l, _ := start(t, e, nil)
	mustPut(t, l, named(t, tp0, "a", options{}))
	g, err := l.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	w := NewWaiter()
	g.Watch(w)
	defer g.Unwatch(w)
	f.Next(faulty.Persist(errDisk))
	wait, err := l.Append(t.Context(), Entry{Batches: []Batch{named(t, tp0, "b", options{})}})
	if err != nil {
		t.Fatal(err)
	}
	e.on.Store(true)
	if got := outcome(wait(t.Context())); got != "unknown" {
		t.Fatalf("got %q", got)
	}
	e.on.Store(false)
	if _, err := l.Log(t.Context(), tp0); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.C:
	default:
		t.Error("the reader sleeps on")
	}
	if g.End() != 2 {
		t.Errorf("log ends at %d, want 2", g.End())
	}
}

// outcome names what a Wait gave.
func outcome(_ []Appended, err error) string {
	switch {
	case err == nil:
		return ""
	case !errors.Is(err, ErrStorage):
		return err.Error()
	case strings.Contains(err.Error(), "outcome unknown"):
		return "unknown"
	}
	return "failed"
}

// TestFailedItemsAndTrims settles commits that append nothing.
func TestFailedItemsAndTrims(t *testing.T) {
	for _, persist := range []bool{false, true} {
		fault, want := faulty.Refuse(errDisk), "failed"
		if persist {
			fault, want = faulty.Persist(errDisk), ""
		}
		inner := memory.New()
		f := faulty.New(inner)
		l, _ := start(t, f, nil)
		mustPut(t, l, batch(t, tp0, 4, options{}))

		items := []storage.Item{{Key: "k", Value: []byte("1")}}
		f.Next(fault)
		if got := outcome(nil, l.Commit(t.Context(), items, nil)); got != want {
			t.Errorf("set: %q, want %q", got, want)
		}
		it, err := inner.Get(t.Context(), "k")
		if err != nil || persist != (it.Version > 0) || persist && items[0].Version != it.Version {
			t.Errorf("set: item %+v, reported version %d", it, items[0].Version)
		}
		f.Next(fault)
		low, err := l.Trim(t.Context(), tp0, 2)
		if got := outcome(nil, err); got != want || persist && low != 2 {
			t.Errorf("trim: %d, %q, want %q", low, got, want)
		}
		if b, _ := inner.Bounds(t.Context(), tp0); persist != (b.Start == 2) {
			t.Errorf("trim: log starts at %d", b.Start)
		}
		g, err := l.Log(t.Context(), tp0)
		if b, _ := inner.Bounds(t.Context(), tp0); err != nil || g.Start() != b.Start {
			t.Errorf("trim: log starts at %d, engine says %d", g.Start(), b.Start)
		}
		if persist {
			f.Next(fault)
			if err := l.Commit(t.Context(), []storage.Item{{Key: "k", Version: items[0].Version, Delete: true}}, nil); err != nil {
				t.Errorf("delete: %v", err)
			}
		}
		// Written whatever is there: nothing tells which of two it was.
		f.Next(fault)
		err = l.Commit(t.Context(), []storage.Item{{Key: "any", Value: []byte("1"), Version: storage.Any}}, nil)
		if got := outcome(nil, err); got != "unknown" {
			t.Errorf("set of any version: %q, want unknown", got)
		}
	}
}

// TestBrokenStoreStops meets ErrBroken: everybody is answered and Run ends.
func TestBrokenStoreStops(t *testing.T) {
	f := faulty.New(memory.New())
	l := New(Config{Engine: f})
	var waits []Wait
	add := func(b Batch) {
		w, err := l.Append(t.Context(), Entry{Batches: []Batch{b}, Items: []storage.Item{{Key: "same", Value: b.Bytes, Version: 0}}})
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, w)
	}
	for i := range 5 { // the same item: each postpones the next
		add(named(t, tp0, fmt.Sprint(i), options{}))
	}
	f.Next(faulty.Refuse(fmt.Errorf("page 7: %w", storage.ErrBroken)))
	if err := l.Run(t.Context()); !errors.Is(err, storage.ErrBroken) {
		t.Errorf("Run ended with %v, want ErrBroken", err)
	}
	for i, w := range waits {
		want := ErrClosed
		if i == 0 {
			want = ErrStorage
		}
		if _, err := w(t.Context()); !errors.Is(err, want) {
			t.Errorf("entry %d: %v, want %v", i, err, want)
		}
	}
	if _, err := l.Append(t.Context(), Entry{Items: []storage.Item{{Key: "x"}}}); !errors.Is(err, ErrClosed) {
		t.Errorf("append afterwards: %v", err)
	}
}

// TestBrokenSnapshotStops meets damage while producers are loaded, in the
// middle of drafting a round.
func TestBrokenSnapshotStops(t *testing.T) {
	e := memory.New()
	tp1 := storage.TP{Topic: tp0.Topic, Partition: 1}
	if err := e.Commit(t.Context(), storage.Write{Set: []storage.Item{{Key: SnapshotKey(tp1), Value: []byte(`{"producers":{"1":null}}`)}}}); err != nil {
		t.Fatal(err)
	}
	l := New(Config{Engine: e})
	var waits []Wait
	for _, tp := range []storage.TP{tp0, tp1, tp0} {
		w, err := l.Append(t.Context(), Entry{Batches: []Batch{named(t, tp, "x", options{})}})
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, w)
	}
	if err := l.Run(t.Context()); !errors.Is(err, storage.ErrBroken) {
		t.Errorf("Run ended with %v, want ErrBroken", err)
	}
	for i, w := range waits {
		if _, err := w(t.Context()); err == nil {
			t.Errorf("entry %d was acknowledged", i)
		}
	}
	if got := lines(t, e, tp0); len(got) != 0 {
		t.Errorf("log holds %v", got)
	}
}

// TestInvalidEntryFailsAlone merges an entry that the engine refuses with good
// ones.
func TestInvalidEntryFailsAlone(t *testing.T) {
	e := memory.New()
	l := New(Config{Engine: e})
	var waits []Wait
	for _, key := range []string{"a", strings.Repeat("x", storage.MaxKeyBytes+1), "b"} {
		w, err := l.Append(t.Context(), Entry{
			Batches: []Batch{named(t, tp0, key[:1], options{})},
			Items:   []storage.Item{{Key: key, Value: []byte("1")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, w)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // Run commits what is in the pool and ends
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for i, w := range waits {
		if _, err := w(t.Context()); (err != nil) != (i == 1) {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	if got := fmt.Sprint(lines(t, e, tp0)); got != "[0 a 1 b]" {
		t.Errorf("log holds %s", got)
	}
}

// TestEntryContradictsItself is refused before the pool.
func TestEntryContradictsItself(t *testing.T) {
	l, _ := start(t, memory.New(), nil)
	b := named(t, tp0, "a", options{})
	for name, e := range map[string]Entry{
		"two batches for a log": {Batches: []Batch{b, b}},
		"an item twice":         {Items: []storage.Item{{Key: "k"}, {Key: "k"}}},
		"item and check":        {Items: []storage.Item{{Key: "k"}}, Checks: []storage.Check{{Key: "k"}}},
	} {
		if _, err := l.Append(t.Context(), e); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}
