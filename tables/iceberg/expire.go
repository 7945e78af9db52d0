package iceberg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/metadata"
)

// expirable lists the snapshots that the commit of next may forget; none but on
// every ExpireEvery-th snapshot.
func (t *tbl) expirable(meta *metadata.Table, next *metadata.Snapshot) []*metadata.Snapshot {
	if next.SequenceNumber%t.opts.ExpireEvery != 0 || strings.EqualFold(meta.Properties[metadata.GCEnabled], "false") {
		return nil
	}
	// The commit's own snapshot is the first of those that stay.
	keep := tables.Keep{Age: t.opts.KeepFor, Last: t.opts.KeepLast, Max: t.opts.MaxSnapshots}
	if t.opts.Kept {
		// Somebody calls Expire. Should that fail for long, commits must not grow
		// slow for ever.
		t.mu.Lock()
		keep = t.keep
		t.mu.Unlock()
		if keep.Max == 0 || len(meta.Snapshots) < 2*keep.Max {
			return nil
		}
	}
	return t.beyond(meta, keep, 1)
}

// beyond lists the snapshots that need not stay, with n newer ones to come.
func (t *tbl) beyond(meta *metadata.Table, k tables.Keep, n int) []*metadata.Snapshot {
	oldest := t.opts.Now().Add(-k.Age).UnixMilli()
	keep := make(map[int64]bool)
	for s := range ancestors(meta, meta.Current()) {
		n++
		if n > 1 && n > k.Last && (s.TimestampMs < oldest || k.Max > 0 && n > k.Max) {
			break
		}
		keep[s.ID] = true
	}
	for name, ref := range meta.Refs {
		keep[ref.SnapshotID] = true
		if name == metadata.MainBranch || ref.Kind != metadata.Branch {
			continue
		}
		for s := range ancestors(meta, meta.Snapshot(ref.SnapshotID)) {
			keep[s.ID] = true
		}
	}
	line := make(map[int64]bool)
	for s := range ancestors(meta, meta.Current()) {
		line[s.ID] = true
	}
	var out []*metadata.Snapshot
	for _, s := range meta.Snapshots {
		// What lies beside the main line, as after a rollback, stays its time.
		if !keep[s.ID] && (line[s.ID] || s.TimestampMs < oldest) {
			out = append(out, s)
		}
	}
	return out
}

// unnamed is a requirement that only a catalog in this process can ask: nobody
// has given a tag or branch to one of these snapshots since they were picked, for
// removing a snapshot removes the references to it.
func unnamed(ids []int64) metadata.Requirement {
	return metadata.Requirement{Type: "assert-tarn-unnamed", Holds: func(t *metadata.Table) error {
		if t == nil {
			return tables.ErrConflict
		}
		for name, ref := range t.Refs {
			if slices.Contains(ids, ref.SnapshotID) {
				return fmt.Errorf("snapshot %d was named %q meanwhile: %w", ref.SnapshotID, name, tables.ErrConflict)
			}
		}
		return nil
	}}
}

// ancestors yields a snapshot and those it descends from, as far as they are
// known.
func ancestors(meta *metadata.Table, at *metadata.Snapshot) func(func(*metadata.Snapshot) bool) {
	return func(yield func(*metadata.Snapshot) bool) {
		// The count ends a circle, which only damaged metadata has.
		for n := len(meta.Snapshots); at != nil && n > 0; n-- {
			if !yield(at) || at.ParentID == nil {
				return
			}
			at = meta.Snapshot(*at.ParentID)
		}
	}
}

// cleanup deletes the files that only expired snapshots used. Failures leave
// files behind and nothing else: the commit stands.
func (t *tbl) cleanup(ctx context.Context, p *plan, after *metadata.Table) {
	if len(p.expired) == 0 {
		return
	}
	if _, err := t.deleteUnused(context.WithoutCancel(ctx), p.base, after, p.expired); err != nil {
		t.opts.Logger.Warn("files of expired snapshots stay", "table", describe(t.ident), "error", err)
	}
}

