package iceberg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/iceberg-go"
	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/metadata"
)

// Properties that decide about manifests, and Iceberg's defaults for them.
const (
	mergeEnabledKey   = "commit.manifest-merge.enabled"
	targetSizeKey     = "commit.manifest.target-size-bytes"
	minCountKey       = "commit.manifest.min-count-to-merge"
	defaultTargetSize = 8 << 20
	defaultMinCount   = 100
)

// manifests reads a snapshot's manifest list; nil for no snapshot.
func (t *tbl) manifests(ctx context.Context, s *metadata.Snapshot) ([]iceberg.ManifestFile, error) {
	if s == nil {
		return nil, nil
	}
	if s.ManifestList == "" {
		return nil, fmt.Errorf("snapshot %d has no manifest list: %w", s.ID, tables.ErrUnsupported)
	}
	data, err := t.files(ctx).ReadFile(s.ManifestList)
	if err != nil {
		return nil, fmt.Errorf("read manifest list: %w", missing(err))
	}
	list, err := iceberg.ReadManifestList(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read manifest list %s: %w: %w", s.ManifestList, tables.ErrBroken, err)
	}
	return list, nil
}

// missing makes ErrBroken of a file that is not there although the table's
// metadata names it.
func missing(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("%w: %w", tables.ErrBroken, err)
	}
	return err
}

// appender writes the manifests of one snapshot.
type appender struct {
	t       *tbl
	meta    *metadata.Table // with the schema of the snapshot
	order   int             // id of the sort order of files that are sorted; 0: none
	id      int64           // of the snapshot
	commit  string          // begins the names of manifests
	written []string
	// removing are files that the snapshot takes out; nil: none.
	removing *removal
}

func newAppender(t *tbl, meta *metadata.Table, order int) *appender {
	a := &appender{t: t, meta: meta, order: order, commit: uuid.NewString()}
	for a.id == 0 || meta.Snapshot(a.id) != nil {
		a.id = snapshotID(uuid.New())
	}
	return a
}

// snapshotID folds a random UUID into a positive number.
func snapshotID(u uuid.UUID) int64 {
	var id uint64
	for i := range 8 {
		id = id<<8 | uint64(u[i]^u[i+8])
	}
	return int64(id >> 1)
}

// append writes manifests and list of a snapshot that adds the files to the
// current one, and returns it.
func (a *appender) append(ctx context.Context, add []tables.DataFile, summary map[string]string) (*metadata.Snapshot, error) {
	files, err := a.dataFiles(ctx, add, nil)
	if err != nil {
		return nil, err
	}
	if len(bySpec(files)) > 1 {
		return nil, fmt.Errorf("new files are of several partition specs: %w", tables.ErrUnsupported)
	}
	parent := a.meta.Current()
	list, err := a.t.manifests(ctx, parent)
	if err != nil {
		return nil, err
	}
	if list, err = a.manifests(ctx, list, files); err != nil {
		return nil, err
	}
	s := a.newSnapshot(metadata.Append, summary)
	totals(s, parent, files)
	return s, a.writeList(ctx, s, list)
}

// writeList writes the manifest list. In version 3 it gives the new rows their
// ids.
func (a *appender) writeList(ctx context.Context, s *metadata.Snapshot, list []iceberg.ManifestFile) error {
	var out bytes.Buffer
	var w *iceberg.ManifestListWriter
	var err error
	switch a.meta.Version {
	case 1:
		w, err = iceberg.NewManifestListWriterV1(&out, s.ID, s.ParentID)
	case 2:
		w, err = iceberg.NewManifestListWriterV2(&out, s.ID, s.SequenceNumber, s.ParentID)
	default:
		w, err = iceberg.NewManifestListWriterV3(&out, s.ID, s.SequenceNumber, a.meta.NextRowID, s.ParentID)
	}
	if err != nil {
		return fmt.Errorf("write manifest list: %w", err)
	}
	whole := make([]iceberg.ManifestFile, len(list))
	for i, m := range list {
		whole[i] = a.withEmptyBounds(m)
	}
	if err := w.AddManifests(whole); err != nil {
		return fmt.Errorf("write manifest list: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write manifest list: %w", err)
	}
	if next := w.NextRowID(); next != nil && a.meta.Version >= 3 {
		first, added := a.meta.NextRowID, *next-a.meta.NextRowID
		s.FirstRowID, s.AddedRows = &first, &added
	}
	return a.write(ctx, s.ManifestList, out.Bytes())
}

func (a *appender) write(ctx context.Context, name string, data []byte) error {
	a.written = append(a.written, name)
	if err := a.t.files(ctx).WriteFile(name, data); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}

