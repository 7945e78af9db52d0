package streams

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestAssign holds random groups to what the assignor promises: every task is
// active once, shares of threads alike differ by one at most, copies are
// elsewhere, and a second run moves no active task.
func TestAssign(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		topology := &Topology{}
		tasks := map[string]int32{}
		total := 0
		for i := range 1 + rng.IntN(3) {
			s := Subtopology{ID: fmt.Sprint(i), Sources: []string{"a"}}
			if rng.IntN(3) > 0 {
				s.Changelogs = []InternalTopic{{Name: "log"}}
			}
			topology.Subtopologies = append(topology.Subtopologies, s)
			tasks[s.ID] = int32(1 + rng.IntN(12))
			total += int(tasks[s.ID])
		}
		standbys, threads := rng.IntN(3), 1+rng.IntN(3)
		var workers []*worker
		for p := range 1 + rng.IntN(4) {
			for i := range threads { // as many in each process
				workers = append(workers, &worker{id: fmt.Sprintf("%d-%d", p, i), process: fmt.Sprint(p)})
			}
		}
		for range 4 { // members come and go
			assign(topology, tasks, workers, standbys)
			if err := checkAssignment(topology, tasks, workers, standbys, total); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			again := next(workers)
			assign(topology, tasks, again, standbys)
			for i, w := range again {
				if !slices.Equal(w.next.Active, workers[i].next.Active) {
					t.Fatalf("seed %d: %s had %s, a second run gives %s", seed, w.id, shown(workers[i].next), shown(w.next))
				}
			}
			workers = next(workers)
			if rng.IntN(2) == 0 && len(workers) > threads {
				workers = workers[threads:] // a process ends
			} else {
				for range threads {
					p := fmt.Sprint("new", rng.Uint32())
					workers = append(workers, &worker{id: p, process: p})
				}
				threads = 1
				workers = single(workers)
			}
		}
	}
}

// next makes workers that have what these are to have.
func next(workers []*worker) []*worker {
	var out []*worker
	for _, w := range workers {
		out = append(out, &worker{id: w.id, process: w.process, now: w.next})
	}
	return out
}

// single makes a process of every thread, so that shares can be compared.
func single(workers []*worker) []*worker {
	for _, w := range workers {
		w.process = w.id
	}
	return workers
}

func checkAssignment(topology *Topology, tasks map[string]int32, workers []*worker, standbys, total int) error {
	active, copies := map[Task]string{}, map[Task]int{}
	places := map[string]map[Task]bool{}
	least, most := 1<<30, 0
	for _, w := range workers {
		if places[w.process] == nil {
			places[w.process] = map[Task]bool{}
		}
		for _, k := range w.next.Active {
			if active[k] != "" {
				return fmt.Errorf("%s is active twice", k)
			}
			active[k] = w.id
		}
		for _, k := range w.next.Standby {
			copies[k]++
		}
		for _, k := range w.next.Active.union(w.next.Standby) {
			if places[w.process][k] {
				return fmt.Errorf("process %s has %s twice", w.process, k)
			}
			places[w.process][k] = true
		}
		n := len(w.next.Active)
		least, most = min(least, n), max(most, n)
	}
	if len(active) != total {
		return fmt.Errorf("%d tasks of %d are active", len(active), total)
	}
	if most-least > 1 {
		return fmt.Errorf("shares of active tasks are from %d to %d", least, most)
	}
	for i := range topology.Subtopologies {
		s := &topology.Subtopologies[i]
		want := 0
		if s.stateful() {
			want = min(standbys, len(places)-1)
		}
		for n := range tasks[s.ID] {
			if got := copies[Task{s.ID, n}]; got != want {
				return fmt.Errorf("%s_%d has %d copies, want %d", s.ID, n, got, want)
			}
		}
	}
	return nil
}

// TestAssignSticky: who goes away leaves the others' tasks where they are.
func TestAssignSticky(t *testing.T) {
	topology := &Topology{Subtopologies: []Subtopology{{ID: "0", Sources: []string{"a"}, Changelogs: []InternalTopic{{Name: "log"}}}}}
	tasks := map[string]int32{"0": 12}
	var workers []*worker
	for i := range 4 {
		workers = append(workers, &worker{id: fmt.Sprint(i), process: fmt.Sprint(i)})
	}
	assign(topology, tasks, workers, 1)
	kept := next(workers)[1:]
	assign(topology, tasks, kept, 1)
	for _, w := range kept {
		if _, lost := w.now.Active.split(w.next.Active); len(lost) > 0 {
			t.Errorf("%s loses %v", w.id, lost)
		}
		// What it got besides, it had a copy of, unless who had one is full.
		_, more := w.next.Active.split(w.now.Active)
		_, cold := more.split(w.now.Standby)
		for _, k := range cold {
			for _, other := range kept {
				if other.now.Standby.has(k) && len(other.next.Active) < 4 {
					t.Errorf("%s gets %s, and %s has its state and room", w.id, k, other.id)
				}
			}
		}
	}
}
