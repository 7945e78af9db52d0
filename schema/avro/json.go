package avro

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// maxJSONDepth bounds the nesting of a schema's JSON. One level of Avro nesting
// is at most three of JSON: a record, its list of fields, a field.
const maxJSONDepth = 4 * schema.MaxDepth

type jsonKind uint8

const (
	jsonNull jsonKind = iota
	jsonBool
	jsonNumber
	jsonString
	jsonArray
	jsonObject
)

// value is a JSON value with its place in the text. Members keep their order; of
// members with the same name the last counts, at the place of the first.
type value struct {
	kind    jsonKind
	pos     int
	text    string // string, number literal, "true" or "false"
	items   []*value
	members []member
}

type member struct {
	name  string
	value *value
}

// get is the member of that name, or nil.
func (v *value) get(name string) *value {
	for _, m := range v.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// str is the text of a string member, or nil for none or another kind.
func (v *value) str(name string) *string {
	if m := v.get(name); m != nil && m.kind == jsonString {
		return &m.text
	}
	return nil
}

// jsonReader reads a schema text's JSON. Comments are allowed, as Avro-Java
// allows them.
type jsonReader struct {
	text  string
	clean []byte // text with its comments blanked
	dec   *json.Decoder
}

// readJSON reads one value that fills the text.
func readJSON(text string) (*value, error) {
	clean, err := blankComments(text)
	if err != nil {
		return nil, err
	}
	r := &jsonReader{text: text, clean: clean, dec: json.NewDecoder(bytes.NewReader(clean))}
	r.dec.UseNumber()
	v, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if end := strings.TrimSpace(string(clean[r.dec.InputOffset():])); end != "" {
		return nil, fault(text, r.next(), "text after the end of the schema: %s", schema.Preview([]byte(end)))
	}
	return v, nil
}

// next is the position of the next token.
func (r *jsonReader) next() int {
	pos := int(r.dec.InputOffset())
	for pos < len(r.clean) && strings.IndexByte(" \t\r\n,:", r.clean[pos]) >= 0 {
		pos++
	}
	return pos
}

func (r *jsonReader) value(depth int) (*value, error) {
	pos := r.next()
	tok, err := r.dec.Token()
	if err != nil {
		return nil, r.broken(err)
	}
	if depth > maxJSONDepth {
		return nil, fault(r.text, pos, "nested deeper than %d levels", maxJSONDepth)
	}
	v := &value{pos: pos}
	switch t := tok.(type) {
	case nil:
	case bool:
		v.kind, v.text = jsonBool, fmt.Sprint(t)
	case json.Number:
		v.kind, v.text = jsonNumber, t.String()
	case string:
		v.kind, v.text = jsonString, t
	case json.Delim:
		if t == '[' {
			return v, r.array(v, depth)
		}
		return v, r.object(v, depth)
	}
	return v, nil
}

func (r *jsonReader) array(v *value, depth int) error {
	v.kind = jsonArray
	for r.dec.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		v.items = append(v.items, item)
	}
	return r.end()
}

func (r *jsonReader) object(v *value, depth int) error {
	v.kind = jsonObject
	at := make(map[string]int)
	for r.dec.More() {
		name, err := r.dec.Token()
		if err != nil {
			return r.broken(err)
		}
		val, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		key, _ := name.(string) // the decoder gives no other key
		if i, ok := at[key]; ok {
			v.members[i].value = val
			continue
		}
		at[key] = len(v.members)
		v.members = append(v.members, member{key, val})
	}
	return r.end()
}

func (r *jsonReader) end() error {
	if _, err := r.dec.Token(); err != nil {
		return r.broken(err)
	}
	return nil
}

// broken turns the JSON decoder's error into one with a place. The decoder's
// own offset counts from different points, so the text is checked once more.
func (r *jsonReader) broken(err error) error {
	var whole json.RawMessage
	syntax, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(r.clean, &whole))
	switch {
	case !ok:
		return fault(r.text, r.next(), "no JSON: %s", err)
	case int(syntax.Offset) >= len(r.clean) && strings.Contains(syntax.Error(), "unexpected end"):
		return fault(r.text, len(r.text), "no JSON: the text ends too early")
	}
	return fault(r.text, int(syntax.Offset)-1, "no JSON: %s", syntax)
}

// maxMessage bounds a message in bytes: it may repeat a type or a default.
const maxMessage = 1000

// fault is a ParseError at a position of the text.
func fault(text string, pos int, format string, args ...any) *schema.ParseError {
	pos = max(0, min(pos, len(text)))
	before := text[:pos]
	msg := fmt.Sprintf(format, args...)
	if len(msg) > maxMessage {
		msg = strings.ToValidUTF8(msg[:maxMessage], "") + "..."
	}
	return &schema.ParseError{
		Line:   1 + strings.Count(before, "\n"),
		Column: 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:])),
		Msg:    msg,
	}
}

// blankComments replaces /* */ and // comments by spaces, so that positions stay.
func blankComments(text string) ([]byte, error) {
	b := []byte(text)
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case b[i] == '/' && i+1 < len(b) && b[i+1] == '/':
			for ; i < len(b) && b[i] != '\n'; i++ {
				b[i] = ' '
			}
		case b[i] == '/' && i+1 < len(b) && b[i+1] == '*':
			n := bytes.Index(b[i+2:], []byte("*/"))
			if n < 0 {
				return nil, fault(text, i, "no JSON: a comment without end")
			}
			for end := i + 2 + n + 2; i < end; i++ {
				if b[i] != '\n' {
					b[i] = ' '
				}
			}
			i--
		}
	}
	return b, nil
}
