package avro

import (
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// checkName applies the specification's rule for names, [A-Za-z_][A-Za-z0-9_]*,
// which Confluent applies to new schemas only.
func (p *parser) checkName(pos int, name string) error {
	if p.lax {
		return nil
	}
	if name == "" {
		return p.fault(pos, "Empty name")
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
		case '0' <= c && c <= '9' && i > 0:
		case i == 0:
			return p.fault(pos, "Illegal initial character: %s", name)
		default:
			return p.fault(pos, "Illegal character in: %s", name)
		}
	}
	return nil
}

func (p *parser) checkFullName(pos int, n fullName) error {
	if err := p.checkName(pos, n.name); err != nil || n.space == "" {
		return err
	}
	for part := range strings.SplitSeq(n.space, ".") {
		if err := p.checkName(pos, part); err != nil {
			return err
		}
	}
	return nil
}

// checker looks over a text whose names are resolved: what could not be told
// while reading it.
type checker struct {
	*parser
	seen  map[*typ]bool
	steps int // taken to validate defaults
}

// maxDefaultSteps bounds the work on one text's defaults: the defaults of a
// recursive record may refer to each other without end.
const maxDefaultSteps = 1 << 20

func (c *checker) typ(t *typ, depth int) error {
	if depth > schema.MaxDepth {
		return c.fault(t.pos, "types nested deeper than %d levels", schema.MaxDepth)
	}
	if c.seen[t] {
		return nil
	}
	c.seen[t] = true
	switch t.kind {
	case kindArray, kindMap:
		return c.typ(t.elem, depth+1)
	case kindUnion:
		return c.union(t, depth)
	case kindRecord:
		for _, f := range t.fields {
			if err := c.typ(f.typ, depth+1); err != nil {
				return err
			}
		}
		for _, f := range t.fields {
			if f.dflt != nil && !c.lax && !c.validDefault(f.typ, f.dflt, 0) {
				return c.fault(f.dflt.pos, "Invalid default for field %s: %s not a %s", f.name, printJSON(f.dflt, false), render(f.typ, nil))
			}
		}
	}
	return nil
}

func (c *checker) union(t *typ, depth int) error {
	seen := make(map[string]bool, len(t.types))
	for _, b := range t.types {
		if b.kind == kindUnion {
			return c.fault(b.pos, "Nested union: a union may not hold a union")
		}
		if name := b.fullName(); seen[name] {
			return c.fault(t.pos, "Duplicate in union:%s", name)
		} else {
			seen[name] = true
		}
		if err := c.typ(b, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// validDefault tells whether v is a default for the type, as Avro-Java does: a
// union takes what any of its branches takes, so "null" fits ["null","string"].
func (c *checker) validDefault(t *typ, v *value, depth int) bool {
	if c.steps++; depth > maxJSONDepth || c.steps > maxDefaultSteps {
		return false
	}
	switch t.kind {
	case kindNull:
		return v.kind == jsonNull
	case kindBoolean:
		return v.kind == jsonBool
	case kindInt, kindLong:
		bits := 32
		if t.kind == kindLong {
			bits = 64
		}
		_, err := strconv.ParseInt(v.text, 10, bits)
		return v.kind == jsonNumber && err == nil
	case kindFloat, kindDouble:
		return v.kind == jsonNumber
	case kindBytes, kindString, kindEnum, kindFixed:
		return v.kind == jsonString
	case kindArray:
		for _, item := range v.items {
			if !c.validDefault(t.elem, item, depth+1) {
				return false
			}
		}
		return v.kind == jsonArray
	case kindMap:
		for _, m := range v.members {
			if !c.validDefault(t.elem, m.value, depth+1) {
				return false
			}
		}
		return v.kind == jsonObject
	case kindUnion:
		for _, b := range t.types {
			if c.validDefault(b, v, depth+1) {
				return true
			}
		}
		return false
	}
	return v.kind == jsonObject && c.validRecord(t, v, depth)
}

func (c *checker) validRecord(t *typ, v *value, depth int) bool {
	for _, f := range t.fields {
		fv := v.get(f.name)
		if fv == nil {
			fv = f.dflt
		}
		if fv == nil || !c.validDefault(f.typ, fv, depth+1) {
			return false
		}
	}
	return true
}
