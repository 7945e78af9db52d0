package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/parquet"
)

var _ tables.Replacer = (*table)(nil)

// keyAppendOnly is the table property that forbids taking rows away.
const keyAppendOnly = "delta.appendOnly"

// Live implements tables.Maintainer.
func (t *table) Live(ctx context.Context) ([]tables.LiveFile, error) {
	f, err := t.Files(ctx)
	return f.Live, err
}

// Files implements tables.Replacer. A state is a version.
func (t *table) Files(ctx context.Context) (tables.Files, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var none tables.Files
	if err := t.refresh(ctx); err != nil {
		return none, fmt.Errorf("list files of %s: %w", t.base, err)
	}
	out := tables.Files{
		State: t.state.name(), Progress: t.state.progress.Clone(),
		Live: make([]tables.LiveFile, 0, len(t.state.byPath)),
	}
	for _, a := range t.state.live() {
		key, err := decodePath(a.Path, t.base, t.store.Key)
		if err != nil {
			return none, err
		}
		out.Live = append(out.Live, tables.LiveFile{Key: key, Size: a.Size, Rows: a.rows, Partition: partitionWord(a.PartitionValues)})
	}
	return out, nil
}

// name names the state for Commit.Remove.
func (s *state) name() string { return strconv.FormatInt(s.version, 10) }

// Replace implements tables.Maintainer. Where another writer takes the next
// version it moves to the one after, as long as the files are live.
func (t *table) Replace(ctx context.Context, r tables.Replacement) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return fmt.Errorf("replace files of %s: %w", t.base, err)
	}
	for range commitTries {
		if t.state.back != nil {
			return fmt.Errorf("replace files of %s: %w", t.base, t.state.back.err())
		}
		if err := t.checkFiles(ctx, r.Add); err != nil {
			return err
		}
		actions, err := t.replacement(r)
		if err != nil {
			return err
		}
		taken, err := t.write(ctx, r.ID, actions)
		if err != nil {
			return fmt.Errorf("replace files of %s: %w", t.base, err)
		}
		if !taken {
			t.checkpointIfDue(ctx)
			return nil
		}
		if err := t.refresh(ctx); err != nil {
			return fmt.Errorf("replace files of %s: %w", t.base, err)
		}
	}
	return fmt.Errorf("%d versions in a row were taken by others: %w", commitTries, tables.ErrConflict)
}

// replacement builds the version that puts files in the place of others. No txn
// is in it: the progress stays.
func (t *table) replacement(r tables.Replacement) ([]action, error) {
	nowMs := t.config.Now().UnixMilli()
	physical, err := physical(t.state.schema)
	if err != nil {
		return nil, err
	}
	columns, err := checkColumns(t.state.meta, t.state.schema)
	if err != nil {
		return nil, err
	}
	info, err := replaceInfo(r, nowMs)
	if err != nil {
		return nil, err
	}
	out := []action{{CommitInfo: info}}
	removes, err := t.removals(r.Remove, r.Drop, nowMs)
	if err != nil {
		return nil, err
	}
	if meta := t.state.meta; r.Drop && meta.appendOnly() {
		free := *meta
		free.Configuration = cloneWith(meta.Configuration, keyAppendOnly, "false")
		out = append(out, action{MetaData: &free})
	}
	out = append(out, removes...)
	for _, f := range r.Add {
		values, err := t.valuesOf(columns, f)
		if err != nil {
			return nil, err
		}
		a, err := newAdd(f, physical, values, r.Drop, nowMs)
		if err != nil {
			return nil, err
		}
		out = append(out, action{Add: a})
	}
	return out, nil
}

