package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groups commits offsets through all kills: alone (as tools do), as a member
// that stays, and as a static member that is new after every start. Each group
// has one committer, whose offsets only rise.
type groups struct {
	kafka string

	mu    sync.Mutex
	state map[string]*[partitions]committed // guarded by mu, by group
	acked map[string]int64                  // guarded by mu, commits by group
	wrong []error                           // guarded by mu
}

var groupNames = []string{"alone", "steady", "brief"}

// committed are the highest offsets of one partition that were acknowledged
// and tried.
type committed struct{ acked, tried int64 }

func newGroups(kafka string) *groups {
	return &groups{kafka: kafka, state: map[string]*[partitions]committed{}, acked: map[string]int64{}}
}

func (g *groups) try(group string, part int32, offset int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state[group] == nil {
		g.state[group] = &[partitions]committed{}
	}
	c := &g.state[group][part]
	c.tried = max(c.tried, offset)
}

func (g *groups) acknowledge(group string, part int32, offset int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := &g.state[group][part]
	c.acked = max(c.acked, offset)
	g.acked[group]++
}

func (g *groups) complain(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.wrong) < maxComplaints {
		g.wrong = append(g.wrong, err)
	}
}

// commitAlone commits rising offsets without being a member.
func (g *groups) commitAlone(ctx context.Context) {
	const group = "alone"
	cl, err := client(g.kafka)
	if err != nil {
		g.complain(err)
		return
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for n := int64(1); ctx.Err() == nil; n++ {
		offsets := kadm.Offsets{}
		for p := range int32(partitions) {
			g.try(group, p, n)
			offsets.AddOffset(topicName, p, n, -1)
		}
		answers, err := adm.CommitOffsets(ctx, group, offsets)
		if err != nil {
			continue // the broker is away; offsets only rise
		}
		answers.Each(func(a kadm.OffsetResponse) {
			if a.Err == nil {
				g.acknowledge(group, a.Partition, n)
			}
		})
		pause(ctx, 5*time.Millisecond)
	}
}

// member consumes in a group of its own and commits what it has read.
func (g *groups) member(ctx context.Context, group string) {
	cl, err := client(g.kafka,
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topicName), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.InstanceID("the-"+group), kgo.SessionTimeout(10*time.Second),
		kgo.HeartbeatInterval(200*time.Millisecond), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		g.complain(err)
		return
	}
	defer cl.CloseAllowingRebalance()
	for ctx.Err() == nil {
		fetches := cl.PollRecords(ctx, 2000)
		last := map[int32]kgo.EpochOffset{}
		fetches.EachRecord(func(r *kgo.Record) {
			last[r.Partition] = kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset + 1}
		})
		if len(last) == 0 {
			continue
		}
		for part, o := range last {
			g.try(group, part, o.Offset)
		}
		cl.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{topicName: last},
			func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
				if err == nil {
					g.committedBy(group, last, resp)
				}
			})
	}
}

func (g *groups) committedBy(group string, last map[int32]kgo.EpochOffset, resp *kmsg.OffsetCommitResponse) {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 {
				g.acknowledge(group, p.Partition, last[p.Partition].Offset)
			}
		}
	}
}

// compare asks the broker for what is committed now.
func (g *groups) compare(ctx context.Context) error {
	cl, err := client(g.kafka)
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for _, group := range groupNames {
		g.mu.Lock()
		before, ok := g.state[group]
		var acked [partitions]committed
		if ok {
			acked = *before
		}
		g.mu.Unlock()
		if !ok {
			continue
		}
		got, err := adm.FetchOffsets(ctx, group)
		if err != nil {
			return fmt.Errorf("offsets of group %s: %w", group, err)
		}
		for part := range int32(partitions) {
			o, ok := got.Lookup(topicName, part)
			want := acked[part].acked
			if want > 0 && (!ok || o.At < want) {
				return fmt.Errorf("group %s partition %d: offset %d was acknowledged, the broker has %d (known: %t)", group, part, want, o.At, ok)
			}
			g.mu.Lock()
			tried := g.state[group][part].tried // after the answer: the group goes on meanwhile
			g.mu.Unlock()
			if ok && o.At > tried {
				return fmt.Errorf("group %s partition %d: the broker has offset %d, never committed; the highest was %d", group, part, o.At, tried)
			}
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.wrong...)
}

// progress says how many commits each group got acknowledged.
func (g *groups) progress() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var parts []string
	for _, group := range groupNames {
		parts = append(parts, fmt.Sprintf("%s %d", group, g.acked[group]))
	}
	return strings.Join(parts, ", ")
}
