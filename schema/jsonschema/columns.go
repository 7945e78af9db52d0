package jsonschema

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tarn-io/tarn/schema"
)

// shape is a node with the Arrow type of its column. A nil type is a value that
// cannot exist (the schema is false) and gets no column.
type shape struct {
	*node
	typ  arrow.DataType
	null bool // null is a value of it
}

// field is the shape as a field; absent says that it may be missing.
func (s shape) field(name string, absent bool) arrow.Field {
	return arrow.Field{Name: name, Type: s.typ, Nullable: absent || s.null}
}

// view is what is known of the values at one place: they match all of parts, and
// all of base but for base's anyOf and oneOf, of which a member is already among
// the parts.
type view struct {
	parts, base []*js.Schema
	// loose values were checked before the column is filled: only their form
	// matters then.
	loose bool
	root  bool
}

// all is every schema of the view.
func (v view) all() []*js.Schema { return append(slices.Clone(v.base), v.parts...) }

// types is the set of types that a view leaves.
func (c *compiler) types(v view) mask {
	m := anyType
	for _, s := range v.parts {
		m &= c.typesOf(s)
	}
	for _, s := range v.base {
		m &= ownMask(s)
	}
	return m
}

// flatten adds s and all that it demands by $ref and allOf.
func flatten(list []*js.Schema, s *js.Schema) []*js.Schema {
	s = target(s)
	if slices.Contains(list, s) {
		return list
	}
	list = append(list, s)
	if s.Ref != nil {
		list = flatten(list, s.Ref)
	}
	for _, k := range s.AllOf {
		list = flatten(list, k)
	}
	return list
}

// maxShapes bounds the work for columns: a schema that refers to itself from many
// places could unfold without end. Columns that hold others count here too.
const maxShapes = 4 * schema.MaxFields

var errTooWide = fmt.Errorf("more than %d columns", schema.MaxFields)

// fill is the node that checks values of a view and appends them to a column.
func (c *compiler) fill(v view) (shape, error) {
	var flat []*js.Schema
	for _, s := range v.parts {
		flat = flatten(flat, s)
	}
	m := c.types(view{parts: flat, base: v.base})
	if m == 0 {
		return shape{node: c.never()}, nil
	}
	if c.shapes++; c.shapes > maxShapes {
		return shape{}, errTooWide
	}
	for _, s := range flat {
		if slices.Contains(c.stack, s) { // recursion ends in text
			return c.textShape(v, m), nil
		}
	}
	if len(c.stack) > schema.MaxDepth {
		return shape{}, fmt.Errorf("columns nested deeper than %d levels", schema.MaxDepth)
	}
	height := len(c.stack)
	c.stack = append(c.stack, flat...)
	defer func() { c.stack = c.stack[:height] }()

	in := view{parts: flat, base: v.base, loose: v.loose || c.slowAll || len(flat) != 1 || c.unsupported(flat[0]) != "", root: v.root}
	alts := c.structural(in)
	switch {
	case len(alts) > 1:
		return c.textShape(v, m), nil
	case len(alts) == 1 && len(alts[0].members) == 1:
		return c.fillOnly(v, in, alts[0], m)
	case len(alts) == 1:
		return c.fillUnion(v, in, alts[0], m)
	}
	return c.fillPlain(v, in, m)
}

// guard makes n check values against the parts before it fills loosely.
func (c *compiler) guard(n *node, v view) {
	if v.loose || c.slowAll {
		return
	}
	for _, s := range v.parts {
		k := c.check(s)
		if len(v.parts) == 1 && k.checks != nil && k.checks.slow != nil {
			n.checks = k.checks // the library has the whole say
			return
		}
		if n.checks == nil {
			n.checks = &checks{}
		}
		n.checks.all = append(n.checks.all, k)
	}
}

// textShape keeps values as JSON text.
func (c *compiler) textShape(v view, m mask) shape {
	n := anything()
	if len(v.parts) == 1 && !v.loose && !c.slowAll {
		*n = *c.check(v.parts[0])
	} else {
		c.guard(n, v)
	}
	n.kind = kindText
	return shape{n, arrow.BinaryTypes.String, m&isNull != 0}
}

