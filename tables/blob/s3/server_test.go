package s3

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fault is what a scripted server does to its next object request.
type fault int

const (
	unavailable fault = iota // 503, nothing done
	lostAnswer               // done, and the connection breaks
	overtaken                // 503, and another writer has put the object
	conflict                 // 409: repeat, says S3
	cutOff                   // the body ends early
)

type refusal struct {
	status int
	code   string
}

type stored struct {
	data string
	meta http.Header
}

// server speaks as much of S3 as faults need. The truth about real servers is
// in TestServer.
type server struct {
	t  *testing.T
	ts *httptest.Server

	mu            sync.Mutex
	objects       map[string]stored
	script        []fault
	refuse        *refusal
	down          bool
	unconditional bool
}

func newServer(t *testing.T) *server {
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_PROFILE", "")
	s := &server{t: t, objects: map[string]stored{}}
	s.ts = httptest.NewServer(s)
	t.Cleanup(s.ts.Close)
	return s
}

func (s *server) close() { s.ts.Close() }

func (s *server) config(prefix string) Config {
	return Config{Bucket: "lake", Prefix: prefix, Region: "us-east-1", Endpoint: s.ts.URL, PathStyle: true, hurry: true}
}

func open(t *testing.T, srv *server, prefix string) *Store {
	t.Helper()
	s, err := Open(t.Context(), srv.config(prefix))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) put(key, data string, meta http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = stored{data, meta}
}

func (s *server) body(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[key].data
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Errorf("read request: %v", err)
	}
	key := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/lake"), "/")
	switch {
	case s.refuse != nil:
		fail(w, s.refuse.status, s.refuse.code)
	case s.down:
		fail(w, http.StatusServiceUnavailable, "SlowDown")
	case r.Method == http.MethodPut:
		s.servePut(w, r, key, string(body))
	case key == "":
		fmt.Fprint(w, xml.Header+"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		s.serveGet(w, r, key)
	}
}

func (s *server) next() fault {
	if len(s.script) == 0 {
		return -1
	}
	f := s.script[0]
	s.script = s.script[1:]
	return f
}

func (s *server) servePut(w http.ResponseWriter, r *http.Request, key, body string) {
	f := s.next()
	switch f {
	case overtaken:
		s.objects[key] = stored{"theirs", nil}
		fail(w, http.StatusServiceUnavailable, "SlowDown")
		return
	case unavailable:
		fail(w, http.StatusServiceUnavailable, "SlowDown")
		return
	case conflict:
		fail(w, http.StatusConflict, "ConditionalRequestConflict")
		return
	}
	if _, there := s.objects[key]; there && r.Header.Get("If-None-Match") == "*" && !s.unconditional {
		if f == lostAnswer {
			hangUp(w)
			return
		}
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	meta := http.Header{}
	for name, v := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			meta[name] = v
		}
	}
	s.objects[key] = stored{body, meta}
	if f == lostAnswer {
		hangUp(w)
	}
}

func (s *server) serveGet(w http.ResponseWriter, r *http.Request, key string) {
	o, ok := s.objects[key]
	etag := strconv.Quote(strconv.Itoa(len(o.data)))
	switch match := r.Header.Get("If-Match"); {
	case !ok:
		fail(w, http.StatusNotFound, "NoSuchKey")
		return
	case match != "" && match != etag:
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	for name, v := range o.meta {
		w.Header()[name] = v
	}
	w.Header().Set("ETag", etag)
	if s.next() != cutOff {
		http.ServeContent(w, r, "", time.Unix(1, 0), strings.NewReader(o.data))
		return
	}
	full := httptest.NewRecorder()
	full.Header().Set("ETag", etag)
	http.ServeContent(full, r, "", time.Unix(1, 0), strings.NewReader(o.data))
	for name, v := range full.Header() {
		w.Header()[name] = v
	}
	w.WriteHeader(full.Code)
	_, _ = w.Write(full.Body.Bytes()[:full.Body.Len()/2])
	w.(http.Flusher).Flush() // else the client has seen nothing and asks again
	hangUp(w)
}

// hangUp breaks the connection.
func hangUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, xml.Header+"<Error><Code>%s</Code><Message>as scripted</Message></Error>", code)
}
