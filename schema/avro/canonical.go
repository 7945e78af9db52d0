package avro

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// printer writes a type as Avro-Java's Schema.toString() does: no white space,
// properties and docs kept, members in the order type, name, namespace, doc,
// what the type is made of, default, other properties, aliases.
type printer struct {
	strings.Builder
	known map[string]bool // named types written already: only the name follows
	space string          // the namespace around
}

// render writes a type; the named types in known are referred to.
func render(t *typ, known []string) string {
	p := printer{known: make(map[string]bool)}
	for _, n := range known {
		p.known[n] = true
	}
	p.typ(t)
	return p.String()
}

func (p *printer) typ(t *typ) {
	switch t.kind {
	case kindUnion:
		p.WriteByte('[')
		for i, b := range t.types {
			p.comma(i)
			p.typ(b)
		}
		p.WriteByte(']')
	case kindArray, kindMap:
		p.open(t, kindName(t.kind))
		if t.kind == kindArray {
			p.WriteString(`,"items":`)
		} else {
			p.WriteString(`,"values":`)
		}
		p.typ(t.elem)
		p.props(t.props)
		p.WriteByte('}')
	case kindRecord, kindEnum, kindFixed:
		p.named(t)
	case kindRef:
		p.quote(t.name.String())
	default:
		if len(t.props) == 0 {
			p.quote(kindName(t.kind))
			return
		}
		p.open(t, kindName(t.kind))
		p.props(t.props)
		p.WriteByte('}')
	}
}

func (p *printer) open(t *typ, word string) {
	p.WriteString(`{"type":`)
	p.quote(word)
}

func (p *printer) named(t *typ) {
	full := t.name.String()
	if p.known[full] {
		p.quote(t.name.within(p.space))
		return
	}
	p.known[full] = true
	word := kindName(t.kind)
	if t.isError {
		word = "error"
	}
	p.open(t, word)
	p.WriteString(`,"name":`)
	p.quote(t.name.name)
	if t.name.space != p.space {
		p.WriteString(`,"namespace":`)
		p.quote(t.name.space)
	}
	p.text("doc", t.doc)
	switch t.kind {
	case kindRecord:
		p.fields(t)
	case kindFixed:
		p.WriteString(`,"size":` + strconv.Itoa(t.size))
	case kindEnum:
		p.WriteString(`,"symbols":`)
		p.list(t.symbols)
		p.text("default", t.symbol)
	}
	p.props(t.props)
	if len(t.aliases) > 0 {
		names := make([]string, len(t.aliases))
		for i, a := range t.aliases {
			names[i] = a.within(t.name.space)
		}
		p.WriteString(`,"aliases":`)
		p.list(names)
	}
	p.WriteByte('}')
}

func (p *printer) fields(t *typ) {
	outer := p.space
	p.space = t.name.space
	p.WriteString(`,"fields":[`)
	for i, f := range t.fields {
		p.comma(i)
		p.WriteString(`{"name":`)
		p.quote(f.name)
		p.WriteString(`,"type":`)
		p.typ(f.typ)
		p.text("doc", f.doc)
		if f.dflt != nil {
			p.WriteString(`,"default":` + printJSON(f.dflt, false))
		}
		if f.order != "ascending" {
			p.text("order", &f.order)
		}
		if len(f.aliases) > 0 {
			p.WriteString(`,"aliases":`)
			p.list(f.aliases)
		}
		p.props(f.props)
		p.WriteByte('}')
	}
	p.WriteByte(']')
	p.space = outer
}

func (p *printer) comma(i int) {
	if i > 0 {
		p.WriteByte(',')
	}
}

func (p *printer) quote(s string) { p.WriteString(quoteJSON(s)) }

func (p *printer) text(key string, s *string) {
	if s != nil {
		p.WriteString(`,"` + key + `":`)
		p.quote(*s)
	}
}

func (p *printer) list(names []string) {
	p.WriteByte('[')
	for i, s := range names {
		p.comma(i)
		p.quote(s)
	}
	p.WriteByte(']')
}

func (p *printer) props(props []member) {
	for _, m := range props {
		p.WriteByte(',')
		p.quote(m.name)
		p.WriteByte(':')
		p.WriteString(printJSON(m.value, false))
	}
}

// printJSON writes a JSON value as Jackson does; sorted puts members in order
// of their names.
func printJSON(v *value, sorted bool) string {
	switch v.kind {
	case jsonNull:
		return "null"
	case jsonBool:
		return v.text
	case jsonNumber:
		return printNumber(v.text)
	case jsonString:
		return quoteJSON(v.text)
	}
	var b strings.Builder
	if v.kind == jsonArray {
		b.WriteByte('[')
		for i, item := range v.items {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(printJSON(item, sorted))
		}
		b.WriteByte(']')
		return b.String()
	}
	members := v.members
	if sorted {
		members = sortMembers(members)
	}
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoteJSON(m.name) + ":" + printJSON(m.value, sorted))
	}
	b.WriteByte('}')
	return b.String()
}

func sortMembers(members []member) []member {
	return slices.SortedStableFunc(slices.Values(members), func(a, b member) int { return strings.Compare(a.name, b.name) })
}

// printNumber keeps integers and writes all others as Java's doubles.
func printNumber(literal string) string {
	switch {
	case literal == "-0":
		return "0"
	case literal == "NaN" || strings.HasSuffix(literal, "Infinity"):
		return `"` + literal + `"`
	case !strings.ContainsAny(literal, ".eE"):
		return literal
	}
	x, _ := strconv.ParseFloat(literal, 64) // out of range is an infinity, as in Java
	return javaFloat(x, 64)
}

// javaFloat is Double.toString, or Float.toString for 32 bits: plain between
// 0.001 and 10^7, with an exponent outside, always with a fraction.
func javaFloat(x float64, bits int) string {
	switch abs := math.Abs(x); {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return printNumber(floatLiteral(x))
	case x == 0 || abs >= 1e-3 && abs < 1e7:
		s := strconv.FormatFloat(x, 'f', -1, bits)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	s := strconv.FormatFloat(x, 'E', -1, bits)
	mantissa, exponent, _ := strings.Cut(s, "E")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	sign := ""
	if exponent[0] == '-' {
		sign = "-"
	}
	return mantissa + "E" + sign + strings.TrimLeft(exponent[1:], "0")
}

// quoteJSON quotes as Jackson does: only quotes, backslashes and control
// characters are escaped, the latter with upper-case digits.
func quoteJSON(s string) string {
	return string(appendQuoted(make([]byte, 0, len(s)+2), s))
}

// appendQuoted appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func appendQuoted[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		i++
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\t':
			dst = append(dst, `\t`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\r':
			dst = append(dst, `\r`...)
		default:
			if c < 0x20 {
				const digits = "0123456789ABCDEF"
				dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
				continue
			}
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
