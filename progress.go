package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

const (
	// barEvery is how often a bar on a terminal is drawn anew, lineEvery how often a
	// line is written elsewhere.
	barEvery, lineEvery = 200 * time.Millisecond, 10 * time.Second
	barWidth            = 24
)

// isTerminal reports whether a person reads w, or types into it.
func isTerminal(w any) bool {
	if a, ok := w.(*commandOutput); ok {
		w = a.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress tells on standard error how far a long command is: a bar on a terminal,
// else a line every ten seconds.
type progress struct {
	out      io.Writer
	terminal bool
	what     string
	// told returns how many things are done, and the part of all that is, below 0 if
	// nobody knows. Called from the progress's own goroutine.
	told    func() (count int64, part float64)
	started time.Time
	cancel  context.CancelFunc
	ended   chan struct{}
}

// startProgress begins to tell; stop ends it.
func startProgress(ctx context.Context, std stdio, what string, told func() (int64, float64)) *progress {
	ctx, cancel := context.WithCancel(ctx)
	p := &progress{out: std.err, terminal: isTerminal(std.err), what: what, told: told, started: time.Now(), cancel: cancel, ended: make(chan struct{})}
	go p.run(ctx)
	return p
}

func (p *progress) run(ctx context.Context) {
	defer close(p.ended)
	every := lineEvery
	if p.terminal {
		every = barEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			if p.terminal {
				fmt.Fprint(p.out, "\r\x1b[K")
			}
			return
		case now := <-tick.C:
			count, part := p.told()
			text := progressText(p.what, count, part, now.Sub(p.started), p.terminal)
			if p.terminal {
				fmt.Fprint(p.out, "\r\x1b[K"+text)
			} else {
				fmt.Fprintln(p.out, text)
			}
		}
	}
}

// stop waits for the last word.
func (p *progress) stop() {
	p.cancel()
	<-p.ended
}

// progressText is what is told.
func progressText(what string, count int64, part float64, took time.Duration, bar bool) string {
	var b strings.Builder
	b.WriteString(what)
	if part >= 0 {
		part = min(part, 1)
		if bar {
			full := int(part * barWidth)
			b.WriteString("  [" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]")
		}
		fmt.Fprintf(&b, "  %3.0f%%", part*100)
	}
	rate := 0.0
	if took > 0 {
		rate = float64(count) / took.Seconds()
	}
	fmt.Fprintf(&b, "  %d records  %.0f/s", count, rate)
	if part > 0.01 && part < 1 {
		left := time.Duration(float64(took) * (1 - part) / part)
		fmt.Fprintf(&b, "  %v left", left.Round(time.Second))
	}
	return b.String()
}
