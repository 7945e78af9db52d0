package iceberg

import (
	"fmt"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/metadata"
)

// physical replaces timestamps in nanoseconds, which format version 2 lacks, by
// microseconds, at any depth.
func physical(s *tables.Schema) (*tables.Schema, error) {
	if s == nil {
		return nil, fmt.Errorf("no schema: %w", tables.ErrUnsupported)
	}
	return s.MapLeaves(func(f arrow.Field) arrow.Field {
		if t, ok := f.Type.(*arrow.TimestampType); ok && t.Unit == arrow.Nanosecond {
			f.Type = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: t.TimeZone}
		}
		return f
	}), nil
}

// mapFields applies fn to every field, from the leaves up.
func mapFields(fields []arrow.Field, fn func(arrow.Field) arrow.Field) []arrow.Field {
	out := make([]arrow.Field, len(fields))
	for i, f := range fields {
		if held := tables.Children(f.Type); held != nil {
			f.Type = tables.WithChildren(f.Type, mapFields(held, fn))
		}
		out[i] = fn(f)
	}
	return out
}

// toIceberg is the schema with the same field ids.
func toIceberg(s *tables.Schema) (*iceberg.Schema, error) {
	p, err := physical(s)
	if err != nil {
		return nil, err
	}
	fields, err := fieldsToIceberg(p.Arrow.Fields())
	if err != nil {
		return nil, err
	}
	return iceberg.NewSchema(0, fields...), nil
}

// extends checks that s was worked out on the present schema, since one field
// id could come to stand for two columns otherwise. ErrConflict: it was worked
// out on an earlier one. ErrUnsupported: it does not extend the present one.
func extends(s, now *tables.Schema) error {
	err := s.Extends(now)
	if err == nil {
		return nil
	}
	if s.ID <= now.ID {
		return fmt.Errorf("the schema has moved on to %d: %w: %w", now.ID, tables.ErrConflict, err)
	}
	return fmt.Errorf("%w: %w", tables.ErrUnsupported, err)
}

// extend is the Iceberg schema of s, with the columns behind it that others
// added and s cannot say. Columns never leave a schema by Merge, so what s
// lacks is theirs.
func extend(s *tables.Schema, meta *metadata.Table) (*iceberg.Schema, error) {
	out, err := toIceberg(s)
	if err != nil {
		return nil, err
	}
	fields := out.Fields()
	for _, f := range meta.Schema().Fields() {
		if _, ours := out.FindFieldByID(f.ID); !ours {
			fields = append(fields, f)
		}
	}
	return iceberg.NewSchemaWithIdentifiers(0, meta.Schema().IdentifierFieldIDs, fields...), nil
}

// schemaOf is the table's schema in our types. As long as nobody else changed
// it, it is the one stored with the table; afterwards it is read from Iceberg's,
// with our own types where they are wider than Iceberg's. ErrForeign if no
// schema of ours is there.
func schemaOf(meta *metadata.Table) (*tables.Schema, error) {
	text, ok := meta.Properties[schemaKey]
	if !ok {
		return nil, tables.ErrNotOurs
	}
	stored := new(tables.Schema)
	if err := stored.UnmarshalJSON([]byte(text)); err != nil {
		return nil, fmt.Errorf("property %s: %w: %w", schemaKey, tables.ErrBroken, err)
	}
	version, err := strconv.Atoi(meta.Properties[schemaVersionKey])
	if err != nil {
		return nil, fmt.Errorf("property %s: %w: %w", schemaVersionKey, tables.ErrBroken, err)
	}
	if version == meta.Schema().ID {
		// Ids that others gave and dropped again are not given twice.
		stored.LastID = max(stored.LastID, meta.LastColumnID)
		return stored, nil
	}
	return overlay(stored, meta, version)
}

// overlay reads Iceberg's schema where others have changed it. Columns of types
// that we have not are left out: our files may lack them.
func overlay(stored *tables.Schema, meta *metadata.Table, version int) (*tables.Schema, error) {
	ours := make(map[int]arrow.DataType)
	mapFields(stored.Arrow.Fields(), func(f arrow.Field) arrow.Field {
		id, _ := tables.FieldID(f)
		ours[id] = f.Type
		return f
	})
	now := meta.Schema()
	var fields []arrow.Field
	for _, nf := range now.Fields() {
		one, ok := fieldToArrow(nf)
		if !ok {
			continue
		}
		f := mapFields([]arrow.Field{one}, func(f arrow.Field) arrow.Field {
			id, _ := tables.FieldID(f)
			if was, ok := ours[id].(*arrow.TimestampType); ok && was.Unit == arrow.Nanosecond {
				f.Type = was
			}
			return f
		})[0]
		if _, err := tables.KeepIDs(0, arrow.NewSchema([]arrow.Field{f}, nil)); err == nil {
			fields = append(fields, f)
		}
	}
	s, err := tables.KeepIDs(stored.ID+max(1, now.ID-version), arrow.NewSchema(fields, nil))
	if err != nil {
		return nil, fmt.Errorf("schema of the table: %w: %w", tables.ErrBroken, err)
	}
	s.LastID = max(s.LastID, meta.LastColumnID)
	// A layout whose columns others have dropped fits no more.
	if with, err := s.WithLayout(stored.Layout); err == nil {
		s.Layout = with.Layout
	}
	return s, nil
}
