package commitlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

// sequencer orders the pool's entries and commits them. It is owned by the
// goroutine of Logs.Run.
type sequencer struct {
	logs   *Logs
	engine storage.Engine
	warned time.Time // when a failed commit was logged last
}

// run commits entries. It returns those that must wait for the next round, in
// order, and ErrBroken if the store contradicts what we know.
func (s *sequencer) run(ctx context.Context, entries []*pending) ([]*pending, error) {
	entries, rest := s.barrier(ctx, entries)
	for len(entries) > 0 {
		r, postponed, err := s.prepare(ctx, entries)
		if err != nil {
			return append(postponed, rest...), err
		}
		again, err := s.commit(ctx, r)
		if err != nil || again == nil {
			return append(postponed, rest...), err
		}
		entries = append(again, postponed...)
	}
	return rest, nil
}

// barrier cuts entries before the first one that forgets a topic, since what
// came before it is committed first. If it is the first of all it is done here.
func (s *sequencer) barrier(ctx context.Context, entries []*pending) (before, rest []*pending) {
	for i, p := range entries {
		switch {
		case p.forget == nil:
		case i > 0:
			return entries[:i:i], entries[i:]
		default:
			s.logs.forget(*p.forget)
			p.finish(s.dropSnapshots(ctx, *p.forget))
			return nil, entries[1:]
		}
	}
	return entries, nil
}

// prepare drafts a commit of entries. Entries that cannot be in it are finished
// with their error; from the first one that does not go with what the round
// writes already, entries are postponed to the next round. After an error the
// store is broken, and the entries returned are those nobody has answered yet.
func (s *sequencer) prepare(ctx context.Context, entries []*pending) (*round, []*pending, error) {
	r := newRound(s.logs.cfg.Now().UnixMilli(), entries)
	for i, p := range entries {
		if !r.fits(p) {
			r.seal()
			return r, entries[i:len(entries):len(entries)], nil
		}
		if err := s.admit(ctx, r, p); err != nil {
			p.finish(err)
			if errors.Is(err, storage.ErrBroken) {
				r.finish(err)
				return nil, entries[i+1:], err
			}
		}
	}
	r.seal()
	return r, nil, nil
}

// admit checks p against the drafts and, if all of it may go, adds it.
func (s *sequencer) admit(ctx context.Context, r *round, p *pending) error {
	switch {
	case p.load != nil:
		if _, err := s.logs.find(ctx, *p.load); err != nil {
			return err
		}
		r.members = append(r.members, p)
		return nil
	case p.trim != nil:
		return s.admitTrim(ctx, r, p)
	}
	if p.save != nil {
		d, err := s.draft(ctx, r, p.save.tp)
		if err != nil {
			return err
		}
		d.save, d.cleaned = true, max(d.cleaned, p.save.cleaned)
	}
	p.result = make([]Appended, len(p.Batches))
	for i := range p.Batches {
		b := &p.Batches[i]
		d, err := s.draft(ctx, r, b.TP)
		if err != nil {
			return err
		}
		if b.Follows && p.result[0].Duplicate {
			p.result[i] = Appended{TP: b.TP, Base: -1, TimestampMs: -1, Start: d.start, Duplicate: true}
			continue
		}
		if !b.Header.Idempotent() || b.Header.Control() {
			continue
		}
		dup, err := d.producer(b.Header.ProducerID, r.nowMs).check(b.Header)
		if err != nil {
			return fmt.Errorf("producer %d epoch %d sequence %d in %s: %w",
				b.Header.ProducerID, b.Header.ProducerEpoch, b.Header.BaseSequence, b.TP, err)
		}
		if dup != nil {
			p.result[i] = Appended{TP: b.TP, Base: dup.Base, TimestampMs: dup.StampMs, Start: d.start, Duplicate: true}
			continue
		}
		if err := d.checkTxn(b); err != nil {
			return fmt.Errorf("producer %d epoch %d in %s: %w", b.Header.ProducerID, b.Header.ProducerEpoch, b.TP, err)
		}
	}
	for i := range p.Batches {
		if !p.result[i].Duplicate {
			p.result[i] = r.drafts[p.Batches[i].TP].append(&p.Batches[i], r.nowMs)
		}
	}
	r.addItems(p)
	r.members = append(r.members, p)
	return nil
}

func (s *sequencer) admitTrim(ctx context.Context, r *round, p *pending) error {
	d, err := s.draft(ctx, r, p.trim.TP)
	if err != nil {
		return err
	}
	if p.trim.Start > d.end || p.trim.Start < 0 {
		return fmt.Errorf("trim %s at %d, log ends at %d: %w", p.trim.TP, p.trim.Start, d.end, ErrRange)
	}
	d.trim = p.trim.Start
	r.members = append(r.members, p)
	return nil
}

