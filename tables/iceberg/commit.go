package iceberg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables"
)

// plan is a commit worked out on one state of the table.
type plan struct {
	base    *table.Table
	back    bool            // base was rolled back
	after   *table.Table    // base with the new schema, if any
	snap    *table.Snapshot // nil if no rows are added
	updates []table.Update
	reqs    []table.Requirement
	expired []table.Snapshot
	written recorder       // files that iceberg-go wrote for the snapshot
	schema  *tables.Schema // nil if it stays
}

// Commit implements tables.Table. The metadata of the commit is put together
// here instead of by iceberg-go's Transaction.Commit: one try, our own field
// ids, and errors that tell refused from unknown.
func (t *tbl) Commit(ctx context.Context, c tables.Commit) error {
	base, err := t.load(ctx)
	if err != nil {
		return err
	}
	have, back, err := held(base.Metadata())
	if err != nil {
		return err
	}
	if !have.Equal(c.Expect) {
		return fmt.Errorf("table holds %v: %w", have, tables.ErrConflict)
	}
	p := &plan{base: base, back: back}
	p.after = table.New(t.ident, base.Metadata(), base.MetadataLocation(), p.written.files(t), t.cat)
	if err := t.planSchema(p, c); err != nil {
		return err
	}
	if err := t.planRows(ctx, p, c); err != nil {
		return err
	}
	t.planProgress(p, c)
	meta, location, err := t.cat.CommitTable(ctx, t.ident, p.reqs, p.updates)
	if errors.Is(err, table.ErrCommitFailed) {
		t.tidy(ctx, p.written.names)
		return fmt.Errorf("%w: %w", tables.ErrConflict, err)
	}
	if err != nil {
		return fmt.Errorf("commit to table %s: %w", strings.Join(t.ident, "."), err)
	}
	if p.schema != nil {
		t.mu.Lock()
		t.schema = p.schema
		t.mu.Unlock()
	}
	t.tidy(ctx, p.written.superseded(ctx, t, p.snap))
	t.cleanup(ctx, p, table.New(t.ident, meta, location, base.FS, t.cat))
	return nil
}

// planSchema puts the new schema first, so that the snapshot is built on it.
func (t *tbl) planSchema(p *plan, c tables.Commit) error {
	meta := p.base.Metadata()
	now, err := schemaOf(meta)
	if err != nil {
		return err
	}
	if c.Schema == nil || c.Schema.Equal(now) {
		return nil
	}
	if err := extends(c.Schema, now); err != nil {
		return err
	}
	schema, err := extend(c.Schema, meta)
	if err != nil {
		return err
	}
	p.updates = []table.Update{table.NewAddSchemaUpdate(schema), table.NewSetCurrentSchemaUpdate(-1)}
	next, err := table.UpdateTableMetadata(meta, p.updates, "")
	if err != nil {
		return fmt.Errorf("%w: %w", tables.ErrUnsupported, err)
	}
	text, err := c.Schema.MarshalJSON()
	if err != nil {
		return fmt.Errorf("encode schema: %w", err)
	}
	p.schema = c.Schema
	p.updates = append(p.updates, table.NewSetPropertiesUpdate(iceberg.Properties{
		schemaKey: string(text), schemaVersionKey: strconv.Itoa(next.CurrentSchema().ID),
	}))
	p.reqs = append(p.reqs,
		table.AssertCurrentSchemaID(meta.CurrentSchema().ID),
		table.AssertLastAssignedFieldID(meta.LastColumnID()))
	p.after = table.New(t.ident, next, p.base.MetadataLocation(), p.written.files(t), t.cat)
	return nil
}

// planRows writes the manifests and takes the snapshot that iceberg-go makes
// of them.
func (t *tbl) planRows(ctx context.Context, p *plan, c tables.Commit) error {
	if len(c.Add) == 0 {
		return nil
	}
	files, err := t.dataFiles(ctx, p.after.Metadata(), c.Add)
	if err != nil {
		return err
	}
	progress, err := json.Marshal(c.Progress)
	if err != nil {
		return fmt.Errorf("encode progress: %w", err)
	}
	props := iceberg.Properties{commitKey: c.ID, progressKey: string(progress)}
	for k, v := range c.Summary {
		props[prefix+strings.TrimPrefix(k, prefix)] = v
	}
	tx := p.after.NewTransaction()
	err = tx.AddDataFiles(ctx, files, props, table.WithoutAutoNameMapping(), table.WithoutDuplicateCheck())
	if err != nil {
		return fmt.Errorf("write manifests: %w", err)
	}
	staged, err := tx.StagedTable()
	if err != nil {
		return fmt.Errorf("build snapshot: %w", err)
	}
	p.snap = staged.CurrentSnapshot()
	p.expired = t.expirable(p.base.Metadata(), p.snap)
	p.updates = append(p.updates, table.NewAddSnapshotUpdate(p.snap), mainAt(p.base.Metadata(), p.snap.SnapshotID))
	if len(p.expired) > 0 {
		ids := make([]int64, len(p.expired))
		for i, s := range p.expired {
			ids[i] = s.SnapshotID
		}
		p.updates = append(p.updates, table.NewRemoveSnapshotsUpdate(ids, false))
	}
	return nil
}

// mainAt moves the main branch, whose retention stays as others set it.
func mainAt(meta table.Metadata, id int64) table.Update {
	var maxRefMs, maxAgeMs int64
	var keep int
	for name, ref := range meta.Refs() {
		if name != table.MainBranch {
			continue
		}
		if ref.MaxRefAgeMs != nil {
			maxRefMs = *ref.MaxRefAgeMs
		}
		if ref.MaxSnapshotAgeMs != nil {
			maxAgeMs = *ref.MaxSnapshotAgeMs
		}
		if ref.MinSnapshotsToKeep != nil {
			keep = *ref.MinSnapshotsToKeep
		}
	}
	return table.NewSetSnapshotRefUpdate(table.MainBranch, id, table.BranchRef, maxRefMs, maxAgeMs, keep)
}

// planProgress sets the progress and pins what the commit was built on.
func (t *tbl) planProgress(p *plan, c tables.Commit) {
	meta := p.base.Metadata()
	set, remove := change(meta.Properties(), c.Progress)
	set[commitKey] = c.ID
	if p.snap != nil {
		set[snapshotCommitKey] = c.ID
	} else if p.back {
		// Without rows of its own the commit goes with the snapshot that the
		// table was set back to.
		if last := newest(meta); last != "" {
			set[snapshotCommitKey] = last
		} else {
			remove = append(remove, snapshotCommitKey)
		}
	}
	p.updates = append(p.updates, table.NewSetPropertiesUpdate(set))
	if len(remove) > 0 {
		p.updates = append(p.updates, table.NewRemovePropertiesUpdate(remove))
	}
	var head *int64
	if s := meta.CurrentSnapshot(); s != nil {
		head = &s.SnapshotID
	}
	p.reqs = append(p.reqs,
		table.AssertTableUUID(meta.TableUUID()),
		table.AssertRefSnapshotID(table.MainBranch, head),
		progressIs{c.Expect})
}
