package group

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// Describe serves DescribeGroups v0 to v6, but for the authorised operations,
// which it leaves unset. The Wait does not block.
func (c *Coordinator) Describe(req *kmsg.DescribeGroupsRequest) Wait {
	resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
	for _, name := range req.Groups {
		resp.Groups = append(resp.Groups, c.describe(name, req.Version))
	}
	return ready(resp)
}

func (c *Coordinator) describe(name string, version int16) kmsg.DescribeGroupsResponseGroup {
	g := kmsg.NewDescribeGroupsResponseGroup()
	g.Group, g.State = name, dead.String()
	e, code := c.acquire(name, false)
	if code != wire.None {
		if code != wire.GroupIDNotFound {
			g.ErrorCode = int16(code)
		} else if version >= 6 { // KIP-1043; before, an unknown group is a dead one
			g.ErrorCode = int16(code)
			message := "group " + name + " not found"
			g.ErrorMessage = &message
		}
		return g
	}
	defer e.mu.Unlock()
	m, ok := e.machine.(*machine)
	if !ok {
		if version >= 6 {
			g.ErrorCode = int16(wire.GroupIDNotFound)
			message := "group " + name + " is not a classic group"
			g.ErrorMessage = &message
		}
		return g
	}
	g.State, g.ProtocolType = m.state.String(), m.protocolType
	if m.state == stable {
		g.Protocol = m.protocol
	}
	for _, s := range m.describe() {
		d := kmsg.NewDescribeGroupsResponseGroupMember()
		d.MemberID, d.InstanceID, d.ClientID, d.ClientHost = s.ID, s.InstanceID, s.ClientID, s.ClientHost
		d.ProtocolMetadata, d.MemberAssignment = orEmpty(s.Metadata), orEmpty(s.Assignment)
		g.Members = append(g.Members, d)
	}
	return g
}

// orEmpty keeps bytes that may not be null from being so.
func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// List serves ListGroups v0 to v5. Filters are compared without regard to
// case; empty ones let everything pass. The Wait does not block.
func (c *Coordinator) List(req *kmsg.ListGroupsRequest) Wait {
	resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
	resp.Groups = []kmsg.ListGroupsResponseGroup{}
	passes := func(filter []string, value string) bool {
		return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, value) })
	}
	pass := func(g kmsg.ListGroupsResponseGroup) {
		if passes(req.StatesFilter, g.GroupState) && passes(req.TypesFilter, g.GroupType) {
			resp.Groups = append(resp.Groups, g)
		}
	}
	for _, k := range c.kinds {
		for _, g := range k.List() {
			pass(g)
		}
	}
	for _, e := range c.all() {
		g := kmsg.NewListGroupsResponseGroup()
		e.mu.Lock()
		gone := e.gone
		g.Group, g.ProtocolType = e.name, e.typeName()
		if m, ok := e.machine.(*machine); ok {
			g.ProtocolType = m.protocolType
		}
		g.GroupState, g.GroupType = e.machine.stateName(), e.typeName()
		e.mu.Unlock()
		if !gone {
			pass(g)
		}
	}
	slices.SortFunc(resp.Groups, func(a, b kmsg.ListGroupsResponseGroup) int { return cmp.Compare(a.Group, b.Group) })
	return ready(resp)
}

// Delete serves DeleteGroups v0 to v3. The Wait lasts until the deletions are
// durable.
func (c *Coordinator) Delete(req *kmsg.DeleteGroupsRequest) Wait {
	resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
	outcomes := make([]func(context.Context) (wire.Code, error), len(req.Groups))
	for i, name := range req.Groups {
		if k := c.kind(name); k != nil {
			outcomes[i] = k.Delete(name)
			continue
		}
		outcomes[i] = c.outcome(c.delete(name))
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		for i, name := range req.Groups {
			code, err := outcomes[i](ctx)
			if err != nil {
				return nil, err
			}
			g := kmsg.NewDeleteGroupsResponseGroup()
			g.Group, g.ErrorCode = name, int16(code)
			resp.Groups = append(resp.Groups, g)
		}
		return resp, nil
	}
}

// outcome waits for a call whose answer is a code.
func (c *Coordinator) outcome(k *call) func(context.Context) (wire.Code, error) {
	return func(ctx context.Context) (wire.Code, error) {
		if _, err := c.wait(k)(ctx); err != nil {
			return 0, err
		}
		return k.answer.(wire.Code), nil // set before done was closed
	}
}

// delete begins the deletion of one group. The call's answer is a code.
func (c *Coordinator) delete(name string) *call {
	respond := func(any) kmsg.Response { return nil }
	refused := func(code wire.Code) *call {
		k := &call{done: make(chan struct{}), answer: code, respond: respond}
		close(k.done)
		return k
	}
	e, code := c.acquire(name, false)
	if code != wire.None {
		return refused(code)
	}
	defer c.release(e)
	if code := e.machine.mayDelete(); code != wire.None {
		return refused(code)
	}
	to, k := e.newCall(respond)
	c.deleteEntry(e, func(code wire.Code) { e.resolve(to, code) })
	return k
}

// OffsetDelete serves OffsetDelete v0. The Wait lasts until it is durable.
func (c *Coordinator) OffsetDelete(req *kmsg.OffsetDeleteRequest) Wait {
	resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	respond := func(answer any) kmsg.Response {
		if code := answer.(wire.Code); code != wire.None {
			resp.ErrorCode, resp.Topics = int16(code), nil
		}
		return resp
	}
	e, code := c.acquire(req.Group, false)
	if code != wire.None {
		return ready(respond(code))
	}
	defer c.release(e)
	if code := e.machine.mayDropOffsets(); code != wire.None {
		return ready(respond(code))
	}
	subscribed := e.machine.reads()
	var del []offsetKey
	for _, rt := range req.Topics {
		t := kmsg.NewOffsetDeleteResponseTopic()
		t.Topic = rt.Topic
		id, partitions, unknown := c.resolve(rt.Topic, storage.TopicID{}, false)
		for _, rp := range rt.Partitions {
			p := kmsg.NewOffsetDeleteResponseTopicPartition()
			p.Partition = rp.Partition
			switch {
			case unknown != wire.None || rp.Partition < 0 || rp.Partition >= partitions:
				p.ErrorCode = int16(wire.UnknownTopicOrPartition)
			case subscribed(rt.Topic):
				p.ErrorCode = int16(wire.GroupSubscribedToTopic)
			default:
				del = append(del, offsetKey{id, rp.Partition})
			}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	if len(del) == 0 {
		return ready(resp)
	}
	to, k := e.newCall(respond)
	e.queue = append(e.queue, e.deletion(del, to))
	return c.wait(k)
}
