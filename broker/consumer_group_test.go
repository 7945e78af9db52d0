package broker_test

import (
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
)

// TestConsumerGroup (KIP-848): a group's own settings are in force, ApiVersions
// says that the protocol is there, and a member goes on after a restart.
func TestConsumerGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	e := openSQLite(t, path)
	b := brokertest.New(t, brokertest.WithEngine(e))
	c := client(t, b)
	createTopic(t, c, "t", 3, nil)
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeGroupConfig, "g"
	interval := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	interval.Name, interval.Value = "consumer.heartbeat.interval.ms", new("7000")
	r.Configs = append(r.Configs, interval)
	alter.Resources = append(alter.Resources, r)
	if resp, err := alter.RequestWith(t.Context(), c); err != nil || resp.Resources[0].ErrorCode != 0 {
		t.Fatalf("alter: %+v, %v", resp, err)
	}
	join := beat(t, c, 0)
	if join.ErrorCode != 0 || len(join.Assignment.Topics[0].Partitions) != 3 {
		t.Errorf("joined: %+v", join)
	}
	features, err := kmsg.NewPtrApiVersionsRequest().RequestWith(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	level := int16(0)
	for _, f := range features.FinalizedFeatures {
		if f.Name == "group.version" {
			level = f.MaxVersionLevel
		}
	}
	if level != 1 {
		t.Errorf("group.version is finalized at %d", level)
	}
	c.Close()
	b.Stop()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = openSQLite(t, path)
	b = brokertest.New(t, brokertest.WithEngine(e))
	t.Cleanup(func() { b.Stop(); e.Close() })
	c = client(t, b)
	if again := beat(t, c, 1); again.ErrorCode != 0 || again.MemberEpoch != 1 || again.Assignment != nil || again.HeartbeatIntervalMillis != 7000 {
		t.Errorf("after a restart: %+v", again)
	}
	groups, err := kadm.NewClient(c).DescribeConsumerGroups(t.Context(), "g")
	if err != nil || groups["g"].State != "Stable" || len(groups["g"].Members[0].Assignment["t"]) != 3 {
		t.Errorf("described: %+v, %v", groups, err)
	}
}

// beat heartbeats as member m of group g, who reads topic t.
func beat(t *testing.T, c *kgo.Client, epoch int32) *kmsg.ConsumerGroupHeartbeatResponse {
	t.Helper()
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = "g", "m", epoch
	if epoch == 0 {
		req.RebalanceTimeoutMillis, req.SubscribedTopicNames = 60_000, []string{"t"}
		req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
	resp, err := req.RequestWith(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
