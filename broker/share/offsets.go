package share

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// DescribeOffsets serves DescribeShareGroupOffsets v0 and v1: where the group's
// share-partitions begin, and from v1 on how many records they still have to do
// (KIP-1226).
func (c *Coordinator) DescribeOffsets(req *kmsg.DescribeShareGroupOffsetsRequest) Wait {
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DescribeShareGroupOffsetsResponse)
		for i := range req.Groups {
			resp.Groups = append(resp.Groups, c.describeOffsets(ctx, &req.Groups[i]))
		}
		return resp, ctx.Err()
	}
}

func (c *Coordinator) describeOffsets(ctx context.Context, rg *kmsg.DescribeShareGroupOffsetsRequestGroup) kmsg.DescribeShareGroupOffsetsResponseGroup {
	d := kmsg.NewDescribeShareGroupOffsetsResponseGroup()
	d.GroupID = rg.GroupID
	g, code := c.acquire(rg.GroupID)
	if code != wire.None && code != wire.GroupIDNotFound {
		d.ErrorCode = int16(code)
		text := "share group " + rg.GroupID + ": " + code.Name()
		d.ErrorMessage = &text
		return d
	}
	// A group that does not exist has begun nowhere: that is no error in Kafka.
	windows := map[key]window{}
	if code == wire.None {
		for k, p := range g.parts {
			if p.begun == nil && !p.lost {
				windows[k] = p.w.clone()
			}
		}
		g.unlock()
	}
	for _, rt := range wanted(rg.Topics, windows, c.cfg.Topics) {
		t := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopic()
		t.Topic = rt.Topic
		id, n, ok := c.cfg.Topics.ByName(rt.Topic)
		t.TopicID = id
		for _, i := range rt.Partitions {
			p := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopicPartition()
			p.Partition, p.StartOffset = i, -1
			w, begun := windows[key{id, i}]
			switch {
			case !ok || i < 0 || i >= n:
				p.ErrorCode = int16(wire.UnknownTopicOrPartition)
			case begun:
				c.measure(ctx, key{id, i}, &w, &p)
			}
			t.Partitions = append(t.Partitions, p)
		}
		d.Topics = append(d.Topics, t)
	}
	return d
}

// measure fills in start and lag. The lag is what lies from the start to the high
// watermark, without what is done beyond the start.
func (c *Coordinator) measure(ctx context.Context, k key, w *window, p *kmsg.DescribeShareGroupOffsetsResponseGroupTopicPartition) {
	p.LeaderEpoch = 0
	log, err := c.cfg.Logs(ctx, k.tp())
	if err != nil {
		p.StartOffset = w.start
		return
	}
	start, end := log.Bounds()
	w.advance(start)
	p.StartOffset = w.start
	p.Lag = max(0, end-w.start-w.finished())
}

// wanted is the list asked for; nil stands for all that there is.
func wanted(topics []kmsg.DescribeShareGroupOffsetsRequestGroupTopic, windows map[key]window, names Topics) []kmsg.DescribeShareGroupOffsetsRequestGroupTopic {
	if topics != nil {
		return topics
	}
	all := map[string][]int32{}
	for k := range windows {
		if name, _, ok := names.ByID(k.topic); ok {
			all[name] = append(all[name], k.partition)
		}
	}
	list := make([]kmsg.DescribeShareGroupOffsetsRequestGroupTopic, 0, len(all))
	for name, partitions := range all {
		slices.Sort(partitions)
		list = append(list, kmsg.DescribeShareGroupOffsetsRequestGroupTopic{Topic: name, Partitions: partitions})
	}
	slices.SortFunc(list, func(a, b kmsg.DescribeShareGroupOffsetsRequestGroupTopic) int { return cmp.Compare(a.Topic, b.Topic) })
	return list
}

