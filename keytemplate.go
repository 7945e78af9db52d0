package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// keyTemplate is a text with places that are filled in for each record: {n} is its
// number, {n:100} the number's remainder by 100, {user.id} a field of its value.
type keyTemplate []keyPart

// keyPart is a piece of text, or a place.
type keyPart struct {
	text  string
	field []string // the way to a field
	count bool     // the record's number
	of    int64    // its remainder by this, unless 0
}

// parseKeyTemplate reads a template; braces that are meant as such are doubled.
func parseKeyTemplate(text string) (keyTemplate, error) {
	var out keyTemplate
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			out = append(out, keyPart{text: plain.String()})
			plain.Reset()
		}
	}
	for len(text) > 0 {
		if two := text[:min(2, len(text))]; two == "{{" || two == "}}" {
			plain.WriteByte(text[0])
			text = text[2:]
			continue
		}
		if text[0] != '{' {
			plain.WriteByte(text[0])
			text = text[1:]
			continue
		}
		inside, rest, ok := strings.Cut(text[1:], "}")
		if !ok || inside == "" {
			return nil, fmt.Errorf("%q has a brace that is not closed or has nothing in it: places are {n}, {n:100} and {FIELD}; a brace itself is {{", text)
		}
		flush()
		part, err := parseKeyPart(inside)
		if err != nil {
			return nil, err
		}
		out, text = append(out, part), rest
	}
	flush()
	return out, nil
}

func parseKeyPart(inside string) (keyPart, error) {
	of, bounded := strings.CutPrefix(inside, "n:")
	switch {
	case inside == "n":
		return keyPart{count: true}, nil
	case bounded:
		n, err := strconv.ParseInt(of, 10, 64)
		if err != nil || n < 1 {
			return keyPart{}, fmt.Errorf("{%s}: %q is no number above 0", inside, of)
		}
		return keyPart{count: true, of: n}, nil
	}
	return keyPart{field: strings.Split(inside, ".")}, nil
}

// fill makes the key of the record with a number, whose value is a document.
func (k keyTemplate) fill(n int64, doc json.RawMessage) ([]byte, error) {
	var b []byte
	for _, p := range k {
		switch {
		case p.count && p.of > 0:
			b = strconv.AppendInt(b, n%p.of, 10)
		case p.count:
			b = strconv.AppendInt(b, n, 10)
		case p.field != nil:
			text, err := fieldOf(doc, p.field)
			if err != nil {
				return nil, err
			}
			b = append(b, text...)
		default:
			b = append(b, p.text...)
		}
	}
	return b, nil
}

// fieldOf is a field of a document as text: strings without quotes, all else as JSON.
func fieldOf(doc json.RawMessage, path []string) (string, error) {
	for i, name := range path {
		var fields map[string]json.RawMessage
		if json.Unmarshal(doc, &fields) != nil || fields[name] == nil {
			return "", fmt.Errorf("the value has no field %q", strings.Join(path[:i+1], "."))
		}
		doc = fields[name]
	}
	var text string
	if json.Unmarshal(doc, &text) == nil && !bytes.Equal(doc, []byte("null")) {
		return text, nil
	}
	return string(doc), nil
}
