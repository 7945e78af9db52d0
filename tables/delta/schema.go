package delta

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
)

// Physical implements tables.Table. Delta has no time of day, no fixed binary
// and no nanoseconds: these become int64 µs, binary and µs, and the column's
// comment says so.
func (t *table) Physical(s *tables.Schema) (*tables.Schema, error) { return physical(s) }

func physical(s *tables.Schema) (*tables.Schema, error) {
	if err := checkNames(s.Arrow.Fields(), ""); err != nil {
		return nil, err
	}
	return s.MapLeaves(func(f arrow.Field) arrow.Field {
		switch t := f.Type.(type) {
		case *arrow.Time64Type:
			f.Type = arrow.PrimitiveTypes.Int64
			return note(f, "time of day in microseconds since midnight")
		case *arrow.FixedSizeBinaryType:
			f.Type = arrow.BinaryTypes.Binary
			return note(f, fmt.Sprintf("always %d bytes", t.ByteWidth))
		case *arrow.TimestampType:
			if t.Unit == arrow.Nanosecond {
				f.Type = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: t.TimeZone}
				return note(f, "truncated from nanoseconds")
			}
		}
		return f
	}), nil
}

// note adds a remark to the field's comment.
func note(f arrow.Field, text string) arrow.Field {
	if doc := tables.Doc(f); doc != "" {
		text = doc + " (" + text + ")"
	}
	return tables.WithDoc(f, text)
}

// forbidden are the characters that Delta refuses in column names unless column
// mapping is on.
const forbidden = " ,;{}()\n\t="

func checkNames(fields []arrow.Field, parent string) error {
	for _, f := range fields {
		if strings.ContainsAny(f.Name, forbidden) {
			return fmt.Errorf("column name %q: %w", parent+f.Name, tables.ErrUnsupported)
		}
		if err := checkNames(tables.Children(f.Type), parent+f.Name+"."); err != nil {
			return err
		}
	}
	return nil
}

// protocolFor is the lowest protocol that the physical schema needs.
func protocolFor(s *tables.Schema) protocol {
	if !hasNtz(s.Arrow.Fields()) {
		return protocol{MinReaderVersion: 1, MinWriterVersion: 2}
	}
	// With features, those that version 2 implies must be listed.
	return protocol{
		MinReaderVersion: 3, MinWriterVersion: 7,
		ReaderFeatures: []string{featureNtz},
		WriterFeatures: []string{featureNtz, featureAppendOnly, featureInvariants},
	}
}

func hasNtz(fields []arrow.Field) bool {
	for _, f := range fields {
		if t, ok := f.Type.(*arrow.TimestampType); ok && t.TimeZone == "" {
			return true
		}
		if hasNtz(tables.Children(f.Type)) {
			return true
		}
	}
	return false
}

// The schema's JSON (protocol, "Schema Serialization Format").
type sparkStruct struct {
	Type   string       `json:"type"`
	Fields []sparkField `json:"fields"`
}

type sparkField struct {
	Name     string            `json:"name"`
	Type     any               `json:"type"`
	Nullable bool              `json:"nullable"`
	Metadata map[string]string `json:"metadata"`
}

type sparkArray struct {
	Type         string `json:"type"`
	ElementType  any    `json:"elementType"`
	ContainsNull bool   `json:"containsNull"`
}

type sparkMap struct {
	Type              string `json:"type"`
	KeyType           any    `json:"keyType"`
	ValueType         any    `json:"valueType"`
	ValueContainsNull bool   `json:"valueContainsNull"`
}

// schemaString writes a physical schema.
func schemaString(s *tables.Schema) (string, error) {
	root, err := sparkFields(s.Arrow.Fields())
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(root)
	return string(text), err
}

func sparkFields(fields []arrow.Field) (sparkStruct, error) {
	out := sparkStruct{"struct", make([]sparkField, len(fields))}
	for i, f := range fields {
		t, err := sparkType(f.Type)
		if err != nil {
			return out, fmt.Errorf("%s: %w", f.Name, err)
		}
		meta := map[string]string{}
		if doc := tables.Doc(f); doc != "" {
			meta["comment"] = doc
		}
		out.Fields[i] = sparkField{f.Name, t, f.Nullable, meta}
	}
	return out, nil
}

func sparkType(t arrow.DataType) (any, error) {
	switch t := t.(type) {
	case *arrow.BooleanType:
		return "boolean", nil
	case *arrow.Int32Type:
		return "integer", nil
	case *arrow.Int64Type:
		return "long", nil
	case *arrow.Float32Type:
		return "float", nil
	case *arrow.Float64Type:
		return "double", nil
	case *arrow.StringType:
		return "string", nil
	case *arrow.BinaryType:
		return "binary", nil
	case *arrow.Date32Type:
		return "date", nil
	case *arrow.Decimal128Type:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale), nil
	case *arrow.TimestampType:
		if t.TimeZone == "" {
			return "timestamp_ntz", nil
		}
		return "timestamp", nil
	case *arrow.StructType:
		return sparkFields(t.Fields())
	case *arrow.ListType:
		elem, err := sparkType(t.Elem())
		return sparkArray{"array", elem, t.ElemField().Nullable}, err
	case *arrow.MapType:
		key, err := sparkType(t.KeyType())
		if err != nil {
			return nil, err
		}
		value, err := sparkType(t.ItemType())
		return sparkMap{"map", key, value, t.ItemField().Nullable}, err
	}
	return nil, fmt.Errorf("type %s: %w", t, tables.ErrUnsupported)
}
