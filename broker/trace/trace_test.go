package trace

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const parentText = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// TestParse reads W3C's examples and what breaks its rules.
func TestParse(t *testing.T) {
	for text, want := range map[string]bool{
		parentText: true,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00":      false, // not sampled
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03":      true,
		"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what": true, // of the future
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what": false,
		"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":      false,
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01":      false,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01":      false,
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01":      false,
		"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01":      false,
		"00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":      false,
		"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what": false,
		"":   false,
		"00": false,
	} {
		c, ok := Parse([]byte(text))
		if ok != want {
			t.Errorf("%q: %v, want %v", text, ok, want)
		}
		if ok && (hex.EncodeToString(c.TraceID[:]) != text[3:35] || hex.EncodeToString(c.SpanID[:]) != text[36:52]) {
			t.Errorf("%q: got %x %x", text, c.TraceID, c.SpanID)
		}
	}
}

// FuzzParse wants what is taken to be what is written again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(parentText))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := Parse(b)
		if ok && (hex.EncodeToString(c.TraceID[:]) != string(b[3:35]) || hex.EncodeToString(c.SpanID[:]) != string(b[36:52])) {
			t.Errorf("%q: got %x %x", b, c.TraceID, c.SpanID)
		}
	})
}

// collector is a collector's side of OTLP over HTTP. It refuses the first requests
// with a code, if there is one.
func collector(t *testing.T, codes ...int) (url string, got <-chan *otlp.TracesData, asked <-chan http.Header) {
	out, headers := make(chan *otlp.TracesData, 100), make(chan http.Header, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		// An ExportTraceServiceRequest has TracesData's one field.
		var data otlp.TracesData
		if err == nil {
			err = proto.UnmarshalOptions{DiscardUnknown: false}.Unmarshal(b, &data)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || len(data.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("request %s, %v: %v", r.URL, r.Header, err)
		}
		headers <- r.Header
		if len(codes) > 0 {
			code := codes[0]
			codes = codes[1:]
			http.Error(w, "later", code)
			return
		}
		out <- &data
	}))
	t.Cleanup(s.Close)
	return s.URL, out, headers
}

func environment(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

// TestSend sends spans to a collector, which reads them by OpenTelemetry's own types.
func TestSend(t *testing.T) {
	url, got, asked := collector(t, http.StatusServiceUnavailable)
	tr, err := FromEnvironment(environment(map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b,x=y",
		"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test", "OTEL_SERVICE_NAME": "lake",
	}), "", "1.2.3", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); tr.Run(ctx) }()
	parent, _ := Parse([]byte(parentText))
	begun := time.Unix(1_700_000_000, 5)
	tr.Emit(Span{Parent: parent, Name: "store orders", Kind: Server, Begun: begun, Ended: begun.Add(time.Second), Attrs: []Attr{{"rows", int64(-3)}, {"topic", "orders"}}})
	tr.Emit(Span{Name: "commit orders", Kind: Internal, Begun: begun, Ended: begun, Links: []Context{parent}, Error: "disk full"})
	stop() // what waits is sent before it ends
	<-ended
	if h := <-asked; h.Get("Api-Key") != "a b" || h.Get("X") != "y" {
		t.Errorf("headers %v", h)
	}
	rs := (<-got).ResourceSpans[0]
	resource := map[string]string{}
	for _, a := range rs.Resource.Attributes {
		resource[a.Key] = a.Value.GetStringValue()
	}
	if resource["service.name"] != "lake" || resource["service.version"] != "1.2.3" || resource["deployment.environment"] != "test" {
		t.Errorf("resource %v", resource)
	}
	spans := rs.ScopeSpans[0].Spans
	if len(spans) != 2 || rs.ScopeSpans[0].Scope.Name == "" {
		t.Fatalf("%d spans, scope %v", len(spans), rs.ScopeSpans[0].Scope)
	}
	s := spans[0]
	if string(s.TraceId) != string(parent.TraceID[:]) || string(s.ParentSpanId) != string(parent.SpanID[:]) || len(s.SpanId) != 8 ||
		s.Name != "store orders" || s.Kind != otlp.Span_SPAN_KIND_SERVER || s.StartTimeUnixNano != uint64(begun.UnixNano()) ||
		s.EndTimeUnixNano != uint64(begun.Add(time.Second).UnixNano()) || s.Status != nil || s.Flags != 0x301 {
		t.Errorf("span %v", s)
	}
	if len(s.Attributes) != 2 || s.Attributes[0].Key != "rows" || s.Attributes[0].Value.GetIntValue() != -3 || s.Attributes[1].Value.GetStringValue() != "orders" {
		t.Errorf("attributes %v", s.Attributes)
	}
	s = spans[1]
	if len(s.TraceId) != 16 || len(s.ParentSpanId) != 0 || len(s.Links) != 1 || string(s.Links[0].SpanId) != string(parent.SpanID[:]) ||
		string(s.Links[0].TraceId) != string(parent.TraceID[:]) || s.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR || s.Status.GetMessage() != "disk full" || s.Flags != 0x101 {
		t.Errorf("span %v", s)
	}
	if sent, lost := tr.Counts(); sent != 2 || lost != 0 {
		t.Errorf("%d sent, %d lost", sent, lost)
	}
}

// TestLost drops what a collector refuses for good, and what there is no room for.
func TestLost(t *testing.T) {
	url, _, _ := collector(t, http.StatusBadRequest)
	tr := New(Config{Endpoint: url + "/v1/traces"})
	for range maxQueue + 10 {
		tr.Emit(Span{Name: "x"})
	}
	if _, lost := tr.Counts(); lost != 10 {
		t.Errorf("%d lost of a full queue, want 10", lost)
	}
	tr.send(t.Context(), []Span{{Name: "x"}})
	if sent, lost := tr.Counts(); sent != 0 || lost != 11 {
		t.Errorf("%d sent, %d lost; want 0, 11", sent, lost)
	}
	var off *Tracer
	off.Emit(Span{})
	off.Run(t.Context())
	if off.On() {
		t.Error("one that is off is on")
	}
}

// TestEnvironment reads OpenTelemetry's variables.
func TestEnvironment(t *testing.T) {
	for _, c := range []struct {
		name     string
		env      map[string]string
		endpoint string
		want     string // URL; "": off
		err      string
	}{
		{name: "nothing"},
		{name: "base", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, want: "http://c:4318/v1/traces"},
		{name: "base with a path", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c/otlp/"}, want: "https://c/otlp/v1/traces"},
		{name: "of traces", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://d/x"}, want: "http://d/x"},
		{name: "flag", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, endpoint: "http://e:4318", want: "http://e:4318/v1/traces"},
		{name: "disabled", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}},
		{name: "no traces", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}},
		{name: "grpc", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, err: "http/protobuf only"},
		{name: "no URL", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4318"}, err: "no URL"},
		{name: "headers", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_HEADERS": "secret"}, err: "entry 1"},
	} {
		tr, err := FromEnvironment(environment(c.env), c.endpoint, "1", nil)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v, want %q", c.name, err, c.err)
			}
		case err != nil || tr.On() != (c.want != "") || tr.On() && tr.cfg.Endpoint != c.want:
			t.Errorf("%s: %+v, %v; want %q", c.name, tr, err, c.want)
		}
	}
}
