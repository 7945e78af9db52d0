package validate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/rules"
	"github.com/tarn-io/tarn/schema"
)

// RuleMode says what becomes of records that break a rule.
type RuleMode uint8

// The modes: rules are not asked; records that break one do not fit; they are
// taken and only remembered.
const (
	RulesOff RuleMode = iota
	RulesEnforce
	RulesMonitor
)

const (
	// maxCheckers bounds the schemas whose rules are kept ready, some ten
	// kilobytes each; beyond it all are forgotten and made again when needed.
	maxCheckers = 1000
	// maxJudged bounds the schemas whose costs one batch keeps apart.
	maxJudged = 8
	// maxRuleTallies bounds the rules that are counted for a topic.
	maxRuleTallies = 1000
)

// message is what rules are compiled for: a schema, which lives as long as its
// id, and the name of the message in it.
type message struct {
	schema schema.Schema
	name   string
}

// judged is a message of a batch, with what its rules have taken.
type judged struct {
	message
	checker *rules.Checker
	id      int
	costs   []rules.Cost
}

// checkerOf makes the checker of a payload's schema, or finds it.
func (v *Validator) checkerOf(p *registry.Payload) *rules.Checker {
	key := message{p.Schema, p.Name}
	if c, ok := v.checkers.Load(key); ok {
		return c.(*rules.Checker)
	}
	if v.checkerCount.Load() >= maxCheckers {
		v.checkers.Clear()
		v.checkerCount.Store(0)
	}
	c, known := v.checkers.LoadOrStore(key, rules.Compile(p.Schema, p.Index, p.Rules, p.Metadata))
	if !known {
		v.checkerCount.Add(1)
	}
	return c.(*rules.Checker)
}

// judge asks the rules of a payload that fits its schema.
func (s *side) judge(p *registry.Payload) *Refusal {
	j := s.judgedOf(p)
	if j.checker.Empty() {
		return nil
	}
	bad := j.checker.Check(p.Bytes, j.costs)
	if bad == nil {
		return nil
	}
	return &Refusal{
		Part: s.part, Subject: s.lastSubject, Version: s.lastVersion, SchemaID: p.ID, Type: p.Schema.Type(), Class: RuleBroken,
		Rule: bad.Rule, Path: clip(bad.Path), Reason: fmt.Sprintf("rule %q: %s", bad.Rule, clip(bad.Message)),
		Monitored: bad.Advisory || s.ruleMode == RulesMonitor,
	}
}

func (s *side) judgedOf(p *registry.Payload) *judged {
	key := message{p.Schema, p.Name}
	at := slices.IndexFunc(s.judged, func(j judged) bool { return j.message == key })
	if at < 0 {
		if len(s.judged) == maxJudged {
			s.v.tallies.of(s.topic, s.id).addRules(s)
			s.judged = s.judged[:0]
		}
		at = len(s.judged)
		c := s.v.checkerOf(p)
		s.judged = append(s.judged, judged{message: key, checker: c, id: p.ID, costs: c.Costs()})
	}
	s.judged[0], s.judged[at] = s.judged[at], s.judged[0]
	return &s.judged[0]
}

// SchemaRule is a rule of the schema that reads a topic's bare payloads now.
type SchemaRule struct {
	Part     string `json:"part,omitempty"`
	SchemaID int    `json:"schema_id"`
	Rule     string `json:"rule"`
	Type     string `json:"type"`
	// Idle says why the broker does not run it; "" if it does where the topic
	// asks for it.
	Idle     string `json:"idle,omitempty"`
	Advisory bool   `json:"advisory"`
}

