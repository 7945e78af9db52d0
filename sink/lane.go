package sink

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
)

// lane is a set of members that have come equally far, and where the next cut
// for them begins and must end. Mostly there is one lane. A format that was
// added later, or that could not keep up, has one of its own until it meets
// the others again.
type lane struct {
	members []*member
	from    offsets
	limit   offsets // where the next lane is, or the last stable offset
	front   bool    // no other lane is further
}

func batchList(b arrow.RecordBatch) []arrow.RecordBatch { return []arrow.RecordBatch{b} }

// lanes groups the members that can be cut for, the furthest behind first.
func (s *sink) lanes(ctx context.Context, stable offsets) ([]*lane, error) {
	var out []*lane
	for _, m := range s.members {
		if !m.known || m.out || s.waitsFor(m) >= maxPending {
			continue
		}
		from, err := s.position(ctx, m)
		if err != nil {
			return nil, err
		}
		m.passLetters(from)
		i := slices.IndexFunc(out, func(l *lane) bool {
			return m.letters == nil && l.members[0].letters == nil && maps.Equal(l.from, from)
		})
		if i < 0 {
			out = append(out, &lane{members: []*member{m}, from: from})
		} else {
			out[i].members = append(out[i].members, m)
		}
	}
	slices.SortStableFunc(out, func(a, b *lane) int { return cmp.Compare(a.from.sum(), b.from.sum()) })
	for i, l := range out {
		l.limit, l.front = stable, true
		for _, next := range out[i+1:] {
			if next.from.sum() > l.from.sum() {
				l.limit, l.front = next.from, false // both go on together from there
				break
			}
		}
	}
	return out, nil
}

// waitsFor counts the pending entries that wait for m.
func (s *sink) waitsFor(m *member) int {
	n := 0
	for _, e := range s.pending {
		if _, ok := e.Formats[m.name]; ok && !e.done[m.name] {
			n++
		}
	}
	return n
}

// stable is the last stable offset of each partition.
func (s *sink) stable(ctx context.Context) (offsets, error) {
	out := offsets{}
	for p := range s.topic.Partitions {
		log, err := s.log(ctx, p)
		if err != nil {
			return nil, err
		}
		out[p] = log.LastStable()
	}
	return out, nil
}

// due picks the lanes for which a cut should be made now: asked for, large
// enough, waiting long enough, or tried before in vain: what is wrong is wrong until
// one succeeds, and not just while a flush asks for it. Lanes behind the others are always due. All
// of it is worked out from memory, since it is asked often.
func (s *sink) due(lanes []*lane, stable offsets) []*lane {
	var out []*lane
	waits := false
	for _, l := range lanes {
		n := s.begun(l).until(l.limit)
		switch {
		case !l.front:
			if l.from.until(l.limit) > 0 {
				out = append(out, l)
			}
		case s.asked(l.from):
			out = append(out, l)
		case n > 0:
			waits = true
			if s.behindSince.IsZero() {
				s.behindSince = s.now()
			}
			size := cmp.Or(s.recordBytes, guessedRecord)
			if s.failed || n >= s.topic.CommitRows || n >= s.topic.CommitBytes/size || s.now().Sub(s.behindSince) >= s.interval() {
				out = append(out, l)
			}
		}
	}
	if !waits {
		s.behindSince = time.Time{}
	}
	if len(lanes) > 0 {
		s.status.setBehind(lanes[0].from.until(stable))
	}
	return out
}

// asked reports whether a flush asks for more than what lies below from.
func (s *sink) asked(from offsets) bool {
	return slices.ContainsFunc(s.waiting, func(f *flush) bool { return from.until(f.target) > 0 })
}

// begun is where reading for a lane begins: behind what is known to hold no
// rows.
func (s *sink) begun(l *lane) offsets {
	if l.front && s.barren.from != nil && maps.Equal(s.barren.from, l.from) {
		return s.barren.to
	}
	return l.from
}

// until counts the offsets from o to end.
func (o offsets) until(end offsets) int64 {
	var n int64
	for p, to := range end {
		n += max(0, to-o[p])
	}
	return n
}