// removals are the actions that take live files out.
func (t *table) removals(keys []string, dataChange bool, nowMs int64) ([]action, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	live := make(map[string]*add, len(t.state.byPath))
	for _, a := range t.state.live() {
		key, err := decodePath(a.Path, t.base, t.store.Key)
		if err != nil {
			return nil, err
		}
		live[key] = a
	}
	out := make([]action, len(keys))
	for i, key := range keys {
		a, ok := live[key]
		if !ok {
			return nil, fmt.Errorf("%s is not live: %w", key, tables.ErrConflict)
		}
		out[i] = action{Remove: &remove{
			Path: a.Path, DeletionTimestamp: nowMs, DataChange: dataChange, Size: a.Size,
			ExtendedFileMetadata: true, PartitionValues: nonNil(a.PartitionValues),
		}}
	}
	return out, nil
}

// appendOnly reports whether the table's properties forbid taking rows away.
func (m *metaData) appendOnly() bool {
	return strings.EqualFold(m.Configuration[keyAppendOnly], "true")
}

func replaceInfo(r tables.Replacement, nowMs int64) (*commitInfo, error) {
	info := &commitInfo{
		Timestamp: nowMs, Operation: "OPTIMIZE", EngineInfo: engineInfo, TxnID: r.ID,
		OperationParameters: map[string]any{"predicate": "[]", "auto": true},
		OperationMetrics: map[string]any{
			"numRemovedFiles": strconv.Itoa(len(r.Remove)), "numAddedFiles": strconv.Itoa(len(r.Add)),
		},
	}
	if r.Drop {
		info.Operation, info.OperationParameters = "DELETE", map[string]any{"predicate": "[]"}
	}
	if len(r.Summary) > 0 {
		text, err := json.Marshal(r.Summary)
		if err != nil {
			return nil, fmt.Errorf("encode summary: %w", err)
		}
		info.UserMetadata = string(text)
	}
	return info, nil
}

func cloneWith(m map[string]string, key, value string) map[string]string {
	out := map[string]string{key: value}
	for k, v := range m {
		if k != key {
			out[k] = v
		}
	}
	return out
}

// Expire implements tables.Maintainer: it removes the files whose removal from
// the table is older than the states that stay (VACUUM), and old log files
// below a checkpoint as old (log cleanup). The states that stay are those of
// Keep.Age, but Keep.Max at most; and those of the last MinHistory in any case,
// since readers hold on to a state for as long as they read.
func (t *table) Expire(ctx context.Context, k tables.Keep) (tables.Expired, error) {
	var out tables.Expired
	cut, err := t.log.cut(ctx, k, t.config.Now(), t.config.MinHistory)
	if err != nil {
		return out, fmt.Errorf("expire %s: %w", t.base, err)
	}
	old, before, err := t.removedBefore(ctx, cut)
	if err != nil {
		return out, fmt.Errorf("expire %s: %w", t.base, err)
	}
	// Commits do not wait for deletions: nothing live is among these files.
	for _, r := range old {
		key, err := decodePath(r.Path, t.base, t.store.Key)
		if err != nil {
			continue // outside the store: not ours to delete
		}
		if !k.DryRun {
			if err := t.store.Delete(ctx, key); err != nil {
				return out, fmt.Errorf("remove %s: %w", key, err)
			}
		}
		out.Files++
		out.Bytes += r.Size
	}
	oldest, err := t.log.clean(ctx, cut, k.DryRun)
	if err != nil {
		return out, fmt.Errorf("expire %s: %w", t.base, err)
	}
	if k.DryRun {
		out.Versions = int(max(0, oldest-before))
		return out, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range old {
		delete(t.state.removes, r.Path)
	}
	t.state.oldest = max(t.state.oldest, oldest)
	out.Versions = int(max(0, oldest-before))
	return out, nil
}

// removedBefore lists the files that were taken out before a time in Unix ms,
// and says which version is the oldest.
func (t *table) removedBefore(ctx context.Context, cut int64) (old []remove, oldest int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return nil, 0, err
	}
	for _, r := range t.state.removes {
		if r.DeletionTimestamp < cut {
			old = append(old, r)
		}
	}
	return old, t.state.oldest, nil
}

