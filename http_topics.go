package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/topic"
)

// maxTopicRequest bounds a request that makes or changes a topic: every config there
// is, with long values.
const maxTopicRequest = 1 << 20

// topicInfo is a topic in the list.
type topicInfo struct {
	Name       string `json:"name"`
	Internal   bool   `json:"internal"`
	Partitions int32  `json:"partitions"`
	// Records is how many offsets there are, which is about how many records.
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
	// LastMs is the greatest timestamp, Unix ms; absent of an empty topic.
	LastMs *int64 `json:"last_ms,omitempty"`
	// Lag is how many records the groups that read it are behind, of all groups
	// together; Groups is how many there are.
	Lag    int64 `json:"lag"`
	Groups int   `json:"groups"`
	// Rejected is how many records were refused since the broker started.
	Rejected int64    `json:"rejected"`
	Tables   []string `json:"tables"` // formats
	Cleanup  string   `json:"cleanup"`
	Created  int64    `json:"created_ms"`
}

// partitionInfo is one partition.
type partitionInfo struct {
	Partition int32  `json:"partition"`
	Start     int64  `json:"start"`
	End       int64  `json:"end"`
	Stable    int64  `json:"stable"` // last stable offset
	Bytes     int64  `json:"bytes"`
	LastMs    *int64 `json:"last_ms,omitempty"`
}

// topicDetail is one topic.
type topicDetail struct {
	topicInfo
	ID           string `json:"id"`
	KeySubject   string `json:"key_subject"`
	ValueSubject string `json:"value_subject"`
	// KeyVersion and ValueVersion are the newest of the subjects; 0: none.
	KeyVersion   int               `json:"key_version"`
	ValueVersion int               `json:"value_version"`
	Parts        []partitionInfo   `json:"partition_list"`
	Overrides    map[string]string `json:"overrides"`
}

// topicFor finds a topic that whoever asks may use in this way; nil means that it has
// been answered.
func (n *node) topicFor(w http.ResponseWriter, r *http.Request, op acl.Operation) *topic.Topic {
	name := r.PathValue("topic")
	if !n.allowed(r, op, acl.Topic, name, false) {
		n.notAllowed(w, r, right{op, acl.Topic, name})
		return nil
	}
	t := n.broker.Topics().View().ByName(name)
	if t == nil {
		answer(w, http.StatusNotFound, apiError{Code: 40401, Message: fmt.Sprintf("no topic %q", name)})
	}
	return t
}

// listTopics answers the topics that whoever asks may describe.
func (n *node) listTopics(w http.ResponseWriter, r *http.Request) {
	out, lags := []topicInfo{}, n.topicLags(r)
	for _, t := range n.broker.Topics().View().All() {
		if !n.allowed(r, acl.Describe, acl.Topic, t.Name, true) {
			continue
		}
		info, _, err := n.topicInfo(r.Context(), t, false)
		if err != nil {
			refuseKafka(w, err)
			return
		}
		info.Lag, info.Groups = lags[t.Name].lag, lags[t.Name].groups
		out = append(out, info)
	}
	answer(w, http.StatusOK, out)
}

// topicInfo looks at a topic's logs; with last also for the time of each one's newest
// record.
func (n *node) topicInfo(ctx context.Context, t *topic.Topic, last bool) (topicInfo, []partitionInfo, error) {
	info := topicInfo{
		Name: t.Name, Internal: topic.Internal(t.Name), Partitions: t.Partitions, Tables: append([]string{}, t.Config.TableFormats...),
		Cleanup: cleanup(&t.Config), Created: t.CreatedMs, Rejected: n.rejectedOf(t),
	}
	parts := make([]partitionInfo, 0, t.Partitions)
	for p := range t.Partitions {
		log, err := n.broker.Logs().Log(ctx, storage.TP{Topic: t.ID, Partition: p})
		if err != nil {
			return info, nil, fmt.Errorf("topic %s partition %d: %w", t.Name, p, err)
		}
		one := partitionInfo{Partition: p, Stable: log.LastStable()}
		one.Start, one.End = log.Bounds()
		if one.Bytes, err = log.Bytes(ctx); err != nil {
			return info, nil, fmt.Errorf("size of topic %s partition %d: %w", t.Name, p, err)
		}
		if last && one.End > one.Start {
			if ms, ok := timeAt(ctx, log, one.End-1); ok {
				one.LastMs = &ms
			}
		}
		info.Records += one.End - one.Start
		info.Bytes += one.Bytes
		if one.LastMs != nil && (info.LastMs == nil || *one.LastMs > *info.LastMs) {
			info.LastMs = one.LastMs
		}
		parts = append(parts, one)
	}
	return info, parts, nil
}

func cleanup(c *topic.Config) string {
	switch {
	case c.CleanupCompact && c.CleanupDelete:
		return "compact,delete"
	case c.CleanupCompact:
		return "compact"
	case !c.CleanupDelete:
		return "none"
	}
	return "delete"
}

// rejectedOf counts the records of a topic that were refused or set aside.
func (n *node) rejectedOf(t *topic.Topic) int64 {
	if n.validator == nil {
		return 0
	}
	return n.validator.Rejected(t.Name, t.ID)
}

// describeTopic answers one topic.
func (n *node) describeTopic(w http.ResponseWriter, r *http.Request) {
	t := n.topicFor(w, r, acl.Describe)
	if t == nil {
		return
	}
	info, parts, err := n.topicInfo(r.Context(), t, true)
	if err != nil {
		refuseKafka(w, err)
		return
	}
	of := n.topicLags(r)[t.Name]
	info.Lag, info.Groups = of.lag, of.groups
	out := topicDetail{
		topicInfo: info, ID: t.ID.String(), Parts: parts, Overrides: t.Overrides,
		KeySubject: n.draftSchema(t, "key").subject, ValueSubject: n.draftSchema(t, "value").subject,
	}
	if v, ok := n.registry.Latest(out.KeySubject); ok {
		out.KeyVersion = v.Version
	}
	if v, ok := n.registry.Latest(out.ValueSubject); ok {
		out.ValueVersion = v.Version
	}
	answer(w, http.StatusOK, out)
}

