package avro

import (
	"slices"
	"strings"
)

type kind uint8

const (
	kindNull kind = iota
	kindBoolean
	kindInt
	kindLong
	kindFloat
	kindDouble
	kindBytes
	kindString
	kindRecord
	kindEnum
	kindArray
	kindMap
	kindFixed
	kindUnion
	kindRef // a name not looked up yet; none is left after parsing
)

// kindNames are the words of the Avro specification, by kind.
func kindName(k kind) string {
	return [...]string{"null", "boolean", "int", "long", "float", "double", "bytes", "string",
		"record", "enum", "array", "map", "fixed", "union", "reference"}[k]
}

// primitive finds the kind of a primitive type's name.
func primitive(name string) (kind, bool) {
	for k := kindNull; k <= kindString; k++ {
		if kindName(k) == name {
			return k, true
		}
	}
	return 0, false
}

// fullName is a named type's name and its namespace, "" for none.
type fullName struct {
	name, space string
}

// newName reads a name as the specification says: what stands before the last
// dot is the namespace and goes before the one given.
func newName(name, space string) fullName {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return fullName{name: name[i+1:], space: name[:i]}
	}
	return fullName{name: name, space: space}
}

func (n fullName) String() string {
	if n.space == "" {
		return n.name
	}
	return n.space + "." + n.name
}

// within is how a schema text inside namespace space refers to the name: short
// where it can be, but in full where a bare word would mean a built-in type.
func (n fullName) within(space string) string {
	if n.space != "" && n.space == space && !builtIn(n.name) {
		return n.name
	}
	return n.String()
}

func builtIn(name string) bool {
	for k := kindNull; k < kindRef; k++ {
		if kindName(k) == name {
			return true
		}
	}
	return false
}

// typ is a type of the syntax tree. A named type is one node, wherever it is
// referred to, so the tree of a recursive schema is a graph.
type typ struct {
	kind    kind
	pos     int      // in its text
	name    fullName // record, enum, fixed; kindRef: the name looked for
	isError bool     // a record written as "error"
	doc     *string
	aliases []fullName
	fields  []*field
	symbols []string
	symbol  *string // an enum's default
	size    int     // fixed
	elem    *typ    // array's items, map's values
	types   []*typ  // union
	props   []member

	// The logical type, if it is one that fits the type; "" otherwise.
	logical          string
	precision, scale int
}

func (t *typ) named() bool {
	return t.kind == kindRecord || t.kind == kindEnum || t.kind == kindFixed
}

// fullName is the name by which a union tells its branches apart.
func (t *typ) fullName() string {
	if t.named() {
		return t.name.String()
	}
	return kindName(t.kind)
}

type field struct {
	name    string
	pos     int
	typ     *typ
	doc     *string
	dflt    *value // nil: none
	order   string // "ascending" is the default and not written
	aliases []string
	props   []member
}

// prop is a property's value, or nil.
func (t *typ) prop(name string) *value {
	i := slices.IndexFunc(t.props, func(m member) bool { return m.name == name })
	if i < 0 {
		return nil
	}
	return t.props[i].value
}
