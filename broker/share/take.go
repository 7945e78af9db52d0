package share

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/groupconfig"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/wire"
)

// taking is one partition of a fetch. Owned by whoever runs the fetch.
type taking struct {
	f       *fetch
	key     key
	log     *commitlog.Log
	part    *part // watched, if the fetch waits
	code    wire.Code
	records []byte
	grants  []grant
}

// run acquires what there is, and waits for it if there is nothing: for appends,
// for records that are given back, for the end of the session.
func (f *fetch) run(ctx context.Context) error {
	wait := min(time.Duration(f.req.MaxWaitMillis)*time.Millisecond, maxWait)
	f.until = time.Now().Add(wait)
	if f.collect(ctx, wait <= 0) || wait <= 0 {
		return ctx.Err()
	}
	w := commitlog.NewWaiter()
	f.watch(w.C)
	defer f.unwatch(w.C)
	for _, t := range f.parts {
		if t.log != nil { // as when no records are asked for
			t.log.Watch(w)
			defer t.log.Unwatch(w)
		}
	}
	timer := time.NewTimer(time.Until(f.until))
	defer timer.Stop()
	// Look after Watch: what came between the first look and Watch is seen.
	for !f.collect(ctx, false) {
		select {
		case <-w.C:
		case <-timer.C:
			f.collect(ctx, true)
			return ctx.Err()
		case <-ctx.Done():
			return ctx.Err()
		case <-f.c.stopped:
			return ErrStopped
		}
	}
	return ctx.Err()
}

// watch has w woken when records of the group are given back or the session ends.
func (f *fetch) watch(w chan struct{}) {
	f.g.mu.Lock()
	defer f.g.unlock()
	f.s.waiter = w
	if f.s.closed {
		signal(w)
	}
	for _, t := range f.parts {
		if t.part = f.g.parts[t.key]; t.part != nil {
			t.part.waiters[w] = struct{}{}
		}
	}
}

func (f *fetch) unwatch(w chan struct{}) {
	f.g.mu.Lock()
	defer f.g.unlock()
	if f.s.waiter == w {
		f.s.waiter = nil
	}
	for _, t := range f.parts {
		if t.part != nil {
			delete(t.part.waiters, w)
		}
	}
}

// collect acquires from all partitions and reports whether the answer may go:
// something was acquired, a partition has an error, the session has ended. Unless
// it is the last try it leaves everything where it is below the client's minimum.
func (f *fetch) collect(ctx context.Context, last bool) bool {
	f.records = int64(f.req.MaxRecords)
	most := min(int64(f.req.MaxBytes), maxFetchBytes)
	if most <= 0 || f.records <= 0 {
		return false
	}
	done, ready := false, int64(0)
	for _, t := range f.parts {
		n, again := t.prepare(ctx, min(int64(f.req.MinBytes), most)-ready)
		ready += n
		done = done || t.code != wire.None || again
	}
	if f.ended {
		return true
	}
	if !done && !last && ready < min(int64(f.req.MinBytes), most) {
		return false
	}
	left := f.mem.Reserve(int(min(most, readBytes*int64(len(f.parts)))))
	if f.short = left == 0 && !f.roomFor(ctx, readBytes); left == 0 && !f.short {
		left = readBytes
	}
	used := 0
	for i, t := range f.parts {
		if t.code == wire.None && f.records > 0 && !f.short && left > used {
			t.take(ctx, max((left-used)/(len(f.parts)-i), min(left-used, readBytes)), used == 0)
		}
		used += len(t.records)
		done = done || t.code != wire.None || len(t.grants) > 0
	}
	f.mem.Shrink(used)
	return done || f.ended
}

// prepare finds the log and the state of a partition, and makes the state if
// there is none. With want above 1 it also tells how many bytes are there to be
// acquired, about, and whether records wait that were delivered before.
func (t *taking) prepare(ctx context.Context, want int64) (bytes int64, again bool) {
	c := t.f.c
	_, n, ok := c.cfg.Topics.ByID(t.key.topic)
	switch {
	case !ok:
		t.code = wire.UnknownTopicID
		return 0, false
	case t.key.partition < 0 || t.key.partition >= n:
		t.code = wire.UnknownTopicOrPartition
		return 0, false
	}
	log, err := c.cfg.Logs(ctx, t.key.tp())
	if err != nil {
		t.fail(err)
		return 0, false
	}
	t.log = log
	from, again, ok := t.next(ctx, 0)
	if !ok || want <= 1 {
		return 0, again && ok
	}
	b, err := log.Read(ctx, from, int(min(want, readBytes)), t.limit())
	if err != nil {
		return 0, again
	}
	return int64(len(b)), again
}