// draft returns the round's draft of a log, begun from its committed state.
func (s *sequencer) draft(ctx context.Context, r *round, tp storage.TP) (*draft, error) {
	if d, ok := r.drafts[tp]; ok {
		return d, nil
	}
	g, err := s.logs.find(ctx, tp)
	if err != nil {
		return nil, err
	}
	d := newDraft(g)
	if n := r.sizes[tp]; n > 0 {
		d.buf = make([]byte, 0, n)
	}
	r.drafts[tp] = d
	r.order = append(r.order, d)
	return d, nil
}

// commit makes the round durable, publishes it and fulfils its promises. After
// a conflict it fails the entries that the conflict names and returns the
// others, which are to be prepared again; nil means that all is decided. An
// error means that the store is broken.
func (s *sequencer) commit(ctx context.Context, r *round) ([]*pending, error) {
	if r.write.Empty() {
		r.publish(s.logs)
		return nil, nil
	}
	err := s.engine.Commit(ctx, r.write)
	var conflict *storage.Conflict
	switch {
	case err == nil:
		r.publish(s.logs)
		return nil, nil
	case errors.As(err, &conflict):
		return s.drop(r, conflict), nil
	case errors.Is(err, storage.ErrInvalid) && len(r.members) > 1:
		return nil, s.oneByOne(ctx, r)
	case errors.Is(err, storage.ErrInvalid), errors.Is(err, storage.ErrFull), errors.Is(err, storage.ErrClosed):
		s.warn("commit refused", err)
		r.finish(fmt.Errorf("%w: %w", ErrStorage, err))
		return nil, nil
	case errors.Is(err, storage.ErrBroken):
		r.finish(fmt.Errorf("%w: %w", ErrStorage, err))
		return nil, err
	}
	return nil, s.look(ctx, r, err)
}

// oneByOne commits the members of a round that breaks a limit each by itself,
// so that the one that does it fails alone.
func (s *sequencer) oneByOne(ctx context.Context, r *round) error {
	for i, p := range r.members {
		one, _, err := s.prepare(ctx, []*pending{p})
		if err == nil {
			_, err = s.commit(ctx, one)
		}
		if err != nil {
			for _, left := range r.members[i+1:] {
				left.finish(fmt.Errorf("%w: %w", ErrStorage, err))
			}
			return err
		}
	}
	return nil
}

// warn logs a failed commit, no more than one a second: clients try again.
func (s *sequencer) warn(what string, err error) {
	if now := s.logs.cfg.Now(); now.Sub(s.warned) >= time.Second {
		s.warned = now
		s.logs.lg.Error(what, "error", err)
	}
}

// drop fails the entries that a conflict names and returns the rest. Logs that
// somebody else has appended to are read anew before they are used again.
func (s *sequencer) drop(r *round, c *storage.Conflict) []*pending {
	lost := map[storage.TP]bool{}
	for _, l := range c.Logs {
		lost[l.TP] = true
		if d := r.drafts[l.TP]; d != nil {
			d.log.distrust()
		}
	}
	if len(lost) > 0 {
		s.warn("another process has written to this store", c)
	}
	wrong := map[string]bool{}
	for _, it := range c.Items {
		wrong[it.Key] = true
	}
	again := []*pending{}
	var failed []*pending
	for _, p := range r.members {
		if p.named(lost, wrong) == nil {
			again = append(again, p)
		} else {
			failed = append(failed, p)
		}
	}
	if len(failed) == 0 { // the conflict names nothing of ours
		r.finish(fmt.Errorf("%w: %w", ErrStorage, c))
		return nil
	}
	for _, p := range failed {
		p.finish(p.named(lost, wrong))
	}
	return again
}

// named returns the error for an entry that a conflict names, or nil.
func (p *pending) named(lost map[storage.TP]bool, wrong map[string]bool) error {
	for i := range p.Batches {
		if lost[p.Batches[i].TP] {
			return ErrNotOwner
		}
	}
	if p.trim != nil && lost[p.trim.TP] || p.save != nil && lost[p.save.tp] {
		return ErrNotOwner
	}
	for i := range p.Items {
		if wrong[p.Items[i].Key] {
			return fmt.Errorf("item %q: %w", p.Items[i].Key, ErrConflict)
		}
	}
	for _, c := range p.Checks {
		if wrong[c.Key] {
			return fmt.Errorf("item %q: %w", c.Key, ErrConflict)
		}
	}
	return nil
}
