package avro

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

// maxResolved bounds the decoders that a schema remembers, one for each writer:
// more versions than that are seldom read at the same time.
const maxResolved = 256

// Resolve compiles a decoder for payloads of the writer whose rows have the
// columns of s, by the Avro specification's "Schema Resolution": fields match by
// name or alias in any order, numbers widen, strings and bytes are each other,
// what only the writer has is checked and left out, what only s has gets its
// default. It implements schema.Resolver.
//
// Three things are ours, since the specification says nothing of them or wrong
// rows would come of it: times of two units become the column's unit, decimals of
// two scales and times of two kinds do not resolve, and two fields of s that one
// field of the writer matches (one by name, one by alias) both get its value, as
// Reads takes it.
func (s *Schema) Resolve(writer schema.Schema) (schema.Decoder, error) {
	w, ok := writer.(*Schema)
	if !ok {
		return nil, fmt.Errorf("schemas of %s do not read %s", schema.Avro, writer.Type())
	}
	s.resolved.mu.Lock()
	defer s.resolved.mu.Unlock()
	if known, ok := s.resolved.by[w]; ok {
		return known.result()
	}
	if len(s.resolved.by) >= maxResolved || s.resolved.by == nil {
		s.resolved.by = make(map[*Schema]resolution)
	}
	var r resolution
	r.decoder, r.err = resolve(s, w)
	s.resolved.by[w] = r
	return r.result()
}

type resolution struct {
	decoder *decoder
	err     error
}

func (r resolution) result() (schema.Decoder, error) {
	if r.err != nil {
		return nil, r.err
	}
	return r.decoder, nil
}

func resolve(reader, writer *Schema) (*decoder, error) {
	shape, err := reader.decoder()
	if err != nil {
		return nil, err
	}
	c := &resolver{pairs: make(map[pair]*node), failed: make(map[pair]error), plains: make(map[*typ]*node)}
	if shape.root.op != opTop {
		root, err := c.pair(writer.root, shape.root)
		if err != nil {
			return nil, err
		}
		for at, n := range c.pairs {
			n.top = at.shape == shape.root
		}
		return &decoder{root: root, columns: shape.columns, named: shape.named, direct: true}, nil
	}
	root, err := c.pair(writer.root, shape.root.kids[0])
	if err != nil {
		return nil, err
	}
	return &decoder{root: &node{op: opTop, kids: []*node{root}}, columns: shape.columns, named: shape.named}, nil
}

// resolver makes the program for one writer and one reader. The reader stands
// there as the program that decodes its own payloads, the shape: it says which
// columns there are and where a type inside itself becomes text.
type resolver struct {
	pairs  map[pair]*node // each pair is made once, so that types may hold themselves
	failed map[pair]error
	plains map[*typ]*node // of the writer's types alone
}

type pair struct {
	writer *typ
	shape  *node
}

// pair is the node that reads a writer's value in the shape's columns. One that
// does not resolve refuses all payloads: others may hold it already.
func (c *resolver) pair(w *typ, s *node) (*node, error) {
	if s.op == opNullable && w.kind != kindNull && w.kind != kindUnion {
		s = s.kids[0]
	}
	at := pair{w, s}
	if n, ok := c.pairs[at]; ok {
		return n, c.failed[at]
	}
	n := &node{typ: w}
	c.pairs[at] = n
	plain, err := c.plain(w)
	if err == nil {
		n.min, n.cost, n.text = plain.min, s.cost, s.text
		err = c.fill(n, w, s)
	}
	if err != nil {
		*n = node{op: opNever, names: []string{err.Error()}}
		c.failed[at] = err
	}
	return n, err
}

// plain is the program of a writer's type alone: for fields that no one reads,
// and for what a value takes at least.
func (c *resolver) plain(w *typ) (*node, error) {
	if n, ok := c.plains[w]; ok {
		return n, nil
	}
	n, cc := &node{}, &compiler{check: true}
	if _, _, err := cc.node(n, w, 0); err != nil {
		return nil, fmt.Errorf("the writer's schema: %w", err)
	}
	measure(n, cc.backs)
	c.plains[w] = n
	return n, nil
}

