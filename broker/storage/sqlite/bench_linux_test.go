package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/storagetest"
)

// BenchmarkRaw appends to a plain file and flushes it, one piece after another:
// what the disk gives without any engine.
func BenchmarkRaw(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			piece := storagetest.Batch(0, 1, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := f.Write(piece); err != nil {
					b.Fatal(err)
				}
				if err := syscall.Fdatasync(int(f.Fd())); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
