package delta

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/parquet"
)

const suffix = ".parquet"

// commitTries bounds how often a commit moves on to the next version because
// somebody's maintenance took the one it tried.
const commitTries = 20

// table is a Delta table. A commit is one put-if-absent of the next version's
// file; checkpoints and cleanup follow it and may be lost.
type table struct {
	store  blob.Store
	config Config
	base   string // "<namespace>/<name>/delta/"
	log    log

	mu    sync.Mutex
	state *state // guarded by mu; versions are applied once they are durable
}

// Progress implements tables.Table.
func (t *table) Progress(ctx context.Context) (tables.Progress, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return tables.Progress{}, fmt.Errorf("read progress of %s: %w", t.base, err)
	}
	if t.state.back != nil {
		return tables.Progress{}, fmt.Errorf("read progress of %s: %w", t.base, t.state.back.err())
	}
	return t.state.progress.Clone(), nil
}

func (t *table) refresh(ctx context.Context) error {
	s, err := t.log.catchUp(ctx, t.state)
	if err != nil {
		return err
	}
	t.state = s
	return nil
}

// Schema implements tables.Table.
func (t *table) Schema() *tables.Schema {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.schema
}

// DataPath implements tables.Table. The name is taken with and without
// ".parquet".
func (t *table) DataPath(name string) string {
	return t.base + strings.TrimSuffix(name, suffix) + suffix
}

// Commit implements tables.Table. Where another writer's maintenance takes the
// next version, it moves to the one after, as long as progress and schema are
// what they were.
func (t *table) Commit(ctx context.Context, c tables.Commit) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.commit(ctx, c); err != nil {
		return fmt.Errorf("commit %s: %w", c.ID, err)
	}
	t.checkpointIfDue(ctx)
	return nil
}

// checkpointIfDue is not part of the commit before it: what is lost here, a
// later commit does.
func (t *table) checkpointIfDue(ctx context.Context) {
	if t.state.version-t.state.checkpoint >= int64(t.config.CheckpointEvery) {
		_ = t.checkpoint(ctx)
	}
}

