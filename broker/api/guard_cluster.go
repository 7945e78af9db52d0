package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
)

func configGuards() map[int16]guard {
	return map[int16]guard{
		32: rule(guardDescribeConfigs), 33: rule(guardAlterConfigs), 44: rule(guardIncrementalConfigs),
		74: rule(func(_ *Handlers, a *asker, _ *kmsg.ListConfigResourcesRequest, r *kmsg.ListConfigResourcesResponse) (bool, func(*kmsg.ListConfigResourcesResponse)) {
			r.ErrorCode = noCluster
			return !a.mayCluster(acl.DescribeConfigs), nil
		}),
	}
}

// mayConfig judges a resource with configs and gives the code of a refusal.
func (a *asker) mayConfig(op acl.Operation, kind kmsg.ConfigResourceType, name string) int16 {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		if !a.may(op, acl.Topic, name) {
			return noTopic
		}
	case kmsg.ConfigResourceTypeGroupConfig:
		if !a.mayGroup(op, name) {
			return noGroup
		}
	default: // broker, its loggers, client metrics
		if !a.mayCluster(op) {
			return noCluster
		}
	}
	return 0
}

func guardDescribeConfigs(_ *Handlers, a *asker, q *kmsg.DescribeConfigsRequest, _ *kmsg.DescribeConfigsResponse) (bool, func(*kmsg.DescribeConfigsResponse)) {
	var denied []kmsg.DescribeConfigsResponseResource
	keep(&q.Resources, func(rr *kmsg.DescribeConfigsRequestResource) bool {
		code := a.mayConfig(acl.DescribeConfigs, rr.ResourceType, rr.ResourceName)
		if code == 0 {
			return true
		}
		sr := kmsg.NewDescribeConfigsResponseResource()
		sr.ResourceType, sr.ResourceName, sr.ErrorCode, sr.ErrorMessage = rr.ResourceType, rr.ResourceName, code, refusalText(code)
		sr.Configs = []kmsg.DescribeConfigsResponseResourceConfig{}
		denied = append(denied, sr)
		return false
	})
	return false, func(r *kmsg.DescribeConfigsResponse) { r.Resources = append(r.Resources, denied...) }
}

func guardAlterConfigs(_ *Handlers, a *asker, q *kmsg.AlterConfigsRequest, _ *kmsg.AlterConfigsResponse) (bool, func(*kmsg.AlterConfigsResponse)) {
	var denied []kmsg.AlterConfigsResponseResource
	keep(&q.Resources, func(rr *kmsg.AlterConfigsRequestResource) bool {
		code := a.mayConfig(acl.AlterConfigs, rr.ResourceType, rr.ResourceName)
		if code == 0 {
			return true
		}
		sr := kmsg.NewAlterConfigsResponseResource()
		sr.ResourceType, sr.ResourceName, sr.ErrorCode, sr.ErrorMessage = rr.ResourceType, rr.ResourceName, code, refusalText(code)
		denied = append(denied, sr)
		return false
	})
	return false, func(r *kmsg.AlterConfigsResponse) { r.Resources = append(r.Resources, denied...) }
}

func guardIncrementalConfigs(_ *Handlers, a *asker, q *kmsg.IncrementalAlterConfigsRequest, _ *kmsg.IncrementalAlterConfigsResponse) (bool, func(*kmsg.IncrementalAlterConfigsResponse)) {
	var denied []kmsg.IncrementalAlterConfigsResponseResource
	keep(&q.Resources, func(rr *kmsg.IncrementalAlterConfigsRequestResource) bool {
		code := a.mayConfig(acl.AlterConfigs, rr.ResourceType, rr.ResourceName)
		if code == 0 {
			return true
		}
		sr := kmsg.NewIncrementalAlterConfigsResponseResource()
		sr.ResourceType, sr.ResourceName, sr.ErrorCode, sr.ErrorMessage = rr.ResourceType, rr.ResourceName, code, refusalText(code)
		denied = append(denied, sr)
		return false
	})
	return false, func(r *kmsg.IncrementalAlterConfigsResponse) { r.Resources = append(r.Resources, denied...) }
}

// clusterRule is the guard of a request that wants one operation on the cluster,
// whole; refuse fills in the answer.
func clusterRule[Q kmsg.Request, R kmsg.Response](op acl.Operation, refuse func(q Q, r R)) guard {
	return rule(func(_ *Handlers, a *asker, q Q, r R) (bool, func(R)) {
		if a.mayCluster(op) {
			return false, nil
		}
		refuse(q, r)
		return true, nil
	})
}