// alt is an anyOf or oneOf whose members differ in form.
type alt struct {
	owner   *js.Schema
	of      []*js.Schema
	one     bool
	members []int // those that take more than null
}

// structural lists the anyOf and oneOf of the view that say more than which
// values a form already known may take.
func (c *compiler) structural(v view) []alt {
	var alts []alt
	for _, s := range v.parts {
		for i, of := range [][]*js.Schema{s.AnyOf, s.OneOf} {
			if len(of) == 0 || onlyNarrows(v, of) {
				continue
			}
			a := alt{owner: s, of: of, one: i == 1}
			for k, m := range of {
				if c.typesOf(m)&^isNull != 0 {
					a.members = append(a.members, k)
				}
			}
			alts = append(alts, a)
		}
	}
	return alts
}

// onlyNarrows says whether the rest of the view gives values a form already and
// the members of an anyOf or oneOf add nothing to it: {type: string, oneOf:
// [{pattern: …}, {const: …}]}, or objects of which one property or another is
// required.
func onlyNarrows(v view, of []*js.Schema) bool {
	m := anyType
	for _, s := range v.all() {
		m &= ownMask(s)
	}
	m &^= isNull
	switch m {
	case isBool, isInteger, isInteger | isNumber, isString:
		return true
	case isArray:
		for _, s := range v.all() {
			if itemsOf(s) != nil || isTuple(s) {
				return true
			}
		}
	case isObject:
	default:
		return false
	}
	known := map[string]bool{}
	for _, s := range v.all() {
		for name := range s.Properties {
			known[name] = true
		}
	}
	seen := map[*js.Schema]bool{}
	return !slices.ContainsFunc(of, func(s *js.Schema) bool { return addsForm(s, known, seen) })
}

// addsForm says whether a schema tells of properties that are not known, of
// additional ones, or of items. It looks at each schema once.
func addsForm(s *js.Schema, known map[string]bool, seen map[*js.Schema]bool) bool {
	for _, p := range flatten(nil, s) {
		if seen[p] {
			continue
		}
		seen[p] = true
		if _, ok := p.AdditionalProperties.(*js.Schema); ok || itemsOf(p) != nil || isTuple(p) {
			return true
		}
		for name := range p.Properties {
			if !known[name] {
				return true
			}
		}
		for _, k := range slices.Concat(p.AnyOf, p.OneOf) {
			if addsForm(k, known, seen) {
				return true
			}
		}
	}
	return false
}

// onlyAlt says whether a schema asks for nothing but its anyOf or oneOf.
func onlyAlt(s *js.Schema, of []*js.Schema) bool {
	bare := *s
	bare.AnyOf, bare.OneOf = nil, nil
	bare.Ref = s // stands for the one child that onlyRef allows
	return s.Ref == nil && len(kids(s)) == len(of) && onlyRef(&bare)
}

// plainNull says whether a schema accepts null and nothing else, as far as one
// sees at once.
func plainNull(s *js.Schema) bool {
	s = target(s)
	bare := *s
	bare.Types, bare.Const = nil, nil
	bare.Ref = s // stands for the one child that onlyRef allows
	return s.Ref == nil && s.Bool == nil && ownMask(s) == isNull && s.Enum == nil && onlyRef(&bare)
}

// fillOnly is anyOf or oneOf of one form and null: that form, nullable.
func (c *compiler) fillOnly(v, in view, a alt, m mask) (shape, error) {
	member := a.of[a.members[0]]
	nulls := 0
	for _, s := range a.of {
		if s != member && plainNull(s) {
			nulls++
		}
	}
	// In one pass only if nothing else is asked, and if null is the business of
	// either the null member or this one: under oneOf it must not match both.
	strict := !in.loose && len(in.base) == 0 && onlyAlt(a.owner, a.of) && nulls == len(a.of)-1 &&
		(!a.one || nulls == 0 || nulls == 1 && c.typesOf(member)&isNull == 0)
	next := view{parts: []*js.Schema{member}, root: in.root && m&isNull == 0}
	if !strict {
		next.base, next.loose = in.all(), true
	}
	s, err := c.fill(next)
	if err != nil {
		return s, err
	}
	n := *s.node
	if strict {
		n.nullable = n.nullable || nulls > 0
	} else {
		n.nullable = m&isNull != 0
		c.guard(&n, v)
		n.guarded = n.checks != nil
	}
	return shape{&n, s.typ, m&isNull != 0}, nil
}

