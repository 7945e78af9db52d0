package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/tarn-io/tarn/broker/storage/sqlite"
)

const (
	// minFollow is the shortest interval of a replica: each state is an object.
	minFollow = 100 * time.Millisecond
	// maxFollowers bounds the backups and replicas that read the store at a time.
	maxFollowers = 8
	// clusterHeader says of which broker the parts are.
	clusterHeader = "Tarn-Cluster-Id"
)

// parted is a store that can be backed up while it works.
type parted interface {
	Parts(ctx context.Context, ticks <-chan time.Time, emit func(sqlite.Part) error) error
}

// backupAPI streams the store as parts, each behind its length in four bytes: up
// to the first state, or with follow_ms each state after it, until the client or
// the broker goes. Whoever may ask has the records, users' secrets included, so
// it wants Alter on the cluster.
func (n *node) backupAPI(w http.ResponseWriter, r *http.Request) {
	store, ok := n.engine.(parted)
	if !ok {
		answer(w, http.StatusConflict, apiError{Code: 40902, Message: "the store is in memory and cannot be backed up: run the broker on a data directory (without --storage memory://)"})
		return
	}
	ticks, stop, err := n.ticks(r)
	if err != nil {
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: err.Error()})
		return
	}
	defer stop()
	select {
	case n.followers <- struct{}{}:
		defer func() { <-n.followers }()
	default:
		answer(w, http.StatusServiceUnavailable, apiError{Code: 50304, Message: fmt.Sprintf("%d backups and replicas are under way: wait for one to end", maxFollowers)})
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set(clusterHeader, n.broker.ClusterID())
	begun := false
	err = store.Parts(r.Context(), ticks, func(p sqlite.Part) error {
		begun = true
		if _, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(p.Bytes))), p.Bytes...)); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	})
	switch {
	case err == nil || r.Context().Err() != nil:
	case !begun:
		answer(w, http.StatusInternalServerError, apiError{Code: 50001, Message: "read the store: " + err.Error()})
	default: // the client sees a stream that ends before a state is whole
		n.lg.Warn("a backup or replica ended early", "component", "storage", "error", err)
	}
}

// ticks are the times at which a request wants to know the next state: none
// after the first, or every follow_ms and once more when the broker stops.
func (n *node) ticks(r *http.Request) (<-chan time.Time, func(), error) {
	out := make(chan time.Time)
	text := r.URL.Query().Get("follow_ms")
	if text == "" {
		close(out)
		return out, func() {}, nil
	}
	ms, err := strconv.Atoi(text)
	every := time.Duration(ms) * time.Millisecond
	if err != nil || every < minFollow || every > time.Hour {
		return nil, nil, fmt.Errorf("follow_ms %q: use %d to %d", text, minFollow.Milliseconds(), time.Hour.Milliseconds())
	}
	ended := make(chan struct{})
	go tick(out, every, n.stopping, ended)
	return out, func() { close(ended) }, nil
}

// tick sends the time until ended is closed, or once more when last is.
func tick(out chan<- time.Time, every time.Duration, last, ended <-chan struct{}) {
	defer close(out)
	t := time.NewTicker(every)
	defer t.Stop()
	for stopping := false; !stopping; {
		now := time.Now()
		select {
		case now = <-t.C:
		case <-last:
			stopping = true
		case <-ended:
			return
		}
		select {
		case out <- now:
		case <-ended:
			return
		}
	}
}

// readParts reads what backupAPI writes, until emit fails or the stream ends. It
// returns nil at an end behind a whole state.
func readParts(r io.Reader, emit func([]byte) (sqlite.Part, error)) error {
	whole := false
	for {
		var size [4]byte
		_, err := io.ReadFull(r, size[:])
		if errors.Is(err, io.EOF) && whole {
			return nil
		}
		n := binary.BigEndian.Uint32(size[:])
		if err == nil && n > sqlite.MaxPartBytes {
			return fmt.Errorf("part of %d bytes: %w", n, sqlite.ErrPart)
		}
		b := make([]byte, n)
		if err == nil {
			_, err = io.ReadFull(r, b)
		}
		if err != nil {
			return fmt.Errorf("the broker's answer ended early: %w", err)
		}
		p, err := emit(b)
		if err != nil {
			return err
		}
		whole = p.Whole
	}
}
