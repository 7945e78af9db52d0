package fake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/jsonschema"
)

// jsonTexts are a JSON schema's texts: the root under "", references by name.
type jsonTexts map[string]any

func ofJSONSchema(src schema.Source) (func(*Generator) error, schema.Validator, error) {
	parsed, err := jsonschema.Parse(src)
	if err != nil {
		return nil, nil, err
	}
	check, err := parsed.Validator(nil)
	if err != nil {
		return nil, nil, err
	}
	texts := jsonTexts{}
	for _, t := range append(src.References, schema.Named{Text: src.Text}) {
		d := json.NewDecoder(bytes.NewReader([]byte(t.Text)))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, nil, &schema.ParseError{Msg: err.Error()}
		}
		texts[t.Name] = v
	}
	title := ""
	if m, ok := texts[""].(map[string]any); ok {
		title, _ = m["title"].(string)
	}
	return func(g *Generator) error { return texts.write(g, texts[""], "", place{record: title}) }, check, nil
}

// write makes a value of the schema v, which stands in the text of a name. What it
// makes is checked by the caller: keywords that only narrow are tried, not understood.
func (t jsonTexts) write(g *Generator, v any, in string, p place) error {
	if p.depth > schema.MaxDepth {
		return errors.New("the schema holds itself without end")
	}
	if !g.fits(0) {
		return g.over
	}
	m, in, err := t.flat(g, v, in, 0)
	if err != nil {
		return err
	}
	if c, ok := m["const"]; ok {
		return g.value(c)
	}
	if list, ok := m["enum"].([]any); ok && len(list) > 0 {
		return g.value(pick(g, list))
	}
	switch kindOf(g, m, p) {
	case "object":
		return t.object(g, m, in, p)
	case "array":
		return t.array(g, m, in, p)
	case "null":
		g.raw("null")
	case "boolean":
		g.bool(g.chance(50))
	case "integer":
		low, high, step := bounds(m, true)
		if step >= 1 {
			n := int64(step)
			first := int64(math.Ceil(low / step))
			g.int(n * g.integer(p, first, max(first, int64(math.Min(high/step, 1e15)))))
			return nil
		}
		g.int(g.integer(p, int64(low), int64(high)))
	case "number":
		g.number64(m, p)
	default:
		g.jsonText(m, p)
	}
	return nil
}

// flat resolves $ref and takes one branch of unions and all of allOf.
func (t jsonTexts) flat(g *Generator, v any, in string, depth int) (map[string]any, string, error) {
	m, ok := v.(map[string]any)
	if depth > maxRefs {
		return nil, in, errors.New("references of the schema lead to themselves")
	}
	if !ok {
		return map[string]any{}, in, nil // true: anything
	}
	if ref, ok := m["$ref"].(string); ok {
		to, where, err := t.find(ref, in)
		if err != nil {
			return nil, in, err
		}
		out, where, err := t.flat(g, to, where, depth+1)
		if err != nil {
			return nil, in, err
		}
		return merged(out, m, "$ref"), where, nil
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		if list, ok := m[key].([]any); ok && len(list) > 0 {
			one, where, err := t.flat(g, pick(g, list), in, depth+1)
			if err != nil {
				return nil, in, err
			}
			return merged(one, m, key), where, nil
		}
	}
	list, ok := m["allOf"].([]any)
	if !ok {
		return m, in, nil
	}
	out := merged(map[string]any{}, m, "allOf")
	for _, part := range list {
		one, where, err := t.flat(g, part, in, depth+1)
		if err != nil {
			return nil, in, err
		}
		out, in = merged(out, one, ""), where
	}
	return out, in, nil
}

// merged is what both ask for, as far as keywords can be put together.
func merged(a, b map[string]any, without string) map[string]any {
	out := maps.Clone(a)
	for k, v := range b {
		if k == without {
			continue
		}
		switch had := out[k].(type) {
		case map[string]any:
			if more, ok := v.(map[string]any); ok && k == "properties" {
				v = merged(had, more, "")
			}
		case []any:
			if more, ok := v.([]any); ok && k == "required" {
				v = slices.Concat(had, more)
			}
		}
		out[k] = v
	}
	return out
}

