package storagetest

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
)

func trimTo(tp storage.TP, start int64) storage.Write {
	return storage.Write{Trim: []storage.Trim{{TP: tp, Start: start}}}
}

func testTrim(t *testing.T, open Open) {
	eng, reopen := open(t)
	all := sparse(t, eng, tp(0), 30)
	sparse(t, eng, tp(1), 30)
	again := func() {
		if reopen != nil {
			eng = reopen()
		}
	}
	mustCommit(t, eng, trimTo(tp(0), 73)) // inside a batch, inside a commit
	for range 2 {
		wantBounds(t, eng, tp(0), storage.Bounds{Start: 73, End: 300, Bytes: 23_000})
		if got, want := read(t, eng, tp(0), 0, 1<<20), slices.Concat(all[7:]...); !bytes.Equal(got, want) {
			t.Errorf("Read after the trim: got %d bytes, want %d", len(got), len(want))
		}
		if got := bases(t, eng, tp(0), 0); len(got) != 23 || got[0] != 70 {
			t.Errorf("Index after the trim: got %v", got)
		}
		again()
	}
	mustCommit(t, eng, trimTo(tp(0), 20)) // below the start: nothing
	wantBounds(t, eng, tp(0), storage.Bounds{Start: 73, End: 300, Bytes: 23_000})
	mustCommit(t, eng, trimTo(tp(0), 300)) // everything
	for range 2 {
		wantBounds(t, eng, tp(0), storage.Bounds{Start: 300, End: 300})
		if got := read(t, eng, tp(0), 0, 1<<20); len(got) != 0 {
			t.Errorf("Read of an emptied log: got %d bytes", len(got))
		}
		again()
	}
	next := Batch(300, 1, 100)
	mustAppend(t, eng, tp(0), 300, next)
	again()
	if got := read(t, eng, tp(0), 0, 1<<20); !bytes.Equal(got, next) {
		t.Errorf("Read after the next append: got %d bytes, want %d", len(got), len(next))
	}
	wantBounds(t, eng, tp(1), storage.Bounds{End: 300, Bytes: 30_000})
}

func testTrimConflicts(t *testing.T, open Open) {
	eng, _ := open(t)
	mustAppend(t, eng, tp(0), 0, Batch(0, 5, 100))
	c := wantConflict(t, eng, trimTo(tp(0), 6))
	if want := []storage.LogConflict{{TP: tp(0), WantEnd: 6, GotEnd: 5}}; !slices.Equal(c.Logs, want) {
		t.Errorf("trim above the end: got %+v, want %+v", c.Logs, want)
	}
	_ = wantConflict(t, eng, trimTo(tp(1), 1))
	mustCommit(t, eng, trimTo(tp(1), 0))
	if _, err := eng.Bounds(t.Context(), tp(1)); !errors.Is(err, storage.ErrNoLog) {
		t.Errorf("a trim made a log: %v", err)
	}
	// A Write may trim what it appends.
	mustCommit(t, eng, storage.Write{
		Append: []storage.Append{appendOf(tp(0), 5, Batch(5, 5, 100), Batch(10, 5, 100))},
		Trim:   []storage.Trim{{TP: tp(0), Start: 10}},
	})
	wantBounds(t, eng, tp(0), storage.Bounds{Start: 10, End: 15, Bytes: 100})
}

func testForget(t *testing.T, open Open) {
	eng, reopen := open(t)
	sparse(t, eng, tp(0), 10)
	kept := sparse(t, eng, tp(1), 10)
	mustCommit(t, eng, storage.Write{
		Trim: []storage.Trim{{TP: tp(0), Forget: true}, {TP: tp(6), Forget: true}},
		Set:  []storage.Item{{Key: "topic gone"}},
	})
	for range 2 {
		if _, err := eng.Bounds(t.Context(), tp(0)); !errors.Is(err, storage.ErrNoLog) {
			t.Errorf("Bounds of a forgotten log: got %v, want ErrNoLog", err)
		}
		if got, want := read(t, eng, tp(1), 0, 1<<20), slices.Concat(kept...); !bytes.Equal(got, want) {
			t.Errorf("Read of the other log: got %d bytes, want %d", len(got), len(want))
		}
		if reopen == nil {
			break
		}
		eng = reopen()
	}
	// The same name begins anew: from offset 0, at any epoch, with nothing old.
	fresh := Batch(0, 2, 90)
	mustAppend(t, eng, tp(0), 0, fresh)
	if reopen != nil {
		eng = reopen()
	}
	if got := read(t, eng, tp(0), 0, 1<<20); !bytes.Equal(got, fresh) {
		t.Errorf("Read of the log made again: got %d bytes, want %d", len(got), len(fresh))
	}
}
