package validate

import (
	"strings"
	"testing"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// ruled gives a fixture the subject "ruled-value", a number n with two rules.
func ruled(t testing.TB, f *fixture) {
	t.Helper()
	_, err := f.reg.Register(t.Context(), "ruled-value", registry.Request{Type: schema.JSON, Text: `{"type":"object","properties":{"n":{"type":"integer"}}}`,
		Rules: &schema.RuleSet{DomainRules: []schema.Rule{
			{Name: "positive", Doc: "n is below 1", Kind: "CONDITION", Mode: "WRITE", Type: "CEL", Expr: "message.n > 0"},
			{Name: "even", Kind: "CONDITION", Mode: "WRITE", Type: "CEL", Expr: "message.n % 2 == 0", OnFailure: "NONE"},
			{Name: "hidden", Kind: "TRANSFORM", Mode: "WRITEREAD", Type: "ENCRYPT"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRules refuses what breaks a rule, counts what breaks an advisory one, and
// says what rules have taken.
func TestRules(t *testing.T) {
	const positive = `schema ruled-value v1 (id 5, JSON): rule "positive": n is below 1`
	const even = `schema ruled-value v1 (id 5, JSON): rule "even": message.n % 2 == 0`
	recs := []rec{{value: []byte(`{"n":0}`)}, {value: []byte(`{"n":2}`)}, {value: []byte(`{"n":3}`)}, {value: []byte(`{"n":"x"}`)}, {key: []byte("tombstone")}}
	misfit := `schema ruled-value v1 (id 5, JSON): $.n: expected integer, found`
	for _, tt := range []struct {
		name     string
		topic    Topic
		refused  []string
		recorded []string // newest first; + for those taken
	}{
		{"off", Topic{Value: Part{Level: Payload}}, []string{misfit}, []string{misfit}},
		{"enforce", Topic{Value: Part{Level: Payload}, Rules: RulesEnforce}, []string{positive, misfit}, []string{misfit, "+" + even, positive}},
		{"monitor", Topic{Value: Part{Level: Payload}, Rules: RulesMonitor}, []string{misfit}, []string{misfit, "+" + even, "+" + positive}},
		{"enforced, but monitored", Topic{Value: Part{Level: Monitor}, Rules: RulesEnforce}, nil, []string{"+" + misfit, "+" + even, "+" + positive}},
		{"id only", Topic{Value: Part{Level: ID}, Rules: RulesEnforce}, []string{"value: no schema id", "value: no schema id", "value: no schema id", "value: no schema id"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			ruled(t, f)
			tt.topic.Name = "ruled"
			bad, err := f.Check(tt.topic, batch(t, recs...), Origin{ClientID: "c"})
			if err != nil || len(bad) != len(tt.refused) {
				t.Fatalf("got %+v, %v", bad, err)
			}
			for i := range bad {
				if !strings.HasPrefix(bad[i].Message(), tt.refused[i]) {
					t.Errorf("got  %s\nwant %s", bad[i].Message(), tt.refused[i])
				}
			}
			if tt.recorded == nil {
				return
			}
			for i, r := range f.Rejections("ruled", TopicID{}) {
				text := r.Message()
				if r.Monitored {
					text = "+" + text
				}
				if i >= len(tt.recorded) || !strings.HasPrefix(text, tt.recorded[i]) {
					t.Errorf("recorded %d: %s", i, text)
				}
			}
		})
	}
}

// TestRuleCosts counts each rule by itself, over batches.
func TestRuleCosts(t *testing.T) {
	f := newFixture(t)
	ruled(t, f)
	topic := Topic{Name: "ruled", Value: Part{Level: Payload}, Rules: RulesEnforce}
	for range 2 {
		if _, err := f.Check(topic, batch(t, rec{value: []byte(`{"n":0}`)}, rec{value: framed(5, []byte(`{"n":3}`)...)}), Origin{}); err != nil {
			t.Fatal(err)
		}
	}
	got := f.Tally("ruled", TopicID{})
	want := map[string][2]int64{Reading: {4, 0}, "positive": {4, 2}, "even": {2, 2}}
	for _, r := range got.Rules {
		if w, ok := want[r.Rule]; !ok || r.Records != w[0] || r.Violations != w[1] || r.Part != "value" || r.SchemaID != 5 || r.Nanos < 0 {
			t.Errorf("got %+v", r)
		}
	}
	if len(got.Rules) != len(want) || got.Records != 4 {
		t.Errorf("got %+v", got)
	}
	for _, c := range got.Bad {
		if c.Class != RuleBroken || c.Records != 2 {
			t.Errorf("got %+v", c)
		}
	}
	causes := f.Report("ruled", TopicID{})
	if len(causes) != 2 || !strings.HasPrefix(causes[0].Reason, "rule ") {
		t.Errorf("causes %+v", causes)
	}
}

// TestManyJudged keeps count when a batch has more schemas than it keeps apart,
// and when more checkers are made than are kept.
func TestManyJudged(t *testing.T) {
	f := newFixture(t)
	if err := f.reg.SetSettings(t.Context(), "many-value", func(s *registry.Settings) error { s.Level = "NONE"; return nil }); err != nil {
		t.Fatal(err)
	}
	var recs []rec
	for i := range maxJudged + 3 {
		v, err := f.reg.Register(t.Context(), "many-value", registry.Request{Type: schema.JSON, Text: `{"title":"` + string(rune('a'+i)) + `"}`,
			Rules: &schema.RuleSet{DomainRules: []schema.Rule{{Name: "r", Kind: "CONDITION", Mode: "WRITE", Type: "CEL", Expr: "false"}}}})
		if err != nil {
			t.Fatal(err)
		}
		recs = append(recs, rec{value: framed(int32(v.ID), '1')})
	}
	f.checkerCount.Store(maxCheckers)
	bad, err := f.Check(Topic{Name: "many", Value: Part{Level: Payload}, Rules: RulesEnforce}, batch(t, append(recs, recs...)...), Origin{})
	if err != nil || len(bad) != 2*len(recs) {
		t.Fatalf("%d refused, %v", len(bad), err)
	}
	var sum int64
	for _, r := range f.Tally("many", TopicID{}).Rules {
		if r.Rule == "r" {
			sum += r.Violations
		}
	}
	if sum != int64(2*len(recs)) || f.checkerCount.Load() != int64(len(recs)) {
		t.Errorf("%d violations, %d checkers", sum, f.checkerCount.Load())
	}
}
