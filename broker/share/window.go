package share

import (
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// state is what may happen next to a record.
type state uint8

const (
	available state = iota // to be acquired
	acquired               // a member has it, until its lock ends
	done                   // acknowledged or archived: never delivered again
)

// opID numbers the writes that acknowledgements wait for; 0 is none.
type opID uint64

// span is a range of offsets that share their state.
type span struct {
	first, last int64
	state       state
	count       int16     // deliveries so far
	member      string    // who has them; only while acquired
	until       time.Time // end of the lock; only while acquired
	op          opID      // the write that takes them to next; only while acquired
	next        state
}

// like reports whether two spans differ in nothing but their offsets.
func (s *span) like(t *span) bool {
	return s.state == t.state && s.count == t.count && s.member == t.member &&
		s.op == t.op && s.next == t.next && s.until.Equal(t.until)
}

// become ends an acquisition.
func (s *span) become(next state) {
	s.state, s.member, s.until, s.op, s.next = next, "", time.Time{}, 0, available
	if next == done {
		s.count = 0 // nobody asks any more, and neighbours merge
	}
}

// window is the part of a log that a share group works on: the in-flight records
// of one share-partition. It does no I/O and reads no clock.
type window struct {
	start int64 // SPSO: all before it is done
	end   int64 // first offset that was never acquired (SPEO + 1)
	spans []span
	// spans covers start to end without gaps; it begins with one that is not
	// done, and neighbours differ.
}

// run is what shall happen to a range of offsets.
type run struct {
	first, last int64
	kind        ackType
}

// ackType is an acknowledgement's type, with Kafka's numbers.
type ackType int8

const (
	ackGap     ackType = 0 // there is no such record: archived
	ackAccept  ackType = 1
	ackRelease ackType = 2 // to be delivered again
	ackReject  ackType = 3 // never to be delivered again
	ackRenew   ackType = 4 // the lock begins anew (KIP-1222)
)

// parts calls fn with every piece of the spans that lies inside a run. Runs are
// ascending and do not overlap. It stops when fn says false.
func (w *window) parts(runs []run, fn func(piece span, r *run) bool) {
	i := 0
	for j := range runs {
		r := &runs[j]
		for i < len(w.spans) && w.spans[i].last < r.first {
			i++
		}
		for k := i; k < len(w.spans) && w.spans[k].first <= r.last; k++ {
			piece := w.spans[k]
			piece.first, piece.last = max(piece.first, r.first), min(piece.last, r.last)
			if !fn(piece, r) {
				return
			}
		}
	}
}

// rewrite makes the spans anew in one pass, cut where runs begin and end, with fn
// called for each piece inside a run to change it.
func (w *window) rewrite(runs []run, fn func(piece *span, r *run)) {
	out := make([]span, 0, len(w.spans)+2)
	j := 0
	for _, s := range w.spans {
		for s.first <= s.last {
			for j < len(runs) && runs[j].last < s.first {
				j++
			}
			piece := s
			switch {
			case j == len(runs) || runs[j].first > s.last:
			case runs[j].first > s.first:
				piece.last = runs[j].first - 1
			default:
				piece.last = min(s.last, runs[j].last)
				s.first = piece.last + 1
				fn(&piece, &runs[j])
				out = push(out, piece)
				continue
			}
			s.first = piece.last + 1
			out = push(out, piece)
		}
	}
	w.spans = out
	w.trim()
}

// change calls fn with every span and merges what is alike then.
func (w *window) change(fn func(s *span)) {
	out := w.spans[:0]
	for _, s := range w.spans {
		fn(&s)
		out = push(out, s)
	}
	clear(w.spans[len(out):])
	w.spans = out
	w.trim()
}

// push appends a span, or makes the last one longer.
func push(out []span, s span) []span {
	if n := len(out); n > 0 && out[n-1].like(&s) {
		out[n-1].last = s.last
		return out
	}
	return append(out, s)
}

// trim moves the start over what is done, and gives back offsets at the end that
// nobody ever acquired.
func (w *window) trim() {
	n := 0
	for n < len(w.spans) && w.spans[n].state == done {
		w.start = w.spans[n].last + 1
		n++
	}
	w.spans = w.spans[n:]
	for n = len(w.spans); n > 0 && w.spans[n-1].state == available && w.spans[n-1].count == 0; n-- {
		w.end = w.spans[n-1].first
	}
	w.spans = w.spans[:n]
	if n == 0 {
		w.spans = nil
	}
	w.end = max(w.end, w.start)
}

// from is the first offset at or after low that may be acquired: one that was
// given back, or the next new one if there is room below locks records in flight.
func (w *window) from(low, locks int64) (offset int64, again, ok bool) {
	for i := range w.spans {
		if s := &w.spans[i]; s.state == available && s.last >= low {
			return max(s.first, low), true, true
		}
	}
	if w.end-w.start >= locks {
		return 0, false, false
	}
	return max(w.end, low), false, true
}

// acknowledge does what a member asks for its records: all of runs or nothing.
// What has to be stored first is marked with op, and write reports whether
// anything is. The code is INVALID_RECORD_STATE if any of the records is not the
// member's, INVALID_REQUEST if it was never acquired. What lies before the start
// is passed over, as in Kafka.
func (w *window) acknowledge(member string, runs []run, op opID, until time.Time, limit int16) (write bool, code wire.Code) {
	if n := len(runs); n > 0 && runs[n-1].last >= w.end {
		return false, wire.InvalidRequest
	}
	w.parts(runs, func(s span, _ *run) bool {
		if s.state != acquired || s.member != member || s.op != 0 {
			code = wire.InvalidRecordState
		}
		return code == wire.None
	})
	if code != wire.None {
		return false, code
	}
	w.rewrite(runs, func(s *span, r *run) {
		if r.kind == ackRenew {
			s.until = until
			return
		}
		s.op, s.next, write = op, done, true
		if r.kind == ackRelease && s.count < limit {
			s.next = available
		}
	})
	return write, wire.None
}

// settle ends what op marked: as it was asked for, or as it was before.
func (w *window) settle(op opID, ok bool) {
	w.change(func(s *span) {
		switch {
		case s.op != op:
		case ok:
			s.become(s.next)
		default:
			s.op, s.next = 0, available
		}
	})
}

// release gives back all that a member has and has not acknowledged; it counts
// as delivered, also to a member that closed its session (Kafka 4.3). It reports
// whether anything changed.
func (w *window) release(member string, limit int16) (changed bool) {
	w.change(func(s *span) {
		if s.state != acquired || s.member != member || s.op != 0 {
			return
		}
		changed = true
		s.free(limit)
	})
	return changed
}

// free makes records available, or archives those delivered too often.
func (s *span) free(limit int16) {
	if s.count >= limit {
		s.become(done)
		return
	}
	s.become(available)
}

// expire gives back what is locked no longer. What a write is under way for
// waits for that. It reports whether anything changed, and the time of the next
// lock's end, zero if nothing is locked.
func (w *window) expire(now time.Time, limit int16) (changed bool, next time.Time) {
	w.change(func(s *span) {
		switch {
		case s.state != acquired || s.op != 0:
		case !s.until.After(now):
			changed = true
			s.free(limit)
		case next.IsZero() || s.until.Before(next):
			next = s.until
		}
	})
	return changed, next
}

// advance follows the log's start: what the log no longer holds is done.
func (w *window) advance(logStart int64) (moved bool) {
	if logStart <= w.start {
		return false
	}
	w.rewrite([]run{{first: w.start, last: logStart - 1}}, func(s *span, _ *run) { s.become(done) })
	w.start, w.end = max(w.start, logStart), max(w.end, logStart)
	return true
}

// finished is how many records beyond the start are done.
func (w *window) finished() (n int64) {
	for i := range w.spans {
		if s := &w.spans[i]; s.state == done {
			n += s.last - s.first + 1
		}
	}
	return n
}

// clone is a copy of its own.
func (w *window) clone() window {
	return window{start: w.start, end: w.end, spans: slices.Clone(w.spans)}
}
