package iceberg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/metadata"
)

// plan is a commit worked out on one state of the table.
type plan struct {
	base    *metadata.Table
	back    bool               // base was rolled back
	after   *metadata.Table    // base with the new schema, if any
	snap    *metadata.Snapshot // nil if no rows are added
	updates []metadata.Update
	reqs    []metadata.Requirement
	expired []*metadata.Snapshot
	written []string       // manifests and list of the snapshot
	schema  *tables.Schema // nil if it stays
}

// Commit implements tables.Table: our own field ids, and errors that tell
// refused from unknown. Where another writer's maintenance changes the table in
// the meantime it is built anew, as long as the progress is what it was.
func (t *tbl) Commit(ctx context.Context, c tables.Commit) error {
	t.commits.Lock()
	defer t.commits.Unlock()
	var err error
	for range commitTries {
		if err = t.tryCommit(ctx, c); !errors.Is(err, catalog.ErrCommitFailed) {
			return err
		}
	}
	return err
}

func (t *tbl) tryCommit(ctx context.Context, c tables.Commit) error {
	now, err := t.load(ctx)
	if err != nil {
		return err
	}
	p := &plan{base: now.Metadata, after: now.Metadata}
	var have tables.Progress
	if have, p.back, err = held(p.base); err != nil {
		return err
	}
	if !have.Equal(c.Expect) {
		return fmt.Errorf("table holds %v: %w", have, tables.ErrConflict)
	}
	if err := t.planSchema(p, c); err != nil {
		return err
	}
	if err := t.planRows(ctx, p, c); err != nil {
		t.tidy(ctx, p.written)
		return err
	}
	t.planProgress(p, c)
	next, _, err := t.cat.CommitTable(ctx, t.ident, p.reqs, p.updates)
	if errors.Is(err, catalog.ErrCommitFailed) {
		t.tidy(ctx, p.written)
		return fmt.Errorf("%w: %w", tables.ErrConflict, err)
	}
	if err != nil {
		return fmt.Errorf("commit to table %s: %w", describe(t.ident), err)
	}
	if p.schema != nil {
		t.mu.Lock()
		t.schema = p.schema
		t.mu.Unlock()
	}
	t.cleanup(ctx, p, next)
	return nil
}

// planSchema puts the new schema first, so that the snapshot is built on it.
func (t *tbl) planSchema(p *plan, c tables.Commit) error {
	now, err := schemaOf(p.base)
	if err != nil {
		return err
	}
	if c.Schema == nil || c.Schema.Equal(now) {
		return nil
	}
	if err := extends(c.Schema, now); err != nil {
		return err
	}
	schema, err := extend(c.Schema, p.base)
	if err != nil {
		return err
	}
	added := -1
	p.updates = []metadata.Update{
		{Action: metadata.AddSchema, Schema: &metadata.Schema{Schema: schema}},
		{Action: metadata.SetCurrentSchema, SchemaID: &added},
	}
	if p.after, err = metadata.Apply(p.base, "", p.updates); err != nil {
		return fmt.Errorf("%w: %w", tables.ErrUnsupported, err)
	}
	if !c.Schema.Layout.Equal(now.Layout) {
		if err := p.changeLayout(c.Schema.Layout); err != nil {
			return err
		}
	}
	text, err := c.Schema.MarshalJSON()
	if err != nil {
		return fmt.Errorf("encode schema: %w", err)
	}
	p.schema = c.Schema
	p.updates = append(p.updates, metadata.Update{Action: metadata.SetProperties, Updates: iceberg.Properties{
		schemaKey: string(text), schemaVersionKey: strconv.Itoa(p.after.CurrentSchemaID),
	}})
	p.reqs = append(p.reqs,
		metadata.Requirement{Type: metadata.AssertCurrentSchemaID, SchemaID: &p.base.CurrentSchemaID},
		metadata.Requirement{Type: metadata.AssertLastAssignedFieldID, FieldID: &p.base.LastColumnID})
	return nil
}

// changeLayout makes spec and sort order the table's, beside its new schema.
func (p *plan) changeLayout(l tables.Layout) error {
	more, err := layoutUpdates(p.after, l)
	if err != nil {
		return err
	}
	p.updates = append(p.updates, more...)
	if p.after, err = metadata.Apply(p.base, "", p.updates); err != nil {
		return fmt.Errorf("%w: %w", tables.ErrUnsupported, err)
	}
	p.reqs = append(p.reqs, metadata.Requirement{
		Type: metadata.AssertLastAssignedPartitionID, PartitionID: &p.base.LastPartitionID})
	return nil
}

