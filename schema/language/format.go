package language

import (
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/avro"
	"github.com/tarn-io/tarn/schema/jsonschema"
	"github.com/tarn-io/tarn/schema/protobuf"
)

// Format gives s in one of the formats that Confluent's registry has beside the
// canonical text: "resolved" (Avro and JSON) with what it refers to written out,
// "serialized" (Protobuf) as a base64 descriptor, "ignore_extensions" (Protobuf)
// without extensions and custom options. It reports false for a format that the
// language does not have.
func Format(s schema.Schema, format string) (string, bool, error) {
	switch p := s.(type) {
	case *avro.Schema:
		if format == "resolved" {
			return p.Resolved(), true, nil
		}
	case *jsonschema.Schema:
		if format == "resolved" {
			return p.Resolved(), true, nil
		}
	case *protobuf.Schema:
		switch format {
		case "serialized":
			text, err := protobuf.Serialized(p)
			return text, true, err
		case "ignore_extensions":
			text, err := p.Bare()
			return text, true, err
		}
	}
	return "", false, nil
}

// Form is the same for all texts of one schema whose language has many: for
// Protobuf's, also as descriptors. It is "" for other languages, whose canonical
// text says it.
func Form(s schema.Schema) (string, error) {
	if p, ok := s.(*protobuf.Schema); ok {
		return p.Form()
	}
	return "", nil
}

// Tags lists the records and fields of s that have tags.
func Tags(s schema.Schema) []schema.Tagged {
	switch p := s.(type) {
	case *avro.Schema:
		return p.Tags()
	case *jsonschema.Schema:
		return p.Tags()
	case *protobuf.Schema:
		return p.Tags()
	}
	return nil
}

// Retag gives the text of src with tags added and then removed. The error is a
// *schema.ParseError for a path that the schema does not have.
func Retag(src schema.Source, add, remove []schema.Tagged) (string, error) {
	switch src.Type {
	case schema.JSON:
		return jsonschema.Retag(src, add, remove)
	case schema.Protobuf:
		return protobuf.Retag(src, add, remove)
	}
	return avro.Retag(src, add, remove)
}
