package schema

import "fmt"

// Manner says for people how payloads of a schema are read.
type Manner struct {
	// Library are the places that the language's library checks, not our own pass
	// over the bytes: all the rest is read at full speed. Columns are filled by our
	// pass in any case.
	Library []Place `json:"library,omitempty"`
	// Limits bound what one payload may take.
	Limits []string `json:"limits"`
}

// Place is a part of a schema and what there is to say of it.
type Place struct {
	Path  string `json:"path"`  // JSON pointer in the schema; in one that it refers to, behind the name of the reference
	Field string `json:"field"` // as Change.Field
	Why   string `json:"why"`
}

// Describer is a schema that knows its manner. All three languages have it.
type Describer interface {
	Manner() Manner
}

// CommonLimits are those that all languages have.
func CommonLimits() []string {
	return []string{
		fmt.Sprintf("nesting of a payload: %d levels", MaxDepth),
		fmt.Sprintf("columns of a schema: %d", MaxFields),
		fmt.Sprintf("schema text with its references: %d MiB", MaxTextBytes>>20),
	}
}
