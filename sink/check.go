package sink

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/layout"
)

// Misfit is why a topic's table cannot be as its configs ask, by the schemas that
// are registered now.
type Misfit struct {
	Key    string // the config
	Reason string
}

// Error says both.
func (m *Misfit) Error() string { return m.Key + ": " + m.Reason }

// Check holds what a topic asks of its tables against the newest schemas of its
// values and keys; nil if it fits, or if there is no schema to hold it against. It
// reads the registry only, and may be called by anybody.
func Check(reg *registry.Registry, t Topic) *Misfit {
	formulas, err := t.formulas()
	if err != nil {
		return &Misfit{generatedKey, strings.TrimPrefix(err.Error(), generatedKey+": ")}
	}
	if t.Unwrap == "" && len(formulas) == 0 && len(t.Layout.Partition)+len(t.Layout.Sort) == 0 {
		return nil
	}
	s := &sink{topic: t.withDefaults(), registry: reg}
	d, err := s.wrappedDecoder(valuePart)
	if d == nil || err != nil {
		return nil // what the schema lacks besides, the sink says
	}
	if t.Unwrap != "" {
		if d, err = unwrap(d); err != nil {
			return &Misfit{"tarn.table.unwrap", err.Error()}
		}
	}
	columns, err := generated(formulas, nil, tableColumns(s.keyDecoder(), d, t.JSONExtra))
	if err != nil {
		return &Misfit{generatedKey, err.Error()}
	}
	return layoutMisfit(t, columns)
}

// layoutMisfit holds partitions and sort order against the columns. A column that
// is not there may come, and is waited for; one that is there and cannot be what is
// asked of it stays so.
func layoutMisfit(t Topic, columns *arrow.Schema) *Misfit {
	const partition, sort = "tarn.table.partition", "tarn.table.sort"
	s, err := tables.NewSchema(schema.WithoutAliases(columns))
	if err != nil {
		return nil // the sink says why
	}
	one := func(key, column string, want layout.Want) *Misfit {
		leaf, ok := s.LeafNamed(column)
		if !ok {
			if typ := manyAt(columns.Fields(), strings.Split(column, ".")); typ != nil {
				return &Misfit{key, fmt.Sprintf("column %s is %s, which has no one value a row", column, schema.TypeWord(typ))}
			}
			return nil
		}
		if _, err := want.Bind(s); err != nil {
			return &Misfit{key, err.Error()}
		}
		for _, term := range want.Partition {
			if kind := leaf.Field.Type.ID(); term.Transform.Name != tables.Bucket && slices.Contains(t.Formats, "delta") &&
				(kind == arrow.BINARY || kind == arrow.FIXED_SIZE_BINARY) {
				return &Misfit{key, fmt.Sprintf("column %s is binary, which no partition column of a Delta table is; a bucket of it can be one", column)}
			}
		}
		return nil
	}
	for _, term := range t.Layout.Partition {
		if m := one(partition, term.Column, layout.Want{Partition: []layout.Term{term}}); m != nil {
			return m
		}
	}
	if reason := twoDecimals(t, s); reason != "" {
		return &Misfit{partition, reason}
	}
	for _, order := range t.Layout.Sort {
		if m := one(sort, order.Column, layout.Want{Sort: []layout.Order{order}}); m != nil {
			return m
		}
	}
	return nil
}

// twoDecimals says so where an Iceberg table would be partitioned by the values of
// two decimals, which tables/iceberg refuses; empty if not.
func twoDecimals(t Topic, s *tables.Schema) string {
	first := ""
	for _, term := range t.Layout.Partition {
		leaf, ok := s.LeafNamed(term.Column)
		if !ok || !slices.Contains(t.Formats, "iceberg") || term.Transform.Name == tables.Bucket || leaf.Field.Type.ID() != arrow.DECIMAL128 {
			continue
		}
		if first != "" {
			return fmt.Sprintf("columns %s and %s are both decimals, of which an Iceberg table here can have one among its partition fields; take a bucket of one of the two", first, term.Column)
		}
		first = term.Column
	}
	return ""
}

// manyAt is the type that stands at a path, or on the way to it, and has many
// values a row, or is a struct that the path ends at; nil if the path leads nowhere.
func manyAt(fields []arrow.Field, path []string) arrow.DataType {
	for _, f := range fields {
		if f.Name != path[0] {
			continue
		}
		st, ok := f.Type.(*arrow.StructType)
		if !ok || len(path) == 1 {
			return f.Type
		}
		return manyAt(st.Fields(), path[1:])
	}
	return nil
}
