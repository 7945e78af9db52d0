package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"syscall"
	"time"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/registry/rest"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables/catalog"
)

// Limits of the HTTP server.
const (
	headerTimeout = 10 * time.Second
	// drainTimeout is how long open requests may take when the broker stops.
	drainTimeout = 5 * time.Second
	// maxHeaderBytes is far above what any client sends.
	maxHeaderBytes = 64 << 10
	// maxStreams bounds the streams of events that are open at a time.
	maxStreams = 100
)

// listenHTTP binds the HTTP address and lays out its surfaces.
func (n *node) listenHTTP(ctx context.Context) error {
	var lc net.ListenConfig
	if n.dev != nil {
		n.listener = n.dev.front
		n.layHTTP(ctx)
		return nil
	}
	ln, err := lc.Listen(ctx, "tcp", n.cmd.HTTPListen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("http address %s is taken by another process: stop it, or choose another with --http.listen (port 0 takes a free one): %w", n.cmd.HTTPListen, err)
	}
	if err != nil {
		return fmt.Errorf("listen for HTTP on %s (--http.listen): %w", n.cmd.HTTPListen, err)
	}
	switch n.listener = ln; {
	case n.who.http != nil:
		n.listener = tls.NewListener(ln, n.who.http.Config())
	case n.who.acme != nil:
		n.listener = tls.NewListener(ln, n.acmeTLS())
	}
	n.closers = append(n.closers, func() error {
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	n.layHTTP(ctx)
	return nil
}

// layHTTP lays out the surfaces.
func (n *node) layHTTP(ctx context.Context) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+tokenRoute, n.token)
	mux.Handle("/iceberg/", catalog.Handler(n.catalog, n.guarded(n.catalogOptions())))
	for _, path := range []string{"/api/", tablesPage} {
		mux.Handle(path, n.tablesAPI())
	}
	for _, path := range []string{sqlPages, sqlPages + "/"} {
		mux.Handle(path, n.sqlAPI())
	}
	mux.Handle("/api/acls", n.aclAPI())
	mux.Handle("/api/acls/", n.aclAPI())
	for _, path := range []string{"/api/clients", "/api/clients/", "/api/listeners"} {
		mux.Handle(path, n.clientsAPI())
	}
	mux.HandleFunc("GET /api", openAPI)
	mux.HandleFunc("GET /api/openapi.json", openAPI)
	mux.HandleFunc("POST /api/backup", n.backupAPI)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", n.ready)
	mux.HandleFunc("GET /startupz", n.startup)
	mux.HandleFunc("GET /api/log-level", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, n.levels.get()) })
	mux.HandleFunc("PUT /api/log-level", n.setLevel)
	mux.HandleFunc("GET /metrics", n.metrics)
	mux.HandleFunc("GET /api/debug/log", n.debugLog)
	mux.HandleFunc("GET /api/debug/goroutines", n.debugGoroutines)
	mux.HandleFunc("GET /api/debug/heap", n.debugHeap)
	mux.HandleFunc("GET /api/debug/cpu", n.debugCPU)
	mux.HandleFunc("GET /api/debug/trace", n.debugTrace)
	n.schemaREST = rest.Handler(n.registry, rest.Options{
		Version: version, ClusterID: n.broker.ClusterID(), Keys: n.keys, Allow: n.subjectRules(), Refusal: n.deniedSubject,
		RequestsPerSecond: n.cmd.RegistryRate, Client: registryClient,
		Log: n.lg.With("component", "registry"),
	})
	n.schemaREST = n.registryCodes.count(n.schemaREST)
	mux.Handle(dryRunPages, n.dryRun())
	mux.Handle("/", home(n.schemaREST))
	n.mountConsole(mux)
	n.web = &http.Server{
		// A page of another origin in a user's browser may not change anything.
		Handler:           timely(http.NewCrossOriginProtection().Handler(n.authenticate(n.authorize(mux)))),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleHTTP,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          n.httpErrors(),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	// Streams of events would not end by themselves.
	n.stopping, n.streams, n.waits = make(chan struct{}), make(chan struct{}, maxStreams), make(chan struct{}, maxWaits)
	n.followers = make(chan struct{}, maxFollowers)
	n.insiders, n.charts, n.startedMs = make(chan struct{}, maxInside), &chartSampler{n: n}, time.Now().UnixMilli()
	n.web.RegisterOnShutdown(func() { close(n.stopping) })
}

// httpErrors is where net/http writes what its clients do wrong.
func (n *node) httpErrors() *log.Logger {
	return slog.NewLogLogger(n.lg.With("component", "http").Handler(), slog.LevelWarn)
}

// serveHTTP serves until ctx ends and lets open requests end.
func (n *node) serveHTTP(ctx context.Context) error {
	if n.dev != nil { // who asks, asks the front
		<-ctx.Done()
		return n.web.Shutdown(context.WithoutCancel(ctx))
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		if n.web.Shutdown(sctx) != nil {
			_ = n.web.Close() // ends what would not end by itself
		}
	})
	err := n.web.Serve(n.listener)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve HTTP: %w", err)
}

