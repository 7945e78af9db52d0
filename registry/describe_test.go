package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/schema"
)

func TestDescribe(t *testing.T) {
	r := open(t, memory.New())
	register(t, r, "a", order(column("id", `"int"`)+","+column("l", `{"type":"array","items":{"type":"map","values":{"type":"record","name":"N","fields":[`+column("x", `["null","double"]`)+`]}}}`)))
	register(t, r, "j", Request{Type: schema.JSON, Text: `{"type":"object","title":"T","properties":{"a":{"type":"object","properties":{"b":{"type":"array","items":[{"type":"string"}]}}}},"additionalProperties":false}`})
	register(t, r, "p", Request{Type: schema.Protobuf, Text: `syntax = "proto3"; package q; message M { int64 a = 1; message In { uint64 u = 1; } optional In i = 2; }`})
	register(t, r, "none", order(column("a", `"int"`)+","+column("A", `"int"`)))
	for subject, want := range map[string]string{
		"a":    "AVRO Order [id int never][l list<map<string, struct>> never][l.element.value.x double null] ",
		"j":    "JSON T [a struct null][a.b string null][kafka_extra map<string, string> null] #/properties/a/properties/b items by place at a.b",
		"p":    "PROTOBUF q.M [a long never][i struct null][i.u decimal(20, 0) never] ",
		"none": "AVRO Order  ",
	} {
		d, err := r.Describe(subject, Latest, "")
		if err != nil {
			t.Fatal(err)
		}
		got := string(d.Type) + " " + d.Name + " "
		for _, c := range d.Columns {
			got += fmt.Sprintf("[%s %s %s]", c.Column, c.Type, map[bool]string{true: "null", false: "never"}[c.Nullable])
		}
		got += " "
		for _, p := range d.Library {
			got += p.Path + " " + p.Why + " at " + p.Field
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", subject, got, want)
		}
		if (d.Formless != "") != (subject == "none") || d.Level != Backward || d.Version != 1 || d.Subject != subject {
			t.Errorf("%s: %+v", subject, d)
		}
		if !slices.ContainsFunc(d.Limits, func(l string) bool { return strings.HasPrefix(l, "nesting of a payload: 64") }) {
			t.Errorf("%s: limits %q", subject, d.Limits)
		}
	}
	register(t, r, "two", Request{Type: schema.Protobuf, Text: `syntax = "proto3"; package q; message A { int64 a = 1; } message B { string b = 1; }`})
	for message, want := range map[string]string{"": "q.A a", "q.A": "q.A a", "q.B": "q.B b", "B": "q.B b"} {
		if d, err := r.Describe("two", Latest, message); err != nil || d.Name+" "+d.Columns[0].Column != want {
			t.Errorf("message %q: %v, %+v", message, err, d)
		}
	}
	if _, err := r.Describe("two", Latest, "q.C"); !errors.Is(err, ErrNoMessage) {
		t.Errorf("no message: %v", err)
	}
	if _, err := r.Describe("b", Latest, ""); !errors.Is(err, ErrSubjectNotFound) {
		t.Errorf("no subject: %v", err)
	}
	if _, err := r.Describe("a", 2, ""); !errors.Is(err, ErrVersionNotFound) {
		t.Errorf("no version: %v", err)
	}
}
