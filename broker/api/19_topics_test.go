package api_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/wire"
)

// newTopic is one topic of a CreateTopics request.
func newTopic(name string, partitions int32, replication int16, configs ...string) kmsg.CreateTopicsRequestTopic {
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, partitions, replication
	for i := 0; i < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = configs[i], &configs[i+1]
		rt.Configs = append(rt.Configs, c)
	}
	return rt
}

func assigned(rt kmsg.CreateTopicsRequestTopic, replicas ...[]int32) kmsg.CreateTopicsRequestTopic {
	for p, ids := range replicas {
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition, a.Replicas = int32(p), ids
		rt.ReplicaAssignment = append(rt.ReplicaAssignment, a)
	}
	return rt
}

// TestCreateTopics asks for good and bad topics in one request: each is answered
// for itself.
func TestCreateTopics(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) { c.Topics.Partitions = 3 }))
	r := dial(t, b)
	create(t, b, "there", 1, nil)
	create(t, b, "a.b", 1, nil)
	null := newTopic("null-config", 1, 1, "retention.ms", "1")
	null.Configs[0].Value = nil
	cases := []struct {
		topic      kmsg.CreateTopicsRequestTopic
		code       wire.Code
		partitions int32
	}{
		{newTopic("plain", 2, 1), 0, 2},
		{newTopic("defaults", -1, -1), 0, 3},
		{newTopic("three-replicas", 1, 3), 0, 1},
		{newTopic("configs", 1, 1, "retention.ms", "5", "tarn.table.formats", "iceberg"), 0, 1},
		{assigned(newTopic("assigned", -1, -1), []int32{1}, []int32{1}), 0, 2},
		{newTopic("there", 1, 1), wire.TopicAlreadyExists, -1},
		{newTopic("a_b", 1, 1), wire.InvalidTopicException, -1},
		{newTopic("bad name", 1, 1), wire.InvalidTopicException, -1},
		{newTopic("..", 1, 1), wire.InvalidTopicException, -1},
		{newTopic(strings.Repeat("x", 250), 1, 1), wire.InvalidTopicException, -1},
		{newTopic("zero", 0, 1), wire.InvalidPartitions, -1},
		{newTopic("negative", -2, 1), wire.InvalidPartitions, -1},
		{newTopic("many", 1<<30, 1), wire.InvalidPartitions, -1},
		{newTopic("no-replica", 1, 0), wire.InvalidReplicationFactor, -1},
		{newTopic("unknown-config", 1, 1, "retenton.ms", "1"), wire.InvalidConfig, -1},
		{newTopic("bad-config", 1, 1, "retention.ms", "soon"), wire.InvalidConfig, -1},
		{newTopic("config-twice", 1, 1, "retention.ms", "1", "retention.ms", "1"), wire.InvalidConfig, -1},
		{null, wire.InvalidConfig, -1},
		{assigned(newTopic("both", 2, 1), []int32{1}), wire.InvalidRequest, -1},
		{assigned(newTopic("elsewhere", -1, -1), []int32{2}), wire.InvalidReplicaAssignment, -1},
		{assigned(newTopic("nowhere", -1, -1), []int32{}), wire.InvalidReplicaAssignment, -1},
		{assigned(newTopic("everywhere", -1, -1), []int32{1, 2}), wire.InvalidReplicaAssignment, -1},
	}
	for _, validateOnly := range []bool{true, false} {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.ValidateOnly = validateOnly
		for _, c := range cases {
			req.Topics = append(req.Topics, c.topic)
		}
		req.Topics = append(req.Topics, newTopic("twice", 1, 1), newTopic("twice", 1, 1))
		resp := do[*kmsg.CreateTopicsResponse](r, 7, req)
		if len(resp.Topics) != len(cases)+1 {
			t.Fatalf("%d answers, want %d", len(resp.Topics), len(cases)+1)
		}
		for i, c := range cases {
			got := resp.Topics[i]
			if got.Topic != c.topic.Topic || wire.Code(got.ErrorCode) != c.code || got.NumPartitions != c.partitions {
				t.Errorf("%s: %v with %d partitions, want %v with %d", got.Topic, wire.Code(got.ErrorCode), got.NumPartitions, c.code, c.partitions)
			}
			if (c.code != 0) != (got.ErrorMessage != nil) {
				t.Errorf("%s: message %v", got.Topic, got.ErrorMessage)
			}
			made := b.Topics().View().ByName(got.Topic)
			if isMade := made != nil && got.Topic != "there"; isMade != (c.code == 0 && !validateOnly) {
				t.Errorf("%s, validate only %v: made %v", got.Topic, validateOnly, isMade)
			} else if isMade && made.ID != storage.TopicID(got.TopicID) {
				t.Errorf("%s: id %x, made with %x", got.Topic, got.TopicID, made.ID)
			}
		}
		if got := resp.Topics[len(cases)]; got.Topic != "twice" || wire.Code(got.ErrorCode) != wire.InvalidRequest {
			t.Errorf("a name twice: %+v", got)
		}
	}
}

