package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/topic"
)

// wantedTopic is a topic that is to be there. Configs may be text, numbers or
// booleans; null sets one back to its default.
type wantedTopic struct {
	Name       string                     `json:"name"`
	Partitions int32                      `json:"partitions"` // 0: the broker's default, and as many as there are
	Configs    map[string]json.RawMessage `json:"configs"`
}

// configs are the topic's as text, by canonical key; reset are those to be set
// back.
func (t *wantedTopic) configs() (set map[string]string, reset []string, err error) {
	named := map[string]string{}
	for key, raw := range t.Configs {
		var text string
		switch {
		case string(raw) == "null":
			if _, ok := topic.Lookup(key); !ok {
				return nil, nil, fmt.Errorf("config %s: only Tarn's own name for a key can be set back", key)
			}
			reset = append(reset, key)
			continue
		case raw[0] == '"':
			if err := json.Unmarshal(raw, &text); err != nil {
				return nil, nil, fmt.Errorf("config %s: %w", key, err)
			}
		case raw[0] == '{':
			return nil, nil, fmt.Errorf("config %s is no value", key)
		case raw[0] == '[':
			var list []string
			if err := json.Unmarshal(raw, &list); err != nil {
				return nil, nil, fmt.Errorf("config %s: %w", key, err)
			}
			text = strings.Join(list, ",")
		default:
			text = string(raw)
		}
		named[key] = text
	}
	set, err = topic.Canonical(named)
	slices.Sort(reset)
	return set, reset, err
}

// planTopics compares topics and their configs.
func (a *applier) planTopics(ctx context.Context, w *wanted) error {
	if len(w.Topics) == 0 {
		return nil
	}
	var names []string
	for i := range w.Topics {
		if w.Topics[i].Name == "" || slices.Contains(names, w.Topics[i].Name) {
			return fmt.Errorf("topic %d: the name %q is empty or used twice", i, w.Topics[i].Name)
		}
		names = append(names, w.Topics[i].Name)
	}
	there, err := a.adm.ListTopics(ctx, names...)
	if err != nil {
		return err
	}
	for i := range w.Topics {
		t := &w.Topics[i]
		set, reset, err := t.configs()
		if err == nil {
			have := there[t.Name]
			switch {
			case errors.Is(have.Err, kerr.UnknownTopicOrPartition):
				err = a.planCreate(ctx, t, set)
			case have.Err != nil:
				err = have.Err
			default:
				err = a.planAlter(ctx, t, len(have.Partitions), set, reset)
			}
		}
		if err != nil {
			return fmt.Errorf("topic %s: %w", t.Name, err)
		}
	}
	return nil
}

func (a *applier) planCreate(ctx context.Context, t *wantedTopic, set map[string]string) error {
	configs := map[string]*string{}
	what := "new"
	if t.Partitions > 0 {
		what = fmt.Sprintf("new, %d partitions", t.Partitions)
	}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		value := set[key]
		configs[key] = &value
		what += ", " + key + "=" + value
	}
	partitions := t.Partitions
	if partitions == 0 {
		partitions = -1
	}
	ch := change{Kind: "topic", Name: t.Name, What: what}
	answers, err := a.adm.ValidateCreateTopics(ctx, partitions, -1, configs, t.Name)
	if err != nil {
		return err
	}
	if r := answers[t.Name]; r.Err != nil {
		ch.Refused = told(r.Err, r.ErrMessage).Error()
	}
	ch.do = func(ctx context.Context) error {
		answers, err := a.adm.CreateTopics(ctx, partitions, -1, configs, t.Name)
		if err != nil {
			return err
		}
		return told(answers[t.Name].Err, answers[t.Name].ErrMessage)
	}
	a.add(ch)
	return nil
}

