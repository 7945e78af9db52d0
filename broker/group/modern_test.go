package group

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// beat sends ConsumerGroupHeartbeat v1; who joins reads t0 and t1.
func (w *world) beat(group, id string, epoch int32, change func(*kmsg.ConsumerGroupHeartbeatRequest)) Wait {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.MemberEpoch = 1, group, id, epoch
	if epoch == 0 {
		req.RebalanceTimeoutMillis = 60_000
		req.SubscribedTopicNames = []string{"t1", "t0"}
		req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
	if change != nil {
		change(req)
	}
	return w.ConsumerHeartbeat(Client{ID: "c", Host: "/127.0.0.1"}, req)
}

func (w *world) beats(group, id string, epoch int32, change func(*kmsg.ConsumerGroupHeartbeatRequest)) *kmsg.ConsumerGroupHeartbeatResponse {
	w.t.Helper()
	return await[*kmsg.ConsumerGroupHeartbeatResponse](w, w.beat(group, id, epoch, change))
}

// TestBeatInvalid refuses what no group needs to be asked about.
func TestBeatInvalid(t *testing.T) {
	text := func(s string) *string { return &s }
	for name, test := range map[string]struct {
		epoch  int32
		change func(*kmsg.ConsumerGroupHeartbeatRequest)
		want   wire.Code
	}{
		"no group":               {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = " " }, wire.InvalidRequest},
		"no id":                  {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = "" }, wire.InvalidRequest},
		"no id, v0":              {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID, r.Version = "", 0 }, wire.None},
		"no id later, v0":        {1, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID, r.Version = "", 0 }, wire.InvalidRequest},
		"long id":                {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = strings.Repeat("x", 257) }, wire.InvalidRequest},
		"empty instance":         {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = text("") }, wire.InvalidRequest},
		"empty rack":             {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RackID = text("") }, wire.InvalidRequest},
		"rack":                   {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RackID = text("r1") }, wire.None},
		"epoch -3":               {-3, nil, wire.InvalidRequest},
		"epoch -2 without one":   {-2, nil, wire.InvalidRequest},
		"no timeout":             {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = -1 }, wire.InvalidRequest},
		"nothing said of topics": {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Topics = nil }, wire.InvalidRequest},
		"joins with topics": {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) {
			r.Topics = append(r.Topics, kmsg.NewConsumerGroupHeartbeatRequestTopic())
		}, wire.InvalidRequest},
		"no subscription":    {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = nil }, wire.InvalidRequest},
		"empty subscription": {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = []string{} }, wire.None},
		"unknown assignor":   {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = text("sticky") }, wire.UnsupportedAssignor},
		"range":              {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = text("range") }, wire.None},
		"bad pattern":        {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicRegex = text("(") }, wire.InvalidRegularExpression},
		"look-ahead":         {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicRegex = text("(?=x)") }, wire.InvalidRegularExpression},
		"long pattern": {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) {
			r.SubscribedTopicRegex = text(strings.Repeat("x", maxRegex+1))
		}, wire.InvalidRegularExpression},
		"no such group":            {1, nil, wire.GroupIDNotFound},
		"leaves a group of nobody": {-1, nil, wire.GroupIDNotFound},
		"too much": {0, func(r *kmsg.ConsumerGroupHeartbeatRequest) {
			r.SubscribedTopicNames = []string{strings.Repeat("x", maxGroupBytes+1)}
		},
			wire.GroupMaxSizeReached},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				resp := w.beats("g", "m", test.epoch, test.change)
				if got := wire.Code(resp.ErrorCode); got != test.want {
					t.Fatalf("got %s, want %s", got, test.want)
				}
				if test.want == wire.None {
					if resp.MemberEpoch != 1 || resp.HeartbeatIntervalMillis != 500 || *resp.MemberID == "" {
						t.Errorf("joined as %q, epoch %d, interval %d", *resp.MemberID, resp.MemberEpoch, resp.HeartbeatIntervalMillis)
					}
				} else if resp.ErrorMessage == nil || *resp.ErrorMessage == "" {
					t.Error("there is no message")
				} else if w.state("g") != "none" {
					t.Error("a refused heartbeat has left a group behind")
				}
				w.checkStored()
			})
		})
	}
}

