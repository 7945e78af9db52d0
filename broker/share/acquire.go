package share

import "time"

// extent is one batch of the log. skip says that a member must not get it: a
// transaction's marker, or an aborted batch under read_committed.
type extent struct {
	first, last int64
	skip        bool
}

// grant is a range of records that a member has acquired.
type grant struct {
	first, last int64
	count       int16 // deliveries, this one included
}

// acquisition says who acquires how much.
type acquisition struct {
	member  string
	until   time.Time // end of the locks
	records int64     // how many; batches are finished beyond it, unless strict
	strict  bool      // KIP-1206, acquire mode 1: not one record more
	batch   int64     // about how many records a grant has; 0: it does not matter
	locks   int64     // records in flight
	limit   int16     // deliveries
	more    bool      // the answer has records of this partition already
}

// overrun is how many times the limit of records in flight a window may have, so
// that a batch of the log is not torn (acquire mode 0). It bounds the spans of a
// window, since each has one record at least.
const overrun = 4

// acquire gives a member what is available in extents, which are what the log
// holds from the offset from on, ascending. What lies between them, or is to be
// skipped, is done at once. moved reports whether anything changed at all, and
// held that the answer is to have no more of this partition; see throttle.
func (w *window) acquire(a acquisition, from int64, extents []extent) (got []grant, moved, held bool) {
	if len(extents) == 0 {
		return nil, false, false
	}
	was, wasEnd := w.start, w.end
	w.extend(a, extents)
	runs := plan(from, extents)
	runs = w.bound(a, runs)
	runs, held = w.throttle(a, runs, extents)
	w.rewrite(runs, func(s *span, r *run) {
		switch {
		case s.state != available:
		case r.kind == ackGap || s.count >= a.limit:
			s.become(done)
			moved = true
		default:
			s.state, s.member, s.until = acquired, a.member, a.until
			s.count++
			got = append(got, grant{s.first, s.last, s.count})
		}
	})
	return split(got, extents, a.batch), moved || len(got) > 0 || w.start != was || w.end != wasEnd, held
}

// extend lets the window grow over new offsets, as far as there is room.
func (w *window) extend(a acquisition, extents []extent) {
	to := extents[len(extents)-1].last + 1
	if room := w.start + a.locks; to > room {
		if room <= w.end {
			return
		}
		if a.strict {
			to = room
		} else {
			for _, e := range extents { // to the end of the batch that room lies in
				if e.last+1 >= room {
					to = min(max(room, e.last+1), w.start+overrun*a.locks)
					break
				}
			}
		}
	}
	if to <= w.end {
		return
	}
	w.spans = append(w.spans, span{first: w.end, last: to - 1, state: available})
	w.end = to
}

// plan lists what to acquire and what to pass over (ackGap).
func plan(from int64, extents []extent) []run {
	runs := make([]run, 0, len(extents)+1)
	for _, e := range extents {
		if e.last < from {
			continue
		}
		if e.first > from {
			runs = append(runs, run{from, e.first - 1, ackGap})
		}
		r := run{max(e.first, from), e.last, ackAccept}
		if e.skip {
			r.kind = ackGap
		}
		runs = append(runs, r)
		from = e.last + 1
	}
	return runs
}

// bound cuts runs where enough records are acquired.
func (w *window) bound(a acquisition, runs []run) []run {
	n, end := int64(0), int64(-1)
	var enough *run
	w.parts(runs, func(s span, r *run) bool {
		if enough != nil && r != enough {
			return false
		}
		if s.state != available || r.kind == ackGap || s.count >= a.limit {
			return true
		}
		n += s.last - s.first + 1
		if n < a.records {
			return true
		}
		if a.strict {
			end = s.last - (n - a.records)
			return false
		}
		enough, end = r, r.last // the batch is finished
		return true
	})
	if end < 0 {
		return runs
	}
	return cut(runs, end)
}

// cut drops what lies beyond end.
func cut(runs []run, end int64) []run {
	for i := range runs {
		if runs[i].first > end {
			return runs[:i]
		}
		if runs[i].last >= end {
			runs[i].last = end
			return runs[:i+1]
		}
	}
	return runs
}

// suspect is from how many deliveries on records are thought to do harm: half of
// those allowed, rounded up, but two at least.
func (a acquisition) suspect() int16 { return max(2, (a.limit+1)/2) }

// throttle keeps records that were given back often from taking others with them:
// a record that kills its members would have all be archived that come with it.
// Suspects do not come after others in an answer, and with each delivery only
// half as many of their batch come at once; one on its last delivery comes alone,
// unless only two are allowed. As in Kafka 4.2. held reports whether runs were
// cut, or end with suspects.
func (w *window) throttle(a acquisition, runs []run, extents []extent) (rest []run, held bool) {
	taken, room, end := int64(0), int64(0), int64(-1)
	if a.more {
		taken = 1
	}
	var batch *run // of the suspects
	w.parts(runs, func(s span, r *run) bool {
		if s.state != available || r.kind == ackGap || s.count >= a.limit {
			return true
		}
		n := s.last - s.first + 1
		last := a.limit > 2 && s.count == a.limit-1
		switch {
		case batch != nil && r != batch, taken > 0 && last, batch == nil && taken > 0 && s.count >= a.suspect():
			held, end = true, s.first-1
			return false
		case batch == nil && s.count >= a.suspect():
			batch, room = r, max(1, sizeAt(extents, s.first)>>(s.count-a.suspect()+1))
			held = true
		}
		if last {
			room = 1
		}
		taken += n
		if batch == nil {
			return true
		}
		if room -= n; room <= 0 {
			end = s.last + room
			return false
		}
		return true
	})
	if end < 0 {
		return runs, held
	}
	return cut(runs, end), held
}

// sizeAt is how many offsets the batch has that an offset lies in.
func sizeAt(extents []extent, offset int64) int64 {
	for _, e := range extents {
		if e.first <= offset && offset <= e.last {
			return e.last - e.first + 1
		}
	}
	return 1
}

// split cuts grants where batches of the log end, once they have size records:
// what a client acknowledges at once is then about that much (KIP-932).
func split(grants []grant, extents []extent, size int64) []grant {
	if size <= 0 {
		return merge(grants)
	}
	var out []grant
	for _, g := range merge(grants) {
		for _, e := range extents {
			if e.last < g.first || e.last >= g.last || e.last-g.first+1 < size {
				continue
			}
			out = append(out, grant{g.first, e.last, g.count})
			g.first = e.last + 1
		}
		out = append(out, g)
	}
	return out
}

// merge joins grants that touch and were delivered equally often.
func merge(grants []grant) []grant {
	out := grants[:0]
	for _, g := range grants {
		if n := len(out); n > 0 && out[n-1].last+1 == g.first && out[n-1].count == g.count {
			out[n-1].last = g.last
			continue
		}
		out = append(out, g)
	}
	return out
}