// tablesPage lists topics with tables.
const tablesPage = "/api/tables"

// tablesAPI serves what tarn table asks for: status, flush, verify
// and maintenance.
func (n *node) tablesAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/tables", func(w http.ResponseWriter, r *http.Request) {
		// A list has what whoever asks may describe, as Kafka's lists of topics do.
		answer(w, http.StatusOK, slices.DeleteFunc(n.sinks.Statuses(r.Context()), func(t sink.Status) bool {
			return !n.allowed(r, acl.Describe, acl.Topic, t.Topic, true)
		}))
	})
	mux.HandleFunc("GET /api/tables/{topic}", n.tableStatusAPI)
	mux.HandleFunc("GET /api/tables/{topic}/wait", n.waitAPI)
	mux.HandleFunc("GET /api/tables/{topic}/explain", func(w http.ResponseWriter, r *http.Request) {
		reply(w)(n.sinks.Explain(r.Context(), r.PathValue("topic")))
	})
	mux.HandleFunc("POST /api/tables/{topic}/flush", func(w http.ResponseWriter, r *http.Request) {
		dryOr(w, r, n.sinks.WouldFlush, n.sinks.Flush)
	})
	mux.HandleFunc("POST /api/tables/{topic}/verify", func(w http.ResponseWriter, r *http.Request) {
		reply(w)(n.sinks.Verify(r.Context(), r.PathValue("topic")))
	})
	mux.HandleFunc("POST /api/tables/{topic}/compact", func(w http.ResponseWriter, r *http.Request) {
		dryOr(w, r, n.sinks.WouldCompact, n.sinks.Compact)
	})
	mux.HandleFunc("POST /api/tables/{topic}/rebuild", func(w http.ResponseWriter, r *http.Request) {
		all := r.URL.Query().Get("from_log_start") == "true"
		dryOr(w, r, func(ctx context.Context, topic string) (map[string]sink.RebuildInfo, error) {
			return n.sinks.WouldRebuild(ctx, topic, all)
		}, func(ctx context.Context, topic string) (map[string]sink.RebuildInfo, error) {
			return n.sinks.Rebuild(ctx, topic, all)
		})
	})
	mux.HandleFunc("DELETE /api/tables/{topic}/rebuild", func(w http.ResponseWriter, r *http.Request) {
		reply(w)(n.sinks.AbortRebuild(r.Context(), r.PathValue("topic")))
	})
	mux.HandleFunc("POST /api/tables/{topic}/redrive", func(w http.ResponseWriter, r *http.Request) {
		dryOr(w, r, n.sinks.WouldRedrive, n.sinks.Redrive)
	})
	mux.HandleFunc("POST /api/tables/{topic}/expire", func(w http.ResponseWriter, r *http.Request) {
		dryOr(w, r, n.sinks.WouldExpire, n.sinks.Expire)
	})
	mux.HandleFunc("GET /api/tables/{topic}/files", func(w http.ResponseWriter, r *http.Request) {
		reply(w)(n.sinks.Files(r.Context(), r.PathValue("topic")))
	})
	mux.HandleFunc("GET /api/tables/{topic}/history", func(w http.ResponseWriter, r *http.Request) {
		reply(w)(n.sinks.History(r.Context(), r.PathValue("topic")))
	})
	mux.HandleFunc("GET /api/topics/{topic}/rejections", n.rejections)
	mux.HandleFunc("GET /api/topics/{topic}/report", n.report)
	mux.HandleFunc("POST /api/topics/{topic}/redrive", n.redriveAPI)
	mux.HandleFunc("GET /api/topics/{topic}/infer", n.inferAPI)
	mux.HandleFunc("GET /api/schemas/describe", n.schemaDescribe)
	mux.HandleFunc("GET /api/schemas/diff", n.schemaDiff)
	mux.HandleFunc("POST /api/schemas/check", n.schemaCheck)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, apiError{Code: 404, Message: "no such route: " + r.Method + " " + r.URL.Path})
	})
	return mux
}

// reply answers with a value, or with the error as its code and message.
func reply(w http.ResponseWriter) func(v any, err error) {
	return func(v any, err error) {
		switch {
		case err == nil:
			answer(w, http.StatusOK, v)
		case errors.Is(err, sink.ErrNoTable), errors.Is(err, errRedrive), errors.Is(err, commitlog.ErrGone):
			answer(w, http.StatusNotFound, apiError{Code: 40401, Message: err.Error()})
		case errors.Is(err, sink.ErrStopped):
			answer(w, http.StatusServiceUnavailable, apiError{Code: 50306, Message: err.Error() + ": its topic was deleted or changed, or the broker is stopping; ask again"})
		case errors.Is(err, commitlog.ErrConflict), errors.Is(err, sink.ErrLatest), errors.Is(err, sink.ErrNoRebuild), errors.Is(err, sink.ErrLogShort), errors.Is(err, sink.ErrAborted):
			answer(w, http.StatusConflict, apiError{Code: 40901, Message: err.Error()})
		default:
			answer(w, http.StatusInternalServerError, apiError{Code: 50001, Message: err.Error()})
		}
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client is gone if this fails; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(v)
}
