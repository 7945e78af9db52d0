package registry

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/schema"
)

// TestReferences registers a diamond: both arms refer to the same schema.
func TestReferences(t *testing.T) {
	r := open(t, memory.New())
	record := func(name, field string) string {
		return fmt.Sprintf(`{"type":"record","name":%q,"fields":[{"name":"f","type":%q}]}`, name, field)
	}
	register(t, r, "base", avro(record("Base", "int")))
	base := schema.Reference{Name: "Base", Subject: "base", Version: Latest}
	register(t, r, "left", avro(record("Left", "Base"), base))
	register(t, r, "right", avro(record("Right", "Base"), base))
	top := register(t, r, "top", avro(`{"type":"record","name":"Top","fields":[{"name":"l","type":"Left"},{"name":"r","type":"Right"}]}`,
		schema.Reference{Name: "Left", Subject: "left", Version: 1}, schema.Reference{Name: "Right", Subject: "right", Version: 1}))
	s, err := r.Schema(DefaultContext, top.ID)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Decoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Validate([]byte{2, 4}); err != nil {
		t.Errorf("a payload: %v", err)
	}
	if got, err := r.ReferencedBy("base", 1, false); err != nil || fmt.Sprint(got) != "[2 3]" {
		t.Errorf("referenced by %v, %v", got, err)
	}
	// The same text with other references is another schema.
	register(t, r, "base2", avro(record("Base", "int")))
	other := register(t, r, "left", avro(record("Left", "Base"), schema.Reference{Name: "Base", Subject: "base2", Version: 1}))
	if other.ID != 5 || other.Version != 2 {
		t.Errorf("with another reference: %+v", other)
	}
	_, err = r.DeleteVersion(t.Context(), "right", 1, false)
	wants(t, "delete what others refer to", err, ErrReferenced)
}

func TestReferenceLimits(t *testing.T) {
	r := open(t, memory.New())
	ref := func(n int) schema.Reference {
		return schema.Reference{Name: fmt.Sprint("E", n), Subject: fmt.Sprint("s", n), Version: 1}
	}
	enum := func(n int) string { return fmt.Sprintf(`{"type":"enum","name":"E%d","symbols":["A"]}`, n) }
	register(t, r, "s0", avro(enum(0)))
	for n := 1; n <= maxReferenceDepth; n++ {
		register(t, r, fmt.Sprint("s", n), avro(enum(n), ref(n-1)))
	}
	bad := func(what string, req Request, want string) {
		t.Helper()
		_, err := r.Register(t.Context(), "x", req)
		if p, ok := errors.AsType[*schema.ParseError](err); !ok || !strings.Contains(p.Msg, want) {
			t.Errorf("%s: got %v, want %q", what, err, want)
		}
	}
	bad("deep", avro(`"int"`, ref(maxReferenceDepth)), "nested deeper")
	many := make([]schema.Reference, MaxReferences+1)
	for i := range many {
		many[i] = schema.Reference{Name: fmt.Sprint("N", i), Subject: "s0", Version: 1}
	}
	bad("many", avro(`"int"`, many...), "more than 1000 references")
	bad("twice", avro(`"int"`, ref(0), ref(0)), "a name of its own")
	bad("version 0", avro(`"int"`, schema.Reference{Name: "a", Subject: "s0"}), `subject "s0" and version 0`)
	big := register(t, r, "big", avro(`{"type":"enum","name":"Big","doc":"`+strings.Repeat("x", MaxSchemaBytes-100)+`","symbols":["A"]}`))
	heavy := make([]schema.Reference, 5)
	for i := range heavy {
		heavy[i] = schema.Reference{Name: fmt.Sprint("B", i), Subject: "big", Version: big.Version}
	}
	bad("heavy", avro(`"int"`, heavy...), "more than 4194304 bytes")
}

func TestLimits(t *testing.T) {
	r := open(t, memory.New())
	v := register(t, r, "s", avro(`"int"`))
	item := subjectItem{}
	for n := range MaxVersions {
		item.Versions = append(item.Versions, versionItem{Version: n + 1, ID: v.ID})
	}
	it := set(keysOf(DefaultContext).subject("s"), 99, item)
	if len(it.Value) > 1<<20 {
		t.Errorf("a full subject takes %d bytes", len(it.Value))
	}
	full, err := r.world.Load().apply(append(r.items(t), it))
	if err != nil {
		t.Fatal(err)
	}
	for n := range MaxSubjects {
		full.home().subjects.set(fmt.Sprint("n", n), full.home().subjects.get("s"))
	}
	r.world.Store(full)
	_, err = r.Register(t.Context(), "s", avro(`"long"`))
	wants(t, "a version too many", err, ErrTooMany)
	_, err = r.Register(t.Context(), "new", avro(`"long"`))
	wants(t, "a subject too many", err, ErrTooMany)
	wants(t, "settings of a subject too many", r.SetMode(t.Context(), "new", ReadOnly, false), ErrTooMany)
	_, err = r.Register(t.Context(), "s", avro(strings.Repeat(" ", MaxSchemaBytes+1)))
	wants(t, "a large schema", err, ErrTooLarge)
	for _, name := range []string{"", strings.Repeat("x", MaxSubjectBytes+1), "a\x00", "a\xff", ":.ctx:", ":.c/x:a", ":.__GLOBAL:a", "__GLOBAL"} {
		_, err = r.Register(t.Context(), name, avro(`"int"`))
		wants(t, fmt.Sprintf("subject %.20q", name), err, ErrBadSubject)
	}
	_, err = r.Register(t.Context(), "s", avro("\"\xff\""))
	if _, ok := errors.AsType[*schema.ParseError](err); !ok {
		t.Errorf("a text that is not UTF-8: %v", err)
	}
}

// items reads what the registry has stored.
func (r *Registry) items(t *testing.T) []storage.Item {
	t.Helper()
	var list []storage.Item
	for it, err := range r.engine.Scan(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, it)
	}
	return list
}
