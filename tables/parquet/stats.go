package parquet

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"

	"github.com/tarn-io/tarn/tables"
)

const (
	// maxBinaryBound and maxStringBound are the longest values kept as min or
	// max, in bytes: bounds are stored with every pending file and every
	// commit, and readers prune by much less.
	maxBinaryBound = 64
	maxStringBound = 1024
	// sampleValues is how many values decide about a dictionary, sampleRatio
	// how often each must come on average, minSample the least that say
	// anything.
	sampleValues = 4096
	sampleRatio  = 4
	minSample    = 64
)

// leaf is a column of the file, in file order, and what is known of its values.
type leaf struct {
	id       int
	path     string // in the Parquet schema
	repeated bool   // inside a list or map: no bounds, values counted by the file
	values   int64
	nulls    int64
	bounds   bounds // nil where the type has none
	arrays   []arrow.Array
	// dictionary says that the column is worth one, see repeats; set before the file
	// is begun.
	dictionary bool
	// boundless says that the footer gets no bounds; set with dictionary.
	boundless bool
	footers   []footer // of each row group written so far, if there is a dictionary
	told      int64    // how many of nulls footers tell of
}

// measure walks all batches once: it takes the statistics, and refuses nulls in
// required fields, which the writer would turn into wrong rows.
func measure(s *arrow.Schema, batches []arrow.RecordBatch) ([]*leaf, error) {
	var leaves []*leaf
	for _, f := range s.Fields() {
		leaves = addLeaves(leaves, f, f.Name, false)
	}
	for _, b := range batches {
		if err := measureInto(leaves, s, b); err != nil {
			return nil, err
		}
	}
	return leaves, nil
}

// measureInto adds one batch to what is known of the leaves.
func measureInto(leaves []*leaf, s *arrow.Schema, b arrow.RecordBatch) error {
	var err error
	for i, f := range s.Fields() {
		if leaves, err = walk(leaves, b.Column(i), f, f.Name, nil); err != nil {
			return err
		}
	}
	return nil
}

func addLeaves(leaves []*leaf, f arrow.Field, path string, repeated bool) []*leaf {
	switch t := f.Type.(type) {
	case *arrow.StructType:
		for _, child := range t.Fields() {
			leaves = addLeaves(leaves, child, path+"."+child.Name, repeated)
		}
		return leaves
	case *arrow.ListType:
		return addLeaves(leaves, t.ElemField(), path+".list.element", true)
	case *arrow.MapType:
		leaves = addLeaves(leaves, t.KeyField(), path+".key_value.key", true)
		return addLeaves(leaves, t.ItemField(), path+".key_value.value", true)
	}
	id, _ := tables.FieldID(f)
	l := &leaf{id: id, path: path, repeated: repeated}
	if !repeated {
		l.bounds = newBounds(f.Type)
	}
	return append(leaves, l)
}

// walk measures one array and what it holds; it returns the leaves after those
// it has filled. mask says which slots exist, nil for all: a null struct's
// fields have slots, but no values.
func walk(leaves []*leaf, a arrow.Array, f arrow.Field, path string, mask []byte) ([]*leaf, error) {
	valid, lost := intersect(mask, a)
	if lost > 0 && !f.Nullable {
		return nil, fmt.Errorf("%s: %d nulls in a required field: %w", path, lost, tables.ErrSchema)
	}
	var err error
	switch a := a.(type) {
	case *array.Struct:
		t := f.Type.(*arrow.StructType)
		for i, child := range t.Fields() {
			if leaves, err = walk(leaves, a.Field(i), child, path+"."+child.Name, valid); err != nil {
				return nil, err
			}
		}
		return leaves, nil
	case *array.Map:
		t := f.Type.(*arrow.MapType)
		if leaves, err = walk(leaves, a.Keys(), t.KeyField(), path+".key", nil); err != nil {
			return nil, err
		}
		return walk(leaves, a.Items(), t.ItemField(), path+".value", nil)
	case *array.List:
		return walk(leaves, a.ListValues(), f.Type.(*arrow.ListType).ElemField(), path+".element", nil)
	}
	leaves[0].add(a, valid)
	return leaves[1:], nil
}

// intersect returns which slots hold a value, nil for all, and how many of
// those in mask do not.
func intersect(mask []byte, a arrow.Array) (valid []byte, lost int) {
	n := a.Len()
	if a.NullN() == 0 {
		return mask, 0
	}
	valid = make([]byte, bitutil.BytesForBits(int64(n)))
	own, offset := a.NullBitmapBytes(), a.Data().Offset()
	for i := range n {
		exists := mask == nil || bitutil.BitIsSet(mask, i)
		if !exists {
			continue
		}
		if bitutil.BitIsSet(own, offset+i) {
			bitutil.SetBit(valid, i)
		} else {
			lost++
		}
	}
	return valid, lost
}

func (l *leaf) add(a arrow.Array, valid []byte) {
	l.arrays = append(l.arrays, a)
	if l.repeated {
		return
	}
	n := a.Len()
	l.values += int64(n)
	if valid != nil {
		l.nulls += int64(n - bitutil.CountSetBits(valid, 0, n))
	}
	if l.bounds != nil {
		l.bounds.add(a, valid)
	}
}

func (l *leaf) stats() tables.ColumnStats {
	s := tables.ColumnStats{FieldID: l.id, Values: l.values, Nulls: l.nulls}
	if l.bounds != nil {
		s.Min, s.Max, s.NaNs = l.bounds.result()
	}
	return s
}

func (l *leaf) hasNaN() bool {
	if l.bounds == nil {
		return false
	}
	_, _, nans := l.bounds.result()
	return nans > 0
}

// repeats reports whether the column is worth a dictionary: strings of which a
// sample, spread over all rows, has few different ones.
func (l *leaf) repeats() bool {
	total := 0
	for _, a := range l.arrays {
		total += a.Len()
	}
	stride := max(1, total/sampleValues)
	seen, sampled, skip := make(map[string]struct{}), 0, 0
	for _, a := range l.arrays {
		text, ok := a.(*array.String)
		if !ok {
			return false
		}
		for ; skip < text.Len(); skip += stride {
			if text.IsValid(skip) {
				sampled++
				seen[text.Value(skip)] = struct{}{}
			}
		}
		skip -= text.Len()
	}
	return sampled >= minSample && len(seen)*sampleRatio <= sampled
}
