package group

import (
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/streams"
	"github.com/tarn-io/tarn/broker/wire"
)

// StreamsHeartbeat serves StreamsGroupHeartbeat v0 and v1. The Wait lasts until
// what the heartbeat changed is durable.
func (c *Coordinator) StreamsHeartbeat(client Client, req *kmsg.StreamsGroupHeartbeatRequest) Wait {
	respond := func(answer any) kmsg.Response { return streamsResponse(req, answer) }
	if refused := checkStreamsBeat(req); refused.Code != wire.None {
		return ready(respond(refused))
	}
	r := newStreamsBeat(client, req)
	e, code := c.acquire(req.Group, r.Epoch == streams.EpochJoin)
	if code != wire.None {
		return ready(respond(streams.Refuse(code, "group %s: %s", req.Group, code)))
	}
	defer c.release(e)
	if len(e.queue) >= maxQueued {
		return ready(respond(streams.Refuse(wire.CoordinatorNotAvailable, "too much of the group waits to be written")))
	}
	m, code := c.streamingOf(e, r.Epoch == streams.EpochJoin)
	if code != wire.None {
		return ready(respond(streams.Refuse(code, "group %s is not a streams group", req.Group)))
	}
	to, k := e.newCall(respond)
	m.beat(time.Now(), to, r)
	return c.wait(k)
}

// StreamsMissing lists internal topics that a group needs and that are not
// there: whoever may do so makes them before the heartbeat is taken. It is
// empty for a request that will be refused for its form.
func (c *Coordinator) StreamsMissing(req *kmsg.StreamsGroupHeartbeatRequest) []streams.InternalTopic {
	if req.MemberEpoch < 0 || checkStreamsBeat(req).Code != wire.None {
		return nil
	}
	joins := newTopology(req.Topology)
	e, code := c.acquire(req.Group, false)
	if code == wire.None {
		defer e.mu.Unlock() // nothing changes: nothing to settle
		if m, ok := e.machine.(*streaming); ok {
			return m.g.Missing(joins)
		}
		if !e.machine.idle() {
			return nil // a group of another kind
		}
	}
	if joins == nil || c.elsewhere(req.Group) {
		return nil
	}
	return streams.Missing(joins, c.cfg.Topics)
}

// checkStreamsBeat judges what can be judged without a group.
func checkStreamsBeat(req *kmsg.StreamsGroupHeartbeatRequest) streams.Reply {
	blank := func(s *string) bool { return s != nil && strings.TrimSpace(*s) == "" }
	invalid := func(format string, args ...any) streams.Reply {
		return streams.Refuse(wire.InvalidRequest, format, args...)
	}
	owned := len(req.ActiveTasks) + len(req.StandbyTasks) + len(req.WarmupTasks)
	joins := req.MemberEpoch == streams.EpochJoin
	switch {
	case blank(&req.MemberID):
		return invalid("a member id is required")
	case len(req.MemberID) > maxMemberID:
		return invalid("a member id has %d bytes at most", maxMemberID)
	case blank(&req.Group):
		return invalid("a group id is required")
	case blank(req.InstanceID), blank(req.RackID), blank(req.ProcessID):
		return invalid("an instance, rack or process id may not be empty")
	case req.MemberEpoch < streams.EpochAway:
		return invalid("member epoch %d means nothing", req.MemberEpoch)
	case req.MemberEpoch == streams.EpochAway && req.InstanceID == nil:
		return invalid("only a static member goes for a while: an instance id is required")
	case joins && req.RebalanceTimeoutMillis < 0:
		return invalid("a rebalance timeout is required to join")
	case joins && owned > 0:
		return invalid("who joins has no tasks")
	case joins && req.Topology == nil:
		return invalid("a topology is required to join")
	case joins && req.ProcessID == nil:
		return invalid("a process id is required to join")
	case !joins && req.Topology != nil:
		return invalid("a topology is only for those who join")
	case req.UserEndpoint != nil && (req.UserEndpoint.Host == "" || req.UserEndpoint.Port == 0):
		return invalid("an endpoint has a host and a port")
	}
	if req.Topology == nil {
		return streams.Reply{}
	}
	return checkTopology(req.Topology)
}

