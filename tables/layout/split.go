package layout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/tables"
)

// ErrTooMany is refused: the rows are of more partitions than asked for. Fewer
// rows may be of fewer.
var ErrTooMany = errors.New("rows of too many partitions")

// gatherRows bounds the rows of a batch that is gathered: columns of that many
// values are still in the processor's caches.
const gatherRows = 1 << 16

// Split is rows on their way into files, by partition and sorted. It holds eight
// bytes a row beside the batches, which it refers to: they must stay.
type Split struct {
	batches []arrow.RecordBatch
	parts   []part
	plain   bool // all rows, as they came
	sorted  bool
}

// part are the rows of one partition.
type part struct {
	values []tables.PartitionValue
	rows   []ref
	count  int64
}

// column is a leaf column of a batch, and the structs that it lies in.
type column struct {
	values arrow.Array
	in     []arrow.Array
}

// null reports whether a row has no value: its own is null, or a struct's is.
func (c column) null(row int) bool {
	for _, s := range c.in {
		if s.IsNull(row) {
			return true
		}
	}
	return c.values.IsNull(row)
}

func columnAt(b arrow.RecordBatch, at []int) column {
	c := column{values: b.Column(at[0])}
	for _, i := range at[1:] {
		c.in = append(c.in, c.values)
		c.values = c.values.(*array.Struct).Field(i)
	}
	return c
}

// New groups the rows of batches, which have the schema's columns, by the
// schema's layout. Errors: ErrTooMany if they are of more than most partitions,
// tables.ErrSchema.
func New(batches []arrow.RecordBatch, schema *tables.Schema, most int) (*Split, error) {
	s := &Split{batches: batches}
	l := schema.Layout
	if l.Empty() {
		s.plain = true
		s.parts = []part{{count: countRows(batches)}}
		return s, nil
	}
	if err := s.group(schema, most); err != nil {
		return nil, err
	}
	if len(l.Sort) == 0 {
		s.plain = len(s.parts) == 1
		return s, nil
	}
	keys := make([]key, len(l.Sort))
	for i, f := range l.Sort {
		columns, err := s.columns(schema, f.Source)
		if err != nil {
			return nil, err
		}
		if keys[i], err = newKey(f, columns); err != nil {
			return nil, err
		}
	}
	for _, p := range s.parts {
		sortRows(keys, p.rows)
	}
	s.sorted = true
	return s, nil
}

func countRows(batches []arrow.RecordBatch) (n int64) {
	for _, b := range batches {
		n += b.NumRows()
	}
	return n
}

// columns is the column of a field id in every batch.
func (s *Split) columns(schema *tables.Schema, id int) ([]column, error) {
	leaf, ok := schema.Leaf(id)
	if !ok {
		return nil, fmt.Errorf("no column of id %d: %w", id, tables.ErrSchema)
	}
	out := make([]column, len(s.batches))
	for i, b := range s.batches {
		out[i] = columnAt(b, leaf.At)
	}
	return out, nil
}

// group finds the partition of every row, in the order in which they come.
func (s *Split) group(schema *tables.Schema, most int) error {
	fields := schema.Layout.Partition
	columns := make([][]column, len(fields))
	for i, f := range fields {
		var err error
		if columns[i], err = s.columns(schema, f.Source); err != nil {
			return err
		}
	}
	known := make(map[string]int)
	of := make([]uint32, 0, countRows(s.batches)) // each row's partition
	var k keyer
	for at := range s.batches {
		if err := k.begin(fields, columns, at); err != nil {
			return err
		}
		for row := range int(s.batches[at].NumRows()) {
			i, ok := known[string(k.key(row))]
			if !ok {
				if i = len(s.parts); i == most {
					return fmt.Errorf("more than %d: %w", most, ErrTooMany)
				}
				known[string(k.buf)] = i
				s.parts = append(s.parts, part{values: k.values(fields)})
			}
			s.parts[i].count++
			of = append(of, uint32(i))
		}
	}
	s.place(of)
	return nil
}

// place lists the rows of each partition, in their order.
func (s *Split) place(of []uint32) {
	all, at := make([]ref, len(of)), int64(0)
	for i := range s.parts {
		s.parts[i].rows = all[at : at : at+s.parts[i].count]
		at += s.parts[i].count
	}
	n := 0
	for b, batch := range s.batches {
		for row := range uint32(batch.NumRows()) {
			p := &s.parts[of[n]]
			p.rows = append(p.rows, ref{uint32(b), row})
			n++
		}
	}
}