// TestDeleteTopics deletes by name and by id, once.
func TestDeleteTopics(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	byName, byID := create(t, b, "by-name", 1, nil), create(t, b, "by-id", 2, nil)
	both, twice := create(t, b, "both", 1, nil), create(t, b, "twice", 1, nil)
	r.mustProduce(byID, "a")
	req := kmsg.NewPtrDeleteTopicsRequest()
	add := func(name *string, id [16]byte) {
		rt := kmsg.NewDeleteTopicsRequestTopic()
		rt.Topic, rt.TopicID = name, id
		req.Topics = append(req.Topics, rt)
	}
	add(&byName.Name, [16]byte{})
	add(nil, byID.ID)
	add(&both.Name, both.ID)
	add(&twice.Name, [16]byte{})
	add(&twice.Name, [16]byte{})
	add(ptr("nope"), [16]byte{})
	add(nil, [16]byte{9})
	add(nil, [16]byte{})
	var got []string
	for _, st := range do[*kmsg.DeleteTopicsResponse](r, 6, req).Topics {
		name := "-"
		if st.Topic != nil {
			name = *st.Topic
		}
		got = append(got, fmt.Sprintf("%s %d %v %v", name, st.ErrorCode, st.TopicID != [16]byte{}, st.ErrorMessage != nil))
	}
	want := []string{"by-name 0 true false", "by-id 0 true false", "both 42 true true", "twice 42 false true", "nope 3 false true", "- 100 true true", "- 42 false true"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	var left []string
	for _, tp := range b.Topics().View().All() {
		left = append(left, tp.Name)
	}
	if !slices.Equal(left, []string{"both", "twice"}) {
		t.Errorf("left are %v", left)
	}
	if p := r.produce(byID, batch(t, record.Options{}, "late")); wire.Code(p.ErrorCode) != wire.UnknownTopicID {
		t.Errorf("produce to a deleted topic: %v", wire.Code(p.ErrorCode))
	}
}

// TestFailedDeletion leaves the topic as it was: its logs go on.
func TestFailedDeletion(t *testing.T) {
	f := faulty.New(memory.New())
	b := brokertest.New(t, brokertest.WithEngine(f))
	r := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	r.mustProduce(tp, "a")
	for _, err := range []error{storage.ErrFull, errors.New("disk")} {
		f.NextMatching(func(w storage.Write) bool { return len(w.Trim) > 0 }, faulty.Refuse(err))
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TopicNames = []string{"t"}
		if code := do[*kmsg.DeleteTopicsResponse](r, 5, req).Topics[0].ErrorCode; code == 0 {
			t.Fatalf("deletion went through %v", err)
		}
		r.mustProduce(tp, "b")
	}
	if got := values(t, r.fetch(tp, 0).RecordBatches, 0); !slices.Equal(got, []string{"a", "b", "b"}) {
		t.Errorf("log holds %v", got)
	}
}

// TestCreatePartitions only ever adds.
func TestCreatePartitions(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	for _, name := range []string{"t", "same", "twice", "placed", "misplaced"} {
		create(t, b, name, 2, nil)
	}
	req := kmsg.NewPtrCreatePartitionsRequest()
	add := func(name string, count int32, assignment ...[]int32) {
		rt := kmsg.NewCreatePartitionsRequestTopic()
		rt.Topic, rt.Count = name, count
		for _, ids := range assignment {
			a := kmsg.NewCreatePartitionsRequestTopicAssignment()
			a.Replicas = ids
			rt.Assignment = append(rt.Assignment, a)
		}
		req.Topics = append(req.Topics, rt)
	}
	add("t", 5)
	add("same", 2)
	add("nope", 5)
	add("twice", 3)
	add("twice", 4)
	add("placed", 4, []int32{1}, []int32{1})
	add("misplaced", 4, []int32{1})
	want := map[string]int16{"t": 0, "same": 37, "nope": 3, "twice": 42, "placed": 0, "misplaced": 39}
	for _, validateOnly := range []bool{true, false} {
		req.ValidateOnly = validateOnly
		resp := do[*kmsg.CreatePartitionsResponse](r, 3, req)
		if len(resp.Topics) != len(want) {
			t.Errorf("%d answers, want %d", len(resp.Topics), len(want))
		}
		for _, st := range resp.Topics {
			if st.ErrorCode != want[st.Topic] {
				t.Errorf("%s: %v, want %v", st.Topic, wire.Code(st.ErrorCode), wire.Code(want[st.Topic]))
			}
		}
		partitions := map[bool]int32{true: 2, false: 5}[validateOnly]
		if got := b.Topics().View().ByName("t").Partitions; got != partitions {
			t.Errorf("validate only %v: %d partitions, want %d", validateOnly, got, partitions)
		}
	}
	do[*kmsg.ProduceResponse](r, 13, produceTo(b.Topics().View().ByName("t"), 4, batch(t, record.Options{}, "a")))
}
