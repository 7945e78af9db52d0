package registry

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

// Description says what a version of a subject means for records and tables.
type Description struct {
	Subject string      `json:"subject"`
	Version int         `json:"version"`
	ID      int         `json:"id"`
	Type    schema.Type `json:"schema_type"`
	// Name is the full name of the record or first message, the title of a JSON
	// schema; "" if it has none.
	Name    string       `json:"name,omitempty"`
	Columns []ColumnInfo `json:"columns"`
	// Formless says why the schema has no table form; "" if it has one.
	Formless string `json:"no_table_form,omitempty"`
	schema.Manner
	Level  Level  `json:"level"`
	Policy Policy `json:"policy,omitempty"`
}

// ColumnInfo is a column that a schema makes. Kafka's own columns are not listed.
type ColumnInfo struct {
	// Column is the path; "element", "key" and "value" stand for what lists and maps
	// hold.
	Column   string `json:"column"`
	Type     string `json:"type"`
	Nullable bool   `json:"nullable"`
}

// Describe describes a version of a subject; Latest is the newest. message is the
// full name of a Protobuf message, "" for the first; other languages have no other.
// Refusals: *Refused of ErrSubjectNotFound, ErrVersionNotFound or ErrNoMessage.
func (r *Registry) Describe(name string, number int, message string) (Description, error) {
	v, within := r.world.Load().at(name)
	s := v.subjects.get(within)
	if !s.exists(false) {
		return Description{}, refuse(ErrSubjectNotFound, name)
	}
	ver := s.find(number, false)
	if ver == nil {
		return Description{}, refuseVersion(ErrVersionNotFound, name, number)
	}
	p := ver.load(v)
	if p.err != nil {
		return Description{}, p.err
	}
	m := p.first
	if message != "" && ver.item.Type == schema.Protobuf {
		if m = ver.messageNamed(p, message); m == nil {
			return Description{}, &Refused{Kind: ErrNoMessage, Subject: s.full(), Version: ver.Version, Detail: message}
		}
	}
	set := v.settingsOf(s)
	out := Description{
		Subject: s.full(), Version: ver.Version, ID: ver.ID, Type: ver.item.Type, Name: m.name,
		Columns: []ColumnInfo{}, Level: set.Level, Policy: set.Policy,
	}
	if d, ok := p.schema.(schema.Describer); ok {
		out.Manner = d.Manner()
	}
	if m.err != nil {
		out.Formless = m.err.Error()
		return out, nil
	}
	out.Columns = columnInfos(out.Columns, m.decoder.Columns().Fields(), "")
	return out, nil
}

// columnInfos lists columns; what a struct holds, wherever it is, has lines of its
// own.
func columnInfos(list []ColumnInfo, fields []arrow.Field, parent string) []ColumnInfo {
	for _, f := range fields {
		path := f.Name
		if parent != "" {
			path = parent + "." + f.Name
		}
		list = append(list, ColumnInfo{path, wordOf(f.Type), f.Nullable})
		at, t := path, f.Type
		for nested := true; nested; {
			switch x := t.(type) {
			case *arrow.ListType:
				at, t = at+".element", x.Elem()
			case *arrow.MapType:
				at, t = at+".value", x.ItemType()
			case *arrow.StructType:
				list = columnInfos(list, x.Fields(), at)
				nested = false
			default:
				nested = false
			}
		}
	}
	return list
}

// wordOf names a type; of a struct not what it holds.
func wordOf(t arrow.DataType) string {
	switch t := t.(type) {
	case *arrow.StructType:
		return "struct"
	case *arrow.ListType:
		return "list<" + wordOf(t.Elem()) + ">"
	case *arrow.MapType:
		return "map<" + wordOf(t.KeyType()) + ", " + wordOf(t.ItemType()) + ">"
	}
	return schema.TypeWord(t)
}
