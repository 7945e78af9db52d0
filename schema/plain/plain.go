// Package plain reads payloads that have no schema: as bytes, as text, or as
// JSON text. Their only column is called "value", as that of any schema that is
// no record.
package plain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

// Manner is how payloads are read.
type Manner string

// The manners.
const (
	Binary Manner = "binary" // any bytes
	String Manner = "string" // UTF-8
	JSON   Manner = "json"   // one JSON value (RFC 8259) in UTF-8, kept as it was written
)

// Decoder reads payloads in one manner. It is immutable and safe for concurrent
// use; two of the same manner are equal.
type Decoder struct {
	manner Manner
}

var _ schema.Decoder = Decoder{}

// New returns the decoder of a manner, which must be one of the constants.
func New(m Manner) (Decoder, error) {
	switch m {
	case Binary, String, JSON:
		return Decoder{m}, nil
	}
	return Decoder{}, fmt.Errorf("payloads are read as %s, %s or %s, not as %q", Binary, String, JSON, m)
}

// Manner is the decoder's.
func (d Decoder) Manner() Manner { return d.manner }

// Columns implements schema.Decoder: one column that is never null.
func (d Decoder) Columns() *arrow.Schema {
	var t arrow.DataType = arrow.BinaryTypes.String
	if d.manner == Binary {
		t = arrow.BinaryTypes.Binary
	}
	return arrow.NewSchema([]arrow.Field{{Name: "value", Type: t}}, nil)
}

// Validate implements schema.Validator.
func (d Decoder) Validate(payload []byte) error {
	if d.manner == Binary {
		return nil
	}
	if pos := notUTF8(payload); pos >= 0 {
		return &schema.Invalid{Path: "$", Expected: "UTF-8", Found: fmt.Sprintf("byte 0x%02x at position %d", payload[pos], pos), Pos: pos}
	}
	if d.manner == JSON {
		return checkJSON(payload)
	}
	return nil
}

// Decode implements schema.Decoder.
func (d Decoder) Decode(payload []byte, rows *schema.Rows) error {
	if err := d.Validate(payload); err != nil {
		return err
	}
	rows.Column(0).Bytes(payload)
	if err := rows.EndRow(); err != nil {
		rows.Undo()
		return err
	}
	return nil
}

// notUTF8 is the position of the first byte that is no part of UTF-8 text, -1 if
// there is none.
func notUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// checkJSON holds one JSON value against the grammar. encoding/json bounds the
// nesting to 10,000.
func checkJSON(b []byte) error {
	if json.Valid(b) {
		return nil
	}
	// The slow way says where.
	bad := &schema.Invalid{Path: "$", Expected: "one JSON value", Found: "none", Pos: -1}
	if len(bytes.TrimSpace(b)) == 0 {
		return bad
	}
	bad.Found = "something else"
	var syntax *json.SyntaxError
	var into json.RawMessage
	if err := json.Unmarshal(b, &into); errors.As(err, &syntax) {
		bad.Pos = int(syntax.Offset)
		bad.Found = fmt.Sprintf("%s, at position %d", syntax.Error(), syntax.Offset)
	}
	return bad
}
