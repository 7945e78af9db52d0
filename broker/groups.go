package broker

import (
	"context"
	"time"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/group"
	"github.com/tarn-io/tarn/broker/groupconfig"
	"github.com/tarn-io/tarn/broker/share"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/streams"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/txn"
)

// topicsView shows the broker's topics to the group coordinator.
type topicsView struct{ topics *topic.Topics }

func (v topicsView) ByName(name string) (storage.TopicID, int32, bool) {
	t := v.topics.View().ByName(name)
	if t == nil {
		return storage.TopicID{}, 0, false
	}
	return t.ID, t.Partitions, true
}

func (v topicsView) ByID(id storage.TopicID) (string, int32, bool) {
	t := v.topics.View().ByID(id)
	if t == nil {
		return "", 0, false
	}
	return t.Name, t.Partitions, true
}

func (v topicsView) Names() []string {
	all := v.topics.View().All()
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = t.Name
	}
	return names
}

// Mark is the view itself: each change makes a new one.
func (v topicsView) Mark() any { return v.topics.View() }

// access shows the rules to the group coordinator.
type access struct{ *acl.Rules }

// accessView is nil without rules.
func accessView(rules *acl.Rules) group.Access {
	if rules == nil {
		return nil
	}
	return access{rules}
}

// MayDescribe says whether a topic may be described.
func (a access) MayDescribe(principal, host, topic string) bool {
	return a.Allowed(principal, host, acl.Describe, acl.Topic, topic)
}

// openGroups reads the groups. Their writes go straight to the engine, which
// merges them with whatever else is being committed.
func (b *Broker) openGroups(ctx context.Context) (*group.Coordinator, error) {
	return group.Open(ctx, group.Config{
		Commit: b.cfg.Engine.Commit,
		Store:  b.cfg.Engine,
		Topics: topicsView{b.topics},
		Access: accessView(b.cfg.Rules),

		InitialRebalanceDelay: b.cfg.GroupInitialDelay,
		OffsetsRetention:      b.cfg.Times.OffsetsRetention,
		MinSessionTimeout:     b.cfg.Times.MinSession, MaxSessionTimeout: b.cfg.Times.MaxSession,
		ConsumerTimes: func(group string) (session, heartbeat time.Duration) {
			return b.groupConfigs.Duration(group, groupconfig.ConsumerSessionTimeoutMs),
				b.groupConfigs.Duration(group, groupconfig.ConsumerHeartbeatIntervalMs)
		},

		StreamsSettings: func(group string) streams.Settings {
			return streams.Settings{
				Session:      b.groupConfigs.Duration(group, groupconfig.StreamsSessionTimeoutMs),
				Heartbeat:    b.groupConfigs.Duration(group, groupconfig.StreamsHeartbeatIntervalMs),
				InitialDelay: b.groupConfigs.Duration(group, groupconfig.StreamsInitialRebalanceDelayMs),
				Standbys:     int(b.groupConfigs.Int(group, groupconfig.StreamsNumStandbyReplicas)),
			}
		},

		Log: b.cfg.Log.With("component", "group"),
	})
}

// openShares reads the share groups, whose names are in one space with those of
// other groups.
func (b *Broker) openShares(ctx context.Context) (*share.Coordinator, error) {
	c, err := share.Open(ctx, share.Config{
		Commit: b.cfg.Engine.Commit, Store: b.cfg.Engine, Topics: topicsView{b.topics},
		Logs: b.logs.Log, Configs: b.groupConfigs, Names: b.groups.Names(),
		Log: b.cfg.Log.With("component", "share"),
	})
	if err == nil {
		b.groups.AddKind(c)
	}
	return c, err
}

// openTxns reads the transactions. Their writes go through the sequencer, since
// they hold markers.
func (b *Broker) openTxns(ctx context.Context, producers *api.Producers) (*txn.Coordinator, error) {
	return txn.Open(ctx, txn.Config{
		Append: b.logs.Append, Store: b.cfg.Engine, Groups: b.groups, Topics: topicsView{b.topics},
		NextID: producers.Next, CheckInterval: b.cfg.TxnCheckInterval,
		MaxTimeout: b.cfg.Times.TxnMaxTimeout, Expiry: b.cfg.Times.TxnExpiry,
		Log: b.cfg.Log.With("component", "txn"), Now: b.cfg.Now,
	})
}
