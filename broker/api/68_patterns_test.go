package api_test

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestPatternAccess: a pattern matches what its member may describe, as rules
// are at the time, and not what another member of the same pattern may.
func TestPatternAccess(t *testing.T) {
	b, rules := guardedBroker(t)
	names := map[[16]byte]string{}
	for _, name := range []string{"p-a", "p-b", "p-c"} {
		names[create(t, b, name, 1, nil).ID] = name
	}
	alice, bob := login(t, b, "alice"), login(t, b, "bob")
	// own is what a member has; nil: as before.
	beat := func(c *raw, member string, epoch int32, own []string) (int32, []string) {
		t.Helper()
		q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		q.Group, q.MemberID, q.MemberEpoch, q.RebalanceTimeoutMillis = "g", member, epoch, -1
		if epoch == 0 {
			q.SubscribedTopicRegex, q.RebalanceTimeoutMillis, q.Topics = ptr("p-.*"), 10_000, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		}
		for id, name := range names {
			if slices.Contains(own, name) {
				q.Topics = append(q.Topics, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: id, Partitions: []int32{0}})
			}
		}
		r := do[*kmsg.ConsumerGroupHeartbeatResponse](c, 1, q)
		if r.ErrorCode != 0 {
			t.Fatalf("%s: error %d %v", member, r.ErrorCode, *r.ErrorMessage)
		}
		if r.Assignment == nil {
			return r.MemberEpoch, nil
		}
		got := []string{}
		for _, at := range r.Assignment.Topics {
			got = append(got, names[at.TopicID])
		}
		slices.Sort(got)
		return r.MemberEpoch, got
	}
	allow(t, rules, "alice", "read group", "describe topic p-a", "describe topic p-b")
	epoch, got := beat(alice, "m", 0, nil)
	if want := []string{"p-a", "p-b"}; !slices.Equal(got, want) {
		t.Errorf("alice has %v, want %v", got, want)
	}
	// She may know of another one instead, and comes to it with her heartbeats.
	allow(t, rules, "alice", "read group", "describe topic p-b", "describe topic p-c")
	if _, got = beat(alice, "m", epoch, nil); !slices.Equal(got, []string{"p-b"}) {
		t.Errorf("alice has %v, want p-b until she gave p-a back", got)
	}
	if _, got = beat(alice, "m", epoch, []string{"p-b"}); !slices.Equal(got, []string{"p-b", "p-c"}) {
		t.Errorf("alice has %v, want p-b and p-c", got)
	}
	// Bob joins with the same pattern, and may know of p-a only.
	allow(t, rules, "bob", "read group", "describe topic p-a")
	if _, got = beat(bob, "n", 0, nil); !slices.Equal(got, []string{"p-a"}) {
		t.Errorf("bob has %v, want p-a", got)
	}
}
