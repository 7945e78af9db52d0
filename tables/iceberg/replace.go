package iceberg

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/metadata"
)

var _ tables.Replacer = (*tbl)(nil)

// maintenanceKey, in a snapshot's summary, is the id of the Replacement that
// made it. Such a snapshot has no tarn.commit-id: it is none of the writer's.
const maintenanceKey = prefix + "maintenance-id"

// timeColumn is the column by whose least value files are put in order.
const timeColumn = "kafka_timestamp"

// commitTries bounds how often a commit is built anew because others changed
// the table in the meantime, which maintenance may do.
const commitTries = 5

// Live implements tables.Maintainer, in the order of the records' times.
func (t *tbl) Live(ctx context.Context) ([]tables.LiveFile, error) {
	now, data, deletes, err := t.current(ctx)
	if err != nil {
		return nil, err
	}
	return t.liveFiles(now.Metadata, data, len(deletes) > 0)
}

// Files implements tables.Replacer. A state is a snapshot: what moves the
// progress and no rows leaves the files as they are.
func (t *tbl) Files(ctx context.Context) (tables.Files, error) {
	now, data, deletes, err := t.current(ctx)
	if err != nil {
		return tables.Files{}, err
	}
	p, err := progressOf(now.Metadata)
	if err != nil {
		return tables.Files{}, err
	}
	live, err := t.liveFiles(now.Metadata, data, len(deletes) > 0)
	return tables.Files{State: stateOf(now.Metadata), Progress: p, Live: live}, err
}

// stateOf names the current snapshot, as the empty text where there is none.
func stateOf(meta *metadata.Table) string {
	if s := meta.Current(); s != nil {
		return strconv.FormatInt(s.ID, 10)
	}
	return ""
}

func (t *tbl) liveFiles(meta *metadata.Table, data []iceberg.ManifestEntry, deletes bool) ([]tables.LiveFile, error) {
	slices.SortStableFunc(data, func(a, b iceberg.ManifestEntry) int {
		return cmp.Or(cmp.Compare(least(meta, a), least(meta, b)), cmp.Compare(a.SequenceNum(), b.SequenceNum()))
	})
	out := make([]tables.LiveFile, len(data))
	for i, e := range data {
		key, ok := t.store.Key(e.DataFile().FilePath())
		if !ok {
			return nil, fmt.Errorf("data file %s is outside the warehouse: %w", e.DataFile().FilePath(), tables.ErrBroken)
		}
		out[i] = tables.LiveFile{
			Key: key, Size: e.DataFile().FileSizeBytes(), Rows: e.DataFile().Count(), Deletes: deletes,
			Partition: partitionWord(meta, e.DataFile()),
		}
	}
	return out, nil
}

// least is the least record time in a file, as far as the manifest says.
func least(meta *metadata.Table, e iceberg.ManifestEntry) int64 {
	f, ok := meta.Schema().FindFieldByName(timeColumn)
	if !ok {
		return 0
	}
	if low := e.DataFile().LowerBoundValues()[f.ID]; len(low) == 8 {
		return int64(binary.LittleEndian.Uint64(low))
	}
	return 0
}

