package registry

import (
	"fmt"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/schema"
)

// TestRestored: a store that comes from a backup gives no schema id that was given
// away after it, in no context, and what was there keeps its ids.
func TestRestored(t *testing.T) {
	e := memory.New()
	if err := Restored(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	named := 0
	register := func(r *Registry, subject string) int {
		t.Helper()
		named++
		v, err := r.Register(t.Context(), subject, Request{Type: schema.Avro, Text: fmt.Sprintf(`{"type":"record","name":"R%d","fields":[]}`, named)})
		if err != nil {
			t.Fatal(err)
		}
		return v.ID
	}
	open := func() *Registry {
		t.Helper()
		r, err := Open(t.Context(), Config{Engine: e})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := open()
	subjects := []string{"plain", ":.other:there"}
	for _, s := range subjects {
		if id := register(r, s); id != 1 {
			t.Fatalf("a new context gives id %d first, want 1", id)
		}
	}
	before := map[string][]byte{}
	for it, err := range e.Scan(t.Context(), "registry/") {
		if err != nil {
			t.Fatal(err)
		}
		before[it.Key] = it.Value
	}
	seen := map[string]map[int]bool{}
	for i, s := range subjects {
		seen[s] = map[int]bool{1: true, register(r, fmt.Sprint(s, i)): true}
	}
	// The state of then, as a restore makes it.
	var w storage.Write
	for it, err := range e.Scan(t.Context(), "registry/") {
		if err != nil {
			t.Fatal(err)
		}
		value, ok := before[it.Key]
		w.Set = append(w.Set, storage.Item{Key: it.Key, Value: value, Delete: !ok, Version: storage.Any})
	}
	if err := e.Commit(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if err := Restored(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	r = open()
	for _, s := range subjects {
		if v, err := r.Version(s, 1, false); err != nil || v.ID != 1 {
			t.Errorf("%s version 1: %+v, %v; want id 1", s, v, err)
		}
		first, second := register(r, s+"-new"), register(r, s+"-newer")
		if seen[s][first] || second != first+1 || first < 1000 || first > 1_000_002 {
			t.Errorf("%s: ids %d and %d after the restore, given before: %v", s, first, second, seen[s])
		}
	}
}
