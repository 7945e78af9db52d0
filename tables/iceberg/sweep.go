package iceberg

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/metadata"
	"github.com/tarn-io/tarn/tables/parquet"
)

// Expire implements tables.Maintainer: a commit that only removes snapshots, and
// then the files that only they used. What tags and other branches hold stays,
// and so does everything where gc.enabled is false.
func (t *tbl) Expire(ctx context.Context, k tables.Keep) (tables.Expired, error) {
	var out tables.Expired
	if k.DryRun {
		return t.wouldExpire(ctx, k)
	}
	t.mu.Lock()
	t.keep = k
	t.mu.Unlock()
	before, after, gone, err := t.expire(ctx, k)
	if err != nil || len(gone) == 0 {
		return out, err
	}
	out.Versions = len(gone)
	for range readTries {
		out.Removed, err = t.deleteUnused(ctx, before, after, gone)
		if !errors.Is(err, tables.ErrBroken) {
			break
		}
		// What stayed then may have been expired since, by a commit.
		now, moved := t.moved(ctx, after)
		if !moved {
			break
		}
		after = now
	}
	return out, err
}

// wouldExpire is what Expire would do now.
func (t *tbl) wouldExpire(ctx context.Context, k tables.Keep) (tables.Expired, error) {
	var out tables.Expired
	now, err := t.load(ctx)
	if err != nil {
		return out, err
	}
	gone := t.beyond(now.Metadata, k, 0)
	if len(gone) == 0 || strings.EqualFold(now.Metadata.Properties[metadata.GCEnabled], "false") {
		return out, nil
	}
	after := *now.Metadata
	after.Snapshots = slices.DeleteFunc(slices.Clone(after.Snapshots), func(s *metadata.Snapshot) bool { return slices.Contains(gone, s) })
	unused, err := t.unused(ctx, now.Metadata, &after, gone)
	out.Versions, out.Files = len(gone), len(unused)
	return out, err
}

func (t *tbl) expire(ctx context.Context, k tables.Keep) (before, after *metadata.Table, gone []*metadata.Snapshot, err error) {
	t.commits.Lock()
	defer t.commits.Unlock()
	for range commitTries {
		now, lerr := t.load(ctx)
		if lerr != nil {
			return nil, nil, nil, lerr
		}
		before = now.Metadata
		gone = t.beyond(before, k, 0)
		if len(gone) == 0 || strings.EqualFold(before.Properties[metadata.GCEnabled], "false") {
			return before, before, nil, nil
		}
		ids := make([]int64, len(gone))
		for i, s := range gone {
			ids[i] = s.ID
		}
		reqs := []metadata.Requirement{
			{Type: metadata.AssertTableUUID, UUID: before.UUID.String()},
			{Type: metadata.AssertRefSnapshotID, Ref: metadata.MainBranch, SnapshotID: before.CurrentID},
		}
		if t.cat.Asks() {
			reqs = append(reqs, unnamed(ids))
		}
		after, _, err = t.cat.CommitTable(ctx, t.ident, reqs,
			[]metadata.Update{{Action: metadata.RemoveSnapshots, SnapshotIDs: ids}})
		if !errors.Is(err, catalog.ErrCommitFailed) {
			break
		}
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("expire snapshots of table %s: %w", describe(t.ident), err)
	}
	return before, after, gone, nil
}

// Sweep implements tables.Maintainer. It looks at data files, manifests and
// metadata files in the table's folders and at nothing else; a data file must
// also hold rows that the table has come past, and no others.
func (t *tbl) Sweep(ctx context.Context, s tables.Sweep) (tables.Removed, error) {
	var out tables.Removed
	now, err := t.load(ctx)
	if err != nil {
		return out, err
	}
	have, _, err := held(now.Metadata)
	if err != nil {
		return out, err
	}
	named, err := t.everything(ctx, now)
	if err != nil {
		return out, err
	}
	dir := path.Dir(path.Dir(t.DataPath("x"))) + "/"
	for info, err := range t.store.List(ctx, dir) {
		if err != nil {
			return out, fmt.Errorf("list %s: %w", dir, err)
		}
		name := strings.TrimPrefix(info.Key, dir)
		data := strings.HasPrefix(name, "data/")
		meta := strings.HasPrefix(name, "metadata/") && (strings.HasSuffix(name, ".avro") || strings.HasSuffix(name, ".metadata.json"))
		if !data && !meta || named[info.Key] || info.ModifiedMs > s.Before.UnixMilli() || s.Pending(info.Key) {
			continue
		}
		if data {
			over, err := parquet.Superseded(ctx, t.store, info.Key, have)
			if err != nil {
				return out, err
			}
			if !over {
				continue
			}
		}
		if !s.DryRun {
			if err := t.store.Delete(ctx, info.Key); err != nil {
				return out, fmt.Errorf("remove %s: %w", info.Key, err)
			}
		}
		out.Files++
		out.Bytes += info.Size
	}
	return out, nil
}

// everything lists the keys of all files that the table's metadata names, in
// whichever snapshot.
func (t *tbl) everything(ctx context.Context, now *catalog.Table) (map[string]bool, error) {
	out := map[string]bool{}
	add := func(url string) {
		if key, ok := t.store.Key(url); ok {
			out[key] = true
		}
	}
	add(now.MetadataLocation)
	for _, e := range now.Metadata.MetadataLog {
		add(e.File)
	}
	names, err := t.named(ctx, now.Metadata.Snapshots)
	if err != nil {
		return nil, err
	}
	for name, m := range names {
		add(name)
		if m == nil {
			continue
		}
		for e, err := range m.Entries(t.files(ctx), true) {
			if err != nil {
				return nil, fmt.Errorf("read manifest %s: %w", name, missing(err))
			}
			add(e.DataFile().FilePath())
		}
	}
	return out, nil
}

// History implements tables.Maintainer: the snapshots, of other branches too.
func (t *tbl) History(ctx context.Context) ([]tables.Version, error) {
	now, err := t.load(ctx)
	if err != nil {
		return nil, err
	}
	all := now.Metadata.Snapshots
	var out []tables.Version
	for i := len(all) - 1; i >= 0 && len(out) < tables.MaxHistory; i-- {
		s := all[i]
		v := tables.Version{
			ID: strconv.FormatInt(s.ID, 10), TimeMs: s.TimestampMs, Operation: s.Operation, Rows: -1, Files: -1,
			Current: s == now.Metadata.Current(), Readable: true,
		}
		if s.Summary["total-records"] != "" {
			v.Rows, v.Files = s.Total("total-records"), s.Total("total-data-files")
		}
		out = append(out, v)
	}
	return out, nil
}
