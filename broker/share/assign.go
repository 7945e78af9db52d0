package share

import (
	"cmp"
	"slices"

	"github.com/tarn-io/tarn/broker/storage"
)

// assign gives every partition to somebody and every subscriber of a topic a
// partition of it, evenly (Kafka's assignor "simple"): of a topic with more
// partitions than subscribers each partition has one, of one with fewer each
// subscriber has one. Members keep what they have as far as their share goes, and
// what is left goes to those with the least of all topics.
func (m *members) assign() {
	list := m.sorted()
	d := dealing{next: make(map[*member]assignment, len(list)), load: map[*member]int{}}
	for _, mem := range list {
		d.next[mem] = assignment{}
	}
	var left []leftover
	for _, t := range m.topics {
		var readers []*member
		for _, mem := range list {
			if _, ok := slices.BinarySearch(mem.topics, t.name); ok {
				readers = append(readers, mem)
			}
		}
		switch {
		case len(readers) == 0 || t.partitions == 0:
		case int(t.partitions) >= len(readers):
			left = append(left, d.keep(t, readers))
		default:
			d.join(t, readers)
		}
	}
	for i := range left {
		d.fill(&left[i])
	}
	for i := range left {
		d.deal(&left[i])
	}
	for mem, a := range d.next {
		for id := range a {
			slices.Sort(a[id])
		}
		mem.assigned = a
	}
}

// dealing is an assignment in the making.
type dealing struct {
	next map[*member]assignment
	load map[*member]int // partitions of all topics
}

func (d *dealing) give(mem *member, id storage.TopicID, p int32) {
	d.next[mem][id] = append(d.next[mem][id], p)
	d.load[mem]++
}

// leftover is what is left of a topic when members have kept their even share.
type leftover struct {
	id         storage.TopicID
	readers    []*member
	share      int // of each; of some one more
	partitions []int32
	before     map[int32]*member // who had them
}

// keep lets members keep of a topic as much as each is to have at least.
func (d *dealing) keep(t subscribed, readers []*member) leftover {
	l := leftover{id: t.id, readers: readers, share: int(t.partitions) / len(readers), before: map[int32]*member{}}
	kept := make([]bool, t.partitions)
	for _, mem := range readers {
		for _, p := range mem.assigned[t.id] {
			switch {
			case p >= t.partitions || kept[p]:
			case len(d.next[mem][t.id]) < l.share:
				d.give(mem, t.id, p)
				kept[p] = true
			default:
				l.before[p] = mem
			}
		}
	}
	for p := range t.partitions {
		if !kept[p] {
			l.partitions = append(l.partitions, p)
		}
	}
	return l
}

// fill gives those who lack some of their share what they lack.
func (d *dealing) fill(l *leftover) {
	for _, mem := range l.readers {
		for len(d.next[mem][l.id]) < l.share {
			d.give(mem, l.id, l.take(mem))
		}
	}
}

// deal gives the rest to those with the least of all topics, one each; of equals
// to those who had one more before.
func (d *dealing) deal(l *leftover) {
	first := slices.Clone(l.readers)
	slices.SortStableFunc(first, func(a, b *member) int {
		return cmp.Or(cmp.Compare(d.load[a], d.load[b]), cmp.Compare(l.had(b), l.had(a)))
	})
	for _, mem := range first[:len(l.partitions)] {
		d.give(mem, l.id, l.take(mem))
	}
}

// had is 1 of who had some of what is left.
func (l *leftover) had(mem *member) int {
	for _, p := range l.partitions {
		if l.before[p] == mem {
			return 1
		}
	}
	return 0
}

// take takes a partition for a member: its own, or else one that nobody had, if
// there is one.
func (l *leftover) take(mem *member) int32 {
	i := slices.IndexFunc(l.partitions, func(p int32) bool { return l.before[p] == mem })
	if i < 0 {
		i = max(0, slices.IndexFunc(l.partitions, func(p int32) bool { return l.before[p] == nil }))
	}
	p := l.partitions[i]
	l.partitions = slices.Delete(l.partitions, i, i+1)
	return p
}

// join gives each reader one partition of a topic that has fewer than readers:
// its own, unless too many have that.
func (d *dealing) join(t subscribed, readers []*member) {
	count := make(map[int32]int, t.partitions)
	share, over := len(readers)/int(t.partitions), len(readers)%int(t.partitions)
	var rest []*member
	for _, mem := range readers {
		i := slices.IndexFunc(mem.assigned[t.id], func(p int32) bool {
			return p < t.partitions && (count[p] < share || count[p] == share && over > 0)
		})
		if i < 0 {
			rest = append(rest, mem)
			continue
		}
		p := mem.assigned[t.id][i]
		if count[p]++; count[p] > share {
			over--
		}
		d.give(mem, t.id, p)
	}
	for _, mem := range rest {
		least := int32(0)
		for p := range t.partitions {
			if count[p] < count[least] {
				least = p
			}
		}
		count[least]++
		d.give(mem, t.id, least)
	}
}
