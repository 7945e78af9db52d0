package avro

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tarn-io/tarn/schema"
)

// op is what a node of the program does with the payload at its place.
type op uint8

const (
	opNull op = iota
	opBool
	opInt       // int32 and date
	opLong      // int64, and timestamps in the column's unit
	opMillis    // long milliseconds to microseconds
	opNanos     // local long nanoseconds to microseconds
	opTimeMilli // int milliseconds of the day to microseconds
	opTimeMicro
	opFloat
	opDouble
	opBytes
	opString
	opEnum
	opFixed
	opDuration
	opDecimal    // bytes, or fixed if size > 0
	opBigDecimal // the same with more digits than decimal128 holds, as text
	opRecord
	opArray
	opMap
	opNullable // union of one type, or of null and one type
	opBranch   // one branch of opUnion
	opKey      // key of a map
	opTop      // around a schema that is no record
	opUnion    // struct of branches
	opBack     // a type inside itself: JSON text

	// Steps of a resolved decoder alone, see resolve.go.
	opTo      // a writer's record into the reader's
	opFrom    // a writer's union
	opInto    // a value into a branch of the reader's union
	opPromote // a value of a narrower type
	opSymbols // an enum, by the reader's symbols
	opNever   // what does not resolve
)

// node is one step of a compiled decoder. Nodes form a tree like the columns;
// only opBack points back up.
type node struct {
	op    op
	kids  []*node
	names []string // of a record's fields, a union's branches, an enum's symbols
	typ   *typ     // for messages and JSON text
	size  int      // bytes of a fixed; branches of opNullable
	null  int      // opNullable, opUnion: the index of null, or -1
	first int      // the child column that the first kid fills

	precision, scale int
	limit            decimal128.Num // 10^precision
	bigLimit         *big.Int

	levels int // opBack: how much deeper in the payload its target is
	min    int // the least bytes a value takes
	item   int // opArray, opMap: the least bytes an item takes
	cost   int // bytes that a value fills in columns before its content
	text   int // bytes that a value fills in JSON text before its content

	steps    []step    // opTo: what becomes of each kid
	fillings []filling // opTo: what the writer lacks
	top      bool      // opTo: it fills the row, which ends itself
	from     kind      // opPromote
	known    []bool    // opSymbols: whether the reader has one
}

// step says where a field of the writer goes.
type step struct {
	column int    // in the reader's record; -1: it is left out
	name   string // the reader's
	again  bool   // the field before once more, for another column
}

// maxDigits bounds a decimal's precision, since telling digits takes time in
// the square of their number.
const maxDigits = 1000

// compiler turns a type into nodes and Arrow types.
type compiler struct {
	open   []frame // the named types around
	leaves int
	backs  []*node
	check  bool // no columns are wanted: what has no table form is fine
}

type frame struct {
	typ   *typ
	node  *node
	depth int
}

// compile makes the decoder, or says why the schema has no table form.
func compile(t *typ) (*decoder, error) {
	c := &compiler{}
	root := &node{}
	at, nullable, err := c.node(root, t, 0)
	if err != nil {
		return nil, err
	}
	var fields []arrow.Field
	if st, ok := at.(*arrow.StructType); ok && t.kind == kindRecord {
		fields = st.Fields()
	} else {
		fields = []arrow.Field{{Name: "value", Type: at, Nullable: nullable}}
		root = &node{op: opTop, kids: []*node{root}}
	}
	named := arrow.NewSchema(fields, nil)
	columns := schema.WithoutAliases(named)
	if err := schema.CheckColumns(columns); err != nil {
		return nil, err
	}
	measure(root, c.backs)
	return &decoder{root: root, columns: columns, named: named}, nil
}

// compileCheck makes a decoder that has no columns and can only validate.
func compileCheck(t *typ) (*decoder, error) {
	c := &compiler{check: true}
	root := &node{}
	if _, _, err := c.node(root, t, 0); err != nil {
		return nil, err
	}
	if root.op != opRecord {
		root = &node{op: opTop, kids: []*node{root}}
	}
	measure(root, c.backs)
	return &decoder{root: root}, nil
}