// keyer spells the partition values of a row of one batch: for each field its
// length, one more than it is and 0 for null, and the value.
type keyer struct {
	buf     []byte
	columns []column
	make    []valuer
	value   []byte
}

func (k *keyer) begin(fields []tables.PartitionField, columns [][]column, batch int) error {
	k.columns, k.make = k.columns[:0], k.make[:0]
	for i, f := range fields {
		c := columns[i][batch]
		v, err := transformed(f.Transform, c.values)
		if err != nil {
			return fmt.Errorf("partition field %s: %w", f.Name, err)
		}
		if f.Transform.Name == tables.Void {
			v = nil
		}
		k.columns, k.make = append(k.columns, c), append(k.make, v)
	}
	return nil
}

func (k *keyer) key(row int) []byte {
	k.buf = k.buf[:0]
	for i, c := range k.columns {
		if k.make[i] == nil || c.null(row) {
			k.buf = append(k.buf, 0)
			continue
		}
		k.value = k.make[i](k.value[:0], row)
		k.buf = binary.AppendUvarint(k.buf, uint64(len(k.value))+1)
		k.buf = append(k.buf, k.value...)
	}
	return k.buf
}

// values reads the key that was made last.
func (k *keyer) values(fields []tables.PartitionField) []tables.PartitionValue {
	out, b := make([]tables.PartitionValue, len(fields)), k.buf
	for i, f := range fields {
		n, size := binary.Uvarint(b)
		b = b[size:]
		out[i].PartitionField = f
		if n > 0 {
			out[i].Value = append([]byte{}, b[:n-1]...)
			b = b[n-1:]
		}
	}
	return out
}

// Parts is how many partitions there are.
func (s *Split) Parts() int { return len(s.parts) }

// Sorted reports whether rows come in the layout's order.
func (s *Split) Sorted() bool { return s.sorted }

// Count is how many rows a partition has.
func (s *Split) Count(part int) int64 { return s.parts[part].count }

// Values are a partition's values, nil without a partition spec.
func (s *Split) Values(part int) []tables.PartitionValue { return s.parts[part].values }

// Rows copies the rows of a partition, from one to another, into batches; all rows
// of the only one, not sorted, are the batches themselves.
func (s *Split) Rows(part int, from, to int64) ([]arrow.RecordBatch, error) {
	if s.plain {
		return slice(s.batches, from, to), nil
	}
	var out []arrow.RecordBatch
	rows := s.parts[part].rows[from:to]
	for at := 0; at < len(rows); at += gatherRows {
		for b, err := range s.gather(rows[at:min(len(rows), at+gatherRows)]) {
			if err != nil {
				return nil, err
			}
			out = append(out, b)
		}
	}
	return out, nil
}

// slice are rows of batches, as views.
func slice(batches []arrow.RecordBatch, from, to int64) []arrow.RecordBatch {
	var out []arrow.RecordBatch
	for _, b := range batches {
		n := b.NumRows()
		if lo, hi := max(0, from), min(n, to); lo == 0 && hi == n {
			out = append(out, b)
		} else if lo < hi {
			out = append(out, b.NewSlice(lo, hi))
		}
		from, to = from-n, to-n
	}
	return out
}

// gather copies rows into a batch; into several where one cannot hold them.
func (s *Split) gather(rows []ref) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		b, err := s.gatherOne(rows)
		if !errors.Is(err, errWide) || len(rows) < 2 {
			yield(b, err)
			return
		}
		for _, half := range [][]ref{rows[:len(rows)/2], rows[len(rows)/2:]} {
			for b, err := range s.gather(half) {
				if !yield(b, err) {
					return
				}
			}
		}
	}
}

func (s *Split) gatherOne(rows []ref) (arrow.RecordBatch, error) {
	schema := s.batches[0].Schema()
	cols := make([]arrow.Array, schema.NumFields())
	for i := range cols {
		from := make([]arrow.Array, len(s.batches))
		for j, b := range s.batches {
			from[j] = b.Column(i)
		}
		data, err := gather(from, rows)
		if err != nil {
			return nil, fmt.Errorf("rows of column %s: %w", schema.Field(i).Name, err)
		}
		cols[i] = array.MakeFromData(data)
	}
	return array.NewRecordBatch(schema, cols, int64(len(rows))), nil
}