// manifests is the list with the files in it. As Iceberg's merging append does,
// manifests of the files' spec are packed from the oldest on into bins of the target
// size; a bin that is full becomes one manifest, and so does the last one, with
// the new files in it, when it holds enough of them.
func (a *appender) manifests(ctx context.Context, old []iceberg.ManifestFile, files []iceberg.DataFile) ([]iceberg.ManifestFile, error) {
	old = slices.DeleteFunc(old, func(m iceberg.ManifestFile) bool { return !m.HasAddedFiles() && !m.HasExistingFiles() })
	if len(files) == 0 {
		return old, nil
	}
	spec := files[0].SpecID()
	var ours, others []iceberg.ManifestFile
	for _, m := range old {
		merges := m.ManifestContent() == iceberg.ManifestContentData && m.PartitionSpecID() == spec
		if merges && a.meta.Properties.GetBool(mergeEnabledKey, false) {
			ours = append(ours, m)
		} else {
			others = append(others, m)
		}
	}
	bins := pack(ours, int64(a.meta.Properties.GetInt(targetSizeKey, defaultTargetSize)))
	var out []iceberg.ManifestFile
	for i, bin := range bins {
		var fresh []iceberg.DataFile
		if i == 0 {
			if len(bin)+1 < a.meta.Properties.GetInt(minCountKey, defaultMinCount) {
				m, err := a.manifest(ctx, int(spec), nil, files)
				if err != nil {
					return nil, err
				}
				out = append(append(out, m), bin...)
				continue
			}
			fresh = files
		}
		if len(bin) == 1 && fresh == nil {
			out = append(out, bin[0])
			continue
		}
		m, err := a.manifest(ctx, int(spec), bin, fresh)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return append(out, others...), nil
}

// pack cuts manifests, newest first, into bins, newest first too. The first bin
// may be empty; every other one is full.
func pack(manifests []iceberg.ManifestFile, target int64) (bins [][]iceberg.ManifestFile) {
	var bin []iceberg.ManifestFile
	size := int64(0)
	for _, m := range slices.Backward(manifests) {
		if size+m.Length() > target && len(bin) > 0 {
			bins, bin, size = append(bins, bin), nil, 0
		}
		bin, size = append(bin, m), size+m.Length()
	}
	if size >= target {
		bins, bin = append(bins, bin), nil
	}
	bins = append(bins, bin)
	for _, b := range bins {
		slices.Reverse(b)
	}
	slices.Reverse(bins)
	return bins
}

// manifest writes one manifest with what lives of others and with new files, all
// of one spec.
func (a *appender) manifest(ctx context.Context, specID int, from []iceberg.ManifestFile, files []iceberg.DataFile) (iceberg.ManifestFile, error) {
	spec := a.meta.Spec(specID)
	if spec == nil {
		return nil, fmt.Errorf("files are of partition spec %d, which the table does not have: %w", specID, tables.ErrBroken)
	}
	var out bytes.Buffer
	w, err := iceberg.NewManifestWriter(a.meta.Version, &out, *spec, a.meta.Schema(), a.id)
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	for _, f := range files {
		if err := w.Add(iceberg.NewManifestEntry(iceberg.EntryStatusADDED, &a.id, nil, nil, f)); err != nil {
			return nil, fmt.Errorf("write manifest: %w", err)
		}
	}
	for _, m := range from {
		for e, err := range m.Entries(a.t.files(ctx), true) {
			if err != nil {
				return nil, fmt.Errorf("read manifest %s: %w", m.FilePath(), err)
			}
			put := w.Existing
			if key, ok := a.t.store.Key(e.DataFile().FilePath()); ok && a.removing.take(key, e.DataFile()) {
				put = w.Delete
			}
			if err := put(e); err != nil {
				return nil, fmt.Errorf("write manifest: %w", err)
			}
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	name := fmt.Sprintf("%s/%s-m%d.avro", a.meta.MetadataDir(), a.commit, len(a.written))
	if err := a.write(ctx, name, out.Bytes()); err != nil {
		return nil, err
	}
	return w.ToManifestFile(name, int64(out.Len()))
}

// totals writes the figures of a summary: what was added, and what there is
// then, as far as the parent tells.
func totals(s, parent *metadata.Snapshot, files []iceberg.DataFile) {
	added := map[string]int64{"data-files": int64(len(files))}
	for _, f := range files {
		added["records"] += f.Count()
		added["files-size"] += f.FileSizeBytes()
	}
	for _, what := range []string{"data-files", "records", "files-size", "delete-files", "position-deletes", "equality-deletes"} {
		if n := added[what]; n > 0 {
			s.Summary["added-"+what] = fmt.Sprint(n)
		}
		if parent == nil || parent.Summary["total-"+what] != "" {
			s.Summary["total-"+what] = fmt.Sprint(parent.Total("total-"+what) + added[what])
		}
	}
}
