package main

import (
	"encoding/json"
	"testing"
)

func TestKeyTemplate(t *testing.T) {
	doc := json.RawMessage(`{"id":"a-7","n":12,"user":{"name":"ada","tags":[1,2]},"none":null}`)
	for _, tt := range []struct{ template, want, err string }{
		{"fixed", "fixed", ""},
		{"", "", ""},
		{"{n}", "205", ""},
		{"user-{n:100}", "user-5", ""},
		{"{id}/{user.name}", "a-7/ada", ""},
		{"{user.tags}", "[1,2]", ""},
		{"{none}", "null", ""},
		{"{{{n:2}}}", "{1}", ""},
		{"{user.missing}", "", `the value has no field "user.missing"`},
		{"{id.deeper}", "", `the value has no field "id.deeper"`},
		{"{n:0}", "", `{n:0}: "0" is no number above 0`},
		{"{n:x}", "", `{n:x}: "x" is no number above 0`},
		{"a{", "", `"{" has a brace that is not closed or has nothing in it: places are {n}, {n:100} and {FIELD}; a brace itself is {{`},
	} {
		k, err := parseKeyTemplate(tt.template)
		var got []byte
		if err == nil {
			got, err = k.fill(205, doc)
		}
		if text := errText(err); text != tt.err || string(got) != tt.want {
			t.Errorf("%q: got %q, %q; want %q, %q", tt.template, got, text, tt.want, tt.err)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
