// Package language picks a schema language by its type. It is the one place
// that knows all three.
package language

import (
	"fmt"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/avro"
	"github.com/tarn-io/tarn/schema/jsonschema"
	"github.com/tarn-io/tarn/schema/protobuf"
)

// Parse parses src in its language; an empty type means Avro, as the registry's
// API has it. The error is a *schema.ParseError, also for a type that does not
// exist and for texts over schema.MaxTextBytes, which are not looked at.
func Parse(src schema.Source) (schema.Schema, error) {
	size := len(src.Text)
	for _, r := range src.References {
		size += len(r.Text)
	}
	if size > schema.MaxTextBytes {
		return nil, &schema.ParseError{Msg: fmt.Sprintf("schema and references of %d bytes: at most %d", size, schema.MaxTextBytes)}
	}
	switch src.Type {
	case schema.Avro, "":
		return avro.Parse(src)
	case schema.JSON:
		return jsonschema.Parse(src)
	case schema.Protobuf:
		return protobuf.Parse(src)
	}
	return nil, &schema.ParseError{Msg: fmt.Sprintf("Invalid schema type %s", src.Type)}
}
