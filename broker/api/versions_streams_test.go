package api_test

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// streamsCalls are requests of streams groups: a thread that joins with a
// topology of one subtopology, which needs a changelog.
func streamsCalls() map[int16]call {
	return map[int16]call{
		88: on(func(w *world, q *kmsg.StreamsGroupHeartbeatRequest) { fillStreams(w, q, w.fresh) },
			func(w *world, r *kmsg.StreamsGroupHeartbeatResponse) (int16, string) {
				statuses := ""
				for _, s := range r.Status {
					statuses += s.StatusDetail
				}
				wait := ""
				if w.version >= 1 {
					wait = "The group waits for more members before tasks are assigned."
				}
				return r.ErrorCode, want(r.MemberEpoch, 1) + want(r.MemberID, "m") + want(statuses, wait)
			}),
		89: on(func(w *world, q *kmsg.StreamsGroupDescribeRequest) {
			join := kmsg.NewPtrStreamsGroupHeartbeatRequest()
			fillStreams(w, join, w.fresh)
			do[*kmsg.StreamsGroupHeartbeatResponse](w.client, w.version, join)
			q.Groups = []string{w.fresh}
		}, func(w *world, r *kmsg.StreamsGroupDescribeResponse) (int16, string) {
			g := r.Groups[0]
			if g.ErrorCode != 0 {
				return g.ErrorCode, ""
			}
			s := g.Topology.Subtopologies[0]
			return 0, want(g.State, "Assigning") + want(s.StateChangelogTopics[0].NumPartitions, 2) + want(g.Members[0].MemberID, "m")
		}),
	}
}

// fillStreams makes a request to join of member m, whose topology reads w.topic
// and needs the changelog "<group>-changelog".
func fillStreams(w *world, q *kmsg.StreamsGroupHeartbeatRequest, group string) {
	q.Group, q.MemberID, q.ProcessID, q.RebalanceTimeoutMillis = group, "m", ptr("p"), 10_000
	q.ActiveTasks, q.StandbyTasks, q.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	s := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
	s.SubtopologyID, s.SourceTopics = "0", []string{w.topic.Name}
	log := kmsg.NewTopicInfo()
	log.Topic, log.ReplicationFactor = group+"-changelog", 1
	log.Configs = []kmsg.TopicInfoConfig{{Key: "cleanup.policy", Value: "compact"}}
	s.StateChangelogTopics = []kmsg.TopicInfo{log}
	t := kmsg.NewStreamsGroupHeartbeatRequestTopology()
	t.Subtopologies = append(t.Subtopologies, s)
	q.Topology = &t
}
