package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
)

// TestShareFetchQuota: records that are locked for a client are sent, whatever
// its quota; it is told how long it waits for it.
func TestShareFetchQuota(t *testing.T) {
	b := brokertest.New(t)
	admin := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	one := batch(t, record.Options{}, strings.Repeat("x", 10_000))
	for range 12 {
		do[*kmsg.ProduceResponse](admin, 13, produceTo(tp, 0, slices.Clone(one)))
	}
	admin.limit("", "consumer_byte_rate", 10_000) // about 101,000 at once
	r := dial(t, b).named("reader")
	joinShare(&world{topic: tp, fresh: "g", client: r}, "m")
	req := kmsg.NewPtrShareFetchRequest()
	req.GroupID, req.MemberID, req.MaxRecords, req.MaxBytes = ptr("g"), ptr("m"), 100, 1<<20
	rt := kmsg.NewShareFetchRequestTopic()
	rt.TopicID = tp.ID
	rt.Partitions = append(rt.Partitions, kmsg.NewShareFetchRequestTopicPartition())
	req.Topics = append(req.Topics, rt)
	resp := do[*kmsg.ShareFetchResponse](r, 2, req)
	p := resp.Topics[0].Partitions[0]
	if len(p.AcquiredRecords) != 1 || p.AcquiredRecords[0].LastOffset != 11 || len(values(t, p.Records, 0)) != 12 {
		t.Errorf("acquired %+v with %d bytes", p.AcquiredRecords, len(p.Records))
	}
	if resp.ThrottleMillis <= 0 {
		t.Error("not slowed down")
	}
	admin.limit("", "consumer_byte_rate", 0)
}
