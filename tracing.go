package main

import (
	"context"
	"io"
	"os"

	"github.com/tarn-io/tarn/broker/trace"
)

// traceFlags say where spans go.
type traceFlags struct {
	TraceEndpoint string `name:"trace.endpoint" placeholder:"URL" help:"OpenTelemetry collector to which spans of traced records go, by OTLP over HTTP, such as http://localhost:4318; default: what OTEL_EXPORTER_OTLP_ENDPOINT says, else none."`
}

// openTracer makes the tracer, if one is asked for.
func (n *node) openTracer() (err error) {
	lg := n.lg.With("component", "trace")
	n.tracer, err = trace.FromEnvironment(os.Getenv, n.cmd.TraceEndpoint, version, lg)
	return err
}

// trace sends spans from now on, also those of the end: what it returns waits until
// they are sent.
func (n *node) trace(ctx context.Context) (stop func()) {
	if !n.tracer.On() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.tracer.Run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// writeTraces writes what became of spans, if any are sent.
func (n *node) writeTraces(w io.Writer) {
	if !n.tracer.On() {
		return
	}
	sent, lost := n.tracer.Counts()
	f := &metricFamily{name: "tarn_trace_spans_total", kind: "counter", help: "Spans, by what became of them."}
	f.add(sent, "result", "sent")
	f.add(lost, "result", "lost")
	writeFamilies(w, f)
}
