package group

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/streams"
	"github.com/tarn-io/tarn/broker/wire"
)

// undelayed has streams groups assign at once.
func undelayed(c *Config) {
	c.StreamsSettings = func(string) streams.Settings {
		return streams.Settings{Session: 45 * time.Second, Heartbeat: 5 * time.Second}
	}
}

// threadBeat sends a heartbeat of a thread, whose application counts what is in
// t0 with a changelog in t1.
func (w *world) threadBeat(group, id string, epoch int32, change func(*kmsg.StreamsGroupHeartbeatRequest)) Wait {
	req := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.MemberEpoch = 1, group, id, epoch
	if epoch == 0 {
		process := "process-" + id
		req.RebalanceTimeoutMillis, req.ProcessID = 60_000, &process
		req.ActiveTasks, req.StandbyTasks, req.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
		s := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
		s.SubtopologyID, s.SourceTopics = "0", []string{"t0"}
		log := kmsg.NewTopicInfo()
		log.Topic = "t1"
		s.StateChangelogTopics = append(s.StateChangelogTopics, log)
		req.Topology = &kmsg.StreamsGroupHeartbeatRequestTopology{Subtopologies: []kmsg.StreamsGroupHeartbeatRequestTopologySubtopology{s}}
	}
	if change != nil {
		change(req)
	}
	return w.StreamsHeartbeat(Client{ID: "client", Host: "/host"}, req)
}

func (w *world) threadBeats(group, id string, epoch int32, change func(*kmsg.StreamsGroupHeartbeatRequest)) *kmsg.StreamsGroupHeartbeatResponse {
	w.t.Helper()
	return await[*kmsg.StreamsGroupHeartbeatResponse](w, w.threadBeat(group, id, epoch, change))
}

// TestStreamsInvalid: requests that are wrong by themselves.
func TestStreamsInvalid(t *testing.T) {
	empty := ""
	sub := func(q *kmsg.StreamsGroupHeartbeatRequest) *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology {
		return &q.Topology.Subtopologies[0]
	}
	for name, tc := range map[string]struct {
		epoch  int32
		change func(*kmsg.StreamsGroupHeartbeatRequest)
		want   wire.Code
	}{
		"no member id":     {0, func(q *kmsg.StreamsGroupHeartbeatRequest) { q.MemberID = "" }, wire.InvalidRequest},
		"no group":         {0, func(q *kmsg.StreamsGroupHeartbeatRequest) { q.Group = "" }, wire.InvalidRequest},
		"empty instance":   {0, func(q *kmsg.StreamsGroupHeartbeatRequest) { q.InstanceID = &empty }, wire.InvalidRequest},
		"no timeout":       {0, func(q *kmsg.StreamsGroupHeartbeatRequest) { q.RebalanceTimeoutMillis = -1 }, wire.InvalidRequest},
		"no topology":      {0, func(q *kmsg.StreamsGroupHeartbeatRequest) { q.Topology = nil }, wire.InvalidRequest},
		"no process":       {0, func(q *kmsg.StreamsGroupHeartbeatRequest) { q.ProcessID = nil }, wire.InvalidRequest},
		"tasks":            {0, func(q *kmsg.StreamsGroupHeartbeatRequest) { q.ActiveTasks = []kmsg.TaskIDs{{SubtopologyID: "0"}} }, wire.InvalidRequest},
		"epoch":            {-3, nil, wire.InvalidRequest},
		"away, not static": {-2, nil, wire.InvalidRequest},
		"late topology":    {1, func(q *kmsg.StreamsGroupHeartbeatRequest) { q.Topology = &kmsg.StreamsGroupHeartbeatRequestTopology{} }, wire.InvalidRequest},
		"no port": {0, func(q *kmsg.StreamsGroupHeartbeatRequest) {
			q.UserEndpoint = &kmsg.StreamsGroupHeartbeatRequestUserEndpoint{Host: "h"}
		}, wire.InvalidRequest},
		"pattern":         {0, func(q *kmsg.StreamsGroupHeartbeatRequest) { sub(q).SourceTopicRegex = []string{"a.*"} }, wire.StreamsInvalidTopology},
		"sized changelog": {0, func(q *kmsg.StreamsGroupHeartbeatRequest) { sub(q).StateChangelogTopics[0].NumPartitions = 3 }, wire.StreamsInvalidTopology},
		"no id":           {0, func(q *kmsg.StreamsGroupHeartbeatRequest) { sub(q).SubtopologyID = "" }, wire.StreamsInvalidTopology},
		"reads nothing":   {0, func(q *kmsg.StreamsGroupHeartbeatRequest) { sub(q).SourceTopics = nil }, wire.StreamsInvalidTopology},
		"unknown group":   {1, nil, wire.GroupIDNotFound},
		"leaves no group": {-1, nil, wire.GroupIDNotFound},
		"negative rep": {0, func(q *kmsg.StreamsGroupHeartbeatRequest) {
			sub(q).RepartitionSourceTopics = []kmsg.TopicInfo{{NumPartitions: -1}}
		}, wire.StreamsInvalidTopology},
		"foreign copartner": {0, func(q *kmsg.StreamsGroupHeartbeatRequest) {
			sub(q).CopartitionGroups = []kmsg.StreamsGroupHeartbeatRequestTopologySubtopologyCopartitionGroup{{SourceTopics: []int16{1}}}
		}, wire.StreamsInvalidTopology},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, undelayed, func(t *testing.T, w *world) {
				if got := wire.Code(w.threadBeats("g", "m", tc.epoch, tc.change).ErrorCode); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
				w.checkStored()
				if _, ok := w.Group("g"); ok {
					t.Error("there is a group now")
				}
			})
		})
	}
}

