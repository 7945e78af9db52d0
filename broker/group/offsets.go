package group

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// topicIDs is the version of OffsetCommit and OffsetFetch from which topics
// are named by id (KIP-848).
const topicIDs = 10

// resolve finds a topic by id if byID is set, else by name. The code is that
// of an unknown one.
func (c *Coordinator) resolve(name string, id storage.TopicID, byID bool) (storage.TopicID, int32, wire.Code) {
	if byID {
		if _, n, ok := c.cfg.Topics.ByID(id); ok {
			return id, n, wire.None
		}
		return id, 0, wire.UnknownTopicID
	}
	if found, n, ok := c.cfg.Topics.ByName(name); ok {
		return found, n, wire.None
	}
	return id, 0, wire.UnknownTopicOrPartition
}

// OffsetCommit serves v0 to v10. It is judged when it is called and does not
// block then; the Wait lasts until the offsets are durable.
func (c *Coordinator) OffsetCommit(req *kmsg.OffsetCommitRequest) Wait {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	now := time.Now()
	retentionMs := int64(-1)
	if req.Version >= 2 && req.Version <= 4 {
		retentionMs = req.RetentionTimeMillis
	}
	set := map[offsetKey]offset{}
	for _, rt := range req.Topics {
		t := kmsg.NewOffsetCommitResponseTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		id, partitions, unknown := c.resolve(rt.Topic, rt.TopicID, req.Version >= topicIDs)
		for _, rp := range rt.Partitions {
			p := kmsg.NewOffsetCommitResponseTopicPartition()
			p.Partition = rp.Partition
			code := c.checkOffset(unknown, rp.Partition, partitions, rp.Metadata)
			if p.ErrorCode = int16(code); code == wire.None {
				set[offsetKey{id, rp.Partition}] = newOffset(now, rp, retentionMs)
			}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	// An outcome for the group is that of each partition without one of its own.
	respond := func(answer any) kmsg.Response {
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				if p := &resp.Topics[i].Partitions[j]; p.ErrorCode == 0 {
					p.ErrorCode = int16(answer.(wire.Code))
				}
			}
		}
		return resp
	}
	e, code := c.acquire(req.Group, req.Generation < 0)
	if code != wire.None {
		if code == wire.GroupIDNotFound && req.Version < 9 {
			code = wire.IllegalGeneration
		}
		return ready(respond(code))
	}
	defer c.release(e)
	code = e.machine.mayCommit(now, committer{
		id: req.MemberID, instance: req.InstanceID, epoch: req.Generation, version: req.Version,
		partitions: func() map[string][]int32 {
			out := map[string][]int32{}
			for k := range set {
				if name, _, ok := c.cfg.Topics.ByID(k.topic); ok {
					out[name] = append(out[name], k.partition)
				}
			}
			return out
		},
	})
	if code == wire.None && len(e.queue) >= maxQueued {
		code = wire.CoordinatorNotAvailable
	}
	if code != wire.None || len(set) == 0 {
		return ready(respond(code))
	}
	to, k := e.newCall(respond)
	e.queue = append(e.queue, &op{set: set, then: func(_ time.Time, code wire.Code) { e.resolve(to, code) }})
	return c.wait(k)
}

// checkOffset judges one partition of a commit.
func (c *Coordinator) checkOffset(unknown wire.Code, partition, partitions int32, metadata *string) wire.Code {
	switch {
	case unknown != wire.None:
		return unknown
	case partition < 0 || partition >= partitions:
		return wire.UnknownTopicOrPartition
	case metadata != nil && len(*metadata) > c.cfg.MaxOffsetMetadata:
		return wire.OffsetMetadataTooLarge
	}
	return wire.None
}

func newOffset(now time.Time, p kmsg.OffsetCommitRequestTopicPartition, retentionMs int64) offset {
	o := offset{Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, CommitMs: now.UnixMilli()}
	if p.Metadata != nil {
		o.Metadata = *p.Metadata
	}
	if retentionMs >= 0 {
		o.ExpireMs = o.CommitMs + retentionMs
	}
	return o
}

// OffsetFetch serves v0 to v10. It reads when the Wait is called, so that it
// sees the commits that its connection sent before; the Wait does not block.
func (c *Coordinator) OffsetFetch(req *kmsg.OffsetFetchRequest) Wait {
	return func(context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
		if req.Version < 8 {
			c.fetchOne(req, resp)
			return resp, nil
		}
		for _, rg := range req.Groups {
			g := c.fetchGroup(rg, req.Version >= topicIDs, req.RequireStable)
			resp.Groups = append(resp.Groups, g)
		}
		return resp, nil
	}
}

