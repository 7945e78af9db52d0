package api

import (
	"context"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// DescribeTopicPartitions (key 75), version 0 (KIP-966): pages through topics
// in name order; the cursor names the topic and partition to begin with.

// maxDescribedPartitions is Kafka's max.request.partition.size.limit.
const maxDescribedPartitions = 2000

func (h *Handlers) describeTopicPartitions(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DescribeTopicPartitionsRequest)
	if c := req.Cursor; c != nil && (c.Partition < 0 || !asksFor(req, c.Topic)) {
		return now(badCursor(req))
	}
	return func(context.Context) (kmsg.Response, error) { return h.describeTopics(req), nil }, nil
}

// asksFor reports whether a request is about a topic: it names it, or all.
func asksFor(req *kmsg.DescribeTopicPartitionsRequest, topic string) bool {
	return len(req.Topics) == 0 || slices.ContainsFunc(req.Topics, func(t kmsg.DescribeTopicPartitionsRequestTopic) bool { return t.Topic == topic })
}

// badCursor answers every topic asked for with the error: there is no place for
// one of the whole request.
func badCursor(req *kmsg.DescribeTopicPartitionsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	for i := range req.Topics {
		st := kmsg.NewDescribeTopicPartitionsResponseTopic()
		st.Topic, st.ErrorCode = &req.Topics[i].Topic, int16(wire.InvalidRequest)
		resp.Topics = append(resp.Topics, st)
	}
	return resp
}

func (h *Handlers) describeTopics(req *kmsg.DescribeTopicPartitionsRequest) *kmsg.DescribeTopicPartitionsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	left := min(maxDescribedPartitions, max(1, int(req.ResponsePartitionLimit)))
	resp.Topics = []kmsg.DescribeTopicPartitionsResponseTopic{}
	for _, name := range h.namesToDescribe(req) {
		if left <= 0 {
			c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
			c.Topic = name
			resp.NextCursor = &c
			break
		}
		t, err := h.lookup(name, [16]byte{}, false)
		if nameErr := topic.CheckName(name); nameErr != nil {
			err = nameErr
		}
		if err != nil {
			st := kmsg.NewDescribeTopicPartitionsResponseTopic()
			st.Topic, st.ErrorCode = &name, h.code(err)
			st.Partitions = []kmsg.DescribeTopicPartitionsResponseTopicPartition{}
			resp.Topics = append(resp.Topics, st)
			continue
		}
		first := int32(0)
		if c := req.Cursor; c != nil && c.Topic == name {
			first = c.Partition
		}
		st, next := describePartitions(t, first, left)
		resp.Topics = append(resp.Topics, st)
		left -= len(st.Partitions)
		if next < t.Partitions {
			c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
			c.Topic, c.Partition = name, next
			resp.NextCursor = &c
			break
		}
	}
	return resp
}

// namesToDescribe lists the names asked for, or all, from the cursor on.
func (h *Handlers) namesToDescribe(req *kmsg.DescribeTopicPartitionsRequest) []string {
	var names []string
	for _, t := range req.Topics {
		names = append(names, t.Topic)
	}
	if len(names) == 0 {
		for _, t := range h.cfg.Topics.View().All() {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if req.Cursor != nil {
		i, _ := slices.BinarySearchFunc(names, req.Cursor.Topic, strings.Compare)
		names = names[i:]
	}
	return names
}

// describePartitions describes up to most partitions of t from first on and
// returns the number of the one that comes next.
func describePartitions(t *topic.Topic, first int32, most int) (kmsg.DescribeTopicPartitionsResponseTopic, int32) {
	st := kmsg.NewDescribeTopicPartitionsResponseTopic()
	st.IsInternal = topic.Internal(t.Name)
	st.Topic, st.TopicID, st.AuthorizedOperations = &t.Name, t.ID, topicOperations
	st.Partitions = []kmsg.DescribeTopicPartitionsResponseTopicPartition{}
	i := first
	for ; i < t.Partitions && len(st.Partitions) < most; i++ {
		p := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		p.Partition, p.LeaderID, p.LeaderEpoch = i, NodeID, leaderEpoch
		p.Replicas, p.ISR = []int32{NodeID}, []int32{NodeID}
		p.EligibleLeaderReplicas, p.LastKnownELR, p.OfflineReplicas = []int32{}, []int32{}, []int32{}
		st.Partitions = append(st.Partitions, p)
	}
	return st, i
}
