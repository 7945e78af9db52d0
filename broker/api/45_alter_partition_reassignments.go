package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// AlterPartitionReassignments (key 45), versions 0–1 (KIP-455, KIP-860). A
// partition can only be assigned to this broker, where it is; there is never a
// reassignment to cancel.

func (h *Handlers) alterPartitionReassignments(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.AlterPartitionAssignmentsRequest)
	resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	resp.Topics = []kmsg.AlterPartitionAssignmentsResponseTopic{}
	for _, rt := range req.Topics {
		st := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		st.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			err := h.exists(rt.Topic, rp.Partition)
			if err == nil {
				err = checkReassignment(rp.Replicas)
			}
			sp := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			sp.Partition, sp.ErrorCode, sp.ErrorMessage = rp.Partition, h.code(err), message(err)
			st.Partitions = append(st.Partitions, sp)
		}
		resp.Topics = append(resp.Topics, st)
	}
	return now(resp)
}

// checkReassignment looks at the replicas that a partition is to have. Null cancels.
func checkReassignment(replicas []int32) error {
	if replicas == nil {
		return refuse(wire.NoReassignmentInProgress, "no reassignment is in progress")
	}
	if len(replicas) == 0 {
		return refuse(wire.InvalidReplicaAssignment, "the list of replicas is empty")
	}
	for i, id := range replicas {
		if id != NodeID {
			return refuse(wire.InvalidReplicaAssignment, "broker %d does not exist, %d is the only one", id, NodeID)
		}
		if i > 0 {
			return refuse(wire.InvalidReplicaAssignment, "broker %d stands twice", id)
		}
	}
	return nil
}
