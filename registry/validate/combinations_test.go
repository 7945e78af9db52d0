package validate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// subjectsOf gives a fixture three versions of "v-value" (ids 5 to 7: a long, a
// string, two longs), the same long as "v-key" and as a subject of its name, and
// a context with the schema of Other alone.
func subjectsOf(t *testing.T, f *fixture) {
	t.Helper()
	const long = `{"type":"record","name":"One","namespace":"v","fields":[{"name":"a","type":"long"}]}`
	register := func(subject, text string) {
		t.Helper()
		if _, err := f.reg.Register(t.Context(), subject, registry.Request{Text: text}); err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
	}
	none := func(s *registry.Settings) error { s.Level = "NONE"; return nil }
	if err := f.reg.SetSettings(t.Context(), "v-value", none); err != nil {
		t.Fatal(err)
	}
	register("v-value", long)
	register("v-value", `{"type":"record","name":"One","namespace":"v","fields":[{"name":"a","type":"string"}]}`)
	register("v-value", `{"type":"record","name":"One","namespace":"v","fields":[{"name":"a","type":"long"},{"name":"b","type":"long"}]}`)
	register("v-key", long)
	register("v.One", long)
	register("v-v.One", long)
	register("given", long)
	register(":.far:v-value", otherText)
	register(":.far:given", otherText)
}

// TestCombinations goes through every level, strategy, choice of versions and
// way to take bare payloads, for records of each form, and holds what passes to
// a model of a few lines.
func TestCombinations(t *testing.T) {
	f := newFixture(t)
	subjectsOf(t, f)
	type form struct {
		name    string
		value   []byte
		id      int // that it names; 0: bare
		version int // of v-value, for those that are
		fits    []int
	}
	forms := []form{
		{"null", nil, 0, 0, nil},
		{"v1", framed(5, 2), 5, 1, nil},
		{"v2", framed(6, 2, 'x'), 6, 2, nil},
		{"v3", framed(7, 2, 4), 7, 3, nil},
		{"v3 that does not fit", framed(7, 2), -7, 3, nil},
		{"of another subject", framed(1, 14, 2, 'x'), -1, 0, nil},
		{"unknown id", framed(999, 14), -999, 0, nil},
		{"bare v1", []byte{2}, 0, 0, []int{1}},
		{"bare v2", []byte{2, 'x'}, 0, 0, []int{3, 2}}, // 'x' is a whole long, too
		{"bare v3", []byte{2, 4}, 0, 0, []int{3, 2}},
		{"bare, fits none", []byte{0x80}, 0, 0, nil},
	}
	versions := map[string][]int{"any": nil, "latest": nil, "1": {1}, "1,2": {1, 2}}
	admits := func(word string, n int) bool {
		switch word {
		case "any":
			return true
		case "latest":
			return n == 3
		}
		return strings.Contains(word, fmt.Sprint(n))
	}
	tried := 0
	for _, level := range []Level{Off, ID, Payload, Monitor} {
		for _, strategy := range []Strategy{TopicName, RecordName, TopicRecordName} {
			for word, list := range versions {
				for _, how := range []registry.Bare{registry.BareLatest, registry.BareAttempt, registry.BareRefused} {
					for _, noNull := range []bool{false, true} {
						for _, r := range forms {
							part := Part{Level: level, Strategy: strategy, Latest: word == "latest", Versions: list, Bare: how, RefuseNull: noNull}
							passes := func() bool {
								if level == Off || r.value == nil {
									return level == Off || !noNull
								}
								// Subjects by name have the one version, whose id is 5.
								if strategy != TopicName {
									return r.id == 5
								}
								if r.id != 0 {
									if level == ID {
										return r.version > 0 && admits(word, r.version)
									}
									return r.id > 0 && admits(word, r.version)
								}
								if level == ID || how == registry.BareRefused {
									return false
								}
								newest := 3
								if list != nil {
									newest = list[len(list)-1]
								}
								for _, n := range r.fits {
									if n == newest || how == registry.BareAttempt && admits(word, n) {
										return true
									}
								}
								return false
							}
							// The version of subjects by name is their first and latest.
							bad, err := f.Check(Topic{Name: "v", Value: part}, batch(t, rec{value: r.value}), Origin{})
							if err != nil {
								t.Fatal(err)
							}
							want := passes() || level == Monitor
							if got := len(bad) == 0; got != want {
								t.Errorf("level %d, strategy %d, versions %s, bare %d, no null %v: %s: passes %v, want %v (%+v)",
									level, strategy, word, how, noNull, r.name, got, want, bad)
							}
							tried++
						}
					}
				}
			}
		}
	}
	if tried != 4*3*4*3*2*len(forms) {
		t.Errorf("%d combinations", tried)
	}
}

