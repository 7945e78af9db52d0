package iceberg_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/metadata"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// tagging is a catalog in which somebody tags a snapshot right before a commit
// comes that would remove it, once.
type tagging struct {
	*catalog.Catalog
	tagged int64
}

func (c *tagging) CommitTable(ctx context.Context, ident catalog.Identifier, reqs []metadata.Requirement, updates []metadata.Update) (*metadata.Table, string, error) {
	i := slices.IndexFunc(updates, func(u metadata.Update) bool { return u.Action == metadata.RemoveSnapshots })
	if i >= 0 && c.tagged == 0 {
		c.tagged = updates[i].SnapshotIDs[0]
		tag := metadata.Ref{SnapshotID: c.tagged, Kind: "tag"}
		if _, _, err := c.Catalog.CommitTable(ctx, ident, nil, []metadata.Update{{Action: metadata.SetSnapshotRef, RefName: "audit", Ref: &tag}}); err != nil {
			return nil, "", err
		}
	}
	return c.Catalog.CommitTable(ctx, ident, reqs, updates)
}

// TestExpiryOfTagged: a tag that a user sets while snapshots are being expired
// stays, with the snapshot and its files.
func TestExpiryOfTagged(t *testing.T) {
	for _, by := range []string{"commit", "expire"} {
		t.Run(by, func(t *testing.T) {
			l := newLake(blob.NewMemory(), iceberg.Options{})
			cat := &tagging{Catalog: l.cat}
			opts := iceberg.Options{ExpireEvery: 5, KeepLast: 2, KeepFor: time.Nanosecond}
			if by == "expire" {
				opts.ExpireEvery = 1000
			}
			l.format = iceberg.New(cat, l.store, opts)
			s := tabletest.Schema(t, tabletest.SmallFields()...)
			tbl := l.open(t, s)
			for i := range int64(6) {
				mustCommit(t, tbl, l.step(t, tbl, s, i*2, i*2+2))
			}
			if by == "expire" {
				if _, err := tbl.(tables.Maintainer).Expire(t.Context(), tables.Keep{Age: time.Nanosecond, Last: 1, Max: 2}); err != nil {
					t.Fatal(err)
				}
			}
			now, err := l.cat.LoadTable(t.Context(), catalog.Identifier{"default", "orders"})
			if err != nil {
				t.Fatal(err)
			}
			ref, ok := now.Metadata.Refs["audit"]
			if cat.tagged == 0 || !ok || ref.SnapshotID != cat.tagged {
				t.Fatalf("the tag of snapshot %d is %+v, %v", cat.tagged, ref, ok)
			}
			snap := now.Metadata.Snapshot(cat.tagged)
			if snap == nil {
				t.Fatal("the tagged snapshot is gone")
			}
			key, _ := l.store.Key(snap.ManifestList)
			if _, err := l.store.Get(t.Context(), key); err != nil {
				t.Errorf("its files: %v", err)
			}
			if len(now.Metadata.Snapshots) >= 6 {
				t.Errorf("%d snapshots, want some to be gone", len(now.Metadata.Snapshots))
			}
		})
	}
}
