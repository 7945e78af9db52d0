package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestOneReplica asks for what needs more brokers or disks than there are.
func TestOneReplica(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.Settings = func() []api.BrokerConfig { return []api.BrokerConfig{{Name: "log.dirs", Value: "/data"}} }
	}))
	r := dial(t, b)
	create(t, b, "t", 1, nil)
	for _, c := range []struct {
		replicas  []int32
		partition int32
		want      wire.Code
	}{
		{[]int32{1}, 0, wire.None},
		{nil, 0, wire.NoReassignmentInProgress},
		{[]int32{}, 0, wire.InvalidReplicaAssignment},
		{[]int32{2}, 0, wire.InvalidReplicaAssignment},
		{[]int32{1, 1}, 0, wire.InvalidReplicaAssignment},
		{[]int32{1}, 1, wire.UnknownTopicOrPartition},
	} {
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		rt := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		rt.Topic = "t"
		rp := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		rp.Partition, rp.Replicas = c.partition, c.replicas
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		p := do[*kmsg.AlterPartitionAssignmentsResponse](r, 1, req).Topics[0].Partitions[0]
		if wire.Code(p.ErrorCode) != c.want || (p.ErrorMessage == nil) != (c.want == wire.None) {
			t.Errorf("replicas %v of partition %d: %v", c.replicas, c.partition, wire.Code(p.ErrorCode))
		}
	}
	elect := kmsg.NewPtrElectLeadersRequest()
	if resp := do[*kmsg.ElectLeadersResponse](r, 2, elect); resp.ErrorCode != 0 || len(resp.Topics) != 0 {
		t.Errorf("election of all: %+v", resp)
	}
	et := kmsg.NewElectLeadersRequestTopic()
	et.Topic, et.Partitions = "t", []int32{0, 1}
	elect.Topics = append(elect.Topics, et)
	ps := do[*kmsg.ElectLeadersResponse](r, 2, elect).Topics[0].Partitions
	if wire.Code(ps[0].ErrorCode) != wire.ElectionNotNeeded || wire.Code(ps[1].ErrorCode) != wire.UnknownTopicOrPartition {
		t.Errorf("election: %+v", ps)
	}
	elect.ElectionType = 2
	if resp := do[*kmsg.ElectLeadersResponse](r, 2, elect); wire.Code(resp.ErrorCode) != wire.InvalidRequest {
		t.Errorf("election of no known type: %v", wire.Code(resp.ErrorCode))
	}
	for dir, want := range map[string]wire.Code{"/data": wire.None, "/other": wire.LogDirNotFound} {
		move := kmsg.NewPtrAlterReplicaLogDirsRequest()
		rd := kmsg.NewAlterReplicaLogDirsRequestDir()
		rd.Dir = dir
		rt := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
		rt.Topic, rt.Partitions = "t", []int32{0, 1}
		rd.Topics = append(rd.Topics, rt)
		move.Dirs = append(move.Dirs, rd)
		ps := do[*kmsg.AlterReplicaLogDirsResponse](r, 2, move).Topics[0].Partitions
		if wire.Code(ps[0].ErrorCode) != want || wire.Code(ps[1].ErrorCode) != wire.UnknownTopicOrPartition {
			t.Errorf("move to %s: %+v", dir, ps)
		}
	}
}

// TestUpdateFeatures tries levels; those in use are the only ones.
func TestUpdateFeatures(t *testing.T) {
	r := dial(t, brokertest.New(t))
	for _, c := range []struct {
		feature string
		level   int16
		kind    int8
		want    wire.Code
	}{
		{"transaction.version", 2, 1, wire.None},
		{"transaction.version", 3, 1, wire.InvalidUpdateVersion},
		{"transaction.version", 0, 3, wire.InvalidUpdateVersion},
		{"transaction.version", 2, 0, wire.InvalidRequest},
		{"transaction.version", -1, 1, wire.InvalidRequest},
		{"metadata.version", 20, 1, wire.InvalidUpdateVersion},
		{"", 1, 1, wire.InvalidRequest},
	} {
		for v := int16(1); v <= 2; v++ {
			req := kmsg.NewPtrUpdateFeaturesRequest()
			u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
			u.Feature, u.MaxVersionLevel, u.UpgradeType = c.feature, c.level, c.kind
			req.FeatureUpdates = append(req.FeatureUpdates, u)
			resp := do[*kmsg.UpdateFeaturesResponse](r, v, req)
			code := resp.ErrorCode
			if v == 1 {
				code = resp.Results[0].ErrorCode
			}
			if wire.Code(code) != c.want {
				t.Errorf("v%d %+v: %v", v, c, wire.Code(code))
			}
		}
	}
	req := kmsg.NewPtrUpdateFeaturesRequest()
	if resp := do[*kmsg.UpdateFeaturesResponse](r, 2, req); wire.Code(resp.ErrorCode) != wire.InvalidRequest {
		t.Errorf("no feature: %v", wire.Code(resp.ErrorCode))
	}
}

// TestListConfigResources lists what has configs, by kind.
func TestListConfigResources(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	create(t, b, "t", 1, nil)
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeGroupConfig, "g"
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "consumer.session.timeout.ms", ptr("50000")
	rr.Configs = append(rr.Configs, c)
	alter.Resources = append(alter.Resources, rr)
	if code := do[*kmsg.IncrementalAlterConfigsResponse](r, 1, alter).Resources[0].ErrorCode; code != 0 {
		t.Fatal(wire.Code(code))
	}
	for _, c := range []struct {
		types []int8
		want  string
	}{
		{nil, "32 g, 4 1, 2 t"},
		{[]int8{2}, "2 t"},
		{[]int8{2, 32, 2}, "32 g, 2 t"},
		{[]int8{16, 8}, ""},
		{[]int8{2, 64}, "UNSUPPORTED_VERSION"},
	} {
		req := kmsg.NewPtrListConfigResourcesRequest()
		req.ResourceTypes = c.types
		resp := do[*kmsg.ListConfigResourcesResponse](r, 1, req)
		var names []string
		for _, res := range resp.ConfigResources {
			names = append(names, fmt.Sprint(res.Type, " ", res.Name))
		}
		got := strings.Join(names, ", ")
		if resp.ErrorCode != 0 {
			got = wire.Code(resp.ErrorCode).String() + got
		}
		if got != c.want {
			t.Errorf("types %v: %q, want %q", c.types, got, c.want)
		}
	}
}
