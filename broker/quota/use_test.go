package quota

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// world are quotas on a clock of the test's.
type world struct {
	*Quotas
	t     *testing.T
	nowMs int64
}

func newWorld(t *testing.T, e storage.Engine) *world {
	t.Helper()
	w := &world{t: t, nowMs: 1_000_000}
	var err error
	if w.Quotas, err = Open(t.Context(), e, func() time.Time { return time.UnixMilli(w.nowMs) }); err != nil {
		t.Fatal(err)
	}
	return w
}

// set gives an entity a quota: "alice/app", "alice", "/app", "*/app", "*" and so
// on, * being the default.
func (w *world) set(who string, key Key, value float64) {
	w.t.Helper()
	if err := w.Alter(w.t.Context(), entity(who), []Change{{Key: key, Value: value}}, false); err != nil {
		w.t.Fatal(err)
	}
}

func entity(who string) Entity {
	part := func(s string) Match {
		switch s {
		case "":
			return Match{}
		case "*":
			return Default()
		}
		return Exact(s)
	}
	if ip, ok := strings.CutPrefix(who, "ip "); ok {
		return Entity{IP: part(ip)}
	}
	user, client, _ := strings.Cut(who, "/")
	return Entity{User: part(user), Client: part(client)}
}

// TestPrecedence takes Kafka's eight places away, one after the other.
func TestPrecedence(t *testing.T) {
	w := newWorld(t, memory.New())
	order := []string{"alice/app", "alice/*", "alice", "*/app", "*/*", "*", "/app", "/*"}
	for i, who := range order {
		w.set(who, ProduceBytes, float64(i+1))
		w.set(who, RequestTime, 1000) // another quota of the same entity does not count
	}
	// Who shares the limit: alice with this client, all of alice, or all users of
	// the client.
	shared := []string{"alice/app", "alice/app", "alice/", "alice/app", "alice/app", "alice/", "/app", "/app"}
	for i, who := range order {
		limit, k, ok := w.table.Load().find(ProduceBytes, "alice", "app")
		if !ok || limit != float64(i+1) {
			t.Errorf("before %s is gone: limit %v, %v", who, limit, ok)
		}
		if got := k.user + "/" + k.client; got != shared[i] {
			t.Errorf("%s is shared by %s, want %s", who, got, shared[i])
		}
		if err := w.Alter(t.Context(), entity(who), []Change{{Key: ProduceBytes, Remove: true}}, false); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, ok := w.table.Load().find(ProduceBytes, "alice", "app"); ok {
		t.Error("a limit is left")
	}
	if d := w.Use(ProduceBytes, "alice", "app", 1e9); d != 0 {
		t.Errorf("no limit, and yet %v", d)
	}
}

// TestRate goes through seconds of use against 100 bytes a second. Kafka's
// numbers: a burst of ten seconds' worth is free, what is above waits until the
// rate over the samples is back.
func TestRate(t *testing.T) {
	w := newWorld(t, memory.New())
	w.set("alice", FetchBytes, 100)
	for _, s := range []struct {
		afterMs int64
		bytes   float64
		want    time.Duration
	}{
		{0, 1000, 0},                        // 1000 in 10 s
		{0, 10, 100 * time.Millisecond},     // 1010 in 10 s is 101 a second
		{100, 0, 0},                         // 10.1 s
		{900, 100, 1100 * time.Millisecond}, // 1110 in 10 s
		{10_000, 100, 0},                    // the first sample is over
		{0, 1000, 2 * time.Second},          // 1200 in 10 s
		{60_000, 0, 0},                      // all are over
		{0, 1e12, maxWait},                  // not for ever
		{samples * sampleMs, 1000, 0},       // and forgotten after its time
	} {
		w.nowMs += s.afterMs
		got := w.Use(FetchBytes, "alice", "any", s.bytes)
		if (got - s.want).Abs() > time.Millisecond {
			t.Errorf("after %d ms, %v bytes: %v, want %v", s.afterMs, s.bytes, got, s.want)
		}
	}
	if n, ok := w.Burst(FetchBytes, "alice", "other"); n != 1000 || !ok {
		t.Errorf("burst %v, %v", n, ok)
	}
	if d := w.Use(FetchBytes, "bob", "any", 1e9); d != 0 {
		t.Errorf("bob has no limit: %v", d)
	}
	w.nowMs += 60_000
	w.Use(FetchBytes, "alice", "a", 5000)
	w.Unuse(FetchBytes, "alice", "b", 5000) // shared by all of alice's clients
	if d := w.Use(FetchBytes, "alice", "c", 1); d != 0 {
		t.Errorf("what was taken back counts: %v", d)
	}
}

// TestMutations: 2 partitions a second, 22 at once, in debt beyond.
func TestMutations(t *testing.T) {
	w := newWorld(t, memory.New())
	w.set("/app", Mutations, 2)
	for i, s := range []struct {
		afterMs int64
		n       int
		strict  bool
		wait    time.Duration
		refused bool
	}{
		{0, 22, true, 0, false},
		{0, 1, true, 0, false}, // there was no debt yet
		{0, 1, true, 500 * time.Millisecond, true},
		{0, 1, false, time.Second, false},
		{1000, 0, true, 0, false},
		{0, 10, true, 0, false}, // one request may go into debt
		{4999, 1, true, time.Millisecond, true},
		{100_000, 23, false, 500 * time.Millisecond, false}, // full again, and no fuller
	} {
		w.nowMs += s.afterMs
		wait, refused := w.Mutate("u", "app", s.n, s.strict)
		if refused != s.refused || (wait-s.wait).Abs() > time.Millisecond {
			t.Errorf("step %d: %v, %v; want %v, %v", i, wait, refused, s.wait, s.refused)
		}
	}
}

// TestConnections: an address with a quota of its own and all others.
func TestConnections(t *testing.T) {
	w := newWorld(t, memory.New())
	w.set("ip *", Connections, 1)
	w.set("ip 10.0.0.1", Connections, 3)
	for ip, want := range map[string]int{"10.0.0.1": 30, "10.0.0.2": 10, "::1": 10} {
		n := 0
		for n < 100 && w.Connect(ip) == 0 {
			n++
		}
		if n != want {
			t.Errorf("%s: %d connections at once, want %d", ip, n, want)
		}
		if is, over := w.buckets[bucketKey{key: Connections, ip: ip}].rate.value(w.nowMs); is*over.Seconds() != float64(want) {
			t.Errorf("%s: %v are counted, want %d: a refused one does not count", ip, is*over.Seconds(), want)
		}
	}
}

// TestBuckets: ids that nobody uses any more make room, and no client can take
// all of it.
func TestBuckets(t *testing.T) {
	w := newWorld(t, memory.New())
	w.set("/*", ProduceBytes, 1)
	for i := range maxBuckets {
		w.Use(ProduceBytes, "u", fmt.Sprint(i), 1e6)
	}
	if d := w.Use(ProduceBytes, "u", "one more", 1e6); d != 0 || len(w.buckets) != maxBuckets {
		t.Errorf("one more: %v, %d buckets", d, len(w.buckets))
	}
	w.nowMs += idleMs + 1
	if d := w.Use(ProduceBytes, "u", "one more", 1e6); d == 0 || len(w.buckets) != 1 {
		t.Errorf("after a while: %v, %d buckets", d, len(w.buckets))
	}
}

// TestRefusals: what cannot be a quota.
func TestRefusals(t *testing.T) {
	w := newWorld(t, memory.New())
	for _, c := range []struct {
		who   Entity
		key   Key
		value float64
	}{
		{Entity{}, ProduceBytes, 1},
		{entity("ip 10.0.0.1"), ProduceBytes, 1},
		{entity("alice"), Connections, 1},
		{entity("alice"), "speed", 1},
		{entity("alice"), ProduceBytes, 0},
		{entity("alice"), ProduceBytes, 1.5},
		{entity("alice"), RequestTime, -1},
		{entity("alice"), RequestTime, math.NaN()},
		{entity("ip 10.0.0.1"), Connections, 0.5},
		{entity("ip localhost"), Connections, 1},
		{entity("ip ::ffff:10.0.0.1"), Connections, 1},
		{Entity{User: Exact("")}, ProduceBytes, 1},
		{Entity{User: Exact(strings.Repeat("u", maxName+1))}, ProduceBytes, 1},
		{Entity{User: Exact("a"), IP: Exact("10.0.0.1")}, ProduceBytes, 1},
	} {
		err := w.Alter(t.Context(), c.who, []Change{{Key: c.key, Value: c.value}}, false)
		var r *Refusal
		if !errors.As(err, &r) {
			t.Errorf("%s %s=%v: %v", c.who, c.key, c.value, err)
		}
	}
	if err := w.Alter(t.Context(), entity("alice"), []Change{{Key: ProduceBytes, Value: 1}}, true); err != nil || len(w.List()) != 0 {
		t.Errorf("validated only: %v, %d entities", err, len(w.List()))
	}
}

// TestKept: quotas are there after a restart, with names of any kind, and after
// commits of unknown outcome memory and store agree.
func TestKept(t *testing.T) {
	e := faulty.New(memory.New())
	w := newWorld(t, e)
	all := []string{"a,b=c/<default>", "ü ser/*", "*/x/y", "ip ::1", "ip *", "/ "}
	for i, who := range all {
		w.set(who, map[bool]Key{true: Connections, false: Mutations}[strings.HasPrefix(who, "ip")], float64(i+1))
	}
	w.set(all[0], RequestTime, 0.5)
	same := func(when string) {
		t.Helper()
		again := newWorld(t, e)
		a, b := fmt.Sprint(w.List()), fmt.Sprint(again.List())
		if a != b {
			t.Errorf("%s: %s, after a restart %s", when, a, b)
		}
	}
	same("set")
	if n := len(w.List()); n != len(all) {
		t.Fatalf("%d entities, want %d", n, len(all))
	}
	broken := errors.New("the disk went away")
	for _, f := range []faulty.Fault{faulty.Refuse(storage.ErrFull), faulty.Refuse(broken), faulty.Persist(broken)} {
		e.NextMatching(func(storage.Write) bool { return true }, f)
		if err := w.Alter(context.Background(), entity(all[1]), []Change{{Key: Mutations, Value: 77}}, false); err == nil {
			t.Error("no error")
		}
		same("after a fault")
	}
	if i := slices.IndexFunc(w.List(), func(e Entry) bool { return e.Values[Mutations] == 77 }); i < 0 {
		t.Error("the commit that was stored is not seen")
	}
	for _, who := range all {
		err := w.Alter(t.Context(), entity(who), []Change{{Key: Mutations, Remove: true}, {Key: RequestTime, Remove: true}}, false)
		if strings.HasPrefix(who, "ip") {
			err = w.Alter(t.Context(), entity(who), []Change{{Key: Connections, Remove: true}}, false)
		}
		if err != nil {
			t.Error(err)
		}
	}
	if len(w.List()) != 0 {
		t.Errorf("left: %v", w.List())
	}
	same("removed")
}
