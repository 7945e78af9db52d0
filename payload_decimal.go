package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/avro"
)

// decimals shows the decimals of a schema as numbers, exact to the last digit. Avro's own
// JSON has their bytes as text, which nobody can read ("\u0001" is 0.01 of scale 2).
// nil has none. It may be used concurrently.
type decimals struct {
	root  *avro.SchemaNode
	named map[string]*avro.SchemaNode
}

// decimalsOf finds the decimals of a schema, nil if it has none.
func decimalsOf(s *avro.Schema) *decimals {
	d := &decimals{root: s.Root().ExpandReferences(), named: map[string]*avro.SchemaNode{}}
	if !d.find(d.root) {
		return nil
	}
	return d
}

// find remembers named types, and reports whether there is a decimal in one.
func (d *decimals) find(n *avro.SchemaNode) (found bool) {
	if n == nil {
		return false
	}
	if n.Name != "" {
		d.named[fullName(n)] = n
		// A reference may leave the namespace away, in which another type of that name
		// may be too.
		if was, ok := d.named[n.Name]; !ok || was == n {
			d.named[n.Name] = n
		} else if n.Name != fullName(n) {
			d.named[n.Name] = nil
		}
	}
	for _, f := range n.Fields {
		found = d.find(&f.Type) || found
	}
	for i := range n.Branches {
		found = d.find(&n.Branches[i]) || found
	}
	return d.find(n.Items) || d.find(n.Values) || found || isDecimal(n)
}

func fullName(n *avro.SchemaNode) string {
	if n.Namespace == "" || strings.Contains(n.Name, ".") {
		return n.Name
	}
	return n.Namespace + "." + n.Name
}

func isDecimal(n *avro.SchemaNode) bool {
	return n.LogicalType == "decimal" && (n.Type == "bytes" || n.Type == "fixed")
}

// show replaces the bytes of decimals in Avro's JSON, unions bare, by numbers.
func (d *decimals) show(text json.RawMessage) (json.RawMessage, error) {
	if d == nil {
		return text, nil
	}
	return d.each(d.root, text, "", func(n *avro.SchemaNode, text json.RawMessage, _ string) (json.RawMessage, error) {
		raw, ok := avroBytes(text)
		if !ok {
			return text, nil
		}
		return []byte(decimalText(raw, n.Scale)), nil
	})
}

// numeral is a text that could be meant as a number.
var numeral = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// check refuses a decimal written as a text of digits: Avro's JSON takes it for bytes,
// by which "0.01" of scale 2 is 8083481.29.
func (d *decimals) check(text json.RawMessage) error {
	if d == nil {
		return nil
	}
	_, err := d.each(d.root, text, "", func(_ *avro.SchemaNode, text json.RawMessage, at string) (json.RawMessage, error) {
		var s string
		if json.Unmarshal(text, &s) == nil && numeral.MatchString(s) {
			return nil, fmt.Errorf("field %s: the text %q stands for a decimal's bytes: write the number, without quotation marks", strings.TrimPrefix(at, "."), s)
		}
		return text, nil
	})
	return err
}

// each calls do for the decimals in a text, and puts what it gives in their places. What
// does not fit the schema stays as it is: whoever encodes it says so.
func (d *decimals) each(n *avro.SchemaNode, text json.RawMessage, at string, do func(*avro.SchemaNode, json.RawMessage, string) (json.RawMessage, error)) (json.RawMessage, error) {
	text = bytes.TrimSpace(text)
	if n = d.branch(n, text); n == nil || len(text) == 0 {
		return text, nil
	}
	switch first := text[0]; {
	case first == '"' && isDecimal(n):
		return do(n, text, at)
	case first == '{' && (n.Type == "record" || n.Type == "error" || n.Type == "map"):
		return d.members(n, text, at, do)
	case first == '[' && n.Type == "array":
		var items []json.RawMessage
		if err := json.Unmarshal(text, &items); err != nil {
			return text, nil
		}
		out := []byte{'['}
		for i, item := range items {
			if i > 0 {
				out = append(out, ',')
			}
			item, err := d.each(n.Items, item, fmt.Sprintf("%s[%d]", at, i), do)
			if err != nil {
				return nil, err
			}
			out = append(out, item...)
		}
		return append(out, ']'), nil
	}
	return text, nil
}