// planRows writes the manifests of a snapshot that adds the files.
func (t *tbl) planRows(ctx context.Context, p *plan, c tables.Commit) error {
	if c.Remove != nil {
		if err := removable(p.base, c.Remove); err != nil {
			return err
		}
	}
	if len(c.Add) == 0 && (c.Remove == nil || len(c.Remove.Files) == 0) && t.cat.Asks() {
		return nil
	}
	layout := t.Schema().Layout
	if p.schema != nil {
		layout = p.schema.Layout
	}
	progress, err := json.Marshal(c.Progress)
	if err != nil {
		return fmt.Errorf("encode progress: %w", err)
	}
	summary := map[string]string{commitKey: c.ID, progressKey: string(progress)}
	for k, v := range c.Summary {
		summary[prefix+strings.TrimPrefix(k, prefix)] = v
	}
	a := newAppender(t, p.after, sortOrderID(p.after, layout.Sort))
	if c.Remove != nil && len(c.Remove.Files) > 0 {
		p.snap, err = a.overwrite(ctx, c.Remove.Files, c.Add, summary)
	} else {
		p.snap, err = a.append(ctx, c.Add, summary)
	}
	p.written = a.written
	if err != nil {
		return err
	}
	p.expired = t.expirable(p.base, p.snap)
	p.updates = append(p.updates, metadata.Update{Action: metadata.AddSnapshot, Snapshot: p.snap}, mainAt(p.base, p.snap.ID))
	if len(p.expired) > 0 {
		ids := make([]int64, len(p.expired))
		for i, s := range p.expired {
			ids[i] = s.ID
		}
		p.updates = append(p.updates, metadata.Update{Action: metadata.RemoveSnapshots, SnapshotIDs: ids})
		if t.cat.Asks() {
			p.reqs = append(p.reqs, unnamed(ids))
		}
	}
	return nil
}

// removable says why files picked in a state cannot be taken out of the table as
// it is now.
func removable(meta *metadata.Table, r *tables.Removal) error {
	if have := stateOf(meta); have != r.State {
		return fmt.Errorf("the current snapshot is %q, not %q: %w", have, r.State, tables.ErrMoved)
	}
	if meta.Version > 2 && len(r.Files) > 0 {
		return fmt.Errorf("rows of format version %d have ids that a rewrite must keep: %w", meta.Version, tables.ErrUnsupported)
	}
	return nil
}

// overwrite writes manifests and list of a snapshot that takes files out and
// puts others in, as one change of the writer's.
func (a *appender) overwrite(ctx context.Context, remove []string, files []tables.DataFile, summary map[string]string) (*metadata.Snapshot, error) {
	s, err := a.replacement(ctx, tables.Replacement{Remove: remove, Add: files, Drop: true}, summary)
	if s != nil && len(files) > 0 {
		s.Operation = metadata.Overwrite
	}
	return s, err
}

// mainAt moves the main branch, whose retention stays as others set it.
func mainAt(meta *metadata.Table, id int64) metadata.Update {
	ref := metadata.Ref{SnapshotID: id, Kind: metadata.Branch}
	if have, ok := meta.Refs[metadata.MainBranch]; ok {
		ref = have.At(id)
	}
	return metadata.Update{Action: metadata.SetSnapshotRef, RefName: metadata.MainBranch, Ref: &ref}
}

// planProgress sets the progress and pins what the commit was built on.
func (t *tbl) planProgress(p *plan, c tables.Commit) {
	set, remove := change(p.base.Properties, c.Progress)
	set[commitKey] = c.ID
	if p.snap != nil {
		set[snapshotCommitKey] = c.ID
	} else if p.back {
		// Without rows of its own the commit goes with the snapshot that the
		// table was set back to.
		if last := newest(p.base); last != "" {
			set[snapshotCommitKey] = last
		} else {
			remove = append(remove, snapshotCommitKey)
		}
	}
	p.updates = append(p.updates, metadata.Update{Action: metadata.SetProperties, Updates: set})
	if len(remove) > 0 {
		p.updates = append(p.updates, metadata.Update{Action: metadata.RemoveProperties, Removals: remove})
	}
	p.reqs = append(p.reqs,
		metadata.Requirement{Type: metadata.AssertTableUUID, UUID: p.base.UUID.String()},
		metadata.Requirement{Type: metadata.AssertRefSnapshotID, Ref: metadata.MainBranch, SnapshotID: p.base.CurrentID})
	if t.cat.Asks() {
		p.reqs = append(p.reqs, progressIs(c.Expect))
	}
}

// tidy deletes files that nothing refers to. What stays is found by a sweep.
func (t *tbl) tidy(ctx context.Context, names []string) {
	files := t.files(context.WithoutCancel(ctx))
	var errs error
	for _, name := range names {
		errs = errors.Join(errs, files.Remove(name))
	}
	if errs != nil {
		t.opts.Logger.Warn("files of a commit stay", "table", describe(t.ident), "error", errs)
	}
}
