package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/storagetest"
)

func BenchmarkEngine(b *testing.B) {
	storagetest.Bench(b, func(b *testing.B) storage.Engine {
		return open(b, filepath.Join(b.TempDir(), "tarn.db"))
	})
}
