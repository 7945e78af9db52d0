package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/sink/wiring"
)

// TestSchemaRoutes: what the console will ask, and what it asks wrongly.
func TestSchemaRoutes(t *testing.T) {
	reg, err := registry.Open(t.Context(), registry.Config{Engine: memory.New()})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{registry: reg}
	for _, text := range []string{`{"type":"object","properties":{"a":{"type":"integer"}}}`, `{"type":"object","properties":{"a":{"type":"number"}}}`} {
		if _, err := reg.Register(t.Context(), "s", registry.Request{Type: "JSON", Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := reg.Register(t.Context(), "topic-value", registry.Request{Text: `"int"`}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, method, target, body string
		status                     int
		want                       string
	}{
		{"diff", "GET", "/api/schemas/diff?subject=s&from=1", "", 200, `"kinds":["TYPE_EXTENDED"]`},
		{"diff of a version that is not there", "GET", "/api/schemas/diff?subject=s&from=1&to=7", "", 404, "no such version"},
		{"diff of no version", "GET", "/api/schemas/diff?subject=s&from=x", "", 400, "is no version"},
		{"diff of no subject", "GET", "/api/schemas/diff?subject=z", "", 404, "no such subject"},
		{"describe", "GET", "/api/schemas/describe?name=s", "", 200, `"column":"a","type":"double"`},
		{"describe the first version", "GET", "/api/schemas/describe?name=s&version=1", "", 200, `"column":"a","type":"long"`},
		{"describe a topic", "GET", "/api/schemas/describe?name=topic", "", 200, `"subject":"topic-value"`},
		{"describe nothing", "GET", "/api/schemas/describe?name=nothing", "", 404, "no such subject"},
		{"describe no version", "GET", "/api/schemas/describe?name=s&version=0", "", 400, "is no version"},
		{"check", "POST", "/api/schemas/check?subject=s", `{"schemaType":"JSON","schema":"{\"type\":\"string\"}"}`, 200, `"compatible":false`},
		{"check of a broken schema", "POST", "/api/schemas/check?subject=s", `{"schemaType":"JSON","schema":"{"}`, 422, "Invalid schema"},
		{"check of nothing", "POST", "/api/schemas/check?subject=s", "", 400, "request: "},
		{"check of too much", "POST", "/api/schemas/check?subject=s", `{"schema":"` + strings.Repeat("x", maxSchemaRequest) + `"}`, 400, "too large"},
		{"check with a missing reference", "POST", "/api/schemas/check?subject=s", `{"schema":"\"int\"","references":[{"name":"a","subject":"b","version":1}]}`, 422, "b"},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(tt.method, tt.target, strings.NewReader(tt.body))
		map[string]http.HandlerFunc{"diff": n.schemaDiff, "check": n.schemaCheck, "describe": n.schemaDescribe}[strings.SplitN(tt.name, " ", 2)[0]](w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: %d %s, want %d with %q", tt.name, w.Code, w.Body.String(), tt.status, tt.want)
		}
	}
}

// TestSchemaOfTopic: which subject and message a topic's schema has, for people,
// for its tables and for what is proposed.
func TestSchemaOfTopic(t *testing.T) {
	reg, err := registry.Open(t.Context(), registry.Config{Engine: memory.New()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reg.Register(t.Context(), "bound", registry.Request{Text: `"int"`}); err != nil {
		t.Fatal(err)
	}
	bound := []registry.Binding{{Subject: "bound", Type: "value", Lifecycle: registry.Weak}}
	if _, err := reg.Associate(t.Context(), registry.Resource{Name: "tied", Namespace: "-", ID: "r"}, bound, false, false); err != nil {
		t.Fatal(err)
	}
	use := func(strategy topic.Strategy, subject, message string) topic.SchemaUse {
		return topic.SchemaUse{Strategy: strategy, Subject: subject, Message: message}
	}
	for _, tt := range []struct {
		name, context string
		use           topic.SchemaUse
		want          namedSchema
		sink          string // subject that the sink is told, "" for the registry's word
		byRecord      bool
	}{
		{"t", "", use(topic.StrategyTopic, "", ""), namedSchema{"t-value", ""}, "", false},
		{"t", ".lab", use(topic.StrategyTopic, "", ""), namedSchema{":.lab:t-value", ""}, ":.lab:t-value", false},
		{"t", "", use(topic.StrategyTopic, "s", "p.M"), namedSchema{"s", "p.M"}, "s", false},
		{"t", ".lab", use(topic.StrategyTopic, "s", ""), namedSchema{":.lab:s", ""}, ":.lab:s", false},
		{"t", ".lab", use(topic.StrategyTopic, ":.other:s", ""), namedSchema{":.other:s", ""}, ":.other:s", false},
		{"t", "", use(topic.StrategyRecord, "", "p.M"), namedSchema{"p.M", "p.M"}, "p.M", false},
		{"t", ".lab", use(topic.StrategyRecord, "", "p.M"), namedSchema{":.lab:p.M", "p.M"}, ":.lab:p.M", false},
		{"t", "", use(topic.StrategyTopicRecord, "", "p.M"), namedSchema{"t-p.M", "p.M"}, "t-p.M", false},
		{"t", "", use(topic.StrategyRecord, "", ""), namedSchema{}, "t-value", true},
		{"t", ".lab", use(topic.StrategyTopicRecord, "", ""), namedSchema{}, ":.lab:t-value", true},
		{"t", "", use(topic.StrategyRecord, "s", ""), namedSchema{"s", ""}, "s", false},
		{"tied", "", use(topic.StrategyTopic, "", ""), namedSchema{"bound", ""}, "", false},
		{"tied", ".lab", use(topic.StrategyTopic, "", ""), namedSchema{":.lab:tied-value", ""}, ":.lab:tied-value", false},
	} {
		top := &topic.Topic{Name: tt.name, Config: topic.Config{SchemaContext: tt.context, Value: tt.use}}
		if got := schemaOfTopic(reg, top, "value"); got != tt.want {
			t.Errorf("%s in %q by %+v: got %+v, want %+v", tt.name, tt.context, tt.use, got, tt.want)
		}
		r, byRecord := wiring.Reading(reg, top, "value", &top.Config.Value)
		if r.Subject != tt.sink || byRecord != tt.byRecord || r.Message != tt.use.Message {
			t.Errorf("%s in %q by %+v: the sink reads %+v, by record %t", tt.name, tt.context, tt.use, r, byRecord)
		}
	}
}
