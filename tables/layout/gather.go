package layout

import (
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tarn-io/tarn/tables"
)

// ref is a row: of which batch, and which of its rows.
type ref struct{ batch, row uint32 }

// errWide says that values do not fit into one array: fewer rows do.
var errWide = errors.New("more than 2 GiB in one column")

// gather makes one array of the rows that refs name, out of arrays of one type.
func gather(from []arrow.Array, refs []ref) (arrow.ArrayData, error) {
	t := from[0].DataType()
	validity, nulls := gatherValidity(from, refs)
	buffers := []*memory.Buffer{validity}
	var children []arrow.ArrayData
	switch t := t.(type) {
	case *arrow.StructType:
		for i := range t.NumFields() {
			child, err := gather(held(from, func(a arrow.Array) arrow.Array { return a.(*array.Struct).Field(i) }), refs)
			if err != nil {
				return nil, err
			}
			children = append(children, child)
		}
	case *arrow.ListType, *arrow.MapType:
		return gatherLists(t, from, refs, validity, nulls)
	case *arrow.StringType, *arrow.BinaryType:
		offsets, values, err := gatherBytes(from, refs)
		if err != nil {
			return nil, err
		}
		buffers = append(buffers, offsets, values)
	case *arrow.BooleanType:
		buffers = append(buffers, gatherBits(from, refs))
	case arrow.FixedWidthDataType:
		buffers = append(buffers, gatherFixed(from, refs, t.BitWidth()/8))
	default:
		return nil, fmt.Errorf("rows of %s: %w", t, tables.ErrSchema)
	}
	return array.NewData(t, len(refs), buffers, children, nulls, 0), nil
}

// held are the same part of every array.
func held(from []arrow.Array, child func(arrow.Array) arrow.Array) []arrow.Array {
	out := make([]arrow.Array, len(from))
	for i, a := range from {
		out[i] = child(a)
	}
	return out
}

// gatherValidity is the null bitmap of the rows; nil if none is null.
func gatherValidity(from []arrow.Array, refs []ref) (*memory.Buffer, int) {
	some := false
	for _, a := range from {
		some = some || a.NullN() > 0
	}
	if !some {
		return nil, 0
	}
	bits, nulls := make([]byte, bitutil.BytesForBits(int64(len(refs)))), 0
	for i, r := range refs {
		if from[r.batch].IsValid(int(r.row)) {
			bitutil.SetBit(bits, i)
		} else {
			nulls++
		}
	}
	return memory.NewBufferBytes(bits), nulls
}

func gatherBits(from []arrow.Array, refs []ref) *memory.Buffer {
	bits := make([]byte, bitutil.BytesForBits(int64(len(refs))))
	for i, r := range refs {
		if from[r.batch].(*array.Boolean).Value(int(r.row)) {
			bitutil.SetBit(bits, i)
		}
	}
	return memory.NewBufferBytes(bits)
}

// gatherFixed copies values of width bytes.
func gatherFixed(from []arrow.Array, refs []ref, width int) *memory.Buffer {
	sources := make([][]byte, len(from))
	for i, a := range from {
		if d := a.Data(); d.Len() > 0 && d.Buffers()[1] != nil {
			sources[i] = d.Buffers()[1].Bytes()[d.Offset()*width:]
		}
	}
	out := make([]byte, len(refs)*width)
	for i, r := range refs {
		if src := sources[r.batch]; src != nil {
			copy(out[i*width:(i+1)*width], src[int(r.row)*width:])
		}
	}
	return memory.NewBufferBytes(out)
}

// gatherBytes copies texts and binary values.
func gatherBytes(from []arrow.Array, refs []ref) (offsets, values *memory.Buffer, err error) {
	type source struct {
		ends []int32 // of the value before, and its own
		data []byte
	}
	sources := make([]source, len(from))
	for i, a := range from {
		d := a.Data()
		if d.Len() == 0 {
			continue
		}
		sources[i].ends = arrow.Int32Traits.CastFromBytes(d.Buffers()[1].Bytes())[d.Offset():]
		if d.Buffers()[2] != nil {
			sources[i].data = d.Buffers()[2].Bytes()
		}
	}
	ends, size := make([]int32, len(refs)+1), 0
	for i, r := range refs {
		e := sources[r.batch].ends
		if size += int(e[r.row+1] - e[r.row]); size > math.MaxInt32 {
			return nil, nil, errWide
		}
		ends[i+1] = int32(size)
	}
	out := make([]byte, 0, size)
	for _, r := range refs {
		s := sources[r.batch]
		out = append(out, s.data[s.ends[r.row]:s.ends[r.row+1]]...)
	}
	return memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(ends)), memory.NewBufferBytes(out), nil
}

// gatherLists copies lists, and maps, which are lists of pairs.
func gatherLists(t arrow.DataType, from []arrow.Array, refs []ref, validity *memory.Buffer, nulls int) (arrow.ArrayData, error) {
	elements := held(from, func(a arrow.Array) arrow.Array { return a.(array.ListLike).ListValues() })
	ends := make([]int32, len(refs)+1)
	var inner []ref
	for i, r := range refs {
		a := from[r.batch].(array.ListLike)
		if a.IsValid(int(r.row)) {
			start, end := a.ValueOffsets(int(r.row))
			for at := start; at < end; at++ {
				inner = append(inner, ref{r.batch, uint32(at)})
			}
		}
		if len(inner) > math.MaxInt32 {
			return nil, errWide
		}
		ends[i+1] = int32(len(inner))
	}
	values, err := gather(elements, inner)
	if err != nil {
		return nil, err
	}
	buffers := []*memory.Buffer{validity, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(ends))}
	return array.NewData(t, len(refs), buffers, []arrow.ArrayData{values}, nulls, 0), nil
}
