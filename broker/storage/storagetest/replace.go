package storagetest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// replaceOf is a Replace of [from, to) in a log that sparse filled.
func replaceOf(tp storage.TP, from, to int64, held int, batches ...[]byte) storage.Replace {
	return storage.Replace{TP: tp, From: from, To: to,
		Expect:  storage.Range{Batches: held, Bytes: int64(held) * 1000},
		Batches: slices.Concat(batches...)}
}

func testReplace(t *testing.T, open Open) {
	eng, reopen := open(t)
	all := sparse(t, eng, tp(0), 40)
	sparse(t, eng, tp(1), 40)
	again := func() {
		if reopen != nil {
			eng = reopen()
		}
	}
	// Batches 3 to 11 begin and end inside commits: two take their place.
	a, b := Batch(30, 10, 300), Batch(75, 25, 400)
	mustCommit(t, eng, storage.Write{Replace: []storage.Replace{replaceOf(tp(0), 30, 120, 9, a, b)}})
	want := slices.Concat(slices.Concat(all[:3]...), a, b, slices.Concat(all[12:]...))
	for range 2 {
		wantBounds(t, eng, tp(0), storage.Bounds{End: 400, Bytes: int64(len(want))})
		if got := read(t, eng, tp(0), 0, 1<<20); !bytes.Equal(got, want) {
			t.Fatalf("Read after Replace: got %d bytes, want %d", len(got), len(want))
		}
		if got := read(t, eng, tp(0), 45, 1); !bytes.Equal(got, b) {
			t.Errorf("Read of a removed offset: got %d bytes, want the next batch", len(got))
		}
		if got, want := bases(t, eng, tp(0), 29)[:4], []int64{20, 30, 75, 120}; !slices.Equal(got, want) {
			t.Errorf("Index: got %v, want %v", got, want)
		}
		again()
	}
	// What was replaced can be replaced again, across the seam, by nothing.
	mustCommit(t, eng, storage.Write{Replace: []storage.Replace{{TP: tp(0), From: 70, To: 140,
		Expect: storage.Range{Batches: 3, Bytes: 2400}}}})
	want = slices.Concat(slices.Concat(all[:3]...), a, slices.Concat(all[14:]...))
	for range 2 {
		if got := read(t, eng, tp(0), 0, 1<<20); !bytes.Equal(got, want) {
			t.Fatalf("Read after the second Replace: got %d bytes, want %d", len(got), len(want))
		}
		again()
	}
	wantBounds(t, eng, tp(1), storage.Bounds{End: 400, Bytes: 40_000})
}

func testReplaceConflicts(t *testing.T, open Open) {
	eng, _ := open(t)
	sparse(t, eng, tp(0), 20)
	mustCommit(t, eng, trimTo(tp(0), 55))
	tests := []struct {
		name string
		r    storage.Replace
	}{
		{"too few", replaceOf(tp(0), 60, 100, 3)},
		{"too many", replaceOf(tp(0), 60, 100, 5)},
		{"cuts the first", replaceOf(tp(0), 65, 100, 4)},
		{"cuts the last", replaceOf(tp(0), 60, 95, 4)},
		{"counts what was trimmed", replaceOf(tp(0), 40, 100, 6)},
		{"above the end", replaceOf(tp(0), 180, 201, 2)},
		{"no such log", replaceOf(tp(1), 0, 10, 0)},
		{"other bytes", storage.Replace{TP: tp(0), From: 60, To: 100,
			Expect: storage.Range{Batches: 4, Bytes: 4001}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := wantConflict(t, eng, storage.Write{
				Append:  []storage.Append{appendOf(tp(2), 0, Batch(0, 1, 100))},
				Replace: []storage.Replace{tt.r},
				Set:     []storage.Item{{Key: "k", Version: 9}},
			})
			if len(c.Logs) != 1 || c.Logs[0].TP != tt.r.TP || !c.Logs[0].Replaced || len(c.Items) != 1 {
				t.Errorf("conflict: got %+v, want one replaced log and one item", c)
			}
		})
	}
	if got := len(bases(t, eng, tp(0), 0)); got != 15 {
		t.Errorf("after conflicts: got %d batches, want 15", got)
	}
	// The batch that the start cuts counts, and so does an exact range.
	mustCommit(t, eng, storage.Write{Replace: []storage.Replace{replaceOf(tp(0), 0, 100, 5)}})
	if got := bases(t, eng, tp(0), 0); len(got) != 10 || got[0] != 100 {
		t.Errorf("after the right Replace: got %v", got)
	}
}

