package storage_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/storagetest"
)

var tp = storage.TP{Topic: storage.TopicID{7}, Partition: 2}

// appendOf is a Write that appends b, stated to reach from expect to end.
func appendOf(b []byte, expect, end int64) storage.Write {
	return storage.Write{Append: []storage.Append{{TP: tp, Expect: expect, End: end, Batches: b}}}
}

// TestValidate looks at the words: who reads a refusal must find the part. What
// is refused at all stands in the suite, which all engines run.
func TestValidate(t *testing.T) {
	far := storagetest.MakeBatch(record.Header{BaseOffset: math.MaxInt64 - 1, LastOffsetDelta: 5, Count: 6}, nil)
	negative := storagetest.MakeBatch(record.Header{LastOffsetDelta: -1}, nil)
	tests := []struct {
		name string
		w    storage.Write
		want string // "": valid
	}{
		{"nothing", storage.Write{}, ""},
		{"one batch", appendOf(storagetest.Batch(5, 3, 100), 5, 8), ""},
		{"compacted batch", appendOf(storagetest.MakeBatch(record.Header{LastOffsetDelta: 9}, nil), 0, 10), ""},
		{"two", appendOf(bytes.Join([][]byte{storagetest.Batch(0, 1, 0), storagetest.Batch(1, 1, 0)}, nil), 0, 2), ""},
		{"overlap", appendOf(bytes.Join([][]byte{storagetest.Batch(0, 2, 0), storagetest.Batch(1, 1, 0)}, nil), 0, 2),
			"batch at 1 where 2 was due"},
		{"end", appendOf(storagetest.Batch(0, 1, 0), 0, 9), "end 9 is stated, batches end at 1"},
		{"offsets overflow", appendOf(far, math.MaxInt64-1, math.MaxInt64), "last offset delta 5"},
		{"negative delta", appendOf(negative, 0, 0), "last offset delta -1"},
		{"short", appendOf([]byte{1, 2, 3}, 0, 1), "cut short"},
		{"too much", storage.Write{Set: manyValues()}, "bytes, the limit is"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.w.Validate()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want it valid", err)
			case tt.want != "" && (!errors.Is(err, storage.ErrInvalid) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want ErrInvalid that says %q", err, tt.want)
			}
		})
	}
}

// manyValues share one array and are too large together, not one by one.
func manyValues() []storage.Item {
	value := make([]byte, storage.MaxValueBytes)
	var items []storage.Item
	for i := range storage.MaxWriteBytes/storage.MaxValueBytes + 1 {
		items = append(items, storage.Item{Key: string(rune('a' + i)), Value: value})
	}
	return items
}

func TestEmpty(t *testing.T) {
	if !(storage.Write{}).Empty() {
		t.Error("an empty Write is not empty")
	}
	for _, w := range []storage.Write{
		{Append: make([]storage.Append, 1)}, {Replace: make([]storage.Replace, 1)}, {Trim: make([]storage.Trim, 1)},
		{Set: make([]storage.Item, 1)}, {Check: make([]storage.Check, 1)},
	} {
		if w.Empty() {
			t.Errorf("empty: %+v", w)
		}
	}
}

func TestBatches(t *testing.T) {
	b := bytes.Join([][]byte{storagetest.Batch(0, 1, 100), storagetest.Batch(1, 1, 200), {9, 9}}, nil)
	var got []int
	for h, batch := range storage.Batches(b) {
		if h.Size() != len(batch) {
			t.Errorf("batch at %d: header says %d bytes, got %d", h.BaseOffset, h.Size(), len(batch))
		}
		got = append(got, len(batch))
	}
	if len(got) != 2 || got[0] != 100 || got[1] != 200 {
		t.Errorf("sizes: got %v, want 100 and 200 and then the end", got)
	}
	for range storage.Batches(b) {
		break
	}
}

// state is a store of one log and one item.
type state struct{ err error }

func (s state) Log(got storage.TP) (storage.Bounds, bool) {
	if got == tp {
		return storage.Bounds{Start: 2, End: 10, Epoch: 4}, true
	}
	return storage.Bounds{}, false
}

func (s state) Version(key string) (int64, error) {
	if key == "k" {
		return 6, s.err
	}
	return 0, s.err
}

func TestConflicts(t *testing.T) {
	good := storage.Write{
		Append: []storage.Append{{TP: tp, Expect: 10, End: 12, Epoch: 4}},
		Trim:   []storage.Trim{{TP: tp, Start: 12}},
		Set:    []storage.Item{{Key: "k", Version: 6}, {Key: "x"}, {Key: "y", Version: storage.Any}},
		Check:  []storage.Check{{Key: "k", Version: 6}},
	}
	if c, err := good.Conflicts(state{}); c != nil || err != nil {
		t.Errorf("right expectations: got %v, %v", c, err)
	}
	boom := errors.New("boom")
	if _, err := good.Conflicts(state{boom}); !errors.Is(err, boom) {
		t.Errorf("a state that fails: got %v", err)
	}
	bad := storage.Write{
		Append: []storage.Append{{TP: tp, Expect: 10, End: 11, Epoch: 3}},
		Trim:   []storage.Trim{{TP: tp, Start: 12}, {TP: storage.TP{}, Start: 1}},
		Set:    []storage.Item{{Key: "k"}},
		Check:  []storage.Check{{Key: "x", Version: 1}},
	}
	c, err := bad.Conflicts(state{})
	if err != nil || c.Empty() || len(c.Logs) != 3 || len(c.Items) != 2 {
		t.Fatalf("got %+v, %v; want three logs and two items", c, err)
	}
	want := "conflict on 3 logs and 2 items; " + tp.String() + ": expected end 10 epoch 3, has end 10 epoch 4"
	if got := c.Error(); !strings.HasPrefix(got, want) || !strings.Contains(got, `"k": expected version 0, has 6`) {
		t.Errorf("words: got %q, want it to begin with %q", got, want)
	}
}

// FuzzValidate: what passes can be walked to its end by everybody.
func FuzzValidate(f *testing.F) {
	f.Add(storagetest.Batch(0, 3, 100), int64(0), int64(3))
	f.Add([]byte{}, int64(4), int64(4))
	f.Fuzz(func(t *testing.T, b []byte, expect, end int64) {
		if appendOf(b, expect, end).Validate() != nil {
			return
		}
		n, next := 0, expect
		for h, batch := range storage.Batches(b) {
			if h.BaseOffset != next || h.LastOffset() < next {
				t.Errorf("batch %d to %d after %d", h.BaseOffset, h.LastOffset(), next)
			}
			n, next = n+len(batch), h.LastOffset()+1
		}
		if n != len(b) || next != end {
			t.Errorf("walked %d of %d bytes to offset %d of %d", n, len(b), next, end)
		}
	})
}
