package share

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// assignor is the name of the one assignor.
const assignor = "simple"

// stateName is a group's state as Kafka says it.
func (m *members) stateName() string {
	if len(m.byID) == 0 {
		return "Empty"
	}
	return "Stable"
}

// Describe serves ShareGroupDescribe v1, but for the authorised operations, which
// it leaves unset. The Wait does not block.
func (c *Coordinator) Describe(req *kmsg.ShareGroupDescribeRequest) Wait {
	resp := req.ResponseKind().(*kmsg.ShareGroupDescribeResponse)
	for _, name := range req.GroupIDs {
		resp.Groups = append(resp.Groups, c.describe(name))
	}
	return ready(resp)
}

func (c *Coordinator) describe(name string) kmsg.ShareGroupDescribeResponseGroup {
	d := kmsg.NewShareGroupDescribeResponseGroup()
	d.GroupID = name
	g, code := c.acquire(name)
	if code != wire.None {
		d.ErrorCode = int16(code)
		if code == wire.GroupIDNotFound {
			d.GroupState = "Dead"
			text := "group " + name + " not found"
			d.ErrorMessage = &text
		}
		return d
	}
	defer g.unlock()
	m := g.members
	d.GroupState, d.GroupEpoch, d.AssignmentEpoch, d.Assignor = m.stateName(), m.epoch, m.epoch, assignor
	for _, mem := range m.sorted() {
		s := kmsg.NewShareGroupDescribeResponseGroupMember()
		s.MemberID, s.MemberEpoch, s.ClientID, s.ClientHost = mem.id, mem.epoch, mem.client.ID, mem.client.Host
		s.SubscribedTopicNames = mem.topics
		if mem.rack != "" {
			s.RackID = &mem.rack
		}
		for _, t := range m.topics {
			if partitions := mem.assigned[t.id]; len(partitions) > 0 {
				tp := kmsg.NewShareGroupDescribeResponseGroupMemberAssignmentTopicPartition()
				tp.TopicID, tp.Topic, tp.Partitions = t.id, t.name, partitions
				s.Assignment.TopicPartitions = append(s.Assignment.TopicPartitions, tp)
			}
		}
		d.Members = append(d.Members, s)
	}
	return d
}

// Type is the type of these groups in ListGroups.
func (c *Coordinator) Type() string { return Kind }

// List gives the groups as ListGroups shows them; the caller owns them.
func (c *Coordinator) List() []kmsg.ListGroupsResponseGroup {
	var list []kmsg.ListGroupsResponseGroup
	for _, g := range c.all() {
		g.mu.Lock()
		if !g.gone {
			l := kmsg.NewListGroupsResponseGroup()
			l.Group, l.ProtocolType, l.GroupState, l.GroupType = g.name, Kind, g.members.stateName(), Kind
			list = append(list, l)
		}
		g.unlock()
	}
	return list
}

// Delete begins to delete a group with its states and returns the wait for the
// outcome: NON_EMPTY_GROUP if it has members, GROUP_ID_NOT_FOUND if there is none.
func (c *Coordinator) Delete(name string) func(ctx context.Context) (wire.Code, error) {
	decided := func(code wire.Code) func(context.Context) (wire.Code, error) {
		return func(context.Context) (wire.Code, error) { return code, nil }
	}
	g, code := c.acquire(name)
	if code != wire.None {
		return decided(code)
	}
	defer g.unlock()
	switch {
	case g.lost:
		return decided(wire.CoordinatorLoadInProgress)
	case len(g.members.byID) > 0:
		return decided(wire.NonEmptyGroup)
	}
	o := g.save()
	g.deleting = true
	return func(ctx context.Context) (wire.Code, error) {
		code, err := c.wait(ctx, o)
		return groupCode(code), err
	}
}

// DropTopic deletes the states of a topic that is gone, and returns when that is
// durable.
func (c *Coordinator) DropTopic(ctx context.Context, id storage.TopicID) error {
	var ops []*op
	for _, g := range c.all() {
		g.mu.Lock()
		for k, p := range g.parts {
			if k.topic == id && !p.blocked {
				ops = append(ops, g.enqueue(p, &op{del: true}))
			}
		}
		g.unlock()
	}
	for _, o := range ops {
		if code, err := c.wait(ctx, o); err != nil {
			return err
		} else if code != wire.None {
			return &wire.Error{Code: code, Message: "states of share groups are left"}
		}
	}
	return nil
}
