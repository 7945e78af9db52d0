package storagetest

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

func testAppend(t *testing.T, open Open) {
	eng, _ := open(t)
	if _, err := eng.Bounds(t.Context(), tp(0)); !errors.Is(err, storage.ErrNoLog) {
		t.Errorf("Bounds of a log that is not there: got %v, want ErrNoLog", err)
	}
	if _, err := eng.Read(t.Context(), tp(0), 0, 100); !errors.Is(err, storage.ErrNoLog) {
		t.Errorf("Read of a log that is not there: got %v, want ErrNoLog", err)
	}
	a, b, c := Batch(0, 3, 200), Batch(3, 1, 100), Batch(4, 10, 5000)
	mustAppend(t, eng, tp(0), 0, a, b)
	mustAppend(t, eng, tp(0), 4, c)
	other := Batch(0, 1, 70)
	mustAppend(t, eng, tp(1), 0, other)

	if got, want := read(t, eng, tp(0), 0, 1<<20), slices.Concat(a, b, c); !bytes.Equal(got, want) {
		t.Errorf("Read: got %d bytes, want the %d appended", len(got), len(want))
	}
	if got := read(t, eng, tp(1), 0, 1<<20); !bytes.Equal(got, other) {
		t.Errorf("Read of the other log: got %d bytes, want %d", len(got), len(other))
	}
	if got := read(t, eng, tp(0), 14, 1<<20); len(got) != 0 {
		t.Errorf("Read at the end: got %d bytes, want none", len(got))
	}
	wantBounds(t, eng, tp(0), storage.Bounds{End: 14, Bytes: int64(len(a) + len(b) + len(c))})
	wantBounds(t, eng, tp(1), storage.Bounds{End: 1, Bytes: int64(len(other))})
	mustCommit(t, eng, storage.Write{})
}

func testAppendConflicts(t *testing.T, open Open) {
	eng, _ := open(t)
	mustAppend(t, eng, tp(0), 0, Batch(0, 5, 100))
	c := wantConflict(t, eng, storage.Write{Append: []storage.Append{
		appendOf(tp(0), 4, Batch(4, 1, 100)), // behind
		appendOf(tp(1), 7, Batch(7, 1, 100)), // not there
		appendOf(tp(2), 0, Batch(0, 1, 100)), // right
	}})
	want := []storage.LogConflict{
		{TP: tp(0), WantEnd: 4, GotEnd: 5},
		{TP: tp(1), WantEnd: 7, GotEnd: 0},
	}
	if !slices.Equal(c.Logs, want) || len(c.Items) != 0 {
		t.Errorf("conflict: got %+v, want logs %+v", c, want)
	}
	wantBounds(t, eng, tp(0), storage.Bounds{End: 5, Bytes: 100})
	for _, n := range []int{1, 2} {
		if _, err := eng.Bounds(t.Context(), tp(n)); !errors.Is(err, storage.ErrNoLog) {
			t.Errorf("log %d after a refused Write: got %v, want ErrNoLog", n, err)
		}
	}
}

func testEpochs(t *testing.T, open Open) {
	eng, reopen := open(t)
	commit := func(epoch int32, expect int64) error {
		a := appendOf(tp(0), expect, Batch(expect, 1, 80))
		a.Epoch = epoch
		return eng.Commit(t.Context(), storage.Write{Append: []storage.Append{a}})
	}
	for i, epoch := range []int32{3, 3, 7} {
		if err := commit(epoch, int64(i)); err != nil {
			t.Fatalf("append %d at epoch %d: %v", i, epoch, err)
		}
	}
	if reopen != nil {
		eng = reopen()
	}
	var c *storage.Conflict
	if err := commit(6, 3); !errors.As(err, &c) {
		t.Fatalf("append of an old owner: got %v, want a conflict", err)
	}
	want := []storage.LogConflict{{TP: tp(0), WantEnd: 3, GotEnd: 3, WantEpoch: 6, GotEpoch: 7}}
	if !slices.Equal(c.Logs, want) {
		t.Errorf("conflict: got %+v, want %+v", c.Logs, want)
	}
	wantBounds(t, eng, tp(0), storage.Bounds{End: 3, Epoch: 7, Bytes: 240})
}

