package validate

import (
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tarn-io/tarn/schema"
)

// Limits of what is kept of refusals: 100 topics with 1000 rejections of less
// than 1 KB each stay below 100 MB.
const (
	// defaultRing is how many rejections of a topic are kept.
	defaultRing = 1000
	// maxRings bounds the topics with rejections; the one without any for the
	// longest makes room.
	maxRings = 100
	// maxPreview bounds the bytes of a refused payload that are kept.
	maxPreview = 128
	// maxText bounds a path or a phrase in a refusal, in bytes.
	maxText = 256
	// logEvery is the least time between two log lines about one topic:
	// producers try again at once.
	logEvery = 10 * time.Second
)

// Refusal is a record that was refused, and why.
type Refusal struct {
	Index int32  // of the record in its batch
	Part  string // "key" or "value"
	// Reason is the refusal in a phrase. Of a payload that does not fit its
	// schema, Path, Expected and Found say more, as in schema.Invalid.
	Reason                string
	Path, Expected, Found string
	SchemaID              int    // 0 if unknown
	Subject               string // "" if it depends on the schema, and that is unknown
	Version               int    // of the subject; 0 if unknown
	Type                  schema.Type
	// Rule is the one that was broken; Reason says so, and Path may.
	Rule string
	// More counts the refused records after this one that are not listed.
	More int
	// Monitored says that the record was taken all the same.
	Monitored bool
	Class     Class
}

// Message is the refusal as a producer reads it: `schema orders-value v3 (id 7,
// AVRO): $.amount: expected double, found string "12,50"`.
func (r Refusal) Message() string {
	text := r.Part + ": " + r.Reason
	if r.Rule != "" {
		text = fmt.Sprintf("schema %s v%d (id %d, %s): ", r.Subject, r.Version, r.SchemaID, r.Type)
		if r.Path != "" {
			text += r.Path + ": "
		}
		text += r.Reason
	} else if r.Path != "" {
		text = fmt.Sprintf("schema %s v%d (id %d, %s): %s: expected %s, found %s",
			r.Subject, r.Version, r.SchemaID, r.Type, r.Path, r.Expected, r.Found)
	} else {
		return text
	}
	if r.Part == "key" {
		text = "key: " + text
	}
	return text
}

// Rejection is a refusal as it is remembered.
type Rejection struct {
	// Seq rises by one with each rejection of the topic that is remembered.
	Seq   int64
	Time  time.Time
	Topic string
	Origin
	Refusal
	// Preview is the begin of the refused key or value, quoted.
	Preview string
}

// rings are the last rejections by topic.
type rings struct {
	lg  *slog.Logger
	now func() time.Time
	cap int

	mu      sync.Mutex
	topics  map[string]*ring // guarded by mu
	changed chan struct{}    // guarded by mu; closed and made anew by add
}

// ring holds the last rejections of a topic: a slice that grows to cap and is
// then written over from its begin.
type ring struct {
	id     TopicID
	kept   []Rejection
	next   int // where the oldest one is, once the ring is full
	seq    int64
	total  int64
	counts map[Cause]int64
	last   time.Time
	logged time.Time
	silent int64 // records refused since logged
}

func newRings(cfg Config) *rings {
	return &rings{lg: cfg.Log, now: cfg.Now, cap: cfg.Ring, topics: map[string]*ring{}, changed: make(chan struct{})}
}

// add remembers the refusals of one batch.
func (s *rings) add(topic string, id TopicID, from Origin, refused []Refusal, previews []string) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.topics[topic]
	switch {
	case r == nil:
		s.makeRoom()
		r = &ring{id: id, counts: map[Cause]int64{}}
		s.topics[topic] = r
	case r.id != id: // the topic was made again; numbers go on, for who waits for the next
		r = &ring{id: id, counts: map[Cause]int64{}, seq: r.seq}
		s.topics[topic] = r
	}
	r.last = now
	for i, bad := range refused {
		r.seq++
		r.add(Rejection{Seq: r.seq, Time: now, Topic: topic, Origin: from, Refusal: bad, Preview: previews[i]}, s.cap)
		r.count(causeOf(from, &bad), int64(1+bad.More))
	}
	close(s.changed)
	s.changed = make(chan struct{})
	count := int64(len(refused) + refused[len(refused)-1].More)
	r.total += count
	r.silent += count
	if r.logged.IsZero() || now.Sub(r.logged) >= logEvery {
		s.lg.Warn("records refused by their schema", "topic", topic, "records", r.silent,
			"client", from.ClientID, "remote", from.Remote, "record", refused[0].Index, "why", refused[0].Message())
		r.logged, r.silent = now, 0
	}
}

func (r *ring) add(j Rejection, limit int) {
	if len(r.kept) < limit {
		r.kept = append(r.kept, j)
		return
	}
	r.kept[r.next] = j
	r.next = (r.next + 1) % len(r.kept)
}

// makeRoom forgets the topic that was quiet for the longest.
func (s *rings) makeRoom() {
	if len(s.topics) < maxRings {
		return
	}
	oldest := ""
	for name, r := range s.topics {
		if o := s.topics[oldest]; o == nil || r.last.Before(o.last) {
			oldest = name
		}
	}
	delete(s.topics, oldest)
}

func (s *rings) list(topic string, id TopicID) []Rejection {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.topics[topic]
	if r == nil || r.id != id {
		return nil
	}
	list := make([]Rejection, 0, len(r.kept))
	for i := range r.kept {
		at := r.next - 1 - i
		if at < 0 {
			at += len(r.kept)
		}
		list = append(list, r.kept[at])
	}
	return list
}

func (s *rings) total(topic string, id TopicID) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.topics[topic]; r != nil && r.id == id {
		return r.total
	}
	return 0
}

// preview is the begin of b, quoted.
func preview(b []byte) string {
	if len(b) <= maxPreview {
		return strconv.Quote(string(b))
	}
	return fmt.Sprintf("%q... (%d bytes)", b[:maxPreview], len(b))
}

// clip bounds a text, without cutting a character in two.
func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	cut := maxText
	for cut > maxText-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}
