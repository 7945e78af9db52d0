package commitlog

import (
	"fmt"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// TestProducersAreBounded remembers so many producers and no more, the newest.
func TestProducersAreBounded(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	l := New(Config{Engine: memory.New(), Now: func() time.Time { return now }})
	g := &Log{tp: tp0, logs: l, producers: map[int64]*producer{}}
	for id := range int64(maxProducers + slackProducers + 1) {
		g.producers[id] = &producer{Epoch: 32767, LastMs: now.UnixMilli() + id, Last: []producedBatch{
			{1<<31 - 1, 1<<31 - 1, 1<<63 - 1, 1 << 41}, {1<<31 - 1, 1<<31 - 1, 1<<63 - 1, 1 << 41},
			{1<<31 - 1, 1<<31 - 1, 1<<63 - 1, 1 << 41}, {1<<31 - 1, 1<<31 - 1, 1<<63 - 1, 1 << 41},
			{1<<31 - 1, 1<<31 - 1, 1<<63 - 1, 1 << 41}}}
	}
	if !g.snapshotDue(0) {
		t.Fatal("too many producers do not call for a snapshot")
	}
	d := newDraft(g)
	r := newRound(now.UnixMilli(), nil)
	r.addSnapshot(d)
	if len(r.write.Set) != 1 || len(r.write.Set[0].Value) > storage.MaxValueBytes {
		t.Fatal("the largest snapshot does not fit an item")
	}
	g.publish(d)
	if len(g.producers) != maxProducers || g.producers[0] != nil || g.producers[maxProducers+slackProducers] == nil {
		t.Errorf("%d producers are left; the oldest there: %v", len(g.producers), g.producers[0] != nil)
	}
}

// TestProducersExpire forgets who was silent for long, in what it answers and
// lists, and from memory when a snapshot is taken.
func TestProducersExpire(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	l, _ := start(t, memory.New(), func(c *Config) {
		c.Now = func() time.Time { return now }
		c.ProducerExpiry = time.Hour
	})
	mustPut(t, l, batch(t, tp0, 1, idempotent(1, 0, 5)))
	now = now.Add(2 * time.Hour) // read by the sequencer after the next entry was added
	mustPut(t, l, batch(t, tp0, 1, idempotent(2, 0, 0)))
	g, err := l.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	listed := func() string {
		out := ""
		for _, p := range g.Producers() {
			out += fmt.Sprint(p.ID, ":", p.LastSequence, " ")
		}
		return out
	}
	if _, known := g.Producer(1); known || listed() != "2:0 " {
		t.Errorf("after its time producer 1 is known: %v; listed are %s", known, listed())
	}
	if _, dup := g.Duplicate(t.Context(), batch(t, tp0, 1, idempotent(1, 0, 5)).Header); dup {
		t.Error("a batch of producer 1 is a duplicate after its time")
	}
	if a := mustPut(t, l, batch(t, tp0, 1, idempotent(1, 0, 9))); a.Duplicate || a.Base != 2 {
		t.Errorf("producer 1 may not begin anew where it stands: %+v", a)
	}
	if a := mustPut(t, l, batch(t, tp0, 1, idempotent(2, 0, 0))); !a.Duplicate || a.Base != 1 || listed() != "1:9 2:0 " {
		t.Errorf("producer 2: %+v; listed are %s", a, listed())
	}
	now = now.Add(2 * time.Hour)
	mustPut(t, l, batch(t, tp0, 1, idempotent(3, 0, 0)))
	if _, err := l.Trim(t.Context(), tp0, 1); err != nil {
		t.Fatal(err)
	}
	g.mu.RLock()
	n := len(g.producers)
	g.mu.RUnlock()
	if n != 1 {
		t.Errorf("%d producers are in memory, want 1", n)
	}
}

// TestSnapshotNowAndThen takes one every snapshotEvery batches, and start-up
// reads only the headers after it.
func TestSnapshotNowAndThen(t *testing.T) {
	e := memory.New()
	l, _ := start(t, e, nil)
	mustPut(t, l, batch(t, tp0, 1, idempotent(1, 0, 0)))
	g, _ := l.Log(t.Context(), tp0)
	// Counted by the sequencer; nothing is under way here.
	g.unsaved = snapshotEvery - 1
	mustPut(t, l, batch(t, tp0, 1, idempotent(1, 0, 1)))
	it, err := e.Get(t.Context(), SnapshotKey(tp0))
	if err != nil || it.Version == 0 {
		t.Fatalf("no snapshot: %v", err)
	}
	mustPut(t, l, batch(t, tp0, 1, idempotent(1, 0, 2)))
	again := &Log{tp: tp0, logs: New(Config{Engine: e})}
	states, n, err := again.readStates(t.Context())
	if err != nil || n != 1 {
		t.Errorf("start-up read %d headers, want 1: %v", n, err)
	}
	if p := states.Producers[1]; p == nil || len(p.Last) != 3 || p.Last[2].Base != 2 {
		t.Errorf("producer 1: %+v", p)
	}
}
