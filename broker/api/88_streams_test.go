package api_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/groupconfig"
)

// joinStreams has a thread join; it gives the answer.
func joinStreams(w *world, group string) *kmsg.StreamsGroupHeartbeatResponse {
	q := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	fillStreams(w, q, group)
	return do[*kmsg.StreamsGroupHeartbeatResponse](w.client, 1, q)
}

// TestStreamsTopics: internal topics are made with the configs asked for, as
// many partitions as the topics that flow into them, and only by who may.
func TestStreamsTopics(t *testing.T) {
	b, rules := guardedBroker(t)
	w := &world{topic: create(t, b, "lines", 3, nil), client: login(t, b, "alice")}
	allow(t, rules, "alice", "read group", "describe topic")
	status := func(r *kmsg.StreamsGroupHeartbeatResponse) string {
		t.Helper()
		if r.ErrorCode != 0 {
			t.Fatalf("error %d", r.ErrorCode)
		}
		var all []string
		for _, s := range r.Status {
			if s.StatusCode == 3 {
				all = append(all, s.StatusDetail)
			}
		}
		return strings.Join(all, "|")
	}
	got := status(joinStreams(w, "app"))
	if w := "Internal topics are missing: [app-changelog]; Unauthorized to CREATE on topics app-changelog."; got != w {
		t.Errorf("got status %q, want %q", got, w)
	}
	for _, rule := range []string{"create topic", "create cluster"} {
		allow(t, rules, "alice", "read group", "describe topic", rule)
		name := "app-" + strings.Fields(rule)[1]
		if got := status(joinStreams(w, name)); got != "" {
			t.Errorf("with %q: got status %q", rule, got)
		}
		made := b.Topics().View().ByName(name + "-changelog")
		if made == nil || made.Partitions != 3 || made.Overrides["cleanup.policy"] != "compact" {
			t.Errorf("with %q: got topic %+v", rule, made)
		}
	}
	// The first application goes on by itself once it may.
	q := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	q.Group, q.MemberID, q.MemberEpoch, q.RebalanceTimeoutMillis = "app", "m", 1, -1
	if got := status(do[*kmsg.StreamsGroupHeartbeatResponse](w.client, 1, q)); got != "" {
		t.Errorf("got status %q", got)
	}
	if b.Topics().View().ByName("app-changelog") == nil {
		t.Error("the changelog was not made")
	}
}

// TestStreamsBadTopics: names that cannot be topics, and Kafka's own topics,
// refuse a topology.
func TestStreamsBadTopics(t *testing.T) {
	b := brokertest.New(t)
	w := &world{topic: create(t, b, "lines", 1, nil), client: dial(t, b)}
	for name, text := range map[string]string{
		"__consumer_offsets": "Use of Kafka internal topics __consumer_offsets in a Kafka Streams topology is prohibited.",
		"a b":                "Topic names a b are not valid topic names.",
	} {
		q := kmsg.NewPtrStreamsGroupHeartbeatRequest()
		fillStreams(w, q, "app")
		q.Topology.Subtopologies[0].RepartitionSinkTopics = []string{name}
		r := do[*kmsg.StreamsGroupHeartbeatResponse](w.client, 1, q)
		if r.ErrorCode != 130 || r.ErrorMessage == nil || *r.ErrorMessage != text {
			t.Errorf("%q: got %d %v", name, r.ErrorCode, r.ErrorMessage)
		}
	}
}

// TestStreamsAlone: with no initial delay the only thread gets its tasks at
// once, the group is listed and described, its offsets are its own, and it goes
// when it is deleted.
func TestStreamsAlone(t *testing.T) {
	b := brokertest.New(t)
	w := &world{topic: create(t, b, "lines", 2, nil), client: dial(t, b)}
	set := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeGroupConfig, "app"
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = string(groupconfig.StreamsInitialRebalanceDelayMs), ptr("0")
	res.Configs = append(res.Configs, c)
	set.Resources = append(set.Resources, res)
	do[*kmsg.IncrementalAlterConfigsResponse](w.client, 1, set)

	r := joinStreams(w, "app")
	if r.ErrorCode != 0 || len(r.ActiveTasks) != 1 || len(r.ActiveTasks[0].Partitions) != 2 {
		t.Fatalf("got %+v", r)
	}
	commit := func(member string, epoch int32) int16 {
		q := kmsg.NewPtrOffsetCommitRequest()
		q.Group, q.MemberID, q.Generation = "app", member, epoch
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic = "lines"
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Offset = 7
		rt.Partitions = append(rt.Partitions, rp)
		q.Topics = append(q.Topics, rt)
		return do[*kmsg.OffsetCommitResponse](w.client, 9, q).Topics[0].Partitions[0].ErrorCode
	}
	for _, tc := range []struct {
		member string
		epoch  int32
		want   int16
	}{{"m", r.MemberEpoch, 0}, {"m", r.MemberEpoch + 1, 113}, {"x", r.MemberEpoch, 25}, {"", -1, 25}} {
		if got := commit(tc.member, tc.epoch); got != tc.want {
			t.Errorf("commit of %q in epoch %d: got %d, want %d", tc.member, tc.epoch, got, tc.want)
		}
	}
	list := kmsg.NewPtrListGroupsRequest()
	list.TypesFilter = []string{"Streams"}
	groups := do[*kmsg.ListGroupsResponse](w.client, 5, list).Groups
	if len(groups) != 1 || groups[0].GroupType != "streams" || groups[0].ProtocolType != "streams" || groups[0].GroupState != "Stable" {
		t.Errorf("listed: %+v", groups)
	}
	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Groups = []string{"app"}
	if got := do[*kmsg.DeleteGroupsResponse](w.client, 2, del).Groups[0].ErrorCode; got != 68 {
		t.Errorf("deleted with a member: %d", got)
	}
	leave := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	leave.Group, leave.MemberID, leave.MemberEpoch = "app", "m", -1
	if r := do[*kmsg.StreamsGroupHeartbeatResponse](w.client, 1, leave); r.ErrorCode != 0 || r.MemberEpoch != -1 {
		t.Errorf("leave: %+v", r)
	}
	if got := do[*kmsg.DeleteGroupsResponse](w.client, 2, del).Groups[0].ErrorCode; got != 0 {
		t.Errorf("deleted: %d", got)
	}
}
