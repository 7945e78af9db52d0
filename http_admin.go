package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"
	"time"
)

// adminFlags are of the listener that operators have for themselves.
type adminFlags struct {
	AdminListen string `name:"admin.listen" placeholder:"ADDR" help:"Second HTTP address, for operators alone: metrics, health, and profiles of the running process (/debug/pprof/). It asks nobody who they are. Default: none."`
}

// listenAdmin binds the address of operators, if there is one.
func (n *node) listenAdmin(ctx context.Context) error {
	if n.cmd.AdminListen == "" {
		return nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", n.cmd.AdminListen)
	if err != nil {
		return fmt.Errorf("listen on %s (--admin.listen): %w", n.cmd.AdminListen, err)
	}
	n.adminAddr = ln
	n.closers = append(n.closers, func() error {
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", n.metrics)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", n.ready)
	mux.HandleFunc("GET /startupz", n.startup)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	n.admin = &http.Server{
		Handler: mux, ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: n.httpErrors(),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	return nil
}

// serveAdmin serves operators until ctx ends. A profile under way is cut short then.
func (n *node) serveAdmin(ctx context.Context) error {
	if n.admin == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = n.admin.Close() })
	defer stop()
	if err := n.admin.Serve(n.adminAddr); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s (--admin.listen): %w", n.cmd.AdminListen, err)
	}
	return nil
}

// watchdog tells systemd, twice as often as it wants to hear it (WatchdogSec,
// sd_watchdog_enabled(3)), that the store still answers. An answer that is an error
// is one: starting anew would not mend a disk.
func (n *node) watchdog(ctx context.Context) error {
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec < 2 {
		return nil // nobody watches
	}
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return nil // somebody else is watched
	}
	every := time.NewTicker(time.Duration(usec) * time.Microsecond / 2)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
			_, _ = n.engine.Get(ctx, "cluster-id")
			n.tell(ctx, "WATCHDOG=1")
		}
	}
}