// newStreamsBeat makes the event of a checked request.
func newStreamsBeat(client Client, req *kmsg.StreamsGroupHeartbeatRequest) streams.Beat {
	r := streams.Beat{
		ID: req.MemberID, Epoch: req.MemberEpoch, Instance: req.InstanceID, Rack: req.RackID,
		Client: streams.Client{ID: client.ID, Host: client.Host}, Process: req.ProcessID, Topology: newTopology(req.Topology), Rebalance: -1,
		Offsets: taskOffsets(req.TaskOffsets), Ends: taskOffsets(req.TaskEndOffsets),
		EndpointEpoch: req.EndpointInformationEpoch, Shutdown: req.ShutdownApplication,
	}
	if req.RebalanceTimeoutMillis >= 0 {
		r.Rebalance = ms(req.RebalanceTimeoutMillis)
	}
	if ep := req.UserEndpoint; ep != nil {
		r.Endpoint = &streams.Endpoint{Host: ep.Host, Port: ep.Port}
	}
	if req.ClientTags != nil {
		r.Tags = map[string]string{}
		for _, tag := range req.ClientTags {
			r.Tags[tag.Key] = tag.Value
		}
	}
	if req.ActiveTasks != nil && req.StandbyTasks != nil && req.WarmupTasks != nil {
		r.Owned = &streams.Assignment{
			Active: newTasks(req.ActiveTasks), Standby: newTasks(req.StandbyTasks), Warmup: newTasks(req.WarmupTasks),
		}
	}
	return r
}

func newTasks(list []kmsg.TaskIDs) streams.Tasks {
	var tasks []streams.Task
	for _, t := range list {
		for _, n := range t.Partitions {
			tasks = append(tasks, streams.Task{Subtopology: t.SubtopologyID, Partition: n})
		}
	}
	return streams.NewTasks(tasks)
}

func taskOffsets(list []kmsg.TaskOffset) map[streams.Task]int64 {
	if list == nil {
		return nil
	}
	out := map[streams.Task]int64{}
	for _, t := range list {
		out[streams.Task{Subtopology: t.SubtopologyID, Partition: t.Partition}] = t.Offset
	}
	return out
}

// Of answers of StreamsGroupHeartbeat: the lag that a warm-up may have, and how
// often members say how far their state is. Nothing is warmed up, so the latter
// is what Kafka says.
const (
	recoveryLag          = 10_000
	taskOffsetIntervalMs = 60_000
)

func streamsResponse(req *kmsg.StreamsGroupHeartbeatRequest, answer any) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.StreamsGroupHeartbeatResponse)
	r, ok := answer.(streams.Reply)
	if !ok {
		code := answer.(wire.Code)
		r = streams.Refuse(code, "group %s: %s", req.Group, code)
	}
	resp.ErrorCode = int16(r.Code)
	if r.Code != wire.None {
		resp.ErrorMessage = &r.Message
		return resp
	}
	resp.MemberID, resp.MemberEpoch = r.ID, r.Epoch
	resp.HeartbeatIntervalMillis = int32(r.Interval.Milliseconds())
	resp.AcceptableRecoveryLagLegacy, resp.AcceptableRecoveryLag = recoveryLag, recoveryLag
	resp.TaskOffsetIntervalMillis = taskOffsetIntervalMs
	resp.EndpointInformationEpoch = r.EndpointEpoch
	for _, s := range r.Status {
		if s.Code == streams.AssignmentDelayed && req.Version < 1 {
			continue // not known to older clients
		}
		st := kmsg.NewStreamsGroupHeartbeatResponseStatus()
		st.StatusCode, st.StatusDetail = s.Code, s.Detail
		resp.Status = append(resp.Status, st)
	}
	if r.Assigns {
		resp.ActiveTasks, resp.StandbyTasks, resp.WarmupTasks = taskIDs(r.Active), taskIDs(r.Standby), taskIDs(r.Warmup)
	}
	if r.Endpoints != nil {
		resp.PartitionsByUserEndpoint = byEndpoint(r.Endpoints)
	}
	return resp
}

func taskIDs(tasks streams.Tasks) []kmsg.TaskIDs {
	list := []kmsg.TaskIDs{}
	tasks.Each(func(subtopology string, partitions []int32) {
		t := kmsg.NewTaskIDs()
		t.SubtopologyID, t.Partitions = subtopology, partitions
		list = append(list, t)
	})
	return list
}

func byEndpoint(list []streams.EndpointTasks) []kmsg.StreamsGroupHeartbeatResponsePartitionsByUserEndpoint {
	out := []kmsg.StreamsGroupHeartbeatResponsePartitionsByUserEndpoint{}
	for _, e := range list {
		p := kmsg.NewStreamsGroupHeartbeatResponsePartitionsByUserEndpoint()
		p.UserEndpoint.Host, p.UserEndpoint.Port = e.Host, e.Port
		for _, tp := range e.Active {
			a := kmsg.NewStreamsGroupHeartbeatResponsePartitionsByUserEndpointActivePartition()
			a.Topic, a.Partitions = tp.Topic, tp.Partitions
			p.ActivePartitions = append(p.ActivePartitions, a)
		}
		for _, tp := range e.Standby {
			s := kmsg.NewStreamsGroupHeartbeatResponsePartitionsByUserEndpointStandbyPartition()
			s.Topic, s.Partitions = tp.Topic, tp.Partitions
			p.StandbyPartitions = append(p.StandbyPartitions, s)
		}
		out = append(out, p)
	}
	return out
}
