package group

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage/memory"
)

func BenchmarkHeartbeat(b *testing.B) {
	c := benchCoordinator(b)
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.SessionTimeoutMillis, req.ProtocolType = "g", 10_000, "consumer"
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
	resp, err := c.Join(Client{}, req)(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Group, beat.Generation, beat.MemberID = "g", 1, resp.(*kmsg.JoinGroupResponse).MemberID
	for b.Loop() {
		resp, err := c.Heartbeat(beat)(b.Context())
		if err != nil || resp.(*kmsg.HeartbeatResponse).ErrorCode != 0 {
			b.Fatal(resp, err)
		}
	}
}

// BenchmarkOffsetCommit pipelines 64 commits of one group.
func BenchmarkOffsetCommit(b *testing.B) {
	c := benchCoordinator(b)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group = 9, "g"
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t0", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 1}}}}
	waits := make(chan Wait, 64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for wait := range waits {
			if _, err := wait(b.Context()); err != nil {
				b.Error(err)
			}
		}
	}()
	for b.Loop() {
		waits <- c.OffsetCommit(req)
	}
	close(waits)
	<-done
}

func benchCoordinator(b *testing.B) *Coordinator {
	b.Helper()
	store := memory.New()
	c, err := Open(b.Context(), Config{
		Commit: store.Commit, Store: store, Topics: &someTopics{}, InitialRebalanceDelay: -1,
	})
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		if err := c.Run(b.Context()); err != nil {
			b.Error(err)
		}
	}()
	return c
}
