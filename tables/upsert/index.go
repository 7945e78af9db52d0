package upsert

import (
	"bytes"
	"context"
	"math"
	"math/bits"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// rowBytes is what a row of a file takes in an Index.
const rowBytes = 20

// Budget bounds the memory of indexes together. Safe for concurrent use.
type Budget struct{ left atomic.Int64 }

// NewBudget is one of so many bytes.
func NewBudget(bytes int64) *Budget {
	b := &Budget{}
	b.left.Store(bytes)
	return b
}

// take takes n bytes, if they are there.
func (b *Budget) take(n int64) bool {
	if b.left.Add(-n) >= 0 {
		return true
	}
	b.left.Add(n)
	return false
}

// Index remembers which keys the live files of one table hold, 20 bytes a row.
// Files never change, so what it remembers stays true for as long as a file is
// live; files for which the budget has no room are read again each time. Safe
// for concurrent use, one call at a time goes on.
type Index struct {
	Hasher
	budget *Budget

	mu    sync.Mutex
	files map[string]*fileKeys // guarded by mu
}

// fileKeys are a file's keys in order, each with its row's position.
type fileKeys struct {
	hashes []Hash
	rows   []uint32
}

func (f *fileKeys) bytes() int64 { return int64(len(f.rows)) * rowBytes }

// Len, Less and Swap sort it.
func (f *fileKeys) Len() int           { return len(f.rows) }
func (f *fileKeys) Less(i, j int) bool { return bytes.Compare(f.hashes[i][:], f.hashes[j][:]) < 0 }
func (f *fileKeys) Swap(i, j int) {
	f.hashes[i], f.hashes[j] = f.hashes[j], f.hashes[i]
	f.rows[i], f.rows[j] = f.rows[j], f.rows[i]
}

// NewIndex makes an index that remembers nothing.
func NewIndex(b *Budget) *Index {
	return &Index{Hasher: NewHasher(), budget: b, files: map[string]*fileKeys{}}
}

// Close gives back what the index takes of the budget. It can be used on.
func (x *Index) Close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.keep(nil)
}

// keep forgets all files but those. mu is held.
func (x *Index) keep(live []tables.LiveFile) {
	names := make(map[string]bool, len(live))
	for _, f := range live {
		names[f.Key] = true
	}
	for key, f := range x.files {
		if !names[key] {
			x.budget.left.Add(f.bytes())
			delete(x.files, key)
		}
	}
}

// Hit is a live file with rows that have wanted keys, at these positions, which
// are sorted.
type Hit struct {
	File tables.LiveFile
	Rows []int64
}

// Find looks for keys in the live files. Errors: tables.ErrFile for a file that
// is gone, else those of reading.
func (x *Index) Find(ctx context.Context, store blob.Store, live []tables.LiveFile, columns []string, want Set) ([]Hit, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.keep(live)
	if len(want) == 0 {
		return nil, nil
	}
	var out []Hit
	for _, f := range live {
		rows, err := x.find(ctx, store, f, columns, want)
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			slices.Sort(rows)
			out = append(out, Hit{f, rows})
		}
	}
	return out, nil
}

// find looks in one file, and remembers it if there is room.
func (x *Index) find(ctx context.Context, store blob.Store, f tables.LiveFile, columns []string, want Set) ([]int64, error) {
	if keys := x.files[f.Key]; keys != nil {
		return keys.find(want), nil
	}
	var keys *fileKeys
	if n := f.Rows * rowBytes; f.Rows >= 0 && f.Rows < math.MaxUint32 && x.budget.take(n) {
		keys = &fileKeys{make([]Hash, 0, f.Rows), make([]uint32, 0, f.Rows)}
		defer func() { // what was really needed
			x.budget.left.Add(n)
			if keys != nil && keys.Len() < math.MaxUint32 && x.budget.take(keys.bytes()) {
				x.files[f.Key] = keys
			}
		}()
	}
	var rows []int64
	at := int64(0)
	err := x.each(ctx, store, f.Key, columns, func(hashes []Hash) error {
		for i, k := range hashes {
			if _, ok := want[k]; ok {
				rows = append(rows, at+int64(i))
			}
			if keys != nil {
				keys.hashes, keys.rows = append(keys.hashes, k), append(keys.rows, uint32(at+int64(i)))
			}
		}
		at += int64(len(hashes))
		return nil
	})
	if err != nil {
		keys = nil
		return nil, err
	}
	if keys != nil {
		sort.Sort(keys)
	}
	return rows, nil
}

// find looks for keys one way or the other, whichever takes fewer steps.
func (f *fileKeys) find(want Set) []int64 {
	var out []int64
	if len(want)*bits.Len(uint(f.Len())) > f.Len() {
		for i, k := range f.hashes {
			if _, ok := want[k]; ok {
				out = append(out, int64(f.rows[i]))
			}
		}
		return out
	}
	for k := range want {
		at := sort.Search(f.Len(), func(i int) bool { return bytes.Compare(f.hashes[i][:], k[:]) >= 0 })
		for ; at < f.Len() && f.hashes[at] == k; at++ {
			out = append(out, int64(f.rows[at]))
		}
	}
	return out
}
