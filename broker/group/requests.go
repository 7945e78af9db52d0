package group

import (
	"bytes"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

func ms(n int32) time.Duration { return time.Duration(n) * time.Millisecond }

// Join serves JoinGroup v0 to v9. The Wait lasts until the join phase ends.
func (c *Coordinator) Join(client Client, req *kmsg.JoinGroupRequest) Wait {
	respond := func(answer any) kmsg.Response { return joinResponse(req, answer) }
	if req.Group == "" {
		return ready(respond(wire.InvalidGroupID))
	}
	if c.elsewhere(req.Group) {
		return ready(respond(wire.InconsistentGroupProtocol))
	}
	r := joinRequest{
		version: req.Version, memberID: req.MemberID, instance: req.InstanceID, client: client,
		session: ms(req.SessionTimeoutMillis), rebalance: ms(req.RebalanceTimeoutMillis),
		protocolType: req.ProtocolType, protocols: make([]protocol, len(req.Protocols)),
	}
	if r.rebalance <= 0 { // v0 has none
		r.rebalance = r.session
	}
	for i, p := range req.Protocols {
		r.protocols[i] = protocol{p.Name, bytes.Clone(p.Metadata)} // the frame is used again
	}
	prefix := client.ID
	if r.instance != nil {
		prefix = *r.instance
	}
	if r.memberID == "" {
		r.newID = prefix + "-" + c.cfg.NewMemberID()
	}
	e, code := c.acquire(req.Group, r.memberID == "")
	if code != wire.None {
		return ready(respond(orUnknownMember(code)))
	}
	defer c.release(e)
	c.maybeClassic(e)
	to, k := e.newCall(respond)
	r.to = to
	e.machine.join(time.Now(), r)
	return c.wait(k)
}

// orUnknownMember turns the absence of a group into that of the member who
// asked: clients join again on UNKNOWN_MEMBER_ID, and not on the other.
func orUnknownMember(code wire.Code) wire.Code {
	if code == wire.GroupIDNotFound {
		return wire.UnknownMemberID
	}
	return code
}

func joinResponse(req *kmsg.JoinGroupRequest, answer any) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
	resp.MemberID, resp.Generation = req.MemberID, -1
	resp.Members = []kmsg.JoinGroupResponseMember{}
	r, ok := answer.(joinReply)
	if !ok {
		resp.ErrorCode = int16(answer.(wire.Code))
		return resp
	}
	resp.ErrorCode, resp.MemberID = int16(r.code), r.memberID
	if r.code != wire.None {
		return resp
	}
	resp.Generation, resp.LeaderID, resp.SkipAssignment = r.generation, r.leader, r.skip
	resp.ProtocolType, resp.Protocol = &r.protocolType, &r.protocol
	for _, jm := range r.members {
		m := kmsg.NewJoinGroupResponseMember()
		m.MemberID, m.InstanceID, m.ProtocolMetadata = jm.id, jm.instance, jm.metadata
		resp.Members = append(resp.Members, m)
	}
	return resp
}

// Sync serves SyncGroup v0 to v5. The Wait lasts until the leader's assignment
// is durable.
func (c *Coordinator) Sync(req *kmsg.SyncGroupRequest) Wait {
	respond := func(answer any) kmsg.Response { return syncResponse(req, answer) }
	if req.Group == "" {
		return ready(respond(wire.InvalidGroupID))
	}
	r := syncRequest{
		memberID: req.MemberID, instance: req.InstanceID, generation: req.Generation,
		protocolType: req.ProtocolType, protocol: req.Protocol,
		assignments: make(map[string][]byte, len(req.GroupAssignment)),
	}
	for _, a := range req.GroupAssignment {
		r.assignments[a.MemberID] = bytes.Clone(a.MemberAssignment) // the frame is used again
	}
	e, code := c.acquire(req.Group, false)
	if code == wire.CoordinatorLoadInProgress {
		code = wire.RebalanceInProgress // as Kafka: the member joins again
	}
	if code != wire.None {
		return ready(respond(orUnknownMember(code)))
	}
	defer c.release(e)
	to, k := e.newCall(respond)
	r.to = to
	e.machine.sync(time.Now(), r)
	return c.wait(k)
}

func syncResponse(req *kmsg.SyncGroupRequest, answer any) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.SyncGroupResponse)
	resp.MemberAssignment = []byte{}
	r, ok := answer.(syncReply)
	if !ok {
		resp.ErrorCode = int16(answer.(wire.Code))
		return resp
	}
	resp.ErrorCode = int16(r.code)
	if r.code == wire.None {
		resp.ProtocolType, resp.Protocol = &r.protocolType, &r.protocol
		if r.assignment != nil {
			resp.MemberAssignment = r.assignment
		}
	}
	return resp
}

// Heartbeat serves Heartbeat v0 to v4. The Wait does not block.
func (c *Coordinator) Heartbeat(req *kmsg.HeartbeatRequest) Wait {
	resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
	code := wire.InvalidGroupID
	if req.Group != "" {
		code = c.heartbeat(req)
	}
	resp.ErrorCode = int16(code)
	return ready(resp)
}

func (c *Coordinator) heartbeat(req *kmsg.HeartbeatRequest) wire.Code {
	e, code := c.acquire(req.Group, false)
	if code == wire.CoordinatorLoadInProgress {
		return wire.None // as Kafka: clients do not know that code here
	}
	if code != wire.None {
		return orUnknownMember(code)
	}
	defer c.release(e)
	return e.machine.heartbeat(time.Now(), req.MemberID, req.InstanceID, req.Generation)
}

// Leave serves LeaveGroup v0 to v5. The Wait blocks only if the group became
// empty, until that is durable.
func (c *Coordinator) Leave(req *kmsg.LeaveGroupRequest) Wait {
	members := []leaveMember{{id: req.MemberID}}
	if req.Version >= 3 {
		members = make([]leaveMember, len(req.Members))
		for i, m := range req.Members {
			members[i] = leaveMember{m.MemberID, m.InstanceID}
		}
	}
	respond := func(answer any) kmsg.Response { return leaveResponse(req, members, answer) }
	if req.Group == "" {
		return ready(respond(wire.InvalidGroupID))
	}
	e, code := c.acquire(req.Group, false)
	if code == wire.GroupIDNotFound {
		codes := make([]wire.Code, len(members))
		for i := range codes {
			codes[i] = wire.UnknownMemberID
		}
		return ready(respond(leaveReply{codes: codes}))
	}
	if code != wire.None {
		return ready(respond(code))
	}
	defer c.release(e)
	to, k := e.newCall(respond)
	e.machine.leave(time.Now(), to, members)
	return c.wait(k)
}

func leaveResponse(req *kmsg.LeaveGroupRequest, members []leaveMember, answer any) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
	resp.Members = []kmsg.LeaveGroupResponseMember{}
	r, ok := answer.(leaveReply)
	if !ok {
		r.code = answer.(wire.Code)
	}
	resp.ErrorCode = int16(r.code)
	if r.code != wire.None {
		return resp
	}
	if req.Version < 3 { // one member, whose code is the answer's
		resp.ErrorCode = int16(r.codes[0])
		return resp
	}
	for i, code := range r.codes {
		m := kmsg.NewLeaveGroupResponseMember()
		m.MemberID, m.InstanceID, m.ErrorCode = members[i].id, members[i].instance, int16(code)
		resp.Members = append(resp.Members, m)
	}
	return resp
}