// TestStreamsGroup: a streams group from its first thread to its end, over
// restarts, and what other kinds of requests meet in it.
func TestStreamsGroup(t *testing.T) {
	bubble(t, undelayed, func(t *testing.T, w *world) {
		r := w.threadBeats("g", "m", 0, nil)
		if r.ErrorCode != 0 || r.MemberEpoch != 2 || len(r.ActiveTasks) != 1 || len(r.ActiveTasks[0].Partitions) != 4 {
			t.Fatalf("joined with %+v", r)
		}
		codes := func(what string, got, want wire.Code) {
			t.Helper()
			if got != want {
				t.Errorf("%s: got %s, want %s", what, got, want)
			}
		}
		codes("commit", w.commitCode(w.commit(9, "g", "m", 2, "t0", 7)), wire.None)
		codes("old commit", w.commitCode(w.commit(8, "g", "m", 2, "t0", 7)), wire.UnsupportedVersion)
		codes("commit of nobody", w.simple("g", "t0", 9), wire.UnknownMemberID)
		w.wantOffset("g", "t0", 7)
		codes("consumer", wire.Code(w.beats("g", "c", 0, nil).ErrorCode), wire.GroupIDNotFound)
		codes("classic", wire.Code(await[*kmsg.JoinGroupResponse](w, w.join(9, "g", "c", "", nil)).ErrorCode), wire.InconsistentGroupProtocol)
		codes("classic heartbeat", w.heartbeat("g", "m", 2), wire.UnknownMemberID)
		codes("deletion", w.deleteGroup("g"), wire.NonEmptyGroup)
		w.checkStored()
		w.restart()
		second := w.threadBeats("g", "n", 0, nil)
		codes("second", wire.Code(second.ErrorCode), wire.None)
		if got := w.state("g"); got != "Reconciling" {
			t.Errorf("it is %s", got)
		}
		w.checkStored()
		w.threadBeats("g", "n", -1, nil)
		time.Sleep(time.Minute) // the first is gone too
		synctest.Wait()
		if s, _ := w.Group("g"); s.State != "Empty" || s.Type != "streams" || len(s.Offsets) != 1 {
			t.Errorf("it is %+v", s)
		}
		codes("commit to an empty group", w.simple("g", "t0", 9), wire.None)
		w.checkStored()
		w.restart()
		codes("deletion", w.deleteGroup("g"), wire.None)
		if _, ok := w.Group("g"); ok {
			t.Error("it is still there")
		}
		w.checkStored()
	})
}

