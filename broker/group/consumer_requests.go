package group

import (
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// maxMemberID bounds the ids that clients make for themselves: a UUID takes 36
// bytes at most.
const maxMemberID = 256

// clientIDs is the version of ConsumerGroupHeartbeat from which clients make
// their members' ids (KIP-1082).
const clientIDs = 1

// ConsumerHeartbeat serves ConsumerGroupHeartbeat v0 and v1. The Wait lasts
// until what the heartbeat changed is durable.
func (c *Coordinator) ConsumerHeartbeat(client Client, req *kmsg.ConsumerGroupHeartbeatRequest) Wait {
	respond := func(answer any) kmsg.Response { return beatResponse(req, answer) }
	if refused := checkBeat(req); refused.code != wire.None {
		return ready(respond(refused))
	}
	r := c.newBeat(client, req)
	e, code := c.acquire(req.Group, r.epoch == epochJoin)
	if code != wire.None {
		return ready(respond(refuseBeat(code, "group %s: %s", req.Group, code)))
	}
	defer c.release(e)
	if len(e.queue) >= maxQueued {
		return ready(respond(refuseBeat(wire.CoordinatorNotAvailable, "too much of the group waits to be written")))
	}
	m, code := c.modernOf(e, r)
	if code != wire.None {
		return ready(respond(refuseBeat(code, "group %s is not a consumer group", req.Group)))
	}
	to, k := e.newCall(respond)
	r.to = to
	m.beat(time.Now(), r)
	return c.wait(k)
}

// checkBeat judges what can be judged without a group, in Kafka's order.
func checkBeat(req *kmsg.ConsumerGroupHeartbeatRequest) beatReply {
	blank := func(s *string) bool { return s != nil && strings.TrimSpace(*s) == "" }
	invalid := func(format string, args ...any) beatReply { return refuseBeat(wire.InvalidRequest, format, args...) }
	switch {
	case (req.Version >= clientIDs || req.MemberEpoch != epochJoin) && blank(&req.MemberID):
		return invalid("a member id is required")
	case len(req.MemberID) > maxMemberID:
		return invalid("a member id has %d bytes at most", maxMemberID)
	case blank(&req.Group):
		return invalid("a group id is required")
	case blank(req.InstanceID):
		return invalid("an instance id may not be empty")
	case blank(req.RackID):
		return invalid("a rack id may not be empty")
	case req.MemberEpoch < epochAway:
		return invalid("member epoch %d means nothing", req.MemberEpoch)
	case req.MemberEpoch == epochAway && req.InstanceID == nil:
		return invalid("only a static member leaves for a while")
	case req.MemberEpoch == epochJoin && req.RebalanceTimeoutMillis == -1:
		return invalid("a rebalance timeout is required to join")
	case req.MemberEpoch == epochJoin && (req.Topics == nil || len(req.Topics) > 0):
		return invalid("who joins has no partitions, and says so")
	case req.MemberEpoch == epochJoin && req.SubscribedTopicNames == nil && req.SubscribedTopicRegex == nil:
		return invalid("topics or a pattern are required to join")
	case req.ServerAssignor != nil && *req.ServerAssignor != uniform && *req.ServerAssignor != ranges:
		return refuseBeat(wire.UnsupportedAssignor, "assignor %q is not served; there are %s and %s", *req.ServerAssignor, uniform, ranges)
	}
	if req.SubscribedTopicRegex != nil && *req.SubscribedTopicRegex != "" {
		if _, code := compileRegex(*req.SubscribedTopicRegex); code != wire.None {
			return refuseBeat(code, "the pattern is not in RE2's syntax, or longer than %d bytes", maxRegex)
		}
	}
	return beatReply{}
}

// newBeat makes the event of a request. Its strings are copies of the frame's.
func (c *Coordinator) newBeat(client Client, req *kmsg.ConsumerGroupHeartbeatRequest) beat {
	r := beat{
		id: req.MemberID, epoch: req.MemberEpoch, instance: req.InstanceID, rack: req.RackID, client: client,
		rebalance: -1, regex: req.SubscribedTopicRegex, assignor: req.ServerAssignor, hasOwned: req.Topics != nil,
	}
	if req.RebalanceTimeoutMillis >= 0 {
		r.rebalance = ms(req.RebalanceTimeoutMillis)
	}
	if r.id == "" {
		r.id = c.cfg.NewMemberID()
	}
	if req.SubscribedTopicNames != nil {
		r.names = slices.Compact(slices.Sorted(slices.Values(req.SubscribedTopicNames)))
		if r.names == nil {
			r.names = []string{}
		}
	}
	var owned []offsetKey
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			owned = append(owned, offsetKey{t.TopicID, p})
		}
	}
	r.owned = newPartitions(owned)
	return r
}

