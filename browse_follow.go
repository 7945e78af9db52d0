package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tarn-io/tarn/broker/commitlog"
)

// Limits of following a topic.
const (
	// followRound is how many records are sent at a time; a browser shows no more
	// than two thousand.
	followRound = 500
	// followPace is the least time between two rounds.
	followPace = 100 * time.Millisecond
	// followBehind is how far a stream may fall behind before it skips what it will
	// never show.
	followBehind = 2000
)

// follow sends what comes into the topic until ctx ends. Who cannot keep up is told
// how many records were left out.
func (s *search) follow(ctx context.Context, out *eventStream) error {
	w := commitlog.NewWaiter()
	for _, p := range s.merge.parts {
		p.log.Watch(w)
		defer p.log.Unwatch(w)
		p.end = p.log.LastStable()
		if s.want.at == "" && s.want.cursor == "" {
			p.pos = p.end
		}
	}
	if err := out.event("following", s.state("")); err != nil {
		return err
	}
	alive, pace := time.NewTicker(keepAlive), time.NewTimer(0)
	defer alive.Stop()
	defer pace.Stop()
	<-pace.C
	for {
		more, err := s.followRound(ctx, out)
		if err != nil {
			return err
		}
		if err := out.flush(); err != nil {
			return err
		}
		pace.Reset(followPace)
		select {
		case <-pace.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if more {
			continue
		}
		select {
		case <-w.C:
		case <-alive.C:
			if _, err := fmt.Fprint(out.w, ":\n\n"); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// followRound sends what is new; more says that there is more at once.
func (s *search) followRound(ctx context.Context, out *eventStream) (more bool, err error) {
	dropped := int64(0)
	for _, p := range s.merge.parts {
		p.end = p.log.LastStable()
		room := int64(max(followBehind/len(s.merge.parts), 1))
		if at := p.end - room; s.want.where == "" && s.want.text == "" && !s.want.hasKey && len(p.ready) == 0 && p.pos < at {
			dropped += at - p.pos
			p.pos = at
		}
	}
	if dropped > 0 {
		if err := out.event("dropped", map[string]int64{"records": dropped}); err != nil {
			return false, err
		}
	}
	var some []rawRecord
	for range followRound {
		rec, err := s.merge.next(ctx)
		if err != nil {
			return false, err
		}
		if rec == nil {
			break
		}
		s.scanned++
		if s.quick(rec) {
			some = append(some, *rec)
		}
		more = s.merge.left() > 0
	}
	before := s.matched
	if _, err := s.emit(ctx, some, func(r shownRecord) error { return out.event("record", r) }); err != nil {
		return false, err
	}
	if s.matched != before || more {
		err = out.event("progress", s.state(""))
	}
	return more, err
}
