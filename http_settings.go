package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/topic"
)

// settingsInfo is how the broker is configured.
type settingsInfo struct {
	LogLevel  string         `json:"log_level"`
	Configs   []configEntry  `json:"configs"`
	Listeners []listenerInfo `json:"listeners"`
}

// settingsChange sets configs of the broker while it runs, and the level of its log.
type settingsChange struct {
	configChange
	LogLevel string `json:"log_level,omitempty"`
}

// brokerSettings answers the broker's configs as DescribeConfigs does, each with where
// it comes from.
func (n *node) brokerSettings(w http.ResponseWriter, r *http.Request) {
	docs := map[string]api.BrokerConfig{}
	for _, c := range n.cmd.settings() {
		docs[c.Name] = c
	}
	n.withAdmin(w, needing(r, right{acl.DescribeConfigs, acl.Cluster, acl.ClusterName}), func(ctx context.Context, adm *kadm.Client) (any, error) {
		all, err := adm.DescribeBrokerConfigs(ctx, api.NodeID)
		if err != nil {
			return nil, err
		}
		out := settingsInfo{LogLevel: strings.ToLower(n.level.Level().String()), Configs: []configEntry{}, Listeners: n.endpoints()}
		for _, one := range all {
			if one.Err != nil {
				return nil, told(one.Err, one.ErrMessage)
			}
			for _, c := range one.Configs {
				e := configEntry{Name: c.Key, Value: c.MaybeValue(), Sensitive: c.Sensitive, Source: sourceWord(c.Source.String()), Doc: docs[c.Key].Doc}
				for _, s := range c.Synonyms {
					if strings.Contains(s.Source.String(), "DEFAULT_CONFIG") && s.Value != nil {
						e.Default = *s.Value
					}
				}
				e.Default = cmp.Or(docs[c.Key].Default, e.Default)
				if d, ok := topic.ByBrokerName(c.Key); ok {
					e.Doc, e.Allowed = d.Help(), d.Allowed
				}
				out.Configs = append(out.Configs, e)
			}
		}
		slices.SortFunc(out.Configs, func(a, b configEntry) int { return cmp.Compare(a.Name, b.Name) })
		return out, nil
	})
}

// sourceWord is Kafka's name of a source in one word.
func sourceWord(name string) string {
	switch strings.ToUpper(name) {
	case "DYNAMIC_BROKER_CONFIG":
		return "set on this broker"
	case "DYNAMIC_DEFAULT_BROKER_CONFIG":
		return "set on all brokers"
	case "STATIC_BROKER_CONFIG":
		return "flag"
	case "DEFAULT_CONFIG":
		return "default"
	}
	return strings.ToLower(name)
}

// alterBrokerSettings changes configs of the broker, and the level of its log.
func (n *node) alterBrokerSettings(w http.ResponseWriter, r *http.Request) {
	var in settingsChange
	if !readJSON(w, r, maxSettingBytes, &in) {
		return
	}
	if in.LogLevel == "" && len(in.Set) == 0 {
		answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: `neither "set" nor "log_level" says what to change`})
		return
	}
	if in.LogLevel != "" && !n.setLogLevel(w, r, in.LogLevel, in.DryRun) {
		return
	}
	if len(in.Set) == 0 {
		answer(w, http.StatusOK, map[string]any{"changed": 1, "dry_run": in.DryRun})
		return
	}
	n.withAdmin(w, needing(r, right{acl.AlterConfigs, acl.Cluster, acl.ClusterName}), func(ctx context.Context, adm *kadm.Client) (any, error) {
		alter := adm.AlterBrokerConfigs
		if in.DryRun {
			alter = adm.ValidateAlterBrokerConfigs
		}
		return altered(&in.configChange)(alter(ctx, in.changes(), api.NodeID))
	})
}

// setLogLevel changes the level until the broker ends; false means that it has been
// answered.
func (n *node) setLogLevel(w http.ResponseWriter, r *http.Request, word string, dry bool) bool {
	if !n.allowed(r, acl.AlterConfigs, acl.Cluster, acl.ClusterName, false) {
		n.notAllowed(w, r, right{acl.AlterConfigs, acl.Cluster, acl.ClusterName})
		return false
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(word)); err != nil {
		answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: fmt.Sprintf("log_level %q: debug, info, warn or error", word)})
		return false
	}
	if !dry {
		n.level.Set(level)
	}
	return true
}
