package main

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// TestTraces follows records from their producers' traces through the log into the
// commit of a table, as a collector sees it.
func TestTraces(t *testing.T) {
	got := make(chan *otlp.Span, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		var data otlp.TracesData
		if err == nil {
			err = proto.Unmarshal(b, &data)
		}
		if err != nil {
			t.Error(err)
			return
		}
		for _, s := range data.ResourceSpans[0].ScopeSpans[0].Spans {
			got <- s
		}
	}))
	defer collector.Close()
	n := openNode(t, "--trace.endpoint", collector.URL)
	stop := n.trace(t.Context())
	cl, err := kgo.NewClient(kgo.SeedBrokers(n.broker.Advertised()), kgo.DefaultProduceTopic("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	as, formats := "json", "parquet"
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, map[string]*string{"tarn.table.value.as": &as, "tarn.table.formats": &formats}, "orders"); err != nil {
		t.Fatal(err)
	}
	const first, second, dropped = "11111111111111111111111111111111", "22222222222222222222222222222222", "33333333333333333333333333333333"
	record := func(parent string) *kgo.Record {
		r := kgo.StringRecord(`{"id":1}`)
		if parent != "" {
			r.Headers = []kgo.RecordHeader{{Key: "traceparent", Value: []byte(parent)}}
		}
		return r
	}
	err = cl.ProduceSync(t.Context(), record("00-"+first+"-aaaaaaaaaaaaaaaa-01"), record("00-"+second+"-bbbbbbbbbbbbbbbb-01"),
		record("00-"+dropped+"-cccccccccccccccc-00"), record("")).FirstErr()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.sinks.Flush(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	stop() // sends what waits
	close(got)
	var seen []string
	ownID, links := "", 0
	var children []*otlp.Span
	for s := range got {
		trace, parent := hex.EncodeToString(s.TraceId), hex.EncodeToString(s.ParentSpanId)
		if parent == "" {
			ownID, links = hex.EncodeToString(s.SpanId), len(s.Links)
			seen = append(seen, s.Name+" alone")
			continue
		}
		seen = append(seen, s.Name+" "+trace[:1]+" under "+parent[:1])
		if s.Name == "commit orders" {
			children = append(children, s)
			continue
		}
		for _, a := range s.Attributes { // a text by OpenTelemetry's conventions
			if got := a.Value.GetStringValue(); a.Key == "messaging.destination.partition.id" && got != "0" {
				t.Errorf("partition %v, want the text 0", a.Value)
			}
		}
	}
	all := strings.Join(seen, "; ")
	for _, want := range []string{
		"store orders 1 under a", "store orders 2 under b", "commit orders alone", "commit orders 1 under a", "commit orders 2 under b",
	} {
		if strings.Count(all, want) != 1 {
			t.Errorf("%q is there %d times in %s", want, strings.Count(all, want), all)
		}
	}
	if len(seen) != 5 || links != 2 {
		t.Errorf("%d spans (%s), %d links; want 5, 2", len(seen), all, links)
	}
	for _, s := range children {
		if len(s.Links) != 1 || hex.EncodeToString(s.Links[0].SpanId) != ownID {
			t.Errorf("%v is not linked to the commit %s", s, ownID)
		}
	}
	if text := metricsOf(t.Context(), n); !strings.Contains(text, `tarn_trace_spans_total{result="sent"} 5`) {
		t.Error("the spans are not counted")
	}
}

// metricsOf is what /metrics of a node answers.
func metricsOf(ctx context.Context, n *node) string {
	w := httptest.NewRecorder()
	n.metrics(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil))
	return w.Body.String()
}
