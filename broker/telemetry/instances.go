package telemetry

import (
	"container/list"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/record"
)

// ID is a client instance id: one process's client, over all its connections.
type ID [16]byte

// String is the id as Kafka writes it.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// reserved reports whether no client has the id: Kafka's first two.
func (id ID) reserved() bool { return id == ID{} || id == ID{15: 1} }

// Client says who asks, as subscriptions match it.
type Client struct {
	ID, Software, SoftwareVersion string
	User, Host, Port              string
}

// instance is one client.
type instance struct {
	id     ID
	client Client

	// What it is to push, as of version of the subscriptions.
	version        int64
	subscriptionID int32
	metrics        []string
	interval       time.Duration

	lastGet, lastPush time.Time // zero: never
	ended             bool      // the last push was called the last
	left              bool      // its connection ended: it may come back as another client
	lastErr           error     // of its last request
	seen              time.Time // last request

	pushed time.Time // when what is kept came; zero: never
	kept   pushed
}

// instances are the clients, the one heard of last in front.
type instances struct {
	byID  map[ID]*list.Element // of *instance
	order list.List
	kept  int // bytes of all points
}

// Subscription is what a client is told.
type Subscription struct {
	Client   ID
	ID       int32
	Metrics  []string // beginnings of names; none: do not push
	Interval time.Duration
}

// Codecs are what a push may be packed with, the best first.
func Codecs() []record.Codec {
	return []record.Codec{record.Zstd, record.LZ4, record.Gzip, record.Snappy}
}

// NewID makes an id for a client that has none.
func NewID() ID {
	var id ID
	for id.reserved() {
		_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	}
	return id
}

// Subscribe answers what a client is to push. Errors: ErrTooSoon.
func (t *Telemetry) Subscribe(id ID, c Client) (Subscription, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	in := t.instance(id, c, now)
	last := in.lastGet
	if in.lastPush.After(last) {
		last = in.lastPush
	}
	if now.Sub(last) < in.interval && !errors.Is(in.lastErr, ErrSubscription) && !errors.Is(in.lastErr, ErrCodec) {
		return Subscription{}, ErrTooSoon
	}
	if now.Sub(last) >= in.interval {
		in.lastGet = now
	}
	in.lastErr = nil
	return Subscription{Client: id, ID: in.subscriptionID, Metrics: in.metrics, Interval: in.interval}, nil
}

// Push takes a client's metrics by the subscription that it was told last; last
// says that no more will come. Nothing of metrics is kept by reference. Errors:
// those above.
func (t *Telemetry) Push(id ID, c Client, subscription int32, last bool, codec record.Codec, metrics []byte) error {
	if id.reserved() {
		return ErrEnded
	}
	if err := t.admit(id, c, subscription, last, codec, len(metrics)); err != nil || len(metrics) == 0 {
		return err
	}
	p, err := unpack(codec, metrics)
	t.mu.Lock()
	defer t.mu.Unlock()
	in := t.instance(id, c, t.now())
	if in.lastErr = err; err != nil {
		return err
	}
	t.instances.kept += p.size - in.kept.size
	in.kept, in.pushed = p, in.seen
	t.shrink()
	return nil
}

// admit judges a push before its metrics are looked at, in Kafka's order.
func (t *Telemetry) admit(id ID, c Client, subscription int32, last bool, codec record.Codec, size int) (err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	in := t.instance(id, c, now)
	defer func() { in.ended, in.lastErr = last, err }()
	if in.ended {
		return ErrEnded
	}
	// The first push after a question may come any time: clients spread them.
	inTime := in.lastGet.After(in.lastPush) || now.Sub(in.lastPush) >= in.interval
	switch {
	case !inTime && !last:
		return ErrTooSoon
	case inTime:
		in.lastPush = now
	}
	switch {
	case subscription != in.subscriptionID:
		return ErrSubscription
	case codec < record.None || codec > record.Zstd:
		return ErrCodec
	case size > MaxBytes:
		return ErrTooLarge
	}
	return nil
}

// unpack reads a push.
func unpack(codec record.Codec, metrics []byte) (pushed, error) {
	if codec != record.None {
		var err error
		metrics, err = record.Decompress(nil, metrics, codec, MaxBytes)
		switch {
		case errors.Is(err, record.ErrTooLarge):
			return pushed{}, ErrTooLarge
		case err != nil:
			return pushed{}, fmt.Errorf("%w: %w", ErrMetrics, err)
		}
	}
	return parseMetrics(metrics)
}

