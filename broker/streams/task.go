package streams

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tarn-io/tarn/broker/set"
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

// Compare orders by subtopology and partition.
func (t Task) Compare(u Task) int {
	return cmp.Or(cmp.Compare(t.Subtopology, u.Subtopology), cmp.Compare(t.Partition, u.Partition))
}

// NewTasks makes a set of tasks in any order, which it takes over.
func NewTasks(list []Task) Tasks { return set.New[Tasks](list) }

// split gives the members of t that are in u, and those that are not.
func (t Tasks) split(u Tasks) (both, rest Tasks) { return set.Split(t, u) }

// union gives what is in t or in u.
func (t Tasks) union(u Tasks) Tasks { return set.Union(t, u) }

// has reports whether k is in the set.
func (t Tasks) has(k Task) bool { return set.Has(t, k) }

// Each calls f for each subtopology with the numbers of its partitions, in
// order. The numbers are the caller's.
func (t Tasks) Each(f func(subtopology string, partitions []int32)) {
	for run := range set.Runs(t, func(k, l Task) bool { return k.Subtopology == l.Subtopology }) {
		numbers := make([]int32, len(run))
		for i := range numbers {
			numbers[i] = run[i].Partition
		}
		f(run[0].Subtopology, numbers)
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
