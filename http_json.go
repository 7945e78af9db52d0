package main

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/broker/topic"
)

// readJSON reads a request's body of at most so many bytes; false means that it
// has been answered.
func readJSON(w http.ResponseWriter, r *http.Request, maxBytes int64, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBytes))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = fmt.Errorf("there is more behind the JSON, from byte %d on", d.InputOffset())
		}
	}
	if err != nil {
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: jsonTrouble(err, into)})
		return false
	}
	return true
}

// maxNamed bounds the fields that are listed to whoever names one that there is not.
const maxNamed = 20

// jsonTrouble says in words what is wrong with JSON that was to be decoded: the library
// names types of Go.
func jsonTrouble(err error, into any) string {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	var long *http.MaxBytesError
	name, unknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case unknown:
		return "unknown field " + name + otherFields(strings.Trim(name, `"`), fieldNames(reflect.TypeOf(into), nil))
	case errors.As(err, &typ):
		field, here := typ.Field, typ.Value
		if field == "" {
			field = "the whole of it"
		}
		switch first, number, _ := strings.Cut(here, " "); {
		case first == "number" && number != "":
			here = number
		case first == "bool":
			here = "true or false"
		case first == "object" || first == "array":
			here = "an " + first
		default:
			here = "a " + first
		}
		return fmt.Sprintf("%s: %s is wanted, and here is %s", field, wantedJSON(typ.Type), here)
	case errors.As(err, &syntax):
		return fmt.Sprintf("no JSON at byte %d: %v", syntax.Offset, syntax)
	case errors.As(err, &long):
		return fmt.Sprintf("there are more than the %d bytes that may be sent here", long.Limit)
	case errors.Is(err, io.EOF):
		return "JSON is wanted, and nothing was sent"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON ends before it is whole"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// wantedJSON is what a type of Go is in JSON.
func wantedJSON(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return "a string"
	}
	switch k := t.Kind(); {
	case k == reflect.Bool:
		return "true or false"
	case k == reflect.String || k == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "a string"
	case k >= reflect.Int && k <= reflect.Uint64:
		return fmt.Sprintf("a whole number of %d bits", t.Bits())
	case k == reflect.Float32 || k == reflect.Float64:
		return "a number"
	case k == reflect.Slice || k == reflect.Array:
		return "an array"
	}
	return "an object"
}

// fieldNames are the fields of JSON that a type has, with those inside them.
func fieldNames(t reflect.Type, seen []reflect.Type) []string {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct || slices.Contains(seen, t) {
		return nil
	}
	seen = append(seen, t)
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case name == "" && !f.Anonymous:
			name = f.Name
		}
		if name != "" {
			out = append(out, name)
		}
		out = append(out, fieldNames(f.Type, seen)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// otherFields says which field is meant by a name that none has, or which there are.
func otherFields(name string, known []string) string {
	if near := topic.Suggest(name, known); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	if len(known) == 0 || len(known) > maxNamed {
		return ""
	}
	return ": there are " + strings.Join(known, ", ")
}
