package tables

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// The text form of a schema is our own, so that stored schemas depend on no
// library's. Types are words:
//
//	bool int32 int64 float32 float64 binary string date time
//	fixed(N)  decimal(P,S)  timestamp(us|ns)  timestamptz(us|ns)
//	struct (fields)  list (fields: element)  map (fields: key, value)

type schemaJSON struct {
	ID     int         `json:"id"`
	LastID int         `json:"last_id"`
	Fields []fieldJSON `json:"fields"`
	Layout *Layout     `json:"layout,omitempty"`
}

type fieldJSON struct {
	ID       int         `json:"id"`
	Name     string      `json:"name"`
	Type     string      `json:"type"`
	Required bool        `json:"required,omitempty"`
	Doc      string      `json:"doc,omitempty"`
	Fields   []fieldJSON `json:"fields,omitempty"`
}

// MarshalJSON writes the schema's text form.
func (t *Schema) MarshalJSON() ([]byte, error) {
	fields, err := fieldsToJSON(t.Arrow.Fields())
	if err != nil {
		return nil, err
	}
	out := schemaJSON{ID: t.ID, LastID: t.LastID, Fields: fields}
	if !t.Layout.Empty() {
		out.Layout = &t.Layout
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote. Errors are ErrSchema.
func (t *Schema) UnmarshalJSON(data []byte) error {
	var j schemaJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("%w: %w", ErrSchema, err)
	}
	fields, err := fieldsFromJSON(j.Fields, 0)
	if err != nil {
		return err
	}
	s, err := KeepIDs(j.ID, arrow.NewSchema(fields, nil))
	if err != nil {
		return err
	}
	if j.LastID < s.LastID {
		return fmt.Errorf("last id %d is below field id %d: %w", j.LastID, s.LastID, ErrSchema)
	}
	s.LastID = j.LastID
	if j.Layout != nil {
		if err := j.Layout.check(s); err != nil {
			return err
		}
		s.Layout = *j.Layout
	}
	*t = *s
	return nil
}

// Equal reports whether t and o are the same schema, ids, comments and layout
// included.
func (t *Schema) Equal(o *Schema) bool {
	if t == nil || o == nil {
		return t == o
	}
	return t.ID == o.ID && t.LastID == o.LastID && t.Arrow.Equal(o.Arrow) && t.Layout.Equal(o.Layout)
}

func fieldsToJSON(fields []arrow.Field) ([]fieldJSON, error) {
	out := make([]fieldJSON, len(fields))
	for i, f := range fields {
		id, _ := FieldID(f)
		word, err := typeWord(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		held, err := fieldsToJSON(Children(f.Type))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		out[i] = fieldJSON{id, f.Name, word, !f.Nullable, Doc(f), held}
	}
	return out, nil
}

func typeWord(t arrow.DataType) (string, error) {
	if err := checkType(t); err != nil {
		return "", err
	}
	switch t := t.(type) {
	case *arrow.StringType:
		return "string", nil
	case *arrow.FixedSizeBinaryType:
		return fmt.Sprintf("fixed(%d)", t.ByteWidth), nil
	case *arrow.Decimal128Type:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale), nil
	case *arrow.Date32Type:
		return "date", nil
	case *arrow.Time64Type:
		return "time", nil
	case *arrow.TimestampType:
		if t.TimeZone == "" {
			return "timestamp(" + t.Unit.String() + ")", nil
		}
		return "timestamptz(" + t.Unit.String() + ")", nil
	case *arrow.BooleanType:
		return "bool", nil
	}
	return t.Name(), nil
}

func fieldsFromJSON(in []fieldJSON, depth int) ([]arrow.Field, error) {
	if depth > MaxDepth || len(in) > MaxFields {
		return nil, fmt.Errorf("more than %d fields or %d levels: %w", MaxFields, MaxDepth, ErrSchema)
	}
	out := make([]arrow.Field, len(in))
	for i, j := range in {
		held, err := fieldsFromJSON(j.Fields, depth+1)
		if err != nil {
			return nil, err
		}
		t, err := typeOfWord(j.Type, held)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", j.Name, err)
		}
		f := WithFieldID(arrow.Field{Name: j.Name, Type: t, Nullable: !j.Required}, j.ID)
		if j.Doc != "" {
			f = WithDoc(f, j.Doc)
		}
		out[i] = f
	}
	return out, nil
}

func typeOfWord(text string, held []arrow.Field) (arrow.DataType, error) {
	word, args, _ := strings.Cut(strings.TrimSuffix(text, ")"), "(")
	switch {
	case word == "struct":
		return arrow.StructOf(held...), nil
	case word == "list" && len(held) == 1:
		return WithChildren(&arrow.ListType{}, held), nil
	case word == "map" && len(held) == 2:
		if held[0].Nullable {
			return nil, fmt.Errorf("map with nullable keys: %w", ErrSchema)
		}
		return WithChildren(&arrow.MapType{}, held), nil
	case len(held) > 0:
		return nil, fmt.Errorf("type %q with %d fields: %w", text, len(held), ErrSchema)
	}
	switch text {
	case "bool":
		return arrow.FixedWidthTypes.Boolean, nil
	case "int32":
		return arrow.PrimitiveTypes.Int32, nil
	case "int64":
		return arrow.PrimitiveTypes.Int64, nil
	case "float32":
		return arrow.PrimitiveTypes.Float32, nil
	case "float64":
		return arrow.PrimitiveTypes.Float64, nil
	case "binary":
		return arrow.BinaryTypes.Binary, nil
	case "string":
		return arrow.BinaryTypes.String, nil
	case "date":
		return arrow.FixedWidthTypes.Date32, nil
	case "time":
		return arrow.FixedWidthTypes.Time64us, nil
	case "timestamp(us)":
		return &arrow.TimestampType{Unit: arrow.Microsecond}, nil
	case "timestamp(ns)":
		return &arrow.TimestampType{Unit: arrow.Nanosecond}, nil
	case "timestamptz(us)":
		return arrow.FixedWidthTypes.Timestamp_us, nil
	case "timestamptz(ns)":
		return arrow.FixedWidthTypes.Timestamp_ns, nil
	}
	return sizedType(word, args, text)
}

func sizedType(word, args, text string) (arrow.DataType, error) {
	first, second, _ := strings.Cut(args, ",")
	n, err := strconv.ParseInt(first, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("type %q: %w", text, ErrSchema)
	}
	switch word {
	case "fixed":
		return &arrow.FixedSizeBinaryType{ByteWidth: int(n)}, nil
	case "decimal":
		scale, err := strconv.ParseInt(second, 10, 32)
		if err == nil {
			return &arrow.Decimal128Type{Precision: int32(n), Scale: int32(scale)}, nil
		}
	}
	return nil, fmt.Errorf("type %q: %w", text, ErrSchema)
}