func (c *resolver) fill(n *node, w *typ, s *node) error {
	switch {
	case w.kind == kindUnion:
		return c.from(n, w, s)
	case s.op == opNullable && w.kind == kindNull && s.null >= 0:
		n.op = opNull
		return nil
	case s.op == opUnion:
		return c.into(n, w, s)
	case s.op == opBack:
		kid, err := c.pair(w, s.kids[0])
		n.op, n.kids, n.levels = opBack, []*node{kid}, s.levels
		return err
	case s.op == opRecord:
		return c.record(n, w, s)
	case s.op == opArray || s.op == opMap:
		return c.items(n, w, s)
	}
	return c.leaf(n, w, s)
}

// from reads a writer's union: each branch on its own. Branches that do not
// resolve refuse the payloads that take them; a union of nothing else does not
// resolve.
func (c *resolver) from(n *node, w *typ, s *node) error {
	n.op = opFrom
	err, some := fmt.Errorf("an empty union has no values"), false
	for i, b := range w.types {
		kid, failed := c.pair(b, s)
		if failed == nil {
			some = true
			n.cost, n.text = max(n.cost, kid.cost), max(n.text, kid.text)
		} else if i == 0 {
			err = failed
		}
		n.kids = append(n.kids, kid)
	}
	if some {
		return nil
	}
	return err
}

// into reads a value into the branch of the reader's union that it matches.
func (c *resolver) into(n *node, w *typ, s *node) error {
	if w.kind == kindNull && s.null >= 0 {
		n.op = opNull
		return nil
	}
	i := match(w, s.typ.types)
	if i < 0 {
		return fmt.Errorf("the reader's union has no branch for %s", w.fullName())
	}
	branch := s.kids[i]
	kid, err := c.pair(w, branch.kids[0])
	if err != nil {
		return err
	}
	n.op, n.kids, n.names, n.first = opInto, []*node{kid}, branch.names, branch.first
	n.cost += kid.cost
	n.text += kid.text
	return nil
}

// match finds the branch of a union that reads a type, as Avro-Java's
// Resolver does: the same type, for a named one by its full name; then one of
// the same short name or with an alias; then the first that it widens to.
func match(w *typ, branches []*typ) int {
	near := -1
	for i, b := range branches {
		switch {
		case b.kind != w.kind:
		case !b.named() || b.name == w.name:
			return i
		case near < 0 && len(names(b, w, nil)) == 0:
			near = i
		}
	}
	for i, b := range branches {
		if near < 0 && promotes(w.kind, b.kind) {
			near = i
		}
	}
	return near
}

// items reads arrays and maps.
func (c *resolver) items(n *node, w *typ, s *node) error {
	if w.kind != s.typ.kind {
		return mismatch(w, s)
	}
	kid, err := c.pair(w.elem, s.kids[len(s.kids)-1])
	if err != nil {
		return fmt.Errorf("items: %w", err)
	}
	n.op, n.item = s.op, c.plains[w].item
	n.kids = append(n.kids, s.kids[:len(s.kids)-1]...) // a map's key
	n.kids = append(n.kids, kid)
	return nil
}

func mismatch(w *typ, s *node) error {
	return fmt.Errorf("the writer has %s, the reader %s", w.fullName(), s.typ.fullName())
}

