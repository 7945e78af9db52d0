package rest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/registry"
)

// TestRate sends more than a client may: a burst passes, then as many as the rate
// allows, and another client is not held back.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := registry.Open(t.Context(), registry.Config{Engine: memory.New()})
		if err != nil {
			t.Fatal(err)
		}
		h := Handler(r, Options{RequestsPerSecond: 2, Client: func(req *http.Request) string { return req.Header.Get("Who") }})
		passed := 0
		for range 20 {
			status, answer, header := do(h, "GET", "/subjects", "", "Who", "a")
			switch {
			case status == 200:
				passed++
			case status != 429 || answer != `{"error_code":429,"message":"Too many requests"}` || header.Get("Retry-After") != "1":
				t.Fatalf("%d %s %v", status, answer, header)
			}
		}
		if passed != 10 {
			t.Errorf("%d requests passed at once, want 10", passed)
		}
		if status, _, _ := do(h, "GET", "/subjects", "", "Who", "b"); status != 200 {
			t.Errorf("another client: %d", status)
		}
		time.Sleep(1500 * time.Millisecond)
		for i, want := range []int{200, 200, 200, 429} {
			if status, _, _ := do(h, "GET", "/subjects", "", "Who", "a"); status != want {
				t.Errorf("request %d after 1.5 s: %d, want %d", i, status, want)
			}
		}
	})
}

// TestBuckets bounds what is remembered of clients.
func TestBuckets(t *testing.T) {
	now := time.UnixMilli(0)
	l := &limiter{perSecond: 1, now: func() time.Time { return now }, buckets: map[string]*bucket{}}
	for i := range 2 * maxBuckets {
		if i == maxBuckets+10 {
			now = now.Add(time.Minute)
		}
		if wait := l.take(fmt.Sprint(i)); wait != 0 {
			t.Fatalf("client %d waits %v", i, wait)
		}
		if len(l.buckets) > maxBuckets {
			t.Fatalf("%d clients are remembered", len(l.buckets))
		}
	}
}

// TestWorking fills the places of requests with bodies, by such that are long and
// do not end: one more waits, and is told to come back, while reading goes on; a
// place that gets free is taken. Bodies that do not come take none.
func TestWorking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := serve(t, memory.New())
		var ends []*io.PipeWriter
		open := func(begin string) {
			body, end := io.Pipe()
			ends = append(ends, end)
			go func() {
				req := httptest.NewRequestWithContext(t.Context(), "POST", "/subjects/s/versions", body)
				h.ServeHTTP(httptest.NewRecorder(), req)
			}()
			if _, err := io.WriteString(end, begin); err != nil {
				t.Error(err)
			}
		}
		for range maxWorking {
			open(strings.Repeat(" ", smallBody))
		}
		synctest.Wait()
		if status, _, _ := do(h, "GET", "/subjects", ""); status != 200 {
			t.Errorf("reading: %d", status)
		}
		begun := time.Now()
		status, _, header := do(h, "POST", "/subjects/s/versions", `{"schema":"\"int\""}`)
		if status != 429 || header.Get("Retry-After") != "1" || time.Since(begun) != workPatience {
			t.Errorf("one too many: %d after %v", status, time.Since(begun))
		}
		go func() {
			time.Sleep(time.Second)
			_ = ends[0].CloseWithError(io.ErrUnexpectedEOF)
		}()
		if status, answer, _ := do(h, "POST", "/subjects/s/versions", `{"schema":"\"int\""}`); status != 200 || !strings.Contains(answer, `"id":1`) {
			t.Errorf("in the place of another: %d %s", status, answer)
		}
		for _, end := range ends {
			_ = end.CloseWithError(io.ErrUnexpectedEOF)
		}
		synctest.Wait()
		for range 2 * maxWorking {
			open("{")
		}
		begun = time.Now()
		if status, _, _ := do(h, "POST", "/subjects/s/versions", `{"schema":"\"int\""}`); status != 200 || time.Since(begun) != 0 {
			t.Errorf("beside bodies that do not come: %d after %v", status, time.Since(begun))
		}
		for _, end := range ends {
			_ = end.CloseWithError(io.ErrUnexpectedEOF)
		}
		synctest.Wait()
	})
}
