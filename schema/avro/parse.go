package avro

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// maxFixed bounds a fixed's size: a null in such a column takes that many bytes.
const maxFixed = 64 << 10

// parser reads schema texts into one set of named types. Names are looked up
// when the whole text is read: Avro-Java since 1.12 lets a text use a type
// before it defines it.
type parser struct {
	lax   bool
	text  string
	names map[string]*typ // by full name, of all texts so far
	refs  []**typ         // places that hold a kindRef
}

// parse reads one text.
func (p *parser) parse(text string) (*typ, error) {
	p.text, p.refs = text, nil
	root, err := readJSON(text)
	if err != nil {
		return nil, err
	}
	var t *typ
	if err := p.typ(root, "", 0, &t); err != nil {
		return nil, err
	}
	if err := p.resolve(); err != nil {
		return nil, err
	}
	c := checker{parser: p, seen: make(map[*typ]bool)}
	if err := c.typ(t, 0); err != nil {
		return nil, err
	}
	return t, nil
}

func (p *parser) fault(pos int, format string, args ...any) error {
	return fault(p.text, pos, format, args...)
}

// typ reads a type into *at.
func (p *parser) typ(v *value, space string, depth int, at **typ) error {
	if depth > schema.MaxDepth {
		return p.fault(v.pos, "types nested deeper than %d levels", schema.MaxDepth)
	}
	switch v.kind {
	case jsonString:
		return p.byName(v, space, at)
	case jsonArray:
		t := &typ{kind: kindUnion, pos: v.pos, types: make([]*typ, len(v.items))}
		*at = t
		for i, item := range v.items {
			if err := p.typ(item, space, depth+1, &t.types[i]); err != nil {
				return err
			}
		}
		return nil
	case jsonObject:
		return p.object(v, space, depth, at)
	}
	return p.fault(v.pos, "expected a type: a name, a list of types or an object")
}

// byName reads a primitive or a reference to a named type.
func (p *parser) byName(v *value, space string, at **typ) error {
	if k, ok := primitive(v.text); ok {
		*at = &typ{kind: k, pos: v.pos}
		return nil
	}
	if v.text == "" {
		return p.fault(v.pos, "expected a type, found an empty name")
	}
	*at = &typ{kind: kindRef, pos: v.pos, name: newName(v.text, space)}
	p.refs = append(p.refs, at)
	return nil
}

func (p *parser) object(v *value, space string, depth int, at **typ) error {
	tv := v.get("type")
	if tv == nil {
		return p.fault(v.pos, "No type: a type object needs \"type\"")
	}
	if tv.kind != jsonString {
		return p.typ(tv, space, depth+1, at) // {"type": {"type": "string"}} means what it holds
	}
	if k, ok := primitive(tv.text); ok {
		t := &typ{kind: k, pos: v.pos}
		*at = t
		p.props(v, t, false)
		return nil
	}
	switch tv.text {
	case "record", "error":
		return p.record(v, tv.text == "error", space, depth, at)
	case "enum":
		return p.enum(v, space, at)
	case "fixed":
		return p.fixed(v, space, at)
	case "array", "map":
		return p.container(v, tv.text, space, depth, at)
	}
	return p.byName(tv, space, at)
}

func (p *parser) container(v *value, word, space string, depth int, at **typ) error {
	t, key := &typ{kind: kindArray, pos: v.pos}, "items"
	if word == "map" {
		t.kind, key = kindMap, "values"
	}
	*at = t
	elem := v.get(key)
	if elem == nil {
		return p.fault(v.pos, "%s has no %q", word, key)
	}
	if err := p.typ(elem, space, depth+1, &t.elem); err != nil {
		return err
	}
	p.props(v, t, false)
	return nil
}

// head reads what the named types share.
func (p *parser) head(v *value, k kind, space string, at **typ) (*typ, error) {
	name := v.str("name")
	if name == nil {
		return nil, p.fault(v.pos, "No name in schema: %s without a name", kindName(k))
	}
	if s := v.str("namespace"); s != nil {
		space = *s
	}
	t := &typ{kind: k, pos: v.pos, name: newName(*name, space), doc: v.str("doc")}
	*at = t
	if t.name.space == "" {
		if _, ok := primitive(t.name.name); ok {
			return nil, p.fault(v.pos, "Schemas may not be named after primitives: %s", t.name)
		}
	}
	if err := p.checkFullName(v.pos, t.name); err != nil {
		return nil, err
	}
	aliases, err := p.aliases(v)
	for _, a := range aliases {
		n := newName(a, t.name.space)
		if err := p.checkName(v.get("aliases").pos, n.name); err != nil {
			return nil, err
		}
		if !slices.Contains(t.aliases, n) {
			t.aliases = append(t.aliases, n)
		}
	}
	return t, err
}

// define adds a named type that is read in full.
func (p *parser) define(v *value, t *typ) error {
	p.props(v, t, t.kind == kindEnum)
	full := t.name.String()
	if other, ok := p.names[full]; ok {
		if !sameDefinition(other, t) {
			return p.fault(v.pos, "Can't redefine: %s", full)
		}
		return nil
	}
	p.names[full] = t
	return nil
}

func (p *parser) record(v *value, isError bool, space string, depth int, at **typ) error {
	t, err := p.head(v, kindRecord, space, at)
	if err != nil {
		return err
	}
	t.isError = isError
	fields := v.get("fields")
	if fields == nil || fields.kind != jsonArray {
		return p.fault(v.pos, "Record has no fields: %s needs a list of \"fields\"", t.name)
	}
	seen := make(map[string]bool, len(fields.items))
	for _, fv := range fields.items {
		f, err := p.field(fv, t.name.space, depth)
		if err != nil {
			return err
		}
		if seen[f.name] {
			return p.fault(fv.pos, "Duplicate field %s in record %s", f.name, t.name)
		}
		seen[f.name] = true
		t.fields = append(t.fields, f)
	}
	return p.define(v, t)
}

