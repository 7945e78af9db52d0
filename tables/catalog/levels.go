package catalog

import (
	"fmt"
	"strings"

	"github.com/tarn-io/tarn/tables/metadata"
)

// Appends is the policy Maintenance that lets others add rows of their own, too:
// by snapshots of operation append. The error is ErrForbidden.
func Appends(updates []metadata.Update) error {
	for _, u := range updates {
		if u.Action == metadata.AddSnapshot && u.Snapshot != nil && u.Snapshot.Operation == metadata.Append {
			continue
		}
		if err := maintenance(u); err != nil {
			return err
		}
	}
	return nil
}

// Reserved is the policy that keeps Tarn's own properties, and lets others do
// everything else. The error is ErrForbidden.
func Reserved(updates []metadata.Update) error {
	for _, u := range updates {
		keys := append([]string(nil), u.Removals...)
		for k := range u.Updates {
			keys = append(keys, k)
		}
		for _, k := range keys {
			if strings.HasPrefix(k, ReservedPrefix) {
				return fmt.Errorf("%w: property %s", ErrForbidden, k)
			}
		}
	}
	return nil
}
