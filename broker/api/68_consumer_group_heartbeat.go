package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ConsumerGroupHeartbeat (key 68), versions 0–1: the whole membership of a
// consumer group, joining and leaving included (KIP-848). Version 1 adds regular
// expressions, and members that name themselves (KIP-1082).

func (h *Handlers) consumerGroupHeartbeat(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Groups.ConsumerHeartbeat(r.client(), r.Body.(*kmsg.ConsumerGroupHeartbeatRequest))), nil
}
