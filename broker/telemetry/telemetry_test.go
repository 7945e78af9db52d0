package telemetry

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// bench is a Telemetry whose clock a test turns.
type bench struct {
	*Telemetry
	t   *testing.T
	now time.Time
}

func newBench(t *testing.T, s Store) *bench {
	t.Helper()
	b := &bench{t: t, now: time.UnixMilli(1_000_000)}
	var err error
	if b.Telemetry, err = Open(t.Context(), s, func() time.Time { return b.now }); err != nil {
		t.Fatal(err)
	}
	return b
}

// set sets a subscription's values; KEY= without value takes one back.
func (b *bench) set(name string, words ...string) error {
	var all []Change
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		c := Change{Key: Key(k), Value: v}
		if v == "" {
			c.Op = Delete
		}
		all = append(all, c)
	}
	return b.Alter(b.t.Context(), name, all, false, false)
}

func (b *bench) mustSet(name string, words ...string) {
	b.t.Helper()
	if err := b.set(name, words...); err != nil {
		b.t.Fatal(err)
	}
}

func TestSubscriptionsRefused(t *testing.T) {
	b := newBench(t, memory.New())
	for _, c := range []struct {
		name, key, value string
		request          bool
	}{
		{"", "metrics", "a", true},
		{strings.Repeat("n", 256), "metrics", "a", true},
		{"s", "colour", "a", true},
		{"s", "interval.ms", "99", true},
		{"s", "interval.ms", "3600001", true},
		{"s", "interval.ms", "soon", false},
		{"s", "match", "client_id", false},
		{"s", "match", "client_id=", false},
		{"s", "match", "client_id=a=b", false},
		{"s", "match", "colour=red", false},
		{"s", "match", "client_id=(", false},
		{"s", "match", `client_id=(?=ahead)`, false},
		{"s", "metrics", strings.Repeat("m", maxValue+1), false},
	} {
		var r *Refusal
		if err := b.set(c.name, c.key+"="+c.value); !errors.As(err, &r) || r.Request != c.request {
			t.Errorf("%.40v: %v", c, err)
		}
	}
	if names := b.Names(); len(names) > 0 {
		t.Errorf("there are subscriptions: %q", names)
	}
}