// TestChosenSubjects is about subjects given, contexts, associations, names of
// messages, and what the refusals say.
func TestChosenSubjects(t *testing.T) {
	f := newFixture(t)
	subjectsOf(t, f)
	to := registry.Resource{Name: "bound", Namespace: "lkc", ID: "lkc:bound"}
	if _, err := f.reg.Associate(t.Context(), to, []registry.Binding{{Subject: "v-value", Type: "value"}}, false, false); err != nil {
		t.Fatal(err)
	}
	payload := func(p Part) Part { p.Level = Payload; return p }
	tests := []struct {
		name  string
		topic Topic
		rec   rec
		want  string
	}{
		{"association", Topic{Name: "bound", Value: payload(Part{})}, rec{value: []byte{2, 4}}, ""},
		{"association, not for the key", Topic{Name: "bound", Key: payload(Part{})}, rec{key: []byte{2}}, `key: no schema id, and subject "bound-key"`},
		{"association, not by record", Topic{Name: "bound", Value: payload(Part{Strategy: TopicRecordName})}, rec{value: framed(5, 2)}, `value: schema id 5 is not of subject "bound-v.One"`},
		{"given", Topic{Name: "v", Value: payload(Part{Subject: "given"})}, rec{value: []byte{2}}, ""},
		{"given, not the topic's", Topic{Name: "v", Value: payload(Part{Subject: "given"})}, rec{value: framed(7, 2, 4)}, `value: schema id 7 is not of subject "given"`},
		{"given goes before the strategy", Topic{Name: "v", Value: payload(Part{Subject: "given", Strategy: RecordName})}, rec{value: []byte{2}}, ""},
		{"given with a context", Topic{Name: "v", Value: payload(Part{Subject: ":.far:given"})}, rec{value: framed(1, 2)}, ""},
		{"context", Topic{Name: "v", Context: ".far", Value: payload(Part{})}, rec{value: framed(1, 2)}, ""},
		{"context has ids of its own", Topic{Name: "v", Context: ".far", Value: payload(Part{})}, rec{value: framed(5, 2)}, `value: unknown schema id 5`},
		{"context and given", Topic{Name: "v", Context: ".far", Value: payload(Part{Subject: "given"})}, rec{value: []byte{2}}, ""},
		{"context by record", Topic{Name: "v", Context: ".far", Value: payload(Part{Strategy: RecordName})}, rec{value: framed(1, 2)}, `value: schema id 1 is not of subject ":.far:shop.Other"`},
		{"empty context", Topic{Name: "v", Context: ".none", Value: payload(Part{})}, rec{value: []byte{2}}, `value: no schema id, and subject ":.none:v-value"`},
		{"key", Topic{Name: "v", Key: payload(Part{Bare: registry.BareAttempt})}, rec{key: []byte{2}}, ""},
		{"latest", Topic{Name: "v", Value: payload(Part{Latest: true})}, rec{value: framed(5, 2)}, `value: schema id 5 is version 1 of subject "v-value", and only the latest is taken here`},
		{"pinned", Topic{Name: "v", Value: payload(Part{Versions: []int{1, 2}})}, rec{value: framed(7, 2, 4)}, `value: schema id 7 is version 3 of subject "v-value", and only [1 2] are taken here`},
		{"pinned to what is not there", Topic{Name: "v", Value: payload(Part{Versions: []int{9}})}, rec{value: []byte{2}}, `value: no schema id, and subject "v-value" has no schema that it may have`},
		{"null", Topic{Name: "v", Value: payload(Part{RefuseNull: true})}, rec{key: []byte("k")}, `value: null is not taken here`},
		{"null key", Topic{Name: "v", Key: payload(Part{RefuseNull: true})}, rec{value: []byte("v")}, `key: null is not taken here`},
		{"a zero byte of its own", Topic{Name: "v", Value: payload(Part{Bare: registry.BareAttempt})}, rec{value: []byte{0, 0}}, ""},
		{"it looks like a prefix", Topic{Name: "json", Value: payload(Part{Bare: registry.BareAttempt, Subject: "wide"})}, rec{value: []byte{0, 0, 0, 0, 9}}, ""},
		{"fits none", Topic{Name: "v", Value: payload(Part{Bare: registry.BareAttempt})}, rec{value: []byte{0x80}}, `schema v-value v3 (id 7, AVRO): $.a: expected`},
		{"message", Topic{Name: "proto", Value: payload(Part{Message: "shop.B"})}, rec{value: []byte{10, 1, 'x'}}, ""},
		{"message within another", Topic{Name: "proto", Value: payload(Part{Message: "shop.B.C"})}, rec{value: []byte{8, 7}}, ""},
		{"message that does not fit", Topic{Name: "proto", Value: payload(Part{Message: "shop.B"})}, rec{value: []byte{10, 1, 0xff}}, `schema proto-value v1 (id 3, PROTOBUF): $.s: expected`},
		{"another message", Topic{Name: "proto", Value: payload(Part{Message: "shop.B"})}, rec{value: framed(3, 0, 8, 7)}, `value: this is a "shop.A", and only "shop.B" is taken here`},
		{"no such message", Topic{Name: "proto", Value: payload(Part{Message: "shop.X"})}, rec{value: []byte{}}, `value: schema 3 has no message "shop.X"`},
		{"record's name", Topic{Name: "v", Value: payload(Part{Message: "v.Two"})}, rec{value: []byte{2, 4}}, `value: this is a "v.One", and only "v.Two" is taken here`},
	}
	if _, err := f.reg.Register(t.Context(), "wide", registry.Request{Text: `{"type":"record","name":"W","fields":[{"name":"a","type":"long"},{"name":"b","type":"long"},{"name":"c","type":"long"},{"name":"d","type":"long"},{"name":"e","type":"int"}]}`}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // the second finds everything parsed
				bad, err := f.Check(tt.topic, batch(t, tt.rec), Origin{})
				switch {
				case err != nil:
					t.Fatal(err)
				case tt.want == "" && len(bad) == 0:
				case tt.want == "" || len(bad) != 1:
					t.Fatalf("got %+v, want %q", bad, tt.want)
				case !strings.HasPrefix(bad[0].Message(), tt.want):
					t.Fatalf("got  %s\nwant %s", bad[0].Message(), tt.want)
				}
			}
		})
	}
}

// TestNewHeaderIsNoBare says that a header goes before any attempt.
func TestNewHeaderIsNoBare(t *testing.T) {
	f := newFixture(t)
	subjectsOf(t, f)
	r := rec{value: []byte{2}, headers: []record.RecordHeader{header(schema.ValueHeader, framed(7))}}
	bad, err := f.Check(Topic{Name: "v", Value: Part{Level: Payload, Bare: registry.BareAttempt}}, batch(t, r), Origin{})
	if err != nil || len(bad) != 1 || bad[0].Path != "$.b" {
		t.Errorf("got %+v, %v", bad, err)
	}
}
