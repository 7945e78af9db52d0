package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/storagetest"
)

const (
	// crashEnv names the variable that makes TestCrashChild the child of
	// TestCrash; it holds the path of the store.
	crashEnv     = "TARN_CRASH_STORE"
	crashWriters = 6
	crashKills   = 10
)

// Each writer of the child owns two logs, which grow by the same Write, and an
// item that counts the Writes. So all three tell the same number, always.
func crashLogs(writer int) (a, b storage.TP) { return tpOf(2 * writer), tpOf(2*writer + 1) }

func crashKey(writer int) string { return fmt.Sprint("writer/", writer) }

// TestCrash kills a child that commits at random moments and checks that all it
// acknowledged is there, and nothing is half there.
func TestCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	acked := make([]int64, crashWriters)
	total := 0
	for range crashKills {
		total += runChild(t, path, acked, 20+rand.IntN(700))
		checkCrashed(t, path, acked)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills, %d acknowledged commits", crashKills, total)
}

// runChild starts the child, notes what it acknowledges, kills it after some
// acknowledgements, and notes what was on its way.
func runChild(t *testing.T, path string, acked []int64, lines int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for in := bufio.NewScanner(out); in.Scan(); n++ {
		var writer int
		var count int64
		if _, err := fmt.Sscanf(in.Text(), "ack %d %d", &writer, &count); err != nil {
			t.Fatalf("child said %q", in.Text())
		}
		acked[writer] = count
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || n < lines {
		t.Fatalf("child ended by itself after %d commits: %v", n, err)
	}
	return n
}

// checkCrashed opens the store and compares it with what was acknowledged. A
// writer's last Write may be there without that.
func checkCrashed(t *testing.T, path string, acked []int64) {
	t.Helper()
	e, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatalf("Open after the kill: %v", err)
	}
	defer e.Close()
	checkAccounts(t, e)
	for w := range acked {
		a, b := crashLogs(w)
		ends := make([]int64, 3)
		for i, tp := range []storage.TP{a, b} {
			bounds, err := e.Bounds(t.Context(), tp)
			if err != nil && (!errors.Is(err, storage.ErrNoLog) || acked[w] > 0) {
				t.Fatalf("Bounds of %s: %v", tp, err)
			}
			ends[i] = bounds.End
			if err == nil {
				checkLog(t, e, tp, bounds)
			}
		}
		it, err := e.Get(t.Context(), crashKey(w))
		if err != nil {
			t.Fatalf("Get: %v", err)
		}
		fmt.Sscan(string(it.Value), &ends[2])
		if ends[0] != ends[1] || ends[1] != ends[2] || ends[0] < acked[w] || ends[0] > acked[w]+1 {
			t.Errorf("writer %d: logs end at %d and %d, item counts %d, %d were acknowledged",
				w, ends[0], ends[1], ends[2], acked[w])
		}
		acked[w] = ends[0]
	}
	var sound string
	err = e.do(func() error {
		return e.w.conn.QueryRowContext(context.Background(), "pragma integrity_check").Scan(&sound)
	})
	if err != nil || sound != "ok" {
		t.Errorf("integrity check: %q, %v", sound, err)
	}
}

// checkLog reads all of a log: every batch must be whole and in its place.
func checkLog(t *testing.T, e *Engine, tp storage.TP, b storage.Bounds) {
	t.Helper()
	next := b.Start
	for next < b.End {
		got, err := e.Read(t.Context(), tp, next, 1<<20)
		if err != nil || len(got) == 0 {
			t.Fatalf("Read of %s at %d of %d: %d bytes, %v", tp, next, b.End, len(got), err)
		}
		for h, batch := range storage.Batches(got) {
			if err := record.CheckCRC(batch); err != nil || h.BaseOffset != next {
				t.Fatalf("%s: batch at %d where %d was due: %v", tp, h.BaseOffset, next, err)
			}
			next = h.LastOffset() + 1
		}
	}
}

// TestCrashChild is no test: it commits until it is killed.
func TestCrashChild(t *testing.T) {
	path := os.Getenv(crashEnv)
	if path == "" {
		return
	}
	e, err := Open(context.Background(), Config{Path: path})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	for w := range crashWriters {
		go crashWriter(t, e, w)
	}
	for n := 0; ; n++ { // the upkeep of hours
		class := n % classes
		if err := e.do(func() error { return errors.Join(e.merge(class), e.deleteDead(), e.saveEnds(3)) }); err != nil {
			t.Fatalf("tidy up: %v", err)
		}
	}
}

// crashBytes is the size of the n-th batch of a writer's first log.
func crashBytes(n int64) int64 { return 100 + n%7*300 }

// crashWriter commits and says so; now and then it trims, and replaces.
func crashWriter(t *testing.T, e *Engine, w int) {
	a, b := crashLogs(w)
	bounds, err := e.Bounds(context.Background(), a)
	if err != nil && !errors.Is(err, storage.ErrNoLog) {
		t.Errorf("Bounds: %v", err)
		return
	}
	for n := bounds.End; ; n++ {
		write := storage.Write{
			Append: []storage.Append{
				{TP: a, Expect: n, End: n + 1, Batches: storagetest.Batch(n, 1, int(crashBytes(n)))},
				{TP: b, Expect: n, End: n + 1, Batches: storagetest.Batch(n, 1, 70+int(n%400)*100)},
			},
			Set: []storage.Item{{Key: crashKey(w), Value: fmt.Append(nil, n+1), Version: storage.Any}},
		}
		if n%50 == 49 {
			write.Trim = []storage.Trim{{TP: b, Start: n - 20}}
		}
		if at := n - 30; n%37 == 36 && at >= 0 { // compaction of one batch
			write.Replace = []storage.Replace{{TP: a, From: at, To: at + 1, Batches: storagetest.Batch(at, 1, 80),
				Expect: storage.Range{Batches: 1, Bytes: crashBytes(at)}}}
		}
		if err := e.Commit(context.Background(), write); err != nil {
			t.Errorf("Commit: %v", err)
			return
		}
		// One call of write(2), so that lines stay whole.
		fmt.Fprintf(os.Stdout, "ack %d %d\n", w, n+1)
	}
}
