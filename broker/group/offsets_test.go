package group

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestCommitDoesNotBlock has a store that stands still: commits are taken in,
// nobody gets an answer, and afterwards the last one holds.
func TestCommitDoesNotBlock(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		w.store.set(func(f *flaky) { f.gate = gate })
		var waits []Wait
		for n := range 20 {
			waits = append(waits, w.commit(9, "g", "", -1, "t0", int64(n)))
			waits = append(waits, w.commit(9, fmt.Sprint("g", n), "", -1, "t0", int64(n)))
		}
		synctest.Wait()
		if got, _ := w.fetch("g", "t0", false); got != -1 {
			t.Errorf("fetched %d, which is not durable", got)
		}
		close(gate)
		for _, wait := range waits {
			if code := w.commitCode(wait); code != wire.None {
				t.Errorf("commit: %s", code)
			}
		}
		w.wantOffset("g", "t0", 19)
		if w.store.commits > 3 {
			t.Errorf("40 offset commits took %d writes", w.store.commits)
		}
		w.checkStored()
	})
}

func TestQueueLimit(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		w.store.set(func(f *flaky) { f.gate = gate })
		w.commit(9, "g", "", -1, "t0", 0)
		synctest.Wait() // the writer holds it at the gate; the queue is empty
		var last Wait
		for n := range maxQueued + 1 {
			last = w.commit(9, "g", "", -1, "t0", int64(n))
		}
		if code := w.commitCode(last); code != wire.CoordinatorNotAvailable {
			t.Errorf("got %s", code)
		}
		close(gate)
	})
}

func TestCommitPerPartition(t *testing.T) {
	bubble(t, func(c *Config) { c.MaxOffsetMetadata = 4 }, func(t *testing.T, w *world) {
		for _, version := range []int16{2, 6, 9, 10} {
			req := kmsg.NewPtrOffsetCommitRequest()
			req.Version, req.Group = version, fmt.Sprint("g", version)
			for _, name := range []string{"t0", "t99"} {
				rt := kmsg.NewOffsetCommitRequestTopic()
				rt.Topic = name
				rt.TopicID, _, _ = w.topics.ByName(name)
				for _, partition := range []int32{0, 4, -1, 1} {
					p := kmsg.NewOffsetCommitRequestTopicPartition()
					p.Partition, p.Offset = partition, 11
					if partition == 1 {
						long := "12345"
						p.Metadata = &long
					}
					rt.Partitions = append(rt.Partitions, p)
				}
				req.Topics = append(req.Topics, rt)
			}
			resp := await[*kmsg.OffsetCommitResponse](w, w.OffsetCommit(req))
			var got []string
			for _, rt := range resp.Topics {
				for _, p := range rt.Partitions {
					got = append(got, wire.Code(p.ErrorCode).String())
				}
			}
			unknown := "UNKNOWN_TOPIC_OR_PARTITION"
			if version >= 10 {
				unknown = "UNKNOWN_TOPIC_ID"
			}
			want := "NONE UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_OR_PARTITION OFFSET_METADATA_TOO_LARGE" + strings.Repeat(" "+unknown, 4)
			if got := strings.Join(got, " "); got != want {
				t.Errorf("v%d: got %s, want %s", version, got, want)
			}
			w.wantOffset(req.Group, "t0", 11)
		}
		w.checkStored()
	})
}