// record pairs the fields: in the payload's order those of the writer, then the
// defaults of those that only the reader has.
func (c *resolver) record(n *node, w *typ, s *node) error {
	if w.kind != kindRecord || len(names(s.typ, w, nil)) > 0 {
		return mismatch(w, s)
	}
	to := make(map[*field][]int, len(w.fields))
	var missing []int
	for i, f := range s.typ.fields {
		from, many := writerField(w, f)
		switch {
		case many:
			return fmt.Errorf("field %s matches several fields of the writer", f.name)
		case from != nil:
			to[from] = append(to[from], i)
		case f.dflt == nil:
			return fmt.Errorf("field %s has no default, and the writer lacks it", f.name)
		default:
			missing = append(missing, i)
		}
	}
	n.op, n.cost, n.text = opTo, 0, 2
	for _, f := range w.fields {
		if err := c.field(n, f, s, to[f]); err != nil {
			return fmt.Errorf("field %s: %w", f.name, err)
		}
	}
	for _, i := range missing {
		f, err := newFilling(s, i)
		if err != nil {
			return fmt.Errorf("default of field %s: %w", s.names[i], err)
		}
		n.fillings = append(n.fillings, f)
		n.cost, n.text = min(n.cost+f.cost, maxMeasure), min(n.text+len(f.text)+6*len(s.names[i])+4, maxMeasure)
	}
	return nil
}

// field adds what becomes of one field of the writer: it goes to the columns of
// the shape, mostly one, or is left out.
func (c *resolver) field(n *node, f *field, s *node, columns []int) error {
	if len(columns) == 0 {
		plain, err := c.plain(f.typ)
		n.kids, n.steps = append(n.kids, plain), append(n.steps, step{column: -1, name: f.name})
		return err
	}
	for i, column := range columns {
		kid, err := c.pair(f.typ, s.kids[column])
		if err != nil {
			return err
		}
		n.kids, n.steps = append(n.kids, kid), append(n.steps, step{column: column, name: s.names[column], again: i > 0})
		n.cost, n.text = min(n.cost+kid.cost, maxMeasure), min(n.text+kid.text+6*len(s.names[column])+4, maxMeasure)
	}
	return nil
}

// leaf reads a type without types below.
func (c *resolver) leaf(n *node, w *typ, s *node) error {
	r := s.typ
	plain := c.plains[w]
	switch {
	case w.kind != r.kind && !promotes(w.kind, r.kind), r.named() && len(names(r, w, nil)) > 0:
		return mismatch(w, s)
	case r.kind == kindEnum:
		return c.symbols(n, w, s)
	case r.kind == kindFixed && r.size != w.size:
		return fmt.Errorf("fixed %s has %d bytes, the reader's %d", w.fullName(), w.size, r.size)
	case w.logical != "" && r.logical != "" && w.logical != r.logical:
		if !sameColumn(w, r) {
			return fmt.Errorf("%s is not %s", w.logical, r.logical)
		}
		*n = *plain // its unit becomes the column's
		return nil
	case w.logical == "decimal" && r.logical == "decimal" && w.scale != r.scale:
		return fmt.Errorf("a decimal of scale %d is none of scale %d", w.scale, r.scale)
	case w.kind == r.kind || w.kind == kindBytes:
		*n = *s
		return nil
	}
	n.op, n.from, n.kids = opPromote, w.kind, []*node{s}
	return nil
}

// sameColumn tells whether two logical types differ only in their unit, and
// have one column type all the same.
func sameColumn(w, r *typ) bool {
	column := func(t *typ) arrow.DataType {
		at, err := (&compiler{check: true}).leaf(&node{}, t)
		if err != nil {
			return nil
		}
		return at
	}
	a, b := column(w), column(r)
	return a != nil && b != nil && arrow.TypeEqual(a, b)
}

// symbols lists the reader's symbol for each of the writer's: its own, else the
// reader's default, else none.
func (c *resolver) symbols(n *node, w *typ, s *node) error {
	have := make(map[string]bool, len(s.typ.symbols))
	for _, name := range s.typ.symbols {
		have[name] = true
	}
	n.op = opSymbols
	for _, name := range w.symbols {
		known := have[name]
		if !known && s.typ.symbol != nil {
			name, known = *s.typ.symbol, true
		}
		n.names, n.known = append(n.names, name), append(n.known, known)
	}
	return nil
}
