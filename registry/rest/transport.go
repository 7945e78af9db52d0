package rest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

const (
	// requestID is the header by which a request is known in logs, here and at the
	// client's.
	requestID = "X-Request-ID"
	// maxRequestID bounds what is repeated of a client's; a UUID has 36.
	maxRequestID = 128
	// minCompressed is the length in bytes from which an answer is compressed:
	// shorter ones fit into a packet or two anyway.
	minCompressed = 8 << 10
)

// named gives every answer the id of its request: the client's, or a new one.
func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id := req.Header.Values(requestID)
		if len(id) != 1 || id[0] == "" || len(id[0]) > maxRequestID {
			req.Header.Set(requestID, uuid.NewString())
		}
		w.Header().Set(requestID, req.Header.Get(requestID))
		next.ServeHTTP(w, req)
	})
}

// encoded is the text of an answer.
func encoded(answer any) []byte {
	if raw, ok := answer.(text); ok {
		return []byte(raw)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(answer) // our own types, which all have a JSON form
	return b.Bytes()
}

// send writes an answer, compressed if it is long and the client takes that. What
// cannot be written any more, the client does not want.
func send(w http.ResponseWriter, req *http.Request, status int, body []byte) {
	w.Header().Add("Vary", "Accept-Encoding")
	if len(body) < minCompressed || !takesGzip(req) {
		w.WriteHeader(status)
		_, _ = w.Write(body)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return // the level is one that there is
	}
	_, _ = z.Write(body)
	_ = z.Close()
}

// takesGzip reads Accept-Encoding (RFC 9110 §12.5.3) as far as gzip goes.
func takesGzip(req *http.Request) bool {
	all := false
	for part := range strings.SplitSeq(strings.Join(req.Header.Values("Accept-Encoding"), ","), ",") {
		name, weight, weighed := strings.Cut(part, ";")
		takes := true
		if _, q, ok := strings.Cut(weight, "="); weighed && ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
			takes = err == nil && n > 0
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip":
			return takes
		case "*":
			all = takes
		}
	}
	return all
}
