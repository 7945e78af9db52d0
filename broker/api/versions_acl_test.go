package api_test

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// aclCalls are requests to a broker that has no rules in force.
func aclCalls() map[int16]call {
	disabled := int16(wire.SecurityDisabled)
	return map[int16]call{
		29: on(func(_ *world, q *kmsg.DescribeACLsRequest) {
			q.ResourceType, q.ResourcePatternType, q.Operation, q.PermissionType = 1, 1, 1, 1
		}, func(_ *world, r *kmsg.DescribeACLsResponse) (int16, string) {
			return 0, want(r.ErrorCode, disabled)
		}),
		30: on(func(_ *world, q *kmsg.CreateACLsRequest) {
			q.Creations = append(q.Creations, kmsg.NewCreateACLsRequestCreation())
		}, func(_ *world, r *kmsg.CreateACLsResponse) (int16, string) {
			return 0, want(r.Results[0].ErrorCode, disabled)
		}),
		31: on(func(_ *world, q *kmsg.DeleteACLsRequest) {
			q.Filters = append(q.Filters, kmsg.NewDeleteACLsRequestFilter())
		}, func(_ *world, r *kmsg.DeleteACLsResponse) (int16, string) {
			return 0, want(r.Results[0].ErrorCode, disabled)
		}),
	}
}
