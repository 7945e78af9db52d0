package protobuf

import (
	"slices"
	"testing"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/schematest"
)

func TestDiffer(t *testing.T) { schematest.RunDiffer(t, schema.Protobuf, Parse) }

// TestChangeFields: differences stand where their columns are.
func TestChangeFields(t *testing.T) {
	const p3 = `syntax = "proto3"; `
	old := p3 + `import "n.proto"; message M { int32 a = 1; In i = 2; repeated In l = 3; map<string, N> m = 4; oneof o { int32 x = 5; int32 y = 6; }
		message In { int32 b = 1; } } message Other { int32 z = 1; } enum E { A = 0; }`
	new := p3 + `import "n.proto"; message M { string a = 1; In i = 2; repeated In l = 3; map<string, N> m = 4; oneof o { int32 x = 5; }
		message In { string b = 1; int32 c = 2; } } message Other { string z = 1; } enum E { A = 0; B = 1; }`
	from := parse(t, old, "n.proto", p3+`message N { int32 d = 1; }`)
	to := parse(t, new, "n.proto", p3+`message N { string d = 1; }`)
	var got []string
	for _, c := range schema.Changes(to, from) {
		got = append(got, c.Type+" "+c.Field)
	}
	want := []string{
		"FIELD_SCALAR_KIND_CHANGED a", "FIELD_SCALAR_KIND_CHANGED m.value.d", "FIELD_NAMED_TYPE_CHANGED m", "ONEOF_FIELD_REMOVED y",
		"FIELD_SCALAR_KIND_CHANGED i.b", "FIELD_ADDED i.c", "FIELD_SCALAR_KIND_CHANGED Other.z", "ENUM_CONST_ADDED ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}