func (a *applier) planAlter(ctx context.Context, t *wantedTopic, partitions int, set map[string]string, reset []string) error {
	if t.Partitions != 0 && int(t.Partitions) != partitions {
		ch := change{Kind: "topic", Name: t.Name, What: fmt.Sprintf("%d → %d partitions", partitions, t.Partitions)}
		if int(t.Partitions) < partitions {
			ch.Refused = "partitions cannot become fewer"
		}
		ch.do = func(ctx context.Context) error {
			answers, err := a.adm.UpdatePartitions(ctx, int(t.Partitions), t.Name)
			if err != nil {
				return err
			}
			return told(answers[t.Name].Err, answers[t.Name].ErrMessage)
		}
		a.add(ch)
	}
	described, err := a.adm.DescribeTopicConfigs(ctx, t.Name)
	if err != nil {
		return err
	}
	own, value := map[string]bool{}, map[string]string{}
	for _, rc := range described {
		if rc.Err != nil {
			return told(rc.Err, rc.ErrMessage)
		}
		for _, c := range rc.Configs {
			own[c.Key] = c.Source.String() == "DYNAMIC_TOPIC_CONFIG"
			value[c.Key] = c.MaybeValue()
		}
	}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		to := set[key]
		// What has this value as a default is set all the same: defaults change.
		if !own[key] || value[key] != to {
			err = a.planConfig(ctx, t.Name, kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: &to}, strconv.Quote(value[key])+" → "+strconv.Quote(to))
		}
		if err != nil {
			return err
		}
	}
	for _, key := range reset {
		if own[key] {
			if err := a.planConfig(ctx, t.Name, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: key}, strconv.Quote(value[key])+" → its default"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *applier) planConfig(ctx context.Context, name string, to kadm.AlterConfig, what string) error {
	ch := change{Kind: "config", Name: name, What: to.Name + ": " + what}
	outcome := func(answers kadm.AlterConfigsResponses, err error) error {
		for _, r := range answers {
			err = errors.Join(err, told(r.Err, r.ErrMessage))
		}
		return err
	}
	if err := outcome(a.adm.ValidateAlterTopicConfigs(ctx, []kadm.AlterConfig{to}, name)); err != nil {
		ch.Refused = err.Error()
	}
	ch.do = func(ctx context.Context) error {
		return outcome(a.adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{to}, name))
	}
	a.add(ch)
	return nil
}

// wantedRule is access rules that are to be there: one for each principal and
// operation.
type wantedRule struct {
	Principals []string `json:"principals"`
	Operations []string `json:"operations"`
	Topic      string   `json:"topic"`
	Group      string   `json:"group"`
	TxnID      string   `json:"transactionalId"`
	Subject    string   `json:"subject"`
	Cluster    bool     `json:"cluster"`
	Host       string   `json:"host"`
	Prefix     bool     `json:"prefix"`
	Deny       bool     `json:"deny"`
}

func (r *wantedRule) bindings() ([]acl.Binding, error) {
	target := aclTarget{Topic: r.Topic, Group: r.Group, TxnID: r.TxnID, Subject: r.Subject, Cluster: r.Cluster}
	res, name := target.resource()
	if res == 0 || len(r.Principals) == 0 || len(r.Operations) == 0 {
		return nil, errors.New("it needs principals, operations, and a topic, group, transactionalId, subject or cluster: true")
	}
	b := acl.Binding{Resource: res, Name: name, Pattern: acl.Literal, Host: "*", Permission: acl.Allow}
	if r.Host != "" {
		b.Host = r.Host
	}
	if r.Prefix {
		b.Pattern = acl.Prefixed
	}
	if r.Deny {
		b.Permission = acl.Deny
	}
	var all []acl.Binding
	for _, who := range r.Principals {
		for _, op := range r.Operations {
			b.Principal = auth.ParsePrincipal(who).String()
			if err := b.Operation.UnmarshalText([]byte(op)); err != nil {
				return nil, err
			}
			all = append(all, b)
		}
	}
	return all, nil
}

