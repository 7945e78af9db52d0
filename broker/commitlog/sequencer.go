package commitlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// sequencer orders the pool's entries and commits them. It is owned by the
// goroutine of Logs.Run.
type sequencer struct {
	logs   *Logs
	engine storage.Engine
}

// round is one commit in the making: the write, and the state each log will
// have after it. Nothing of it is visible before the commit is durable.
type round struct {
	nowMs   int64
	write   storage.Write
	drafts  map[storage.TP]*draft
	order   []*draft       // drafts in order of first touch
	items   map[string]int // position in write.Set by key
	checks  map[string]int64
	members []*pending // entries that this commit decides
}

// draft is a log's state during a round.
type draft struct {
	log       *Log
	oldEnd    int64
	end       int64
	epoch     int32
	buf       []byte
	producers map[int64]*producer // changed ones only
	batches   int
	trim      int64 // new start, or -1
}

// run commits entries. It returns those that must wait for the next round, in
// order, and ErrBroken if the store contradicts what we know.
func (s *sequencer) run(ctx context.Context, entries []*pending) ([]*pending, error) {
	var rest []*pending
	for i, p := range entries {
		if p.forget != nil { // a barrier: what came before is committed first
			if i > 0 {
				entries, rest = entries[:i], entries[i:]
				break
			}
			s.logs.forget(*p.forget)
			p.finish(s.dropSnapshots(ctx, *p.forget))
			return entries[1:], nil
		}
	}
	for len(entries) > 0 {
		r, postponed, err := s.prepare(ctx, entries)
		if err != nil {
			return rest, err
		}
		again, err := s.commit(ctx, r)
		if err != nil {
			return rest, err
		}
		if again == nil {
			return append(postponed, rest...), nil
		}
		entries = append(again, postponed...)
	}
	return rest, nil
}

// prepare drafts a commit of entries. Entries that cannot be in it are finished
// with their error; from the first one that touches an item which the round
// writes already, entries are postponed to the next round.
func (s *sequencer) prepare(ctx context.Context, entries []*pending) (*round, []*pending, error) {
	r := &round{
		nowMs:  s.logs.cfg.Now().UnixMilli(),
		drafts: make(map[storage.TP]*draft, len(entries)),
		items:  map[string]int{},
		checks: map[string]int64{},
	}
	for i, p := range entries {
		if !r.fits(p) {
			return r.seal(), entries[i:], nil
		}
		if err := s.admit(ctx, r, p); err != nil {
			if errors.Is(err, storage.ErrBroken) {
				p.finish(fmt.Errorf("%w: %w", ErrStorage, err))
				return nil, nil, err
			}
			p.finish(err)
		}
	}
	return r.seal(), nil, nil
}

// fits reports whether p's items go with what the round writes already.
func (r *round) fits(p *pending) bool {
	for i := range p.Items {
		it := &p.Items[i]
		if j, ok := r.items[it.Key]; ok &&
			(it.Version != storage.Any || r.write.Set[j].Version != storage.Any) {
			return false
		}
		if _, ok := r.checks[it.Key]; ok {
			return false
		}
	}
	for _, c := range p.Checks {
		if _, ok := r.items[c.Key]; ok {
			return false
		}
		if v, ok := r.checks[c.Key]; ok && v != c.Version {
			return false
		}
	}
	if p.trim != nil {
		d := r.drafts[p.trim.TP]
		return d == nil || (d.batches == 0 && d.trim < 0)
	}
	for i := range p.Batches {
		if d := r.drafts[p.Batches[i].TP]; d != nil && d.trim >= 0 {
			return false
		}
	}
	return true
}

