package jsonschema

import (
	"hash/maphash"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

// extraColumn keeps what a record has and no column names.
const extraColumn = "kafka_extra"

// decoder implements schema.Decoder.
type decoder struct {
	root    *node
	columns *arrow.Schema
	record  bool // the root's properties are the columns
	extra   int  // the column kafka_extra, or -1
	walkers sync.Pool
}

// newDecoder gives the root its top-level columns: its properties if it is an
// object that must be there, else one column.
func newDecoder(root shape, extra bool) *decoder {
	d := &decoder{root: root.node, extra: -1}
	d.record = root.kind == kindStruct && !root.null
	var fields []arrow.Field
	if d.record {
		for _, f := range root.typ.(*arrow.StructType).Fields() {
			f.Name = schema.ColumnName(f.Name)
			fields = append(fields, f)
		}
	} else if root.typ != nil {
		fields = append(fields, root.field("value", false))
	}
	if extra {
		d.extra = len(fields)
		fields = append(fields, arrow.Field{Name: extraColumn, Nullable: true, Type: arrow.MapOfFields(
			arrow.Field{Name: "key", Type: arrow.BinaryTypes.String},
			arrow.Field{Name: "value", Type: arrow.BinaryTypes.String})})
	}
	d.columns = arrow.NewSchema(fields, nil)
	seed := maphash.MakeSeed()
	d.walkers.New = func() any { return &walker{seed: seed} }
	return d
}

// Columns is the Arrow form of the schema.
func (d *decoder) Columns() *arrow.Schema { return d.columns }

// Validate checks one payload. It gives the verdict of Decode.
func (d *decoder) Validate(payload []byte) error {
	w := d.walkers.Get().(*walker)
	bad := w.run(d.root, payload, nil)
	d.walkers.Put(w)
	if bad != nil {
		return bad
	}
	return nil
}

// Decode checks one payload and appends it to rows. Besides *schema.Invalid it
// may return schema.ErrFull.
func (d *decoder) Decode(payload []byte, rows *schema.Rows) error {
	w := d.walkers.Get().(*walker)
	err := d.decode(w, payload, rows)
	d.walkers.Put(w)
	return err
}

func (d *decoder) decode(w *walker, payload []byte, rows *schema.Rows) error {
	w.row, w.extra = rows.Top(), nil
	column := w.row
	if !d.record {
		column = rows.Column(0)
	}
	if d.extra >= 0 {
		w.extra = rows.Column(d.extra)
	}
	bad := w.run(d.root, payload, column)
	if bad == nil && w.extra != nil {
		if w.extras > 0 {
			w.extra.Map(w.extras)
		} else {
			w.extra.Null()
		}
	}
	w.row, w.extra = nil, nil
	if bad != nil {
		rows.Undo()
		return bad
	}
	if err := rows.EndRow(); err != nil {
		rows.Undo()
		return err
	}
	return nil
}
