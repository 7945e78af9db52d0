package jsonschema

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestReadsKeepsData holds verdicts against data: what a writer's schema accepts,
// a reader's schema that reads it must accept. The schemas keep to keywords for
// which Confluent's rules promise that: not oneOf (a member more may match a value
// a second time), patternProperties, contains, propertyNames and if (changes in
// them are not looked at), defaults (which stand in for what is missing), a required
// property of any type (it counts as empty first).
func TestReadsKeepsData(t *testing.T) {
	same, read, refused, held := 0, 0, 0, 0
	for seed := range uint64(6000) {
		r := dataMaker{rand.New(rand.NewPCG(seed, 3))}
		a := r.schema(3)
		b := r.changed(a, 3)
		oldText, newText := asText(t, a), asText(t, b)
		if oldText == newText {
			same++
			continue
		}
		old, new := mustParse(t, oldText), mustParse(t, newText)
		if len(new.Reads(old)) > 0 {
			refused++
			continue
		}
		read++
		for range 60 {
			v := r.value(3)
			if old.compiled.Validate(v) != nil {
				continue
			}
			held++
			if err := new.compiled.Validate(v); err != nil {
				t.Fatalf("seed %d: %s\nis read with %s\nbut not the value %s: %v", seed, oldText, newText, asText(t, v), err)
			}
		}
	}
	t.Logf("%d unchanged, %d read, %d not, %d values", same, read, refused, held)
	if read < 500 || refused < 500 || held < 5000 {
		t.Errorf("%d read, %d not, %d values: too few to mean something", read, refused, held)
	}
}

func asText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dataMaker makes small schemas and values, from few words, so that they meet.
type dataMaker struct{ *rand.Rand }

type object = map[string]any

func (r dataMaker) number() any { return json.Number(fmt.Sprint(r.IntN(7) - 2)) }

func (r dataMaker) value(depth int) any {
	switch n := r.IntN(9); {
	case n < 2 || depth == 0 && n > 5:
		return []string{"", "a", "ab", "abc", "b"}[r.IntN(5)]
	case n < 4:
		return r.number()
	case n == 4:
		return json.Number("0.5")
	case n == 5:
		return []any{nil, true, false}[r.IntN(3)]
	case n == 6:
		list := []any{}
		for range r.IntN(4) {
			list = append(list, r.value(depth-1))
		}
		return list
	}
	m := object{}
	for _, name := range []string{"a", "b", "c"} {
		if r.IntN(2) == 0 {
			m[name] = r.value(depth - 1)
		}
	}
	return m
}

func (r dataMaker) schema(depth int) any {
	m := object{}
	n := r.IntN(14)
	switch {
	case n == 0:
		return []any{true, false, m}[r.IntN(3)]
	case n < 3:
		m["type"] = "string"
		r.some(m, "maxLength", "minLength")
		if r.IntN(4) == 0 {
			m["pattern"] = []string{"a", "^a", "b$"}[r.IntN(3)]
		}
	case n < 5 || depth == 0:
		m["type"] = []string{"number", "integer"}[r.IntN(2)]
		r.some(m, "maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf")
	case n == 5:
		m["type"] = []any{[]string{"string", "null"}, "boolean", "null", []string{"integer", "object", "array"}}[r.IntN(4)]
	case n == 6:
		m["enum"] = []any{[]any{"a", 1}, []any{"a", "b", nil}, []any{1}}[r.IntN(3)]
	case n < 9:
		m["type"] = "array"
		if r.some(m, "maxItems", "minItems"); r.IntN(2) == 0 {
			m["items"] = r.schema(depth - 1)
		} else {
			m["items"], m["additionalItems"] = r.schemas(depth-1), r.schema(depth-1)
		}
		if r.IntN(5) == 0 {
			m["uniqueItems"] = true
		}
	case n < 12:
		r.object(m, depth)
	case n == 12:
		m["not"] = r.schema(depth - 1)
	default:
		m[[]string{"allOf", "anyOf"}[r.IntN(2)]] = r.schemas(depth - 1)
	}
	return m
}

