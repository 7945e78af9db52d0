package avro

import (
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// Fields is Value, and calls visit for each field of each record that holds a
// primitive value, when its record has been read: inner records come before outer
// ones. Items of arrays and maps are no fields; their records' fields are. message
// is the record.
func (s *Schema) Fields(payload []byte, visit func(f schema.Field, value any, message map[string]any)) error {
	r := valueReader{reader: reader{b: payload}, visit: visit}
	_, bad := r.value(s.root)
	if bad != nil {
		return bad
	}
	return nil
}

// seen visits the fields of a record that has been read; types are those of the
// values, where a field is a union that of its branch.
func (r *valueReader) seen(t *typ, types []*typ, message map[string]any) {
	for i, f := range t.fields {
		if types[i] == nil || types[i].kind > kindString {
			continue
		}
		r.visit(schema.Field{
			Name: f.name, FullName: t.fullName() + "." + f.name, Type: strings.ToUpper(kindName(types[i].kind)), Tags: tagsIn(f.props),
		}, message[f.name], message)
	}
}