// topicRequest asks for a new topic.
type topicRequest struct {
	Name       string            `json:"name"`
	Partitions int32             `json:"partitions"` // 0: the broker's default
	Configs    map[string]string `json:"configs"`
	DryRun     bool              `json:"dry_run"`
}

// createTopic makes a topic as CreateTopics does.
func (n *node) createTopic(w http.ResponseWriter, r *http.Request) {
	var in topicRequest
	if !readJSON(w, r, maxTopicRequest, &in) {
		return
	}
	n.withAdmin(w, needing(r, right{acl.Create, acl.Topic, in.Name}), func(ctx context.Context, adm *kadm.Client) (any, error) {
		configs := map[string]*string{}
		for k, v := range in.Configs {
			configs[k] = kadm.StringPtr(v)
		}
		partitions := in.Partitions
		if partitions == 0 {
			partitions = -1
		}
		make := adm.CreateTopics
		if in.DryRun {
			make = adm.ValidateCreateTopics
		}
		all, err := make(ctx, partitions, -1, configs, in.Name)
		if err != nil {
			return nil, err
		}
		got := all[in.Name]
		if err := told(got.Err, got.ErrMessage); err != nil {
			return nil, err
		}
		return map[string]any{"name": in.Name, "partitions": got.NumPartitions, "dry_run": in.DryRun}, nil
	})
}

// deleteTopic deletes a topic as DeleteTopics does.
func (n *node) deleteTopic(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("topic")
	n.withAdmin(w, needing(r, right{acl.Delete, acl.Topic, name}, right{acl.Describe, acl.Topic, name}), func(ctx context.Context, adm *kadm.Client) (any, error) {
		all, err := adm.DeleteTopics(ctx, name)
		if err != nil {
			return nil, err
		}
		got := all[name]
		return map[string]string{"deleted": name}, told(got.Err, got.ErrMessage)
	})
}

// addPartitions raises a topic's number of partitions.
func (n *node) addPartitions(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Total int `json:"total"`
	}
	if !readJSON(w, r, maxTopicRequest, &in) {
		return
	}
	name := r.PathValue("topic")
	n.withAdmin(w, needing(r, right{acl.Alter, acl.Topic, name}), func(ctx context.Context, adm *kadm.Client) (any, error) {
		all, err := adm.UpdatePartitions(ctx, in.Total, name)
		if err != nil {
			return nil, err
		}
		got := all[name]
		return map[string]int{"partitions": in.Total}, told(got.Err, got.ErrMessage)
	})
}

// configEntry is one config with what is known of it.
type configEntry struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default string `json:"default"`
	// Source is topic, broker or default.
	Source  string `json:"source"`
	Doc     string `json:"doc"`
	Allowed string `json:"allowed,omitempty"`
	// Sensitive values are never told.
	Sensitive bool `json:"sensitive,omitempty"`
	ReadOnly  bool `json:"read_only,omitempty"`
}

// topicConfig answers all configs of a topic.
func (n *node) topicConfig(w http.ResponseWriter, r *http.Request) {
	t := n.topicFor(w, r, acl.DescribeConfigs)
	if t == nil {
		return
	}
	out := []configEntry{}
	for _, e := range n.broker.Topics().Describe(t.Overrides) {
		source := "default"
		switch e.Source {
		case topic.SourceTopic:
			source = "topic"
		case topic.SourceBroker, topic.SourceDynamicBroker, topic.SourceDynamicDefault:
			source = "broker"
		}
		out = append(out, configEntry{Name: e.Name, Value: e.Value, Default: e.Default, Source: source, Doc: e.Help(), Allowed: e.Allowed})
	}
	answer(w, http.StatusOK, out)
}

// configChange sets configs, or with null takes them back to their defaults.
type configChange struct {
	Set    map[string]*string `json:"set"`
	DryRun bool               `json:"dry_run"`
}

func (c *configChange) changes() []kadm.AlterConfig {
	var out []kadm.AlterConfig
	for name, value := range c.Set {
		op := kadm.SetConfig
		if value == nil {
			op = kadm.DeleteConfig
		}
		out = append(out, kadm.AlterConfig{Op: op, Name: name, Value: value})
	}
	return out
}

// alterTopicConfig changes configs, all of them or none.
func (n *node) alterTopicConfig(w http.ResponseWriter, r *http.Request) {
	var in configChange
	if !readJSON(w, r, maxTopicRequest, &in) {
		return
	}
	if len(in.Set) == 0 {
		answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: `"set" names no config`})
		return
	}
	name := r.PathValue("topic")
	n.withAdmin(w, needing(r, right{acl.AlterConfigs, acl.Topic, name}), func(ctx context.Context, adm *kadm.Client) (any, error) {
		alter := adm.AlterTopicConfigs
		if in.DryRun {
			alter = adm.ValidateAlterTopicConfigs
		}
		return altered(&in)(alter(ctx, in.changes(), name))
	})
}

// altered says what a change of configs has come to.
func altered(in *configChange) func(all kadm.AlterConfigsResponses, err error) (any, error) {
	return func(all kadm.AlterConfigsResponses, err error) (any, error) {
		for _, one := range all {
			err = errors.Join(err, told(one.Err, one.ErrMessage))
		}
		return map[string]any{"changed": len(in.Set), "dry_run": in.DryRun}, err
	}
}
