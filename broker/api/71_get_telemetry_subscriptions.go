package api

import (
	"context"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/telemetry"
)

// GetTelemetrySubscriptions (key 71), version 0 (KIP-714): which metrics a client
// is to push, and how often. Nothing is asked of clients that no subscription
// chooses. Numbers are wanted as totals, not as increments as by Kafka: the last
// push is all that is kept, and has to say something by itself.

func (h *Handlers) getTelemetrySubscriptions(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.GetTelemetrySubscriptionsRequest)
	resp := req.ResponseKind().(*kmsg.GetTelemetrySubscriptionsResponse)
	resp.AcceptedCompressionTypes, resp.RequestedMetrics = []int8{}, []string{}
	id := telemetry.ID(req.ClientInstanceID)
	if id == (telemetry.ID{}) {
		id = telemetry.NewID()
	}
	r.Conn.Instance = id
	s, err := h.cfg.Telemetry.Subscribe(id, clientOf(r))
	if err != nil {
		resp.ErrorCode = h.code(err)
		return now(resp)
	}
	resp.ClientInstanceID, resp.SubscriptionID = s.Client, s.ID
	for _, c := range telemetry.Codecs() {
		resp.AcceptedCompressionTypes = append(resp.AcceptedCompressionTypes, int8(c))
	}
	resp.PushIntervalMillis, resp.TelemetryMaxBytes = int32(s.Interval.Milliseconds()), telemetry.MaxBytes
	resp.RequestedMetrics = append(resp.RequestedMetrics, s.Metrics...)
	return now(resp)
}

// clientOf says who sent a request, as subscriptions look at it.
func clientOf(r *Request) telemetry.Client {
	host, port, err := net.SplitHostPort(r.Conn.Remote)
	if err != nil {
		host = r.Conn.Remote
	}
	return telemetry.Client{
		ID: Clip(r.ClientID), Software: r.Conn.Software, SoftwareVersion: r.Conn.SoftwareVersion,
		User: r.user, Host: host, Port: port,
	}
}