func TestSubscriptionsKept(t *testing.T) {
	e := memory.New()
	b := newBench(t, e)
	b.mustSet("s", "metrics=a, b", "interval.ms=1000")
	for _, c := range []Change{{Metrics, Append, "b,c"}, {Metrics, Subtract, "a,x"}, {Match, Append, "client_id=x"}} {
		if err := b.Alter(t.Context(), "s", []Change{c}, false, false); err != nil {
			t.Fatal(err)
		}
	}
	var r *Refusal
	if err := b.Alter(t.Context(), "s", []Change{{IntervalMs, Append, "5"}}, false, false); !errors.As(err, &r) {
		t.Errorf("a number is appended to: %v", err)
	}
	if err := b.Alter(t.Context(), "s", []Change{{IntervalMs, Set, "5000"}}, true, true); err != nil {
		t.Error(err)
	}
	for _, b := range []*bench{b, newBench(t, e)} {
		got := ""
		for _, d := range Definitions() {
			v, set := b.Value("s", d.Key)
			got += fmt.Sprintf("%s=%s %v; ", d.Key, v, set)
		}
		if want := "interval.ms=1000 true; match=client_id=x true; metrics=b,c true; "; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if v, set := b.Value("none", IntervalMs); v != "300000" || set {
		t.Errorf("default %s %v", v, set)
	}
	b.mustSet("s", "metrics=", "interval.ms=", "match=")
	for _, b := range []*bench{b, newBench(t, e)} {
		if names := b.Names(); len(names) > 0 {
			t.Errorf("a subscription without settings is there: %q", names)
		}
	}
}

var errBroken = errors.New("the disk is gone")

// TestStoreFails sets a subscription in a store that fails, with the change done
// and not done: memory says what the store says.
func TestStoreFails(t *testing.T) {
	for _, done := range []bool{false, true} {
		e := faulty.New(memory.New())
		b := newBench(t, e)
		b.mustSet("s", "metrics=a")
		if done {
			e.Next(faulty.Persist(errBroken))
		} else {
			e.Next(faulty.Refuse(errBroken))
		}
		if b.set("s", "metrics=b") == nil {
			t.Fatal("the store did not fail")
		}
		want := map[bool]string{false: "a", true: "b"}[done]
		if got, _ := b.Value("s", Metrics); got != want {
			t.Errorf("done %v: got %s, want %s", done, got, want)
		}
		b.mustSet("s", "metrics=c")
	}
}

func TestBrokenItem(t *testing.T) {
	for _, text := range []string{"no json", `{"colour":"red"}`} {
		e := memory.New()
		w := storage.Write{Set: []storage.Item{{Key: prefix + "s", Value: []byte(text)}}}
		if err := e.Commit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), e, nil); !errors.Is(err, storage.ErrBroken) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTooManySubscriptions(t *testing.T) {
	b := newBench(t, memory.New())
	for i := range maxSubscriptions {
		b.mustSet(fmt.Sprint(i), "metrics=a")
	}
	if err := b.set("more", "metrics=a"); !errors.Is(err, ErrTooMany) {
		t.Errorf("got %v", err)
	}
	b.mustSet("0", "metrics=b")
}

// TestMatch asks as one client under different subscriptions.
func TestMatch(t *testing.T) {
	c := Client{ID: "shop-1", Software: "apache-kafka-java", SoftwareVersion: "4.1.0", Host: "10.0.0.7", Port: "4711"}
	id := ID{1, 2}
	for _, row := range []struct {
		match string
		fits  bool
	}{
		{"", true},
		{"client_id=shop-.*", true},
		{"client_id=shop", false}, // the whole of it
		{"client_id=shop-1|other", true},
		{"client_software_name=apache-kafka-java, client_software_version=4.*", true},
		{"client_software_name=apache-kafka-java,client_software_version=3.*", false},
		{"client_source_address=10[.]0[.].*,client_source_port=4711", true},
		{"client_instance_id=" + id.String(), true},
		{"client_instance_id=x", false},
	} {
		b := newBench(t, memory.New())
		b.mustSet("s", "metrics=*", "interval.ms=1000")
		if row.match != "" {
			b.mustSet("s", "match="+row.match)
		}
		s, err := b.Subscribe(id, c)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(s.Metrics) > 0; got != row.fits || (s.Interval == time.Second) != row.fits {
			t.Errorf("%q: got %+v", row.match, s)
		}
	}
}

// TestSubscribe adds subscriptions up: all beginnings of names, and the shortest
// interval.
func TestSubscribe(t *testing.T) {
	b := newBench(t, memory.New())
	ask := func(id ID) Subscription {
		t.Helper()
		s, err := b.Subscribe(id, Client{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	none := ask(ID{1})
	b.mustSet("a", "metrics=x.,y.", "interval.ms=3600000")
	one := ask(ID{1})
	b.mustSet("b", "metrics=y.,z.", "interval.ms=2000")
	two := ask(ID{1})
	b.mustSet("c", "metrics=*")
	all := ask(ID{1})
	for _, c := range []struct {
		got      Subscription
		metrics  string
		interval time.Duration
	}{
		{none, "[]", 5 * time.Minute}, {one, "[x. y.]", 5 * time.Minute},
		{two, "[x. y. z.]", 2 * time.Second}, {all, "[*]", 2 * time.Second},
	} {
		if fmt.Sprint(c.got.Metrics) != c.metrics || c.got.Interval != c.interval {
			t.Errorf("got %+v, want %s each %v", c.got, c.metrics, c.interval)
		}
	}
	ids := map[int32]bool{none.ID: true, one.ID: true, two.ID: true, all.ID: true, ask(ID{2}).ID: true}
	if len(ids) != 5 {
		t.Errorf("subscription ids are not all different: %v", ids)
	}
	b.mustSet("c", "metrics=")
	if again := ask(ID{1}); again.ID != two.ID {
		t.Errorf("the same subscription has another id: %d, then %d", two.ID, again.ID)
	}
}

// TestComesBack is chosen by what the client is when it comes back, not by what it
// was at first.
func TestComesBack(t *testing.T) {
	b := newBench(t, memory.New())
	b.mustSet("s", "metrics=*", "match=client_source_address=10[.]0[.]0[.]2")
	id := ID{7}
	for i, host := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.1"} {
		s, err := b.Subscribe(id, Client{Host: host})
		if err != nil {
			t.Fatal(err)
		}
		if chosen := len(s.Metrics) > 0; chosen != (i == 1) {
			t.Errorf("from %s: chosen %v", host, chosen)
		}
		if all := b.Instances(); len(all) != 1 || all[0].Host != host {
			t.Errorf("from %s: %+v", host, all)
		}
		b.Left(id)
	}
}

// TestConversation goes through what a client may do, and when.
func TestConversation(t *testing.T) {
	b := newBench(t, memory.New())
	id := ID{7}
	var told Subscription
	get := func() error {
		s, err := b.Subscribe(id, Client{})
		if err == nil {
			told = s
		}
		return err
	}
	push := func() error { return b.Push(id, Client{}, told.ID, false, record.None, nil) }
	last := func() error { return b.Push(id, Client{}, told.ID, true, record.None, nil) }
	other := func() error { return b.Push(id, Client{}, told.ID+1, false, record.None, nil) }
	codec := func() error { return b.Push(id, Client{}, told.ID, false, 9, nil) }
	large := func() error { return b.Push(id, Client{}, told.ID, false, record.None, make([]byte, MaxBytes+1)) }
	alter := func() error { return b.set("s", "metrics=a"+fmt.Sprint(b.now.UnixMilli()), "interval.ms=1000") }
	if err := alter(); err != nil {
		t.Fatal(err)
	}
	for i, s := range []struct {
		after int // ms
		what  string
		do    func() error
		want  error
	}{
		{0, "asks", get, nil},
		{1, "asks again at once", get, ErrTooSoon},
		{100, "pushes before the interval is over, since it may spread", push, nil},
		{100, "pushes again", push, ErrTooSoon},
		{900, "pushes in time", push, nil},
		{1000, "by another subscription", other, ErrSubscription},
		{1, "asks for the right one", get, nil},
		{1, "asks again, with no error between", get, ErrTooSoon},
		{1, "its push counts from the last one", push, ErrTooSoon},
		{1000, "with an odd codec", codec, ErrCodec},
		{1, "asks which there are", get, nil},
		{1000, "too much", large, ErrTooLarge},
		{1, "asking does not help", get, ErrTooSoon},
		{1000, "pushes", push, nil},
		{1, "the subscription changes", alter, nil},
		{1, "its id is old", push, ErrSubscription},
		{1, "asks", get, nil},
		{1, "pushes too early, since the push before counted", push, ErrTooSoon},
		{1, "says goodbye, early", last, nil},
		{5000, "and yet pushes", push, ErrEnded},
		{1, "it was wrong about the end", push, nil},
		{1, "says goodbye", last, nil},
		{1, "twice", last, ErrEnded},
		{1, "its connection ends", func() error { b.Left(id); return nil }, nil},
		{1, "asks at once", get, nil},
		{1, "pushes", push, nil},
		{1, "nobody is it", func() error { return b.Push(ID{}, Client{}, 0, false, record.None, nil) }, ErrEnded},
		{1, "nor this one", func() error { return b.Push(ID{15: 1}, Client{}, 0, false, record.None, nil) }, ErrEnded},
	} {
		b.now = b.now.Add(time.Duration(s.after) * time.Millisecond)
		if err := s.do(); !errors.Is(err, s.want) {
			t.Errorf("step %d, %s: got %v, want %v", i, s.what, err, s.want)
		}
	}
	// A broker that was started again knows the subscription, not the client.
	if err := newBench(t, b.store).Push(id, Client{}, told.ID, false, record.None, nil); err != nil {
		t.Errorf("push to a new broker: %v", err)
	}
}
