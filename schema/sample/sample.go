// Package sample proposes a schema for JSON that has none: it looks at documents and
// writes the schema that all of them fit, as JSON Schema or Avro. It is a proposal
// for people to read and change: a hundred documents do not say what the next holds.
package sample

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/tarn-io/tarn/schema"
)

// Limits of what is remembered of documents.
const (
	// maxNodes bounds the places that documents have between them: what comes beyond
	// them is not looked at, and may be anything.
	maxNodes = 20_000
	// maxNames bounds the names of one object. With more, they are keys of a map.
	maxNames = 500
	// maxValues bounds the texts that one place may be limited to by an enum, each of
	// at most maxValueBytes.
	maxValues     = 20
	maxValueBytes = 64
	// minRepeats is how often each text of an enum must have been seen on average: a
	// text that repeats is more likely one of a few.
	minRepeats = 5
	// mapNames is from how many names on an object may be a map, if most objects have
	// few of them.
	mapNames = 30
)

// Documents are JSON values that were looked at. The zero value holds none. Not safe
// for concurrent use.
type Documents struct {
	root  node
	nodes int
	count int
}

// node is one place in documents: the whole, a property, the items of an array.
type node struct {
	seen                                           int
	nulls, bools, ints, floats, texts, lists, maps int

	formats formatSet      // that all texts have had so far
	values  map[string]int // texts and how often; nil beyond maxValues
	long    bool           // more or longer texts than values may hold
	items   *node
	props   map[string]*node
	names   []string // of props, as they were first seen
	rest    *node    // what stands under names beyond maxNames
	blind   bool     // what is below is not looked at
}

// Count is how many documents were looked at.
func (d *Documents) Count() int { return d.count }

// Add looks at one document. The error says why it is no JSON, or nests too deep;
// what was looked at until then counts all the same.
func (d *Documents) Add(text []byte) error {
	r := json.NewDecoder(bytes.NewReader(text))
	r.UseNumber()
	if !json.Valid(text) {
		return errors.New("not JSON")
	}
	if err := d.value(r, &d.root, 0); err != nil {
		return err
	}
	if _, err := r.Token(); !errors.Is(err, io.EOF) {
		return errors.New("not one JSON value")
	}
	d.count++
	return nil
}

// value reads the next value into n; nil looks at nothing.
func (d *Documents) value(r *json.Decoder, n *node, depth int) error {
	if depth > schema.MaxDepth {
		return fmt.Errorf("nested deeper than %d levels", schema.MaxDepth)
	}
	t, err := r.Token()
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if n == nil {
		n = &node{blind: true}
	}
	n.seen++
	switch t := t.(type) {
	case nil:
		n.nulls++
	case bool:
		n.bools++
	case json.Number:
		n.number(t.String())
	case string:
		n.text(t)
	case json.Delim:
		if t == '[' {
			n.lists++
			return d.list(r, n, depth)
		}
		n.maps++
		return d.object(r, n, depth)
	}
	return nil
}

func (d *Documents) list(r *json.Decoder, n *node, depth int) error {
	for r.More() {
		if n.items == nil {
			n.items = d.place(n)
		}
		if err := d.value(r, n.items, depth+1); err != nil {
			return err
		}
	}
	_, err := r.Token()
	return err
}

func (d *Documents) object(r *json.Decoder, n *node, depth int) error {
	for r.More() {
		t, err := r.Token()
		if err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		name, _ := t.(string)
		at := n.props[name]
		switch {
		case at != nil:
		case len(n.names) >= maxNames:
			if n.rest == nil {
				n.rest = d.place(n)
			}
			at = n.rest
		default:
			if at = d.place(n); at == nil {
				break
			}
			if n.props == nil {
				n.props = make(map[string]*node)
			}
			n.props[name] = at
			n.names = append(n.names, name)
		}
		if err := d.value(r, at, depth+1); err != nil {
			return err
		}
	}
	_, err := r.Token()
	return err
}

// place makes a node below n, nil if there are enough.
func (d *Documents) place(n *node) *node {
	if n.blind || d.nodes >= maxNodes {
		n.blind = true
		return nil
	}
	d.nodes++
	return &node{}
}

// number counts a whole number that 64 bits hold as an integer, all else as a number.
func (n *node) number(text string) {
	if i, ok := new(big.Int).SetString(text, 10); ok && i.IsInt64() {
		n.ints++
	} else {
		n.floats++
	}
}

func (n *node) text(s string) {
	if n.texts++; n.texts == 1 {
		n.formats = allFormats
	}
	n.formats &= formatsOf(s)
	switch {
	case n.long:
	case len(s) > maxValueBytes || n.values[s] == 0 && len(n.values) >= maxValues:
		n.values, n.long = nil, true
	default:
		if n.values == nil {
			n.values = make(map[string]int)
		}
		n.values[s]++
	}
}

// formatSet is a set of formats that JSON Schema names and decoders check.
type formatSet uint8

const (
	formatDateTime formatSet = 1 << iota
	formatDate
	formatTime
	formatUUID

	allFormats = formatDateTime | formatDate | formatTime | formatUUID
)

// name is the one format of a set; "" if it has none. No text has two.
func (f formatSet) name() string {
	switch f {
	case formatDateTime:
		return "date-time"
	case formatDate:
		return "date"
	case formatTime:
		return "time"
	case formatUUID:
		return "uuid"
	}
	return ""
}

// formatsOf says which formats a text has (RFC 3339; RFC 9562). Go takes a comma for
// a decimal point, decoders do not.
func formatsOf(s string) formatSet {
	fits := func(layout string) bool {
		_, err := time.Parse(layout, s)
		return err == nil
	}
	switch {
	case len(s) < len("15:04:05Z") || len(s) > 36 || strings.Contains(s, ","):
	case isUUID(s):
		return formatUUID
	case fits(time.RFC3339Nano):
		return formatDateTime
	case fits(time.DateOnly):
		return formatDate
	case fits("15:04:05Z07:00"):
		return formatTime
	}
	return 0
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
		if dash != (c == '-') || !dash && !hex {
			return false
		}
	}
	return true
}