// TestConversion: a group without members is of whichever kind somebody joins,
// and keeps its offsets; one with members is not another kind's.
func TestConversion(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		typeOf := func(want string) {
			t.Helper()
			if s, _ := w.Group("g"); s.Type != want {
				t.Errorf("the group is %s, want %s", s.Type, want)
			}
		}
		w.simple("g", "t0", 7)
		typeOf("classic")
		if code := w.beats("g", "m", 1, nil).ErrorCode; wire.Code(code) != wire.GroupIDNotFound {
			t.Errorf("heartbeat in a classic group: %s", wire.Code(code))
		}
		typeOf("classic")
		w.beats("g", "m", 0, nil)
		typeOf("consumer")
		w.wantOffset("g", "t0", 7)
		if code := w.simple("g", "t0", 8); code != wire.UnknownMemberID {
			t.Errorf("commit of one who is no member: %s", code)
		}
		if code := w.commitCode(w.commit(9, "g", "m", 1, "t0", 8)); code != wire.None {
			t.Errorf("commit: %s", code)
		}
		w.checkStored()
		w.restart()
		typeOf("consumer")
		if code := w.deleteGroup("g"); code != wire.NonEmptyGroup {
			t.Errorf("deletion of a group with a member: %s", code)
		}
		w.beats("g", "m", -1, nil)
		typeOf("consumer")
		w.single("g")
		typeOf("classic")
		w.wantOffset("g", "t0", 8)
		w.checkStored()
		time.Sleep(time.Minute) // the classic member is gone
		w.beats("g", "m", 0, nil)
		typeOf("consumer")
		time.Sleep(time.Minute) // the consumer too
		synctest.Wait()
		if got := w.state("g"); got != "Empty" {
			t.Errorf("it is %s", got)
		}
		if code := w.simple("g", "t0", 9); code != wire.None {
			t.Errorf("commit to an empty group: %s", code)
		}
		w.restart()
		typeOf("consumer")
		if code := w.deleteGroup("g"); code != wire.None {
			t.Errorf("deletion: %s", code)
		}
		w.checkStored()
		typeOf("")
	})
}

// TestConsumersShown: what requests about groups say of consumer groups.
func TestConsumersShown(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		instance := "i"
		w.beats("g", "a", 0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID, r.RackID = &instance, &instance })
		w.single("classic")
		req := kmsg.NewPtrConsumerGroupDescribeRequest()
		req.Version, req.Groups = 1, []string{"g", "classic", "none", ""}
		groups := await[*kmsg.ConsumerGroupDescribeResponse](w, w.ConsumerDescribe(req)).Groups
		var codes []wire.Code
		for _, g := range groups {
			codes = append(codes, wire.Code(g.ErrorCode))
		}
		if want := []wire.Code{wire.None, wire.GroupIDNotFound, wire.GroupIDNotFound, wire.InvalidGroupID}; !slices.Equal(codes, want) {
			t.Errorf("got %v, want %v", codes, want)
		}
		g := groups[0]
		if g.State != "Stable" || g.Epoch != 1 || g.AssignmentEpoch != 1 || g.AssignorName != "uniform" || len(g.Members) != 1 {
			t.Fatalf("got %+v", g)
		}
		m := g.Members[0]
		if m.MemberID != "a" || *m.InstanceID != "i" || *m.RackID != "i" || m.MemberEpoch != 1 || m.MemberType != 1 ||
			fmt.Sprint(m.SubscribedTopics) != "[t0 t1]" || m.Assignment.TopicPartitions[1].Topic != "t1" ||
			len(m.TargetAssignment.TopicPartitions) != 2 {
			t.Errorf("got %+v", m)
		}
		for version, want := range map[int16]wire.Code{5: wire.None, 6: wire.GroupIDNotFound} {
			d := kmsg.NewPtrDescribeGroupsRequest()
			d.Version, d.Groups = version, []string{"g"}
			got := await[*kmsg.DescribeGroupsResponse](w, w.Describe(d)).Groups[0]
			if wire.Code(got.ErrorCode) != want || got.State != "Dead" {
				t.Errorf("version %d: %s, %s", version, wire.Code(got.ErrorCode), got.State)
			}
		}
		l := kmsg.NewPtrListGroupsRequest()
		l.Version, l.TypesFilter, l.StatesFilter = 5, []string{"Consumer"}, []string{"stable"}
		list := await[*kmsg.ListGroupsResponse](w, w.List(l)).Groups
		if len(list) != 1 || list[0].Group != "g" || list[0].GroupType != "consumer" || list[0].ProtocolType != "consumer" {
			t.Errorf("listed are %+v", list)
		}
		s, _ := w.Group("g")
		if fmt.Sprint(s.Members[0].Partitions) != "map[t0:[0 1 2 3] t1:[0 1 2 3]]" || *s.Members[0].InstanceID != "i" {
			t.Errorf("got %+v", s.Members)
		}
		w.checkStored()
	})
}

