package rules

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// maxJSONDepth bounds the schemas within schemas that a walk follows, references
// counted: a payload is not deeper.
const maxJSONDepth = 4 * schema.MaxDepth

// maxJSONSteps bounds the schemas that a walk asks: through allOf one value may
// have many, and each of these many more.
const maxJSONSteps = 1 << 18

// jsonRoot is the schema's text with what it refers to written out; nil if it is
// no object.
func jsonRoot(s schema.Schema) map[string]any {
	text := s.Canonical()
	if whole, ok := s.(interface{ Resolved() string }); ok {
		text = whole.Resolved()
	}
	var root map[string]any
	_ = json.Unmarshal([]byte(text), &root) // true and false have no fields
	return root
}

// branches says why the fields of a JSON schema's payloads are not told here:
// which of several forms a value has, clients find out by trying them all.
func branches(s schema.Schema) string {
	if s.Type() == schema.JSON && forked(jsonRoot(s)) {
		return "fields below oneOf and anyOf are the client's to tell"
	}
	return ""
}

// forked tells whether a schema has oneOf or anyOf anywhere; in constants and
// names of properties too, which does no harm.
func forked(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, kid := range v {
			if key == "oneOf" || key == "anyOf" || forked(kid) {
				return true
			}
		}
	case []any:
		for _, kid := range v {
			if forked(kid) {
				return true
			}
		}
	}
	return false
}

// jsonWalk goes over a value beside its schema, as Confluent's clients do.
type jsonWalk struct {
	root map[string]any
	see  visit
	done int
}

// value visits a value below the schema at, which stands in the document doc.
// field is what it is the value of, in message; nil at the top and for items.
func (w *jsonWalk) value(at any, doc map[string]any, path string, field *schema.Field, v, message any, depth int) error {
	s, ok := at.(map[string]any)
	if !ok || v == nil {
		return nil
	}
	if w.done++; w.done > maxJSONSteps || depth > maxJSONDepth {
		return fmt.Errorf("its schema goes more than %d levels deep or has more than %d steps", maxJSONDepth, maxJSONSteps)
	}
	if s["$id"] != nil || s["id"] != nil && s["$schema"] != nil {
		doc = s
	}
	if parts, ok := s["allOf"].([]any); ok {
		for _, part := range parts {
			if err := w.value(part, doc, path, field, v, message, depth+1); err != nil {
				return err
			}
		}
		return w.inside(s, doc, path, v, depth)
	}
	if ref, ok := s["$ref"].(string); ok {
		target, in := w.find(ref, doc)
		return w.value(target, in, path, field, v, message, depth+1)
	}
	word := jsonWord(s, v)
	if word == "" {
		return w.inside(s, doc, path, v, depth)
	}
	if field != nil && word != "ENUM" {
		one := *field
		one.Type = word
		w.see(one, v, message)
	}
	return nil
}

// inside visits the properties of an object, and those of an array's items.
func (w *jsonWalk) inside(s, doc map[string]any, path string, v any, depth int) error {
	switch v := v.(type) {
	case map[string]any:
		properties, _ := s["properties"].(map[string]any)
		for name, kid := range properties {
			one, ok := kid.(map[string]any)
			if !ok || v[name] == nil {
				continue
			}
			full := path + "." + name
			if err := w.value(one, doc, full, &schema.Field{Name: name, FullName: full, Tags: texts(one[schema.TagsProperty])}, v[name], v, depth+1); err != nil {
				return err
			}
		}
	case []any:
		for _, item := range v {
			if err := w.value(s["items"], doc, path, nil, item, nil, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// jsonWord is the type by which rules know a value of a schema; "" for objects
// and arrays, ENUM for what clients ask no rule about: constants, and values of
// no type.
func jsonWord(s map[string]any, v any) string {
	kinds := map[string]string{"string": "STRING"}
	switch v.(type) {
	case map[string]any, []any:
		return ""
	case bool:
		kinds = map[string]string{"boolean": "BOOLEAN"}
	case int64, float64:
		kinds = map[string]string{"integer": "INT", "number": "DOUBLE"}
	}
	if s["const"] != nil || s["enum"] != nil {
		return "ENUM"
	}
	for _, kind := range append(texts(s["type"]), text(s["type"])) {
		if word, ok := kinds[kind]; ok {
			return word
		}
	}
	return "ENUM"
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func texts(v any) (list []string) {
	items, _ := v.([]any)
	for _, one := range items {
		if text, ok := one.(string); ok {
			list = append(list, text)
		}
	}
	return list
}

// find follows a reference: within the document, or to one that is written out
// below the root's definitions. nil if it leads nowhere.
func (w *jsonWalk) find(ref string, doc map[string]any) (target any, in map[string]any) {
	name, pointer, _ := strings.Cut(ref, "#")
	if name != "" {
		doc = nil
		for _, word := range []string{"$defs", "definitions"} {
			defs, _ := w.root[word].(map[string]any)
			for key, one := range defs {
				held, ok := one.(map[string]any)
				if ok && (key == name || held["$id"] == name || held["id"] == name) {
					doc = held
				}
			}
		}
	}
	if doc == nil {
		return nil, w.root
	}
	target = doc
	for _, step := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		if step == "" {
			continue
		}
		if plain, err := url.PathUnescape(step); err == nil {
			step = plain
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch t := target.(type) {
		case map[string]any:
			target = t[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(t) {
				return nil, doc
			}
			target = t[i]
		default:
			return nil, doc
		}
	}
	return target, doc
}
