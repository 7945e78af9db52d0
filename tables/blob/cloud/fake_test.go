package cloud

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakePage is how many objects a fake lists at a time.
const fakePage = 3

// fake is a server of both services, as far as a store asks for them.
type fake struct {
	mu      sync.Mutex
	objects map[string]stored // guarded by mu
	writes  int64             // guarded by mu
	// before sees each request; what it answers with, if it is not 0, is the
	// answer. After it the request is done, and then lose loses the answer.
	before func(*http.Request) int
	lose   func(*http.Request) bool
}

type stored struct {
	data   []byte
	writer string
	number int64
}

// newFake starts one, which ends with the test.
func newFake(t *testing.T) (*fake, string) {
	f := &fake{objects: map[string]stored{}}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return f, s.URL
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.before != nil {
		if status := f.before(r); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	rec := httptest.NewRecorder()
	f.mu.Lock()
	if strings.Contains(r.URL.Path, "storage/v1") {
		f.google(rec, r)
	} else {
		f.azure(rec, r)
	}
	f.mu.Unlock()
	if f.lose != nil && f.lose(r) {
		panic(http.ErrAbortHandler)
	}
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// set writes an object; not if it is to be new and is not.
func (f *fake) set(key string, data []byte, writer string, onlyNew bool) bool {
	if _, ok := f.objects[key]; ok && onlyNew {
		return false
	}
	f.writes++
	f.objects[key] = stored{data, writer, f.writes}
	return true
}

// names are the next keys, in order, and the last of them if there are more.
func (f *fake) names(prefix, after string) (page []string, next string) {
	for k := range f.objects {
		if strings.HasPrefix(k, prefix) && k > after {
			page = append(page, k)
		}
	}
	slices.Sort(page)
	if len(page) > fakePage {
		page = page[:fakePage]
		next = page[fakePage-1]
	}
	return page, next
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request, o stored, ok bool) {
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%d"`, o.number))
	w.Header().Set("X-Goog-Generation", strconv.FormatInt(o.number, 10))
	w.Header().Set("X-Ms-Meta-Tarn_writer", o.writer)
	if m := r.URL.Query().Get("ifGenerationMatch"); m != "" && m != strconv.FormatInt(o.number, 10) {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(o.data)))
}

func (f *fake) google(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/upload")
	rest := strings.TrimPrefix(path, "/storage/v1/b/lake/o")
	key, _ := url.PathUnescape(strings.TrimPrefix(rest, "/"))
	q := r.URL.Query()
	switch {
	case q.Get("uploadType") != "":
		_, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		parts := multipart.NewReader(r.Body, params["boundary"])
		var about struct {
			Name     string
			Metadata map[string]string
		}
		head, _ := parts.NextPart()
		_ = json.NewDecoder(head).Decode(&about)
		body, _ := parts.NextPart()
		data, _ := io.ReadAll(body)
		if !f.set(about.Name, data, about.Metadata[writerKey], q.Has("ifGenerationMatch")) {
			w.WriteHeader(http.StatusPreconditionFailed)
		}
	case strings.Contains(rest, "/rewriteTo/"):
		from, to, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/rewriteTo/b/lake/o/")
		from, _ = url.PathUnescape(from)
		to, _ = url.PathUnescape(to)
		if o, ok := f.objects[from]; !ok {
			w.WriteHeader(http.StatusNotFound)
		} else if q.Get("rewriteToken") == "" { // a copy of large objects takes several requests
			fmt.Fprint(w, `{"done": false, "rewriteToken": "more"}`)
		} else {
			f.set(to, o.data, o.writer, false)
			fmt.Fprint(w, `{"done": true}`)
		}
	case key == "":
		page, next := f.names(q.Get("prefix"), q.Get("pageToken"))
		items := []map[string]string{}
		for _, k := range page {
			items = append(items, map[string]string{"name": k, "size": strconv.Itoa(len(f.objects[k].data)), "updated": "2026-01-02T03:04:05.678Z"})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"items": items, "nextPageToken": next})
	case r.Method == http.MethodDelete:
		if _, ok := f.objects[key]; !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		delete(f.objects, key)
	case q.Get("alt") == "media":
		o, ok := f.objects[key]
		f.serve(w, r, o, ok)
	default:
		o, ok := f.objects[key]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"metadata": map[string]string{writerKey: o.writer}})
	}
}

func (f *fake) azure(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/lake"), "/")
	q := r.URL.Query()
	source, _ := url.Parse(r.Header.Get("X-Ms-Copy-Source"))
	switch {
	case q.Get("comp") == "list":
		page, next := f.names(q.Get("prefix"), q.Get("marker"))
		fmt.Fprint(w, "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs>")
		for _, k := range page {
			fmt.Fprint(w, "<Blob><Name>")
			_ = xml.EscapeText(w, []byte(k))
			fmt.Fprintf(w, "</Name><Properties><Last-Modified>Fri, 02 Jan 2026 03:04:05 GMT</Last-Modified><Content-Length>%d</Content-Length></Properties></Blob>", len(f.objects[k].data))
		}
		fmt.Fprintf(w, "<Blob><Name>folder</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob></Blobs><NextMarker>%s</NextMarker></EnumerationResults>", next)
	case source.Path != "":
		o, ok := f.objects[strings.TrimPrefix(source.Path, "/lake/")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		f.set(key, o.data, o.writer, false)
		w.Header().Set("X-Ms-Copy-Status", "pending") // which the next look finds done
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPut:
		data, _ := io.ReadAll(r.Body)
		if !f.set(key, data, r.Header.Get("X-Ms-Meta-Tarn_writer"), r.Header.Get("If-None-Match") == "*") {
			w.Header().Set("X-Ms-Error-Code", "BlobAlreadyExists")
			w.WriteHeader(http.StatusConflict)
		}
	case r.Method == http.MethodDelete:
		if _, ok := f.objects[key]; !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		delete(f.objects, key)
	default:
		o, ok := f.objects[key]
		f.serve(w, r, o, ok)
	}
}