func beatResponse(req *kmsg.ConsumerGroupHeartbeatRequest, answer any) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
	r, ok := answer.(beatReply)
	if !ok {
		code := answer.(wire.Code)
		r = refuseBeat(code, "group %s: %s", req.Group, code)
	}
	resp.ErrorCode = int16(r.code)
	if r.code != wire.None {
		resp.ErrorMessage = &r.message
		return resp
	}
	resp.MemberID, resp.MemberEpoch = &r.id, r.epoch
	resp.HeartbeatIntervalMillis = int32(r.interval.Milliseconds())
	if r.assigns {
		resp.Assignment = &kmsg.ConsumerGroupHeartbeatResponseAssignment{
			Topics: []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{},
		}
		r.assignment.topics(func(id storage.TopicID, numbers []int32) {
			t := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
			t.TopicID, t.Partitions = id, numbers
			resp.Assignment.Topics = append(resp.Assignment.Topics, t)
		})
	}
	return resp
}

// ConsumerDescribe serves ConsumerGroupDescribe v0 and v1, but for the
// authorised operations, which it leaves unset. The Wait does not block.
func (c *Coordinator) ConsumerDescribe(req *kmsg.ConsumerGroupDescribeRequest) Wait {
	resp := req.ResponseKind().(*kmsg.ConsumerGroupDescribeResponse)
	for _, name := range req.Groups {
		resp.Groups = append(resp.Groups, c.describeConsumers(name))
	}
	return ready(resp)
}

func (c *Coordinator) describeConsumers(name string) kmsg.ConsumerGroupDescribeResponseGroup {
	g := kmsg.NewConsumerGroupDescribeResponseGroup()
	g.Group = name
	g.Members = []kmsg.ConsumerGroupDescribeResponseGroupMember{}
	refuse := func(code wire.Code, message string) kmsg.ConsumerGroupDescribeResponseGroup {
		g.ErrorCode, g.ErrorMessage = int16(code), &message
		return g
	}
	if name == "" {
		return refuse(wire.InvalidGroupID, "a group id is required")
	}
	e, code := c.acquire(name, false)
	if code != wire.None {
		return refuse(code, "group "+name+" not found")
	}
	defer e.mu.Unlock()
	m, ok := e.machine.(*modern)
	if !ok {
		return refuse(wire.GroupIDNotFound, "group "+name+" is not a consumer group")
	}
	g.State, g.Epoch, g.AssignmentEpoch, g.AssignorName = m.stateName(), m.epoch, m.assigned, m.assignor()
	for _, mem := range m.ordered() {
		g.Members = append(g.Members, m.describe(mem))
	}
	return g
}

// Member types of ConsumerGroupDescribe v1: which protocol a member speaks.
const (
	memberTypeClassic  = 0
	memberTypeConsumer = 1
)

func (m *modern) describe(mem *consumer) kmsg.ConsumerGroupDescribeResponseGroupMember {
	d := kmsg.NewConsumerGroupDescribeResponseGroupMember()
	d.MemberID, d.MemberEpoch, d.MemberType = mem.id, mem.epoch, memberTypeConsumer
	if mem.classic != nil {
		d.MemberType = memberTypeClassic
	}
	d.ClientID, d.ClientHost = mem.client.ID, mem.client.Host
	if mem.static {
		instance := mem.instance
		d.InstanceID = &instance
	}
	if mem.rack != "" {
		rack := mem.rack
		d.RackID = &rack
	}
	if mem.regex != "" {
		regex := mem.regex
		d.SubscribedTopicRegex = &regex
	}
	d.SubscribedTopics = append([]string{}, mem.names...)
	d.Assignment, d.TargetAssignment = m.assignment(mem.assigned), m.assignment(mem.target)
	return d
}

// assignment describes partitions with the names of their topics; topics that
// are gone are left out.
func (m *modern) assignment(p partitions) kmsg.Assignment {
	a := kmsg.NewAssignment()
	a.TopicPartitions = []kmsg.AssignmentTopicPartition{}
	p.topics(func(id storage.TopicID, numbers []int32) {
		if name, _, ok := m.topics.ByID(id); ok {
			t := kmsg.NewAssignmentTopicPartition()
			t.TopicID, t.Topic, t.Partitions = id, name, numbers
			a.TopicPartitions = append(a.TopicPartitions, t)
		}
	})
	return a
}
