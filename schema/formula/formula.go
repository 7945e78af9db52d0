// Package formula computes columns of a table from its other columns: a small part
// of SQL's expressions, typed before the first row, with a bounded cost for each.
//
//	day = date(kafka_timestamp), eur = amount * 0.92, country = address.country
//
// Null makes null, but in coalesce, if, is null and is not null. What cannot be
// computed of a row's values (a division by zero, a text that is no date) is an
// error of that row.
package formula

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

// Limits, so that what a row costs is bounded by its own size.
const (
	// MaxFormulas bounds the formulas of a table.
	MaxFormulas = 32
	// maxText bounds the text of all of them, in bytes.
	maxText = 8 << 10
	// maxNodes bounds the operations, names and values of one.
	maxNodes = 128
	// maxDepth bounds its nesting.
	maxDepth = 32
	// maxBytes bounds a text that is computed, in bytes.
	maxBytes = 1 << 20
)

// Formula is a column with how it is computed. It is immutable.
type Formula struct {
	Name string
	root *node
}

// Source finds a column: its type in the table, and where rows have its values; a
// nil column is null in every row. An error says that there is none of the name.
type Source func(path []string) (arrow.DataType, *schema.Column, error)

// Program is a formula that is ready to compute values of one set of rows. It is
// not safe for concurrent use.
type Program struct {
	// Field is the column that it fills.
	Field arrow.Field
	copy  *schema.Column // of formulas that are a name; nil with eval nil: always null
	eval  eval
	kind  kind
	room  room
}

// Compile types a formula. An error says what does not fit, in words for who wrote
// the formula.
func (f Formula) Compile(from Source) (*Program, error) {
	p := &Program{Field: arrow.Field{Name: f.Name, Nullable: true}}
	if f.root.op == opName {
		t, c, err := from(f.root.path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		p.Field.Type, p.copy = t, c
		if c != nil {
			p.Field.Type = c.Field().Type // narrower than the table's, perhaps
		}
		return p, nil
	}
	c := compiler{from: from}
	var err error
	if p.kind, p.eval, err = c.compile(f.root); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	if p.kind == kindNull {
		return nil, fmt.Errorf("%s: null has no type: use cast(null as long)", f.Name)
	}
	p.Field.Type = p.kind.arrow()
	return p, nil
}

// Append computes the value for the i-th row and appends it to a column of
// Field's type. After an error nothing is appended. The error is a *schema.Invalid.
func (p *Program) Append(i int, to *schema.Column) error {
	if p.eval == nil {
		if p.copy == nil {
			to.Null()
		} else {
			to.Copy(p.copy, i)
		}
		return nil
	}
	p.room.row, p.room.bytes = i, p.room.bytes[:0]
	v, err := p.eval(&p.room)
	if err != nil {
		return &schema.Invalid{Path: "$", Expected: "a value for column " + p.Field.Name + " (tarn.table.generated)", Found: err.Error(), Pos: -1}
	}
	switch {
	case v.null:
		to.Null()
	case p.kind == kindBool:
		to.Bool(v.i != 0)
	case p.kind == kindLong, p.kind == kindTime:
		to.Int64(v.i)
	case p.kind == kindDate:
		to.Int32(int32(v.i))
	case p.kind == kindDouble:
		to.Float64(v.f)
	default:
		to.Bytes(v.s)
	}
	return nil
}

// kind is the type of a value while it is computed.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindLong
	kindDouble
	kindText
	kindBytes
	kindDate // days since 1970
	kindTime // microseconds since 1970, UTC
)

// words name the kinds as tables do, and as cast does.
var words = [...]string{"null", "boolean", "long", "double", "string", "binary", "date", "timestamp"}

func (k kind) String() string { return words[k] }

func (k kind) arrow() arrow.DataType {
	switch k {
	case kindBool:
		return arrow.FixedWidthTypes.Boolean
	case kindLong:
		return arrow.PrimitiveTypes.Int64
	case kindDouble:
		return arrow.PrimitiveTypes.Float64
	case kindText:
		return arrow.BinaryTypes.String
	case kindDate:
		return arrow.FixedWidthTypes.Date32
	case kindTime:
		return &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	}
	return arrow.BinaryTypes.Binary
}

// value is what an operation gives; which field counts is told by its kind.
type value struct {
	null bool
	i    int64
	f    float64
	s    []byte // good until the next row
}

var null = value{null: true}

// room is where one row's values are computed.
type room struct {
	row   int
	bytes []byte // texts that were computed
}

// eval computes a value.
type eval func(*room) (value, error)

// Parse reads a list of formulas. Errors say what was expected, and where.
func Parse(text string) ([]Formula, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("is longer than %d bytes", maxText)
	}
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	p := parser{text: text}
	if err := p.next(); err != nil {
		return nil, err
	}
	var out []Formula
	for {
		f, err := p.formula()
		if err != nil {
			return nil, err
		}
		for _, other := range out {
			if strings.EqualFold(other.Name, f.Name) {
				return nil, fmt.Errorf("column %s stands there twice", f.Name)
			}
		}
		if out = append(out, f); len(out) > MaxFormulas {
			return nil, fmt.Errorf("at most %d columns", MaxFormulas)
		}
		if p.tok.kind == tokEnd {
			return out, nil
		}
		if !p.is(",") {
			return nil, p.expected("a comma, or an operator")
		}
		if err := p.next(); err != nil {
			return nil, err
		}
	}
}

// formula reads one: a name, an equals sign and an expression.
func (p *parser) formula() (Formula, error) {
	if p.tok.kind != tokName && p.tok.kind != tokQuoted {
		return Formula{}, p.expected("a column's name")
	}
	f := Formula{Name: p.tok.text}
	if schema.ColumnName(f.Name) != f.Name {
		return f, fmt.Errorf("column %s: names that begin with kafka_ are the table's own", f.Name)
	}
	if strings.ContainsAny(f.Name, ".\x00") || f.Name == "" {
		return f, fmt.Errorf("%q is no column's name", f.Name)
	}
	if err := p.next(); err != nil {
		return f, err
	}
	if !p.is("=") {
		return f, p.expected("= after the column's name")
	}
	if err := p.next(); err != nil {
		return f, err
	}
	p.nodes = 0
	var err error
	f.root, err = p.expr(0)
	return f, err
}

// Names lists the columns that a formula names.
func (f Formula) Names() []string {
	var out []string
	var walk func(*node)
	walk = func(n *node) {
		if n.op == opName {
			out = append(out, n.path[0])
		}
		for _, k := range n.kids {
			walk(k)
		}
	}
	walk(f.root)
	return out
}

var errLarge = errors.New("a text that is too large")