// Replace implements tables.Maintainer, as a snapshot of the operation replace
// (delete, where rows go) on the main branch. It does not touch the properties
// that hold the progress. Where others change the table in the meantime it is
// built anew.
func (t *tbl) Replace(ctx context.Context, r tables.Replacement) error {
	t.commits.Lock()
	defer t.commits.Unlock()
	var err error
	for range commitTries {
		if err = t.tryReplace(ctx, r); !errors.Is(err, catalog.ErrCommitFailed) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", tables.ErrConflict, err)
}

func (t *tbl) tryReplace(ctx context.Context, r tables.Replacement) error {
	now, err := t.load(ctx)
	if err != nil {
		return err
	}
	base := now.Metadata
	have, back, err := held(base)
	switch {
	case err != nil:
		return err
	case back:
		return &tables.RolledBack{Rows: have}
	case base.Version > 2 && !r.Drop:
		return fmt.Errorf("rows of format version %d have ids that a rewrite must keep: %w", base.Version, tables.ErrUnsupported)
	}
	progress, err := json.Marshal(have)
	if err != nil {
		return fmt.Errorf("encode progress: %w", err)
	}
	// The snapshot says which commit's rows it has: whoever rolls back to it
	// later, when that commit's own snapshot has expired, is told from there.
	summary := map[string]string{maintenanceKey: r.ID, progressKey: string(progress)}
	if last := base.Properties[snapshotCommitKey]; last != "" {
		summary[snapshotCommitKey] = last
	}
	for k, v := range r.Summary {
		summary[prefix+strings.TrimPrefix(k, prefix)] = v
	}
	a := newAppender(t, base, 0)
	snap, err := a.replacement(ctx, r, summary)
	if err != nil {
		t.tidy(ctx, a.written)
		if _, moved := t.moved(ctx, base); moved && errors.Is(err, tables.ErrBroken) {
			return fmt.Errorf("%w: %w", catalog.ErrCommitFailed, err)
		}
		return err
	}
	_, _, err = t.cat.CommitTable(ctx, t.ident,
		[]metadata.Requirement{
			{Type: metadata.AssertTableUUID, UUID: base.UUID.String()},
			{Type: metadata.AssertRefSnapshotID, Ref: metadata.MainBranch, SnapshotID: base.CurrentID},
		},
		[]metadata.Update{{Action: metadata.AddSnapshot, Snapshot: snap}, mainAt(base, snap.ID)})
	if errors.Is(err, catalog.ErrCommitFailed) {
		t.tidy(ctx, a.written)
	}
	if err != nil {
		return fmt.Errorf("replace files of table %s: %w", describe(t.ident), err)
	}
	return nil
}

// replacement writes manifests and list of a snapshot that takes files out of
// the current one and puts others in.
func (a *appender) replacement(ctx context.Context, r tables.Replacement, summary map[string]string) (*metadata.Snapshot, error) {
	parent := a.meta.Current()
	list, err := a.t.manifests(ctx, parent)
	if err != nil {
		return nil, err
	}
	remove := make(map[string]bool, len(r.Remove))
	for _, key := range r.Remove {
		remove[key] = true
	}
	touched, others, gone, err := a.touched(ctx, list, remove, r.Drop)
	if err != nil {
		return nil, err
	}
	files, err := a.dataFiles(ctx, r.Add, gone)
	if err != nil {
		return nil, err
	}
	a.removing = &removal{keys: remove}
	out, err := a.rewrite(ctx, touched, files)
	if err != nil {
		return nil, err
	}
	if n := a.removing.files; n != int64(len(remove)) {
		return nil, fmt.Errorf("%d of %d files are live: %w", n, len(remove), tables.ErrConflict)
	}
	s := a.newSnapshot(metadata.Replace, summary)
	if r.Drop {
		s.Operation = metadata.Delete
		if len(files) > 0 {
			s.Operation = metadata.Overwrite
		}
	}
	totals(s, parent, files)
	a.removing.count(s)
	return s, a.writeList(ctx, s, append(out, others...))
}

// rewrite packs manifests, those of each spec by themselves, and puts new files
// into the newest of theirs.
func (a *appender) rewrite(ctx context.Context, touched map[int][]iceberg.ManifestFile, files []iceberg.DataFile) ([]iceberg.ManifestFile, error) {
	fresh := bySpec(files)
	specs := slices.AppendSeq(slices.Collect(maps.Keys(touched)), maps.Keys(fresh))
	slices.Sort(specs)
	var out []iceberg.ManifestFile
	for _, id := range slices.Compact(specs) {
		for i, bin := range pack(touched[id], int64(a.meta.Properties.GetInt(targetSizeKey, defaultTargetSize))) {
			var more []iceberg.DataFile
			if i == 0 {
				more = fresh[id]
			}
			if len(bin) == 0 && len(more) == 0 {
				continue
			}
			m, err := a.manifest(ctx, id, bin, more)
			if err != nil {
				return nil, err
			}
			out = append(out, m)
		}
	}
	return out, nil
}

// touched tells the manifests that name files to be removed, by their spec, from
// the others, and finds those files. Manifests of which nothing lives are left
// out.
func (a *appender) touched(ctx context.Context, list []iceberg.ManifestFile, remove map[string]bool, drop bool) (
	touched map[int][]iceberg.ManifestFile, others []iceberg.ManifestFile, gone map[string]iceberg.DataFile, err error,
) {
	touched, gone = map[int][]iceberg.ManifestFile{}, map[string]iceberg.DataFile{}
	for _, m := range list {
		if !m.HasAddedFiles() && !m.HasExistingFiles() {
			continue
		}
		if m.ManifestContent() != iceberg.ManifestContentData {
			if !drop {
				return nil, nil, nil, fmt.Errorf("the table has delete files of another writer, who has to apply them: %w", tables.ErrUnsupported)
			}
			others = append(others, m)
			continue
		}
		found := false
		for e, err := range m.Entries(a.t.files(ctx), true) {
			if err != nil {
				return nil, nil, nil, fmt.Errorf("read manifest %s: %w", m.FilePath(), missing(err))
			}
			if key, _ := a.t.store.Key(e.DataFile().FilePath()); remove[key] {
				found, gone[key] = true, e.DataFile()
			}
		}
		if found {
			id := int(m.PartitionSpecID())
			touched[id] = append(touched[id], m)
		} else {
			others = append(others, m)
		}
	}
	return touched, others, gone, nil
}

// removal are files that manifests leave out, and say so.
type removal struct {
	keys               map[string]bool
	files, rows, bytes int64
}

// take reports whether a file is to be removed, and counts it.
func (r *removal) take(key string, f iceberg.DataFile) bool {
	if r == nil || !r.keys[key] {
		return false
	}
	r.files, r.rows, r.bytes = r.files+1, r.rows+f.Count(), r.bytes+f.FileSizeBytes()
	return true
}

// count takes what was removed from the totals of a summary.
func (r *removal) count(s *metadata.Snapshot) {
	for what, n := range map[string]int64{"data-files": r.files, "records": r.rows, "files-size": r.bytes} {
		deleted := "deleted-" + what
		if what == "files-size" {
			deleted = "removed-" + what
		}
		s.Summary[deleted] = strconv.FormatInt(n, 10)
		if total := "total-" + what; s.Summary[total] != "" {
			s.Summary[total] = strconv.FormatInt(s.Total(total)-n, 10)
		}
	}
}

// newSnapshot is a snapshot that follows the current one.
func (a *appender) newSnapshot(operation string, summary map[string]string) *metadata.Snapshot {
	schema := a.meta.CurrentSchemaID
	s := &metadata.Snapshot{
		ID: a.id, TimestampMs: max(a.t.opts.Now().UnixMilli(), a.meta.LastUpdatedMs), SchemaID: &schema,
		Operation: operation, Summary: summary,
		ManifestList: fmt.Sprintf("%s/snap-%d-0-%s.avro", a.meta.MetadataDir(), a.id, a.commit),
	}
	if parent := a.meta.Current(); parent != nil {
		s.ParentID = &parent.ID
	}
	if a.meta.Version > 1 {
		s.SequenceNumber = a.meta.LastSequence + 1
	}
	return s
}

// commitOf is the newest commit of the writer's whose rows a snapshot has, as
// far as the snapshot itself says: empty in those of other writers.
func commitOf(s *metadata.Snapshot) string {
	if id := s.Summary[commitKey]; id != "" {
		return id
	}
	if s.Summary[maintenanceKey] != "" {
		return s.Summary[snapshotCommitKey]
	}
	return ""
}
