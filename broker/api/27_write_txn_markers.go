package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/wire"
)

// WriteTxnMarkers (key 27), versions 0–2 (KIP-98, KIP-664). Between Kafka's
// brokers it ends transactions; here the coordinator writes markers itself, and
// this is how an administrator ends one that hangs in a partition. As in Kafka
// the marker is written whether a transaction is open there or not, unless the
// producer has a newer epoch. Each partition is a write of its own.

func (h *Handlers) writeTxnMarkers(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.WriteTxnMarkersRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
		resp.Markers = make([]kmsg.WriteTxnMarkersResponseMarker, len(req.Markers))
		for i := range req.Markers {
			rm, sm := &req.Markers[i], &resp.Markers[i]
			sm.ProducerID = rm.ProducerID
			sm.Topics = make([]kmsg.WriteTxnMarkersResponseMarkerTopic, len(rm.Topics))
			for j := range rm.Topics {
				rt, st := &rm.Topics[j], &sm.Topics[j]
				st.Topic = rt.Topic
				for _, n := range rt.Partitions {
					sp := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
					sp.Partition, sp.ErrorCode = n, h.code(h.writeMarker(ctx, r, rm, rt.Topic, n))
					st.Partitions = append(st.Partitions, sp)
				}
			}
		}
		return resp, nil
	}, nil
}

// writeMarker writes one marker and waits for it.
func (h *Handlers) writeMarker(ctx context.Context, r *Request, rm *kmsg.WriteTxnMarkersRequestMarker, name string, partition int32) error {
	t, err := h.lookup(name, [16]byte{}, false)
	if err != nil {
		return err
	}
	log, err := h.log(ctx, t, partition)
	if err != nil {
		return err
	}
	known, _ := log.Producer(rm.ProducerID)
	switch {
	case rm.ProducerID < 0 || rm.ProducerEpoch < 0 || rm.CoordinatorEpoch < 0:
		return refuse(wire.InvalidRequest, "producer %d epoch %d, coordinator epoch %d", rm.ProducerID, rm.ProducerEpoch, rm.CoordinatorEpoch)
	case rm.ProducerEpoch < known.Epoch:
		return refuse(wire.InvalidProducerEpoch, "producer %d has epoch %d by now", rm.ProducerID, known.Epoch)
	}
	b, err := record.Marker{
		ProducerID: rm.ProducerID, ProducerEpoch: rm.ProducerEpoch, Commit: rm.Committed,
		CoordinatorEpoch: rm.CoordinatorEpoch, Timestamp: h.cfg.Now().UnixMilli(),
	}.Batch()
	if err != nil {
		return err
	}
	head, err := record.ParseHeader(b)
	if err != nil {
		return err
	}
	wait, err := h.cfg.Logs.Append(ctx, commitlog.Entry{Batches: []commitlog.Batch{{TP: log.TP(), Bytes: b, Header: head}}})
	if err == nil {
		_, err = wait(ctx)
	}
	if err == nil {
		h.lg.Warn("a transaction was ended by hand in one partition", "topic", name, "partition", partition,
			"producer_id", rm.ProducerID, "commit", rm.Committed, "client", r.ClientID, "remote", r.Conn.Remote)
	}
	return err
}
