package parquet

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// replacedFolder keeps files that were taken out of the glob for
// those of this process that still read them, by the time of the entry (Unix
// ms) and their name. They go after TrimGrace.
const replacedFolder = logFolder + "replaced/"

var _ tables.Replacer = (*table)(nil)

// Live implements tables.Maintainer.
func (t *table) Live(ctx context.Context) ([]tables.LiveFile, error) {
	f, err := t.Files(ctx)
	return f.Live, err
}

// Files implements tables.Replacer. A state is a log entry.
func (t *table) Files(ctx context.Context) (tables.Files, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return tables.Files{}, fmt.Errorf("list files of %s: %w", t.base, err)
	}
	out := tables.Files{
		State: t.state.name(), Progress: t.state.progress.Clone(), Live: make([]tables.LiveFile, len(t.state.files)),
	}
	for i, f := range t.state.files {
		out.Live[i] = tables.LiveFile{Key: t.base + f.Name, Size: f.Size, Rows: f.Rows, Ranges: f.Ranges, Partition: f.partitionWord()}
	}
	return out, nil
}

// Replace implements tables.Maintainer. The log entry decides. Then the removed
// files leave the glob, and then the new one comes in: a reader by glob sees
// fewer rows in between, never rows twice. A crash in between is finished by the
// next open.
func (t *table) Replace(ctx context.Context, r tables.Replacement) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return fmt.Errorf("replace files of %s: %w", t.base, err)
	}
	e := t.next(r.ID, r.Summary)
	if err := t.takeOut(e, r.Remove); err != nil {
		return fmt.Errorf("replace files of %s: %w", t.base, err)
	}
	if err := t.addFiles(ctx, e, r.Add); err != nil {
		return fmt.Errorf("replace files of %s: %w", t.base, err)
	}
	t.seal(e)
	if err := t.retain(ctx, e); err != nil {
		return fmt.Errorf("replace files of %s: %w", t.base, err)
	}
	if err := t.land(ctx, e); err != nil {
		return fmt.Errorf("replace files of %s: %w", t.base, err)
	}
	return nil
}

// takeOut lets an entry remove live files, by their keys.
func (t *table) takeOut(e *entry, keys []string) error {
	if len(keys) > 0 {
		e.Version = replaceVersion
	}
	for _, key := range keys {
		name := path.Base(key)
		if key != t.base+name || !t.state.names[name] {
			return fmt.Errorf("%s is not live: %w", key, tables.ErrConflict)
		}
		e.Remove = append(e.Remove, name)
	}
	return nil
}

// retain keeps the files that an entry removes for those that read them.
func (t *table) retain(ctx context.Context, e *entry) error {
	for _, name := range e.Remove {
		if err := t.store.Copy(ctx, t.base+name, t.replacedKey(name, e.TimeMs)); err != nil {
			return fmt.Errorf("keep %s for its readers: %w", name, err)
		}
	}
	return nil
}

func (t *table) replacedKey(name string, timeMs int64) string {
	return t.base + replacedFolder + strconv.FormatInt(timeMs, 10) + "/" + name
}

// unlink takes files out of the glob. It may run again at any point.
func (t *table) unlink(ctx context.Context, names []string) error {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = t.base + name
	}
	if err := t.store.Delete(ctx, keys...); err != nil {
		return fmt.Errorf("take replaced files out of the glob: %w", err)
	}
	return nil
}

// openLive opens a file that was live when a reading began, also if it was
// replaced since.
func (t *table) openLive(ctx context.Context, name string) (blob.File, error) {
	f, err := t.store.Open(ctx, t.base+name)
	if !errors.Is(err, blob.ErrNotFound) {
		return f, err
	}
	t.mu.Lock()
	since, gone := t.state.gone[name]
	t.mu.Unlock()
	if !gone {
		return nil, err
	}
	return t.store.Open(ctx, t.replacedKey(name, since))
}

// Expire implements tables.Maintainer: plain Parquet has no earlier states, so
// only what was replaced and is not read any more goes, and old log entries.
func (t *table) Expire(ctx context.Context, k tables.Keep) (tables.Expired, error) {
	var out tables.Expired
	oldest := t.config.Now().Add(-t.config.TrimGrace).UnixMilli()
	for info, err := range t.store.List(ctx, t.base+replacedFolder) {
		if err != nil {
			return out, fmt.Errorf("list replaced files of %s: %w", t.base, err)
		}
		since, _, _ := strings.Cut(strings.TrimPrefix(info.Key, t.base+replacedFolder), "/")
		if ms, err := strconv.ParseInt(since, 10, 64); err != nil || ms > oldest {
			continue
		}
		if !k.DryRun {
			if err := t.store.Delete(ctx, info.Key); err != nil {
				return out, fmt.Errorf("remove replaced file: %w", err)
			}
		}
		out.Files++
		out.Bytes += info.Size
	}
	return out, nil
}

// Sweep implements tables.Maintainer: it removes staged files whose rows the
// table has come past, and which nobody is about to commit.
func (t *table) Sweep(ctx context.Context, s tables.Sweep) (tables.Removed, error) {
	var out tables.Removed
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return out, fmt.Errorf("sweep %s: %w", t.base, err)
	}
	for info, err := range t.store.List(ctx, t.base+stagedFolder) {
		if err != nil {
			return out, fmt.Errorf("list staged files: %w", err)
		}
		if info.ModifiedMs > s.Before.UnixMilli() || s.Pending(info.Key) || t.state.names[path.Base(info.Key)] {
			continue
		}
		over, err := Superseded(ctx, t.store, info.Key, t.state.progress)
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

// History implements tables.Maintainer: the log entries that are still there.
// Only the newest state can be read.
func (t *table) History(ctx context.Context) ([]tables.Version, error) {
	t.mu.Lock()
	err := t.refresh(ctx)
	s := t.state
	last, files, rows := s.number, int64(len(s.files)), s.rows
	t.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("read history of %s: %w", t.base, err)
	}
	var out []tables.Version
	for n := last; n >= 0 && len(out) < tables.MaxHistory; n-- {
		e, err := t.log.get(ctx, n)
		if errors.Is(err, blob.ErrNotFound) {
			break // trimmed
		}
		if err != nil {
			return nil, err
		}
		v := tables.Version{ID: strconv.FormatInt(n, 10), TimeMs: e.TimeMs, Operation: e.operation(), Rows: -1, Files: -1}
		if n == last {
			v.Rows, v.Files, v.Current, v.Readable = rows, files, true, true
		}
		out = append(out, v)
	}
	return out, nil
}

// operation is what an entry does, in a word.
func (e *entry) operation() string {
	switch {
	case e.Commit == "":
		return "create"
	case len(e.Remove) > 0 && len(e.Add) > 0:
		return "replace"
	case len(e.Remove) > 0:
		return "delete"
	}
	return "append"
}
