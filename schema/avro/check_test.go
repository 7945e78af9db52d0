package avro

import (
	"strings"
	"testing"
)

// TestValidator checks payloads of schemas that have no table form.
func TestValidator(t *testing.T) {
	tests := []struct {
		name, text string
		good, bad  []string
	}{
		{"record without fields", `{"type":"record","name":"R","fields":[]}`, []string{""}, []string{"\x00"}},
		{"field without fields", `{"type":"record","name":"R","fields":[{"name":"e","type":{"type":"record","name":"E","fields":[]}},{"name":"n","type":"int"}]}`,
			[]string{"\x02"}, []string{"", "\x02\x02"}},
		{"list of them", `{"type":"array","items":{"type":"record","name":"E","fields":[]}}`,
			[]string{"\x00", "\x06\x00"}, []string{"\x06", "\x80\x80\x80\x80\x20\x00"}},
		{"branch of them", `{"type":"record","name":"R","fields":[{"name":"u","type":["int",{"type":"record","name":"A","fields":[]},{"type":"record","name":"B","fields":[]}]}]}`,
			[]string{"\x00\x02", "\x02", "\x04"}, []string{"\x06", "\x02\x00"}},
		{"names that differ in case", `{"type":"record","name":"R","fields":[{"name":"a","type":"boolean"},{"name":"A","type":"boolean"}]}`,
			[]string{"\x00\x01"}, []string{"\x00\x02", "\x00"}},
		{"a fixed of nothing", `{"type":"record","name":"R","fields":[{"name":"f","type":{"type":"fixed","name":"F","size":0}},{"name":"n","type":"int"}]}`,
			[]string{"\x02"}, []string{""}},
		{"a large fixed", `{"type":"fixed","name":"F","size":70000}`, []string{strings.Repeat("x", 70000)}, []string{strings.Repeat("x", 69999), strings.Repeat("x", 70001)}},
		{"a long decimal", `{"type":"bytes","logicalType":"decimal","precision":2000,"scale":2}`, []string{"\x02\x01", "\x00"}, []string{"\x04\x01"}},
		{"recursion through them", `{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"]},{"name":"e","type":{"type":"record","name":"E","fields":[]}}]}`,
			[]string{"\x00", "\x02\x02\x00"}, []string{"\x02", strings.Repeat("\x02", 100) + "\x00"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustParse(t, tt.text)
			if _, err := s.Decoder(nil); err == nil {
				t.Error("it has a table form")
			}
			v, err := s.Validator(nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range tt.good {
				if err := v.Validate([]byte(p)); err != nil {
					t.Errorf("%.20q is refused: %v", p, err)
				}
			}
			for _, p := range tt.bad {
				if v.Validate([]byte(p)) == nil {
					t.Errorf("%.20q is taken", p)
				}
			}
		})
	}
	if _, err := mustParse(t, `"int"`).Validator([]int{1}); err == nil {
		t.Error("a message index was taken")
	}
}
