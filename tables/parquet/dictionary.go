package parquet

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tarn-io/tarn/tables"
)

const (
	// maxDictionary bounds a column's dictionary, in bytes of its page: arrow-go's own
	// bound. A column of more is handed over as it is, and arrow-go gives up too.
	maxDictionary = 1 << 20
	// recentValues is how many values are looked for by their ends before they are
	// hashed; a power of two.
	recentValues = 256
)

// dictionary numbers the different texts of a column, in the order in which they
// come. arrow-go does so as well, one value, one allocation and one hash at a time,
// which is the greater part of what writing such a column costs.
type dictionary struct {
	known  map[string]int32
	values []string
	size   int                 // of its page, in bytes
	recent [recentValues]int32 // places in values of some, one more than they are
}

// number returns the place of v, -1 if there is no room for it.
func (d *dictionary) number(v []byte) int32 {
	at := &d.recent[0]
	if len(v) > 0 {
		at = &d.recent[(uint(v[0])^uint(v[len(v)-1])<<3^uint(len(v))<<5)%recentValues]
	}
	if *at > 0 && d.values[*at-1] == string(v) {
		return *at - 1
	}
	n, ok := d.known[string(v)]
	if !ok {
		d.size += len(v) + arrow.Uint32SizeBytes
		if d.size > maxDictionary {
			return -1
		}
		n = int32(len(d.values))
		d.values = append(d.values, string(v))
		d.known[d.values[n]] = n
	}
	*at = n + 1
	return n
}

// coded is a column whose texts are numbered.
type coded struct {
	dict    *dictionary
	indices [][]int32 // of each array, from the start of its buffers
	values  arrow.ArrayData
}

// code numbers the texts of a column, nil if they are better handed over as they
// are. arrays are those of its leaf, without the nesting around them.
func code(arrays []arrow.ArrayData) *coded {
	c := &coded{dict: &dictionary{known: map[string]int32{}}}
	for _, a := range arrays {
		indices := make([]int32, a.Offset()+a.Len())
		c.indices = append(c.indices, indices)
		text := array.NewStringData(a)
		offsets, nulls := text.ValueOffsets(), text.NullN() > 0
		var raw []byte
		if b := a.Buffers()[2]; b != nil {
			raw = b.Bytes()
		}
		for i := range a.Len() {
			if nulls && text.IsNull(i) {
				continue
			}
			n := c.dict.number(raw[offsets[i]:offsets[i+1]])
			if n < 0 {
				return nil
			}
			indices[a.Offset()+i] = n
		}
	}
	if len(c.dict.values) == 0 {
		return nil
	}
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(c.dict.values, nil)
	c.values = b.NewArray().Data()
	return c
}

// codedType is the Arrow type of a column of numbered texts.
var codedType = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}

// array is the nth array with its texts numbered.
func (c *coded) array(n int, a arrow.ArrayData) arrow.ArrayData {
	indices := memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.indices[n]))
	return array.NewDataWithDictionary(codedType, a.Len(), []*memory.Buffer{a.Buffers()[0], indices}, a.NullN(), a.Offset(), c.values.(*array.Data))
}

// withDictionaries returns the arrays of one column with those of its leaves as
// dictionaries that repeat, where that is cheaper to write. It notes what the footer
// is to say of these leaves.
func withDictionaries(chunks []arrow.Array, leaves []*leaf) []arrow.Array {
	codes, some := make([]*coded, len(leaves)), false
	for i, l := range leaves {
		if !l.dictionary {
			continue
		}
		arrays := make([]arrow.ArrayData, len(chunks))
		for j, c := range chunks {
			n := i
			arrays[j] = leafAt(c.Data(), &n)
		}
		codes[i] = code(arrays)
		some = some || codes[i] != nil
		l.footers = append(l.footers, l.footerOf(codes[i], arrays))
	}
	if !some {
		return chunks
	}
	out := make([]arrow.Array, len(chunks))
	for j, c := range chunks {
		rest := codes
		out[j] = array.MakeFromData(replaced(c.Data(), j, &rest))
	}
	return out
}

// leafAt is the nth leaf below a column; n is counted down.
func leafAt(d arrow.ArrayData, n *int) arrow.ArrayData {
	if _, nested := d.DataType().(arrow.NestedType); !nested {
		*n--
		if *n < 0 {
			return d
		}
		return nil
	}
	for _, k := range d.Children() {
		if found := leafAt(k, n); found != nil {
			return found
		}
	}
	return nil
}

// replaced is the data of the nth array with leaves that are coded replaced; codes
// are those of the leaves below it, which are taken off.
func replaced(d arrow.ArrayData, n int, codes *[]*coded) arrow.ArrayData {
	if _, nested := d.DataType().(arrow.NestedType); !nested {
		c := (*codes)[0]
		*codes = (*codes)[1:]
		if c == nil {
			return d
		}
		return c.array(n, d)
	}
	kids, changed := make([]arrow.ArrayData, len(d.Children())), false
	for i, k := range d.Children() {
		kids[i] = replaced(k, n, codes)
		changed = changed || kids[i] != k
	}
	if !changed {
		return d
	}
	return array.NewData(holding(d.DataType(), kids), d.Len(), d.Buffers(), kids, d.NullN(), d.Offset())
}

// holding is a nested type whose children are of the types of kids.
func holding(t arrow.DataType, kids []arrow.ArrayData) arrow.DataType {
	if _, ok := t.(*arrow.MapType); ok {
		kids = kids[0].Children() // of the entries
	}
	fields := slices.Clone(tables.Children(t))
	for i := range fields {
		fields[i].Type = kids[i].DataType()
	}
	return tables.WithChildren(t, fields)
}