func clusterGuards() map[int16]guard {
	return map[int16]guard{
		29: clusterRule(acl.Describe, func(_ *kmsg.DescribeACLsRequest, r *kmsg.DescribeACLsResponse) {
			r.ErrorCode, r.ErrorMessage = noCluster, refusalText(noCluster)
		}),
		30: clusterRule(acl.Alter, func(q *kmsg.CreateACLsRequest, r *kmsg.CreateACLsResponse) {
			for range q.Creations {
				s := kmsg.NewCreateACLsResponseResult()
				s.ErrorCode, s.ErrorMessage = noCluster, refusalText(noCluster)
				r.Results = append(r.Results, s)
			}
		}),
		31: clusterRule(acl.Alter, func(q *kmsg.DeleteACLsRequest, r *kmsg.DeleteACLsResponse) {
			for range q.Filters {
				s := kmsg.NewDeleteACLsResponseResult()
				s.ErrorCode, s.ErrorMessage = noCluster, refusalText(noCluster)
				r.Results = append(r.Results, s)
			}
		}),
		34: clusterRule(acl.Alter, refuseLogDirs),
		35: clusterRule(acl.Describe, func(_ *kmsg.DescribeLogDirsRequest, r *kmsg.DescribeLogDirsResponse) { r.ErrorCode = noCluster }),
		43: clusterRule(acl.Alter, refuseElection),
		45: clusterRule(acl.Alter, func(_ *kmsg.AlterPartitionAssignmentsRequest, r *kmsg.AlterPartitionAssignmentsResponse) {
			r.ErrorCode, r.ErrorMessage = noCluster, refusalText(noCluster)
		}),
		46: clusterRule(acl.Describe, func(_ *kmsg.ListPartitionReassignmentsRequest, r *kmsg.ListPartitionReassignmentsResponse) {
			r.ErrorCode, r.ErrorMessage = noCluster, refusalText(noCluster)
		}),
		48: clusterRule(acl.DescribeConfigs, func(_ *kmsg.DescribeClientQuotasRequest, r *kmsg.DescribeClientQuotasResponse) {
			r.ErrorCode, r.ErrorMessage = noCluster, refusalText(noCluster)
		}),
		49: clusterRule(acl.AlterConfigs, refuseQuotas),
		50: clusterRule(acl.Describe, func(_ *kmsg.DescribeUserSCRAMCredentialsRequest, r *kmsg.DescribeUserSCRAMCredentialsResponse) {
			r.ErrorCode, r.ErrorMessage = noCluster, refusalText(noCluster)
		}),
		51: clusterRule(acl.Alter, refuseScram),
		57: clusterRule(acl.Alter, func(_ *kmsg.UpdateFeaturesRequest, r *kmsg.UpdateFeaturesResponse) {
			r.ErrorCode, r.ErrorMessage = noCluster, refusalText(noCluster)
		}),
		60: rule(func(_ *Handlers, a *asker, q *kmsg.DescribeClusterRequest, _ *kmsg.DescribeClusterResponse) (bool, func(*kmsg.DescribeClusterResponse)) {
			return false, func(r *kmsg.DescribeClusterResponse) {
				if q.IncludeClusterAuthorizedOperations {
					r.ClusterAuthorizedOperations = a.clusterOperations()
				}
			}
		}),
	}
}

// refuseElection puts the code where a version has room for it.
func refuseElection(q *kmsg.ElectLeadersRequest, r *kmsg.ElectLeadersResponse) {
	if r.ErrorCode = noCluster; q.Version > 0 {
		return
	}
	for _, rt := range q.Topics {
		st := kmsg.NewElectLeadersResponseTopic()
		st.Topic = rt.Topic
		for _, n := range rt.Partitions {
			sp := kmsg.NewElectLeadersResponseTopicPartition()
			sp.Partition, sp.ErrorCode, sp.ErrorMessage = n, noCluster, refusalText(noCluster)
			st.Partitions = append(st.Partitions, sp)
		}
		r.Topics = append(r.Topics, st)
	}
}

func refuseLogDirs(q *kmsg.AlterReplicaLogDirsRequest, r *kmsg.AlterReplicaLogDirsResponse) {
	for _, d := range q.Dirs {
		for _, rt := range d.Topics {
			st := kmsg.NewAlterReplicaLogDirsResponseTopic()
			st.Topic = rt.Topic
			for _, n := range rt.Partitions {
				sp := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
				sp.Partition, sp.ErrorCode = n, noCluster
				st.Partitions = append(st.Partitions, sp)
			}
			r.Topics = append(r.Topics, st)
		}
	}
}

func refuseQuotas(q *kmsg.AlterClientQuotasRequest, r *kmsg.AlterClientQuotasResponse) {
	for _, e := range q.Entries {
		s := kmsg.NewAlterClientQuotasResponseEntry()
		s.ErrorCode, s.ErrorMessage = noCluster, refusalText(noCluster)
		for _, part := range e.Entity {
			sp := kmsg.NewAlterClientQuotasResponseEntryEntity()
			sp.Type, sp.Name = part.Type, part.Name
			s.Entity = append(s.Entity, sp)
		}
		r.Entries = append(r.Entries, s)
	}
}

func refuseScram(q *kmsg.AlterUserSCRAMCredentialsRequest, r *kmsg.AlterUserSCRAMCredentialsResponse) {
	seen := map[string]bool{}
	add := func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		s := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		s.User, s.ErrorCode, s.ErrorMessage = name, noCluster, refusalText(noCluster)
		r.Results = append(r.Results, s)
	}
	for _, d := range q.Deletions {
		add(d.Name)
	}
	for _, u := range q.Upsertions {
		add(u.Name)
	}
}