// TestConsumerOffsets: offsets are read and deleted by the rules of consumer
// groups.
func TestConsumerOffsets(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.simple("g", "t5", 3)
		w.beats("g", "m", 0, nil)
		w.commitCode(w.commit(9, "g", "m", 1, "t0", 5))
		fetch := func(member *string, epoch int32) wire.Code {
			req := kmsg.NewPtrOffsetFetchRequest()
			req.Version = 9
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group, g.MemberID, g.MemberEpoch = "g", member, epoch
			req.Groups = append(req.Groups, g)
			return wire.Code(await[*kmsg.OffsetFetchResponse](w, w.OffsetFetch(req)).Groups[0].ErrorCode)
		}
		m, z := "m", "z"
		for _, test := range []struct {
			member *string
			epoch  int32
			want   wire.Code
		}{{&m, 1, wire.None}, {nil, -1, wire.None}, {&m, 2, wire.StaleMemberEpoch}, {&z, 1, wire.UnknownMemberID}} {
			if got := fetch(test.member, test.epoch); got != test.want {
				t.Errorf("fetch by %v at %d: %s, want %s", test.member, test.epoch, got, test.want)
			}
		}
		if code := w.commitCode(w.commit(8, "g", "m", 1, "t0", 6)); code != wire.UnsupportedVersion {
			t.Errorf("commit v8: %s", code)
		}
		del := func(topic string) wire.Code {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Group = "g"
			req.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}
			return wire.Code(await[*kmsg.OffsetDeleteResponse](w, w.OffsetDelete(req)).Topics[0].Partitions[0].ErrorCode)
		}
		if code := del("t0"); code != wire.GroupSubscribedToTopic {
			t.Errorf("deletion in a topic that is read: %s", code)
		}
		if code := del("t5"); code != wire.None {
			t.Errorf("deletion: %s", code)
		}
		w.wantOffset("g", "t5", -1)
		w.wantOffset("g", "t0", 5)
		w.beats("g", "m", -1, nil)
		time.Sleep(8 * 24 * time.Hour) // longer than offsets are kept
		synctest.Wait()
		if got := w.state("g"); got != "none" {
			t.Errorf("after its offsets have expired the group is %s", got)
		}
		w.checkStored()
	})
}

// TestConsumerIntervals: members come again soon while there is something to
// learn, and no longer than that.
func TestConsumerIntervals(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		beat := func(id string, epoch int32, owned int, want time.Duration) *kmsg.ConsumerGroupHeartbeatResponse {
			t.Helper()
			r := w.beats("g", id, epoch, func(q *kmsg.ConsumerGroupHeartbeatRequest) {
				if epoch == 0 {
					q.SubscribedTopicNames = []string{"t0"}
				}
				if owned >= 0 {
					var numbers []int32
					for n := range owned {
						numbers = append(numbers, int32(n))
					}
					q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: topicID(0), Partitions: numbers}}
				}
			})
			if got := ms(r.HeartbeatIntervalMillis); got != want {
				t.Errorf("%s is told to come after %v, want %v", id, got, want)
			}
			return r
		}
		beat("a", 0, -1, soonest)
		time.Sleep(5 * time.Second)
		beat("a", 1, -1, 5*time.Second) // it is alone, and has been for a while
		beat("b", 0, -1, soonest)
		beat("a", 1, -1, soonest) // it is to give two back
		time.Sleep(5 * time.Second)
		beat("a", 1, 4, 5*time.Second) // it takes its time, and will come when it is done
		beat("b", 2, -1, soonest)      // it waits
		beat("a", 1, 2, soonest)
		if r := beat("b", 2, -1, soonest); r.Assignment == nil || len(r.Assignment.Topics) != 1 {
			t.Errorf("got %+v", r)
		}
		time.Sleep(5 * time.Second)
		beat("a", 2, -1, 5*time.Second)
		beat("b", 2, -1, 5*time.Second)
	})
}
