package parquet

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// table is a plain Parquet table. A commit is three steps: the log entry, which
// decides; a link from the staged file into the glob; the removal of the staged
// name. A crash after the first leaves staged files that the log names, and the
// next open, Progress or Commit links them: a reader in between sees fewer rows,
// never rows twice and never rows of a commit that did not come about.
type table struct {
	store  blob.Store
	config Config
	base   string // "<namespace>/<name>/parquet/"
	log    log

	mu    sync.Mutex
	state *state // guarded by mu; entries are applied once they are durable
	// unlinked says that staged files may wait for their link. Guarded by mu.
	unlinked bool
}

// Progress implements tables.Table.
func (t *table) Progress(ctx context.Context) (tables.Progress, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return tables.Progress{}, fmt.Errorf("read progress of %s: %w", t.base, err)
	}
	return t.state.progress.Clone(), nil
}

// refresh brings the state up to the log's end and finishes links.
func (t *table) refresh(ctx context.Context) error {
	s, err := t.log.catchUp(ctx, t.state)
	if err != nil {
		return err
	}
	if s != t.state {
		t.state, t.unlinked = s, true
	}
	return t.finish(ctx)
}

// Schema implements tables.Table.
func (t *table) Schema() *tables.Schema {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.schema
}

// DataPath implements tables.Table: outside the glob, since the file is not
// committed yet. The name is taken with and without ".parquet".
func (t *table) DataPath(name string) string {
	return t.base + stagedFolder + strings.TrimSuffix(name, suffix) + suffix
}

// Commit implements tables.Table. A commit that takes files out does it as Replace
// does: a reader by glob sees fewer rows in between, never rows twice.
func (t *table) Commit(ctx context.Context, c tables.Commit) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unlinked || c.Remove != nil || !t.state.progress.Equal(c.Expect) {
		if err := t.refresh(ctx); err != nil {
			return fmt.Errorf("commit %s: %w", c.ID, err)
		}
	}
	if !t.state.progress.Equal(c.Expect) {
		return fmt.Errorf("commit %s: table is at %v, not %v: %w", c.ID, t.state.progress, c.Expect, tables.ErrConflict)
	}
	if c.Remove != nil && c.Remove.State != t.state.name() {
		return fmt.Errorf("commit %s: table is at entry %d, not %s: %w", c.ID, t.state.number, c.Remove.State, tables.ErrMoved)
	}
	e, err := t.entryOf(ctx, c)
	if err != nil {
		return fmt.Errorf("commit %s: %w", c.ID, err)
	}
	if err := t.retain(ctx, e); err != nil {
		return fmt.Errorf("commit %s: %w", c.ID, err)
	}
	if err := t.land(ctx, e); err != nil {
		return fmt.Errorf("commit %s: %w", c.ID, err)
	}
	return nil
}

// land writes an entry, which decides, and brings its files into the glob, after
// those that it removes have left it: so nobody sees rows twice. A failure
// leaves the outcome unknown.
func (t *table) land(ctx context.Context, e *entry) error {
	t.unlinked = true
	if err := t.write(ctx, e); err != nil {
		return err
	}
	if err := t.unlink(ctx, e.Remove); err != nil {
		return err
	}
	for _, f := range e.Add {
		if err := t.link(ctx, f); err != nil {
			return err
		}
	}
	t.unlinked = false
	if e.Snapshot != nil {
		// Trimming is not part of the commit: what it leaves, the next does.
		_ = t.log.trim(ctx, e.Number, t.config.Now().Add(-t.config.TrimGrace).UnixMilli())
	}
	return nil
}

// entryOf builds the commit's log entry and refuses what cannot be committed.
func (t *table) entryOf(ctx context.Context, c tables.Commit) (*entry, error) {
	e := t.next(c.ID, c.Summary)
	e.Progress = c.Progress.Clone()
	if c.Schema != nil && !c.Schema.Equal(t.state.schema) {
		if err := c.Schema.Extends(t.state.schema); err != nil {
			return nil, fmt.Errorf("%w: %w", tables.ErrUnsupported, err)
		}
		e.Schema = c.Schema
	}
	if c.Remove != nil {
		if err := t.takeOut(e, c.Remove.Files); err != nil {
			return nil, err
		}
	}
	if err := t.addFiles(ctx, e, c.Add); err != nil {
		return nil, err
	}
	t.seal(e)
	return e, nil
}

// next is the next entry, with the progress that there is.
func (t *table) next(id string, summary map[string]string) *entry {
	return &entry{
		Format: entryFormat, Version: entryVersion, Number: t.state.number + 1,
		Commit: id, TimeMs: t.config.Now().UnixMilli(), Progress: t.state.progress.Clone(), Summary: summary,
	}
}

// addFiles lets the entry add staged files, and refuses what is none.
func (t *table) addFiles(ctx context.Context, e *entry, files []tables.DataFile) error {
	seen := make(map[string]bool)
	for _, f := range files {
		name := path.Base(f.Path)
		if !isFileName(name) || f.Path != t.DataPath(name) {
			return fmt.Errorf("%s is not a staged file: %w", f.Path, tables.ErrFile)
		}
		if _, gone := t.state.gone[name]; t.state.names[name] || gone || seen[name] {
			return fmt.Errorf("%s is in the table already: %w", name, tables.ErrFile)
		}
		seen[name] = true
		if err := t.checkStaged(ctx, f); err != nil {
			return err
		}
		live := liveFile{name, f.Size, f.Rows, f.SchemaID, f.Ranges, f.Partition}
		if f.Like != "" {
			i := slices.IndexFunc(t.state.files, func(have liveFile) bool { return t.base+have.Name == f.Like })
			if i < 0 {
				return fmt.Errorf("%s is not live: %w", f.Like, tables.ErrConflict)
			}
			live.Partition = t.state.files[i].Partition
		}
		e.Add = append(e.Add, live)
	}
	return nil
}

