package main

import (
	"io"
	"net/http"
	"runtime/pprof"
	"sync"
)

// maxLogTail bounds the bytes of the log's last lines that are kept in memory: some
// thousand lines.
const maxLogTail = 256 << 10

// logTail passes a log on and keeps its last lines. Safe for concurrent use.
type logTail struct {
	out io.Writer

	mu    sync.Mutex
	lines [][]byte // guarded by mu; one write each
	size  int      // guarded by mu; bytes of lines
}

// Write implements io.Writer; slog writes one record at a time.
func (l *logTail) Write(p []byte) (int, error) {
	l.mu.Lock()
	l.lines = append(l.lines, append([]byte(nil), p...))
	l.size += len(p)
	for l.size > maxLogTail && len(l.lines) > 1 {
		l.size -= len(l.lines[0])
		l.lines[0] = nil
		l.lines = l.lines[1:]
	}
	l.mu.Unlock()
	return l.out.Write(p)
}

// last are the lines that are kept.
func (l *logTail) last() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([][]byte(nil), l.lines...)
}

// debugLog answers the last lines of the log.
func (n *node) debugLog(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if n.tail == nil {
		return
	}
	for _, line := range n.tail.last() {
		if _, err := w.Write(line); err != nil {
			return // the client is gone
		}
	}
}

// debugGoroutines answers what every goroutine does, equal ones counted.
func (n *node) debugGoroutines(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_ = pprof.Lookup("goroutine").WriteTo(w, 1) // the client is gone if this fails
}

// debugHeap answers a profile of the memory, for go tool pprof.
func (n *node) debugHeap(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	_ = pprof.Lookup("heap").WriteTo(w, 0) // the client is gone if this fails
}
