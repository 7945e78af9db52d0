package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// maxLevelTime bounds how long a level may be set for: who wants more sets it
	// for good.
	maxLevelTime = 24 * time.Hour
	// maxLevelBytes bounds a request that sets the level.
	maxLevelBytes = 1 << 10
)

// logLevel is the level of the broker's log, on its way over HTTP.
type logLevel struct {
	Level string `json:"level"` // debug, info, warn or error
	// ForMs: after so many ms the level is again what it was; 0: it stays.
	ForMs int64 `json:"for_ms,omitempty"`
	// Then is the level after that time.
	Then string `json:"then,omitempty"`
}

// levels sets the level of a log, for good or for a time. It is safe for
// concurrent use.
type levels struct {
	level *slog.LevelVar

	mu    sync.Mutex
	timer *time.Timer // guarded by mu; nil: nothing comes back
	until time.Time   // guarded by mu
	back  slog.Level  // guarded by mu; what comes back
}

func (l *levels) get() logLevel {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := logLevel{Level: strings.ToLower(l.level.Level().String())}
	if l.timer != nil {
		out.ForMs, out.Then = max(1, time.Until(l.until).Milliseconds()), strings.ToLower(l.back.String())
	}
	return out
}

func (l *levels) set(level slog.Level, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	base := l.level.Level()
	if l.timer != nil { // a time within a time ends where the first began
		l.timer.Stop()
		l.timer, base = nil, l.back
	}
	l.level.Set(level)
	if d == 0 {
		return
	}
	l.back, l.until = base, time.Now().Add(d)
	var mine *time.Timer
	mine = time.AfterFunc(d, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.timer == mine {
			l.timer = nil
			l.level.Set(base)
		}
	})
	l.timer = mine
}

// setLevel answers a request that sets the level.
func (n *node) setLevel(w http.ResponseWriter, r *http.Request) {
	var in logLevel
	b, err := io.ReadAll(io.LimitReader(r.Body, maxLevelBytes))
	if err == nil {
		err = json.Unmarshal(b, &in)
	}
	var level slog.Level
	switch in.Level {
	case "debug", "info", "warn", "error":
		_ = level.UnmarshalText([]byte(in.Level)) // one of these
	default:
		err = fmt.Errorf("level %q: use debug, info, warn or error", in.Level)
	}
	d := time.Duration(in.ForMs) * time.Millisecond
	if err == nil && (in.ForMs < 0 || in.ForMs > maxLevelTime.Milliseconds()) {
		err = fmt.Errorf("for_ms %d: use 0 to %d", in.ForMs, maxLevelTime.Milliseconds())
	}
	if err != nil {
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: err.Error()})
		return
	}
	n.levels.set(level, d)
	n.lg.Warn("log level set", "component", "http", "level", in.Level, "for", d, "principal", principalOf(r).String())
	answer(w, http.StatusOK, n.levels.get())
}

// logLevelCmd shows or sets the level of a running broker's log.
type logLevelCmd struct {
	connect
	Level string        `arg:"" optional:"" enum:",debug,info,warn,error" default:"" help:"debug, info, warn or error; without it the level is shown."`
	For   time.Duration `placeholder:"TIME" help:"Set it for so long; then it is again what it was."`
}

// Run prints the level that holds then.
func (c *logLevelCmd) Run(ctx context.Context, std stdio) error {
	if c.For < 0 || c.For > maxLevelTime || c.For > 0 && c.Level == "" {
		return fmt.Errorf("--for %v: use it with a level, and up to %v", c.For, maxLevelTime)
	}
	method, in := http.MethodGet, any(nil)
	if c.Level != "" {
		method, in = http.MethodPut, logLevel{Level: c.Level, ForMs: c.For.Milliseconds()}
	}
	var got logLevel
	if err := c.call(ctx, method, "/api/log-level", in, &got); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, got)
	}
	text := got.Level
	if got.ForMs > 0 {
		text += fmt.Sprintf(" for %v, then %s", (time.Duration(got.ForMs) * time.Millisecond).Round(time.Second), got.Then)
	}
	return c.sayFields(std, []field{{"level", got.Level}, {"for_ms", got.ForMs}, {"then", got.Then}}, text)
}
