package language

import (
	"encoding/json"
	"strings"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/protobuf"
)

// Name is what Confluent's record name strategies call the payloads of s: the
// full name of an Avro record, enum or fixed (of other types the type's word),
// the title of a JSON schema, the full name of the Protobuf message that index
// selects. It reports false if there is no such message.
func Name(s schema.Schema, index []int) (string, bool) {
	if p, ok := s.(*protobuf.Schema); ok {
		m, err := p.Message(index)
		if err != nil {
			return "", false
		}
		return string(m.FullName()), true
	}
	var root map[string]json.RawMessage
	text := []byte(s.Canonical())
	if len(index) > 0 {
		return "", false
	}
	if json.Unmarshal(text, &root) != nil {
		return word(text), true // an Avro primitive, a union, a boolean schema
	}
	switch {
	case s.Type() == schema.JSON:
		return word(root["title"]), true
	case root["name"] == nil:
		return word(root["type"]), true
	}
	name, space := word(root["name"]), word(root["namespace"])
	if space == "" || strings.Contains(name, ".") {
		return name, true
	}
	return space + "." + name, true
}

// Index is the index of a Protobuf message by its full name, or its name within
// the package. It reports false if s has none; other languages have none.
func Index(s schema.Schema, message string) ([]int, bool) {
	p, ok := s.(*protobuf.Schema)
	if !ok {
		return nil, false
	}
	return p.Index(message)
}

// Messages are the full names of the messages at the top of a Protobuf file, in
// its order; other languages have none.
func Messages(s schema.Schema) []string {
	if p, ok := s.(*protobuf.Schema); ok {
		return p.Names()
	}
	return nil
}

// word is a JSON string's text, "" for anything else.
func word(raw []byte) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return text
}