// fillUnion is a struct of nullable members.
func (c *compiler) fillUnion(v, in view, a alt, m mask) (shape, error) {
	if c.slowAll { // members cannot be told apart outside of the whole
		return c.textShape(v, m), nil
	}
	n := newNode()
	n.items, n.other = c.any, c.any
	n.kind, n.types = kindUnion, m
	n.nullable = v.loose && m&isNull != 0 // it was checked
	n.union = &union{alt: c.alternative(a.of, a.one), fill: make([]*node, len(a.of)), cols: make([]int, len(a.of))}
	if !onlyAlt(a.owner, a.of) || len(in.parts) > 1 {
		c.guard(n, v)
	}
	var fields []arrow.Field
	names := memberNames(a)
	for i := range a.of {
		n.union.cols[i] = -1
		if !slices.Contains(a.members, i) {
			continue
		}
		s, err := c.fill(view{parts: []*js.Schema{a.of[i]}, base: in.all(), loose: true})
		if err != nil {
			return shape{}, err
		}
		if s.typ == nil {
			continue
		}
		n.union.fill[i], n.union.cols[i] = s.node, len(fields)
		n.open = n.open || s.open
		n.width += 1 + s.width
		fields = append(fields, s.field(names[i], true))
	}
	if len(fields) == 0 {
		return c.textShape(v, m), nil
	}
	return shape{n, arrow.StructOf(fields...), m&isNull != 0}, nil
}

// memberNames names the members of a union: by their titles, or by v and their
// place among those that are not null. A title that two share is no name.
func memberNames(a alt) []string {
	names := make([]string, len(a.of))
	count := map[string]int{}
	for k, i := range a.members {
		s := a.of[i]
		title := s.Title
		for hops := 0; title == "" && s.Ref != nil && hops < schema.MaxDepth; hops++ {
			s = s.Ref
			title = s.Title
		}
		count["v"+strconv.Itoa(k)]++
		count[strings.ToLower(title)]++
		names[i] = title
	}
	for k, i := range a.members {
		if names[i] == "" || count[strings.ToLower(names[i])] > 1 {
			names[i] = "v" + strconv.Itoa(k)
		}
	}
	return names
}

// fillPlain is a view without alternatives.
func (c *compiler) fillPlain(v, in view, m mask) (shape, error) {
	n := newNode()
	n.items, n.other = c.any, c.any
	n.types = m
	if in.loose {
		c.guard(n, v)
	} else if !c.own(n, in.parts[0]) {
		return c.textShape(v, m), nil
	}
	s := shape{n, nil, m&isNull != 0}
	var err error
	switch m &^ isNull {
	case isBool:
		n.kind, s.typ = kindBool, arrow.FixedWidthTypes.Boolean
	case isInteger:
		n.kind, s.typ = kindInt64, arrow.PrimitiveTypes.Int64
	case isNumber, isNumber | isInteger:
		s.typ = numberType(n, in)
	case isString:
		s.typ = stringType(n, in)
	case isArray:
		s.typ, err = c.listType(n, in)
	case isObject:
		s.typ, err = c.objectType(n, in, m)
	}
	if s.typ == nil && err == nil { // mixed types, tuples, objects without form
		return c.textShape(v, m), nil
	}
	return s, err
}

// numberType is float64, or a decimal if the view bounds the places.
func numberType(n *node, v view) arrow.DataType {
	n.kind, n.scale = kindFloat64, -1
	for _, s := range v.all() {
		if s.MultipleOf == nil {
			continue
		}
		if places, ok := placesOf(s.MultipleOf); ok && (n.scale < 0 || places < n.scale) {
			n.kind, n.scale = kindDecimal, places
		}
	}
	if n.kind == kindDecimal {
		return &arrow.Decimal128Type{Precision: 38, Scale: int32(n.scale)}
	}
	return arrow.PrimitiveTypes.Float64
}

// placesOf is s if r is 10^-s and a decimal can have as many places.
func placesOf(r *big.Rat) (int, bool) {
	if r.Num().Cmp(big.NewInt(1)) != 0 {
		return 0, false
	}
	digits := r.Denom().String()
	if digits[0] != '1' || strings.Trim(digits[1:], "0") != "" || len(digits) > 39 {
		return 0, false
	}
	return len(digits) - 1, true
}

