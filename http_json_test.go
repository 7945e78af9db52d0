package main

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestReadJSON holds what is said of bodies that cannot be read.
func TestReadJSON(t *testing.T) {
	type inner struct {
		Offset int64     `json:"offset"`
		At     time.Time `json:"at"`
	}
	type request struct {
		Topic   string   `json:"topic"`
		DryRun  bool     `json:"dry_run,omitempty"`
		Rate    *float64 `json:"rate"`
		Small   int8     `json:"small"`
		Text    []byte   `json:"text"`
		Offsets []inner  `json:"offsets"`
		Config  map[string]string
		Hidden  int `json:"-"`
	}
	for _, c := range []struct{ body, want string }{
		{`{"topic":"t","offsets":[{"offset":1}]} `, ""},
		{`{"tropic":"t"}`, `unknown field "tropic", did you mean "topic"?`},
		{`{"zzz":1}`, `unknown field "zzz": there are Config, at, dry_run, offset, offsets, rate, small, text, topic`},
		{`{"offsets":[{"ofset":1}]}`, `unknown field "ofset", did you mean "offset"?`},
		{`{"topic":1.5}`, "topic: a string is wanted, and here is a number"},
		{`{"dry_run":"yes"}`, "dry_run: true or false is wanted, and here is a string"},
		{`{"small":300}`, "small: a whole number of 8 bits is wanted, and here is 300"},
		{`{"rate":true}`, "rate: a number is wanted, and here is true or false"},
		{`{"text":{}}`, "text: a string is wanted, and here is an object"},
		{`{"offsets":{}}`, "offsets: an array is wanted, and here is an object"},
		{`{"offsets":[{"offset":"1"}]}`, "offsets.offset: a whole number of 64 bits is wanted, and here is a string"},
		{`{"Config":[]}`, "Config: an object is wanted, and here is an array"},
		{`[]`, "the whole of it: an object is wanted, and here is an array"},
		{`{"topic":xx}`, "no JSON at byte 10: invalid character 'x' looking for beginning of value"},
		{`{"topic":`, "the JSON ends before it is whole"},
		{"", "JSON is wanted, and nothing was sent"},
		{`{} {}`, "there is more behind the JSON, from byte 4 on"},
		{`{}x`, "there is more behind the JSON, from byte 2 on"},
		{`{"topic":"` + strings.Repeat("x", 300) + `"}`, "there are more than the 200 bytes that may be sent here"},
	} {
		var in request
		w := httptest.NewRecorder()
		ok := readJSON(w, httptest.NewRequest("POST", "/", strings.NewReader(c.body)), 200, &in)
		if ok != (c.want == "") || !ok && (w.Code != 400 || !strings.Contains(w.Body.String(), strings.NewReplacer(`"`, `\"`).Replace(c.want)+`"`)) {
			t.Errorf("%s: %d %s, want %s", c.body, w.Code, w.Body, c.want)
		}
	}
}