// admit checks p against the drafts and, if all of it may go, adds it.
func (s *sequencer) admit(ctx context.Context, r *round, p *pending) error {
	p.result = make([]Appended, len(p.Batches))
	if p.load != nil {
		if err := p.load.loadProducers(ctx); err != nil {
			return fmt.Errorf("%w: load producers of %s: %w", ErrStorage, p.load.tp, err)
		}
		r.members = append(r.members, p)
		return nil
	}
	if p.trim != nil {
		return s.admitTrim(ctx, r, p)
	}
	drafts := make([]*draft, len(p.Batches))
	for i := range p.Batches {
		b := &p.Batches[i]
		d, err := s.draft(ctx, r, b.TP)
		if err != nil {
			return err
		}
		drafts[i] = d
		if !b.Header.Idempotent() || b.Header.Control() {
			continue
		}
		dup, err := d.producer(b.Header.ProducerID).check(b.Header)
		if err != nil {
			return fmt.Errorf("producer %d epoch %d sequence %d in %s: %w",
				b.Header.ProducerID, b.Header.ProducerEpoch, b.Header.BaseSequence, b.TP, err)
		}
		if dup != nil {
			p.result[i] = Appended{TP: b.TP, Base: dup.Base, TimestampMs: dup.StampMs,
				Start: d.log.Start(), Duplicate: true}
		}
	}
	for i := range p.Batches {
		if !p.result[i].Duplicate {
			p.result[i] = drafts[i].append(&p.Batches[i], r.nowMs)
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

// addItems merges p's items into the write. Where both are written whatever is
// there, the later value stands for both.
func (r *round) addItems(p *pending) {
	for i := range p.Items {
		if j, ok := r.items[p.Items[i].Key]; ok {
			r.write.Set[j] = p.Items[i]
			continue
		}
		r.items[p.Items[i].Key] = len(r.write.Set)
		r.write.Set = append(r.write.Set, p.Items[i])
	}
	for _, c := range p.Checks {
		if _, ok := r.checks[c.Key]; !ok {
			r.checks[c.Key] = c.Version
			r.write.Check = append(r.write.Check, c)
		}
	}
}

// draft returns the round's draft of a log, begun from its committed state.
func (s *sequencer) draft(ctx context.Context, r *round, tp storage.TP) (*draft, error) {
	if d, ok := r.drafts[tp]; ok {
		return d, nil
	}
	g, err := s.logs.Log(ctx, tp)
	if err != nil {
		return nil, err
	}
	if err := g.loadProducers(ctx); err != nil {
		return nil, fmt.Errorf("%w: load producers of %s: %w", ErrStorage, tp, err)
	}
	d := &draft{log: g, oldEnd: g.End(), end: g.End(), epoch: g.epoch, trim: -1}
	r.drafts[tp] = d
	r.order = append(r.order, d)
	return d, nil
}

// producer is the state of a producer id as of this draft.
func (d *draft) producer(id int64) *producer {
	if p, ok := d.producers[id]; ok {
		return p
	}
	return d.log.producers[id]
}

// append gives b its offset and copies it into the draft: the caller's frame
// may be reused once the round is over, the copy serves the tail cache.
func (d *draft) append(b *Batch, nowMs int64) Appended {
	base, pos := d.end, len(d.buf)
	d.buf = append(d.buf, b.Bytes...)
	own := d.buf[pos:]
	record.SetBaseOffset(own, base)
	record.SetLeaderEpoch(own, d.epoch)
	stampMs := int64(-1)
	if b.Stamp {
		stampMs = nowMs
		record.SetLogAppendTime(own, nowMs)
	}
	d.end = base + int64(b.Header.LastOffsetDelta) + 1
	d.batches++
	if b.Header.Idempotent() && !b.Header.Control() {
		if d.producers == nil {
			d.producers = map[int64]*producer{}
		}
		id := b.Header.ProducerID
		d.producers[id] = d.producer(id).after(b.Header, base, stampMs, nowMs)
	}
	return Appended{TP: b.TP, Base: base, TimestampMs: stampMs, Start: d.log.Start()}
}

// seal writes the drafts into the write.
func (r *round) seal() *round {
	for _, d := range r.order {
		if d.batches > 0 {
			r.write.Append = append(r.write.Append, storage.Append{
				TP: d.log.tp, Expect: d.oldEnd, Epoch: d.epoch, End: d.end, Batches: d.buf,
			})
		}
		if d.trim > d.log.Start() {
			r.write.Trim = append(r.write.Trim, storage.Trim{TP: d.log.tp, Start: d.trim})
			// The trimmed headers are what the states would be rebuilt from.
			r.addSnapshot(d)
		} else if d.log.snapshotDue(d.batches) {
			r.addSnapshot(d)
		}
	}
	return r
}

// commit makes the round durable, publishes it and fulfils its promises. After
// a conflict it fails the entries that the conflict names and returns the
// others, which are to be prepared again; nil means that all is decided.
func (s *sequencer) commit(ctx context.Context, r *round) ([]*pending, error) {
	if len(r.write.Append)+len(r.write.Trim)+len(r.write.Set)+len(r.write.Check) == 0 {
		r.finish(nil)
		return nil, nil
	}
	err := s.engine.Commit(ctx, r.write)
	var conflict *storage.Conflict
	switch {
	case err == nil:
		r.publish(s.logs)
		return nil, nil
	case errors.As(err, &conflict):
		return s.drop(ctx, r, conflict), nil
	case errors.Is(err, storage.ErrInvalid), errors.Is(err, storage.ErrFull), errors.Is(err, storage.ErrClosed):
		r.finish(fmt.Errorf("%w: %w", ErrStorage, err))
		return nil, nil
	case errors.Is(err, storage.ErrBroken):
		r.finish(fmt.Errorf("%w: %w", ErrStorage, err))
		return nil, err
	}
	return nil, s.look(ctx, r, err)
}

// look settles a commit whose outcome is unknown: a commit is all or nothing,
// so any one log or item of it tells. If the store cannot be read the entries
// fail as unknown, and the logs are read anew before they are used again.
func (s *sequencer) look(ctx context.Context, r *round, cause error) error {
	done, err := s.persisted(ctx, r)
	switch {
	case err != nil:
		s.logs.lg.Error("commit outcome is unknown", "error", cause, "look", err)
		for _, d := range r.order {
			d.log.distrust()
		}
		r.finish(fmt.Errorf("%w: outcome unknown: %w", ErrStorage, cause))
	case done:
		s.logs.lg.Warn("commit reported an error but is stored", "error", cause)
		r.publish(s.logs)
	default:
		r.finish(fmt.Errorf("%w: %w", ErrStorage, cause))
	}
	return nil
}

// persisted asks the engine whether the round's write is there.
func (s *sequencer) persisted(ctx context.Context, r *round) (bool, error) {
	for _, a := range r.write.Append {
		b, err := s.engine.Bounds(ctx, a.TP)
		switch {
		case errors.Is(err, storage.ErrNoLog):
			return false, nil
		case err != nil:
			return false, err
		case b.End == a.End:
			return true, nil
		case b.End == a.Expect:
			return false, nil
		}
		return false, fmt.Errorf("log %s ends at %d, expected %d or %d", a.TP, b.End, a.Expect, a.End)
	}
	for _, it := range r.write.Set {
		got, err := s.engine.Get(ctx, it.Key)
		if err != nil {
			return false, err
		}
		// Versions are never used twice, so a risen one is ours or a rival's;
		// equal bytes settle it.
		if it.Delete {
			return got.Version == 0, nil
		}
		if got.Version > 0 && got.Version != it.Version && string(got.Value) == string(it.Value) {
			r.refreshVersions(ctx, s.engine)
			return true, nil
		}
		return false, nil
	}
	for _, t := range r.write.Trim {
		b, err := s.engine.Bounds(ctx, t.TP)
		return err == nil && b.Start >= t.Start, err
	}
	return false, nil
}

// refreshVersions reads the versions that a commit of unknown outcome gave.
func (r *round) refreshVersions(ctx context.Context, e storage.Engine) {
	for i := range r.write.Set {
		if got, err := e.Get(ctx, r.write.Set[i].Key); err == nil {
			r.write.Set[i].Version = got.Version
		}
	}
}

// drop fails the entries that a conflict names and returns the rest. Logs that
// somebody else has appended to are read anew before they are used again.
func (s *sequencer) drop(ctx context.Context, r *round, c *storage.Conflict) []*pending {
	lost := map[storage.TP]bool{}
	for _, l := range c.Logs {
		lost[l.TP] = true
		if d := r.drafts[l.TP]; d != nil {
			d.log.distrust()
		}
	}
	wrong := map[string]bool{}
	for _, it := range c.Items {
		wrong[it.Key] = true
	}
	again := []*pending{}
	for _, p := range r.members {
		if err := p.named(lost, wrong); err != nil {
			p.finish(err)
		} else {
			again = append(again, p)
		}
	}
	if len(again) == len(r.members) { // the conflict names nothing of ours
		r.finish(fmt.Errorf("%w: %w", ErrStorage, c))
		return nil
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
	if p.trim != nil && lost[p.trim.TP] {
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

// publish makes a committed round visible and fulfils its promises.
func (r *round) publish(l *Logs) {
	for _, d := range r.order {
		d.log.publish(d)
		if len(d.buf) > 0 {
			l.tail.add(d.log, d.oldEnd, d.end, d.buf)
		}
	}
	for _, p := range r.members {
		for i := range p.Items {
			p.Items[i].Version = r.write.Set[r.items[p.Items[i].Key]].Version
		}
	}
	r.finish(nil)
}

// finish fulfils all promises of the round.
func (r *round) finish(err error) {
	for _, p := range r.members {
		p.finish(err)
	}
}
