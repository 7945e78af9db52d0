package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/topic"
)

// Limits of looking at records over HTTP.
const (
	defaultBrowse = 50
	maxBrowse     = 1000
	// defaultScan is how many records a search looks at before it asks whether to go
	// on, maxScan what it may be told.
	defaultScan = 200_000
	maxScan     = 100_000_000
	// scanTime bounds a search likewise.
	scanTime = time.Minute
	// progressEvery is how often a search says how far it is.
	progressEvery = 200 * time.Millisecond
	// filterChunk is how many records SQL judges at a time.
	filterChunk = 500
)

// browseRequest is what of a topic is wanted.
type browseRequest struct {
	topic *topic.Topic
	// oldest is the order: the oldest first.
	oldest      bool
	partition   int32 // -1: all
	at          string
	cursor      string
	key, text   string
	hasKey      bool
	where       string
	limit, scan int
	follow      bool
	full        bool
}

// browseEnd is how a search ended.
type browseEnd struct {
	Scanned int64 `json:"scanned"`
	Matched int64 `json:"matched"`
	// Left is how many offsets have not been looked at, Cursor where to go on.
	Left   int64  `json:"left"`
	Cursor string `json:"cursor"`
	// Why it ended: limit (as many as wanted), scan or time (searched long enough), end.
	Why       string `json:"why"`
	ElapsedMs int64  `json:"elapsed_ms"`
}

// browseAnswer is what is answered to who does not want events.
type browseAnswer struct {
	Records []shownRecord `json:"records"`
	browseEnd
}

// readBrowse reads a request's parameters.
func readBrowse(r *http.Request, t *topic.Topic) (browseRequest, error) {
	q := r.URL.Query()
	b := browseRequest{
		topic: t, partition: -1, at: q.Get("at"), cursor: q.Get("cursor"), key: q.Get("key"), hasKey: q.Has("key"), text: strings.ToLower(q.Get("text")),
		where: strings.TrimSpace(q.Get("where")), limit: defaultBrowse, scan: defaultScan,
		follow: q.Get("follow") == "true", full: q.Get("full") == "true",
	}
	switch order := q.Get("order"); order {
	case "", "newest":
	case "oldest":
		b.oldest = true
	default:
		return b, fmt.Errorf("order=%q: newest or oldest", order)
	}
	if text := q.Get("partition"); text != "" {
		p, err := strconv.ParseInt(text, 10, 32)
		if err != nil || p < 0 || int32(p) >= t.Partitions {
			return b, fmt.Errorf("partition=%s: there are 0 to %d", text, t.Partitions-1)
		}
		b.partition = int32(p)
	}
	for _, l := range []struct {
		name string
		max  int
		into *int
	}{{"limit", maxBrowse, &b.limit}, {"scan", maxScan, &b.scan}} {
		if text := q.Get(l.name); text != "" {
			v, err := strconv.Atoi(text)
			if err != nil || v < 1 || v > l.max {
				return b, fmt.Errorf("%s=%s: want 1 to %d", l.name, text, l.max)
			}
			*l.into = v
		}
	}
	if b.follow && b.oldest {
		return b, errors.New("follow=true shows what comes in; leave order away")
	}
	return b, nil
}

// browse answers the records of a topic by time across all partitions, read from the
// log in this process. To who accepts text/event-stream they come one by one, with
// progress between them, and with follow=true for as long as he stays.
func (n *node) browse(w http.ResponseWriter, r *http.Request) {
	t := n.topicFor(w, r, acl.Read)
	if t == nil {
		return
	}
	b, err := readBrowse(r, t)
	if err != nil {
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: err.Error()})
		return
	}
	s, err := n.newSearch(r, b)
	if err != nil {
		refuseBrowse(w, err)
		return
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		if b.follow {
			answer(w, http.StatusNotAcceptable, apiError{Code: 40601, Message: "follow=true goes with Accept: text/event-stream"})
			return
		}
		out := browseAnswer{Records: []shownRecord{}}
		out.browseEnd, err = s.run(r.Context(), func(rec shownRecord) error { out.Records = append(out.Records, rec); return nil }, nil)
		if err != nil {
			refuseBrowse(w, err)
			return
		}
		answer(w, http.StatusOK, out)
		return
	}
	out, done := n.openStream(w)
	if out == nil {
		return
	}
	defer done()
	ctx, cancel := n.untilStop(r)
	defer cancel()
	if b.follow {
		err = s.follow(ctx, out)
	} else {
		err = s.stream(ctx, out)
	}
	if err != nil && ctx.Err() == nil {
		_ = out.event("error", apiError{Code: 50001, Message: err.Error()})
	}
}

// refuseBrowse answers what kept records from being read.
func refuseBrowse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, commitlog.ErrGone):
		answer(w, http.StatusNotFound, apiError{Code: 40401, Message: err.Error()})
	case errors.Is(err, errInvalid), errors.Is(err, errMissing):
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: err.Error()})
	default:
		refuseSQL(w, err)
	}
}

// untilStop is a request's context, which also ends when the broker stops.
func (n *node) untilStop(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	go func() {
		select {
		case <-n.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// eventStream writes server-sent events.
type eventStream struct {
	w   http.ResponseWriter
	out *http.ResponseController
}

// openStream begins a stream of events; nil means that there are too many, which has
// been answered.
func (n *node) openStream(w http.ResponseWriter) (*eventStream, func()) {
	select {
	case n.streams <- struct{}{}:
	default:
		answer(w, http.StatusServiceUnavailable, apiError{Code: 50304, Message: fmt.Sprintf("%d streams are open, which is all there may be", maxStreams)})
		return nil, nil
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	return &eventStream{w, http.NewResponseController(w)}, func() { <-n.streams }
}

// event sends one event. An error means that the client is gone.
func (e *eventStream) event(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(e.w, "event: %s\ndata: %s\n\n", name, text); err != nil {
		return err
	}
	return nil
}

// flush sends what has gathered.
func (e *eventStream) flush() error { return e.out.Flush() }

// stream sends what a search finds, how far it is, and how it ended.
func (s *search) stream(ctx context.Context, out *eventStream) error {
	end, err := s.run(ctx, func(rec shownRecord) error { return out.event("record", rec) }, func(at browseEnd) error {
		if err := out.event("progress", at); err != nil {
			return err
		}
		return out.flush()
	})
	if err != nil {
		return err
	}
	if err := out.event("done", end); err != nil {
		return err
	}
	return out.flush()
}
