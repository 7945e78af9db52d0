package group

import (
	"cmp"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/streams"
	"github.com/tarn-io/tarn/broker/wire"
)

// streamsAssignor is the name of the one assignor of streams groups.
const streamsAssignor = "sticky"

// StreamsDescribe serves StreamsGroupDescribe v0 and v1, but for the authorised
// operations, which it leaves unset. The Wait does not block.
func (c *Coordinator) StreamsDescribe(req *kmsg.StreamsGroupDescribeRequest) Wait {
	resp := req.ResponseKind().(*kmsg.StreamsGroupDescribeResponse)
	for _, name := range req.Groups {
		g := c.describeStreams(name)
		if req.IncludeTopologyDescription && g.ErrorCode == 0 {
			g.TopologyDescriptionStatus = descriptionNotStored
		}
		resp.Groups = append(resp.Groups, g)
	}
	return ready(resp)
}

// descriptionNotStored says that there is no description of a topology
// (KIP-1331): none is asked for, as in a Kafka without a plugin to keep it.
const descriptionNotStored = 1

func (c *Coordinator) describeStreams(name string) kmsg.StreamsGroupDescribeResponseGroup {
	g := kmsg.NewStreamsGroupDescribeResponseGroup()
	g.Group = name
	g.Members = []kmsg.StreamsGroupDescribeResponseGroupMember{}
	refuse := func(code wire.Code, message string) kmsg.StreamsGroupDescribeResponseGroup {
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
	m, ok := e.machine.(*streaming)
	if !ok {
		return refuse(wire.GroupIDNotFound, "group "+name+" is not a streams group")
	}
	d := m.g.Describe()
	assignor := streamsAssignor
	g.State, g.Epoch, g.AssignmentEpoch, g.AssignorName = d.State, d.Epoch, d.AssignmentEpoch, &assignor
	g.Topology = describeTopology(&d)
	for i := range d.Members {
		g.Members = append(g.Members, describeStreamsMember(&d.Members[i]))
	}
	return g
}

func describeTopology(d *streams.Description) *kmsg.StreamsGroupDescribeResponseGroupTopology {
	if d.Topology == nil {
		return nil
	}
	t := kmsg.NewStreamsGroupDescribeResponseGroupTopology()
	t.Epoch = d.Topology.Epoch
	if !d.Configured {
		return &t // what its topics come to is not known
	}
	t.Subtopologies = []kmsg.StreamsGroupDescribeResponseGroupTopologySubtopology{}
	for i := range d.Topology.Subtopologies {
		s := &d.Topology.Subtopologies[i]
		ds := kmsg.NewStreamsGroupDescribeResponseGroupTopologySubtopology()
		ds.SubtopologyID, ds.SourceTopics, ds.RepartitionSinkTopics = s.ID, slices.Clone(s.Sources), slices.Clone(s.Sinks)
		ds.StateChangelogTopics = topicInfos(s.Changelogs, d.Partitions)
		ds.RepartitionSourceTopics = topicInfos(s.Repartitions, d.Partitions)
		t.Subtopologies = append(t.Subtopologies, ds)
	}
	return &t
}

func topicInfos(list []streams.InternalTopic, partitions map[string]int32) []kmsg.TopicInfo {
	out := []kmsg.TopicInfo{}
	for _, it := range list {
		t := kmsg.NewTopicInfo()
		t.Topic, t.NumPartitions, t.ReplicationFactor = it.Name, partitions[it.Name], it.Replication
		for _, key := range slices.Sorted(maps.Keys(it.Configs)) {
			kv := kmsg.NewTopicInfoConfig()
			kv.Key, kv.Value = key, it.Configs[key]
			t.Configs = append(t.Configs, kv)
		}
		out = append(out, t)
	}
	return out
}

func describeStreamsMember(m *streams.Member) kmsg.StreamsGroupDescribeResponseGroupMember {
	d := kmsg.NewStreamsGroupDescribeResponseGroupMember()
	d.MemberID, d.MemberEpoch, d.InstanceID = m.ID, m.Epoch, m.Instance
	d.ClientID, d.ClientHost, d.ProcessID, d.TopologyEpoch = m.ClientID, m.ClientHost, m.Process, m.TopologyEpoch
	if m.Rack != "" {
		d.RackID = &m.Rack
	}
	if m.Endpoint != nil {
		ep := kmsg.NewStreamsGroupDescribeResponseGroupMemberUserEndpoint()
		ep.Host, ep.Port = m.Endpoint.Host, m.Endpoint.Port
		d.UserEndpoint = &ep
	}
	for _, key := range slices.Sorted(maps.Keys(m.Tags)) {
		tag := kmsg.NewStreamsGroupDescribeResponseGroupMemberClientTag()
		tag.Key, tag.Value = key, m.Tags[key]
		d.ClientTags = append(d.ClientTags, tag)
	}
	d.TaskOffsets, d.TaskEndOffsets = offsetList(m.Offsets), offsetList(m.Ends)
	d.Assignment, d.TargetAssignment = streamsAssignment(m.Assigned), streamsAssignment(m.Target)
	return d
}

func offsetList(offsets map[streams.Task]int64) []kmsg.TaskOffset {
	var list []kmsg.TaskOffset
	for k, n := range offsets {
		t := kmsg.NewTaskOffset()
		t.SubtopologyID, t.Partition, t.Offset = k.Subtopology, k.Partition, n
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b kmsg.TaskOffset) int {
		return cmp.Or(cmp.Compare(a.SubtopologyID, b.SubtopologyID), cmp.Compare(a.Partition, b.Partition))
	})
	return list
}

func streamsAssignment(a streams.Assignment) kmsg.StreamsAssignment {
	out := kmsg.NewStreamsAssignment()
	out.ActiveTasks, out.StandbyTasks, out.WarmupTasks = taskIDs(a.Active), taskIDs(a.Standby), taskIDs(a.Warmup)
	return out
}
