// Package storagetest is the suite that every storage engine passes: the
// contract of package storage in code, and benchmarks of the same shapes for
// all of them.
package storagetest

import (
	"context"
	"errors"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// Open makes an empty engine for one test and registers what cleans up after
// it. The second result closes the engine and opens the same store again; it is
// nil for engines that keep nothing.
type Open func(t *testing.T) (eng storage.Engine, reopen func() storage.Engine)

// Run runs the whole suite. Each part opens engines of its own.
func Run(t *testing.T, open Open) {
	parts := []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"Append", testAppend},
		{"AppendConflicts", testAppendConflicts},
		{"Epochs", testEpochs},
		{"EmptyAppend", testEmptyAppend},
		{"Refused", testRefused},
		{"ReadInsideBatch", testReadInsideBatch},
		{"ReadMaxBytes", testReadMaxBytes},
		{"ReadLargeBatch", testReadLargeBatch},
		{"ReadKept", testReadKept},
		{"Index", testIndex},
		{"Trim", testTrim},
		{"TrimConflicts", testTrimConflicts},
		{"Forget", testForget},
		{"Replace", testReplace},
		{"ReplaceConflicts", testReplaceConflicts},
		{"ReplaceFenced", testReplaceFenced},
		{"ReplaceGap", testReplaceGap},
		{"ReplaceEverything", testReplaceEverything},
		{"Items", testItems},
		{"ItemConflicts", testItemConflicts},
		{"Versions", testVersions},
		{"Scan", testScan},
		{"Atomic", testAtomic},
		{"Aliasing", testAliasing},
		{"Race", testRace},
		{"Merged", testMerged},
		{"ReadersAndWriters", testReadersAndWriters},
		{"Context", testContext},
		{"Closed", testClosed},
		{"Reopen", testReopen},
		{"Model", testModel},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.run(t, open) })
	}
}

// tp is the n-th log of a test.
func tp(n int) storage.TP {
	return storage.TP{Topic: storage.TopicID{0xaa, 15: byte(n / 8)}, Partition: int32(n % 8)}
}

// appendOf is the append of batches that begin at expect.
func appendOf(tp storage.TP, expect int64, batches ...[]byte) storage.Append {
	a := storage.Append{TP: tp, Expect: expect, End: expect}
	for _, b := range batches {
		a.Batches = append(a.Batches, b...)
		for h := range storage.Batches(b) {
			a.End = h.LastOffset() + 1
		}
	}
	return a
}

// mustCommit commits w or ends the test.
func mustCommit(t *testing.T, eng storage.Engine, w storage.Write) {
	t.Helper()
	if err := eng.Commit(t.Context(), w); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// mustAppend appends batches at the end of tp's log or ends the test.
func mustAppend(t *testing.T, eng storage.Engine, tp storage.TP, expect int64, batches ...[]byte) {
	t.Helper()
	mustCommit(t, eng, storage.Write{Append: []storage.Append{appendOf(tp, expect, batches...)}})
}

// wantConflict commits w and expects a conflict, which it returns.
func wantConflict(t *testing.T, eng storage.Engine, w storage.Write) *storage.Conflict {
	t.Helper()
	err := eng.Commit(t.Context(), w)
	var c *storage.Conflict
	if !errors.As(err, &c) {
		t.Fatalf("Commit: got %v, want a conflict", err)
	}
	return c
}

// wantBounds compares a log's bounds. Bytes may be more than want, for engines
// may count what they have not cut off yet, but not without limit.
func wantBounds(t *testing.T, eng storage.Engine, tp storage.TP, want storage.Bounds) {
	t.Helper()
	got, err := eng.Bounds(t.Context(), tp)
	if err != nil {
		t.Fatalf("Bounds of %s: %v", tp, err)
	}
	if got.Bytes < want.Bytes || got.Bytes > want.Bytes+boundsSlack {
		t.Errorf("Bounds of %s: got %d bytes, want %d or little more", tp, got.Bytes, want.Bytes)
	}
	got.Bytes = want.Bytes
	if got != want {
		t.Errorf("Bounds of %s: got %+v, want %+v", tp, got, want)
	}
}

// boundsSlack is how far Bounds.Bytes may be off: the one run that a log's
// start may cut.
const boundsSlack = 256 << 10

// headers collects what Index yields.
func headers(t *testing.T, eng storage.Engine, tp storage.TP, from int64) []record.Header {
	t.Helper()
	var out []record.Header
	for h, err := range eng.Index(t.Context(), tp, from) {
		if err != nil {
			t.Fatalf("Index of %s from %d: %v", tp, from, err)
		}
		out = append(out, h)
	}
	return out
}

// bases are the base offsets of all batches of a log, by Index.
func bases(t *testing.T, eng storage.Engine, tp storage.TP, from int64) []int64 {
	t.Helper()
	out := []int64{}
	for _, h := range headers(t, eng, tp, from) {
		out = append(out, h.BaseOffset)
	}
	return out
}

// read reads or ends the test.
func read(t *testing.T, eng storage.Engine, tp storage.TP, offset int64, maxBytes int) []byte {
	t.Helper()
	b, err := eng.Read(t.Context(), tp, offset, maxBytes)
	if err != nil {
		t.Fatalf("Read of %s at %d: %v", tp, offset, err)
	}
	return b
}

// value gets an item or ends the test.
func value(t *testing.T, eng storage.Engine, key string) storage.Item {
	t.Helper()
	it, err := eng.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get %q: %v", key, err)
	}
	return it
}

// keys are the keys under a prefix, by Scan.
func keys(ctx context.Context, t *testing.T, eng storage.Engine, prefix string) []string {
	t.Helper()
	out := []string{}
	for it, err := range eng.Scan(ctx, prefix) {
		if err != nil {
			t.Fatalf("Scan %q: %v", prefix, err)
		}
		out = append(out, it.Key)
	}
	return out
}
