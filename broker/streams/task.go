package streams

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// Task is the smallest unit of work of a Kafka Streams application: one
// partition of a subtopology.
type Task struct {
	Subtopology string
	Partition   int32
}

// String gives the task as Kafka writes it, "0_3".
func (t Task) String() string { return fmt.Sprintf("%s_%d", t.Subtopology, t.Partition) }

// Tasks is a set of tasks, ordered by subtopology and partition. It is never
// changed once made: operations return new ones, which may share memory.
type Tasks []Task

func compareTasks(a, b Task) int {
	return cmp.Or(cmp.Compare(a.Subtopology, b.Subtopology), cmp.Compare(a.Partition, b.Partition))
}

// NewTasks makes a set of tasks in any order, which it takes over.
func NewTasks(list []Task) Tasks {
	slices.SortFunc(list, compareTasks)
	return slices.Compact(list)
}

// split gives the members of t that are in u, and those that are not.
func (t Tasks) split(u Tasks) (both, rest Tasks) {
	for _, k := range t {
		for len(u) > 0 && compareTasks(u[0], k) < 0 {
			u = u[1:]
		}
		if len(u) > 0 && u[0] == k {
			both = append(both, k)
		} else {
			rest = append(rest, k)
		}
	}
	return both, rest
}

// union gives what is in t or in u.
func (t Tasks) union(u Tasks) Tasks {
	if len(u) == 0 {
		return t
	}
	return NewTasks(slices.Concat(t, u))
}

// has reports whether k is in the set.
func (t Tasks) has(k Task) bool {
	_, found := slices.BinarySearchFunc(t, k, compareTasks)
	return found
}

// Each calls f for each subtopology with the numbers of its partitions, in
// order. The numbers are the caller's.
func (t Tasks) Each(f func(subtopology string, partitions []int32)) {
	for len(t) > 0 {
		n := 1
		for n < len(t) && t[n].Subtopology == t[0].Subtopology {
			n++
		}
		numbers := make([]int32, n)
		for i := range numbers {
			numbers[i] = t[i].Partition
		}
		f(t[0].Subtopology, numbers)
		t = t[n:]
	}
}

// taskItem is the tasks of one subtopology as they are stored.
type taskItem struct {
	Subtopology string  `json:"subtopology"`
	Partitions  []int32 `json:"partitions"`
}

// MarshalJSON writes the set by subtopology.
func (t Tasks) MarshalJSON() ([]byte, error) {
	list := []taskItem{}
	t.Each(func(subtopology string, partitions []int32) {
		list = append(list, taskItem{subtopology, partitions})
	})
	return json.Marshal(list)
}

// UnmarshalJSON reads what MarshalJSON wrote; it refuses partitions below 0.
func (t *Tasks) UnmarshalJSON(data []byte) error {
	var list []taskItem
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	var tasks []Task
	for _, it := range list {
		for _, n := range it.Partitions {
			if n < 0 {
				return fmt.Errorf("partition %d", n)
			}
			tasks = append(tasks, Task{it.Subtopology, n})
		}
	}
	*t = NewTasks(tasks)
	return nil
}

// Assignment is what a member has, or is to have, in each role. A task is
// active in one place; standbys keep a copy of its state, and warm-ups make one
// where it is to move.
type Assignment struct {
	Active  Tasks `json:"active,omitempty"`
	Standby Tasks `json:"standby,omitempty"`
	Warmup  Tasks `json:"warmup,omitempty"`
}

// split is Tasks.split in each role.
func (a Assignment) split(b Assignment) (both, rest Assignment) {
	both.Active, rest.Active = a.Active.split(b.Active)
	both.Standby, rest.Standby = a.Standby.split(b.Standby)
	both.Warmup, rest.Warmup = a.Warmup.split(b.Warmup)
	return both, rest
}

func (a Assignment) union(b Assignment) Assignment {
	return Assignment{a.Active.union(b.Active), a.Standby.union(b.Standby), a.Warmup.union(b.Warmup)}
}

func (a Assignment) empty() bool { return len(a.Active)+len(a.Standby)+len(a.Warmup) == 0 }

func (a Assignment) equal(b Assignment) bool {
	return slices.Equal(a.Active, b.Active) && slices.Equal(a.Standby, b.Standby) && slices.Equal(a.Warmup, b.Warmup)
}

// meets reports whether some task is in a and b, in the same role.
func (a Assignment) meets(b Assignment) bool {
	both, _ := a.split(b)
	return !both.empty()
}
