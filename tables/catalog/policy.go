package catalog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/iceberg-go/table"
)

// ErrForbidden is refused: the policy does not let this client do it.
var ErrForbidden = errors.New("forbidden by policy")

// Guard decides whether a commit by a REST client may go ahead; an error
// refuses it with 403 and the error's text. The levels of a nested namespace
// are joined by dots. It may be called concurrently.
type Guard func(namespace, name string, updates table.Updates) error

// ReservedPrefix begins the table properties that carry Tarn's progress.
const ReservedPrefix = "tarn."

// Maintenance is the policy for tables that the broker writes: snapshots that
// rewrite files without changing rows, expiry, tags, branches, statistics and
// properties are fine; rows, schema, partitioning, place and Tarn's own
// properties are the broker's. The error is ErrForbidden.
func Maintenance(updates table.Updates) error {
	for _, u := range updates {
		if err := maintenance(u); err != nil {
			return err
		}
	}
	return nil
}

func maintenance(u table.Update) error {
	switch u.Action() {
	case table.UpdateAddSnapshot, table.UpdateSetProperties, table.UpdateRemoveProperties:
	case table.UpdateSetSnapshotRef, table.UpdateRemoveSnapshotRef, table.UpdateRemoveSnapshots,
		table.UpdateSetStatistics, table.UpdateRemoveStatistics,
		table.UpdateSetPartitionStatistics, table.UpdateRemovePartitionStatistics,
		table.UpdateRemoveSchemas, table.UpdateRemoveSpec,
		table.UpdateAddSortOrder, table.UpdateSetDefaultSortOrder:
		return nil
	default:
		return fmt.Errorf("%w: the broker owns this table: %s", ErrForbidden, u.Action())
	}
	w, err := updateWire(u)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrInvalid, u.Action(), err)
	}
	if u.Action() == table.UpdateAddSnapshot {
		if s := w.Snapshot; s == nil || s.Summary == nil || s.Summary.Operation != table.OpReplace {
			return fmt.Errorf("%w: the broker owns this table: only snapshots of operation %q", ErrForbidden, table.OpReplace)
		}
		return nil
	}
	keys := w.Removals
	for k := range w.Updates {
		keys = append(keys, k)
	}
	for _, k := range keys {
		if strings.HasPrefix(k, ReservedPrefix) {
			return fmt.Errorf("%w: property %s", ErrForbidden, k)
		}
	}
	return nil
}
