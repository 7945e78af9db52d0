package iceberg

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables"
)

// fieldsToIceberg is Arrow fields as Iceberg's, with the same ids. Errors are
// ErrUnsupported.
func fieldsToIceberg(fields []arrow.Field) ([]iceberg.NestedField, error) {
	out := make([]iceberg.NestedField, len(fields))
	for i, f := range fields {
		t, err := typeToIceberg(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		id, ok := tables.FieldID(f)
		if !ok {
			return nil, fmt.Errorf("%s has no field id: %w", f.Name, tables.ErrUnsupported)
		}
		out[i] = iceberg.NestedField{ID: id, Name: f.Name, Type: t, Required: !f.Nullable, Doc: tables.Doc(f)}
	}
	return out, nil
}

// typeToIceberg covers the types of the type mapping (reference: schema.md §6).
func typeToIceberg(t arrow.DataType) (iceberg.Type, error) {
	switch t := t.(type) {
	case *arrow.BooleanType:
		return iceberg.PrimitiveTypes.Bool, nil
	case *arrow.Int32Type:
		return iceberg.PrimitiveTypes.Int32, nil
	case *arrow.Int64Type:
		return iceberg.PrimitiveTypes.Int64, nil
	case *arrow.Float32Type:
		return iceberg.PrimitiveTypes.Float32, nil
	case *arrow.Float64Type:
		return iceberg.PrimitiveTypes.Float64, nil
	case *arrow.StringType:
		return iceberg.PrimitiveTypes.String, nil
	case *arrow.BinaryType:
		return iceberg.PrimitiveTypes.Binary, nil
	case *arrow.Date32Type:
		return iceberg.PrimitiveTypes.Date, nil
	case *arrow.FixedSizeBinaryType:
		return iceberg.FixedTypeOf(t.ByteWidth), nil
	case *arrow.Decimal128Type:
		return iceberg.DecimalTypeOf(int(t.Precision), int(t.Scale)), nil
	case *arrow.Time64Type:
		if t.Unit == arrow.Microsecond {
			return iceberg.PrimitiveTypes.Time, nil
		}
	case *arrow.TimestampType:
		switch {
		case t.Unit == arrow.Microsecond && t.TimeZone == "UTC":
			return iceberg.PrimitiveTypes.TimestampTz, nil
		case t.Unit == arrow.Microsecond && t.TimeZone == "":
			return iceberg.PrimitiveTypes.Timestamp, nil
		}
	case *arrow.StructType, *arrow.ListType, *arrow.MapType:
		return nestedToIceberg(t)
	}
	return nil, fmt.Errorf("type %s: %w", t, tables.ErrUnsupported)
}

func nestedToIceberg(t arrow.DataType) (iceberg.Type, error) {
	held, err := fieldsToIceberg(tables.Children(t))
	if err != nil {
		return nil, err
	}
	switch t.(type) {
	case *arrow.ListType:
		return &iceberg.ListType{ElementID: held[0].ID, Element: held[0].Type, ElementRequired: held[0].Required}, nil
	case *arrow.MapType:
		return &iceberg.MapType{
			KeyID: held[0].ID, KeyType: held[0].Type,
			ValueID: held[1].ID, ValueType: held[1].Type, ValueRequired: held[1].Required,
		}, nil
	}
	return &iceberg.StructType{FieldList: held}, nil
}

// fieldToArrow is an Iceberg field as Arrow's; false if it is of a type that we
// have not.
func fieldToArrow(f iceberg.NestedField) (arrow.Field, bool) {
	t, ok := typeToArrow(f.Type)
	if !ok {
		return arrow.Field{}, false
	}
	out := tables.WithFieldID(arrow.Field{Name: f.Name, Type: t, Nullable: !f.Required}, f.ID)
	if f.Doc != "" {
		out = tables.WithDoc(out, f.Doc)
	}
	return out, true
}

func typeToArrow(t iceberg.Type) (arrow.DataType, bool) {
	switch t := t.(type) {
	case iceberg.BooleanType:
		return arrow.FixedWidthTypes.Boolean, true
	case iceberg.Int32Type:
		return arrow.PrimitiveTypes.Int32, true
	case iceberg.Int64Type:
		return arrow.PrimitiveTypes.Int64, true
	case iceberg.Float32Type:
		return arrow.PrimitiveTypes.Float32, true
	case iceberg.Float64Type:
		return arrow.PrimitiveTypes.Float64, true
	case iceberg.StringType:
		return arrow.BinaryTypes.String, true
	case iceberg.BinaryType:
		return arrow.BinaryTypes.Binary, true
	case iceberg.DateType:
		return arrow.FixedWidthTypes.Date32, true
	case iceberg.TimeType:
		return arrow.FixedWidthTypes.Time64us, true
	case iceberg.TimestampType:
		return &arrow.TimestampType{Unit: arrow.Microsecond}, true
	case iceberg.TimestampTzType:
		return arrow.FixedWidthTypes.Timestamp_us, true
	case iceberg.TimestampNsType:
		return &arrow.TimestampType{Unit: arrow.Nanosecond}, true
	case iceberg.TimestampTzNsType:
		return arrow.FixedWidthTypes.Timestamp_ns, true
	case iceberg.FixedType:
		return &arrow.FixedSizeBinaryType{ByteWidth: t.Len()}, true
	case iceberg.DecimalType:
		return &arrow.Decimal128Type{Precision: int32(t.Precision()), Scale: int32(t.Scale())}, true
	}
	return nestedToArrow(t)
}

func nestedToArrow(t iceberg.Type) (arrow.DataType, bool) {
	var held []iceberg.NestedField
	switch t := t.(type) {
	case *iceberg.StructType:
		held = t.FieldList
	case *iceberg.ListType:
		held = []iceberg.NestedField{t.ElementField()}
	case *iceberg.MapType:
		held = []iceberg.NestedField{t.KeyField(), t.ValueField()}
	default:
		return nil, false
	}
	fields := make([]arrow.Field, len(held))
	for i, f := range held {
		var ok bool
		if fields[i], ok = fieldToArrow(f); !ok {
			return nil, false
		}
	}
	switch t.(type) {
	case *iceberg.ListType:
		return arrow.ListOfField(fields[0]), true
	case *iceberg.MapType:
		return arrow.MapOfFields(fields[0], fields[1]), true
	}
	return arrow.StructOf(fields...), true
}

// describe names a table in errors.
func describe(ident []string) string { return strings.Join(ident, ".") }