// testReplaceEverything empties a log by Replace: its bounds must live on.
func testReplaceEverything(t *testing.T, open Open) {
	eng, reopen := open(t)
	sparse(t, eng, tp(0), 7)
	low, high := Batch(5, 1, 70), Batch(50, 1, 80)
	mustCommit(t, eng, trimTo(tp(0), 30))
	mustCommit(t, eng, storage.Write{Replace: []storage.Replace{replaceOf(tp(0), 0, 70, 4, low, high)}})
	if got := read(t, eng, tp(0), 0, 1000); !bytes.Equal(got, high) {
		t.Errorf("Read: got %d bytes, want only the batch above the start", len(got))
	}
	mustCommit(t, eng, storage.Write{Replace: []storage.Replace{{TP: tp(0), From: 50, To: 70,
		Expect: storage.Range{Batches: 1, Bytes: 80}}}})
	if reopen != nil {
		eng = reopen()
	}
	wantBounds(t, eng, tp(0), storage.Bounds{Start: 30, End: 70})
	if got := read(t, eng, tp(0), 0, 1000); len(got) != 0 {
		t.Errorf("Read of an emptied log: got %d bytes", len(got))
	}
	// A range that holds nothing can be replaced too.
	mustCommit(t, eng, storage.Write{Replace: []storage.Replace{{TP: tp(0), From: 40, To: 50, Batches: Batch(44, 2, 90)}}})
	mustAppend(t, eng, tp(0), 70, Batch(70, 1, 100))
	if reopen != nil {
		eng = reopen()
	}
	if got, want := bases(t, eng, tp(0), 0), []int64{44, 70}; !slices.Equal(got, want) {
		t.Errorf("Index: got %v, want %v", got, want)
	}
}

// testReplaceFenced replaces under the version of an item, as compaction does:
// with an old one nothing happens, in that log and in the others of the Write.
func testReplaceFenced(t *testing.T, open Open) {
	eng, reopen := open(t)
	all := sparse(t, eng, tp(0), 10)
	mustCommit(t, eng, storage.Write{Set: []storage.Item{{Key: "fence", Value: []byte("1")}}})
	old := value(t, eng, "fence").Version
	mustCommit(t, eng, storage.Write{Set: []storage.Item{{Key: "fence", Version: old, Value: []byte("2")}}})
	empty := MakeBatch(record.Header{BaseOffset: 40, LastOffsetDelta: 9, ProducerID: 7, BaseSequence: 3}, nil)
	w := storage.Write{
		Append:  []storage.Append{appendOf(tp(0), 100, Batch(100, 1, 50)), appendOf(tp(1), 0, Batch(0, 1, 60))},
		Replace: []storage.Replace{replaceOf(tp(0), 20, 50, 3, empty)},
		Check:   []storage.Check{{Key: "fence", Version: old}},
	}
	c := wantConflict(t, eng, w)
	if len(c.Logs) != 0 || len(c.Items) != 1 {
		t.Errorf("conflict: got %+v, want the item", c)
	}
	if got := read(t, eng, tp(0), 0, 1<<20); !bytes.Equal(got, slices.Concat(all...)) {
		t.Errorf("Read after the conflict: got %d bytes, want all %d", len(got), len(slices.Concat(all...)))
	}
	w.Check[0].Version = value(t, eng, "fence").Version
	mustCommit(t, eng, w)
	want := slices.Concat(slices.Concat(all[:2]...), empty, slices.Concat(all[5:]...), Batch(100, 1, 50))
	for range 2 {
		if got := read(t, eng, tp(0), 0, 1<<20); !bytes.Equal(got, want) {
			t.Errorf("Read: got %d bytes, want %d", len(got), len(want))
		}
		if got := headers(t, eng, tp(0), 40)[0]; got != header(empty) || got.Count != 0 {
			t.Errorf("the batch without records: got %+v, want %+v", got, header(empty))
		}
		if reopen != nil {
			eng = reopen()
		}
	}
	_ = wantConflict(t, eng, storage.Write{Replace: w.Replace}) // once more: the range holds something else
}

// testReplaceGap puts a batch where a Replace before it left nothing, between
// two batches that were written together.
func testReplaceGap(t *testing.T, open Open) {
	eng, reopen := open(t)
	sparse(t, eng, tp(0), 5)
	low, high := Batch(0, 10, 200), Batch(40, 10, 300)
	mustCommit(t, eng, storage.Write{Replace: []storage.Replace{replaceOf(tp(0), 0, 50, 5, low, high)}})
	mid := Batch(22, 3, 150)
	mustCommit(t, eng, storage.Write{Replace: []storage.Replace{{TP: tp(0), From: 20, To: 30, Batches: mid}}})
	for range 3 {
		if got, want := read(t, eng, tp(0), 0, 1000), slices.Concat(low, mid, high); !bytes.Equal(got, want) {
			t.Errorf("Read: got %d bytes, want %d", len(got), len(want))
		}
		if got := read(t, eng, tp(0), 25, 1); !bytes.Equal(got, high) {
			t.Errorf("Read behind the batch in the gap: got %d bytes, want %d", len(got), len(high))
		}
		if reopen != nil {
			eng = reopen()
		}
	}
}
