package iceberg_test

import (
	"strings"
	"testing"
	"time"

	ice "github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/tabletest"
)

func TestExpiry(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{ExpireEvery: 10, KeepLast: 5, KeepFor: time.Nanosecond,
		Properties: ice.Properties{"commit.manifest.min-count-to-merge": "8"}})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	tbl := l.open(t, s)
	for i := range int64(60) {
		mustCommit(t, tbl, l.step(t, tbl, s, i*2, i*2+2))
	}
	wantOffsets(t, tbl, 120)
	it, err := l.ice.LoadTable(t.Context(), table.Identifier{"default", "orders"})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(it.Metadata().Snapshots()); n != 5 {
		t.Errorf("%d snapshots, want 5", n)
	}
	fs := catalog.FileIO(t.Context(), l.store)
	used := map[string]bool{}
	for _, snap := range it.Metadata().Snapshots() {
		used[snap.ManifestList] = true
		manifests, err := snap.Manifests(fs)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range manifests {
			used[m.FilePath()] = true
		}
	}
	for info := range l.store.List(t.Context(), "") {
		if strings.HasSuffix(info.Key, ".avro") && !used[l.store.URL(info.Key)] {
			t.Errorf("left by expiry: %s", info.Key)
		}
	}
}

// TestExpiryAfterForeignRewrite lets somebody compact the table: the old data
// files go when the last snapshot that needs them does, the new ones stay.
func TestExpiryAfterForeignRewrite(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{ExpireEvery: 10, KeepLast: 3, KeepFor: time.Nanosecond})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	tbl := l.open(t, s)
	for i := range int64(4) {
		mustCommit(t, tbl, l.step(t, tbl, s, i*10, i*10+10))
	}
	old := liveFiles(t, l)
	rewrite(t, l, tbl, s)
	wantProgress(t, tbl, upTo(40))
	for i := int64(4); i < 30; i++ {
		mustCommit(t, tbl, l.step(t, tbl, s, i*10, i*10+10))
	}
	wantOffsets(t, tbl, 300)
	live := liveFiles(t, l)
	for info := range l.store.List(t.Context(), "") {
		if strings.HasSuffix(info.Key, ".parquet") && !live[l.store.URL(info.Key)] {
			t.Errorf("left by expiry: %s (replaced: %v)", info.Key, old[l.store.URL(info.Key)])
		}
	}
}

// BenchmarkCommit commits small files to a local lake, one after the other.
func BenchmarkCommit(b *testing.B) {
	store, err := blob.OpenLocal(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	l := newLake(store, iceberg.Options{})
	s := tabletest.Schema(b, tabletest.SmallFields()...)
	tbl := l.open(b, s)
	at := int64(0)
	for b.Loop() {
		b.StopTimer()
		c := l.step(b, tbl, s, at, at+10)
		at += 10
		b.StartTimer()
		mustCommit(b, tbl, c)
	}
}