// node fills n for a type and gives its column type.
func (c *compiler) node(n *node, t *typ, depth int) (arrow.DataType, bool, error) {
	if depth > schema.MaxDepth {
		return nil, false, fmt.Errorf("types nested deeper than %d levels have no table form", schema.MaxDepth)
	}
	n.typ = t
	switch t.kind {
	case kindRecord:
		return c.record(n, t, depth)
	case kindArray:
		n.op = opArray
		kid, nullable, err := c.kid(n, t.elem, depth)
		if err != nil {
			return nil, false, err
		}
		return arrow.ListOfField(arrow.Field{Name: "element", Type: kid, Nullable: nullable}), false, nil
	case kindMap:
		n.op, n.kids = opMap, []*node{{op: opKey}}
		kid, nullable, err := c.kid(n, t.elem, depth)
		if err != nil {
			return nil, false, err
		}
		m := arrow.MapOfFields(arrow.Field{Name: "key", Type: arrow.BinaryTypes.String}, arrow.Field{Name: "value", Type: kid, Nullable: nullable})
		return m, false, nil
	case kindUnion:
		return c.union(n, t, depth)
	}
	if c.leaves++; c.leaves > schema.MaxFields {
		return nil, false, fmt.Errorf("more than %d columns", schema.MaxFields)
	}
	at, err := c.leaf(n, t)
	return at, t.kind == kindNull, err
}

// branch adds the node of a union's branch: no level of its own.
func (c *compiler) branch(n *node, t *typ, depth int) (arrow.DataType, bool, error) {
	return c.kid(n, t, depth-1)
}

// kid adds the node of a type one level below n.
func (c *compiler) kid(n *node, t *typ, depth int) (arrow.DataType, bool, error) {
	k := &node{}
	n.kids = append(n.kids, k)
	return c.node(k, t, depth+1)
}

func (c *compiler) record(n *node, t *typ, depth int) (arrow.DataType, bool, error) {
	for _, f := range c.open {
		if f.typ.name == t.name {
			n.op, n.kids, n.levels = opBack, []*node{f.node}, depth-f.depth
			c.backs = append(c.backs, n)
			return arrow.BinaryTypes.String, false, nil
		}
	}
	if len(t.fields) == 0 && !c.check {
		return nil, false, fmt.Errorf("record %s has no fields and so no table form", t.name)
	}
	c.open = append(c.open, frame{t, n, depth})
	n.op = opRecord
	var fields []arrow.Field
	for _, f := range t.fields {
		at, nullable, err := c.kid(n, f.typ, depth)
		if err != nil {
			return nil, false, err
		}
		n.names = append(n.names, f.name)
		name, aliases := f.name, slices.Clone(f.aliases)
		if depth == 0 { // only there can it meet one of the table's own columns
			name = schema.ColumnName(name)
			for i := range aliases {
				aliases[i] = schema.ColumnName(aliases[i])
			}
		}
		fields = append(fields, schema.WithAliases(arrow.Field{Name: name, Type: at, Nullable: nullable}, aliases))
	}
	c.open = c.open[:len(c.open)-1]
	return arrow.StructOf(fields...), false, nil
}

// union makes a nullable type of a union with null, and a struct of nullable
// branches of one with more types than one beside null.
func (c *compiler) union(n *node, t *typ, depth int) (arrow.DataType, bool, error) {
	n.null = -1
	for i, b := range t.types {
		if b.kind == kindNull {
			n.null = i
		}
	}
	switch {
	case len(t.types) == 0:
		return nil, false, fmt.Errorf("an empty union has no values")
	case len(t.types) == 1:
		n.op, n.size, n.null = opNullable, 1, -1
		return c.branch(n, t.types[0], depth)
	case len(t.types) == 2 && n.null >= 0:
		n.op, n.size = opNullable, 2
		at, _, err := c.branch(n, t.types[1-n.null], depth)
		return at, true, err
	}
	n.op = opUnion
	names := branchNames(t.types)
	var fields []arrow.Field
	for i, b := range t.types {
		branch := &node{op: opBranch, names: names[i : i+1], first: len(fields)}
		n.kids = append(n.kids, branch)
		at, _, err := c.branch(branch, b, depth)
		if err != nil {
			return nil, false, err
		}
		if b.kind != kindNull {
			fields = append(fields, schema.WithAliases(arrow.Field{Name: names[i], Type: at, Nullable: true}, branchAliases(b, names[i])))
		}
	}
	return arrow.StructOf(fields...), n.null >= 0, nil
}

// branchNames names a union's branches by type: short, in full where two short
// names are the same.
func branchNames(types []*typ) []string {
	short := func(t *typ) string {
		if t.named() {
			return t.name.name
		}
		return kindName(t.kind)
	}
	count := make(map[string]int)
	for _, t := range types {
		count[short(t)]++
	}
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = short(t)
		if count[names[i]] > 1 {
			names[i] = t.fullName()
		}
	}
	return names
}

