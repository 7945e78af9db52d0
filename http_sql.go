package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/sink/query"
	"github.com/tarn-io/tarn/sink/wiring"
)

// sqlPages are at this path and below it; each asks for the topics that it reads.
const sqlPages = "/api/sql"

// maxSQLRequest bounds a request with a statement, in bytes.
const maxSQLRequest = 1 << 20

// sqlRequest is a query over HTTP.
type sqlRequest struct {
	SQL string `json:"sql"`
	// Limit bounds the rows of the answer; 0 is 10000.
	Limit int `json:"limit,omitempty"`
	// TimeoutMs bounds the work; 0 is 30 s.
	TimeoutMs int64 `json:"timeout_ms,omitempty"`
	// Format is json, objects, jsonl, csv, text, parquet, arrow (a file), arrow-stream,
	// or duckdb for a command that asks DuckDB.
	Format string `json:"format,omitempty"`
}

// sqlAnswer is a result in the format json.
type sqlAnswer struct {
	Columns   []query.Column `json:"columns"`
	Rows      [][]any        `json:"rows"`
	RowCount  int            `json:"row_count"`
	Truncated bool           `json:"truncated"`
	// Note says what people should know of the values; in other forms the header
	// Tarn-Note does.
	Note      string     `json:"note,omitempty"`
	Scanned   int64      `json:"scanned"`
	Read      query.Read `json:"read"`
	ElapsedMs int64      `json:"elapsed_ms"`
}

// statsHeader has, in answers of every form, what was done for them, as JSON.
const statsHeader = "Tarn-Stats"

// noteHeader has what people should know of a result's values.
const noteHeader = "Tarn-Note"

// headerText is a text without what headers do not take.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// sqlStats is what statsHeader holds.
type sqlStats struct {
	Scanned   int64      `json:"scanned"`
	Read      query.Read `json:"read"`
	ElapsedMs int64      `json:"elapsed_ms"`
}

// formatDuckDB is the form that is no result but a command.
const formatDuckDB = "duckdb"

// sqlAPI serves what tarn sql asks for.
func (n *node) sqlAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/sql", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		req := sqlRequest{SQL: q.Get("q"), Format: q.Get("format")}
		var err, err2 error
		if text := q.Get("limit"); text != "" {
			req.Limit, err = strconv.Atoi(text)
		}
		if text := q.Get("timeout_ms"); text != "" {
			req.TimeoutMs, err2 = strconv.ParseInt(text, 10, 64)
		}
		if err = errors.Join(err, err2); err != nil {
			answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: "limit and timeout_ms are numbers: " + err.Error()})
			return
		}
		n.runSQL(w, r, req)
	})
	mux.HandleFunc("POST /api/sql", func(w http.ResponseWriter, r *http.Request) {
		var req sqlRequest
		if readJSON(w, r, maxSQLRequest, &req) {
			n.runSQL(w, r, req)
		}
	})
	mux.HandleFunc("GET /api/sql/tables", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, n.sql.Tables(r.Context(), n.readableTopics(r, acl.Describe, true)))
	})
	return mux
}

// errNotAllowed is refused: the rules do not let the asker read a topic.
var errNotAllowed = errors.New("not allowed")

// readableTopics judges topics for a request.
func (n *node) readableTopics(r *http.Request, op acl.Operation, quiet bool) func(string) error {
	return func(name string) error {
		if !n.allowed(r, op, acl.Topic, name, quiet) {
			return fmt.Errorf("%w: %s", errNotAllowed, n.lacking(r, right{op, acl.Topic, name}))
		}
		return nil
	}
}

// runSQL answers a query. It ends when the client goes away, and when the broker
// stops.
func (n *node) runSQL(w http.ResponseWriter, r *http.Request, req sqlRequest) {
	if req.Format == "" {
		req.Format = "json"
	}
	if req.Format == formatDuckDB {
		text, err := n.sql.DuckDB(req.SQL, n.duckDBTable(r))
		if err != nil {
			refuseSQL(w, err)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, text)
		return
	}
	kind := query.MediaType(req.Format)
	if kind == "" {
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: fmt.Sprintf("format %q: there are %s and %s", req.Format, strings.Join(query.Formats(), ", "), formatDuckDB)})
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-n.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	got, err := n.sql.Query(ctx, query.Request{
		SQL: req.SQL, Rows: req.Limit, Time: time.Duration(req.TimeoutMs) * time.Millisecond,
		Allow: n.readableTopics(r, acl.Read, false),
	})
	if err != nil {
		refuseSQL(w, err)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Tarn-Truncated", strconv.FormatBool(got.Truncated))
	if got.Note != "" {
		w.Header().Set(noteHeader, headerText(got.Note))
	}
	if stats, err := json.Marshal(sqlStats{got.Scanned, got.Read, got.Elapsed.Milliseconds()}); err == nil {
		w.Header().Set(statsHeader, string(stats))
	}
	var whole bytes.Buffer // of the forms that may fail, so that an error has a status
	if req.Format == "parquet" || strings.HasPrefix(req.Format, "arrow") {
		if err := got.Write(&whole, req.Format); err != nil {
			refuseSQL(w, err)
			return
		}
		// The client is gone if this fails; there is nobody to tell.
		_, _ = w.Write(whole.Bytes())
		return
	}
	_ = got.Write(w, req.Format)
}

// refuseSQL answers an error of a query.
func refuseSQL(w http.ResponseWriter, err error) {
	status, code := http.StatusInternalServerError, 50001
	switch {
	case errors.Is(err, errNotAllowed):
		status, code = http.StatusForbidden, 40301
	case errors.Is(err, query.ErrInvalid):
		status, code = http.StatusBadRequest, 40001
	case errors.Is(err, query.ErrRefused):
		status, code = http.StatusConflict, 40901
	case errors.Is(err, query.ErrLimit):
		status, code = http.StatusUnprocessableEntity, 42201
	case errors.Is(err, context.Canceled):
		status, code = http.StatusServiceUnavailable, 50306
	}
	answer(w, status, apiError{Code: code, Message: err.Error()})
}

// openSQL makes the engine of queries.
func (n *node) openSQL() (err error) {
	n.sql, err = query.New(query.Config{
		Logs: n.broker.Logs(), Registry: n.registry, Store: n.store, Lake: n.sinks.Lake,
		Topics: sqlTopics(n.broker.Topics(), n.registry), Log: n.lg.With("component", "sql"),
	})
	return err
}

// sqlTopics lists all topics, as queries read them.
func sqlTopics(topics *topic.Topics, reg *registry.Registry) func() []sink.Topic {
	return func() []sink.Topic {
		var out []sink.Topic
		for _, t := range topics.View().All() {
			out = append(out, wiring.Topic(reg, t))
		}
		return out
	}
}

// duckDBTable says how DuckDB reads the table of a topic.
func (n *node) duckDBTable(r *http.Request) func(t sink.Topic) (before, from string) {
	p := n.place(r)
	return func(t sink.Topic) (before, from string) {
		if n.readableTopics(r, acl.Read, false)(t.Name) != nil {
			return "", ""
		}
		return p.duckFrom(t.Formats, n.cmd.CatalogNamespace, t.Table)
	}
}
