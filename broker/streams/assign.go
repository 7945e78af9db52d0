package streams

import (
	"cmp"
	"slices"
)

// The sticky assignor, Kafka's default for streams groups. In this order:
//
//  1. Active tasks, those with state first, stay with the member that has them,
//     as far as its share goes.
//  2. What is left goes to a member that has the task's state as a standby or
//     warm-up, or says that its disk has it, within its share.
//  3. The rest goes to the members with the fewest tasks, of equals in the
//     process with the fewest for its members.
//  4. Standbys of tasks with state go to members that had the task, within
//     their share, then as in 3. A process has a task once, in whichever role.
//
// Shares differ by one at most.

// worker is a member as the assignor sees it.
type worker struct {
	id, process string
	now         Assignment     // of the target before
	offsets     map[Task]int64 // of state on its disk, as far as it was said

	next  Assignment // what it is to have: unordered until done
	tasks int
	home  *process
}

// process is an instance of the application, whose members share a disk.
type process struct {
	members int
	tasks   int
	has     map[Task]bool
}

// load compares processes by the tasks of each member.
func (p *process) load() float64 { return float64(p.tasks) / float64(p.members) }

// least is the member with the least to do, of those in processes that lack a
// task; of equals, one in the process with the least. Nil if all have it.
func (a *assignor) least(k Task) *worker {
	var best *worker
	for _, w := range a.workers {
		if w.home.has[k] {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(w.tasks, best.tasks), cmp.Compare(w.home.load(), best.home.load())) < 0 {
			best = w
		}
	}
	return best
}

// share is how many tasks a member may have, while it is the members' turn that
// keep what they have: an equal part of all, and one more for as many as there
// are left over.
type share struct{ each, over int }

func newShare(tasks, members int) *share { return &share{tasks / members, tasks % members} }

// allows reports whether a member that has n tasks may have one more.
func (s *share) allows(n int) bool { return n < s.each || n == s.each && s.over > 0 }

// took notes that a member has n tasks now.
func (s *share) took(n int) {
	if n == s.each+1 {
		s.over--
	}
}

// assignor is one run.
type assignor struct {
	workers  []*worker
	holders  map[Task][]*worker // who has state of a task, the best first
	owners   map[Task]*worker   // active before
	standbys int                // of each task with state

	stateful, active, all *share
}

// assign works out who is to have what. workers are in a stable order; tasks
// gives the number of tasks of each subtopology.
func assign(t *Topology, tasks map[string]int32, workers []*worker, standbys int) {
	if len(workers) == 0 {
		return
	}
	a := &assignor{workers: workers, holders: map[Task][]*worker{}, owners: map[Task]*worker{}, standbys: standbys}
	var stateful, stateless []Task
	for i := range t.Subtopologies {
		s := &t.Subtopologies[i]
		for n := range tasks[s.ID] {
			if k := (Task{s.ID, n}); s.stateful() {
				stateful = append(stateful, k)
			} else {
				stateless = append(stateless, k)
			}
		}
	}
	a.prepare(len(stateful), len(stateless))
	a.actives(slices.Clone(stateful), a.stateful)
	a.actives(stateless, a.active)
	if standbys > 0 {
		a.copies(stateful)
	}
	for _, w := range workers {
		w.next.Active, w.next.Standby = NewTasks(w.next.Active), NewTasks(w.next.Standby)
	}
}

func (a *assignor) prepare(stateful, stateless int) {
	n := len(a.workers)
	a.stateful = newShare(stateful, n)
	a.active = newShare(stateful+stateless, n)
	a.all = newShare(stateful*(1+a.standbys)+stateless, n)
	homes := map[string]*process{}
	for _, w := range a.workers {
		p := homes[w.process]
		if p == nil {
			p = &process{has: map[Task]bool{}}
			homes[w.process] = p
		}
		p.members++
		w.home = p
		for _, k := range w.now.Active {
			a.owners[k] = w
		}
		copies := w.now.Standby.union(w.now.Warmup)
		for _, k := range copies {
			a.holders[k] = append(a.holders[k], w)
		}
		for k := range w.offsets {
			if !copies.has(k) {
				a.holders[k] = append(a.holders[k], w)
			}
		}
	}
	for k, list := range a.holders {
		slices.SortStableFunc(list, func(v, w *worker) int {
			return cmp.Or(cmp.Compare(rank(v, k), rank(w, k)), cmp.Compare(w.offsets[k], v.offsets[k]))
		})
	}
}

// rank puts those who keep a copy before those who have an old one on disk.
func rank(w *worker, k Task) int {
	if w.now.Standby.has(k) || w.now.Warmup.has(k) {
		return 0
	}
	return 1
}

// give makes w have a task.
func (a *assignor) give(w *worker, k Task, role *Tasks) {
	*role = append(*role, k)
	w.tasks++
	w.home.tasks++
	w.home.has[k] = true
	a.all.took(w.tasks)
}

func (a *assignor) giveActive(w *worker, k Task, s *share) {
	a.give(w, k, &w.next.Active)
	if s != a.active {
		s.took(w.tasks)
	}
	a.active.took(w.tasks)
}

// actives places active tasks, the members' counts being of active tasks only.
func (a *assignor) actives(tasks []Task, s *share) {
	byPartition(tasks)
	tasks = slices.DeleteFunc(tasks, func(k Task) bool {
		w := a.owners[k]
		if w == nil || !s.allows(w.tasks) {
			return false
		}
		a.giveActive(w, k, s)
		return true
	})
	tasks = slices.DeleteFunc(tasks, func(k Task) bool {
		w := a.holder(k, func(*worker) bool { return true })
		if w == nil || !s.allows(w.tasks) {
			return false
		}
		a.giveActive(w, k, s)
		return true
	})
	slices.SortFunc(tasks, Task.Compare)
	for _, k := range tasks {
		a.giveActive(a.least(k), k, s)
	}
}

// holder is who has the state of a task, and the least to do of those.
func (a *assignor) holder(k Task, fits func(*worker) bool) *worker {
	var best *worker
	for _, w := range a.holders[k] {
		if fits(w) && (best == nil || w.home.load() < best.home.load() && w.tasks < best.tasks) {
			best = w
		}
	}
	return best
}

// copies places standbys.
func (a *assignor) copies(tasks []Task) {
	byPartition(tasks)
	slices.Reverse(tasks)
	left := map[Task]int{}
	for _, k := range tasks {
		left[k] = a.standbys
		fits := func(w *worker) bool { return !w.home.has[k] && a.all.allows(w.tasks) }
		if w := a.owners[k]; w != nil && fits(w) {
			a.give(w, k, &w.next.Standby)
			left[k]--
		}
		for left[k] > 0 {
			w := a.holder(k, fits)
			if w == nil {
				break
			}
			a.give(w, k, &w.next.Standby)
			left[k]--
		}
	}
	slices.SortFunc(tasks, Task.Compare)
	slices.Reverse(tasks)
	for _, k := range tasks {
		for range left[k] {
			w := a.least(k)
			if w == nil {
				break // fewer processes than copies
			}
			a.give(w, k, &w.next.Standby)
		}
	}
}

// byPartition orders tasks so that those of one partition are together: they
// often read what the others wrote.
func byPartition(tasks []Task) {
	slices.SortFunc(tasks, func(a, b Task) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Subtopology, b.Subtopology))
	})
}