// branchAliases are the earlier names of a branch, as short or long as its own.
func branchAliases(t *typ, name string) []string {
	var out []string
	for _, a := range t.aliases {
		if name == t.name.name {
			out = append(out, a.name)
		} else {
			out = append(out, a.String())
		}
	}
	return out
}

// leaf sets the step and gives the column type of a type without types below.
func (c *compiler) leaf(n *node, t *typ) (arrow.DataType, error) {
	switch t.kind {
	case kindNull:
		n.op = opNull
		return arrow.BinaryTypes.String, nil
	case kindBoolean:
		n.op = opBool
		return arrow.FixedWidthTypes.Boolean, nil
	case kindInt:
		return intLeaf(n, t), nil
	case kindLong:
		return longLeaf(n, t), nil
	case kindFloat:
		n.op = opFloat
		return arrow.PrimitiveTypes.Float32, nil
	case kindDouble:
		n.op = opDouble
		return arrow.PrimitiveTypes.Float64, nil
	case kindString:
		n.op = opString
		return arrow.BinaryTypes.String, nil
	case kindEnum:
		n.op, n.names = opEnum, t.symbols
		return arrow.BinaryTypes.String, nil
	case kindBytes:
		if t.logical == "decimal" && !c.onlyBytes(t) {
			return decimalLeaf(n, t)
		}
		n.op = opBytes
		return arrow.BinaryTypes.Binary, nil
	}
	if c.check && (t.size == 0 || t.size > maxFixed) || c.onlyBytes(t) {
		n.op, n.size = opFixed, t.size
		return arrow.BinaryTypes.Binary, nil
	}
	return fixedLeaf(n, t)
}

// onlyBytes says that a decimal is checked as the bytes it lies in.
func (c *compiler) onlyBytes(t *typ) bool {
	return c.check && t.logical == "decimal" && t.precision > maxDigits
}

func intLeaf(n *node, t *typ) arrow.DataType {
	switch t.logical {
	case "date":
		n.op = opInt
		return arrow.FixedWidthTypes.Date32
	case "time-millis":
		n.op = opTimeMilli
		return arrow.FixedWidthTypes.Time64us
	}
	n.op = opInt
	return arrow.PrimitiveTypes.Int32
}

func longLeaf(n *node, t *typ) arrow.DataType {
	micros := &arrow.TimestampType{Unit: arrow.Microsecond}
	n.op = opLong
	switch t.logical {
	case "time-micros":
		n.op = opTimeMicro
		return arrow.FixedWidthTypes.Time64us
	case "timestamp-millis":
		n.op = opMillis
		return arrow.FixedWidthTypes.Timestamp_us
	case "timestamp-micros":
		return arrow.FixedWidthTypes.Timestamp_us
	case "timestamp-nanos":
		return arrow.FixedWidthTypes.Timestamp_ns
	case "local-timestamp-millis":
		n.op = opMillis
		return micros
	case "local-timestamp-micros":
		return micros
	case "local-timestamp-nanos":
		n.op = opNanos
		return micros
	}
	return arrow.PrimitiveTypes.Int64
}

func fixedLeaf(n *node, t *typ) (arrow.DataType, error) {
	n.size = t.size
	switch {
	case t.size == 0:
		return nil, fmt.Errorf("fixed %s of no bytes has no table form", t.name)
	case t.size > maxFixed:
		return nil, fmt.Errorf("fixed %s of %d bytes: no more than %d have a table form", t.name, t.size, maxFixed)
	case t.logical == "duration":
		n.op = opDuration
		var parts []arrow.Field
		for _, name := range []string{"months", "days", "millis"} {
			parts = append(parts, arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Int64})
		}
		return arrow.StructOf(parts...), nil
	case t.logical == "decimal":
		return decimalLeaf(n, t)
	}
	n.op = opFixed
	return &arrow.FixedSizeBinaryType{ByteWidth: t.size}, nil
}

// maxPrecision is decimal128's.
const maxPrecision = 38

func decimalLeaf(n *node, t *typ) (arrow.DataType, error) {
	n.precision, n.scale = t.precision, t.scale
	if t.precision > maxDigits {
		return nil, fmt.Errorf("a decimal of %d digits: no more than %d have a table form", t.precision, maxDigits)
	}
	n.bigLimit = new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.precision)), nil)
	if t.precision > maxPrecision {
		n.op = opBigDecimal
		return arrow.BinaryTypes.String, nil
	}
	n.op, n.limit = opDecimal, decimal128.FromBigInt(n.bigLimit)
	return &arrow.Decimal128Type{Precision: int32(t.precision), Scale: int32(t.scale)}, nil
}
