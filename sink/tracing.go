package sink

import (
	"time"

	"github.com/tarn-io/tarn/broker/trace"
)

// traceCommit sends spans for a commit of records that are part of traces: one of its
// own, which links to all of them, and one in each, which links to that.
func (s *sink) traceCommit(e *entry, m *member, begun time.Time, err error) {
	if !s.tracer.On() || len(e.traces) == 0 {
		return
	}
	own := trace.Span{
		Context: trace.Start(trace.Context{}), Links: e.traces, Name: "commit " + s.topic.Table, Kind: trace.Internal,
		Begun: begun, Ended: s.now(),
		Attrs: []trace.Attr{
			{Key: "messaging.system", Value: "kafka"}, {Key: "messaging.operation.name", Value: "commit"},
			{Key: "messaging.destination.name", Value: s.topic.Name}, {Key: "tarn.table.name", Value: s.topic.Table},
			{Key: "tarn.table.format", Value: m.name}, {Key: "tarn.table.commit.id", Value: e.ID},
			{Key: "tarn.table.rows", Value: e.Rows}, {Key: "tarn.table.dead_letters", Value: e.Dead},
		},
	}
	if err != nil {
		own.Error = err.Error()
	}
	s.tracer.Emit(own)
	for _, parent := range e.traces {
		in := own
		in.Context, in.Parent, in.Links = trace.Context{}, parent, []trace.Context{own.Context}
		s.tracer.Emit(in)
	}
}
