package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// askedAtOnce is of how many topics something is asked before a kill.
const askedAtOnce = 3

// disturb asks something of some topics' tables that the kill is to cut off.
func (r *trial) disturb(ctx context.Context) disturbance {
	done := make(disturbance)
	var all sync.WaitGroup
	for range askedAtOnce {
		topic, asked := r.pick()
		all.Go(func() { r.load.variety.disturbed.note(asked, r.ask(ctx, topic, asked)) })
	}
	go func() {
		defer close(done)
		all.Wait()
	}()
	return done
}

// pick is a topic with tables, and what to ask of them.
func (r *trial) pick() (topic, verb string) {
	topic, verbs := []string{topicName, remadeName}[r.rng.IntN(2)], []string{"flush", "flush", "compact", "expire", "rebuild", "abort", "redrive"}
	if n := r.rng.IntN(len(r.load.variety.kinds) + 1); n < len(r.load.variety.kinds) {
		k := r.load.variety.kinds[n]
		topic, verbs = k.name, append(verbs, slices.Concat(k.verbs, k.verbs)...)
	}
	return topic, verbs[r.rng.IntN(len(verbs))]
}

func (r *trial) ask(ctx context.Context, topic, verb string) error {
	err := r.api.Flush(ctx, topic) // most are cut off, as they are meant to be
	switch verb {
	case "flush":
		return err
	case "abort": // of a rebuild that an earlier kill has cut off
		return r.api.Call(ctx, http.MethodDelete, "/api/tables/"+topic+"/rebuild", nil, nil)
	}
	return r.api.Call(ctx, http.MethodPost, "/api/tables/"+topic+"/"+verb, nil, nil)
}

// disturbLimit is how long a kill waits for what it is to come right behind.
const disturbLimit = 10 * time.Second

// disturbance is closed when what was asked is answered, or cut off.
type disturbance chan struct{}

// within waits for the end of it, and not longer than limit.
func (d disturbance) within(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case <-d:
	case <-ctx.Done():
	}
}

// What is kept of refusals, for people to read.
const (
	maxReason  = 300 // bytes
	maxReasons = 20
)

// outcomes count what became of requests. Safe for concurrent use.
type outcomes struct {
	mu  sync.Mutex
	all map[string]*[3]int // guarded by mu: done, refused, cut off
	why map[string]int     // guarded by mu: reasons of refusals
}

func (o *outcomes) note(what string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all, o.why = map[string]*[3]int{}, map[string]int{}
	}
	if o.all[what] == nil {
		o.all[what] = &[3]int{}
	}
	switch {
	case err == nil:
		o.all[what][0]++
	case strings.Contains(err.Error(), " answered "):
		o.all[what][1]++
		_, text, _ := strings.Cut(err.Error(), " answered ")
		if text = text[:min(len(text), maxReason)]; o.why[text] > 0 || len(o.why) < maxReasons {
			o.why[text]++
		}
	default:
		o.all[what][2]++
	}
}

func (o *outcomes) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []string
	for _, what := range slices.Sorted(maps.Keys(o.all)) {
		n := o.all[what]
		out = append(out, fmt.Sprintf("%s %d (%d refused, %d cut off)", what, n[0], n[1], n[2]))
	}
	text := strings.Join(out, ", ")
	for _, why := range slices.Sorted(maps.Keys(o.why)) {
		text += fmt.Sprintf("\n  refused %d times: %s", o.why[why], why)
	}
	return text
}