func (p *parser) field(v *value, space string, depth int) (*field, error) {
	if v.kind != jsonObject {
		return nil, p.fault(v.pos, "expected a field: an object with a name and a type")
	}
	name, tv := v.str("name"), v.get("type")
	if name == nil {
		return nil, p.fault(v.pos, "No field name: a field needs a string \"name\"")
	}
	if tv == nil {
		return nil, p.fault(v.pos, "No field type: field %s", *name)
	}
	if err := p.checkName(v.pos, *name); err != nil {
		return nil, err
	}
	f := &field{name: *name, pos: v.pos, doc: v.str("doc"), dflt: v.get("default"), order: "ascending"}
	if err := p.typ(tv, space, depth+1, &f.typ); err != nil {
		return nil, err
	}
	if o := v.get("order"); o != nil {
		f.order = strings.ToLower(o.text)
		if o.kind != jsonString || !slices.Contains([]string{"ascending", "descending", "ignore"}, f.order) {
			return nil, p.fault(o.pos, "order of field %s is none of ascending, descending, ignore", f.name)
		}
	}
	if f.dflt != nil && f.dflt.kind == jsonString && (f.typ.kind == kindFloat || f.typ.kind == kindDouble) {
		x, err := strconv.ParseFloat(f.dflt.text, 64)
		if err != nil && !math.IsInf(x, 0) {
			return nil, p.fault(f.dflt.pos, "default of field %s is no number", f.name)
		}
		f.dflt = &value{kind: jsonNumber, pos: f.dflt.pos, text: floatLiteral(x)}
	}
	var err error
	f.aliases, err = p.aliases(v)
	for _, m := range v.members {
		if !slices.Contains([]string{"default", "doc", "name", "order", "type", "aliases"}, m.name) {
			f.props = append(f.props, m)
		}
	}
	return f, err
}

// floatLiteral is a number that reads back as x; not-a-number and infinities
// keep Java's words, which no JSON number has.
func floatLiteral(x float64) string {
	switch {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 1):
		return "Infinity"
	case math.IsInf(x, -1):
		return "-Infinity"
	}
	s := strconv.FormatFloat(x, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

func (p *parser) enum(v *value, space string, at **typ) error {
	t, err := p.head(v, kindEnum, space, at)
	if err != nil {
		return err
	}
	symbols := v.get("symbols")
	if symbols == nil || symbols.kind != jsonArray {
		return p.fault(v.pos, "Enum has no symbols: %s needs a list of \"symbols\"", t.name)
	}
	seen := make(map[string]bool, len(symbols.items))
	for _, s := range symbols.items {
		if s.kind != jsonString {
			return p.fault(s.pos, "a symbol of enum %s is no string", t.name)
		}
		if err := p.checkName(s.pos, s.text); err != nil {
			return err
		}
		if seen[s.text] {
			return p.fault(s.pos, "Duplicate enum symbol: %s", s.text)
		}
		seen[s.text] = true
		t.symbols = append(t.symbols, s.text)
	}
	t.symbol = v.str("default")
	if t.symbol != nil && !seen[*t.symbol] {
		return p.fault(v.get("default").pos, "The Enum Default: %s is not in the enum symbol set: [%s]", *t.symbol, strings.Join(t.symbols, ", "))
	}
	return p.define(v, t)
}

func (p *parser) fixed(v *value, space string, at **typ) error {
	t, err := p.head(v, kindFixed, space, at)
	if err != nil {
		return err
	}
	size := v.get("size")
	if size == nil || size.kind != jsonNumber {
		return p.fault(v.pos, "Invalid or no size: fixed %s", t.name)
	}
	n, err := strconv.ParseInt(size.text, 10, 32)
	if err != nil || n < 0 {
		return p.fault(size.pos, "Invalid or no size: fixed %s of %s bytes", t.name, size.text)
	}
	t.size = int(n)
	return p.define(v, t)
}

// aliases reads the list of a type's or field's other names, each once.
func (p *parser) aliases(v *value) ([]string, error) {
	list := v.get("aliases")
	if list == nil {
		return nil, nil
	}
	if list.kind != jsonArray {
		return nil, p.fault(list.pos, "aliases not an array")
	}
	var names []string
	for _, a := range list.items {
		if a.kind != jsonString {
			return nil, p.fault(a.pos, "alias not a string")
		}
		if !slices.Contains(names, a.text) {
			names = append(names, a.text)
		}
	}
	return names, nil
}

// props keeps the members that Avro does not define and reads the logical type
// from them.
func (p *parser) props(v *value, t *typ, isEnum bool) {
	for _, m := range v.members {
		switch m.name {
		case "doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases":
		case "default":
			if !isEnum {
				t.props = append(t.props, m)
			}
		default:
			t.props = append(t.props, m)
		}
	}
	setLogical(t)
}

// resolve puts the named types in the places that refer to them: by the name
// within the namespace, else by the bare name.
func (p *parser) resolve() error {
	for _, at := range p.refs {
		n := (*at).name
		t, ok := p.names[n.String()]
		if !ok {
			t, ok = p.names[n.name]
		}
		if !ok {
			return p.fault((*at).pos, "Undefined name: %q", n.String())
		}
		*at = t
	}
	p.refs = nil
	return nil
}
