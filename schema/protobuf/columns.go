package protobuf

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-io/tarn/schema"
)

// form is how one value becomes a column's.
type form uint8

const (
	formScalar form = iota
	formStruct
	formWrapper     // the value of a wrapper message
	formMoment      // int64: timestamp, duration, time of day
	formDate        // int32
	formDecimal     // decimal128
	formDecimalText // utf8
	formJSON        // utf8 holding JSON
)

// column is the plan of one column, or of a list's elements or a map's values.
type column struct {
	f     *field
	form  form
	kids  []column // of a struct
	value *column  // of a map: its values, with the entry's field
	leafs int      // columns below, itself if none: what one value costs
}

// columnPlanner lays out the columns of a message. The type mapping: bool,
// int32, int64, float and double as they are; uint32 as int64, uint64 as
// decimal(20, 0); enums by name; messages as structs; and the messages that it
// knows by name.
type columnPlanner struct {
	path  []*message // messages being laid out, outermost first
	leafs int
}

func (p *columnPlanner) fields(m *message) ([]column, []arrow.Field, error) {
	own := len(m.fields) - len(m.extended)
	if own == 0 {
		return nil, nil, fmt.Errorf("message %s has no fields, and a record without fields has no table form", m.name)
	}
	if len(p.path) >= schema.MaxDepth {
		return nil, nil, fmt.Errorf("message %s: nested deeper than %d levels", m.name, schema.MaxDepth)
	}
	p.path = append(p.path, m)
	cols := make([]column, own)
	list := make([]arrow.Field, own)
	for i := range own {
		f := &m.fields[i]
		t, err := p.column(&cols[i], f)
		if err != nil {
			return nil, nil, err
		}
		name := f.name
		if len(p.path) == 1 {
			name = schema.ColumnName(name)
		}
		list[i] = arrow.Field{Name: name, Type: t, Nullable: f.presence && !f.required}
	}
	p.path = p.path[:len(p.path)-1]
	return cols, list, nil
}

// column plans the column of a field.
func (p *columnPlanner) column(c *column, f *field) (arrow.DataType, error) {
	c.f = f
	if f.mapped {
		key, err := p.one(new(column), &f.msg.fields[0])
		if err != nil {
			return nil, err
		}
		c.value = new(column)
		value, err := p.one(c.value, &f.msg.fields[1])
		if err != nil {
			return nil, err
		}
		c.leafs = c.value.leafs + 1
		return arrow.MapOfFields(arrow.Field{Name: "key", Type: key}, arrow.Field{Name: "value", Type: value}), nil
	}
	t, err := p.one(c, f)
	if err != nil || !f.repeated {
		return t, err
	}
	return arrow.ListOfField(arrow.Field{Name: "element", Type: t}), nil
}

// one plans one value of a field: of a list its elements.
func (p *columnPlanner) one(c *column, f *field) (arrow.DataType, error) {
	c.f, c.leafs = f, 1
	if p.leafs++; p.leafs > schema.MaxFields {
		return nil, fmt.Errorf("more than %d columns", schema.MaxFields)
	}
	if f.msg == nil {
		return scalarType(f.kind), nil
	}
	switch k := f.msg.known; {
	case k.json():
		c.form = formJSON
		return arrow.BinaryTypes.String, nil
	case k == knownWrapper:
		c.form = formWrapper
		return scalarType(f.msg.fields[0].kind), nil
	case k.ranged():
		return rangedType(c, f), nil
	}
	for _, m := range p.path {
		if m == f.msg { // a message within itself: its columns would have no end
			c.form = formJSON
			return arrow.BinaryTypes.String, nil
		}
	}
	p.leafs-- // the struct itself is no column
	kids, list, err := p.fields(f.msg)
	if err != nil {
		return nil, err
	}
	c.form, c.kids, c.leafs = formStruct, kids, 0
	for i := range kids {
		c.leafs += kids[i].leafs
	}
	return arrow.StructOf(list...), nil
}

func rangedType(c *column, f *field) arrow.DataType {
	c.form = formMoment
	switch f.msg.known {
	case knownTimestamp:
		return &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	case knownTimeOfDay:
		return &arrow.Time64Type{Unit: arrow.Microsecond}
	case knownDate:
		c.form = formDate
		return arrow.FixedWidthTypes.Date32
	case knownDecimal:
		if f.dec.column() {
			c.form = formDecimal
			return &arrow.Decimal128Type{Precision: f.dec.precision, Scale: f.dec.scale}
		}
		c.form = formDecimalText
		return arrow.BinaryTypes.String
	}
	return arrow.PrimitiveTypes.Int64 // a duration in nanoseconds
}

func scalarType(k protoreflect.Kind) arrow.DataType {
	switch k {
	case protoreflect.BoolKind:
		return arrow.FixedWidthTypes.Boolean
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return arrow.PrimitiveTypes.Int32
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind,
		protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return arrow.PrimitiveTypes.Int64
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return &arrow.Decimal128Type{Precision: 20, Scale: 0}
	case protoreflect.FloatKind:
		return arrow.PrimitiveTypes.Float32
	case protoreflect.DoubleKind:
		return arrow.PrimitiveTypes.Float64
	case protoreflect.BytesKind:
		return arrow.BinaryTypes.Binary
	}
	return arrow.BinaryTypes.String
}
