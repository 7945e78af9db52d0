package iceberg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// boundLength is how many characters or bytes of a bound are kept, as
// Iceberg's default truncate(16) does: manifests hold them for each file.
const boundLength = 16

// dataFiles builds the manifest entries of files, which must be there; gone are
// those whose place they take, by their keys. That none of them is in the table
// already follows from the progress, which was compared. Errors: ErrFile, and those of placeOf.
func (a *appender) dataFiles(ctx context.Context, files []tables.DataFile, gone map[string]iceberg.DataFile) ([]iceberg.DataFile, error) {
	out, schema := make([]iceberg.DataFile, len(files)), a.meta.Schema()
	for i, f := range files {
		if err := a.t.checkFile(ctx, f); err != nil {
			return nil, err
		}
		at, err := placeOf(a.meta, f, gone)
		if err != nil {
			return nil, err
		}
		b, err := iceberg.NewDataFileBuilder(at.spec, iceberg.EntryContentData, a.t.store.URL(f.Path),
			iceberg.ParquetFile, at.values, nil, nil, f.Rows, f.Size)
		if err != nil {
			return nil, fmt.Errorf("data file %s: %w", f.Path, err)
		}
		addStats(b, schema, f)
		if f.Sorted && a.order > 0 {
			b.SortOrderID(a.order)
		}
		out[i] = b.Build()
	}
	return out, nil
}

// checkFile looks whether the file is what the commit says: an entry for
// anything else would break every reader of the table.
func (t *tbl) checkFile(ctx context.Context, f tables.DataFile) error {
	obj, err := t.store.Open(ctx, f.Path)
	if errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("%w: %w", tables.ErrFile, err)
	}
	if err != nil {
		return fmt.Errorf("open data file: %w", err)
	}
	defer obj.Close()
	if obj.Size() != f.Size {
		return fmt.Errorf("%s has %d bytes, not %d: %w", f.Path, obj.Size(), f.Size, tables.ErrFile)
	}
	return nil
}

func addStats(b *iceberg.DataFileBuilder, schema *iceberg.Schema, f tables.DataFile) {
	sizes, values, nulls, nans := map[int]int64{}, map[int]int64{}, map[int]int64{}, map[int]int64{}
	lower, upper := map[int][]byte{}, map[int][]byte{}
	for _, c := range f.Columns {
		typ, ok := schema.FindTypeByID(c.FieldID)
		if !ok {
			continue
		}
		sizes[c.FieldID], values[c.FieldID], nulls[c.FieldID] = c.Size, c.Values, c.Nulls
		switch typ.(type) {
		case iceberg.Float32Type, iceberg.Float64Type:
			nans[c.FieldID] = c.NaNs
		}
		if low := lowerBound(typ, c.Min); low != nil {
			lower[c.FieldID] = low
		}
		if up := upperBound(typ, c.Max); up != nil {
			upper[c.FieldID] = up
		}
	}
	b.ColumnSizes(sizes).ValueCounts(values).NullValueCounts(nulls).NaNValueCounts(nans)
	b.LowerBoundValues(lower).UpperBoundValues(upper)
	if len(f.SplitPos) > 0 {
		b.SplitOffsets(f.SplitPos)
	}
}

// lowerBound shortens a minimum; a prefix sorts before the whole.
func lowerBound(t iceberg.Type, v []byte) []byte {
	switch t.(type) {
	case iceberg.StringType:
		return prefixOf(v)
	case iceberg.BinaryType:
		return v[:min(len(v), boundLength)]
	case iceberg.FixedType:
		if len(v) > boundLength {
			return nil // a shorter one would be no value of the type
		}
	}
	return v
}

// upperBound shortens a maximum and then raises it; nil if nothing so short
// sorts behind the whole.
func upperBound(t iceberg.Type, v []byte) []byte {
	switch t.(type) {
	case iceberg.StringType:
		if short := prefixOf(v); len(short) < len(v) {
			return raiseText(short)
		}
	case iceberg.BinaryType:
		if len(v) > boundLength {
			return raiseBytes(v[:boundLength])
		}
	case iceberg.FixedType:
		if len(v) > boundLength {
			return nil
		}
	}
	return v
}

// prefixOf is the first characters of a text.
func prefixOf(v []byte) []byte {
	end := 0
	for range boundLength {
		if end == len(v) {
			break
		}
		_, n := utf8.DecodeRune(v[end:])
		end += n
	}
	return v[:end]
}

// raiseText is the least text of its length or shorter that sorts behind every
// text that begins with v.
func raiseText(v []byte) []byte {
	for len(v) > 0 {
		r, n := utf8.DecodeLastRune(v)
		v = v[:len(v)-n]
		if r == utf8.RuneError && n == 1 {
			return nil // no valid text: say nothing of it
		}
		if r++; r == 0xd800 {
			r = 0xe000 // surrogates are no characters
		}
		if r <= utf8.MaxRune {
			return utf8.AppendRune(bytes.Clone(v), r)
		}
	}
	return nil
}

func raiseBytes(v []byte) []byte {
	v = bytes.Clone(v)
	for i := len(v) - 1; i >= 0; i-- {
		if v[i] != 0xff {
			v[i]++
			return v[:i+1]
		}
	}
	return nil
}
