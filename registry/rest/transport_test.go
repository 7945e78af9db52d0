package rest

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
)

// TestCompression: long answers are compressed for who takes that, and are the same.
func TestCompression(t *testing.T) {
	h, _ := serve(t, memory.New())
	for i := range 200 {
		body := fmt.Sprintf(`{"schema":"{\"type\":\"fixed\",\"name\":\"F%d\",\"size\":%d}"}`, i, i+1)
		if status, answer, _ := do(h, "POST", fmt.Sprintf("/subjects/s%d/versions", i), body); status != 200 {
			t.Fatal(status, answer)
		}
	}
	_, plain, _ := do(h, "GET", "/schemas", "")
	if len(plain) < minCompressed {
		t.Fatalf("the answer has %d bytes, too few to be compressed", len(plain))
	}
	for accept, want := range map[string]bool{
		"gzip": true, "gzip, deflate, br": true, "br;q=1.0, GZIP ; q=0.2": true, "*": true, "x-gzip": true,
		"": false, "identity": false, "gzip;q=0": false, "*, gzip;q=0": false, "*;q=0": false, "gzip;q=x": false,
	} {
		status, body, header := do(h, "GET", "/schemas", "", "Accept-Encoding", accept)
		if got := header.Get("Content-Encoding") == "gzip"; got != want || status != 200 || header.Get("Vary") != "Accept, Accept-Encoding" {
			t.Errorf("%q: %d, %v", accept, status, header)
			continue
		}
		if !want {
			continue
		}
		z, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil || strings.TrimSuffix(string(text), "\n") != plain {
			t.Errorf("%q: %v, %d bytes of %d", accept, err, len(text), len(plain))
		}
	}
	if _, body, header := do(h, "GET", "/schemas/types", "", "Accept-Encoding", "gzip"); header.Get("Content-Encoding") != "" || body[0] != '[' {
		t.Errorf("a short answer is compressed: %v", header)
	}
}

// TestRequestID repeats the client's id, on refusals too, and gives one to who has
// none, or more than one.
func TestRequestID(t *testing.T) {
	h, _ := serve(t, memory.New())
	for _, target := range []string{"/subjects", "/nothing", "/subjects/s/versions"} {
		if _, _, header := do(h, "GET", target, "", requestID, "mine"); header.Get(requestID) != "mine" {
			t.Errorf("%s: got %q", target, header.Get(requestID))
		}
	}
	for _, bad := range []string{"", strings.Repeat("x", maxRequestID+1)} {
		_, _, first := do(h, "GET", "/subjects", "", requestID, bad)
		_, _, second := do(h, "GET", "/subjects", "", requestID, bad)
		if a, b := first.Get(requestID), second.Get(requestID); len(a) != 36 || a == b {
			t.Errorf("for %q: got %q and %q", bad, a, b)
		}
	}
	if status, _, header := do(h, http.MethodPut, "/subjects", "{}", requestID, "odd"); status != 405 || header.Get(requestID) != "odd" {
		t.Errorf("405: %d %v", status, header)
	}
}

// TestContentType: the type of an answer is the one that is asked for.
func TestContentType(t *testing.T) {
	h, _ := serve(t, memory.New())
	for accept, want := range map[string]string{
		"":                                    contentType,
		"*/*":                                 contentType,
		"text/html":                           contentType,
		"application/json":                    "application/json",
		"application/vnd.schemaregistry+json": "application/vnd.schemaregistry+json",
		"application/json, text/plain, */*":   "application/json",
		"application/json;q=0.5, " + contentType + ";q=0.9":                 contentType,
		"Application/JSON; charset=utf-8 ;q=0.9, " + contentType + ";q=0.1": "application/json",
		"application/json, " + contentType:                                  contentType,
		"application/json;q=0":                                              contentType,
	} {
		for _, target := range []string{"/subjects", "/nothing"} {
			if _, _, header := do(h, "GET", target, "", "Accept", accept); header.Get("Content-Type") != want {
				t.Errorf("%s, %q: got %s, want %s", target, accept, header.Get("Content-Type"), want)
			}
		}
	}
}
