package storagetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// Shape is a load: so many writers at once, each committing batches of so many
// bytes to logs of its own.
type Shape struct {
	Writers    int
	BatchBytes int // one batch to a commit
}

// Shapes are the loads that engines are compared by.
func Shapes() []Shape {
	return []Shape{{1, 1 << 10}, {64, 1 << 10}, {64, 16 << 10}, {1, 1 << 20}, {4, 1 << 20}}
}

// String names a shape in benchmarks.
func (s Shape) String() string {
	unit, n := "KB", s.BatchBytes>>10
	if s.BatchBytes >= 1<<20 {
		unit, n = "MB", s.BatchBytes>>20
	}
	return fmt.Sprintf("%dx%d%s", s.Writers, n, unit)
}

// Bench measures commits of every shape and reads of what they wrote. It
// reports MB/s; an iteration is one commit, or one read of 1 MB.
func Bench(b *testing.B, open func(b *testing.B) storage.Engine) {
	for _, s := range Shapes() {
		b.Run("Commit/"+s.String(), func(b *testing.B) {
			eng := open(b)
			benchCommits(b, s, func(w storage.Write) error { return eng.Commit(b.Context(), w) })
		})
	}
	for _, s := range []Shape{{64, 1 << 10}, {4, 1 << 20}} {
		b.Run("Read/"+s.String(), func(b *testing.B) { benchReads(b, s, open(b)) })
	}
}

// benchCommits spreads b.N commits over the writers of a shape.
func benchCommits(b *testing.B, s Shape, commit func(storage.Write) error) {
	b.SetBytes(int64(s.BatchBytes))
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for n := range s.Writers {
		wg.Go(func() {
			log := storage.TP{Topic: storage.TopicID{1, byte(n)}, Partition: int32(n)}
			batch := Batch(0, 1, s.BatchBytes)
			for offset := int64(0); left.Add(-1) >= 0; offset++ {
				record.SetBaseOffset(batch, offset)
				a := storage.Append{TP: log, Expect: offset, End: offset + 1, Batches: batch}
				if err := commit(storage.Write{Append: []storage.Append{a}}); err != nil {
					b.Errorf("commit: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
}

// benchReads writes 64 MB and reads them in turn, 1 MB at a time.
func benchReads(b *testing.B, s Shape, eng storage.Engine) {
	const total, piece = 64 << 20, 1 << 20
	each := total / s.Writers / s.BatchBytes
	var wg sync.WaitGroup
	for n := range s.Writers {
		wg.Go(func() {
			for i := range int64(each) {
				w := storage.Write{Append: []storage.Append{appendOf(tp(n), i, Batch(i, 1, s.BatchBytes))}}
				if err := eng.Commit(b.Context(), w); err != nil {
					b.Errorf("commit: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.SetBytes(piece)
	b.ResetTimer()
	log, offset := 0, int64(0)
	for b.Loop() {
		got, err := eng.Read(b.Context(), tp(log), offset, piece)
		if err != nil {
			b.Fatalf("read: %v", err)
		}
		offset += int64(len(got) / s.BatchBytes)
		if offset >= int64(each) {
			log, offset = (log+1)%s.Writers, 0
		}
	}
}