// stringType is utf8, or a time if the view has a format.
func stringType(n *node, v view) arrow.DataType {
	for _, s := range v.all() {
		if s.Format == nil {
			continue
		}
		switch f := formatOf(s.Format.Name); f {
		case formatDateTime:
			n.kind, n.format = kindMicros, f
			return &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
		case formatTime:
			n.kind, n.format = kindMicros, f
			return arrow.FixedWidthTypes.Time64us
		case formatDate:
			n.kind, n.format = kindDays, f
			return arrow.FixedWidthTypes.Date32
		}
	}
	n.kind = kindString
	return arrow.BinaryTypes.String
}

// listType is a list of what items say; nil for tuples.
func (c *compiler) listType(n *node, v view) (arrow.DataType, error) {
	var parts []*js.Schema
	for _, s := range v.all() {
		if isTuple(s) {
			return nil, nil
		}
		if k := itemsOf(s); k != nil {
			parts = append(parts, k)
		}
	}
	item, err := c.fill(view{parts: parts, loose: v.loose})
	if err != nil || item.typ == nil { // without a type, always empty
		return nil, err
	}
	n.kind, n.items, n.open = kindList, item.node, item.open
	return arrow.ListOfField(item.field("element", false)), nil
}

// objectType is a struct of the properties, a map if there are none but a
// schema for all values, else nil: JSON text.
func (c *compiler) objectType(n *node, in view, m mask) (arrow.DataType, error) {
	var names []string
	parts := map[string][]*js.Schema{}
	required := map[string]bool{}
	var others []*js.Schema
	closed, patterns := false, false
	for _, s := range in.all() {
		for _, name := range c.docs.order(s) {
			if parts[name] == nil {
				names = append(names, name)
			}
			parts[name] = append(parts[name], s.Properties[name])
		}
		for _, name := range s.Required {
			required[name] = true
		}
		switch a := s.AdditionalProperties.(type) {
		case bool:
			closed = closed || !a
		case *js.Schema:
			others = append(others, a)
			closed = closed || c.typesOf(a) == 0
		}
		closed = closed || s.UnevaluatedProperties != nil && c.typesOf(s.UnevaluatedProperties) == 0
		patterns = patterns || len(s.PatternProperties) > 0
	}
	n.free = !closed || patterns
	if len(names) == 0 && !(in.root && m&isNull == 0 && len(others) == 0) {
		if len(others) > 0 && n.free && !patterns {
			return c.mapType(n, in, others)
		}
		return nil, nil
	}
	var fields []arrow.Field
	for _, name := range names {
		s, err := c.fill(view{parts: parts[name], loose: in.loose})
		if err != nil {
			return nil, err
		}
		col := -1
		if s.typ != nil {
			col = len(fields)
			fields = append(fields, s.field(name, !required[name]))
		}
		n.open = n.open || s.open
		n.width += s.width
		n.props = append(n.props, newProperty(name, s.node, col))
	}
	if len(fields) == 0 && !in.root {
		n.props = nil
		return nil, nil
	}
	if in.loose {
		c.members(n, &js.Schema{})
	} else {
		c.members(n, in.parts[0])
		if k, ok := in.parts[0].AdditionalProperties.(*js.Schema); ok {
			n.other = c.check(k)
		}
	}
	n.kind = kindStruct
	n.open = n.open || n.free
	c.extra = c.extra || n.free
	return arrow.StructOf(fields...), nil
}

// mapType is a map of what additionalProperties say.
func (c *compiler) mapType(n *node, in view, others []*js.Schema) (arrow.DataType, error) {
	value, err := c.fill(view{parts: others, loose: in.loose})
	if err != nil || value.typ == nil {
		return nil, err
	}
	if in.loose {
		c.members(n, &js.Schema{})
	} else {
		c.members(n, in.parts[0])
	}
	n.kind, n.other, n.open = kindMap, value.node, value.open
	return arrow.MapOfFields(arrow.Field{Name: "key", Type: arrow.BinaryTypes.String}, value.field("value", false)), nil
}
