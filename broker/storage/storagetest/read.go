package storagetest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// sparse fills a log with batches of ten offsets and 1,000 bytes each, several
// to a commit, and returns them.
func sparse(t *testing.T, eng storage.Engine, tp storage.TP, n int) [][]byte {
	t.Helper()
	var all [][]byte
	for i := 0; i < n; i += 5 {
		var some [][]byte
		for j := i; j < min(i+5, n); j++ {
			some = append(some, MakeBatch(record.Header{
				BaseOffset: int64(j) * 10, LastOffsetDelta: 9, Count: 4, LeaderEpoch: int32(i),
				BaseTimestamp: int64(1000 * j), MaxTimestamp: int64(1000*j + 77),
				ProducerID: int64(j) << 30, ProducerEpoch: int16(j), BaseSequence: int32(j * 3),
				Attributes: int16(j % 64),
			}, noise(uint64(j), 1000-record.HeaderSize)))
		}
		mustAppend(t, eng, tp, int64(i)*10, some...)
		all = append(all, some...)
	}
	return all
}

func testReadInsideBatch(t *testing.T, open Open) {
	eng, reopen := open(t)
	all := sparse(t, eng, tp(0), 23)
	for range 2 {
		for offset := range int64(230) {
			want := all[offset/10]
			if got := read(t, eng, tp(0), offset, 1); !bytes.Equal(got, want) {
				t.Fatalf("Read at %d: got %d bytes, want the batch at %d", offset, len(got), offset/10*10)
			}
		}
		if got, want := read(t, eng, tp(0), 57, 1<<20), slices.Concat(all[5:]...); !bytes.Equal(got, want) {
			t.Errorf("Read at 57: got %d bytes, want %d", len(got), len(want))
		}
		if reopen == nil {
			return
		}
		eng = reopen()
	}
}

func testReadMaxBytes(t *testing.T, open Open) {
	eng, _ := open(t)
	all := sparse(t, eng, tp(0), 20)
	tests := []struct {
		offset   int64
		maxBytes int
		from, to int // batches
	}{
		{0, -1, 0, 1}, {0, 0, 0, 1}, {0, 999, 0, 1}, {0, 1000, 0, 1}, {0, 1999, 0, 1}, {0, 2000, 0, 2},
		{0, 5000, 0, 5}, {0, 5999, 0, 5}, {0, 6000, 0, 6}, {45, 3000, 4, 7}, {49, 1 << 30, 4, 20},
		{190, 1 << 30, 19, 20}, {199, 5, 19, 20}, {200, 100, 20, 20}, {1 << 40, 100, 20, 20}, {-5, 2000, 0, 2},
	}
	for _, tt := range tests {
		got := read(t, eng, tp(0), tt.offset, tt.maxBytes)
		if want := slices.Concat(all[tt.from:tt.to]...); !bytes.Equal(got, want) {
			t.Errorf("Read at %d of at most %d: got %d bytes, want %d", tt.offset, tt.maxBytes, len(got), len(want))
		}
	}
}

// testReadLargeBatch uses batches larger than any chunk an engine may cut.
func testReadLargeBatch(t *testing.T, open Open) {
	eng, reopen := open(t)
	small, large := Batch(0, 1, 500), Batch(1, 9, 3<<20)
	tail := Batch(10, 1, 700_000)
	mustAppend(t, eng, tp(0), 0, small, large, tail)
	if reopen != nil {
		eng = reopen()
	}
	if got := read(t, eng, tp(0), 4, 10); !bytes.Equal(got, large) {
		t.Errorf("Read of the large batch: got %d bytes, want %d", len(got), len(large))
	}
	if got := read(t, eng, tp(0), 0, 1000); !bytes.Equal(got, small) {
		t.Errorf("Read before it: got %d bytes, want %d", len(got), len(small))
	}
	if got, want := read(t, eng, tp(0), 0, 64<<20), slices.Concat(small, large, tail); !bytes.Equal(got, want) {
		t.Errorf("Read of all: got %d bytes, want %d", len(got), len(want))
	}
}

// testReadKept holds many results, of all sizes, until the last is read: each is
// its caller's.
func testReadKept(t *testing.T, open Open) {
	eng, _ := open(t)
	all := sparse(t, eng, tp(0), 1000)
	got := map[int][][]byte{}
	sizes := []int{1, 5000, 100_000, 250_000, 400_000, 1 << 20}
	for at := 0; at < len(all); at += 50 {
		for _, size := range sizes {
			got[at] = append(got[at], read(t, eng, tp(0), int64(at)*10, size))
		}
	}
	for at, some := range got {
		for i, b := range some {
			n := min(max(1, sizes[i]/len(all[at])), len(all)-at)
			if want := slices.Concat(all[at : at+n]...); !bytes.Equal(b, want) {
				t.Errorf("%d bytes kept of %d from %d on are not what was read", len(b), sizes[i], at*10)
			}
			clear(b)
		}
	}
}

func testIndex(t *testing.T, open Open) {
	eng, reopen := open(t)
	all := sparse(t, eng, tp(0), 40)
	mustAppend(t, eng, tp(1), 0, Batch(0, 1, 100))
	var want []record.Header
	for _, b := range all {
		h, err := record.ParseHeader(b)
		if err != nil {
			t.Fatalf("a batch of the test: %v", err)
		}
		want = append(want, h)
	}
	if reopen != nil {
		eng = reopen()
	}
	for _, from := range []int64{-1, 0, 9, 10, 155, 399} {
		skip := int(max(from, 0) / 10)
		if got := headers(t, eng, tp(0), from); !slices.Equal(got, want[skip:]) {
			t.Errorf("Index from %d:\ngot  %v\nwant %v", from, got, want[skip:])
		}
	}
	if got := headers(t, eng, tp(0), 400); len(got) != 0 {
		t.Errorf("Index at the end: got %d headers", len(got))
	}
	// One consistent state, also when the log changes under way, and an early
	// end that leaves nothing behind.
	n := 0
	for _, err := range eng.Index(t.Context(), tp(0), 0) {
		if err != nil {
			t.Fatalf("Index: %v", err)
		}
		if n == 3 {
			mustCommit(t, eng, storage.Write{Trim: []storage.Trim{{TP: tp(0), Start: 400}}})
			mustAppend(t, eng, tp(0), 400, Batch(400, 1, 100))
		}
		n++
	}
	if n != 40 {
		t.Errorf("Index beside a trim and an append: got %d headers, want 40", n)
	}
	for _, err := range eng.Index(t.Context(), tp(0), 0) {
		if err != nil {
			t.Errorf("Index: %v", err)
		}
		break
	}
	for _, err := range eng.Index(t.Context(), tp(5), 0) {
		if err == nil {
			t.Errorf("Index of a log that is not there: got a header")
		}
	}
}