// limit is the offset below which records may be delivered.
func (t *taking) limit() int64 {
	if t.f.st.committed {
		return t.log.LastStable()
	}
	return t.log.End()
}

// fail notes why nothing can be had of a partition.
func (t *taking) fail(err error) {
	switch {
	case errors.Is(err, commitlog.ErrGone):
		t.code = wire.UnknownTopicID
	case errors.Is(err, commitlog.ErrNotOwner), errors.Is(err, commitlog.ErrClosed):
		t.code = wire.NotLeaderOrFollower
	default:
		t.code = wire.KafkaStorageError
		t.f.c.lg.Error("share fetch failed", "group", t.f.g.name, "partition", t.key.tp(), "error", err)
	}
}

// next is the first offset at or after low that could be acquired, and exists.
func (t *taking) next(ctx context.Context, low int64) (from int64, again, ok bool) {
	for {
		p, o := t.state(ctx)
		if o != nil {
			code, err := t.f.c.wait(ctx, o)
			if err != nil {
				return 0, false, false
			}
			if t.code = code; code != wire.None {
				return 0, false, false
			}
			continue
		}
		if p == nil {
			return 0, false, false
		}
		p.w.advance(t.log.Start())
		from, again, ok = p.w.from(low, t.f.st.locks)
		t.f.g.unlock()
		return from, again, ok && from < t.limit()
	}
}

// state gives the partition's state, with the group locked; or a write to wait
// for; or neither, if nothing can be had now.
func (t *taking) state(ctx context.Context) (*part, *op) {
	f := t.f
	f.g.mu.Lock()
	p := f.g.parts[t.key]
	switch {
	case f.s.closed || f.g.gone || f.g.deleting:
		f.ended = true
	case p == nil:
		f.g.mu.Unlock()
		return nil, t.found(ctx)
	case p.lost:
		t.code = wire.KafkaStorageError
	case p.blocked:
	case p.begun != nil:
		o := p.begun
		f.g.mu.Unlock()
		return nil, o
	default:
		return p, nil
	}
	f.g.mu.Unlock()
	return nil, nil
}

// found makes the state of a share-partition where share.auto.offset.reset says
// that it begins. It is durable before anything is acquired, so that a restart
// does not begin anew, later.
func (t *taking) found(ctx context.Context) *op {
	start, err := t.reset(ctx)
	if err != nil {
		t.fail(err)
		return nil
	}
	g := t.f.g
	g.mu.Lock()
	defer g.unlock()
	if g.parts[t.key] != nil || g.gone || g.deleting {
		done := &op{done: make(chan struct{})}
		close(done.done)
		return done // look again
	}
	p, ok := g.newPart(t.key, start)
	if !ok {
		t.code = wire.CoordinatorNotAvailable
		return nil
	}
	p.begun = g.enqueue(p, g.newOp())
	return p.begun
}

// newPart makes the state of a share-partition, unless there are too many.
func (g *group) newPart(k key, start int64) (*part, bool) {
	c := g.c
	c.mu.Lock()
	full := c.states >= maxStates || len(g.parts) >= maxGroupStates
	if !full {
		c.states++
	}
	c.mu.Unlock()
	if full {
		c.lg.Error("too many share-partitions", "group", g.name, "of the group", len(g.parts))
		return nil, false
	}
	p := &part{key: k, w: window{start: start, end: start}, waiters: map[chan struct{}]struct{}{}}
	p.timer.init(g, p)
	g.parts[k] = p
	return p, true
}

