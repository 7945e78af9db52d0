package registry

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/schema"
)

func TestContextNames(t *testing.T) {
	for _, tt := range []struct{ name, context, within string }{
		{"s", ".", "s"},
		{"", ".", ""},
		{":.lab:s", ".lab", "s"},
		{":.lab:", ".lab", ""},
		{":.lab:a:b", ".lab", "a:b"},
		{":.:s", ".", "s"},
		{":.open", ".", ":.open"},
		{":x:s", ".", ":x:s"},
	} {
		context, within := Split(tt.name)
		if context != tt.context || within != tt.within {
			t.Errorf("%q is %q in %q, want %q in %q", tt.name, within, context, tt.within, tt.context)
		}
	}
	if got := Qualify(".lab", "s"); got != ":.lab:s" {
		t.Errorf("qualified: %q", got)
	}
}

// TestContextsRestart holds what a second process reads to what the first one
// has: ids, imported twins, settings, a deleted context.
func TestContextsRestart(t *testing.T) {
	e := memory.New()
	r := open(t, e)
	register(t, r, "s", avro(orderV1))
	far := register(t, r, ":.lab:s", avro(userV1))
	if far.ID != 1 || far.Context != ".lab" || far.Subject != ":.lab:s" {
		t.Errorf("first schema of a context: %+v", far)
	}
	register(t, r, ":.gone:s", avro(orderV1))
	for _, permanent := range []bool{false, true} {
		if _, err := r.DeleteSubject(t.Context(), ":.gone:s", permanent); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.DeleteContext(t.Context(), ".gone"); err != nil {
		t.Fatal(err)
	}
	if err := r.SetMode(t.Context(), ":.copy:", Import, false); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int{8, 5} {
		req := avro(orderV1)
		req.ID = id
		register(t, r, Qualify(".copy", string(rune('a'+id))), req)
	}
	if err := r.SetSettings(t.Context(), ":.lab:", levelOf(Full)); err != nil {
		t.Fatal(err)
	}
	again := open(t, e)
	for what, pair := range map[string][2]any{
		"contexts":        {r.Contexts(""), again.Contexts("")},
		"subjects":        {r.Subjects(AnyContext, All), again.Subjects(AnyContext, All)},
		"versions":        {r.List(AnyContext, All, false), again.List(AnyContext, All, false)},
		"level":           {r.Level(":.lab:s"), again.Level(":.lab:s")},
		"mode":            {r.ModeInForce(":.copy:x"), again.ModeInForce(":.copy:x")},
		"twin":            {r.world.Load().view(".copy").same.get(identityIn(t, r, ".copy", 8)).id, 5},
		"twin, restarted": {again.world.Load().view(".copy").same.get(identityIn(t, again, ".copy", 8)).id, 5},
		"ids of .gone":    {r.MaxID(".gone"), again.MaxID(".gone")},
	} {
		if got, want := fmt.Sprintf("%+v", pair[1]), fmt.Sprintf("%+v", pair[0]); got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	if got := register(t, again, ":.gone:s", avro(orderV2)); got.ID != 2 {
		t.Errorf("a context made again gives id %d, want 2", got.ID)
	}
}

func identityIn(t *testing.T, r *Registry, context string, id int) identity {
	t.Helper()
	e := r.world.Load().view(context).ids.get(id)
	if e == nil {
		t.Fatalf("context %s has no id %d", context, id)
	}
	return e.identity()
}

// TestFarReference lets one process refer to a version of another context which
// a second process deletes at that moment: one of the two must be refused.
func TestFarReference(t *testing.T) {
	e := memory.New()
	a := open(t, e)
	register(t, a, ":.lab:user", avro(userV1))
	b := open(t, e)
	if _, err := b.DeleteVersion(t.Context(), ":.lab:user", 1, false); err != nil {
		t.Fatal(err)
	}
	holder := avro(`{"type":"record","name":"H","fields":[{"name":"u","type":"shop.User"}]}`,
		schema.Reference{Name: "shop.User", Subject: ":.lab:user", Version: 1})
	_, err := a.Register(t.Context(), "holder", holder) // a does not know of the deletion
	if _, refused := errors.AsType[*schema.ParseError](err); !refused {
		t.Errorf("a reference to a deleted version: %v", err)
	}

	register(t, a, ":.lab:other", avro(userV1))
	holder.References[0].Subject = ":.lab:other"
	b = open(t, e)
	register(t, a, "holder", holder)
	_, err = b.DeleteVersion(t.Context(), ":.lab:other", 1, false) // b does not know of the reference
	wants(t, "deletion of what another context refers to", err, ErrReferenced)
}

// TestResolveContext reads records of a topic whose subject is in a context.
func TestResolveContext(t *testing.T) {
	r := open(t, memory.New())
	register(t, r, "s", avro(`"int"`))
	register(t, r, ":.lab:s", avro(`"string"`))
	for subject, want := range map[string]string{"s": `"int"`, ":.lab:s": `"string"`} {
		p, err := r.Resolve(subject, []byte{0, 0, 0, 0, 1, 2, 'x'}, nil, false)
		if err != nil || p.Schema.Canonical() != want {
			t.Errorf("%s: %v, %v", subject, p.Schema, err)
		}
	}
}

func TestSubjectOf(t *testing.T) {
	r := open(t, memory.New())
	if got := r.SubjectOf("orders", "value"); got != "orders-value" {
		t.Errorf("without an association: %q", got)
	}
	req := avro(orderV1)
	of := Resource{Name: "orders", Namespace: "lkc", ID: "u-1"}
	if _, err := r.Associate(t.Context(), of, []Binding{{Type: "value", Schema: &req}}, false, false); err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]string{"value": ":.lkc:orders-value", "key": "orders-key"} {
		if got := r.SubjectOf("orders", part); got != want {
			t.Errorf("%s: got %q, want %q", part, got, want)
		}
	}
}

// TestMaxContexts makes no context beyond the limit, by whatever door.
func TestMaxContexts(t *testing.T) {
	r := open(t, memory.New())
	w := r.world.Load()
	for n := range MaxContexts {
		name := fmt.Sprintf(".c%d", n)
		w.views[name] = newView(w, name)
	}
	_, err := r.Register(t.Context(), ":.new:s", avro(orderV1))
	wants(t, "a subject of a context too many", err, ErrTooMany)
	wants(t, "settings of a context too many", r.SetSettings(t.Context(), ":.new:", levelOf(Full)), ErrTooMany)
	wants(t, "mode of a context too many", r.SetMode(t.Context(), ":.new:", ReadOnly, false), ErrTooMany)
	if err := r.SetMode(t.Context(), ":.c1:", ReadOnly, false); err != nil {
		t.Errorf("a context that is there: %v", err)
	}
}
