package iceberg

import (
	"context"
	"fmt"

	"github.com/apache/iceberg-go"
)

// Landed implements tables.Table. The commit's own snapshot tells while it is
// there; after that the manifests of the current one, which name the file for as
// long as it is live.
func (t *tbl) Landed(ctx context.Context, id, key string) (bool, error) {
	now, err := t.load(ctx)
	if err != nil {
		return false, err
	}
	for _, snap := range now.Metadata.Snapshots {
		if snap.Summary[commitKey] == id {
			return true, nil
		}
	}
	list, err := t.manifests(ctx, now.Metadata.Current())
	if err != nil {
		return false, err
	}
	for _, m := range list {
		if m.ManifestContent() != iceberg.ManifestContentData {
			continue
		}
		for e, err := range m.Entries(t.files(ctx), false) {
			if err != nil {
				return false, fmt.Errorf("read manifest %s: %w", m.FilePath(), err)
			}
			if have, ok := t.store.Key(e.DataFile().FilePath()); ok && have == key {
				return true, nil
			}
		}
	}
	return false, nil
}
