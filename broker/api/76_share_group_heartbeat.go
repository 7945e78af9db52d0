package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/share"
)

// ShareGroupHeartbeat (key 76), version 1 (KIP-932): a member of a share group
// joins with epoch 0, leaves with -1, and is told its assignment. The coordinator
// in broker/share speaks kmsg itself.

func (h *Handlers) shareGroupHeartbeat(_ context.Context, r *Request) (Reply, error) {
	c := r.client()
	return Reply(h.cfg.Shares.Heartbeat(share.Client{ID: c.ID, Host: c.Host}, r.Body.(*kmsg.ShareGroupHeartbeatRequest))), nil
}
