package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"sync"
	"time"
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

const (
	// maxRecording bounds how long the process is recorded at a request.
	maxRecording = time.Minute
	// maxTrace bounds what is kept of a trace, about, in bytes: the newest of it, so
	// that all fits into a part of a bundle.
	maxTrace = 8 << 20
)

// recording records the process for as long as the request says, between begin and end. It
// answers 400 for a time that is none, 409 if the process is recorded already.
func recording(w http.ResponseWriter, r *http.Request, begin func() error, end func() error) {
	seconds, err := strconv.ParseFloat(r.URL.Query().Get("seconds"), 64)
	if err != nil || !(seconds > 0 && seconds <= maxRecording.Seconds()) {
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: fmt.Sprintf("seconds %q: want more than 0, up to %v", r.URL.Query().Get("seconds"), maxRecording.Seconds())})
		return
	}
	if err := begin(); err != nil {
		answer(w, http.StatusConflict, apiError{Code: 40901, Message: "the process is being recorded already: " + err.Error()})
		return
	}
	select {
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	case <-r.Context().Done(): // whoever asked is gone, or the broker ends
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_ = end() // the client is gone if this fails
}

// debugTrace answers a trace of the runtime, for go tool trace: nothing is recorded
// before it is asked for.
func (n *node) debugTrace(w http.ResponseWriter, r *http.Request) {
	flight := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: maxRecording, MaxBytes: maxTrace})
	recording(w, r, flight.Start, func() error {
		defer flight.Stop()
		_, err := flight.WriteTo(w)
		return err
	})
}

// debugCPU answers a profile of the processors' time, for go tool pprof.
func (n *node) debugCPU(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer // an answer begun would be one of success
	recording(w, r, func() error { return pprof.StartCPUProfile(&b) }, func() error {
		pprof.StopCPUProfile()
		_, err := w.Write(b.Bytes())
		return err
	})
}
