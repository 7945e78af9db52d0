// Package rules runs those rules of data contracts that need no client: CEL and
// CEL_FIELD conditions on WRITE, as Confluent's registry keeps them with a version,
// and the annotations of protovalidate in Protobuf schemas. Rules that need a client
// (encryption, JSONata, whatever transforms) are listed and not run.
//
// It is told payloads that fit their schema. A condition sees what is on the
// wire: after the client's own transforms.
package rules

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tarn-io/tarn/schema"
)

// Limits of rules.
const (
	// MaxPayload bounds payloads that rules are asked about: as values they take
	// many times their size. It is Kafka's default for a batch.
	MaxPayload = 1 << 20
	// maxCost bounds one evaluation of a condition, in CEL's units, each some ten
	// nanoseconds: what costs more is refused after a few milliseconds.
	maxCost = 200_000
	// maxConditions bounds the conditions of one schema.
	maxConditions = 100
	// maxExpression bounds a condition's text in bytes.
	maxExpression = 64 << 10
)

// Rule is one rule of a schema.
type Rule struct {
	Name string
	Type string // CEL, PROTOVALIDATE, or what it says
	// Idle says why the broker does not run it; "" if it does.
	Idle string
	// Advisory rules are those whose onFailure is NONE: what they find is counted.
	Advisory bool
}

// Violation says which rule a payload breaks.
type Violation struct {
	Rule string
	// Path is the field, of protovalidate's rules and those of fields; else "".
	Path     string
	Message  string
	Advisory bool
}

// Cost is what a rule has taken.
type Cost struct {
	Records, Nanos, Violations int64
}

// Checker runs the rules of one schema. It is immutable and safe for concurrent
// use.
type Checker struct {
	rules []Rule
	runs  []check // with the place of their rule
	read  func(payload []byte) (any, error)
}

// check judges a payload as read made it: "" if it keeps the rule. The error
// says that the rule could not be run.
type check struct {
	rule int
	run  func(message any, payload []byte) (*Violation, error)
	// broken is why the rule cannot be run at all: it fails, closed.
	broken error
}

// Compile makes the checker of a schema's message with a rule set and metadata,
// which may be nil. Rules that cannot be compiled break every payload.
func Compile(s schema.Schema, index []int, set *schema.RuleSet, meta *schema.Metadata) *Checker {
	c := &Checker{}
	read, protovalidated := reader(s, index)
	c.read = read
	if set != nil {
		for _, r := range append(append([]schema.Rule{}, set.DomainRules...), set.EncodingRules...) {
			c.add(s, index, r, meta)
		}
	}
	if protovalidated {
		c.rules = append(c.rules, Rule{Name: "protovalidate", Type: "PROTOVALIDATE"})
		run, err := protovalidator(s, index)
		c.runs = append(c.runs, check{len(c.rules) - 1, run, err})
	}
	return c
}

// add compiles one rule of a rule set.
func (c *Checker) add(s schema.Schema, index []int, r schema.Rule, meta *schema.Metadata) {
	out := Rule{Name: r.Name, Type: strings.ToUpper(r.Type), Idle: idle(r), Advisory: strings.EqualFold(action(r.OnFailure), "NONE")}
	ofField := out.Type == "CEL_FIELD"
	if out.Idle == "" && ofField {
		out.Idle = branches(s)
	}
	if out.Idle == "" && len(c.runs) >= maxConditions {
		out.Idle = fmt.Sprintf("a schema's first %d conditions are run", maxConditions)
	}
	c.rules = append(c.rules, out)
	if out.Idle != "" {
		return
	}
	if len(r.Expr) > maxExpression {
		c.runs = append(c.runs, check{len(c.rules) - 1, nil, fmt.Errorf("its expression has %d bytes, the limit is %d", len(r.Expr), maxExpression)})
		return
	}
	var run func(any, []byte) (*Violation, error)
	var err error
	if ofField {
		run, err = ofFields(s, index, r, meta)
	} else {
		run, err = condition(s, index, r)
	}
	c.runs = append(c.runs, check{len(c.rules) - 1, run, err})
}

// idle says why the broker does not run a rule.
func idle(r schema.Rule) string {
	mode := strings.ToUpper(r.Mode)
	switch {
	case r.Disabled:
		return "it is disabled"
	case mode != "WRITE" && mode != "WRITEREAD":
		return "it is not about writing"
	case !strings.EqualFold(r.Type, "CEL") && !strings.EqualFold(r.Type, "CEL_FIELD"):
		return "rules of this type are the client's"
	case !strings.EqualFold(r.Kind, "CONDITION"):
		return "what transforms is the client's: the broker does not change payloads"
	}
	return ""
}

// action is the part of a pair of actions that is about writing.
func action(text string) string {
	first, _, _ := strings.Cut(text, ",")
	return strings.TrimSpace(first)
}

// Rules lists the rules, also those that are not run. Shared: do not change it.
func (c *Checker) Rules() []Rule { return c.rules }

// Empty says that nothing is run.
func (c *Checker) Empty() bool { return len(c.runs) == 0 }

// Check judges a payload that fits the schema: the first rule that it breaks, or
// else the first advisory one, or nil. It adds to costs what each rule took, by
// its place in Rules; reading the payload is the last one's, behind them.
func (c *Checker) Check(payload []byte, costs []Cost) *Violation {
	if len(payload) > MaxPayload {
		return &Violation{Rule: c.rules[c.runs[0].rule].Name, Message: fmt.Sprintf("rules are asked about payloads of at most %d bytes", MaxPayload)}
	}
	begun := time.Now()
	message, err := c.read(payload)
	begun = spent(&costs[len(c.rules)], begun)
	if err != nil {
		return &Violation{Rule: c.rules[c.runs[0].rule].Name, Message: "the payload cannot be read for rules: " + err.Error()}
	}
	var mild *Violation
	for i := range c.runs {
		one := &c.runs[i]
		bad := c.judge(one, message, payload)
		begun = spent(&costs[one.rule], begun)
		if bad == nil {
			continue
		}
		costs[one.rule].Violations++
		if !bad.Advisory {
			return bad
		}
		if mild == nil {
			mild = bad
		}
	}
	return mild
}

// Costs makes room for Check.
func (c *Checker) Costs() []Cost { return make([]Cost, len(c.rules)+1) }

func spent(c *Cost, since time.Time) time.Time {
	now := time.Now()
	c.Records++
	c.Nanos += now.Sub(since).Nanoseconds()
	return now
}

func (c *Checker) judge(one *check, message any, payload []byte) *Violation {
	rule := &c.rules[one.rule]
	bad, err := (*Violation)(nil), one.broken
	if err == nil {
		bad, err = one.run(message, payload)
	}
	if err != nil {
		bad = &Violation{Message: "it cannot be run: " + err.Error()}
	}
	if bad != nil {
		bad.Rule, bad.Advisory = rule.Name, rule.Advisory
	}
	return bad
}

var errPanic = errors.New("the library cannot read it")