// TestFetch goes through the shapes of OffsetFetch.
func TestFetch(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.simple("g", "t1", 5)
		w.simple("g", "t0", 4)
		old := func(version int16, topics []kmsg.OffsetFetchRequestTopic) string {
			req := kmsg.NewPtrOffsetFetchRequest()
			req.Version, req.Group, req.Topics = version, "g", topics
			s := ""
			resp := await[*kmsg.OffsetFetchResponse](w, w.OffsetFetch(req))
			for _, rt := range resp.Topics {
				for _, p := range rt.Partitions {
					s += fmt.Sprintf("%s/%d=%d@%d %q %d; ", rt.Topic, p.Partition, p.Offset, p.LeaderEpoch, *p.Metadata, p.ErrorCode)
				}
			}
			return s
		}
		if got, want := old(7, nil), `t0/0=4@7 "note" 0; t1/0=5@7 "note" 0; `; got != want {
			t.Errorf("all of v7: got %s, want %s", got, want)
		}
		if got := old(7, []kmsg.OffsetFetchRequestTopic{}); got != "" {
			t.Errorf("none of v7: got %s", got)
		}
		if got, want := old(1, []kmsg.OffsetFetchRequestTopic{{Topic: "t1", Partitions: []int32{0, 3}}, {Topic: "gone", Partitions: []int32{0}}}),
			`t1/0=5@7 "note" 0; t1/3=-1@-1 "" 0; gone/0=-1@-1 "" 0; `; got != want {
			t.Errorf("v1: got %s, want %s", got, want)
		}
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Version = 10
		req.Groups = []kmsg.OffsetFetchRequestGroup{
			{Group: "g"}, {Group: "none"}, {Group: "g", Topics: []kmsg.OffsetFetchRequestGroupTopic{
				{TopicID: topicID(1), Partitions: []int32{0}}, {TopicID: topicID(77), Partitions: []int32{0}}}},
		}
		s := ""
		for _, g := range await[*kmsg.OffsetFetchResponse](w, w.OffsetFetch(req)).Groups {
			s += fmt.Sprintf("%s %d:", g.Group, g.ErrorCode)
			for _, rt := range g.Topics {
				for _, p := range rt.Partitions {
					s += fmt.Sprintf(" %d/%d=%d %d", rt.TopicID[15], p.Partition, p.Offset, p.ErrorCode)
				}
			}
			s += "; "
		}
		if want := "g 0: 0/0=4 0 1/0=5 0; none 0:; g 0: 1/0=5 0 77/0=-1 100; "; s != want {
			t.Errorf("v10: got %s, want %s", s, want)
		}
	})
}

func TestOffsetDelete(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		del := func(group string, topics ...string) string {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Group = group
			for _, name := range topics {
				rt := kmsg.NewOffsetDeleteRequestTopic()
				rt.Topic = name
				rt.Partitions = []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}
				req.Topics = append(req.Topics, rt)
			}
			resp := await[*kmsg.OffsetDeleteResponse](w, w.OffsetDelete(req))
			s := wire.Code(resp.ErrorCode).String()
			for _, rt := range resp.Topics {
				s += " " + wire.Code(rt.Partitions[0].ErrorCode).String()
			}
			return s
		}
		id := w.single("live") // subscribed to t0 and t1
		w.commitCode(w.commit(9, "live", id, 1, "t0", 1))
		w.commitCode(w.commit(9, "live", id, 1, "t2", 2))
		for _, tt := range []struct{ got, want string }{
			{del("none", "t0"), "GROUP_ID_NOT_FOUND"},
			{del("live", "t0", "t2", "t99"), "NONE GROUP_SUBSCRIBED_TO_TOPIC NONE UNKNOWN_TOPIC_OR_PARTITION"},
			{del("live", "t3"), "NONE NONE"},
		} {
			if tt.got != tt.want {
				t.Errorf("got %s, want %s", tt.got, tt.want)
			}
		}
		w.wantOffset("live", "t0", 1)
		w.wantOffset("live", "t2", -1)
		w.checkStored()
		await[*kmsg.JoinGroupResponse](w, w.join(3, "connect", "c", "", func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" }))
		if got := del("connect", "t0"); got != "NON_EMPTY_GROUP" {
			t.Errorf("a live group that is not of consumers: %s", got)
		}
	})
}

