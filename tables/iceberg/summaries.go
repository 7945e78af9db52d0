package iceberg

import (
	"github.com/apache/iceberg-go"
)

// withEmptyBounds gives a manifest's partition summaries the bounds that the
// library leaves out: those of empty texts and bytes, which it takes for no bytes
// at all. To readers a summary without bounds says that there are nulls and
// nothing else, so a filter on the column would pass over the whole manifest, the
// rows of its other values too. Manifests of lists that were written without the
// bounds are mended with the next commit.
//
// Where both are absent and there are nulls, all values may be null or some empty:
// bounds of nothing are true of either.
func (a *appender) withEmptyBounds(m iceberg.ManifestFile) iceberg.ManifestFile {
	spec, summaries := a.meta.Spec(int(m.PartitionSpecID())), m.Partitions()
	if spec == nil || spec.NumFields() != len(summaries) || m.FirstRowID() != nil {
		return m // rebuilding it would lose the ids of its rows
	}
	mended := false
	for i := range summaries {
		s, f := &summaries[i], spec.Field(i)
		source, ok := a.meta.Schema().FindTypeByID(f.SourceID())
		if bounded(s.LowerBound) && bounded(s.UpperBound) || !ok || f.Transform == (iceberg.VoidTransform{}) || !mayBeEmpty(f.Transform.ResultType(source)) {
			continue
		}
		mended = true
		if !bounded(s.LowerBound) {
			s.LowerBound = &[]byte{}
		}
		if !bounded(s.UpperBound) {
			s.UpperBound = &[]byte{}
		}
	}
	if !mended {
		return m
	}
	return iceberg.NewManifestFile(m.Version(), m.FilePath(), m.Length(), m.PartitionSpecID(), m.SnapshotID()).
		Content(m.ManifestContent()).SequenceNum(m.SequenceNum(), m.MinSequenceNum()).
		AddedFiles(m.AddedDataFiles()).ExistingFiles(m.ExistingDataFiles()).DeletedFiles(m.DeletedDataFiles()).
		AddedRows(m.AddedRows()).ExistingRows(m.ExistingRows()).DeletedRows(m.DeletedRows()).
		Partitions(summaries).KeyMetadata(m.KeyMetadata()).Build()
}

// bounded says whether a bound would be written: one without bytes of its own is
// written as none.
func bounded(v *[]byte) bool { return v != nil && *v != nil }

// mayBeEmpty says whether a type has a value of no bytes.
func mayBeEmpty(t iceberg.Type) bool {
	switch t.(type) {
	case iceberg.StringType, iceberg.BinaryType:
		return true
	}
	return false
}