// instance finds a client or begins it, and sees to it that its subscription is
// that of now. t.mu is held.
func (t *Telemetry) instance(id ID, c Client, now time.Time) *instance {
	all := &t.instances
	e, ok := all.byID[id]
	switch {
	case !ok:
		for all.order.Len() >= maxInstances || all.order.Len() > 0 && all.order.Back().Value.(*instance).silent(now) {
			all.drop(all.order.Back())
		}
		if all.byID == nil {
			all.byID = map[ID]*list.Element{}
		}
		e = all.order.PushFront(&instance{id: id, client: c, version: -1})
		all.byID[id] = e
	default:
		all.order.MoveToFront(e)
	}
	in := e.Value.(*instance)
	if in.left {
		// From another address, maybe, which subscriptions look at.
		in.client, in.left, in.version = c, false, -1
	}
	if in.version != t.version {
		t.subscribe(in)
	}
	in.seen = now
	return in
}

// subscribe works out what a client is to push, and lets it begin anew. t.mu is
// held.
func (t *Telemetry) subscribe(in *instance) {
	in.version, in.metrics, in.interval = t.version, nil, defaultInterval
	in.forget()
	for _, s := range t.subscriptions {
		if s.fits(in.id, &in.client) {
			in.metrics = append(in.metrics, s.metrics...)
			in.interval = min(in.interval, s.interval)
		}
	}
	slices.Sort(in.metrics)
	in.metrics = slices.Compact(in.metrics)
	if slices.Contains(in.metrics, All) {
		in.metrics = []string{All}
	}
	// The same subscriptions give the same id, after a restart too.
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	fmt.Fprintf(sum, "%s\n%d\n%s", strings.Join(in.metrics, "\n"), in.interval.Milliseconds(), in.id[:])
	in.subscriptionID = int32(sum.Sum32())
}

// forget lets the client begin anew.
func (in *instance) forget() {
	in.lastGet, in.lastPush, in.ended, in.lastErr = time.Time{}, time.Time{}, false, nil
}

// silent reports whether nobody waits for a client any more.
func (in *instance) silent(now time.Time) bool {
	return now.Sub(in.seen) > max(minSilence, 3*in.interval)
}

// Left says that the connection ended by which a client asked last: it may come
// back at once and ask again. What it pushed is shown for a while.
func (t *Telemetry) Left(id ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.instances.byID[id]; ok {
		in := e.Value.(*instance)
		in.forget()
		in.left = true
	}
}

// drop forgets a client.
func (s *instances) drop(e *list.Element) {
	in := s.order.Remove(e).(*instance)
	delete(s.byID, in.id)
	s.kept -= in.kept.size
}

// shrink gives up the metrics of those who have been silent longest. t.mu is
// held.
func (t *Telemetry) shrink() {
	s := &t.instances
	for e := s.order.Back(); s.kept > maxKept && e != nil; e = e.Prev() {
		in := e.Value.(*instance)
		s.kept -= in.kept.size
		in.kept, in.pushed = pushed{}, time.Time{}
	}
}

// Instance is a client as others may see it.
type Instance struct {
	ID ID
	Client
	// Subscribed are the beginnings of names that it is to push, each Interval.
	Subscribed []string
	Interval   time.Duration
	// Seen is when it asked or pushed last, Pushed when the metrics below came;
	// zero if none have.
	Seen, Pushed time.Time
	// Labels are of all Points, such as group_id; Dropped is how many points more
	// the push had than are kept. Not to be written to.
	Labels  []Label
	Points  []Point
	Dropped int
}

// Instances lists the clients heard of lately, by client id and id.
func (t *Telemetry) Instances() []Instance {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	var out []Instance
	for e := t.instances.order.Front(); e != nil; e = e.Next() {
		in := e.Value.(*instance)
		if in.silent(now) {
			continue
		}
		out = append(out, Instance{
			ID: in.id, Client: in.client, Subscribed: in.metrics, Interval: in.interval,
			Seen: in.seen, Pushed: in.pushed,
			Labels: in.kept.labels, Points: in.kept.points, Dropped: in.kept.dropped,
		})
	}
	slices.SortFunc(out, func(a, b Instance) int {
		if n := strings.Compare(a.Client.ID, b.Client.ID); n != 0 {
			return n
		}
		return slices.Compare(a.ID[:], b.ID[:])
	})
	return out
}
