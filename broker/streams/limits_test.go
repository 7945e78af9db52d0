package streams

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// chain is a topology whose repartition topics flow into each other, so that each
// is known only when the one before is, and the last comes first by name.
func chain(n int) *Topology {
	name := func(i int) string { return fmt.Sprintf("r%06d", n-i) }
	t := &Topology{Epoch: 1}
	for i := range n + 1 {
		s := Subtopology{ID: fmt.Sprint(i)}
		if i == 0 {
			s.Sources = []string{"lines"}
		} else {
			s.Repartitions = []InternalTopic{{Name: name(i)}}
		}
		if i < n {
			s.Sinks = []string{name(i + 1)}
		}
		t.Subtopologies = append(t.Subtopologies, s)
	}
	return t
}

// TestLongTopologies works out what may be, and refuses what would take too long.
func TestLongTopologies(t *testing.T) {
	topics := &fakeTopics{sizes: map[string]int32{"lines": 3}}
	c, err := Configure(chain(maxRepartitions), topics)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Missing) != maxRepartitions {
		t.Fatalf("%d topics are to be made, want %d", len(c.Missing), maxRepartitions)
	}
	for _, it := range c.Missing {
		if it.Partitions != 3 {
			t.Fatalf("%s is to have %d partitions, want 3", it.Name, it.Partitions)
		}
	}
	if _, err := Configure(chain(maxRepartitions+1), topics); err == nil || !strings.Contains(err.Error(), "repartition topics") {
		t.Errorf("too many: %v", err)
	}
	loop := chain(2)
	loop.Subtopologies[0].Sinks = nil
	if _, err := Configure(loop, topics); err == nil || !strings.Contains(err.Error(), "nothing of known size") {
		t.Errorf("nothing flows in: %v", err)
	}
	large := chain(1)
	large.Subtopologies[0].Sources = append(large.Subtopologies[0].Sources, strings.Repeat("x", MaxTopologyBytes))
	if got := Missing(large, topics); got != nil {
		t.Errorf("a topology that is refused has topics missing: %d", len(got))
	}
}

// TestMembersSayTooMuch bounds what a group keeps of what its members say, also of
// those that say it later.
func TestMembersSayTooMuch(t *testing.T) {
	topics := &fakeTopics{sizes: map[string]int32{"lines": 3}}
	now := time.UnixMilli(1_000_000)
	g := New(10, topics, func() Settings { return Settings{Session: time.Minute, Heartbeat: time.Second} }, now)
	process := "p"
	join := func(id string) Beat {
		return Beat{ID: id, Process: &process, Rebalance: time.Minute, Topology: &Topology{Epoch: 1, Subtopologies: []Subtopology{{ID: "0", Sources: []string{"lines"}}}}}
	}
	a := g.Beat(now, join("A"))
	if a.Code != wire.None {
		t.Fatal(a.Message)
	}
	tags := map[string]string{"x": strings.Repeat("y", maxMemberBytes)}
	if r := g.Beat(now, Beat{ID: "A", Epoch: a.Epoch, Rebalance: -1, Tags: tags}); r.Code != wire.InvalidRequest {
		t.Errorf("a member says too much: %v %s", r.Code, r.Message)
	}
	b := join("B")
	b.Tags = tags
	if r := g.Beat(now, b); r.Code != wire.GroupMaxSizeReached {
		t.Errorf("who joins says too much: %v %s", r.Code, r.Message)
	}
	offsets := map[Task]int64{}
	for i := range int32(maxGroupOffsets/3 + 1) {
		offsets[Task{"0", i}] = 1
	}
	for _, id := range []string{"A", "B", "C", "D"} {
		j := join(id)
		j.Offsets = offsets
		if r := g.Beat(now, j); r.Code != wire.None {
			t.Fatalf("%s: %s", id, r.Message)
		}
	}
	held := 0
	for _, m := range g.members {
		held += len(m.offsets) + len(m.ends)
	}
	if held != g.offsets || held > maxGroupOffsets || held == 0 {
		t.Errorf("offsets of %d tasks are kept and %d counted, at most %d", held, g.offsets, maxGroupOffsets)
	}
	for _, id := range []string{"A", "B", "C", "D"} {
		g.Beat(now, Beat{ID: id, Epoch: EpochLeave})
	}
	if g.offsets != 0 || g.bytes != 0 {
		t.Errorf("of nobody %d offsets and %d bytes are counted", g.offsets, g.bytes)
	}
}
