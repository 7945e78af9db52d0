package rest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// wire is the network between a client and its catalog. At one request that
// changes something it does one of faults.
type wire struct {
	mu    sync.Mutex
	n     int // requests that changed something, so far
	at    int // which of them it happens to; 0 for none
	fault string
	late  *http.Request // sent when the next request comes
}

var faults = []string{
	"never sent", "answer lost", "bad gateway before", "bad gateway after", "page of a proxy after", "unavailable before",
	"sent twice", "sent late", "sent late, 504",
}

var errWire = errors.New("connection reset")

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
	}
	send := func() (*http.Response, error) {
		r := req.Clone(req.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		return http.DefaultTransport.RoundTrip(r)
	}
	answer := func(status int, text string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(text)), Header: http.Header{}, Request: req}, nil
	}
	dropped := func() {
		if resp, err := send(); err == nil {
			resp.Body.Close()
		}
	}
	if w.late != nil {
		late := w.late
		w.late = nil
		if resp, err := http.DefaultTransport.RoundTrip(late); err == nil {
			resp.Body.Close()
		}
	}
	if req.Method != http.MethodPost {
		return send()
	}
	if w.n++; w.n != w.at {
		return send()
	}
	const badGateway = `{"error":{"message":"Bad Gateway","type":"InternalServerError","code":502}}`
	switch w.fault {
	case "never sent":
		return nil, errWire
	case "answer lost":
		dropped()
		return nil, errWire
	case "bad gateway before":
		return answer(502, badGateway)
	case "bad gateway after":
		dropped()
		return answer(502, badGateway)
	case "page of a proxy after":
		dropped()
		return answer(504, "<html>timeout</html>")
	case "unavailable before":
		return answer(503, "")
	case "sent twice":
		dropped()
		return send()
	}
	w.late = req.Clone(req.Context())
	w.late.Body = io.NopCloser(bytes.NewReader(body))
	if w.fault == "sent late" {
		return nil, errWire
	}
	return answer(504, "")
}

// TestLostAnswers plays a story with one fault at each request that changes
// something, each way, by the rule that the sink follows: after an error it asks
// the table how far it is. Every row is there once, and a commit that moves
// offsets alone is not lost either.
func TestLostAnswers(t *testing.T) {
	for _, fault := range faults {
		t.Run(strings.ReplaceAll(fault, " ", "_"), func(t *testing.T) {
			for at := 1; ; at++ {
				w := &wire{at: at, fault: fault}
				story(t, w)
				if w.n < at {
					if at < 6 {
						t.Fatalf("only %d requests changed something", w.n)
					}
					return
				}
				if t.Failed() {
					t.Fatalf("at request %d", at)
				}
			}
		})
	}
}

func story(t *testing.T, w *wire) {
	t.Helper()
	store := blob.NewMemory()
	h := newHost(t, store)
	format := iceberg.New(h.client(t, store, w), store, iceberg.Options{})
	spec := tabletest.Spec(tabletest.Schema(t, tabletest.SmallFields()...))
	var tbl tables.Table
	var err error
	for range 3 {
		if tbl, err = format.Open(t.Context(), spec); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(4) {
		from, err := tbl.Progress(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var files []tables.DataFile
		if i != 2 { // that one has no rows
			files = append(files, tabletest.Write(t, store, tbl, fmt.Sprintf("f%d", i), tables.Range{From: 10 * i, To: 10*i + 10}))
		}
		c := tabletest.Next(from, fmt.Sprintf("c%d", i), files...)
		c.Progress.Offsets[0] = 10*i + 10
		for range 4 {
			if tbl.Commit(t.Context(), c) == nil {
				break
			}
			have, err := tbl.Progress(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if have.Equal(c.Progress) {
				break
			}
		}
		if have, err := tbl.Progress(t.Context()); err != nil || !have.Equal(c.Progress) {
			t.Fatalf("commit %d: progress %v, %v; want %v", i, have, err, c.Progress)
		}
	}
	seen := map[int64]int{}
	for id, err := range tbl.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		seen[id.Offset]++
	}
	for o := range int64(40) {
		want := 1
		if o/10 == 2 {
			want = 0
		}
		if seen[o] != want {
			t.Errorf("offset %d is there %d times, want %d", o, seen[o], want)
		}
	}
	now, err := h.cat.LoadTable(t.Context(), catalog.Identifier{"ns", "orders"})
	if err != nil || len(now.Metadata.Snapshots) != 4 {
		t.Errorf("%d snapshots, %v; want one a commit, without rows too", len(now.Metadata.Snapshots), err)
	}
}

// TestTwoWriters lets a second writer move offsets alone: of two commits that
// start from one state, one goes in.
func TestTwoWriters(t *testing.T) {
	store := blob.NewMemory()
	h := newHost(t, store)
	spec := tabletest.Spec(tabletest.Schema(t, tabletest.SmallFields()...))
	var both []tables.Table
	for range 2 {
		tbl, err := iceberg.New(h.client(t, store, nil), store, iceberg.Options{}).Open(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, tbl)
	}
	start, err := both[0].Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, tbl := range both {
		c := tabletest.Next(start, fmt.Sprintf("c%d", i))
		c.Progress.Offsets[0] = int64(10 + i)
		wg.Go(func() { errs[i] = tbl.Commit(t.Context(), c) })
	}
	wg.Wait()
	in := 0
	for _, err := range errs {
		switch {
		case err == nil:
			in++
		case !errors.Is(err, tables.ErrConflict):
			t.Error(err)
		}
	}
	if in != 1 {
		t.Errorf("%d of two commits went in: %v", in, errs)
	}
}
