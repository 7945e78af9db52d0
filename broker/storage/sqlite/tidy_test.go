package sqlite

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

func stats(t *testing.T, e *Engine) Stats {
	t.Helper()
	s, err := e.Stats(t.Context())
	if err != nil {
		t.Fatalf("Stats: %v", err)
	}
	return s
}

// tidyUp does all upkeep of a pause, at once.
func tidyUp(t *testing.T, e *Engine) {
	t.Helper()
	err := e.do(func() error {
		for e.tidyIdle() {
		}
		return nil
	})
	if err != nil {
		t.Fatalf("tidy up: %v", err)
	}
}

// TestMerge makes a chunk for each of many commits of few logs and looks at
// what a pause makes of them.
func TestMerge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	e := openWith(t, Config{Path: path, Synchronous: Normal})
	const commits, logs = 400, 4
	for i := range commits {
		mustCommit(t, e, appendAt(tpOf(i%logs), int64(i/logs), 1000))
	}
	tidyUp(t, e)
	s := stats(t, e)
	if s.Chunks > mergeIdle || s.Runs > mergeIdle+logs || s.LiveBytes != commits*1000 || s.DeadBytes != 0 {
		t.Errorf("after the pause: got %+v, want few chunks and runs", s)
	}
	checkAccounts(t, e)
	for range 2 {
		for n := range logs {
			got, err := e.Read(t.Context(), tpOf(n), 0, 1<<20)
			if err != nil {
				t.Fatalf("Read: %v", err)
			}
			want := int64(0)
			for h := range storage.Batches(got) {
				if h.BaseOffset != want {
					t.Fatalf("log %d: batch at %d, want %d", n, h.BaseOffset, want)
				}
				want++
			}
			if want != commits/logs {
				t.Errorf("log %d: got %d batches, want %d", n, want, commits/logs)
			}
		}
		if err := e.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		e = open(t, path)
	}
}

// TestDeadChunks frees the space of a trimmed log, but not under a reader, and
// gives it back to the file system.
func TestDeadChunks(t *testing.T) {
	e := openWith(t, Config{Path: filepath.Join(t.TempDir(), "tarn.db"), Synchronous: Normal})
	const commits = 90
	for i := range int64(commits) {
		mustCommit(t, e, appendAt(tp0, i, 1<<20))
	}
	n := 0
	for _, err := range e.Index(t.Context(), tp0, 0) {
		if err != nil {
			t.Fatalf("Index: %v", err)
		}
		if n == 0 {
			mustCommit(t, e, storage.Write{Trim: []storage.Trim{{TP: tp0, Start: commits}}})
			tidyUp(t, e)
			if s := stats(t, e); s.Chunks != commits || s.LiveBytes != 0 || s.DeadBytes != commits<<20 {
				t.Errorf("while a reader looks: got %+v, want %d dead chunks", s, commits)
			}
		}
		n++
	}
	if n != commits {
		t.Errorf("Index: got %d batches, want %d", n, commits)
	}
	tidyUp(t, e)
	if s := stats(t, e); s.Chunks != 0 || s.DeadBytes != 0 || s.FileBytes > vacuumKeepBytes+(2<<20) {
		t.Errorf("afterwards: got %+v, want no chunks and a small file", s)
	}
	mustCommit(t, e, appendAt(tp0, commits, 100))
}

// TestTidyByItself waits for the committer to tidy up in a pause.
func TestTidyByItself(t *testing.T) {
	e := openTemp(t)
	mustCommit(t, e, appendAt(tp0, 0, 100))
	mustCommit(t, e, storage.Write{Trim: []storage.Trim{{TP: tp0, Start: 1}}})
	deadline := time.Now().Add(20 * time.Second)
	db := plain(t, e.cfg.Path)
	defer db.Close()
	for n := 1; n > 0; {
		if err := db.QueryRowContext(t.Context(), "select count(*) from chunk").Scan(&n); err != nil {
			t.Fatalf("count chunks: %v", err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d dead chunks after all this time", n)
		}
	}
}

func TestWatchWAL(t *testing.T) {
	var out bytes.Buffer
	e := &Engine{cfg: Config{Path: filepath.Join(t.TempDir(), "tarn.db")}, lg: slog.New(slog.NewTextHandler(&out, nil))}
	now := time.Unix(1_700_000_000, 0)
	e.watchWAL(now)
	f, err := os.Create(e.cfg.Path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(walWarnBytes + 1); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, after := range []time.Duration{0, time.Second, walWarnEvery} {
		e.watchWAL(now.Add(after))
	}
	if got := strings.Count(out.String(), "does not shrink"); got != 2 {
		t.Errorf("warnings: got %d, want 2:\n%s", got, out.String())
	}
}
