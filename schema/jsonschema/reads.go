package jsonschema

import "github.com/tarn-io/tarn/schema"

// Reads lists nothing.
func (s *Schema) Reads(writer schema.Schema) []schema.Incompatibility { return nil }