func (t *table) commit(ctx context.Context, c tables.Commit) error {
	if held, ok := t.state.held(); !ok || !held.Equal(c.Expect) {
		if err := t.refresh(ctx); err != nil {
			return err
		}
	}
	for range commitTries {
		if held, ok := t.state.held(); !ok || !held.Equal(c.Expect) {
			return fmt.Errorf("table is at %v, not %v: %w", held, c.Expect, tables.ErrConflict)
		}
		if c.Remove != nil && c.Remove.State != t.state.name() {
			return fmt.Errorf("table is at version %d, not %s: %w", t.state.version, c.Remove.State, tables.ErrMoved)
		}
		if err := t.checkFiles(ctx, c.Add); err != nil {
			return err
		}
		actions, err := t.actions(c)
		if err != nil {
			return err
		}
		taken, err := t.write(ctx, c.ID, actions)
		if !taken || err != nil {
			return err
		}
		if err := t.refresh(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("%d versions in a row were taken by others: %w", commitTries, tables.ErrConflict)
}

// write puts the next version and applies it; taken if another writer has it.
// Two traps: the version may be taken by our own commit, where the store tried
// again after a lost answer; and it may be free only because versions were
// cleaned up while we slept.
func (t *table) write(ctx context.Context, id string, actions []action) (taken bool, err error) {
	before := t.state.version
	err = t.log.put(ctx, before+1, actions)
	if errors.Is(err, blob.ErrExists) {
		ours, err := t.log.isOurs(ctx, before+1, id)
		if err != nil || !ours {
			return true, err
		}
		// Another process may have made the same commit, with other files in the
		// place of those that it rewrote: what the log says counts.
		return false, t.refresh(ctx)
	} else if err != nil {
		return false, err
	}
	here, err := t.log.has(ctx, before)
	if err != nil {
		return false, err
	}
	if !here {
		if err := t.store.Delete(ctx, t.log.key(before+1, commitSuffix)); err != nil {
			return false, err
		}
		return false, fmt.Errorf("the log was cleaned up past version %d: %w", before, tables.ErrConflict)
	}
	t.state.back = nil // a version of ours goes on from the rows that are there
	return false, t.state.apply(before+1, actions)
}

// actions builds a commit's version and refuses what Delta cannot express.
func (t *table) actions(c tables.Commit) ([]action, error) {
	nowMs := t.config.Now().UnixMilli()
	meta := *t.state.meta
	meta.Configuration = maps.Clone(meta.Configuration)
	txns, changed, err := progressActions(t.state.progress, c.Progress, &meta, nowMs)
	if err != nil {
		return nil, err
	}
	schema, widened := t.state.schema, false
	if c.Schema != nil && !c.Schema.Equal(schema) {
		if widened, err = t.evolve(&meta, schema, c.Schema); err != nil {
			return nil, err
		}
		schema, changed = c.Schema, true
	}
	physical, err := physical(schema)
	if err != nil {
		return nil, err
	}
	columns, err := checkColumns(&meta, schema)
	if err != nil {
		return nil, err
	}
	info, err := infoOf(c, meta.partitionBy(), nowMs)
	if err != nil {
		return nil, err
	}
	var removes []action
	if c.Remove != nil {
		if removes, err = t.removals(c.Remove.Files, true, nowMs); err != nil {
			return nil, err
		}
	}
	if len(removes) > 0 && meta.appendOnly() {
		meta.Configuration[keyAppendOnly], changed = "false", true
	}
	out := []action{{CommitInfo: info}}
	switch p, more := t.state.protocol.with(protocolFor(physical, widened)); {
	case t.renewed(c) && slices.Contains(p.ReaderFeatures, featureWidening):
		if err := forgetWidening(&meta, schema, physical); err != nil {
			return nil, err
		}
		p, changed = p.without(featureWidening), true
		out = append(out, action{Protocol: &p})
	case more:
		out = append(out, action{Protocol: &p})
	}
	if changed {
		out = append(out, action{MetaData: &meta})
	}
	txns = append(txns, t.state.foreign.txns(t.state.txns)...)
	slices.SortFunc(txns, func(a, b action) int { return cmp.Compare(a.Txn.AppID, b.Txn.AppID) })
	out = append(append(out, txns...), removes...)
	for _, f := range c.Add {
		values, err := t.valuesOf(columns, f)
		if err != nil {
			return nil, err
		}
		a, err := newAdd(f, physical, values, true, nowMs)
		if err != nil {
			return nil, err
		}
		out = append(out, action{Add: a})
	}
	return out, nil
}

// newAdd is the action that brings a file.
func newAdd(f tables.DataFile, physical *tables.Schema, values map[string]*string, change bool, nowMs int64) (*add, error) {
	stats, err := statsJSON(f, physical)
	if err != nil {
		return nil, fmt.Errorf("statistics of %s: %w", f.Path, err)
	}
	return &add{
		Path: encodePath(path.Base(f.Path)), PartitionValues: values, Size: f.Size,
		ModificationTime: cmp.Or(f.WrittenMs, nowMs), DataChange: change, Stats: stats, rows: f.Rows,
	}, nil
}

// evolve states the next schema in meta, and reports whether a column widens.
func (t *table) evolve(meta *metaData, have, next *tables.Schema) (widened bool, err error) {
	if err := next.Extends(have); err != nil {
		return false, fmt.Errorf("%w: %w", tables.ErrUnsupported, err)
	}
	before, err := physical(have)
	if err != nil {
		return false, err
	}
	after, err := physical(next)
	if err != nil {
		return false, err
	}
	changes, err := readChanges(meta.SchemaString)
	if err != nil {
		return false, err
	}
	fresh := typeChanges{}
	if err := fresh.compare(before.Arrow.Fields(), after.Arrow.Fields(), ""); err != nil {
		return false, err
	}
	for path, c := range fresh {
		if t.config.NoTypeWidening {
			return false, fmt.Errorf("%s would widen from %s to %s: %w", path, c[0].FromType, c[0].ToType, tables.ErrUnsupported)
		}
		changes[path] = append(changes[path], c...)
		meta.Configuration[keyEnableWidening] = "true"
	}
	return len(fresh) > 0, setSchema(meta, next, after, changes)
}

func infoOf(c tables.Commit, partitionBy string, nowMs int64) (*commitInfo, error) {
	info := &commitInfo{
		Timestamp: nowMs, Operation: "WRITE", IsBlindAppend: true, EngineInfo: engineInfo, TxnID: c.ID,
		OperationParameters: map[string]any{"mode": "Append", "partitionBy": partitionBy},
	}
	var rows, bytes int64
	for _, f := range c.Add {
		rows += f.Rows
		bytes += f.Size
	}
	info.OperationMetrics = map[string]any{
		"numFiles":       strconv.Itoa(len(c.Add)),
		"numOutputRows":  strconv.FormatInt(rows, 10),
		"numOutputBytes": strconv.FormatInt(bytes, 10),
	}
	if c.Remove != nil && len(c.Remove.Files) > 0 {
		info.Operation, info.IsBlindAppend = "MERGE", false
		info.OperationParameters = map[string]any{"predicate": "[]"}
		info.OperationMetrics["numTargetFilesRemoved"] = strconv.Itoa(len(c.Remove.Files))
	}
	if len(c.Summary) > 0 {
		text, err := json.Marshal(c.Summary)
		if err != nil {
			return nil, fmt.Errorf("encode summary: %w", err)
		}
		info.UserMetadata = string(text)
	}
	return info, nil
}

func (t *table) checkFiles(ctx context.Context, files []tables.DataFile) error {
	seen := make(map[string]bool)
	for _, f := range files {
		name := path.Base(f.Path)
		// Readers and VACUUM take names that begin so for hidden.
		if f.Path != t.DataPath(name) || name[0] == '_' || name[0] == '.' {
			return fmt.Errorf("%s is no data file of the table: %w", f.Path, tables.ErrFile)
		}
		if _, ok := t.state.byPath[encodePath(name)]; ok || seen[name] {
			return fmt.Errorf("%s is in the table already: %w", name, tables.ErrFile)
		}
		seen[name] = true
		file, err := t.store.Open(ctx, f.Path)
		if errors.Is(err, blob.ErrNotFound) {
			return fmt.Errorf("%w: %w", tables.ErrFile, err)
		}
		if err != nil {
			return err
		}
		size := file.Size()
		file.Close()
		if size != f.Size {
			return fmt.Errorf("%s has %d bytes, not %d: %w", f.Path, size, f.Size, tables.ErrFile)
		}
	}
	return nil
}

// Landed implements tables.Table. Others may have replaced the file since: then
// a remove names it, for as long as older versions may be read.
func (t *table) Landed(ctx context.Context, _, key string) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return false, fmt.Errorf("look for %s: %w", key, err)
	}
	is := func(path string) bool {
		have, err := decodePath(path, t.base, t.store.Key)
		return err == nil && have == key
	}
	for path := range t.state.byPath {
		if is(path) {
			return true, nil
		}
	}
	for path := range t.state.removes {
		if is(path) {
			return true, nil
		}
	}
	return false, nil
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
		Files: int64(len(s.byPath)), Rows: s.rows, Bytes: s.bytes,
		Version: strconv.FormatInt(s.version, 10), CommitMs: s.timeMs, SchemaID: s.schema.ID,
		Snapshots: int(s.version - s.oldest + 1), Features: slices.Clone(s.protocol.ReaderFeatures), Foreign: s.foreign.status(),
	}, nil
}

