package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-io/tarn/sink"
)

// Limits of waiting for tables over HTTP.
const (
	defaultWait = 30 * time.Second
	// maxWait is below what proxies and load balancers keep a silent connection
	// for when they are told to be patient.
	maxWait = 10 * time.Minute
	// maxWaits bounds the requests that wait at a time; each holds a connection.
	maxWaits = 1000
)

// dryOr does something to a topic's tables, or with dry_run=true says what it would be.
func dryOr[T any](w http.ResponseWriter, r *http.Request, would, do func(ctx context.Context, topic string) (T, error)) {
	if r.URL.Query().Get("dry_run") == "true" {
		do = would
	}
	got, err := do(r.Context(), r.PathValue("topic"))
	reply(w)(got, err)
}

// waitAPI answers when records are visible in the tables: those at an offset of
// a partition and all before them, or all that the log holds now. Without a
// partition, the topic's only one is meant. It answers 408 when timeout_ms have
// passed (30 s unless given, 10 minutes at most), and 409 if the tables do not go
// on by themselves.
func (n *node) waitAPI(w http.ResponseWriter, r *http.Request) {
	at, timeout, err := n.waitFor(r)
	if err != nil {
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: err.Error()})
		return
	}
	select {
	case n.waits <- struct{}{}:
		defer func() { <-n.waits }()
	default:
		answer(w, http.StatusServiceUnavailable, apiError{Code: 50305, Message: fmt.Sprintf("%d requests wait for tables, which is all there may be", maxWaits)})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	go func() { // a broker that ends does not wait for those who wait
		select {
		case <-n.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	done, err := n.sinks.Wait(ctx, r.PathValue("topic"), at)
	switch {
	case errors.Is(err, sink.ErrOffset):
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: err.Error()})
	case errors.Is(err, sink.ErrHalted):
		answer(w, http.StatusConflict, apiError{Code: 40902, Message: err.Error()})
	case errors.Is(err, context.DeadlineExceeded):
		answer(w, http.StatusRequestTimeout, apiError{Code: 40801, Message: n.stillWaiting(r, timeout, done)})
	case errors.Is(err, context.Canceled):
		answer(w, http.StatusServiceUnavailable, apiError{Code: 50306, Message: "the broker is stopping"})
	default:
		reply(w)(done, err)
	}
}

// reached says how far tables are: the next offset of each partition.
func reached(next map[int32]int64) string {
	var all []string
	for _, p := range slices.Sorted(maps.Keys(next)) {
		all = append(all, fmt.Sprintf("partition %d up to offset %d", p, next[p]-1))
		if next[p] == 0 {
			all[len(all)-1] = fmt.Sprintf("nothing of partition %d", p)
		}
	}
	if len(all) == 0 {
		return "nothing yet"
	}
	return strings.Join(all, ", ")
}

// stillWaiting says how far the tables are, and why no further.
func (n *node) stillWaiting(r *http.Request, timeout time.Duration, done sink.Waited) string {
	text := fmt.Sprintf("not visible after %v: the tables have %s", timeout, reached(done.Visible))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Second)
	defer cancel()
	if st, err := n.sinks.Status(ctx, done.Topic); err == nil && st.Message != "" {
		text += fmt.Sprintf("; state %s: %s", st.State, st.Message)
	} else if err == nil && st.NextMs > 0 {
		text += "; the next commit begins at " + time.UnixMilli(st.NextMs).UTC().Format(time.RFC3339)
	}
	return text
}

// waitFor reads what a request waits for, and how long.
func (n *node) waitFor(r *http.Request) (at map[int32]int64, timeout time.Duration, err error) {
	q := r.URL.Query()
	for name := range q {
		if name != "offset" && name != "partition" && name != "timeout_ms" {
			return nil, 0, fmt.Errorf("unknown parameter %q: there are partition, offset and timeout_ms", name)
		}
	}
	timeout = defaultWait
	if text := q.Get("timeout_ms"); text != "" {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil || ms < 0 || ms > maxWait.Milliseconds() {
			return nil, 0, fmt.Errorf("timeout_ms=%s: want 0 to %d", text, maxWait.Milliseconds())
		}
		timeout = time.Duration(ms) * time.Millisecond
	}
	if !q.Has("offset") {
		if q.Has("partition") {
			return nil, 0, errors.New("partition is given without offset: give both, or none to wait for all that the log holds")
		}
		return nil, timeout, nil
	}
	offset, err := strconv.ParseInt(q.Get("offset"), 10, 64)
	if err != nil || offset < 0 {
		return nil, 0, fmt.Errorf("offset=%s: want the offset of a record", q.Get("offset"))
	}
	var partition int64
	if text := q.Get("partition"); text != "" {
		if partition, err = strconv.ParseInt(text, 10, 32); err != nil || partition < 0 {
			return nil, 0, fmt.Errorf("partition=%s: want the number of a partition", text)
		}
	} else if t := n.broker.Topics().View().ByName(r.PathValue("topic")); t != nil && t.Partitions > 1 {
		return nil, 0, fmt.Errorf("the topic has %d partitions: say which one with partition", t.Partitions)
	}
	return map[int32]int64{int32(partition): offset}, timeout, nil
}
