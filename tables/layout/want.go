package layout

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/tables"
)

// ErrColumn says that a layout names a column that the schema does not have, or
// that it cannot be made of. A later schema may.
var ErrColumn = errors.New("partition spec or sort order does not fit the columns")

// Want is a layout as somebody asks for it: by the names of columns, dotted for
// those in structs.
type Want struct {
	Partition []Term
	Sort      []Order
}

// Term is a partition field that is asked for.
type Term struct {
	Transform tables.Transform
	Column    string
}

// Order is a key of a sort order that is asked for.
type Order struct {
	Column           string
	Desc, NullsFirst bool
}

// Bind finds the columns. Fields are named as Iceberg's own tools name them:
// kafka_timestamp_day, id_bucket_16. Errors are ErrColumn.
func (w Want) Bind(s *tables.Schema) (tables.Layout, error) {
	var out tables.Layout
	for _, t := range w.Partition {
		leaf, ok := s.LeafNamed(t.Column)
		if !ok {
			return out, fmt.Errorf("no column %s that has one value a row, to partition by: %w", t.Column, ErrColumn)
		}
		id, _ := tables.FieldID(leaf.Field)
		out.Partition = append(out.Partition, tables.PartitionField{Source: id, Transform: t.Transform, Name: t.name()})
	}
	for _, o := range w.Sort {
		leaf, ok := s.LeafNamed(o.Column)
		if !ok {
			return out, fmt.Errorf("no column %s that has one value a row, to sort by: %w", o.Column, ErrColumn)
		}
		id, _ := tables.FieldID(leaf.Field)
		out.Sort = append(out.Sort, tables.SortField{Source: id, Desc: o.Desc, NullsFirst: o.NullsFirst})
	}
	if _, err := s.WithLayout(out); err != nil {
		return tables.Layout{}, fmt.Errorf("%w: %w", ErrColumn, err)
	}
	return out, nil
}

// PartitionText spells the partition spec as tarn.table.partition does, SortText
// the sort order as tarn.table.sort does; empty for none.
func (w Want) PartitionText() string {
	var out []string
	for _, t := range w.Partition {
		switch {
		case t.Transform.Name == tables.Identity:
			out = append(out, t.Column)
		case t.Transform.N > 0:
			out = append(out, fmt.Sprintf("%s(%d, %s)", t.Transform.Name, t.Transform.N, t.Column))
		default:
			out = append(out, t.Transform.Name+"("+t.Column+")")
		}
	}
	return strings.Join(out, ", ")
}

// SortText is beside PartitionText.
func (w Want) SortText() string {
	var out []string
	for _, o := range w.Sort {
		text := o.Column
		if o.Desc {
			text += " desc"
		}
		if o.NullsFirst == o.Desc { // unlike what goes without saying
			text += map[bool]string{true: " nulls first", false: " nulls last"}[o.NullsFirst]
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// name is the partition field's name. The number is part of it, so that a spec of
// another number has fields of other names: readers list those of all specs.
func (t Term) name() string {
	name := strings.ReplaceAll(t.Column, ".", "_")
	switch t.Transform.Name {
	case tables.Identity:
		return name
	case tables.Void:
		return name + "_null"
	case tables.Truncate:
		return name + "_trunc_" + strconv.Itoa(t.Transform.N)
	case tables.Bucket:
		return name + "_bucket_" + strconv.Itoa(t.Transform.N)
	}
	return name + "_" + t.Transform.Name
}
