package sqlite

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/storagetest"
)

// testLog sends log lines to the test.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// open opens the store at path or ends the test, and closes it at its end.
func open(t testing.TB, path string) *Engine {
	t.Helper()
	e, err := Open(context.Background(), Config{Path: path, Log: testLog(t)})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return e
}

func TestSuite(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) (storage.Engine, func() storage.Engine) {
		path := filepath.Join(t.TempDir(), "tarn.db")
		e := open(t, path)
		return e, func() storage.Engine {
			if err := e.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			e = open(t, path)
			return e
		}
	})
}