// find resolves a reference: a text's name, a pointer in one, or both.
func (t jsonTexts) find(ref, in string) (any, string, error) {
	name, pointer, _ := strings.Cut(ref, "#")
	if name == "" {
		name = in
	}
	at, ok := t[name]
	if !ok {
		return nil, "", fmt.Errorf("$ref %q is found in no text", ref)
	}
	if pointer == "" {
		return at, name, nil
	}
	if text, err := url.PathUnescape(pointer); err == nil {
		pointer = text
	}
	for _, key := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		key = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
		switch x := at.(type) {
		case map[string]any:
			at, ok = x[key]
		case []any:
			i, err := strconv.Atoi(key)
			if ok = err == nil && i >= 0 && i < len(x); ok {
				at = x[i]
			}
		default:
			ok = false
		}
		if !ok {
			return nil, "", fmt.Errorf("$ref %q leads nowhere", ref)
		}
	}
	return at, name, nil
}

// kindOf says which type a value is to have.
func kindOf(g *Generator, m map[string]any, p place) string {
	switch t := m["type"].(type) {
	case string:
		return t
	case []any:
		var full []string
		for _, one := range t {
			if s, ok := one.(string); ok && s != "null" {
				full = append(full, s)
			}
		}
		if len(full) < len(t) && (len(full) == 0 || p.depth >= deep || g.chance(15)) {
			return "null"
		}
		return pick(g, full)
	}
	switch {
	case m["properties"] != nil || m["required"] != nil:
		return "object"
	case m["items"] != nil || m["prefixItems"] != nil:
		return "array"
	case m["minimum"] != nil || m["maximum"] != nil:
		return "number"
	}
	return "string"
}

// object writes required properties, and most others unless it is deep.
func (t jsonTexts) object(g *Generator, m map[string]any, in string, p place) error {
	required := map[string]bool{}
	list, _ := m["required"].([]any)
	for _, r := range list {
		if s, ok := r.(string); ok {
			required[s] = true
		}
	}
	properties, _ := m["properties"].(map[string]any)
	names := slices.Sorted(maps.Keys(properties))
	for _, r := range slices.Sorted(maps.Keys(required)) {
		if _, ok := properties[r]; !ok {
			names = append(names, r)
		}
	}
	record, _ := m["title"].(string)
	if record == "" {
		record = p.record
		if p.depth > 0 {
			record = p.field
		}
	}
	g.raw("{")
	first := true
	for _, name := range names {
		of, known := properties[name]
		if of == false || !required[name] && (p.depth >= deep || g.chance(15)) {
			continue
		}
		if !known {
			of = m["additionalProperties"]
		}
		g.sep(&first)
		g.name(name)
		if err := t.write(g, of, in, p.below(record, name)); err != nil {
			return err
		}
	}
	if more, ok := m["additionalProperties"].(map[string]any); ok && len(properties) == 0 {
		low := whole(m, "minProperties", 0)
		if !g.fits(low) {
			return g.over
		}
		for i := range max(g.count(p.depth), low) {
			g.sep(&first)
			g.name(plainWords()[i%len(plainWords())] + strings.Repeat("_", i/len(plainWords())))
			if err := t.write(g, more, in, p.below(record, p.field)); err != nil {
				return err
			}
		}
	}
	g.raw("}")
	return nil
}

func (t jsonTexts) array(g *Generator, m map[string]any, in string, p place) error {
	first := true
	item := func(of any) error {
		g.sep(&first)
		inner := p
		inner.depth++
		return t.write(g, of, in, inner)
	}
	prefix, _ := m["prefixItems"].([]any)
	rest := m["items"]
	if list, ok := rest.([]any); ok { // before draft 2020-12
		prefix, rest = list, m["additionalItems"]
	}
	low, high := whole(m, "minItems", 0), whole(m, "maxItems", math.MaxInt32)
	n := min(max(g.count(p.depth), low, len(prefix)), high)
	if !g.fits(n) {
		return g.over
	}
	g.raw("[")
	for i := range n {
		of := rest
		if i < len(prefix) {
			of = prefix[i]
		}
		if of == false {
			break
		}
		if err := item(of); err != nil {
			return err
		}
	}
	g.raw("]")
	return nil
}

