package share

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// Epochs in heartbeats that are no member's.
const (
	epochJoin  = 0
	epochLeave = -1
)

// Heartbeat serves ShareGroupHeartbeat v1. The Wait blocks only if the group has
// changed, until that is durable.
func (c *Coordinator) Heartbeat(client Client, req *kmsg.ShareGroupHeartbeatRequest) Wait {
	resp := req.ResponseKind().(*kmsg.ShareGroupHeartbeatResponse)
	refuse := func(code wire.Code, format string, args ...any) Wait {
		text := fmt.Sprintf(format, args...)
		resp.ErrorCode, resp.ErrorMessage = int16(code), &text
		return ready(resp)
	}
	if what := checkHeartbeat(req); what != "" {
		return refuse(wire.InvalidRequest, "%s", what)
	}
	find := c.acquire
	if req.MemberEpoch == epochJoin {
		find = c.create
	}
	g, code := find(req.GroupID)
	switch {
	case code == wire.GroupIDNotFound && c.cfg.Names.Holder(req.GroupID) != "":
		return refuse(code, "group %s is not a share group", req.GroupID)
	case code != wire.None:
		return refuse(code, "group %s: %s", req.GroupID, code)
	}
	defer g.unlock()
	if g.lost {
		return refuse(wire.CoordinatorLoadInProgress, "group %s has to be read anew", req.GroupID)
	}
	resp.MemberID, resp.MemberEpoch = &req.MemberID, req.MemberEpoch
	resp.HeartbeatIntervalMillis = int32(c.settings(g.name).heartbeat.Milliseconds())
	o, code, text := g.heartbeat(time.Now(), client, req, resp)
	if code != wire.None {
		return refuse(code, "%s", text)
	}
	if o == nil {
		return ready(resp)
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		code, err := c.wait(ctx, o)
		if err != nil {
			return nil, err
		}
		if code != wire.None {
			failed := req.ResponseKind().(*kmsg.ShareGroupHeartbeatResponse)
			failed.ErrorCode = int16(groupCode(code))
			return failed, nil
		}
		return resp, nil
	}
}

// groupCode is what a failed write means to those who ask about a group.
func groupCode(code wire.Code) wire.Code {
	switch code {
	case wire.KafkaStorageError:
		return wire.CoordinatorNotAvailable
	case wire.NotLeaderOrFollower:
		return wire.NotCoordinator
	}
	return code
}

// checkHeartbeat says what is wrong with a request by itself, or "".
func checkHeartbeat(req *kmsg.ShareGroupHeartbeatRequest) string {
	switch {
	case req.GroupID == "":
		return "the group's id is empty"
	case req.MemberID == "" || len(req.MemberID) > maxMemberID:
		return fmt.Sprintf("a member's id has 1 to %d characters", maxMemberID)
	case req.MemberEpoch < epochLeave:
		return fmt.Sprintf("member epoch %d is none", req.MemberEpoch)
	case req.RackID != nil && *req.RackID == "":
		return "the rack's id is empty"
	case req.MemberEpoch == epochJoin && len(req.SubscribedTopicNames) == 0:
		return "the first request has to name topics"
	case len(req.SubscribedTopicNames) > maxSubscribed:
		return fmt.Sprintf("more than %d topics", maxSubscribed)
	}
	for _, name := range req.SubscribedTopicNames {
		if name == "" || len(name) > maxTopicName {
			return fmt.Sprintf("topic %.50q is no name", name)
		}
	}
	return ""
}

// heartbeat does what a member's request asks for and fills the answer. The op is
// to be waited for, if there is one.
func (g *group) heartbeat(now time.Time, client Client, req *kmsg.ShareGroupHeartbeatRequest, resp *kmsg.ShareGroupHeartbeatResponse) (*op, wire.Code, string) {
	mem := g.members.byID[req.MemberID]
	switch {
	case mem == nil && req.MemberEpoch != epochJoin:
		return nil, wire.UnknownMemberID, fmt.Sprintf("member %s is not in the group", req.MemberID)
	case req.MemberEpoch == epochLeave:
		g.remove(mem.id)
		g.members.bump(g.members.resolve(g.c.cfg.Topics))
		return g.save(), wire.None, ""
	case mem == nil && len(g.members.byID) >= g.c.cfg.MaxMembers:
		return nil, wire.GroupMaxSizeReached, fmt.Sprintf("the group has %d members already", g.c.cfg.MaxMembers)
	case mem != nil && !mem.accepts(req.MemberEpoch, g.members.epoch):
		return nil, wire.FencedMemberEpoch, fmt.Sprintf("member epoch %d is not %d", req.MemberEpoch, mem.epoch)
	case req.SubscribedTopicNames != nil && g.members.bytes(req) > maxSubscriptions:
		return nil, wire.InvalidRequest, fmt.Sprintf("the group's members name topics of more than %d bytes", maxSubscriptions)
	}
	changed := mem == nil
	if mem == nil {
		mem = &member{id: req.MemberID}
		g.members.byID[mem.id] = mem
	}
	mem.restored, mem.client = false, client
	mem.deadline = now.Add(g.c.settings(g.name).session)
	g.c.alarmBefore(&g.timer, mem.deadline)
	if req.RackID != nil {
		mem.rack = *req.RackID
	}
	if req.SubscribedTopicNames != nil {
		topics := slices.Clone(req.SubscribedTopicNames)
		slices.Sort(topics)
		topics = slices.Compact(topics)
		changed = changed || !slices.Equal(topics, mem.topics)
		mem.topics = topics
	}
	if changed {
		g.members.all = nil
	}
	var o *op
	if topics := g.members.resolve(g.c.cfg.Topics); changed || !slices.Equal(topics, g.members.topics) {
		g.members.bump(topics)
		o = g.save()
	}
	full := req.SubscribedTopicNames != nil || req.MemberEpoch == epochJoin
	g.members.report(mem, full, resp)
	return o, wire.None, ""
}

// accepts reports whether a member may name an epoch: its own, or the one before
// it, since the answer that raised it may be lost. Epoch 0 joins again.
func (mem *member) accepts(epoch, group int32) bool {
	return epoch == epochJoin || epoch == mem.epoch || epoch == mem.previous || mem.restored && epoch <= group
}

// report takes a member to the group's epoch, and tells it its assignment if it
// asks in full or if that has changed.
func (m *members) report(mem *member, full bool, resp *kmsg.ShareGroupHeartbeatResponse) {
	if mem.epoch != m.epoch {
		mem.previous, mem.epoch = mem.epoch, m.epoch
	}
	resp.MemberEpoch = mem.epoch
	if !full && mem.sent != nil && mem.sent.equal(mem.assigned) {
		return
	}
	mem.sent = mem.assigned
	a := kmsg.NewShareGroupHeartbeatResponseAssignment()
	for _, t := range m.topics {
		if partitions := mem.assigned[t.id]; len(partitions) > 0 {
			tp := kmsg.NewShareGroupHeartbeatResponseAssignmentTopicPartition()
			tp.TopicID, tp.Partitions = t.id, partitions
			a.TopicPartitions = append(a.TopicPartitions, tp)
		}
	}
	resp.Assignment = &a
}