func (r dataMaker) object(m object, depth int) {
	m["type"] = "object"
	r.some(m, "maxProperties", "minProperties")
	properties, required := object{}, []string{}
	for _, name := range []string{"a", "b", "c"} {
		if r.IntN(2) == 0 {
			continue
		}
		properties[name] = r.schema(depth - 1)
		if r.IntN(4) == 0 && !isAny(properties[name]) {
			required = append(required, name)
		}
	}
	m["properties"], m["required"] = properties, required
	switch r.IntN(3) {
	case 0:
		m["additionalProperties"] = false
	case 1:
		m["additionalProperties"] = r.schema(depth - 1)
	}
	if r.IntN(6) == 0 {
		m["dependencies"] = object{"a": []any{[]string{"b"}, []string{"b", "c"}, r.schema(depth - 1)}[r.IntN(3)]}
	}
}

// isAny says whether a schema is true or {}.
func isAny(v any) bool {
	m, ok := v.(object)
	return v == true || ok && len(m) == 0
}

func (r dataMaker) schemas(depth int) []any {
	list := []any{r.schema(depth)}
	for range r.IntN(3) {
		list = append(list, r.schema(depth))
	}
	return list
}

// some sets a few keywords with small numbers.
func (r dataMaker) some(m object, keywords ...string) {
	for _, k := range keywords {
		if r.IntN(3) == 0 {
			m[k] = 1 + r.IntN(3)
		}
	}
}

// changed is a copy of a schema with a change here or there.
func (r dataMaker) changed(v any, depth int) any {
	m, ok := v.(object)
	if !ok || r.IntN(12) == 0 {
		if r.IntN(2) == 0 {
			return v
		}
		return r.schema(min(depth, 1))
	}
	out := object{}
	for _, k := range keysOf(m, nil) {
		switch x := m[k].(type) {
		case int:
			if n := x + r.IntN(4) - 1; r.IntN(3) > 0 && n > 0 {
				out[k] = n
			}
		case object:
			switch k {
			case "properties":
				out[k] = r.changedProperties(x, depth)
			case "dependencies":
				out[k] = x
			default:
				out[k] = r.changed(x, depth-1)
			}
		case []any:
			out[k] = r.changedList(k, x, depth)
		default:
			out[k] = x
		}
	}
	// A name that must be there stays among the properties.
	if names, ok := out["required"].([]string); ok {
		var kept []string
		for _, name := range names {
			if p := out["properties"].(object)[name]; p != nil && !isAny(p) && r.IntN(8) > 0 {
				kept = append(kept, name)
			}
		}
		if out["required"] = kept; kept == nil {
			delete(out, "required")
		}
	}
	return out
}

func (r dataMaker) changedProperties(m object, depth int) object {
	out := object{}
	for _, name := range []string{"a", "b", "c"} {
		switch {
		case m[name] == nil && r.IntN(6) == 0:
			out[name] = r.schema(1)
		case m[name] != nil && r.IntN(6) > 0:
			out[name] = m[name]
			if r.IntN(2) == 0 {
				out[name] = r.changed(m[name], depth-1)
			}
		}
	}
	return out
}

func (r dataMaker) changedList(keyword string, list []any, depth int) []any {
	if keyword == "enum" {
		if r.IntN(2) == 0 {
			return append([]any{"new"}, list...)
		}
		return list
	}
	var out []any
	for _, v := range list {
		if r.IntN(2) == 0 {
			v = r.changed(v, depth-1)
		}
		out = append(out, v)
	}
	switch n := r.IntN(8); {
	case n == 0:
		out = append(out, r.schema(1))
	case n == 1 && len(out) > 1:
		out = out[1:]
	case n == 2:
		r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}