// SchemaRules lists the rules of a topic's newest schemas. Topics whose subjects
// depend on the record have none.
func (v *Validator) SchemaRules(t Topic) []SchemaRule {
	out := []SchemaRule{}
	for _, part := range []struct {
		name  string
		rules *Part
	}{{"key", &t.Key}, {"value", &t.Value}} {
		s := v.side(&t, part.name, part.rules)
		s.start()
		p, ok, err := v.reg.Newest(&s.reading)
		if !ok || err != nil || !s.byTopic {
			continue
		}
		for _, r := range v.checkerOf(&p).Rules() {
			out = append(out, SchemaRule{part.name, p.ID, r.Name, r.Type, r.Idle, r.Advisory})
		}
	}
	return out
}

// RulesOf lists the rules of a schema's version, whatever topic asks for them.
func (v *Validator) RulesOf(s schema.Schema, id int, set *schema.RuleSet, meta *schema.Metadata) []DescribedRule {
	out := []DescribedRule{}
	for _, r := range rules.Compile(s, nil, set, meta).Rules() {
		d := DescribedRule{SchemaRule: SchemaRule{"", id, r.Name, r.Type, r.Idle, r.Advisory}}
		for _, t := range v.tallies.topics.Range {
			for k, c := range t.(*tally).rules.Range {
				key, cost := k.(ruleKey), c.(*ruleTally)
				if key.id == id && key.name == r.Name {
					d.Records += cost.records.Load()
					d.Nanos += cost.nanos.Load()
					d.Violations += cost.violations.Load()
				}
			}
		}
		out = append(out, d)
	}
	return out
}

// DescribedRule is a rule with what it took in all topics since the start.
type DescribedRule struct {
	SchemaRule
	Records    int64 `json:"records"`
	Nanos      int64 `json:"ns"` // of all records
	Violations int64 `json:"violations"`
}

// ruleKey is a rule of a topic's keys or values.
type ruleKey struct {
	part, name, kind string
	id               int
}

// ruleTally is what a rule has taken.
type ruleTally struct {
	records, nanos, violations atomic.Int64
}

// Reading is the name under which reading payloads for rules is counted.
const Reading = "(reading)"

// addRules counts what a batch's rules have taken.
func (t *tally) addRules(s *side) {
	for i := range s.judged {
		j := &s.judged[i]
		for at, cost := range j.costs {
			if cost.Records == 0 {
				continue
			}
			key := ruleKey{s.part, Reading, "", j.id}
			if all := j.checker.Rules(); at < len(all) {
				key.name, key.kind = all[at].Name, all[at].Type
			}
			r := t.rule(key)
			r.records.Add(cost.Records)
			r.nanos.Add(cost.Nanos)
			r.violations.Add(cost.Violations)
		}
		clear(j.costs)
	}
}

// rule gives a rule's tally; those beyond the limit share one.
func (t *tally) rule(key ruleKey) *ruleTally {
	if r, ok := t.rules.Load(key); ok {
		return r.(*ruleTally)
	}
	if t.ruleCount.Load() >= maxRuleTallies {
		key = ruleKey{name: "others"}
	}
	r, known := t.rules.LoadOrStore(key, new(ruleTally))
	if !known {
		t.ruleCount.Add(1)
	}
	return r.(*ruleTally)
}

// RuleCost is what a rule, or reading payloads for rules, has taken of a topic
// since the start.
type RuleCost struct {
	Part       string `json:"part"`
	SchemaID   int    `json:"schema_id"`
	Rule       string `json:"rule"`
	Type       string `json:"type,omitempty"`
	Records    int64  `json:"records"`
	Nanos      int64  `json:"ns"` // of all records
	Violations int64  `json:"violations"`
}

func (t *tally) publicRules() []RuleCost {
	out := []RuleCost{}
	for k, r := range t.rules.Range {
		key, one := k.(ruleKey), r.(*ruleTally)
		out = append(out, RuleCost{key.part, key.id, key.name, key.kind, one.records.Load(), one.nanos.Load(), one.violations.Load()})
	}
	slices.SortFunc(out, func(a, b RuleCost) int {
		return cmp.Or(strings.Compare(a.Part, b.Part), cmp.Compare(a.SchemaID, b.SchemaID), strings.Compare(a.Rule, b.Rule))
	})
	return out
}