// members is each for what is in a record or a map, in the order of the text.
func (d *decimals) members(n *avro.SchemaNode, text json.RawMessage, at string, do func(*avro.SchemaNode, json.RawMessage, string) (json.RawMessage, error)) (json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return text, nil
	}
	var out bytes.Buffer
	names := json.NewEncoder(&out)
	names.SetEscapeHTML(false)
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err == nil {
			err = dec.Decode(&value)
		}
		key, isText := name.(string)
		if err != nil || !isText {
			return text, nil
		}
		if value, err = d.each(memberType(n, key), value, at+"."+key, do); err != nil {
			return nil, err
		}
		if out.Len() == 0 {
			out.WriteByte('{')
		} else {
			out.WriteByte(',')
		}
		if err := names.Encode(key); err != nil {
			return nil, err
		}
		out.Truncate(out.Len() - 1) // the end of the line
		out.WriteByte(':')
		out.Write(value)
	}
	if out.Len() == 0 {
		return text, nil
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// memberType is the type of a record's field, or of all values of a map; nil for a field
// that the record has not.
func memberType(n *avro.SchemaNode, key string) *avro.SchemaNode {
	if n.Type == "map" {
		return n.Values
	}
	for i := range n.Fields {
		if n.Fields[i].Name == key || slices.Contains(n.Fields[i].Aliases, key) {
			return &n.Fields[i].Type
		}
	}
	return nil
}

// branch is the type that a text is of: what a name stands for, and of a union the only
// one that such a text can be, nil where there are several or none.
func (d *decimals) branch(n *avro.SchemaNode, text json.RawMessage) *avro.SchemaNode {
	if n == nil || len(text) == 0 {
		return nil
	}
	if n = d.resolved(n); n == nil || n.Type != "union" {
		return n
	}
	var fits *avro.SchemaNode
	for i := range n.Branches {
		b := d.resolved(&n.Branches[i])
		if b == nil {
			return nil
		}
		if !mayBe(b, text) {
			continue
		}
		if fits != nil {
			return nil
		}
		fits = b
	}
	return fits
}

// resolved is the type that a name stands for; nil where two have it.
func (d *decimals) resolved(n *avro.SchemaNode) *avro.SchemaNode {
	if to, ok := d.named[n.Type]; ok {
		return to
	}
	return n
}

// mayBe reports whether a text may be of a type that is no union. An object may be a
// record that has all its members as fields.
func mayBe(n *avro.SchemaNode, text json.RawMessage) bool {
	switch n.Type {
	case "string", "bytes", "fixed", "enum":
		return text[0] == '"'
	case "array":
		return text[0] == '['
	case "map":
		return text[0] == '{'
	case "record", "error":
		var members map[string]json.RawMessage
		if text[0] != '{' || json.Unmarshal(text, &members) != nil {
			return false
		}
		for key := range members {
			if memberType(n, key) == nil {
				return false
			}
		}
		return true
	}
	return false
}

// avroBytes are the bytes that a text of Avro's JSON stands for, a byte a character.
func avroBytes(text json.RawMessage) ([]byte, bool) {
	var s string
	if json.Unmarshal(text, &s) != nil {
		return nil, false
	}
	var out []byte
	for _, r := range s {
		if r > 0xff {
			return nil, false
		}
		out = append(out, byte(r))
	}
	return out, true
}

// decimalText is a decimal of big-endian two's complement bytes as a number with scale
// digits behind the point (Avro specification, Decimal).
func decimalText(raw []byte, scale int) string {
	v := new(big.Int).SetBytes(raw)
	if len(raw) > 0 && raw[0]&0x80 != 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(len(raw))*8))
	}
	digits, sign := v.String(), ""
	if v.Sign() < 0 {
		digits, sign = digits[1:], "-"
	}
	if scale <= 0 {
		return sign + digits
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale+1-len(digits)) + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}