// fetchOne serves the versions that have one group and name topics by name.
func (c *Coordinator) fetchOne(req *kmsg.OffsetFetchRequest, resp *kmsg.OffsetFetchResponse) {
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = req.Group
	if req.Topics != nil {
		rg.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	for _, rt := range req.Topics {
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.Partitions = rt.Topic, rt.Partitions
		rg.Topics = append(rg.Topics, t)
	}
	g := c.fetchGroup(rg, false, req.RequireStable)
	resp.ErrorCode = g.ErrorCode // v2 and later
	resp.Topics = []kmsg.OffsetFetchResponseTopic{}
	for _, gt := range g.Topics {
		t := kmsg.NewOffsetFetchResponseTopic()
		t.Topic = gt.Topic
		for _, gp := range gt.Partitions {
			p := kmsg.NewOffsetFetchResponseTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch = gp.Partition, gp.Offset, gp.LeaderEpoch
			p.Metadata, p.ErrorCode = gp.Metadata, gp.ErrorCode
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
}

// fetchGroup gives the offsets of one group. A group or partition without any
// gives -1 and no error: clients fail on anything else (G8).
func (c *Coordinator) fetchGroup(rg kmsg.OffsetFetchRequestGroup, byID, requireStable bool) kmsg.OffsetFetchResponseGroup {
	g := kmsg.NewOffsetFetchResponseGroup()
	g.Group = rg.Group
	g.Topics = []kmsg.OffsetFetchResponseGroupTopic{}
	e, code := c.acquire(rg.Group, false)
	if e != nil {
		defer e.mu.Unlock() // nothing changes: nothing to settle
		code = e.machine.mayFetch(rg.MemberID, rg.MemberEpoch)
		if e.trust != sure {
			code = wire.CoordinatorLoadInProgress
		}
	}
	if code != wire.None && code != wire.GroupIDNotFound {
		g.ErrorCode = int16(code)
		return g
	}
	topics := rg.Topics
	if topics == nil && e != nil {
		topics = c.committedTopics(e)
	}
	for _, rt := range topics {
		t := kmsg.NewOffsetFetchResponseGroupTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		id, _, unknown := c.resolve(rt.Topic, rt.TopicID, byID)
		if !byID {
			unknown = wire.None // as if nothing were committed
		}
		for _, partition := range rt.Partitions {
			p := fetchPartition(e, offsetKey{id, partition}, requireStable)
			if unknown != wire.None {
				p.ErrorCode = int16(unknown)
			}
			t.Partitions = append(t.Partitions, p)
		}
		g.Topics = append(g.Topics, t)
	}
	return g
}

// fetchPartition gives one offset; e may be nil, else its mu is held.
func fetchPartition(e *entry, k offsetKey, requireStable bool) kmsg.OffsetFetchResponseGroupTopicPartition {
	p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = k.partition, -1, -1, new(string)
	if e == nil {
		return p
	}
	if requireStable && e.pendingOn(k) {
		p.ErrorCode = int16(wire.UnstableOffsetCommit)
		return p
	}
	if o, ok := e.offsets[k]; ok {
		p.Offset, p.LeaderEpoch, p.Metadata = o.Offset, o.LeaderEpoch, &o.Metadata
	}
	return p
}

// committedTopics lists all topics and partitions with an offset, by name.
// e.mu is held.
func (c *Coordinator) committedTopics(e *entry) []kmsg.OffsetFetchRequestGroupTopic {
	var list []kmsg.OffsetFetchRequestGroupTopic
	for _, k := range sortedKeys(e.offsets) {
		if n := len(list); n > 0 && list[n-1].TopicID == k.topic {
			list[n-1].Partitions = append(list[n-1].Partitions, k.partition)
			continue
		}
		name, _, ok := c.cfg.Topics.ByID(k.topic)
		if !ok {
			continue // deleted; its offsets are about to go
		}
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.TopicID, t.Partitions = name, k.topic, []int32{k.partition}
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b kmsg.OffsetFetchRequestGroupTopic) int { return cmp.Compare(a.Topic, b.Topic) })
	return list
}

// sortedKeys orders offsets by topic id and partition.
func sortedKeys(offsets map[offsetKey]offset) []offsetKey {
	keys := make([]offsetKey, 0, len(offsets))
	for k := range offsets {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b offsetKey) int {
		return cmp.Or(slices.Compare(a.topic[:], b.topic[:]), cmp.Compare(a.partition, b.partition))
	})
	return keys
}
