package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/sink/query"
)

// search looks through a topic for what a request wants. One goroutine at a time.
type search struct {
	n     *node
	r     *http.Request
	want  browseRequest
	merge *merge
	show  *display
	begun time.Time

	scanned, matched int64
}

// newSearch opens the topic's logs where a request wants to begin.
func (n *node) newSearch(r *http.Request, b browseRequest) (*search, error) {
	s := &search{n: n, r: r, want: b, begun: time.Now()}
	var err error
	if s.show, err = n.newDisplay(r, b.topic, b.full); err != nil {
		return nil, err
	}
	if s.merge, err = n.newMerge(r.Context(), b.topic, b.partition, !b.oldest && !b.follow); err != nil {
		return nil, err
	}
	if err := s.moveTo(r.Context(), b.at); err != nil {
		return nil, err
	}
	if err := s.merge.seek(b.cursor); err != nil {
		return nil, err
	}
	if b.hasKey && !b.follow {
		s.merge.onlyKey(n.sql.KeySearch([]byte(b.key)), b.key, int64(b.scan))
	}
	if b.where == "" {
		return s, nil
	}
	// A mistake in the condition is told before anything is sent.
	_, err = s.judge(r.Context(), []rawRecord{{Partition: 0, Offset: math.MaxInt32}})
	return s, err
}

// moveTo goes to an offset, a time or how long ago: records from there on if the
// oldest come first, else those before it, with the one at an offset.
func (s *search) moveTo(ctx context.Context, word string) error {
	if word == "" {
		return nil
	}
	if offset, err := strconv.ParseInt(word, 10, 64); err == nil && offset >= 0 {
		for _, p := range s.merge.parts {
			at := offset
			if s.merge.backward {
				at++
			}
			p.pos = min(max(at, p.start), p.end)
		}
		return nil
	}
	at, err := parseMoment(strings.TrimPrefix(word, "@"), time.Now())
	if err != nil {
		return fmt.Errorf("%w: at=%q: an offset, a time such as 2026-01-31T12:00:00Z, or how long ago such as -1h", errInvalid, word)
	}
	for _, p := range s.merge.parts {
		found, ok, err := p.log.AtTime(ctx, at.UnixMilli(), p.end, maxUnpackedBatch)
		if err != nil {
			return fmt.Errorf("find %s in partition %d: %w", word, p.partition, err)
		}
		p.pos = p.end
		if ok {
			p.pos = found.Offset
		}
	}
	return nil
}

// run looks until there is as much as wanted, and gives what it finds to found. Told
// now and then how far it is, progress may end it by an error.
func (s *search) run(ctx context.Context, found func(shownRecord) error, progress func(browseEnd) error) (browseEnd, error) {
	said := s.begun
	for {
		why, err := s.step(ctx, found)
		if err != nil {
			return browseEnd{}, err
		}
		now := time.Now()
		switch {
		case why != "":
		case s.read() >= int64(s.want.scan):
			why = "scan"
		case now.Sub(s.begun) > scanTime:
			why = "time"
		}
		if why != "" {
			return s.state(why), nil
		}
		if progress != nil && now.Sub(said) > progressEvery {
			if err := progress(s.state("")); err != nil {
				return browseEnd{}, err
			}
			said = now
		}
	}
}

// read is how many records were read: a search for a key passes over others.
func (s *search) read() int64 {
	if k := s.merge.key; k != nil {
		return k.read
	}
	return s.scanned
}

func (s *search) state(why string) browseEnd {
	return browseEnd{
		Scanned: s.scanned, Matched: s.matched, Left: s.merge.left(), Cursor: s.merge.cursor(), Why: why,
		ElapsedMs: time.Since(s.begun).Milliseconds(),
	}
}

// step looks at the next records, and says why the search is over if it is.
func (s *search) step(ctx context.Context, found func(shownRecord) error) (why string, err error) {
	chunk := 1
	if s.want.where != "" {
		chunk = filterChunk
	}
	var some []rawRecord
	for len(some) < chunk {
		rec, err := s.merge.next(ctx)
		if errors.Is(err, errMore) {
			break
		}
		if err != nil {
			return "", err
		}
		if rec == nil {
			why = "end"
			break
		}
		s.scanned++
		if s.quick(rec) {
			some = append(some, *rec)
		}
		if s.scanned%1000 == 0 || s.read() >= int64(s.want.scan) {
			break // to say how far it is
		}
	}
	looked, err := s.emit(ctx, some, found)
	if err != nil {
		return "", err
	}
	s.merge.putBack(some[looked:])
	s.scanned -= int64(len(some) - looked)
	if k := s.merge.key; k != nil {
		s.scanned = k.read + k.passed
	}
	if s.matched >= int64(s.want.limit) {
		why = "limit"
	}
	return why, nil
}

// quick judges by the bytes of the key, before anything is decoded.
func (s *search) quick(rec *rawRecord) bool {
	return !s.want.hasKey || s.show.keyIs(rec, s.want.key)
}

// emit gives those of some records that fit to found, as many as are wanted, and says
// how many it has looked at.
func (s *search) emit(ctx context.Context, some []rawRecord, found func(shownRecord) error) (looked int, err error) {
	fits, err := s.judge(ctx, some)
	if err != nil {
		return 0, err
	}
	for i := range some {
		if !s.want.follow && s.matched >= int64(s.want.limit) {
			return i, nil
		}
		if fits != nil && !fits[i] {
			continue
		}
		shown := s.show.record(ctx, &some[i])
		if s.want.text != "" && !shown.contains(s.want.text) {
			continue
		}
		s.matched++
		if err := found(shown); err != nil {
			return 0, err
		}
	}
	return len(some), nil
}

// judge asks SQL which records fit the condition; nil means all.
func (s *search) judge(ctx context.Context, some []rawRecord) ([]bool, error) {
	if s.want.where == "" || len(some) == 0 {
		return nil, nil
	}
	type span struct{ from, to int64 }
	spans := map[int32]span{}
	for i := range some {
		r := &some[i]
		at, ok := spans[r.Partition]
		if !ok {
			at = span{r.Offset, r.Offset}
		}
		spans[r.Partition] = span{min(at.from, r.Offset), max(at.to, r.Offset)}
	}
	type place struct {
		partition int32
		offset    int64
	}
	good := map[place]bool{}
	for p, at := range spans {
		got, err := s.n.sql.Query(ctx, query.Request{
			SQL: fmt.Sprintf("SELECT kafka_offset FROM log.%s WHERE kafka_partition = %d AND kafka_offset >= %d AND kafka_offset <= %d AND (\n%s\n)",
				quotedName(s.want.topic.Name), p, at.from, at.to, s.want.where),
			Rows: int(min(at.to-at.from+1, query.MaxRows)), Time: scanTime, Allow: s.n.readableTopics(s.r, acl.Read, false),
		})
		if err != nil {
			return nil, err
		}
		for _, row := range got.Rows {
			if o, ok := row[0].(int64); ok {
				good[place{p, o}] = true
			}
		}
	}
	out := make([]bool, len(some))
	for i := range some {
		out[i] = good[place{some[i].Partition, some[i].Offset}]
	}
	return out, nil
}

// quotedName is a name as SQL takes every one.
func quotedName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
