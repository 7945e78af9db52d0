package rest

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// types makes JSON Schemas of Go types by the rules of encoding/json. Structs
// with a name are components, so that types may hold themselves.
type types struct {
	named map[string]any
	names map[reflect.Type]string
}

func newTypes() *types { return &types{named: map[string]any{}, names: map[reflect.Type]string{}} }

// of is the schema of a value's type.
func (t *types) of(value any) any { return t.shape(reflect.TypeOf(value)) }

func (t *types) shape(of reflect.Type) any {
	switch of {
	case reflect.TypeFor[json.RawMessage](), reflect.TypeFor[any]():
		return map[string]any{}
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "integer", "description": "nanoseconds"}
	}
	switch of.Kind() {
	case reflect.Pointer:
		return t.shape(of.Elem())
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		return map[string]any{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Slice, reflect.Array:
		if of.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string", "contentEncoding": "base64"}
		}
		return map[string]any{"type": "array", "items": t.shape(of.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": t.shape(of.Elem())}
	case reflect.Struct:
		if of.Name() == "" {
			return t.object(of)
		}
		return map[string]any{"$ref": "#/components/schemas/" + t.component(of)}
	}
	return map[string]any{} // an interface: anything
}

// component makes sure that a struct is among the components, under its name; of
// two packages' types with one name the later one has a number.
func (t *types) component(of reflect.Type) string {
	if name, ok := t.names[of]; ok {
		return name
	}
	name := strings.ToUpper(of.Name()[:1]) + of.Name()[1:]
	for t.named[name] != nil {
		name += "2"
	}
	t.names[of] = name
	t.named[name] = map[string]any{} // for what holds itself
	t.named[name] = t.object(of)
	return name
}

func (t *types) object(of reflect.Type) map[string]any {
	properties := map[string]any{}
	t.fields(of, properties)
	return map[string]any{"type": "object", "properties": properties}
}

// fields adds a struct's fields by their names in JSON, those of embedded ones
// beside them.
func (t *types) fields(of reflect.Type, into map[string]any) {
	for i := range of.NumField() {
		f := of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			t.fields(f.Type, into)
		case !f.IsExported():
		case name == "":
			into[f.Name] = t.shape(f.Type)
		default:
			into[name] = t.shape(f.Type)
		}
	}
}
