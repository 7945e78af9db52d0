package iceberg

import (
	"context"
	"fmt"

	"github.com/apache/iceberg-go"
)

// Landed implements tables.Table. The commit's own snapshot tells while it is
// there. After that any other one may: others may have rewritten the file and
// expired that snapshot alone, and then snapshots between the two still name it.
// So the manifests of all of them are read, each once, the newest first.
func (t *tbl) Landed(ctx context.Context, id, key string) (bool, error) {
	now, err := t.load(ctx)
	if err != nil {
		return false, err
	}
	all := now.Metadata.Snapshots
	for _, snap := range all {
		if snap.Summary[commitKey] == id {
			return true, nil
		}
	}
	seen := map[string]bool{}
	for i := len(all) - 1; i >= 0; i-- {
		list, err := t.manifests(ctx, all[i])
		if err != nil {
			return false, err
		}
		for _, m := range list {
			if m.ManifestContent() != iceberg.ManifestContentData || seen[m.FilePath()] {
				continue
			}
			seen[m.FilePath()] = true
			if names, err := t.names(ctx, m, key); names || err != nil {
				return names, err
			}
		}
	}
	return false, nil
}

// names reports whether a manifest names the data file at key, as one that was
// removed too.
func (t *tbl) names(ctx context.Context, m iceberg.ManifestFile, key string) (bool, error) {
	for e, err := range m.Entries(t.files(ctx), false) {
		if err != nil {
			return false, fmt.Errorf("read manifest %s: %w", m.FilePath(), missing(err))
		}
		if have, ok := t.store.Key(e.DataFile().FilePath()); ok && have == key {
			return true, nil
		}
	}
	return false, nil
}