// Rows implements tables.Table.
func (t *table) Rows(ctx context.Context) iter.Seq2[tables.RowID, error] {
	return func(yield func(tables.RowID, error) bool) {
		t.mu.Lock()
		err := t.refresh(ctx)
		files := t.state.live()
		t.mu.Unlock()
		if err != nil {
			yield(tables.RowID{}, fmt.Errorf("read files of %s: %w", t.base, err))
			return
		}
		for _, a := range files {
			if !t.fileRows(ctx, a, yield) {
				return
			}
		}
	}
}

// fileRows yields a file's rows, and reports whether to go on.
func (t *table) fileRows(ctx context.Context, a *add, yield func(tables.RowID, error) bool) bool {
	fail := func(err error) bool {
		yield(tables.RowID{}, err)
		return false
	}
	key, err := decodePath(a.Path, t.base, t.store.Key)
	if err != nil {
		return fail(err)
	}
	file, err := t.store.Open(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return fail(fmt.Errorf("live file is missing: %w: %w", tables.ErrBroken, err))
	}
	if err != nil {
		return fail(err)
	}
	defer file.Close()
	rows := int64(0)
	for id, err := range parquet.ReadRowIDs(ctx, file) {
		if err != nil {
			return fail(fmt.Errorf("read %s: %w", a.Path, err))
		}
		rows++
		if !yield(id, nil) {
			return false
		}
	}
	if a.rows >= 0 && rows != a.rows {
		return fail(fmt.Errorf("%s has %d rows, not %d: %w", a.Path, rows, a.rows, tables.ErrBroken))
	}
	return true
}
