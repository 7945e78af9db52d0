package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/telemetry"
)

// PushTelemetry (key 72), version 0 (KIP-714): a client's metrics. They are
// judged in Kafka's order: the client's id, an end that was said before, the
// time since the last push, the subscription, the codec, the size.

func (h *Handlers) pushTelemetry(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.PushTelemetryRequest)
	resp := req.ResponseKind().(*kmsg.PushTelemetryResponse)
	r.Conn.Instance = req.ClientInstanceID
	err := h.cfg.Telemetry.Push(r.Conn.Instance, clientOf(r), req.SubscriptionID, req.Terminating,
		record.Codec(req.CompressionType), req.Metrics)
	resp.ErrorCode = int16(codeOf(err))
	return now(resp)
}

// Left says that a client's connection has ended.
func (h *Handlers) Left(c *Conn) {
	if c.Instance != (telemetry.ID{}) {
		h.cfg.Telemetry.Left(c.Instance)
	}
}
