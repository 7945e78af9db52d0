package sqlite

import (
	"context"
	"errors"
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
	return openWith(t, Config{Path: path})
}

func openWith(t testing.TB, cfg Config) *Engine {
	t.Helper()
	cfg.Log = testLog(t)
	e, err := Open(context.Background(), cfg)
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

// tidied is an engine that tidies up after every commit as hard as it can, and
// whose chunks are small: every layout an index can get into comes up soon.
type tidied struct {
	*Engine
	t *testing.T
}

func (e tidied) Commit(ctx context.Context, w storage.Write) error {
	err := e.Engine.Commit(ctx, w)
	tidyErr := e.do(func() error {
		e.chunker.limit = 3000
		return errors.Join(e.merge(tiny), e.merge(thin), e.deleteDead(), e.saveEnds(1))
	})
	if tidyErr != nil && !errors.Is(tidyErr, storage.ErrClosed) {
		e.t.Errorf("tidy up: %v", tidyErr)
	}
	return err
}

func TestSuiteTidied(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) (storage.Engine, func() storage.Engine) {
		// Several transactions a commit: without flushes, or it takes too long.
		cfg := Config{Path: filepath.Join(t.TempDir(), "tarn.db"), Synchronous: Normal}
		e := openWith(t, cfg)
		return tidied{e, t}, func() storage.Engine {
			checkAccounts(t, e)
			if err := e.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			e = openWith(t, cfg)
			checkAccounts(t, e)
			return tidied{e, t}
		}
	})
}

// checkAccounts compares what the committer believes of chunks with the views.
func checkAccounts(t *testing.T, e *Engine) {
	t.Helper()
	err := e.do(func() error {
		live := map[int64]uint32{}
		for _, l := range e.logs {
			sum := int64(0)
			for _, r := range l.view.Load().runs {
				live[r.chunk] += r.bytes
				sum += int64(r.bytes)
			}
			if got := l.view.Load().bounds.Bytes; got != sum {
				t.Errorf("log %s: bounds tell of %d bytes, runs of %d", l.tp, got, sum)
			}
			if e.byID[l.id] != l {
				t.Errorf("log %s is not known by its id %d", l.tp, l.id)
			}
		}
		for id, info := range e.chunks {
			if info.live != live[id] || info.live == 0 || info.live > info.size {
				t.Errorf("chunk %d: %+v, logs need %d bytes", id, info, live[id])
			}
		}
		if len(live) != len(e.chunks) || len(e.byID) != len(e.logs) {
			t.Errorf("%d chunks needed of %d, %d logs by id of %d", len(live), len(e.chunks), len(e.byID), len(e.logs))
		}
		return nil
	})
	if err != nil && !errors.Is(err, storage.ErrClosed) {
		t.Errorf("check accounts: %v", err)
	}
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
