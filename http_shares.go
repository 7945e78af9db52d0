package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/group"
	"github.com/tarn-io/tarn/broker/share"
	"github.com/tarn-io/tarn/broker/storage"
)

// sharePartition is a partition of a share group, whose records go to members one by
// one.
type sharePartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Start is where the group begins: all before it is done. Next is the first
	// offset that nobody has been given, End the log's.
	Start int64 `json:"start"`
	Next  int64 `json:"next"`
	End   int64 `json:"end"`
	Lag   int64 `json:"lag"`
	// Seconds is the time from the first record that is not done to the last one.
	Seconds float64 `json:"lag_seconds"`
	// Acquired are records that members have, Waiting those that came back.
	Acquired int64 `json:"acquired"`
	Waiting  int64 `json:"waiting"`
	// Deliveries counts both by how often they were delivered so far.
	Deliveries map[int16]int64 `json:"deliveries"`
}

// shareOf is a share group as the routes of groups show it, with the topics that
// wanted takes; with times it reads two records of each partition that is behind.
func (n *node) shareOf(ctx context.Context, g *share.Summary, times bool, wanted func(topic string) bool) groupDetail {
	out := groupDetail{
		groupInfo:  groupInfo{Name: g.Name, Type: share.Kind, State: g.State, Members: len(g.Members), Topics: []string{}},
		Generation: g.Epoch, MemberList: []memberInfo{}, Partitions: []partitionLag{}, Shares: []sharePartition{},
	}
	view := n.broker.Topics().View()
	for _, p := range g.Partitions {
		t := view.ByID(p.Topic)
		if t == nil || !wanted(t.Name) {
			continue
		}
		one := sharePartition{
			Topic: t.Name, Partition: p.Partition, Start: p.Start, Next: p.Next, End: p.End, Lag: p.Lag,
			Acquired: p.Acquired, Waiting: p.Waiting, Deliveries: p.Deliveries,
		}
		if times && one.Lag > 0 {
			if log, err := n.broker.Logs().Log(ctx, storage.TP{Topic: p.Topic, Partition: p.Partition}); err == nil {
				one.Seconds = lagSeconds(ctx, log, one.Start, one.End)
			}
		}
		out.Lag += one.Lag
		out.Seconds = max(out.Seconds, one.Seconds)
		if !slices.Contains(out.Topics, one.Topic) {
			out.Topics = append(out.Topics, one.Topic)
		}
		out.Shares = append(out.Shares, one)
	}
	slices.Sort(out.Topics)
	slices.SortFunc(out.Shares, func(a, b sharePartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	for _, m := range g.Members {
		one := memberInfo{ID: m.ID, ClientID: m.ClientID, Host: m.ClientHost, Partitions: map[string][]int32{}, Acquired: m.Acquired}
		for t, ps := range m.Partitions {
			if wanted(t) {
				one.Partitions[t] = ps
			}
		}
		out.MemberList = append(out.MemberList, one)
	}
	return out
}

// listShares adds the share groups that whoever asks may describe.
func (n *node) listShares(r *http.Request, wanted func(topic string) bool, add func(groupInfo)) error {
	all, err := n.broker.Shares().Groups(r.Context())
	if err != nil {
		return err
	}
	for i := range all {
		if n.allowed(r, acl.Describe, acl.Group, all[i].Name, true) {
			add(n.shareOf(r.Context(), &all[i], true, wanted).groupInfo)
		}
	}
	return nil
}

// sampleShares takes the lag of share groups, of so many at most.
func (s *chartSampler) sampleShares(ctx context.Context, out map[string]float64, room int) {
	var names []string
	for _, g := range s.n.broker.Shares().List() {
		names = append(names, g.Group)
	}
	slices.Sort(names)
	for _, name := range names[:min(len(names), room)] {
		if g, ok := s.n.broker.Shares().Group(ctx, name); ok {
			var lag int64
			for _, p := range g.Partitions {
				lag += p.Lag
			}
			out["group:"+name] = float64(lag)
		}
	}
}

// offsetsBefore are where a group stands, and how it is set elsewhere.
func (n *node) offsetsBefore(ctx context.Context, adm *kadm.Client, name string, shared bool) (kadm.Offsets, error) {
	if !shared {
		committed, err := adm.FetchOffsets(ctx, name)
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return nil, err
		}
		return committed.Offsets(), nil
	}
	all, err := adm.DescribeShareGroupOffsets(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := all[name].Err; err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, err
	}
	out := kadm.Offsets{}
	for _, o := range all[name].Offsets.Sorted() {
		if o.Err == nil && o.StartOffset >= 0 {
			out.AddOffset(o.Topic, o.Partition, o.StartOffset, -1)
		}
	}
	return out, nil
}

// setOffsets sets a group's offsets, of either kind.
func setOffsets(ctx context.Context, adm *kadm.Client, name string, shared bool, offsets kadm.Offsets) error {
	if shared {
		answers, err := adm.AlterShareGroupOffsets(ctx, name, offsets)
		return errors.Join(err, answers.Error())
	}
	answers, err := adm.CommitOffsets(ctx, name, offsets)
	return errors.Join(err, answers.Error())
}

// membersOf are those of a group of either kind, in the words of a consumer group's.
func (n *node) membersOf(ctx context.Context, name string) (g group.Summary, shared bool) {
	if g, ok := n.broker.Groups().Group(name); ok {
		return g, false
	}
	s, ok := n.broker.Shares().Group(ctx, name)
	g.Name = name
	for _, m := range s.Members {
		g.Members = append(g.Members, group.MemberSummary{ID: m.ID, ClientID: m.ClientID, ClientHost: m.ClientHost})
	}
	return g, ok
}
