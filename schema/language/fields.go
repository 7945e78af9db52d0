package language

import (
	"encoding/json"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/protobuf"
)

// Fields lists the names of the fields at the top of s: those of an Avro record,
// the properties of a JSON schema (in no order), the fields of every message that
// is nested in none.
func Fields(s schema.Schema) []string {
	var names []string
	if p, ok := s.(*protobuf.Schema); ok {
		messages := p.File().Messages()
		for i := range messages.Len() {
			for j := range messages.Get(i).Fields().Len() {
				names = append(names, string(messages.Get(i).Fields().Get(j).Name()))
			}
		}
		return names
	}
	var root struct {
		Fields []struct {
			Name string `json:"name"`
		} `json:"fields"`
		Properties map[string]json.RawMessage `json:"properties"`
	}
	// A schema that is no object has no fields.
	_ = json.Unmarshal([]byte(s.Canonical()), &root)
	if s.Type() == schema.JSON {
		for name := range root.Properties {
			names = append(names, name)
		}
		return names
	}
	for _, f := range root.Fields {
		names = append(names, f.Name)
	}
	return names
}
