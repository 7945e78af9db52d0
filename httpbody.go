package main

import (
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// idleHTTP is how long a connection over HTTP may be kept without a request:
	// above what clients keep theirs.
	idleHTTP = 3 * time.Minute
	// bodyGrace and bodyRate say how long the body of a request may take: so long,
	// and a second for each so many bytes. It holds memory and places meanwhile.
	bodyGrace = 30 * time.Second
	bodyRate  = 64 << 10
)

// timely ends requests whose bodies come too slowly: their handlers read
// os.ErrDeadlineExceeded.
func timely(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &timedBody{ReadCloser: r.Body, until: http.NewResponseController(w).SetReadDeadline, begun: time.Now()}
		}
		next.ServeHTTP(w, r)
	})
}

// timedBody sets the deadline of its connection while it is read, and takes it back
// at its end: handlers may go on for longer.
type timedBody struct {
	io.ReadCloser
	until func(time.Time) error
	begun time.Time
	bytes int64
}

// Read reads as long as the whole body comes fast enough.
func (b *timedBody) Read(p []byte) (int, error) {
	// Where no deadline can be set (a test's recorder), there is none.
	_ = b.until(b.begun.Add(bodyGrace + time.Duration(b.bytes)*time.Second/bodyRate))
	n, err := b.ReadCloser.Read(p)
	b.bytes += int64(n)
	if errors.Is(err, io.EOF) {
		_ = b.until(time.Time{})
	}
	return n, err
}

// Close gives up what is left of the body.
func (b *timedBody) Close() error {
	_ = b.until(time.Time{})
	return b.ReadCloser.Close()
}
