package api_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/tarn-io/tarn/broker/brokertest"
)

// TestFetchAtLogEnd asks for what is not there yet, in every version: records
// are empty, and never null.
func TestFetchAtLogEnd(t *testing.T) {
	b := brokertest.New(t)
	for version := int16(0); version <= 18; version++ {
		versions := kversion.Stable()
		versions.SetMaxKeyVersion(1, version)
		c, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.MaxVersions(versions))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		adm := kadm.NewClient(c)
		if version == 0 {
			if _, err := adm.CreateTopic(t.Context(), 1, -1, nil, "empty"); err != nil {
				t.Fatal(err)
			}
		}
		topics, err := adm.ListTopics(t.Context(), "empty")
		if err != nil {
			t.Fatal(err)
		}
		req := kmsg.NewPtrFetchRequest()
		req.MaxBytes = 1 << 20
		rt := kmsg.NewFetchRequestTopic()
		rt.Topic, rt.TopicID = "empty", topics["empty"].ID
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.PartitionMaxBytes = 1 << 20
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		resp, err := req.RequestWith(t.Context(), c)
		if err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		if resp.Version != version || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			t.Fatalf("version %d: answer %+v", version, resp)
		}
		p := resp.Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.RecordBatches == nil || len(p.RecordBatches) != 0 {
			t.Errorf("version %d: code %d, records %v, want none", version, p.ErrorCode, p.RecordBatches)
		}
	}
}