// TestStreamsConversion: a group without members is of the kind that somebody
// joins, and keeps its offsets.
func TestStreamsConversion(t *testing.T) {
	bubble(t, undelayed, func(t *testing.T, w *world) {
		typeOf := func(want string) {
			t.Helper()
			if s, _ := w.Group("g"); s.Type != want {
				t.Errorf("the group is %s, want %s", s.Type, want)
			}
			w.wantOffset("g", "t0", 7)
		}
		w.simple("g", "t0", 7)
		if code := wire.Code(w.threadBeats("g", "m", 1, nil).ErrorCode); code != wire.GroupIDNotFound {
			t.Errorf("heartbeat in a classic group: %s", code)
		}
		typeOf("classic")
		w.threadBeats("g", "m", 0, nil)
		typeOf("streams")
		w.checkStored()
		w.threadBeats("g", "m", -1, nil)
		w.single("g")
		typeOf("classic")
		if code := wire.Code(w.threadBeats("g", "m", 0, nil).ErrorCode); code != wire.GroupIDNotFound {
			t.Errorf("join of a classic group with a member: %s", code)
		}
		w.checkStored()
		time.Sleep(time.Minute) // the classic member is gone
		w.threadBeats("g", "m", 0, nil)
		typeOf("streams")
		w.threadBeats("g", "m", -1, nil)
		w.beats("g", "c", 0, nil)
		typeOf("consumer")
		w.checkStored()
		w.restart()
		typeOf("consumer")
	})
}

// TestStreamsDescribed: what requests about groups say of streams groups.
func TestStreamsDescribed(t *testing.T) {
	bubble(t, undelayed, func(t *testing.T, w *world) {
		w.threadBeats("g", "m", 0, func(q *kmsg.StreamsGroupHeartbeatRequest) {
			q.UserEndpoint = &kmsg.StreamsGroupHeartbeatRequestUserEndpoint{Host: "h", Port: 9}
			q.ClientTags = []kmsg.StreamsGroupHeartbeatRequestClientTag{{Key: "zone", Value: "a"}}
			q.TaskOffsets = []kmsg.TaskOffset{{SubtopologyID: "0", Partition: 2, Offset: 5}}
		})
		w.beats("consumers", "c", 0, nil)
		req := kmsg.NewPtrStreamsGroupDescribeRequest()
		req.Version, req.Groups, req.IncludeTopologyDescription = 1, []string{"g", "consumers", "none", ""}, true
		groups := await[*kmsg.StreamsGroupDescribeResponse](w, w.StreamsDescribe(req)).Groups
		for i, want := range []wire.Code{wire.None, wire.GroupIDNotFound, wire.GroupIDNotFound, wire.InvalidGroupID} {
			if got := wire.Code(groups[i].ErrorCode); got != want {
				t.Errorf("group %q: got %s, want %s", req.Groups[i], got, want)
			}
		}
		g := groups[0]
		if g.State != "Stable" || g.Epoch != 2 || g.AssignmentEpoch != 2 || *g.AssignorName != "sticky" || g.TopologyDescriptionStatus != 1 {
			t.Errorf("got %+v", g)
		}
		if s := g.Topology.Subtopologies[0]; s.SourceTopics[0] != "t0" || s.StateChangelogTopics[0].NumPartitions != 4 {
			t.Errorf("got topology %+v", s)
		}
		m := g.Members[0]
		if m.ProcessID != "process-m" || m.UserEndpoint.Port != 9 || m.ClientTags[0].Value != "a" || m.TaskOffsets[0].Offset != 5 ||
			len(m.Assignment.ActiveTasks[0].Partitions) != 4 || len(m.TargetAssignment.ActiveTasks[0].Partitions) != 4 {
			t.Errorf("got member %+v", m)
		}
		s, _ := w.Group("g")
		if got := s.Members[0].Partitions["t0"]; len(got) != 4 {
			t.Errorf("the member has %v", got)
		}
		del := kmsg.NewPtrOffsetDeleteRequest()
		del.Group = "g"
		del.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "t0", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}
		got := await[*kmsg.OffsetDeleteResponse](w, w.OffsetDelete(del)).Topics[0].Partitions[0].ErrorCode
		if wire.Code(got) != wire.GroupSubscribedToTopic {
			t.Errorf("offset of a topic that is read: %s", wire.Code(got))
		}
	})
}

// TestStreamsDelayed: the initial delay ends by itself.
func TestStreamsDelayed(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		r := w.threadBeats("g", "m", 0, nil)
		if r.MemberEpoch != 1 || len(r.ActiveTasks) != 0 || r.HeartbeatIntervalMillis != 3000 || r.Status[0].StatusCode != 5 {
			t.Errorf("joined with %+v", r)
		}
		if got := w.state("g"); got != "Assigning" {
			t.Errorf("it is %s", got)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := w.state("g"); got != "Reconciling" {
			t.Errorf("it is %s", got)
		}
		r = w.threadBeats("g", "m", 1, nil)
		if r.MemberEpoch != 2 || len(r.ActiveTasks) != 1 {
			t.Errorf("got %+v", r)
		}
		w.checkStored()
	})
}
