package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
)

// TestDescribeShareGroup shows where a share group's partitions begin, what is
// left of them and who is there; a group that does not exist is an error.
func TestDescribeShareGroup(t *testing.T) {
	b := brokertest.New(t)
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "work", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	alter := kmsg.NewPtrAlterShareGroupOffsetsRequest()
	alter.GroupID = "workers"
	alter.Topics = []kmsg.AlterShareGroupOffsetsRequestTopic{{Topic: "work", Partitions: []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{StartOffset: 1}}}}
	if _, err := alter.RequestWith(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	beat := kmsg.NewPtrShareGroupHeartbeatRequest()
	beat.GroupID, beat.MemberID, beat.SubscribedTopicNames = "workers", "m", []string{"work"}
	if _, err := beat.RequestWith(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	describe := func(group string) (string, int) {
		var out, problems bytes.Buffer
		code := run(t.Context(), []string{"group", "describe", group, "-b", b.Address(), "--http", "http://127.0.0.1:1"}, stdio{out: &out, err: &problems})
		return out.String() + problems.String(), code
	}
	text, code := describe("workers")
	for _, want := range []string{"workers  Stable  1 members  lag 2", "work   0          1      2    1"} {
		if !strings.Contains(text, want) || code != 0 {
			t.Errorf("exit %d, %q is not in\n%s", code, want, text)
		}
	}
	if text, code := describe("nobody"); code != 1 || !strings.Contains(text, "does not exist") {
		t.Errorf("exit %d: %s", code, text)
	}
}

// TestDescribeStreamsGroup shows a streams group's state and offsets.
func TestDescribeStreamsGroup(t *testing.T) {
	b := brokertest.New(t)
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.AllowAutoTopicCreation(), kgo.MaxVersions(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "lines", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := kadm.NewClient(c).CommitOffsets(t.Context(), "app", kadm.OffsetsFromRecords(kgo.Record{Topic: "lines"})); err != nil {
		t.Fatal(err)
	}
	process := "p"
	beat := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	beat.Group, beat.MemberID, beat.ProcessID, beat.RebalanceTimeoutMillis = "app", "m", &process, 1000
	beat.Topology = &kmsg.StreamsGroupHeartbeatRequestTopology{Subtopologies: []kmsg.StreamsGroupHeartbeatRequestTopologySubtopology{
		{SubtopologyID: "0", SourceTopics: []string{"lines"}}}}
	if r, err := c.SeedBrokers()[0].Request(t.Context(), beat); err != nil || r.(*kmsg.StreamsGroupHeartbeatResponse).ErrorCode != 0 {
		t.Fatal(err, r)
	}
	var out, problems bytes.Buffer
	code := run(t.Context(), []string{"group", "describe", "app", "-b", b.Address(), "--http", "http://127.0.0.1:1"}, stdio{out: &out, err: &problems})
	for _, want := range []string{"app  Assigning  streams  lag 2", "lines  0          1       3    2"} {
		if !strings.Contains(out.String(), want) || code != 0 {
			t.Errorf("exit %d, %q is not in\n%s%s", code, want, out.String(), problems.String())
		}
	}
}
