package registry

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/tarn-io/tarn/schema"
)

// TestItemText says which items the readers of their own take: those that are
// written for most schemas and subjects. Anything else is encoding/json's.
func TestItemText(t *testing.T) {
	text := "syntax = \"proto3\"; // <&> \t\n\\ \u2028 é 😀"
	for name, tt := range map[string]struct {
		item any
		want bool
	}{
		"Avro":                 {schemaItem{Type: schema.Avro, Text: `{"type":"record","name":"A","fields":[]}`}, true},
		"JSON":                 {schemaItem{Type: schema.JSON, Text: `{}`}, true},
		"Protobuf":             {schemaItem{Type: schema.Protobuf, Text: text}, true},
		"a form":               {schemaItem{Type: schema.Protobuf, Form: "0123456789abcdef0123456789abcdef", Text: text}, true},
		"no such form":         {schemaItem{Type: schema.Protobuf, Form: "0123456789ABCDEF0123456789abcdef", Text: text}, false},
		"a rare escape":        {schemaItem{Type: schema.Protobuf, Text: "// \r"}, false},
		"references":           {schemaItem{Type: schema.Avro, Text: `"a.B"`, References: []schema.Reference{{Name: "a.B", Subject: "b", Version: 1}}}, false},
		"no text":              {schemaItem{Type: schema.Avro}, false},
		"another language":     {schemaItem{Type: "THRIFT", Text: "struct"}, false},
		"one version":          {subjectItem{Versions: []versionItem{{1, 7, 1700000000000, false}}}, true},
		"a deleted one":        {subjectItem{Versions: []versionItem{{1, 7, 0, true}, {3, 1 << 30, 1, false}}}, true},
		"a time before 1970":   {subjectItem{Versions: []versionItem{{1, 7, -1, false}}}, false},
		"settings":             {subjectItem{Versions: []versionItem{{1, 7, 0, true}}, settingsItem: settingsItem{Mode: ReadOnly}}, false},
		"settings alone":       {subjectItem{settingsItem: settingsItem{Mode: ReadOnly}}, false},
		"what says nothing":    {subjectItem{}, false},
		"no JSON of a subject": {[]int{1}, false},
	} {
		b, err := json.Marshal(tt.item)
		if err != nil {
			t.Fatal(err)
		}
		if got := agree(t, b); got != tt.want {
			t.Errorf("%s: taken: %v, want %v", name, got, tt.want)
		}
	}
}

// agree holds both readers to what encoding/json makes of b, and tells whether
// one took it.
func agree(t *testing.T, b []byte) bool {
	t.Helper()
	var item schemaItem
	text, ok := readText(b, nil, &item)
	if item.Text = string(text); ok {
		var want schemaItem
		if err := json.Unmarshal(b, &want); err != nil || !reflect.DeepEqual(want, item) {
			t.Errorf("%q: read as %+v, want %+v, %v", b, item, want, err)
		}
	}
	var got, want subjectItem
	took := readVersions(b, &got)
	if took {
		if err := json.Unmarshal(b, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: read as %+v, want %+v, %v", b, got, want, err)
		}
	}
	return ok || took
}

// FuzzItemText: what the readers take is what encoding/json would read.
func FuzzItemText(f *testing.F) {
	f.Add([]byte(`{"type":"AVRO","text":"\"int\" \u00e9\n"}`))
	f.Add([]byte(`{"type":"PROTOBUF","form":"0123456789abcdef0123456789abcdef","text":"x"}`))
	f.Add([]byte(`{"type":"PROTOBUF","text":"\ud83d\ude00 \x"}`))
	f.Add([]byte(`{"versions":[{"version":1,"id":1,"created_ms":1700000000000},{"version":2,"id":12,"created_ms":0,"deleted":true}]}`))
	f.Add([]byte(`{"versions":[{"version":01,"id":1,"created_ms":1}]}`))
	f.Fuzz(func(t *testing.T, b []byte) { agree(t, b) })
}