// value writes a value that stands in the schema.
func (g *Generator) value(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		g.out = append(g.out, b...)
	}
	return err
}

func (g *Generator) number64(m map[string]any, p place) {
	low, high, step := bounds(m, false)
	v := g.real(p, 2)
	if v < low || v > high {
		if math.IsInf(low, -1) {
			low = high - 1000
		}
		if math.IsInf(high, 1) {
			high = low + 1000
		}
		v = low + g.rand.Float64()*(high-low)
		if rounded := math.Round(v*100) / 100; rounded >= low && rounded <= high {
			v = rounded
		}
	}
	if step > 0 {
		v = math.Ceil(low/step) * step
		if math.IsInf(v, 0) {
			v = float64(g.between(0, 1000)) * step
		}
	}
	g.float(v)
}

// bounds reads what keeps a number: both ends included, drafts 4 to 2020-12.
func bounds(m map[string]any, integer bool) (low, high, step float64) {
	read := func(key string, or float64) float64 {
		if n, ok := m[key].(json.Number); ok {
			if f, err := n.Float64(); err == nil {
				return f
			}
		}
		return or
	}
	least := 0.0
	if !integer {
		least = math.Inf(-1)
	}
	low, high = read("minimum", least), read("maximum", math.Inf(1))
	if integer {
		high = read("maximum", math.MaxInt64/2)
		if m["minimum"] == nil && high < 0 {
			low = high - 1000
		}
		low, high = math.Ceil(low), math.Floor(high)
	}
	little := 1.0
	if !integer {
		little = 0.01
	}
	if over := read("exclusiveMinimum", math.Inf(-1)); over >= low {
		low = over + little
	}
	if under := read("exclusiveMaximum", math.Inf(1)); under <= high {
		high = under - little
	}
	if m["exclusiveMinimum"] == true {
		low += little
	}
	if m["exclusiveMaximum"] == true {
		high -= little
	}
	return low, high, read("multipleOf", 0)
}

func whole(m map[string]any, key string, or int) int {
	if n, ok := m[key].(json.Number); ok {
		if f, err := n.Float64(); err == nil && f >= 0 && f < math.MaxInt32 {
			return int(f)
		}
	}
	return or
}

// jsonText writes a text by its format, or one of the examples for a pattern.
func (g *Generator) jsonText(m map[string]any, p place) {
	at := g.moment(p)
	switch m["format"] {
	case "date-time":
		g.string(at.Format("2006-01-02T15:04:05.000Z"))
		return
	case "date":
		g.string(at.Format(time.DateOnly))
		return
	case "time":
		g.string(at.Format("15:04:05Z"))
		return
	case "uuid":
		g.string(g.uuid())
		return
	case "email":
		p.field = "email"
	case "uri", "url", "iri":
		p.field = "url"
	case "ipv4", "hostname":
		p.field = "ip"
	}
	if m["pattern"] != nil {
		for _, key := range []string{"examples", "example", "default"} {
			switch e := m[key].(type) {
			case []any:
				if len(e) > 0 {
					if s, ok := pick(g, e).(string); ok {
						g.string(s)
						return
					}
				}
			case string:
				g.string(e)
				return
			}
		}
	}
	text := []rune(g.text(p))
	low, high := whole(m, "minLength", 0), whole(m, "maxLength", math.MaxInt32)
	if !g.fits(low) {
		return
	}
	for len(text) < low {
		text = append(text, []rune("-"+pick(g, plainWords()))...)
	}
	g.string(string(text[:min(len(text), max(low, min(len(text), high)))]))
}