// AlterOffsets serves AlterShareGroupOffsets v0: an empty group begins anew at
// other offsets, with nothing in flight. A group that does not exist is made, as
// in Kafka. The Wait lasts until it is durable.
func (c *Coordinator) AlterOffsets(req *kmsg.AlterShareGroupOffsetsRequest) Wait {
	resp := req.ResponseKind().(*kmsg.AlterShareGroupOffsetsResponse)
	refuse := func(code wire.Code) Wait {
		resp.ErrorCode = int16(code)
		return ready(resp)
	}
	if req.GroupID == "" {
		return refuse(wire.InvalidGroupID)
	}
	g, code := c.create(req.GroupID)
	if code != wire.None {
		return refuse(code)
	}
	defer g.unlock()
	switch {
	case g.lost:
		return refuse(wire.CoordinatorLoadInProgress)
	case len(g.members.byID) > 0:
		return refuse(wire.NonEmptyGroup)
	}
	var first *op
	if g.version == 0 {
		first = g.save()
	}
	type change struct {
		p *int16
		o *op
	}
	var changes []change
	resp.Topics = make([]kmsg.AlterShareGroupOffsetsResponseTopic, len(req.Topics))
	for i := range req.Topics {
		rt, t := &req.Topics[i], &resp.Topics[i]
		*t = kmsg.NewAlterShareGroupOffsetsResponseTopic()
		id, n, ok := c.cfg.Topics.ByName(rt.Topic)
		t.Topic, t.TopicID = rt.Topic, id
		t.Partitions = make([]kmsg.AlterShareGroupOffsetsResponseTopicPartition, len(rt.Partitions))
		for j, rp := range rt.Partitions {
			p := &t.Partitions[j]
			*p = kmsg.NewAlterShareGroupOffsetsResponseTopicPartition()
			p.Partition = rp.Partition
			switch {
			case !ok || rp.Partition < 0 || rp.Partition >= n:
				p.ErrorCode = int16(wire.UnknownTopicOrPartition)
			case rp.StartOffset < 0:
				p.ErrorCode = int16(wire.InvalidRequest)
			default:
				o, code := g.alter(key{id, rp.Partition}, rp.StartOffset)
				if p.ErrorCode = int16(code); o != nil {
					changes = append(changes, change{&p.ErrorCode, o})
				}
			}
		}
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		if first != nil {
			code, err := c.wait(ctx, first)
			if err != nil {
				return nil, err
			}
			resp.ErrorCode = int16(groupCode(code))
		}
		for _, ch := range changes {
			code, err := c.wait(ctx, ch.o)
			if err != nil {
				return nil, err
			}
			*ch.p = int16(groupCode(code))
		}
		return resp, nil
	}
}

// alter begins to set where a share-partition begins.
func (g *group) alter(k key, start int64) (*op, wire.Code) {
	p := g.parts[k]
	if p == nil {
		var ok bool
		if p, ok = g.newPart(k, start); !ok {
			return nil, wire.CoordinatorNotAvailable
		}
		p.begun = g.enqueue(p, g.newOp())
		return p.begun, wire.None
	}
	if p.lost || p.blocked {
		return nil, wire.CoordinatorNotAvailable
	}
	o := g.newOp()
	o.replace = &window{start: start, end: start}
	return g.enqueue(p, o), wire.None
}

// DeleteOffsets serves DeleteShareGroupOffsets v0: an empty group forgets topics.
// The Wait lasts until it is durable.
func (c *Coordinator) DeleteOffsets(req *kmsg.DeleteShareGroupOffsetsRequest) Wait {
	resp := req.ResponseKind().(*kmsg.DeleteShareGroupOffsetsResponse)
	refuse := func(code wire.Code) Wait {
		resp.ErrorCode = int16(code)
		return ready(resp)
	}
	g, code := c.acquire(req.GroupID)
	if code != wire.None {
		return refuse(code)
	}
	defer g.unlock()
	if len(g.members.byID) > 0 {
		return refuse(wire.NonEmptyGroup)
	}
	waits := make([][]*op, len(req.Topics))
	for i, rt := range req.Topics {
		t := kmsg.NewDeleteShareGroupOffsetsResponseTopic()
		id, _, ok := c.cfg.Topics.ByName(rt.Topic)
		t.Topic, t.TopicID = rt.Topic, id
		for k, p := range g.parts {
			if ok && k.topic == id && !p.blocked && !p.lost {
				waits[i] = append(waits[i], g.enqueue(p, &op{del: true}))
			}
		}
		if len(waits[i]) == 0 {
			t.ErrorCode = int16(wire.UnknownTopicOrPartition)
			text := "the group has no offsets of topic " + rt.Topic
			t.ErrorMessage = &text
		}
		resp.Topics = append(resp.Topics, t)
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		for i := range waits {
			for _, o := range waits[i] {
				code, err := c.wait(ctx, o)
				if err != nil {
					return nil, err
				}
				if code != wire.None {
					resp.Topics[i].ErrorCode = int16(groupCode(code))
				}
			}
		}
		return resp, nil
	}
}
