package group

import (
	"cmp"
	"slices"

	"github.com/tarn-io/tarn/broker/storage"
)

// Names of the assignors, the default first.
const (
	uniform = "uniform"
	ranges  = "range"
)

// subscriber is one member as assignors see it.
type subscriber struct {
	id       string
	instance *string
	topics   []storage.TopicID // in order; members of equal subscriptions share it
	now      partitions        // what it is to have by the assignment so far
}

// assign spreads the partitions of the topics that members subscribe to over
// them; the result is parallel to subs. Each partition goes to one subscriber
// of its topic. sizes holds the number of partitions of every topic named.
func assign(assignor string, subs []subscriber, sizes map[storage.TopicID]int32) []partitions {
	if assignor == ranges {
		return assignRanges(subs, sizes)
	}
	return assignUniform(subs, sizes)
}

// assignRanges gives each member a contiguous range of each of its topics, so
// that members of equal subscriptions get the same numbers of topics of equal
// sizes. Static members go first, by instance, which makes it sticky for them.
func assignRanges(subs []subscriber, sizes map[storage.TopicID]int32) []partitions {
	order := make([]int, len(subs))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := subs[a], subs[b]
		switch {
		case x.instance != nil && y.instance != nil:
			return cmp.Compare(*x.instance, *y.instance)
		case x.instance != nil:
			return -1
		case y.instance != nil:
			return 1
		}
		return cmp.Compare(x.id, y.id)
	})
	readers := map[storage.TopicID][]int{}
	for _, i := range order {
		for _, t := range subs[i].topics {
			readers[t] = append(readers[t], i)
		}
	}
	keys := make([][]offsetKey, len(subs))
	for t, who := range readers {
		n, m := sizes[t], int32(len(who))
		next := int32(0)
		for rank, i := range who {
			share := n / m
			if int32(rank) < n%m {
				share++
			}
			for ; share > 0; share-- {
				keys[i] = append(keys[i], offsetKey{t, next})
				next++
			}
		}
	}
	out := make([]partitions, len(subs))
	for i, k := range keys {
		out[i] = newPartitions(k)
	}
	return out
}

// spreading is a uniform assignment being made.
type spreading struct {
	subs    []subscriber
	readers map[storage.TopicID][]int // who subscribes, by index
	parts   [][]offsetKey             // of each member, in no order
}

// assignUniform evens out how many partitions members have: with equal
// subscriptions they differ by one at most, else as little as subscriptions
// allow. What a member has it keeps where that is possible.
func assignUniform(subs []subscriber, sizes map[storage.TopicID]int32) []partitions {
	s := &spreading{subs: subs, readers: map[storage.TopicID][]int{}, parts: make([][]offsetKey, len(subs))}
	for i, sub := range subs {
		for _, t := range sub.topics {
			s.readers[t] = append(s.readers[t], i)
		}
	}
	taken := map[offsetKey]bool{}
	for i, sub := range subs {
		for _, k := range sub.now {
			if k.partition < sizes[k.topic] && !taken[k] && slices.Contains(sub.topics, k.topic) {
				taken[k] = true
				s.parts[i] = append(s.parts[i], k)
			}
		}
	}
	if alike(subs) {
		s.even(taken, sizes)
	} else {
		s.fill(s.scarce(), taken, sizes)
		s.balance()
	}
	out := make([]partitions, len(subs))
	for i, k := range s.parts {
		out[i] = newPartitions(k)
	}
	return out
}

// alike reports whether all subscribe to the same topics.
func alike(subs []subscriber) bool {
	return !slices.ContainsFunc(subs, func(s subscriber) bool { return !slices.Equal(s.topics, subs[0].topics) })
}

// even shares out the partitions of members with equal subscriptions. The ones
// that may have one more are those that have the most now.
func (s *spreading) even(taken map[offsetKey]bool, sizes map[storage.TopicID]int32) {
	total := 0
	var free []offsetKey
	for _, t := range s.topics() {
		total += int(sizes[t])
		for p := range sizes[t] {
			if !taken[offsetKey{t, p}] {
				free = append(free, offsetKey{t, p})
			}
		}
	}
	order := make([]int, len(s.subs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(s.parts[b]), len(s.parts[a])) })
	quota := func(rank int) int {
		n := total / len(order)
		if rank < total%len(order) {
			n++
		}
		return n
	}
	for rank, i := range order {
		if n := quota(rank); len(s.parts[i]) > n {
			free = append(free, s.parts[i][n:]...)
			s.parts[i] = s.parts[i][:n]
		}
	}
	for rank, i := range order {
		n := quota(rank) - len(s.parts[i])
		s.parts[i] = append(s.parts[i], free[:n]...)
		free = free[n:]
	}
}

// topics lists the topics that anybody subscribes to, by id.
func (s *spreading) topics() []storage.TopicID {
	list := make([]storage.TopicID, 0, len(s.readers))
	for t := range s.readers {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b storage.TopicID) int { return slices.Compare(a[:], b[:]) })
	return list
}

// scarce orders topics so that those with few readers come first: the others
// then fill up what is left.
func (s *spreading) scarce() []storage.TopicID {
	list := s.topics()
	slices.SortStableFunc(list, func(a, b storage.TopicID) int {
		return cmp.Compare(len(s.readers[a]), len(s.readers[b]))
	})
	return list
}

// fill gives each partition that nobody has to the reader with the fewest.
func (s *spreading) fill(topics []storage.TopicID, taken map[offsetKey]bool, sizes map[storage.TopicID]int32) {
	for _, t := range topics {
		for p := range sizes[t] {
			if k := (offsetKey{t, p}); !taken[k] {
				least, _ := s.extremes(t)
				s.parts[least] = append(s.parts[least], k)
			}
		}
	}
}

// extremes finds the reader of a topic with the fewest partitions, and the one
// with the most among those that have a partition of it; -1 if none has.
func (s *spreading) extremes(t storage.TopicID) (least, most int) {
	least, most = -1, -1
	for _, i := range s.readers[t] {
		if least < 0 || len(s.parts[i]) < len(s.parts[least]) {
			least = i
		}
		if most >= 0 && len(s.parts[i]) <= len(s.parts[most]) {
			continue
		}
		if slices.ContainsFunc(s.parts[i], func(k offsetKey) bool { return k.topic == t }) {
			most = i
		}
	}
	return least, most
}

// maxBalanceRounds bounds the passes over all topics. Each move makes the sum
// of the squares smaller, so that passes end by themselves; ten are plenty.
const maxBalanceRounds = 10

// balance moves partitions from members with many to members with few, as long
// as two readers of a topic differ by more than one.
func (s *spreading) balance() {
	for range maxBalanceRounds {
		moved := false
		for _, t := range s.scarce() {
			for {
				least, most := s.extremes(t)
				if most < 0 || len(s.parts[most])-len(s.parts[least]) <= 1 {
					break
				}
				i := slices.IndexFunc(s.parts[most], func(k offsetKey) bool { return k.topic == t })
				s.parts[least] = append(s.parts[least], s.parts[most][i])
				s.parts[most] = slices.Delete(s.parts[most], i, i+1)
				moved = true
			}
		}
		if !moved {
			return
		}
	}
}
