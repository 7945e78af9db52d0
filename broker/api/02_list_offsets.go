package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// ListOffsets (key 2), versions 0–11. Special timestamps: -1 latest, -2
// earliest, -3 maximum timestamp (KIP-734), -4 earliest local, -5 latest
// tiered (KIP-405), -6 earliest pending upload (KIP-1023). There are no tiers:
// -4 is -2, and -5 and -6 are not there. Any other timestamp asks for the first
// record with at least that timestamp. A special timestamp in a version older
// than itself is refused. Version 0 answers a list of offsets.

func (h *Handlers) listOffsets(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.ListOffsetsRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		twice := askedTwice(req)
		for i := range req.Topics {
			rt := &req.Topics[i]
			st := kmsg.NewListOffsetsResponseTopic()
			st.Topic = rt.Topic
			t, err := h.lookup(rt.Topic, [16]byte{}, false)
			for j := range rt.Partitions {
				perr := err
				if twice[partitionKey{name: rt.Topic, partition: rt.Partitions[j].Partition}] {
					perr = refuse(wire.InvalidRequest, "the partition stands there twice")
				}
				st.Partitions = append(st.Partitions, h.listOffset(ctx, req, t, perr, &rt.Partitions[j]))
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil
	}, nil
}

// askedTwice lists the partitions that a request names more than once: which of
// its timestamps would be meant? Kafka refuses them, too.
func askedTwice(req *kmsg.ListOffsetsRequest) map[partitionKey]bool {
	seen, twice := map[partitionKey]bool{}, map[partitionKey]bool{}
	for i := range req.Topics {
		for _, p := range req.Topics[i].Partitions {
			k := partitionKey{name: req.Topics[i].Topic, partition: p.Partition}
			twice[k], seen[k] = seen[k], true
		}
	}
	return twice
}

func (h *Handlers) listOffset(ctx context.Context, req *kmsg.ListOffsetsRequest, t *topic.Topic, err error, p *kmsg.ListOffsetsRequestTopicPartition) kmsg.ListOffsetsResponseTopicPartition {
	sp := kmsg.NewListOffsetsResponseTopicPartition()
	sp.Partition, sp.Timestamp, sp.Offset, sp.LeaderEpoch = p.Partition, -1, -1, -1
	sp.OldStyleOffsets = []int64{}
	if err == nil {
		err = checkEpoch(p.CurrentLeaderEpoch)
	}
	var log *commitlog.Log
	if err == nil {
		log, err = h.log(ctx, t, p.Partition)
	}
	var f commitlog.Found
	var ok bool
	if err == nil {
		f, ok, err = h.find(ctx, req, t, log, p.Timestamp)
	}
	switch {
	case err != nil:
		sp.ErrorCode = h.code(err)
	case ok:
		sp.Offset, sp.Timestamp, sp.LeaderEpoch = f.Offset, f.TimestampMs, leaderEpoch
		if req.Version == 0 {
			sp.OldStyleOffsets = oldOffsets(log, f.Offset, p)
		}
	}
	return sp
}

// find resolves one timestamp.
func (h *Handlers) find(ctx context.Context, req *kmsg.ListOffsetsRequest, t *topic.Topic, log *commitlog.Log, ts int64) (commitlog.Found, bool, error) {
	start, limit := log.Bounds()
	if req.IsolationLevel == 1 {
		limit = log.LastStable()
	}
	if err := askable(ts, req.Version); err != nil {
		return commitlog.Found{}, false, err
	}
	if ts >= 0 || ts == -3 {
		room, err := unpack(ctx, h.rereads, unpackLimit(t)) // which batches is not known yet
		if err != nil {
			return commitlog.Found{}, false, err
		}
		defer room.release()
	}
	switch ts {
	case -1:
		return commitlog.Found{Offset: limit, TimestampMs: -1}, true, nil
	case -2, -4:
		return commitlog.Found{Offset: start, TimestampMs: -1}, true, nil
	case -3:
		return log.MaxTime(ctx, limit, unpackLimit(t))
	case -5, -6:
		return commitlog.Found{}, false, nil
	}
	return log.AtTime(ctx, ts, limit, unpackLimit(t))
}

// askable refuses special timestamps that have no meaning in a version.
func askable(ts int64, version int16) error {
	since := [...]int16{3: 7, 4: 8, 5: 9, 6: 11} // by negated timestamp
	switch {
	case ts >= 0:
		return nil
	case ts <= -int64(len(since)):
		return refuse(wire.UnsupportedVersion, "timestamp %d has no meaning", ts)
	case version < since[-ts]:
		return refuse(wire.UnsupportedVersion, "timestamp %d needs version %d", ts, since[-ts])
	}
	return nil
}

// oldOffsets answers version 0, which listed segment boundaries from the newest
// down: the log is one segment, so they are its end and its start.
func oldOffsets(log *commitlog.Log, found int64, p *kmsg.ListOffsetsRequestTopicPartition) []int64 {
	out := []int64{found}
	if start := log.Start(); p.Timestamp == -1 && p.MaxNumOffsets > 1 && start != found {
		out = append(out, start)
	}
	return out
}
