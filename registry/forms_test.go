package registry

import (
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/schema"
)

// Two texts of one Protobuf schema.
const (
	plainProto = "syntax = \"proto3\";\nmessage M {\n  int32 a_b = 1;\n}\n"
	denseProto = "syntax=\"proto3\"; /* the same */ message M { int32 a_b = 1 [json_name = \"aB\"]; }"
)

func proto(text string) Request { return Request{Type: schema.Protobuf, Text: text} }

// TestForms finds a Protobuf schema by another text of it: after a restart, where
// the store is from before forms were noted, and by the older of two imported ids
// until that is gone.
func TestForms(t *testing.T) {
	e := memory.New()
	r := open(t, e)
	register(t, r, "new", proto(plainProto))
	k := keysOf(DefaultContext)
	if err := e.Commit(t.Context(), storage.Write{Set: []storage.Item{
		set(k.schema(7), 0, schemaItem{Type: schema.Protobuf, Text: plainProto + "// old\n"}),
		set(k.subject("old"), 0, subjectItem{Versions: []versionItem{{Version: 1, ID: 7}}}),
	}}); err != nil {
		t.Fatal(err)
	}
	r = open(t, e)
	for subject, want := range map[string]int{"new": 1, "old": 7} {
		if v, err := r.Lookup(t.Context(), subject, proto(denseProto), false); err != nil || v.ID != want {
			t.Errorf("%s: id %d, %v, want %d", subject, v.ID, err, want)
		}
		if v := register(t, r, subject, proto(denseProto)); v.ID != want || v.Version != 1 {
			t.Errorf("%s registered again: %+v", subject, v)
		}
	}
	if v := register(t, r, "another", proto(denseProto)); v.ID != 1 || v.Text != plainProto {
		t.Errorf("another subject: %+v", v)
	}

	if err := r.SetMode(t.Context(), ":.copy:", Import, false); err != nil {
		t.Fatal(err)
	}
	for name, req := range map[string]Request{":.copy:a": proto(plainProto), ":.copy:b": proto(denseProto)} {
		req.ID = map[string]int{":.copy:a": 5, ":.copy:b": 8}[name]
		register(t, r, name, req)
	}
	if err := r.SetMode(t.Context(), ":.copy:", ReadWrite, true); err != nil {
		t.Fatal(err)
	}
	third := proto(plainProto + "// third\n")
	if v := register(t, r, ":.copy:c", third); v.ID != 5 {
		t.Errorf("of two ids it is %d, want the older one, 5", v.ID)
	}
	for _, name := range []string{":.copy:c", ":.copy:a"} {
		for _, permanent := range []bool{false, true} {
			if _, err := r.DeleteSubject(t.Context(), name, permanent); err != nil {
				t.Fatal(err)
			}
		}
	}
	if v := register(t, r, ":.copy:c", third); v.ID != 8 {
		t.Errorf("of what is left it is %d, want 8", v.ID)
	}
}