// TestExpiry: offsets outlive the last member by the retention, no more and no
// less; a group goes with its last offset (G9).
func TestExpiry(t *testing.T) {
	bubble(t, func(c *Config) { c.OffsetsRetention = time.Hour }, func(t *testing.T, w *world) {
		id := w.single("g")
		w.commitCode(w.commit(9, "g", id, 1, "t0", 5))
		w.simple("simple", "t0", 6)
		for range 900 { // two hours of work: nothing of a live group expires
			time.Sleep(8 * time.Second)
			if got := w.heartbeat("g", id, 1); got != wire.None {
				t.Fatalf("heartbeat: %s", got)
			}
		}
		w.wantOffset("g", "t0", 5)
		if got := w.state("simple"); got != "none" {
			t.Errorf("a simple group is %s after two hours", got)
		}
		time.Sleep(30 * time.Minute)
		w.restart() // the time since it became empty survives
		time.Sleep(20 * time.Minute)
		w.simple("g", "t1", 7)
		w.wantOffset("g", "t0", 5)
		time.Sleep(25 * time.Minute)
		w.wantOffset("g", "t0", -1)
		w.wantOffset("g", "t1", 7)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := w.state("g"); got != "none" {
			t.Errorf("the group is %s after all has expired", got)
		}
		w.checkStored()
		for it, err := range w.store.Scan(t.Context(), "") {
			t.Errorf("left in the store: %s %v", it.Key, err)
		}
	})
}

// TestExpiryByClient: OffsetCommit v2 to v4 say how long an offset is kept.
func TestExpiryByClient(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		for version, want := range map[int16]int64{4: -1, 5: 1} {
			req := kmsg.NewPtrOffsetCommitRequest()
			req.Version, req.Group, req.RetentionTimeMillis = version, fmt.Sprint("g", version), 60_000
			rt := kmsg.NewOffsetCommitRequestTopic()
			rt.Topic = "t0"
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Offset = 1
			rt.Partitions = append(rt.Partitions, p)
			req.Topics = append(req.Topics, rt)
			await[*kmsg.OffsetCommitResponse](w, w.OffsetCommit(req))
			time.Sleep(21 * time.Minute)
			w.wantOffset(req.Group, "t0", want)
		}
	})
}

func TestDropTopic(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.simple("g", "t0", 5)
		w.simple("g", "t1", 6)
		w.simple("h", "t0", 7)
		// One on its way is dropped as well.
		wait := w.commit(9, "i", "", -1, "t0", 8)
		if err := w.DropTopic(t.Context(), topicID(0)); err != nil {
			t.Fatal(err)
		}
		w.commitCode(wait)
		for group, topics := range map[string]map[string]int64{"g": {"t0": -1, "t1": 6}, "h": {"t0": -1}, "i": {"t0": -1}} {
			for topic, want := range topics {
				w.wantOffset(group, topic, want)
			}
		}
		w.checkStored()
		w.store.set(func(f *flaky) { f.fault = loses })
		if err := w.DropTopic(t.Context(), topicID(1)); err == nil {
			t.Error("a failed deletion went unnoticed")
		}
		w.wantOffset("g", "t1", 6)
	})
}

// TestOpenDropsUnknown: a crash between a topic's deletion and DropTopic leaves
// offsets that a start removes.
func TestOpenDropsUnknown(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.simple("g", "t0", 5)
		w.simple("g", "t1", 6)
		w.stop()
		w.topics.mu.Lock()
		w.topics.gone["t0"] = true
		w.topics.mu.Unlock()
		w.start()
		synctest.Wait()
		w.wantOffset("g", "t1", 6)
		for it := range w.store.Scan(t.Context(), keyOffset) {
			if strings.Contains(it.Key, topicID(0).String()) {
				t.Errorf("%s is still there", it.Key)
			}
		}
		w.checkStored()
	})
}

func TestKeys(t *testing.T) {
	for _, group := range []string{"", "g", "a/b", "/", "a/", "ü\x00", strings.Repeat("g", maxGroupID)} {
		k := offsetKey{topicID(3), 12}
		key := k.key(group)
		if len(key) > storage.MaxKeyBytes {
			t.Errorf("a key of %d bytes", len(key))
		}
		gotGroup, got, _, err := decodeOffset(storage.Item{Key: key, Value: []byte("{}")})
		if err != nil || gotGroup != group || got != k {
			t.Errorf("%q: got %q %v, %v", group, gotGroup, got, err)
		}
	}
}