func testEmptyAppend(t *testing.T, open Open) {
	eng, reopen := open(t)
	mustCommit(t, eng, storage.Write{Append: []storage.Append{{TP: tp(0), Epoch: 2}}})
	wantBounds(t, eng, tp(0), storage.Bounds{Epoch: 2})
	if got := read(t, eng, tp(0), 0, 100); len(got) != 0 {
		t.Errorf("Read of an empty log: got %d bytes", len(got))
	}
	if reopen != nil {
		eng = reopen()
		wantBounds(t, eng, tp(0), storage.Bounds{Epoch: 2})
	}
	mustCommit(t, eng, storage.Write{Append: []storage.Append{{TP: tp(0), Epoch: 4}}})
	_ = wantConflict(t, eng, storage.Write{Append: []storage.Append{{TP: tp(0), Epoch: 3}}})
}

// testRefused tries Writes that contradict themselves or break a limit.
func testRefused(t *testing.T, open Open) {
	eng, _ := open(t)
	mustAppend(t, eng, tp(0), 0, Batch(0, 5, 100), Batch(5, 5, 100))
	good := appendOf(tp(1), 0, Batch(0, 1, 100))
	with := func(change func(*storage.Append)) storage.Write {
		a := good
		a.Batches = slices.Clone(a.Batches)
		change(&a)
		return storage.Write{Append: []storage.Append{a}}
	}
	item := func(it ...storage.Item) storage.Write { return storage.Write{Set: it} }
	tests := []struct {
		name string
		w    storage.Write
	}{
		{"log twice", storage.Write{Append: []storage.Append{good, good}}},
		{"cut short", with(func(a *storage.Append) { a.Batches = a.Batches[:len(a.Batches)-1] })},
		{"trailing byte", with(func(a *storage.Append) { a.Batches = append(a.Batches, 0) })},
		{"old magic", with(func(a *storage.Append) { a.Batches[16] = 1 })},
		{"wrong base offset", with(func(a *storage.Append) { record.SetBaseOffset(a.Batches, 1) })},
		{"wrong end", with(func(a *storage.Append) { a.End = 2 })},
		{"negative expectation", with(func(a *storage.Append) { a.Expect, a.End, a.Batches = -1, -1, nil })},
		{"negative partition", with(func(a *storage.Append) { a.Partition = -1 })},
		{"hole between batches", storage.Write{Append: []storage.Append{
			{TP: tp(1), End: 8, Batches: slices.Concat(Batch(0, 3, 80), Batch(4, 4, 80))}}}},
		{"more records than offsets", with(func(a *storage.Append) {
			a.Batches = MakeBatch(record.Header{LastOffsetDelta: 0, Count: 2}, nil)
		})},
		{"empty key", item(storage.Item{})},
		{"long key", item(storage.Item{Key: strings.Repeat("k", storage.MaxKeyBytes+1)})},
		{"long value", item(storage.Item{Key: "k", Value: make([]byte, storage.MaxValueBytes+1)})},
		{"key twice", item(storage.Item{Key: "k"}, storage.Item{Key: "k"})},
		{"version below Any", item(storage.Item{Key: "k", Version: -2})},
		{"check of Any", storage.Write{Check: []storage.Check{{Key: "k", Version: storage.Any}}}},
		{"range upside down", storage.Write{Replace: []storage.Replace{{TP: tp(0), From: 5, To: 5}}}},
		{"replacement outside its range", storage.Write{Replace: []storage.Replace{
			{TP: tp(0), From: 0, To: 5, Expect: storage.Range{Batches: 1, Bytes: 100}, Batches: Batch(3, 3, 80)}}}},
		{"forgotten and appended", storage.Write{Append: []storage.Append{good},
			Trim: []storage.Trim{{TP: tp(1), Forget: true}}}},
		{"trimmed twice", storage.Write{Trim: []storage.Trim{{TP: tp(0), Start: 1}, {TP: tp(0), Start: 2}}}},
		{"negative start", storage.Write{Trim: []storage.Trim{{TP: tp(0), Start: -1}}}},
		{"too many parts", storage.Write{Check: make([]storage.Check, storage.MaxWriteParts+1)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := eng.Commit(t.Context(), tt.w); !errors.Is(err, storage.ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
		})
	}
	wantBounds(t, eng, tp(0), storage.Bounds{End: 10, Bytes: 200})
	if _, err := eng.Bounds(t.Context(), tp(1)); !errors.Is(err, storage.ErrNoLog) {
		t.Errorf("after refusals: got %v, want ErrNoLog", err)
	}
}
