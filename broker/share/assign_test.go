package share

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
)

// TestAssign holds random groups to what the assignor promises, while members
// come and go.
func TestAssign(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		m := &members{byID: map[string]*member{}}
		var names []string
		for i := range 1 + rng.IntN(4) {
			names = append(names, fmt.Sprint("t", i))
			m.topics = append(m.topics, subscribed{names[i], storage.TopicID{byte(i + 1)}, int32(1 + rng.IntN(9))})
		}
		for step := range 12 {
			if n := len(m.byID); n > 0 && rng.IntN(3) == 0 {
				delete(m.byID, m.sorted()[rng.IntN(n)].id)
			} else {
				mem := &member{id: fmt.Sprint(rng.Uint32()), topics: names}
				if seed%2 == 0 {
					mem.topics = names[:1+rng.IntN(len(names))]
				}
				m.byID[mem.id] = mem
			}
			m.assign()
			if err := m.checkAssigned(seed%2 == 1); err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			before := map[string]assignment{}
			for id, mem := range m.byID {
				before[id] = mem.assigned
			}
			m.assign()
			for id, mem := range m.byID {
				if !mem.assigned.equal(before[id]) {
					t.Fatalf("seed %d, step %d: %s had %v, a second run gives %v", seed, step, id, before[id], mem.assigned)
				}
			}
		}
	}
}

// checkAssigned checks coverage and balance; equal says that all members
// subscribe to the same, so that all of their shares compare.
func (m *members) checkAssigned(equal bool) error {
	least, most := 1<<30, 0
	for _, mem := range m.byID {
		n := 0
		for _, numbers := range mem.assigned {
			n += len(numbers)
		}
		least, most = min(least, n), max(most, n)
	}
	if equal && len(m.byID) > 0 && most-least > 1 {
		return fmt.Errorf("members have from %d to %d partitions", least, most)
	}
	for _, t := range m.topics {
		readers, holders := 0, map[int32]int{}
		least, most := 1<<30, 0
		for _, mem := range m.byID {
			if !slices.Contains(mem.topics, t.name) {
				if len(mem.assigned[t.id]) > 0 {
					return fmt.Errorf("%s has %s, which it does not ask for", mem.id, t.name)
				}
				continue
			}
			readers++
			for _, p := range mem.assigned[t.id] {
				holders[p]++
			}
			least, most = min(least, len(mem.assigned[t.id])), max(most, len(mem.assigned[t.id]))
		}
		if readers == 0 {
			continue
		}
		if len(holders) != int(t.partitions) {
			return fmt.Errorf("%d of %d partitions of %s are assigned", len(holders), t.partitions, t.name)
		}
		if most-least > 1 {
			return fmt.Errorf("members have from %d to %d partitions of %s", least, most, t.name)
		}
		few, many := 1<<30, 0
		for _, n := range holders {
			few, many = min(few, n), max(many, n)
		}
		if many-few > 1 || int(t.partitions) >= readers && many > 1 {
			return fmt.Errorf("partitions of %s have from %d to %d members", t.name, few, many)
		}
	}
	return nil
}

// TestAssignSticky: who joins takes no more than its share, and who goes moves
// nothing of the others.
func TestAssignSticky(t *testing.T) {
	m := &members{byID: map[string]*member{}, topics: []subscribed{{"t", storage.TopicID{1}, 12}}}
	add := func(id string) { m.byID[id] = &member{id: id, topics: []string{"t"}} }
	add("b")
	add("c")
	add("d")
	m.assign()
	moved := func() (n int) {
		before := map[string][]int32{}
		for id, mem := range m.byID {
			before[id] = mem.assigned[storage.TopicID{1}]
		}
		m.assign()
		for id, mem := range m.byID {
			for _, p := range before[id] {
				if !slices.Contains(mem.assigned[storage.TopicID{1}], p) {
					n++
				}
			}
		}
		return n
	}
	add("a")
	if n := moved(); n != 3 {
		t.Errorf("%d partitions moved to the new member, want 3", n)
	}
	delete(m.byID, "c")
	if n := moved(); n != 0 {
		t.Errorf("%d partitions of those who stay moved", n)
	}
}