// planRules compares access rules; there may be more of them than named.
func (a *applier) planRules(ctx context.Context, w *wanted) error {
	if len(w.ACLs) == 0 {
		return nil
	}
	any := acl.Filter{Resource: acl.AnyResource, Operation: acl.AnyOperation, Permission: acl.AnyPermission, Pattern: acl.AnyPattern}
	var have []acl.Binding
	if err := a.call(ctx, http.MethodPost, "/api/acls/list", any, &have); err != nil {
		return err
	}
	for i := range w.ACLs {
		all, err := w.ACLs[i].bindings()
		if err != nil {
			return fmt.Errorf("acl %d: %w", i, err)
		}
		for _, b := range all {
			if slices.Contains(have, b) {
				continue
			}
			have = append(have, b)
			what := strings.ToLower(b.Permission.String()) + " " + strings.ToLower(b.Operation.String())
			if b.Host != "*" {
				what += " from " + b.Host
			}
			a.add(change{
				Kind: "acl", Name: b.Principal,
				What: fmt.Sprintf("new: %s on %s %s (%s)", what, strings.ToLower(b.Resource.String()), b.Name, strings.ToLower(b.Pattern.String())),
				do: func(ctx context.Context) error {
					return a.call(ctx, http.MethodPost, "/api/acls", []acl.Binding{b}, nil)
				},
			})
		}
	}
	return nil
}

// wantedQuota is the quotas of a user, a client id, both, or an address; "*"
// stands for the default of those without quotas of their own.
type wantedQuota struct {
	User     string              `json:"user"`
	ClientID string              `json:"clientId"`
	IP       string              `json:"ip"`
	Values   map[string]*float64 `json:"values"` // by Kafka's names; null takes one away
}

func (q *wantedQuota) entity() (e kadm.ClientQuotaEntity, name string) {
	for _, part := range []struct{ kind, name string }{{"user", q.User}, {"client-id", q.ClientID}, {"ip", q.IP}} {
		if part.name == "" {
			continue
		}
		c := kadm.ClientQuotaEntityComponent{Type: part.kind}
		if part.name != "*" {
			c.Name = &part.name
		}
		e = append(e, c)
		name = strings.TrimSpace(name + " " + part.kind + "=" + part.name)
	}
	return e, name
}

// planQuotas compares client quotas.
func (a *applier) planQuotas(ctx context.Context, w *wanted) error {
	if len(w.Quotas) == 0 {
		return nil
	}
	described, err := a.adm.DescribeClientQuotas(ctx, false, nil)
	if err != nil {
		return err
	}
	have := map[string]map[string]float64{}
	for _, d := range described {
		values := map[string]float64{}
		for _, v := range d.Values {
			values[v.Key] = v.Value
		}
		slices.SortFunc(d.Entity, func(a, b kadm.ClientQuotaEntityComponent) int { return strings.Compare(b.Type, a.Type) })
		have[d.Entity.String()] = values
	}
	for i := range w.Quotas {
		e, name := w.Quotas[i].entity()
		if len(e) == 0 {
			return fmt.Errorf("quota %d names no user, clientId or ip", i)
		}
		for _, key := range slices.Sorted(maps.Keys(w.Quotas[i].Values)) {
			to := w.Quotas[i].Values[key]
			old, ok := have[e.String()][key]
			op := kadm.AlterClientQuotaOp{Key: key, Remove: to == nil}
			what := "taken away"
			if to != nil {
				op.Value, what = *to, "→ "+strconv.FormatFloat(*to, 'f', -1, 64)
			}
			if ok && to != nil && old == *to || !ok && to == nil {
				continue
			}
			a.planQuota(ctx, name, key+" "+what, kadm.AlterClientQuotaEntry{Entity: e, Ops: []kadm.AlterClientQuotaOp{op}})
		}
	}
	return nil
}

func (a *applier) planQuota(ctx context.Context, name, what string, entry kadm.AlterClientQuotaEntry) {
	outcome := func(answers kadm.AlteredClientQuotas, err error) error {
		for _, r := range answers {
			err = errors.Join(err, told(r.Err, r.ErrMessage))
		}
		return err
	}
	ch := change{Kind: "quota", Name: name, What: what}
	if err := outcome(a.adm.ValidateAlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{entry})); err != nil {
		ch.Refused = err.Error()
	}
	ch.do = func(ctx context.Context) error {
		return outcome(a.adm.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{entry}))
	}
	a.add(ch)
}
