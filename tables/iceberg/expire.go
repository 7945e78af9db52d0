package iceberg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
)

// expirable lists the snapshots that the commit of next may forget; none but on
// every ExpireEvery-th snapshot.
func (t *tbl) expirable(meta table.Metadata, next *table.Snapshot) []table.Snapshot {
	if next.SequenceNumber%t.opts.ExpireEvery != 0 || strings.EqualFold(meta.Properties()[table.GCEnabledKey], "false") {
		return nil
	}
	oldest := time.Now().Add(-t.opts.KeepFor).UnixMilli()
	keep := make(map[int64]bool)
	// The commit's own snapshot is the first of those that stay.
	n := 1
	for s := range ancestors(meta, meta.CurrentSnapshot()) {
		n++
		if n > t.opts.KeepLast && (s.TimestampMs < oldest || n > t.opts.MaxSnapshots) {
			break
		}
		keep[s.SnapshotID] = true
	}
	for name, ref := range meta.Refs() {
		keep[ref.SnapshotID] = true
		if name == table.MainBranch || ref.SnapshotRefType != table.BranchRef {
			continue
		}
		for s := range ancestors(meta, meta.SnapshotByID(ref.SnapshotID)) {
			keep[s.SnapshotID] = true
		}
	}
	line := make(map[int64]bool)
	for s := range ancestors(meta, meta.CurrentSnapshot()) {
		line[s.SnapshotID] = true
	}
	var out []table.Snapshot
	for _, s := range meta.Snapshots() {
		// What lies beside the main line, as after a rollback, stays its time.
		if !keep[s.SnapshotID] && (line[s.SnapshotID] || s.TimestampMs < oldest) {
			out = append(out, s)
		}
	}
	return out
}

// ancestors yields a snapshot and those it descends from, as far as they are
// known.
func ancestors(meta table.Metadata, at *table.Snapshot) func(func(*table.Snapshot) bool) {
	return func(yield func(*table.Snapshot) bool) {
		// The count ends a circle, which only damaged metadata has.
		for n := len(meta.Snapshots()); at != nil && n > 0; n-- {
			if !yield(at) || at.ParentSnapshotID == nil {
				return
			}
			at = meta.SnapshotByID(*at.ParentSnapshotID)
		}
	}
}

// cleanup deletes the files that only expired snapshots used. Failures leave
// files behind and nothing else: the commit stands.
func (t *tbl) cleanup(ctx context.Context, p *plan, after *table.Table) {
	if len(p.expired) == 0 {
		return
	}
	if err := t.deleteUnused(context.WithoutCancel(ctx), p.base, after, p.expired); err != nil {
		t.opts.Logger.Warn("files of expired snapshots stay", "table", strings.Join(t.ident, "."), "error", err)
	}
}

func (t *tbl) deleteUnused(ctx context.Context, before, after *table.Table, expired []table.Snapshot) error {
	edge, plain := t.edge(before, after, expired)
	if !plain {
		// Somebody removed rows or rewrote files: iceberg-go reads all
		// manifests to tell which data files are dead.
		ids := make([]int64, len(expired))
		for i, s := range expired {
			ids[i] = s.SnapshotID
		}
		wrap := func(x *table.Table) *table.Table {
			return table.New(t.ident, x.Metadata(), x.MetadataLocation(), func(ctx context.Context) (iceio.IO, error) {
				return within{t.files(ctx), after.Location() + "/"}, nil
			}, t.cat)
		}
		return table.NewRemoveSnapshotsUpdate(ids, true).PostCommit(ctx, wrap(before), wrap(after))
	}
	files := t.files(ctx)
	used := make(map[string]bool)
	for _, s := range edge {
		manifests, err := s.Manifests(files)
		if err != nil {
			return fmt.Errorf("read manifest list: %w", err)
		}
		for _, m := range manifests {
			used[m.FilePath()] = true
		}
	}
	dead := make(map[string]bool)
	for _, s := range expired {
		manifests, err := s.Manifests(files)
		if err != nil {
			return fmt.Errorf("read manifest list: %w", err)
		}
		dead[s.ManifestList] = true
		for _, m := range manifests {
			if !used[m.FilePath()] {
				dead[m.FilePath()] = true
			}
		}
	}
	var errs error
	for name := range dead {
		errs = errors.Join(errs, (within{files, after.Location() + "/"}).Remove(name))
	}
	return errs
}

// edge finds the snapshots whose manifest lists tell which manifests are still
// used, if that can be told without reading them all: in a line of appends a
// manifest that has left the list never comes back, so the oldest snapshot
// that stays is enough, with those that lie beside the line.
func (t *tbl) edge(before, after *table.Table, expired []table.Snapshot) (edge []table.Snapshot, plain bool) {
	meta := after.Metadata()
	line := make(map[int64]bool)
	var oldest *table.Snapshot
	for s := range ancestors(meta, meta.CurrentSnapshot()) {
		line[s.SnapshotID], oldest = true, s
	}
	if oldest == nil || !appends(oldest) {
		return nil, false
	}
	below := make(map[int64]bool)
	for s := range ancestors(before.Metadata(), before.CurrentSnapshot()) {
		below[s.SnapshotID] = !line[s.SnapshotID]
	}
	for _, s := range expired {
		if !below[s.SnapshotID] || !appends(&s) {
			return nil, false
		}
	}
	edge = append(edge, *oldest)
	for _, s := range meta.Snapshots() {
		if !line[s.SnapshotID] {
			edge = append(edge, s)
		}
	}
	return edge, true
}

func appends(s *table.Snapshot) bool {
	return s.Summary != nil && s.Summary.Operation == table.OpAppend
}

// within is a file system that removes nothing outside a directory: other
// formats may share data files that lie elsewhere.
type within struct {
	iceio.IO
	dir string
}

// Remove deletes a file below the directory and leaves others.
func (w within) Remove(name string) error {
	if !strings.HasPrefix(name, w.dir) {
		return nil
	}
	return w.IO.Remove(name)
}
