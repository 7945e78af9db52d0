package api

import (
	"strconv"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/trace"
	"github.com/tarn-io/tarn/broker/wire"
)

// traced is which producers' traces a batch is part of.
type traced struct {
	topic string
	from  []trace.Context
	begun time.Time
}

// traced looks for traces in the records of a batch: not at all unless somebody
// traces. What cannot be read is refused elsewhere, and has none.
func (h *Handlers) traced(t *topic.Topic, b []byte) traced {
	if !h.cfg.Tracer.On() {
		return traced{}
	}
	out := traced{topic: t.Name, begun: time.Now()}
	rd := h.readers.Get().(*record.Reader)
	defer h.readers.Put(rd)
	if rd.Reset(b, unpackLimit(t)) != nil {
		return out
	}
	var set trace.Set
	for rd.Next() {
		set.Look(rd.Record())
	}
	out.from = set.All()
	return out
}

// trace sends a span for each trace that a batch is part of: from when it had come
// until it was durable, or refused.
func (h *Handlers) trace(p *produced) {
	for _, parent := range p.traced.from {
		s := trace.Span{
			Parent: parent, Name: "store " + p.traced.topic, Kind: trace.Server, Begun: p.traced.begun, Ended: time.Now(),
			Attrs: []trace.Attr{
				{Key: "messaging.system", Value: "kafka"}, {Key: "messaging.operation.name", Value: "store"},
				{Key: "messaging.destination.name", Value: p.traced.topic},
				{Key: "messaging.destination.partition.id", Value: strconv.Itoa(int(p.resp.Partition))}, // a text by the conventions
				{Key: "messaging.batch.message_count", Value: int64(p.records)},
			},
		}
		if p.err == nil {
			s.Attrs = append(s.Attrs, trace.Attr{Key: "messaging.kafka.offset", Value: p.resp.BaseOffset})
		} else {
			code := wire.Code(p.resp.ErrorCode).Name()
			s.Error = code + ": " + p.err.Error()
			s.Attrs = append(s.Attrs, trace.Attr{Key: "error.type", Value: code})
		}
		h.cfg.Tracer.Emit(s)
	}
}