// reset is where a share-partition begins.
func (t *taking) reset(ctx context.Context) (int64, error) {
	switch back, ok := strings.CutPrefix(t.f.st.reset, groupconfig.ByDuration); {
	case t.f.st.reset == groupconfig.Earliest:
		return t.log.Start(), nil
	case ok:
		d, err := groupconfig.ParseDuration(back)
		if err != nil {
			return t.log.End(), nil
		}
		end := t.log.End()
		found, ok, err := t.log.AtTime(ctx, time.Now().Add(-d).UnixMilli(), end, maxUnpacked)
		if err != nil || !ok {
			return end, err
		}
		return found.Offset, nil
	}
	return t.log.End(), nil
}

// take acquires records until there are enough or none are left, of about most
// bytes; the first batch of an answer may be larger.
func (t *taking) take(ctx context.Context, most int, first bool) {
	f := t.f
	for low := int64(0); f.records > 0; {
		from, _, ok := t.next(ctx, low)
		if !ok {
			return
		}
		limit, aborted := t.limit(), t.aborted(from) // before it is read
		b, err := t.log.Read(ctx, from, min(most-len(t.records), readBytes), limit)
		switch {
		case errors.Is(err, commitlog.ErrRange):
			return // the log's start has moved: the next try sees it
		case err != nil:
			t.fail(err)
			return
		case len(b) == 0, len(t.records)+len(b) > most && !(first && len(t.records) == 0):
			return
		case len(b) > most && !f.mem.TryExtend(len(b)):
			n := len(b) // what was read is dropped: who waits holds nothing
			if f.short = !f.roomFor(ctx, n); f.short {
				return
			}
			most = n
			continue // others may have taken what was read
		}
		extents, err := extentsOf(b, aborted)
		if err != nil {
			t.fail(err)
			return
		}
		got, more := t.acquire(from, extents)
		t.keep(b, got)
		if low = extents[len(extents)-1].last + 1; !more || len(t.records) >= most {
			return
		}
	}
}

// roomFor waits for room for a first batch of n bytes, within the client's patience.
func (f *fetch) roomFor(ctx context.Context, n int) bool {
	limited, cancel := context.WithDeadline(ctx, f.until)
	defer cancel()
	return f.mem.Extend(limited, n)
}

// aborted lists the aborted transactions that matter from an offset on: none if
// the group reads what is not committed too.
func (t *taking) aborted(from int64) commitlog.AbortedTxns {
	if !t.f.st.committed {
		return nil
	}
	return t.log.Aborted(from)
}

// extentsOf tells what the batches in b are.
func extentsOf(b []byte, aborted commitlog.AbortedTxns) (list []extent, err error) {
	for batch, err := range record.Batches(b) {
		if err != nil {
			return nil, err
		}
		h := batch.Header
		list = append(list, extent{h.BaseOffset, h.LastOffset(), h.Control() || aborted.Holds(h)})
	}
	return list, nil
}

// acquire takes what is available of what was read, if the session still stands.
// more is false if that is all for this answer.
func (t *taking) acquire(from int64, extents []extent) (got []grant, more bool) {
	f := t.f
	f.g.mu.Lock()
	defer f.g.unlock()
	p := f.g.parts[t.key]
	switch {
	case f.s.closed || f.g.gone:
		f.ended = true
		return nil, false
	case p == nil || p.lost || p.blocked || p.begun != nil:
		return nil, false
	}
	until := time.Now().Add(f.st.lock)
	got, _, held := p.w.acquire(acquisition{
		member: f.s.member, until: until, records: f.records, strict: f.req.ShareAcquireMode == 1,
		batch: int64(f.req.BatchSize), locks: f.st.locks, limit: f.st.limit,
		more: len(t.grants) > 0,
	}, from, extents)
	for _, g := range got {
		f.records -= g.last - g.first + 1
	}
	if len(got) > 0 {
		f.c.alarmBefore(&p.timer, until)
	}
	return got, !held
}

// keep adds what was acquired to the answer: the batches that hold any of it,
// whole.
func (t *taking) keep(b []byte, got []grant) {
	if len(got) == 0 {
		return
	}
	t.grants = append(t.grants, got...)
	i := 0
	for batch, err := range record.Batches(b) {
		if err != nil {
			return // read before by extents
		}
		h := batch.Header
		for i < len(got) && got[i].last < h.BaseOffset {
			i++
		}
		if i < len(got) && got[i].first <= h.LastOffset() {
			t.records = append(t.records, batch.Bytes...)
		}
	}
}
