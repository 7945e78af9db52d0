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
	w.Header().Set("Vary", "Accept, Accept-Encoding")
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

// contentTypes are those of answers, the one first that is given to who does not
// mind.
func contentTypes() []string {
	return []string{contentType, "application/vnd.schemaregistry+json", "application/json"}
}

// answerType is the type that a client asks for by Accept, as Confluent's registry
// chooses it: a type by its name goes before wildcards, and of several the one that
// is wanted most. Who takes none of them gets the first all the same.
func answerType(req *http.Request) string {
	wanted := preferences(req, "Accept")
	best := contentType
	most := 0.0
	for _, name := range contentTypes() {
		if wanted[name] > most {
			best, most = name, wanted[name]
		}
	}
	return best
}

// takesGzip reads Accept-Encoding (RFC 9110 §12.5.3) as far as gzip goes.
func takesGzip(req *http.Request) bool {
	wanted := preferences(req, "Accept-Encoding")
	for _, name := range []string{"gzip", "x-gzip", "*"} {
		if weight, named := wanted[name]; named {
			return weight > 0
		}
	}
	return false
}

// preferences are the names in a header of the request with their weights, of which
// one that cannot be read is 0 (RFC 9110 §12.4.2).
func preferences(req *http.Request, header string) map[string]float64 {
	out := map[string]float64{}
	for part := range strings.SplitSeq(strings.Join(req.Header.Values(header), ","), ",") {
		name, parameters, _ := strings.Cut(part, ";")
		weight := 1.0
		for parameter := range strings.SplitSeq(parameters, ";") {
			if key, q, ok := strings.Cut(parameter, "="); ok && strings.TrimSpace(key) == "q" {
				weight, _ = strconv.ParseFloat(strings.TrimSpace(q), 64)
			}
		}
		out[strings.ToLower(strings.TrimSpace(name))] = weight
	}
	return out
}
