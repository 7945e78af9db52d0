package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/schematest"
)

// place finds the path in a description: the last one in quotes that is a JSON
// pointer.
var place = regexp.MustCompile(`'(#?/[^']*)'`)

// side finds the first mention of a side; a changed name has none.
var side = regexp.MustCompile(`(new|old) schema`)

// TestChanges plays the tables of compatibility cases through the API: the whole
// list, with types, paths, the version that conflicts, and its text.
func TestChanges(t *testing.T) {
	for _, lang := range []schema.Type{schema.Avro, schema.JSON, schema.Protobuf} {
		t.Run(string(lang), func(t *testing.T) {
			h, _ := serve(t, memory.New())
			for i, c := range schematest.Changes(t, lang) {
				p := changePlayer{t: t, h: h, change: c, subject: fmt.Sprintf("s%d", i)}
				p.must(http.MethodPost, "/subjects/"+p.subject+"/versions", p.body(c.Old, "old"))
				p.level("BACKWARD")
				p.first = "new"
				p.check(schematest.Breaking(c.Backward, false))
				p.level("FORWARD")
				p.first = "old" // the old version reads
				p.check(schematest.Breaking(c.Forward, false))
				p.must(http.MethodPut, "/config/"+p.subject, `{"compatibility":"FORWARD","compatibilityPolicy":"LENIENT"}`)
				p.check(schematest.Breaking(c.Forward, lang == schema.JSON))
				p.must(http.MethodDelete, "/config/"+p.subject, "")
				p.level("FULL")
				p.first = ""
				p.check(slices.Sorted(slices.Values(slices.Concat(schematest.Breaking(c.Forward, false), schematest.Breaking(c.Backward, false)))))
			}
		})
	}
}

type changePlayer struct {
	t       *testing.T
	h       http.Handler
	change  schematest.Change
	subject string
	first   string // which side descriptions name first; "" is either
}

// must asks for something that works.
func (p *changePlayer) must(method, target, body string) string {
	p.t.Helper()
	status, answer, _ := do(p.h, method, target, body)
	if status != http.StatusOK {
		p.t.Fatalf("%s: %s %s: %d %s", p.change.Name, method, target, status, answer)
	}
	return answer
}

func (p *changePlayer) level(level string) {
	p.must(http.MethodPut, "/config/"+p.subject, `{"compatibility":"`+level+`"}`)
}

// body is a request with a version; what it refers to is registered first.
func (p *changePlayer) body(s schema.Source, side string) string {
	r := struct {
		Type       schema.Type        `json:"schemaType"`
		Text       string             `json:"schema"`
		References []schema.Reference `json:"references,omitempty"`
	}{Type: s.Type, Text: s.Text}
	for _, n := range s.References {
		subject := p.subject + "-" + side + "-" + n.Name
		part, _ := json.Marshal(map[string]any{"schemaType": s.Type, "schema": n.Text}) // strings
		p.must(http.MethodPost, "/subjects/"+url.PathEscape(subject)+"/versions", string(part))
		r.References = append(r.References, schema.Reference{Name: n.Name, Subject: subject, Version: 1})
	}
	text, err := json.Marshal(r)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// check compares the new version and expects these differences, and no others.
func (p *changePlayer) check(want []string) {
	p.t.Helper()
	var got verdict
	answer := p.must(http.MethodPost, "/compatibility/subjects/"+p.subject+"/versions/latest?verbose=true", p.body(p.change.New, "new"))
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		p.t.Fatal(err)
	}
	if got.Compatible != (len(want) == 0) {
		p.t.Errorf("%s: compatible is %t, want %q", p.change.Name, got.Compatible, want)
	}
	if len(want) == 0 {
		if len(got.Messages) > 0 {
			p.t.Errorf("%s: compatible, but says %q", p.change.Name, got.Messages)
		}
		return
	}
	var found []string
	for _, m := range got.Messages {
		kind, rest, ok := strings.Cut(strings.Trim(strings.TrimPrefix(m, "{errorType:"), `"'`), ",")
		if at := place.FindStringSubmatch(rest); ok && strings.HasPrefix(m, "{errorType:") && at != nil {
			found = append(found, strings.Trim(kind, `"'`)+" "+at[1])
		}
		if sides := side.FindString(m); p.first != "" && strings.HasPrefix(m, "{errorType:") && sides != "" && !strings.HasPrefix(sides, p.first) {
			p.t.Errorf("%s: reads from the side of the %s schema: %q", p.change.Name, p.first, m)
		}
	}
	if slices.Sort(found); !slices.Equal(found, want) {
		p.t.Errorf("%s:\n got %q\nwant %q\nfrom %q", p.change.Name, found, want, got.Messages)
	}
	tail := got.Messages[len(found):]
	if len(tail) != 3 || tail[0] != "{oldSchemaVersion: 1}" || !strings.HasPrefix(tail[1], "{oldSchema: '") || !strings.HasPrefix(tail[2], "{validateFields: 'false', compatibility: '") {
		p.t.Errorf("%s: ends with %q", p.change.Name, tail)
	}
}