// deleteUnused removes what no snapshot names any more. In a line of appends
// those are manifests and lists only; where somebody removed rows or rewrote
// files, data files are dead too, and all manifests are read to tell which.
func (t *tbl) deleteUnused(ctx context.Context, before, after *metadata.Table, expired []*metadata.Snapshot) (tables.Removed, error) {
	var out tables.Removed
	unused, errs := t.unused(ctx, before, after, expired)
	for _, name := range unused {
		err := t.files(ctx).Remove(name)
		errs = errors.Join(errs, err)
		if err == nil {
			out.Files++
		}
	}
	return out, errs
}

// unused are the files that only expired snapshots name.
func (t *tbl) unused(ctx context.Context, before, after *metadata.Table, expired []*metadata.Snapshot) ([]string, error) {
	stay, plain := edge(before, after, expired)
	if !plain {
		stay = after.Snapshots
	}
	used, err := t.named(ctx, stay)
	if err != nil {
		return nil, err
	}
	dead, err := t.named(ctx, expired)
	if err != nil {
		return nil, err
	}
	if !plain {
		if err := t.deadData(ctx, used, dead); err != nil {
			return nil, err
		}
	}
	var out []string
	for name := range dead {
		// Other formats may share data files that lie elsewhere.
		if _, lives := used[name]; !lives && strings.HasPrefix(name, after.Location+"/") {
			out = append(out, name)
		}
	}
	return out, nil
}

// named are the manifest lists of snapshots and the manifests in them, by name;
// a list stands for itself with nil.
func (t *tbl) named(ctx context.Context, snapshots []*metadata.Snapshot) (map[string]iceberg.ManifestFile, error) {
	out := make(map[string]iceberg.ManifestFile)
	for _, s := range snapshots {
		list, err := t.manifests(ctx, s)
		if err != nil {
			return nil, err
		}
		out[s.ManifestList] = nil
		for _, m := range list {
			out[m.FilePath()] = m
		}
	}
	return out, nil
}

// deadData adds the files that only dead manifests name.
func (t *tbl) deadData(ctx context.Context, used, dead map[string]iceberg.ManifestFile) error {
	lists := []map[string]iceberg.ManifestFile{used, dead}
	for i, list := range lists {
		names := make(map[string]bool)
		for name, m := range list {
			_, lives := used[name]
			if m == nil || i == 1 && lives {
				continue
			}
			for e, err := range m.Entries(t.files(ctx), i == 0) {
				if err != nil {
					return fmt.Errorf("read manifest %s: %w", name, missing(err))
				}
				names[e.DataFile().FilePath()] = true
			}
		}
		for name := range names {
			list[name] = nil
		}
	}
	return nil
}

// edge finds the snapshots whose manifest lists tell which manifests are still
// used, if that can be told without reading them all: in a line of appends a
// manifest that has left the list never comes back, so the oldest snapshot
// that stays is enough, with those that lie beside the line.
func edge(before, after *metadata.Table, expired []*metadata.Snapshot) (edge []*metadata.Snapshot, plain bool) {
	line := make(map[int64]bool)
	var oldest *metadata.Snapshot
	for s := range ancestors(after, after.Current()) {
		line[s.ID], oldest = true, s
	}
	if oldest == nil || oldest.Operation != metadata.Append {
		return nil, false
	}
	below := make(map[int64]bool)
	for s := range ancestors(before, before.Current()) {
		below[s.ID] = !line[s.ID]
	}
	for _, s := range expired {
		if !below[s.ID] || s.Operation != metadata.Append {
			return nil, false
		}
	}
	edge = append(edge, oldest)
	for _, s := range after.Snapshots {
		if !line[s.ID] {
			edge = append(edge, s)
		}
	}
	return edge, true
}
