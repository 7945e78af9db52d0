package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/tables/metadata"
)

// ErrForbidden is refused: the policy does not let this client do it.
var ErrForbidden = errors.New("forbidden by policy")

// Guard decides whether a commit by a REST client may go ahead; an error
// refuses it with 403 and the error's text. The levels of a nested namespace
// are joined by dots. It may be called concurrently.
type Guard func(namespace, name string, updates []metadata.Update) error

// ReservedPrefix begins the table properties that carry Tarn's progress.
const ReservedPrefix = "tarn."

// Maintenance is the policy for tables that the broker writes: snapshots that
// rewrite files without changing rows, expiry, tags, branches, statistics and
// properties are fine; rows, schema, partitioning, place and Tarn's own
// properties are the broker's. The error is ErrForbidden.
func Maintenance(updates []metadata.Update) error {
	for _, u := range updates {
		if err := maintenance(u); err != nil {
			return err
		}
	}
	return nil
}

func maintenance(u metadata.Update) error {
	switch u.Action {
	case metadata.AddSnapshot, metadata.SetProperties, metadata.RemoveProperties:
	case metadata.SetSnapshotRef, metadata.RemoveSnapshotRef, metadata.RemoveSnapshots,
		metadata.SetStatistics, metadata.RemoveStatistics,
		metadata.SetPartitionStatistics, metadata.RemovePartitionStatistics,
		metadata.RemoveSchemas, metadata.RemoveSpecs,
		metadata.AddSortOrder, metadata.SetDefaultSortOrder:
		return nil
	default:
		return fmt.Errorf("%w: the broker owns this table: %s", ErrForbidden, u.Action)
	}
	if u.Action == metadata.AddSnapshot {
		if u.Snapshot == nil || u.Snapshot.Operation != metadata.Replace {
			return fmt.Errorf("%w: the broker owns this table: only snapshots of operation %q", ErrForbidden, metadata.Replace)
		}
		return nil
	}
	keys := slices.Clone(u.Removals)
	for k := range u.Updates {
		keys = append(keys, k)
	}
	for _, k := range keys {
		if strings.HasPrefix(k, ReservedPrefix) {
			return fmt.Errorf("%w: property %s", ErrForbidden, k)
		}
	}
	return nil
}
