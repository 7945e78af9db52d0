package trace

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Retries of a request, for the status codes that OTLP lets a client repeat.
const (
	maxTries = 4
	// firstPause doubles with each try.
	firstPause = 250 * time.Millisecond
	// warnEvery bounds the lines about a collector that does not answer.
	warnEvery = time.Minute
	// maxComplaint is what is read of a refusal.
	maxComplaint = 512
)

// send posts spans. What cannot be sent is counted and dropped: traces must not hold
// anything up.
func (t *Tracer) send(ctx context.Context, all []Span) {
	ctx, stop := context.WithTimeout(ctx, sendTimeout)
	defer stop()
	body := encode(t.cfg.Resource, all)
	pause := firstPause
	for try := 1; ; try++ {
		again, err := t.post(ctx, body)
		if err == nil {
			t.sent.Add(int64(len(all)))
			return
		}
		if again && try < maxTries && wait(ctx, pause) {
			pause *= 2
			continue
		}
		t.lost.Add(int64(len(all)))
		if now := time.Now(); now.Sub(t.warned) > warnEvery {
			t.warned = now
			t.cfg.Log.Warn("spans cannot be sent; they are dropped", "endpoint", t.cfg.Endpoint, "spans", len(all), "error", err)
		}
		return
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// post sends one request. again says that it may be repeated (OTLP specification,
// OTLP/HTTP response: 429, 502, 503, 504, and connections that break).
func (t *Tracer) post(ctx context.Context, body []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.cfg.Endpoint, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	for k, v := range t.cfg.Headers {
		req.Header.Set(k, v)
	}
	resp, err := t.cfg.Client.Do(req)
	if err != nil {
		return true, err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxComplaint))
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return false, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	return again, fmt.Errorf("%s: %.200s", resp.Status, text)
}

// encode writes an ExportTraceServiceRequest (opentelemetry/proto/collector/trace/v1,
// trace/v1, common/v1), by the numbers of its fields:
//
//	request: 1 resource_spans      resource_spans: 1 resource, 2 scope_spans
//	resource: 1 attributes         scope_spans: 1 scope, 2 spans
//	scope: 1 name                  attribute: 1 key, 2 value; value: 1 string, 3 int
//	span: 1 trace_id, 2 span_id, 4 parent_span_id, 5 name, 6 kind, 7 start and 8 end in
//	      Unix ns (fixed64), 9 attributes, 13 links, 15 status, 16 flags (fixed32)
//	link: 1 trace_id, 2 span_id, 6 flags; status: 2 message, 3 code
func encode(resource []Attr, all []Span) []byte {
	var res, scope, spans []byte
	for _, a := range resource {
		res = message(res, 1, attribute(a))
	}
	scope = text(scope, 1, "github.com/tarn-io/tarn")
	spans = message(spans, 1, scope)
	for i := range all {
		spans = message(spans, 2, all[i].encode())
	}
	var one []byte
	one = message(one, 1, res)
	one = message(one, 2, spans)
	return message(nil, 1, one)
}

// Flags of spans and links: sampled, and that it is known where the parent is from.
const (
	flagSampled     = 0x1
	flagParentKnown = 0x100
	flagParentFar   = 0x200
	statusError     = 2
)

func (s *Span) encode() []byte {
	b := text(nil, 1, string(s.TraceID[:]))
	b = text(b, 2, string(s.SpanID[:]))
	flags := uint32(flagSampled | flagParentKnown)
	if s.Parent.SpanID != [8]byte{} {
		b = text(b, 4, string(s.Parent.SpanID[:]))
		flags |= flagParentFar
	}
	b = text(b, 5, s.Name)
	b = protowire.AppendVarint(protowire.AppendTag(b, 6, protowire.VarintType), uint64(s.Kind))
	b = protowire.AppendFixed64(protowire.AppendTag(b, 7, protowire.Fixed64Type), uint64(s.Begun.UnixNano()))
	b = protowire.AppendFixed64(protowire.AppendTag(b, 8, protowire.Fixed64Type), uint64(s.Ended.UnixNano()))
	for _, a := range s.Attrs {
		b = message(b, 9, attribute(a))
	}
	for _, l := range s.Links {
		link := text(text(nil, 1, string(l.TraceID[:])), 2, string(l.SpanID[:]))
		link = protowire.AppendFixed32(protowire.AppendTag(link, 6, protowire.Fixed32Type), flagSampled|flagParentKnown|flagParentFar)
		b = message(b, 13, link)
	}
	if s.Error != "" {
		status := text(nil, 2, s.Error)
		b = message(b, 15, protowire.AppendVarint(protowire.AppendTag(status, 3, protowire.VarintType), statusError))
	}
	return protowire.AppendFixed32(protowire.AppendTag(b, 16, protowire.Fixed32Type), flags)
}

func attribute(a Attr) []byte {
	b := text(nil, 1, a.Key)
	switch v := a.Value.(type) {
	case int64:
		return message(b, 2, protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), uint64(v)))
	default:
		return message(b, 2, text(nil, 1, fmt.Sprint(v)))
	}
}

func text(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func message(b []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}
