package delta

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
)

// Physical implements tables.Table. Delta has no time of day, no fixed binary
// and no nanoseconds: these become int64 µs, binary and µs, and the column's
// comment says so.
//
// A table keeps the partition columns that it was made with: others are
// tables.ErrUnsupported.
func (t *table) Physical(s *tables.Schema) (*tables.Schema, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := checkColumns(t.state.meta, s); err != nil {
		return nil, err
	}
	return physical(s)
}

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

// protocolFor is the lowest protocol that the physical schema needs; widened
// says that some of its columns had a narrower type before.
func protocolFor(s *tables.Schema, widened bool) protocol {
	var features []string
	if hasNtz(s.Arrow.Fields()) {
		features = append(features, featureNtz)
	}
	if widened {
		features = append(features, featureWidening)
	}
	if len(features) == 0 {
		return protocol{MinReaderVersion: 1, MinWriterVersion: 2}
	}
	return protocol{
		MinReaderVersion: 3, MinWriterVersion: 7,
		ReaderFeatures: features,
		// With features, those that writer version 2 implies must be listed.
		WriterFeatures: append(slices.Clone(features), featureAppendOnly, featureInvariants),
	}
}

// with is the protocol that allows what p and q do, and whether it is more than
// p.
func (p protocol) with(q protocol) (protocol, bool) {
	if q.MinReaderVersion < 3 {
		return p, false
	}
	if p.MinReaderVersion < 3 {
		return q, true
	}
	more := false
	p.ReaderFeatures, p.WriterFeatures = slices.Clone(p.ReaderFeatures), slices.Clone(p.WriterFeatures)
	for _, f := range q.ReaderFeatures {
		if !slices.Contains(p.ReaderFeatures, f) {
			p.ReaderFeatures, more = append(p.ReaderFeatures, f), true
		}
	}
	for _, f := range q.WriterFeatures {
		if !slices.Contains(p.WriterFeatures, f) {
			p.WriterFeatures, more = append(p.WriterFeatures, f), true
		}
	}
	return p, more
}

// without is the protocol that does without a feature: the first one again, where
// no other needs more.
func (p protocol) without(feature string) protocol {
	is := func(f string) bool { return f == feature }
	p.ReaderFeatures = slices.DeleteFunc(slices.Clone(p.ReaderFeatures), is)
	p.WriterFeatures = slices.DeleteFunc(slices.Clone(p.WriterFeatures), is)
	if len(p.ReaderFeatures) == 0 {
		return protocol{MinReaderVersion: 1, MinWriterVersion: 2} // which implies the writer features that are left
	}
	return p
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
	Name     string         `json:"name"`
	Type     any            `json:"type"`
	Nullable bool           `json:"nullable"`
	Metadata map[string]any `json:"metadata"`
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

// schemaString writes a physical schema with the type changes of its fields, and
// with the partition columns that it has beyond.
func schemaString(s *tables.Schema, columns []partitionColumn, changes typeChanges) (string, error) {
	fields := slices.Clone(s.Arrow.Fields())
	for _, c := range columns {
		if c.add != nil {
			fields = append(fields, *c.add)
		}
	}
	root, err := sparkFields(fields, "", changes)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(root)
	return string(text), err
}

func sparkFields(fields []arrow.Field, parent string, changes typeChanges) (sparkStruct, error) {
	out := sparkStruct{"struct", make([]sparkField, len(fields))}
	for i, f := range fields {
		path := parent + f.Name
		t, err := sparkType(f.Type, path, changes)
		if err != nil {
			return out, fmt.Errorf("%s: %w", f.Name, err)
		}
		meta := map[string]any{}
		if doc := tables.Doc(f); doc != "" {
			meta["comment"] = doc
		}
		if c := changes[path]; len(c) > 0 {
			meta[keyTypeChanges] = c
		}
		out.Fields[i] = sparkField{f.Name, t, f.Nullable, meta}
	}
	return out, nil
}

// sparkType is a type's JSON; path is that of the struct field it stands in.
func sparkType(t arrow.DataType, path string, changes typeChanges) (any, error) {
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
		return sparkFields(t.Fields(), path+".", changes)
	case *arrow.ListType:
		elem, err := sparkType(t.Elem(), path+".element", changes)
		return sparkArray{"array", elem, t.ElemField().Nullable}, err
	case *arrow.MapType:
		key, err := sparkType(t.KeyType(), path+".key", changes)
		if err != nil {
			return nil, err
		}
		value, err := sparkType(t.ItemType(), path+".value", changes)
		return sparkMap{"map", key, value, t.ItemField().Nullable}, err
	}
	return nil, fmt.Errorf("type %s: %w", t, tables.ErrUnsupported)
}
