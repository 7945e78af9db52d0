package api_test

import "github.com/twmb/franz-go/pkg/kmsg"

func consumerCalls() map[int16]call {
	return map[int16]call{
		68: on(func(w *world, q *kmsg.ConsumerGroupHeartbeatRequest) {
			q.Group, q.MemberID, q.RebalanceTimeoutMillis = w.fresh, "m", 10_000
			q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
			q.SubscribedTopicNames = []string{w.topic.Name}
			if w.version >= 1 {
				q.SubscribedTopicNames = nil
				q.SubscribedTopicRegex = &w.topic.Name
			}
		}, func(w *world, r *kmsg.ConsumerGroupHeartbeatResponse) (int16, string) {
			if r.Assignment == nil || len(r.Assignment.Topics) != 1 {
				return r.ErrorCode, "the only member has not got the topic"
			}
			return r.ErrorCode, want(r.Assignment.Topics[0].TopicID, [16]byte(w.topic.ID))
		}),
		69: on(func(w *world, q *kmsg.ConsumerGroupDescribeRequest) { q.Groups = []string{"every"} },
			func(_ *world, r *kmsg.ConsumerGroupDescribeResponse) (int16, string) {
				return 0, want(r.Groups[0].ErrorCode, 69) // it is a classic one
			}),
	}
}
