package jsonschema

import (
	"testing"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/schematest"
)

func TestDiffer(t *testing.T) { schematest.RunDiffer(t, schema.JSON, Parse) }

func TestFieldOf(t *testing.T) {
	for pointer, want := range map[string]string{
		"/":                                    "",
		"/properties/a":                        "a",
		"/properties/a/maxLength":              "a",
		"/required/a":                          "a",
		"/properties/a/properties/b~1c/type":   "a.b/c",
		"/properties/l/items/properties/x":     "l.element.x",
		"/properties/t/items/1":                "t.1",
		"/properties/m/additionalProperties/q": "m.value",
		"/additionalProperties":                "",
		"/oneOf/1/properties/a":                "a",
		"/properties/properties":               "properties",
		"/dependencies/a":                      "",
	} {
		if got := fieldOf(pointer); got != want {
			t.Errorf("%s: got %q, want %q", pointer, got, want)
		}
	}
}
