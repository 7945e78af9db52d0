package main

import (
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &levels{level: new(slog.LevelVar)}
		l.set(slog.LevelWarn, 0)
		l.set(slog.LevelDebug, time.Minute)
		time.Sleep(30 * time.Second)
		if got, want := l.get(), (logLevel{Level: "debug", ForMs: 30000, Then: "warn"}); got != want {
			t.Errorf("for a minute: got %+v, want %+v", got, want)
		}
		l.set(slog.LevelInfo, time.Minute) // longer, and back to where it was
		time.Sleep(45 * time.Second)
		if got := l.get(); got.Level != "info" || got.Then != "warn" {
			t.Errorf("set again: got %+v, want info, then warn", got)
		}
		time.Sleep(20 * time.Second)
		if got, want := l.get(), (logLevel{Level: "warn"}); got != want {
			t.Errorf("afterwards: got %+v, want %+v", got, want)
		}
		l.set(slog.LevelDebug, time.Minute)
		l.set(slog.LevelError, 0)
		time.Sleep(2 * time.Minute)
		if got, want := l.get(), (logLevel{Level: "error"}); got != want {
			t.Errorf("set for good: got %+v, want %+v", got, want)
		}
	})
}

// TestNotify is systemd's side of sd_notify.
func TestNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := notify(t.Context(), "READY=1"); err != nil {
		t.Errorf("without systemd: %v", err)
	}
	name := filepath.Join(t.TempDir(), "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	if err := notify(t.Context(), "READY=1"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	got, err := conn.Read(b)
	if err != nil || string(b[:got]) != "READY=1" {
		t.Errorf("got %q, %v", b[:got], err)
	}
	t.Setenv("NOTIFY_SOCKET", name+".gone")
	if err := notify(t.Context(), "READY=1"); err == nil {
		t.Error("a socket that is not there: no error")
	}
}
