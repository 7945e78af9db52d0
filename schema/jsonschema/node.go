package jsonschema

import (
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// mask is a set of JSON types. An integer is a number without a fraction,
// however it is written; a mask with number holds integer as well.
type mask uint8

const (
	isNull mask = 1 << iota
	isBool
	isInteger
	isNumber
	isString
	isArray
	isObject

	anyType   = isNull | isBool | isInteger | isNumber | isString | isArray | isObject
	container = isArray | isObject
)

// kind is the form that a value takes in columns.
type kind uint8

const (
	kindNone    kind = iota // no column: the value is only checked
	kindBool                // bool
	kindInt64               // int64
	kindFloat64             // float64
	kindDecimal             // decimal128(38, scale)
	kindString              // utf8
	kindMicros              // timestamp or time64 in microseconds, by format
	kindDays                // date32, by format
	kindList                // list
	kindStruct              // struct, or the row itself
	kindMap                 // map<utf8, …>
	kindText                // utf8: the value's JSON text
	kindUnion               // struct of nullable branches
)

// node is one place of a compiled schema: what a value there must keep, and the
// column that takes it. Nodes form a graph, since schemas may refer to
// themselves; those with a column form a tree. A node is immutable once
// compiled.
type node struct {
	kind  kind
	types mask
	never bool // the schema is false
	open  bool // an object at or below this node may have what no column names

	quick     quick // the short way that most values take
	quickNull bool  // null has a short way too
	// Items of an array, and entries of a map, have a short way, and nothing else is
	// asked of them one by one.
	quickItems, quickEntries bool

	low, high int64 // of quickInt

	scale    int  // of decimals
	nullable bool // null is accepted before all else
	guarded  bool // but after the checks

	checks *checks // what reads the value once more, nil for most nodes
	enum   *enum

	// strings
	format         format
	minLen, maxLen int // characters; maxLen < 0: none
	pattern        *program
	program        int // its instructions

	// numbers
	bounded                          bool // any of the following
	min, max, above, below, multiple *limit

	// arrays
	items              *node
	minItems, maxItems int
	unique             bool
	contains           *contains // nil for most

	// objects
	props              []property
	index              map[string]int
	required           []uint64 // a bit for each required property
	filled             []uint64 // a bit for each property with a column
	other              *node    // checks what is not among the properties
	minProps, maxProps int
	free               bool // values beyond the properties go to kafka_extra
	width              int  // the columns below an object or a union, at least the properties

	union *union
}

// property is one member that a schema names, in the order of its text. One that
// it only requires has no node of its own: it is checked as any other member.
type property struct {
	name  string
	bytes []byte // the name again
	wire  string // the name as it mostly stands in payloads: "name":
	node  *node
	col   int  // the child column, or -1
	quick bool // the member has a short way, see usual
}

// checks are the parts of a schema that look at a value as a whole, each reading
// it once more.
type checks struct {
	slow   *js.Schema // the library checks all of the value
	quick  *js.Schema // with slow: what refuses all that slow accepts, nil without one
	gauge  *gauge     // with slow: copied to count the library's steps
	any    *node      // with slow: what reads the value before
	levels int        // with slow: how deep the value may nest
	all    []*node
	alts   []alternative
	not    []*node
	cond   []condition
}

// contains is how many items match a schema; max < 0: any number.
type contains struct {
	of       *node
	min, max int
}

// alternative is anyOf, or oneOf if exactly one member may match.
type alternative struct {
	one bool
	of  []*node
}

// condition is if, then and else; the last two may be nil.
type condition struct {
	test, then, other *node
}

// union is a value that takes one of several forms: alt says which, fill is the
// form of each member in columns (nil for null).
type union struct {
	alt  alternative
	fill []*node
	cols []int // the child column of each member, or -1
}

// enum is the set of scalar values that enum or const allow.
type enum struct {
	null, yes, no bool
	strings       []string
	numbers       []*limit
	byText        map[string]bool // the strings, if they are many
	sorted        []*limit        // the numbers, if they are many
}

// manyValues is how many strings or numbers of an enum are compared one by one.
const manyValues = 8

// arrange prepares the search among many values.
func (e *enum) arrange() {
	if len(e.strings) > manyValues {
		e.byText = make(map[string]bool, len(e.strings))
		for _, s := range e.strings {
			e.byText[s] = true
		}
	}
	if len(e.numbers) > manyValues {
		e.sorted = slices.SortedFunc(slices.Values(e.numbers), func(a, b *limit) int { return a.dec.cmp(&b.dec) })
	}
}

// newNode is a node that accepts everything.
func newNode() *node {
	return &node{types: anyType, maxLen: -1, maxItems: -1, maxProps: -1}
}
