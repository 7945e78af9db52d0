package console

import (
	"slices"
	"sync"
	"time"
)

// Limits of a Ring. A series takes 37 KB: four bytes a point.
const (
	fineStep    = time.Second
	finePoints  = 3600 // an hour
	roughStep   = 15 * time.Second
	roughPoints = 5760 // a day
	// MaxSeries bounds the series of a ring, so that it stays below 8 MB however many
	// topics and groups there are.
	MaxSeries = 200
)

// Ring remembers numbers over time: each second of the last hour, and each 15 seconds
// of the last day. Points that nobody added are absent. Its memory is taken when a
// series begins. Safe for concurrent use.
type Ring struct {
	mu     sync.Mutex
	series map[string]*series // guarded by mu
	last   int64              // second of the last Add, Unix; guarded by mu
}

type series struct {
	fine, rough []point
	sum         float64 // of the rough point that is being made
	n           int
	lastSecond  int64 // of its newest point, Unix
}

// point is a number with the step it belongs to, so that old rounds of the ring are
// told from this one without clearing anything.
type point struct {
	value float32
	at    uint32 // Unix seconds over the step
}

// NewRing makes an empty ring.
func NewRing() *Ring { return &Ring{series: map[string]*series{}} }

// Add remembers the numbers of a moment by the names of their series; times must not
// go back. When there are MaxSeries already, new names push out those that have been
// silent longest, and are left out if all others have just spoken.
func (r *Ring) Add(now time.Time, numbers map[string]float64) {
	second := now.Unix()
	r.mu.Lock()
	defer r.mu.Unlock()
	if second < r.last {
		return
	}
	r.last = second
	for name, v := range numbers {
		s := r.series[name]
		if s == nil {
			if s = r.begin(second); s == nil {
				continue
			}
			r.series[name] = s
		}
		s.add(second, v)
	}
}

// begin makes room for a series; nil if there is none. mu is held.
func (r *Ring) begin(second int64) *series {
	if len(r.series) >= MaxSeries {
		oldest, at := "", second-1
		for name, s := range r.series {
			if s.lastSecond < at {
				oldest, at = name, s.lastSecond
			}
		}
		if oldest == "" {
			return nil
		}
		delete(r.series, oldest)
	}
	return &series{fine: make([]point, finePoints), rough: make([]point, roughPoints)}
}

func (s *series) add(second int64, v float64) {
	step := int64(roughStep / time.Second)
	if s.lastSecond/step != second/step {
		s.sum, s.n = 0, 0
	}
	s.lastSecond = second
	s.fine[second%finePoints] = point{float32(v), uint32(second)}
	s.sum, s.n = s.sum+v, s.n+1
	s.rough[second/step%roughPoints] = point{float32(s.sum / float64(s.n)), uint32(second / step)}
}

// Points are the series of a ring over a span, in equal steps.
type Points struct {
	// From is the time of the first point, Unix seconds; Step is how many seconds lie
	// between two.
	From int64 `json:"from"`
	Step int64 `json:"step"`
	// Series are the numbers by name, null where there is none. All are as long.
	Series map[string][]*float32 `json:"series"`
}

// Since gives the series whose names wanted takes, over the span that ends now: in
// seconds up to an hour, in steps of 15 s, whose numbers are means, up to a day.
func (r *Ring) Since(now time.Time, span time.Duration, wanted func(name string) bool) Points {
	step, points := fineStep, finePoints
	if span > finePoints*fineStep {
		step, points = roughStep, roughPoints
	}
	n := int64(min(max(int(span/step), 1), points))
	seconds := int64(step / time.Second)
	last := now.Unix() / seconds
	first := last - n + 1
	out := Points{From: first * seconds, Step: seconds, Series: map[string][]*float32{}}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, s := range r.series {
		if !wanted(name) {
			continue
		}
		from := s.fine
		if step == roughStep {
			from = s.rough
		}
		line := make([]*float32, 0, n)
		for at := first; at <= last; at++ {
			p := from[at%int64(len(from))]
			if int64(p.at) != at {
				line = append(line, nil)
				continue
			}
			line = append(line, &p.value)
		}
		out.Series[name] = line
	}
	return out
}

// Names lists the series that there are, in order.
func (r *Ring) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]string, 0, len(r.series))
	for name := range r.series {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
