package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestAdminListener wants operators' pages on their own address, and profiles nowhere
// else.
func TestAdminListener(t *testing.T) {
	n := openNode(t, "--admin.listen", "127.0.0.1:0")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.serveAdmin(ctx) }()
	get := func(addr net.Addr, path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr.String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	for path, want := range map[string]string{
		"/metrics": "tarn_build_info", "/livez": "ok", "/debug/pprof/": "goroutine",
		"/debug/pprof/goroutine?debug=1": "serveAdmin", "/debug/pprof/cmdline": ".test",
	} {
		if code, body := get(n.adminAddr.Addr(), path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, %.200s; want %q", path, code, body, want)
		}
	}
	for _, path := range []string{"/subjects", "/console", "/api/topics"} {
		if code, _ := get(n.adminAddr.Addr(), path); code != http.StatusNotFound {
			t.Errorf("operators' %s: %d, want 404", path, code)
		}
	}
	if code, body := get(n.listener.Addr(), "/debug/pprof/goroutine?debug=1"); code == http.StatusOK {
		t.Errorf("profiles for everybody: %d, %.100s", code, body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("after its context: %v", err)
	}
	c := serveCmd{KafkaListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", adminFlags: adminFlags{AdminListen: "0.0.0.0:0"}}
	if err := c.checkExposure(); err == nil || !strings.Contains(err.Error(), "--admin.listen 0.0.0.0:0") {
		t.Errorf("beyond this machine: %v, want a refusal", err)
	}
}

// TestServeNotifies runs the broker as systemd does with Type=notify: it hears when all is
// ready, and when the end begins, before the process is gone.
func TestServeNotifies(t *testing.T) {
	name := filepath.Join(t.TempDir(), "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	c := serveWith(t, "serve", "--storage", "memory://", "--kafka.listen", "127.0.0.1:0", "--http.listen", "127.0.0.1:0", "--data", t.TempDir())
	ctx, stop := context.WithCancel(t.Context()) // main has SIGTERM do this
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, stdio{strings.NewReader(""), io.Discard, io.Discard}) }()
	b := make([]byte, 4096)
	hear := func(want string) {
		t.Helper()
		for {
			got, err := conn.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(string(b[:got]), want) {
				return
			}
			if string(b[:got]) != "WATCHDOG=1" {
				t.Fatalf("got %q, want %q", b[:got], want)
			}
		}
	}
	hear("READY=1\nSTATUS=Kafka at 127.0.0.1:")
	stop()
	hear("STOPPING=1")
	if err := <-ended; err != nil {
		t.Errorf("at the end: %v", err)
	}
}

// TestWatchdog is systemd's side of sd_watchdog_enabled.
func TestWatchdog(t *testing.T) {
	n := openNode(t)
	name := filepath.Join(t.TempDir(), "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "")
	if err := n.watchdog(t.Context()); err != nil {
		t.Errorf("without one: %v", err)
	}
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", "1")
	if err := n.watchdog(t.Context()); err != nil {
		t.Errorf("another's: %v", err)
	}
	t.Setenv("WATCHDOG_PID", "")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.watchdog(ctx) }()
	b := make([]byte, 100)
	for range 3 {
		got, err := conn.Read(b)
		if err != nil || string(b[:got]) != "WATCHDOG=1" {
			t.Fatalf("got %q, %v", b[:got], err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("at the end: %v", err)
	}
}