// seal makes a whole entry a snapshot if its number asks for one.
func (t *table) seal(e *entry) {
	if e.Number%int64(t.config.SnapshotEvery) != 0 {
		return
	}
	e.Snapshot = &snapshot{e.after(t.state.files)}
	e.Comment = t.state.comment
	if e.Schema == nil {
		e.Schema = t.state.schema
	}
}

func (t *table) checkStaged(ctx context.Context, f tables.DataFile) error {
	file, err := t.store.Open(ctx, f.Path)
	if errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("%w: %w", tables.ErrFile, err)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if file.Size() != f.Size {
		return fmt.Errorf("%s has %d bytes, not %d: %w", f.Path, file.Size(), f.Size, tables.ErrFile)
	}
	return nil
}

// write puts the entry and applies it. Two traps: the number may be taken by
// our own entry, where the store tried again after a lost answer; and it may be
// free only because entries were trimmed while we slept.
func (t *table) write(ctx context.Context, e *entry) error {
	before := t.state.number
	err := t.log.put(ctx, e)
	if isExists(err) {
		there, getErr := t.log.get(ctx, e.Number)
		if getErr != nil {
			return getErr
		}
		if there.Commit != e.Commit || !there.Progress.Equal(e.Progress) {
			return fmt.Errorf("entry %d is another writer's, %s: %w", e.Number, there.Commit, tables.ErrConflict)
		}
	} else if err != nil {
		return err
	}
	here, err := t.log.has(ctx, before)
	if err != nil {
		return err
	}
	if !here {
		if err := t.store.Delete(ctx, entryKey(t.log.prefix, e.Number)); err != nil {
			return err
		}
		return fmt.Errorf("the log was trimmed past entry %d: %w", before, tables.ErrConflict)
	}
	return t.state.apply(e)
}

// Landed implements tables.Table. The log names a file before it is linked. One
// that maintenance has replaced since is told from others until the next
// snapshot entry; after that nothing is left at its key in any case.
func (t *table) Landed(ctx context.Context, _, key string) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return false, fmt.Errorf("look for %s: %w", key, err)
	}
	name := path.Base(key)
	_, gone := t.state.gone[name]
	return (t.state.names[name] || gone) && key == t.DataPath(name), nil
}

// Status implements tables.Table.
func (t *table) Status(ctx context.Context) (tables.Status, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return tables.Status{}, fmt.Errorf("read status of %s: %w", t.base, err)
	}
	s := t.state
	return tables.Status{
		Format: Name, Location: t.store.URL(strings.TrimSuffix(t.base, "/")),
		Files: int64(len(s.files)), Rows: s.rows, Bytes: s.bytes,
		Version: strconv.FormatInt(s.number, 10), CommitMs: s.timeMs, SchemaID: s.schema.ID,
		Snapshots: 1,
	}, nil
}

// Rows implements tables.Table: it reads the files that the glob matches, and
// ends with tables.ErrBroken where they are not those of the log.
func (t *table) Rows(ctx context.Context) iter.Seq2[tables.RowID, error] {
	return func(yield func(tables.RowID, error) bool) {
		files, err := t.live(ctx)
		if err != nil {
			yield(tables.RowID{}, err)
			return
		}
		for _, f := range files {
			if !t.fileRows(ctx, f, yield) {
				return
			}
		}
	}
}

// live returns the live files, after checking them against the glob.
func (t *table) live(ctx context.Context) ([]liveFile, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return nil, fmt.Errorf("read files of %s: %w", t.base, err)
	}
	found := 0
	for info, err := range t.store.List(ctx, t.base) {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", t.base, err)
		}
		name := t.liveName(info.Key)
		if name == "" {
			continue
		}
		if !t.state.names[name] {
			return nil, fmt.Errorf("%s is not of the table, but the glob matches it: %w", info.Key, tables.ErrBroken)
		}
		found++
	}
	if found != len(t.state.files) {
		return nil, fmt.Errorf("the glob matches %d files of %d: %w", found, len(t.state.files), tables.ErrBroken)
	}
	return t.state.files, nil
}

func (t *table) fileRows(ctx context.Context, f liveFile, yield func(tables.RowID, error) bool) bool {
	file, err := t.openLive(ctx, f.Name)
	if errors.Is(err, blob.ErrNotFound) {
		err = fmt.Errorf("%w: %w", tables.ErrBroken, err)
	}
	if err != nil {
		return yield(tables.RowID{}, fmt.Errorf("open live file: %w", err)) && false
	}
	defer file.Close()
	rows := int64(0)
	for id, err := range ReadRowIDs(ctx, file) {
		if err != nil {
			return yield(id, fmt.Errorf("read %s: %w", f.Name, err)) && false
		}
		rows++
		if !yield(id, nil) {
			return false
		}
	}
	if rows != f.Rows {
		return yield(tables.RowID{}, fmt.Errorf("%s has %d rows, not %d: %w", f.Name, rows, f.Rows, tables.ErrBroken)) && false
	}
	return true
}