// cut is the time, in Unix ms, before which states go.
func (l log) cut(ctx context.Context, k tables.Keep, now time.Time, floor time.Duration) (int64, error) {
	cut := now.Add(-k.Age).UnixMilli()
	if k.Max > 0 || k.Last > 0 {
		var times []int64 // of versions, the oldest first
		for info, err := range l.store.List(ctx, l.prefix+"0") {
			if err != nil {
				return 0, fmt.Errorf("list log: %w", err)
			}
			if _, ok := l.version(info.Key, commitSuffix); ok {
				times = append(times, info.ModifiedMs)
			}
		}
		if n := len(times) - k.Max; k.Max > 0 && n > 0 {
			cut = max(cut, times[n])
		}
		if n := len(times) - k.Last; k.Last > 0 && len(times) > 0 {
			cut = min(cut, times[max(0, n)])
		}
	}
	return min(cut, now.Add(-floor).UnixMilli()), nil
}

// Sweep implements tables.Maintainer: data files that no version names, whose
// rows the table has come past, and which nobody is about to commit.
func (t *table) Sweep(ctx context.Context, s tables.Sweep) (tables.Removed, error) {
	var out tables.Removed
	named, progress, err := t.names(ctx)
	if err != nil {
		return out, fmt.Errorf("sweep %s: %w", t.base, err)
	}
	for info, err := range t.store.List(ctx, t.base) {
		if err != nil {
			return out, fmt.Errorf("list %s: %w", t.base, err)
		}
		name := strings.TrimPrefix(info.Key, t.base)
		if strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") || !strings.HasSuffix(name, suffix) ||
			named[info.Key] || info.ModifiedMs > s.Before.UnixMilli() || s.Pending(info.Key) {
			continue
		}
		over, err := parquet.Superseded(ctx, t.store, info.Key, progress)
		if err != nil {
			return out, err
		}
		if !over {
			continue
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

// names are the keys of all files that a state may name, and the progress.
func (t *table) names(ctx context.Context) (map[string]bool, tables.Progress, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return nil, tables.Progress{}, err
	}
	named := make(map[string]bool)
	for p := range t.state.byPath {
		if key, err := decodePath(p, t.base, t.store.Key); err == nil {
			named[key] = true
		}
	}
	for p := range t.state.removes {
		if key, err := decodePath(p, t.base, t.store.Key); err == nil {
			named[key] = true
		}
	}
	return named, t.state.progress.Clone(), nil
}

// History implements tables.Maintainer: the versions whose commit files are
// there. The oldest ones may need a checkpoint that is gone; those can be read
// no more.
func (t *table) History(ctx context.Context) ([]tables.Version, error) {
	t.mu.Lock()
	err := t.refresh(ctx)
	s := t.state
	last, rows, files := s.version, s.rows, int64(len(s.byPath))
	t.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("read history of %s: %w", t.base, err)
	}
	from, err := t.log.readable(ctx)
	if err != nil {
		return nil, err
	}
	var out []tables.Version
	for v := last; v >= 0 && len(out) < tables.MaxHistory; v-- {
		actions, err := t.log.get(ctx, v)
		if errors.Is(err, blob.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		entry := tables.Version{ID: strconv.FormatInt(v, 10), Rows: -1, Files: -1, Readable: v >= from}
		for _, a := range actions {
			if a.CommitInfo != nil {
				entry.TimeMs, entry.Operation = a.CommitInfo.Timestamp, a.CommitInfo.Operation
			}
		}
		if v == last {
			entry.Rows, entry.Files, entry.Current = rows, files, true
		}
		out = append(out, entry)
	}
	return out, nil
}

// readable is the oldest version that can be read: 0, or the oldest checkpoint.
func (l log) readable(ctx context.Context) (int64, error) {
	for info, err := range l.store.List(ctx, l.prefix+"0") {
		if err != nil {
			return 0, fmt.Errorf("list log: %w", err)
		}
		if v, ok := l.version(info.Key, checkSuffix); ok {
			return v, nil
		}
		if v, ok := l.version(info.Key, commitSuffix); ok && v == 0 {
			return 0, nil
		}
	}
	return 0, nil
}
