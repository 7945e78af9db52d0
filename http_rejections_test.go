package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/validate"
	"github.com/tarn-io/tarn/sink"
)

// rejecting is a node with a topic "orders" behind a server of its rejections.
// refuse has a record refused.
func rejecting(t *testing.T) (n *node, base string, refuse func(value string)) {
	t.Helper()
	b := brokertest.New(t)
	if _, err := b.Topics().Create(t.Context(), topic.Spec{Name: "orders", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	reg, err := registry.Open(t.Context(), registry.Config{Engine: memory.New()})
	if err != nil {
		t.Fatal(err)
	}
	n = &node{broker: b.Broker, validator: validate.New(validate.Config{Registry: reg}), sinks: sink.New(sink.Config{}),
		streams: make(chan struct{}, 1), stopping: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/topics/{topic}/rejections", n.rejections)
	mux.HandleFunc("GET /api/topics/{topic}/report", n.report)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return n, srv.URL, func(value string) {
		t.Helper()
		rb := record.NewBuilder(record.Options{})
		rb.Append(1, nil, []byte(value))
		raw, err := rb.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		rd := &record.Reader{}
		if err := rd.Reset(raw, 1<<20); err != nil {
			t.Fatal(err)
		}
		bad, err := n.validator.Check(validate.Topic{Name: "orders", ID: n.broker.Topics().View().ByName("orders").ID, Value: validate.Part{Level: validate.ID}}, rd, validate.Origin{ClientID: "c"})
		if err != nil || len(bad) != 1 {
			t.Fatalf("%v, %v", bad, err)
		}
	}
}

// TestRejections reads the list and the report of a topic's rejections.
func TestRejections(t *testing.T) {
	_, base, refuse := rejecting(t)
	refuse("one")
	refuse("two")

	get := func(path string, into any) int {
		t.Helper()
		resp, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	var list []rejection
	if get("/api/topics/orders/rejections?limit=1", &list); len(list) != 1 || list[0].Preview != `"two"` || list[0].Client != "c" {
		t.Errorf("list: %+v", list)
	}
	var report validationReport
	if get("/api/topics/orders/report", &report); len(report.Causes) != 1 || report.Causes[0].Records != 2 || report.Checked != 2 || report.Rejected != 2 {
		t.Errorf("report: %+v", report)
	}
	var e apiError
	if code := get("/api/topics/nothing/rejections", &e); code != http.StatusNotFound {
		t.Errorf("no topic: %d", code)
	}
	if code := get("/api/topics/orders/rejections?limit=x", &e); code != http.StatusBadRequest {
		t.Errorf("bad limit: %d", code)
	}
}

// TestRejectionsStream reads events: they begin with the last rejections and go
// on until the server stops.
func TestRejectionsStream(t *testing.T) {
	n, base, refuse := rejecting(t)
	refuse("one")
	refuse("two")
	open := func(lastSeen string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/topics/orders/rejections?limit=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set("Last-Event-ID", lastSeen)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	stream := open("")
	defer stream.Body.Close()
	events := bufio.NewScanner(stream.Body)
	next := func() rejection {
		t.Helper()
		for events.Scan() {
			if text, ok := strings.CutPrefix(events.Text(), "data: "); ok {
				var r rejection
				if err := json.Unmarshal([]byte(text), &r); err != nil {
					t.Fatal(err)
				}
				return r
			}
		}
		t.Fatalf("the stream ended: %v", events.Err())
		return rejection{}
	}
	if r := next(); r.Seq != 2 {
		t.Errorf("first event: %+v", r)
	}
	refuse("three")
	if r := next(); r.Seq != 3 || r.Preview != `"three"` {
		t.Errorf("next event: %+v", r)
	}
	second := open("")
	if second.Body.Close(); second.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a stream too many: %d", second.StatusCode)
	}
	// Who comes again gets what it has missed, and no more.
	stream.Body.Close()
	n.streams <- struct{}{} // free once the server has seen that
	<-n.streams
	stream = open("1")
	defer stream.Body.Close()
	events = bufio.NewScanner(stream.Body)
	if a, b := next(), next(); a.Seq != 2 || b.Seq != 3 || b.Reason != "no_schema_id" {
		t.Errorf("after the first: %+v, %+v", a, b)
	}
	close(n.stopping)
	for events.Scan() {
	}
	if events.Err() != nil {
		t.Errorf("end of the stream: %v", events.Err())
	}
}

// TestMetrics counts what was checked and what was refused, by reason.
func TestMetrics(t *testing.T) {
	n, _, refuse := rejecting(t)
	refuse("one")
	var w strings.Builder
	writeValidation(&w, n.validator.Tallies())
	for _, want := range []string{
		"# TYPE tarn_validation_records_total counter\ntarn_validation_records_total{topic=\"orders\"} 1\n",
		"tarn_validation_rejected_records_total{topic=\"orders\",reason=\"no_schema_id\",monitored=\"false\"} 1\n",
	} {
		if !strings.Contains(w.String(), want) {
			t.Errorf("no %s in\n%s", want, w.String())
		}
	}
	if got := label("a\"b\\c\n"); got != `"a\"b\\c\n"` {
		t.Errorf("label: %s", got)
	}
}
