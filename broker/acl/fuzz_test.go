package acl

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
)

// FuzzRules makes, lists and deletes what any JSON asks for, as the HTTP API
// reads it: each is taken whole or refused, what is kept is sound, another start
// reads it, and a filter deletes what it finds.
func FuzzRules(f *testing.F) {
	const rule = `{"resource": "topic", "name": "t", "pattern": "literal", "principal": "User:a", "host": "*", "operation": "read", "permission": "allow"}`
	const one = "[" + rule + "]"
	for _, make := range []string{
		one, "[" + rule + "," + strings.Replace(rule, "literal", "prefixed", 1) + "]", "[{}]", "null", "[null]", `[{"resource": 2}]`,
		strings.Replace(one, `"t"`, `"\u0000/\ud800\""`, 1), strings.Replace(one, `"topic"`, `"SUBJECT"`, 1),
		strings.Replace(one, `"User:a"`, `"User:"`, 1), strings.Replace(one, `"read"`, `"idempotent_write"`, 1),
	} {
		f.Add(make, `{"resource": "any", "name": "t", "pattern": "match", "operation": "any", "permission": "deny"}`)
		f.Add(make, `{"host": "*"}`)
	}
	f.Fuzz(func(t *testing.T, make, find string) {
		var asked []Binding
		var filter Filter
		if json.Unmarshal([]byte(make), &asked) != nil || json.Unmarshal([]byte(find), &filter) != nil {
			return
		}
		e := memory.New()
		r, err := Open(t.Context(), e, Config{})
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(r.Create(t.Context(), asked)...)
		kept := r.List(Filter{})
		if err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatalf("%q: %v", make, err)
		}
		for _, b := range kept {
			if err := b.Check(); err != nil {
				t.Fatalf("%q made %+v: %v", make, b, err)
			}
			r.Allowed(b.Principal, b.Host, b.Operation, b.Resource, b.Name)
		}
		again, err := Open(t.Context(), e, Config{})
		if err != nil {
			t.Fatalf("%q: %v", make, err)
		}
		if got := again.List(Filter{}); !reflect.DeepEqual(got, kept) {
			t.Fatalf("%q: got %v at the next start, want %v", make, got, kept)
		}
		found := r.List(filter)
		gone, err := r.Delete(t.Context(), []Filter{filter})
		if err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatalf("%q: %v", find, err)
		}
		if left := len(kept) - len(r.List(Filter{})); err == nil && (len(gone[0]) != len(found) || left != len(found)) {
			t.Fatalf("%q finds %v, deletes %v, %d are gone", find, found, gone[0], left)
		}
	})
}
