package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
)

// TestAssignRandom holds both assignors, for random subscriptions and earlier
// assignments, to: each partition that somebody reads has one owner, who reads
// it; uniform is balanced as far as subscriptions allow, and keeps what it can.
func TestAssignRandom(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		sizes := map[storage.TopicID]int32{}
		var all []storage.TopicID
		for n := range 1 + r.IntN(6) {
			all = append(all, topicID(n))
			sizes[topicID(n)] = 1 + r.Int32N(8)
		}
		subs := make([]subscriber, 1+r.IntN(9))
		same := r.IntN(2) == 0
		for i := range subs {
			subs[i] = subscriber{id: fmt.Sprint("m", i), topics: all}
			if !same {
				subs[i].topics = slices.DeleteFunc(slices.Clone(all), func(storage.TopicID) bool { return r.IntN(3) == 0 })
			}
		}
		for _, name := range []string{uniform, ranges} {
			out := assign(name, subs, sizes)
			checkAssignment(t, seed, name, subs, sizes, out)
			if name == uniform {
				checkBalance(t, seed, subs, out)
			}
			for i := range subs {
				subs[i].now = out[i]
			}
			again := assign(name, subs, sizes)
			if !slices.EqualFunc(again, out, func(a, b partitions) bool { return slices.Equal(a, b) }) {
				t.Errorf("seed %d, %s: %v became %v though nothing has changed", seed, name, out, again)
			}
		}
		if same && len(subs) > 1 {
			checkSticky(t, seed, subs, sizes)
		}
	}
}

func checkAssignment(t *testing.T, seed uint64, name string, subs []subscriber, sizes map[storage.TopicID]int32, out []partitions) {
	t.Helper()
	owners := map[offsetKey]int{}
	for i, p := range out {
		for _, k := range p {
			owners[k]++
			if !slices.Contains(subs[i].topics, k.topic) || k.partition >= sizes[k.topic] {
				t.Errorf("seed %d, %s: member %d gets %v", seed, name, i, k)
			}
		}
	}
	for id, n := range sizes {
		read := slices.ContainsFunc(subs, func(s subscriber) bool { return slices.Contains(s.topics, id) })
		for p := range n {
			if got := owners[offsetKey{id, p}]; read && got != 1 || !read && got != 0 {
				t.Errorf("seed %d, %s: partition %d of %s has %d owners", seed, name, p, id, got)
			}
		}
	}
}

// checkBalance: nobody has two more than one who could take one of his.
func checkBalance(t *testing.T, seed uint64, subs []subscriber, out []partitions) {
	t.Helper()
	for i, rich := range out {
		for j, poor := range out {
			takes := func(k offsetKey) bool { return slices.Contains(subs[j].topics, k.topic) }
			if len(rich)-len(poor) > 1 && slices.ContainsFunc(rich, takes) {
				t.Errorf("seed %d: member %d has %d, member %d %d, and could take one", seed, i, len(rich), j, len(poor))
			}
		}
	}
}

// checkSticky: when one of a group with equal subscriptions goes, the others
// keep all they have.
func checkSticky(t *testing.T, seed uint64, subs []subscriber, sizes map[storage.TopicID]int32) {
	t.Helper()
	out := assign(uniform, subs, sizes)
	rest := slices.Clone(subs[1:])
	for i := range rest {
		rest[i].now = out[i+1]
	}
	for i, p := range assign(uniform, rest, sizes) {
		if _, lost := rest[i].now.split(p); len(lost) > 0 {
			t.Errorf("seed %d: member %d loses %v though another went", seed, i+1, lost)
		}
	}
}
