package main

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/api"
)

// writeRequests writes what Kafka clients have asked for and what went in and out.
func writeRequests(w io.Writer, requests []broker.RequestTally, traffic []api.TopicTraffic) {
	took := &metricFamily{name: "tarn_kafka_request_duration_seconds", kind: "histogram", help: "From a request's arrival to its answer; what a Fetch waits for records is part of it."}
	count := &metricFamily{name: "tarn_kafka_requests_total", kind: "counter", help: "Requests, by the first error in their answer."}
	for i := range requests {
		r := &requests[i]
		took.addHistogram(r.Took, "api", r.Name)
		for _, code := range slices.Sorted(maps.Keys(r.Codes)) {
			count.add(r.Codes[code], "api", r.Name, "error", code.Name())
		}
	}
	bytes := &metricFamily{name: "tarn_kafka_bytes_total", kind: "counter", help: "Record batches that were acknowledged (in) and given to fetches (out)."}
	records := &metricFamily{name: "tarn_kafka_records_total", kind: "counter", help: "Records that were acknowledged (produce) and given to fetches (fetch)."}
	for i := range traffic {
		t := &traffic[i]
		bytes.add(t.InBytes, "direction", "in", "topic", t.Topic)
		bytes.add(t.OutBytes, "direction", "out", "topic", t.Topic)
		records.add(t.InRecords, "op", "produce", "topic", t.Topic)
		records.add(t.OutRecords, "op", "fetch", "topic", t.Topic)
	}
	writeFamilies(w, took, count, bytes, records)
}

// write writes what commits took and what went wrong.
func (m *metered) write(w io.Writer) {
	took := &metricFamily{name: "tarn_storage_commit_duration_seconds", kind: "histogram", help: "How long commits to the store took, until they were durable."}
	took.addHistogram(m.took.Snapshot(), "engine", m.name)
	size := &metricFamily{name: "tarn_storage_batch_records", kind: "histogram", help: "Records that went into one commit, of commits with any."}
	size.addHistogram(m.size.Snapshot(), "engine", m.name)
	failed := &metricFamily{name: "tarn_storage_errors_total", kind: "counter", help: "Calls of the store that went wrong."}
	for op, name := range engineOps {
		failed.add(m.failed[op].Load(), "engine", m.name, "op", name)
	}
	writeFamilies(w, took, size, failed)
}

// statusCodes counts answers over HTTP by their code. The zero value is ready. Safe
// for concurrent use.
type statusCodes struct {
	mu  sync.Mutex
	all map[int]int64 // guarded by mu
}

// count counts what next answers.
func (c *statusCodes) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noted := &notedWriter{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(noted, r)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.all == nil {
			c.all = map[int]int64{}
		}
		c.all[noted.code]++
	})
}

func (c *statusCodes) write(w io.Writer) {
	f := &metricFamily{name: "tarn_schema_requests_total", kind: "counter", help: "Requests to the registry, by status code."}
	c.mu.Lock()
	for _, code := range slices.Sorted(maps.Keys(c.all)) {
		f.add(c.all[code], "code", strconv.Itoa(code))
	}
	c.mu.Unlock()
	writeFamilies(w, f)
}

// notedWriter remembers the status code of an answer.
type notedWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (w *notedWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (w *notedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
