// Package schema is the contract of Tarn's three schema languages and what they
// share: the Confluent wire frame, the error of a refused payload, and the
// columns that decoders fill. It knows neither Kafka nor tables; Arrow is the
// word it shares with them. Nothing here does I/O.
//
// Each language lives in a package beside this one (avro, jsonschema,
// protobuf); package language picks one by type. The suite is schematest.
package schema

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// Type names a schema language as the Confluent registry spells it.
type Type string

// The three languages. A registry request without a type means Avro.
const (
	Avro     Type = "AVRO"
	JSON     Type = "JSON"
	Protobuf Type = "PROTOBUF"
)

// Limits that every decoder keeps, so that a small payload cannot cost much
// memory, stack or time.
const (
	// MaxDepth bounds nesting in payloads and in schema texts.
	MaxDepth = 64
	// MaxTextBytes bounds a schema's text together with its references'.
	MaxTextBytes = 4 << 20
	// MaxEmptyItems bounds array items that take no bytes in the payload (an
	// Avro array of null), whose count the payload's length does not limit.
	MaxEmptyItems = 4096
	// MaxFields bounds the leaf columns one schema may have.
	MaxFields = 10000
)

// Reference is a schema that another one refers to: Name is how the text names
// it (an Avro full name, a Protobuf import path, a JSON Schema $ref), Subject
// and Version are where the registry has it.
type Reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// Source is a schema text with everything it refers to, resolved.
type Source struct {
	Type Type
	Text string
	// References are the referenced texts by Reference.Name, transitively: each
	// is resolvable by name from Text and from one another. They are in
	// dependency order: what a text refers to stands before it.
	References []Named
	// Lax parses without the checks of names and defaults that apply to new
	// schemas only: texts that are stored already must stay readable.
	Lax bool
}

// Named is one referenced text.
type Named struct {
	Name string
	Text string
}

// Schema is a parsed schema. It is immutable and safe for concurrent use.
type Schema interface {
	// Type says which language it is.
	Type() Type
	// Canonical is the text as the registry stores, compares and serves it.
	Canonical() string
	// Normalized is the text under the registry's normalize=true.
	Normalized() string
	// Decoder returns the compiled decoder for payloads of this schema. index
	// selects a message in a Protobuf file by Confluent's message indexes
	// (empty: the first); other languages take none. Decoders are cached: the
	// same index gives the same one. An error says that payloads of this
	// schema cannot be decoded or have no table form, and why.
	Decoder(index []int) (Decoder, error)
	// Validator is for who only checks payloads: what Decoder gives, or where
	// the schema has no table form a check of its own. An error says that
	// payloads of this schema cannot be checked, and why.
	Validator(index []int) (Validator, error)
	// Reads lists what keeps data written with writer from being read with
	// this schema: all of it, in document order; empty means compatible. The
	// writer has the same Type. BACKWARD is new.Reads(old), FORWARD is
	// old.Reads(new).
	Reads(writer Schema) []Incompatibility
}

// Resolver is a schema that turns payloads written with another version of it
// into rows of its own columns. Avro has it; the other languages match fields by
// number or by name, and have no rules for it.
type Resolver interface {
	// Resolve compiles a decoder for payloads of the writer: fields of its own
	// that the writer lacks get their defaults, those that only the writer has are
	// checked and left out. Decoders are cached: the same writer gives the same
	// one. An error says why no payload of the writer can be read; payloads that
	// cannot be read for their values (a symbol, a branch) are refused one by one.
	// Safe for concurrent use.
	Resolve(writer Schema) (Decoder, error)
}

// Incompatibility is one reason for a failed compatibility check. Types are those
// of Confluent's registry, which tools know; descriptions are for people.
type Incompatibility struct {
	Type string // for example READER_FIELD_MISSING_DEFAULT_VALUE
	Path string // JSON pointer in the schema, for example /fields/1
	// Description says it in one line with up to two "%s": the first stands for
	// the reader's side, the second for the writer's. Describe fills them.
	Description string
	// Info is Confluent's additionalInfo, where the language has one.
	Info string
}

// Describe is the description with the sides named: "new", "old" when the
// reader is the new schema, the other way round for FORWARD.
func (i Incompatibility) Describe(reader, writer string) string {
	text := strings.Replace(i.Description, "%s", reader, 1)
	return strings.Replace(text, "%s", writer, 1)
}

// Validator checks payloads of one schema, without allocation per record. It is
// immutable and safe for concurrent use.
type Validator interface {
	// Validate checks one payload, without its frame. The error is an *Invalid.
	Validate(payload []byte) error
}

// Decoder validates payloads of one schema and turns them into rows, in one
// pass over the raw bytes, without allocation per record. It is immutable and
// safe for concurrent use.
type Decoder interface {
	// Columns is the Arrow form of the schema by the type mapping: top-level
	// fields in schema order, a schema that is no record as one column named
	// "value". Kafka's own columns are not among them.
	Columns() *arrow.Schema
	Validator
	// Decode checks one payload and appends it to rows as one row, in the same
	// pass: it calls rows.EndRow. rows must have been made from Columns(). On an
	// error, an *Invalid, rows is as it was before. ErrFull instead says that
	// rows cannot take more: take its Batch and decode the payload again; with
	// empty rows it means that the payload has no table form. Bytes are copied:
	// payload may be reused.
	Decode(payload []byte, rows *Rows) error
}

// Invalid says why a payload was refused: where, what was expected there, and
// what was found. It never holds more than a short preview of the payload.
type Invalid struct {
	// Path is the field as "$.items[2].price"; "$" is the whole payload.
	Path string
	// Expected and Found are short phrases: "double", `string "12,50"`.
	Expected, Found string
	// Pos is the position in the payload in bytes, or -1.
	Pos int
}

// Error gives "$.amount: expected double, found string "12,50"".
func (e *Invalid) Error() string {
	return fmt.Sprintf("%s: expected %s, found %s", e.Path, e.Expected, e.Found)
}

// ParseError says why a schema text was refused. Line and Column are 1-based
// and 0 if the place is not known.
type ParseError struct {
	Line, Column int
	Msg          string
}

// Error gives "line 3, column 14: ...", or the message alone.
func (e *ParseError) Error() string {
	if e.Line == 0 {
		return e.Msg
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Msg)
}
