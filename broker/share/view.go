package share

import (
	"cmp"
	"context"
	"slices"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// Summary is one share group as consoles show it. The caller owns it.
type Summary struct {
	Name       string
	State      string // as ShareGroupDescribe gives it
	Epoch      int32
	Members    []MemberSummary // by id
	Partitions []PartitionSummary
}

// MemberSummary is one member.
type MemberSummary struct {
	ID, ClientID, ClientHost string
	Subscribed               []string
	// Partitions is what it may fetch, by topic.
	Partitions map[string][]int32
	// Acquired is how many records it has at the moment.
	Acquired int64
}

// PartitionSummary is one share-partition, by topic id and partition.
type PartitionSummary struct {
	Topic     storage.TopicID
	Partition int32
	// Start is where it begins: all before it is done. Next is the first offset
	// that nobody has been given yet, End the log's.
	Start, Next, End int64
	// Lag is how many records from Start to End are not done.
	Lag int64
	// Acquired and Waiting are records between Start and Next: those that members
	// have, and those that were given back or whose lock has ended.
	Acquired, Waiting int64
	// Deliveries counts both by how often they have been delivered so far.
	Deliveries map[int16]int64
}

// Groups lists all groups by name, each as it is when it is looked at. An error is
// ctx's.
func (c *Coordinator) Groups(ctx context.Context) ([]Summary, error) {
	var list []Summary
	for _, g := range c.all() {
		if s, ok := c.Group(ctx, g.name); ok {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b Summary) int { return cmp.Compare(a.Name, b.Name) })
	return list, ctx.Err()
}

// Group is one group; false if there is none, or it is being deleted.
func (c *Coordinator) Group(ctx context.Context, name string) (Summary, bool) {
	g, code := c.acquire(name)
	if code != wire.None {
		return Summary{}, false
	}
	s, windows := g.summary()
	g.unlock() // logs are looked at without it
	for k, w := range windows {
		p := PartitionSummary{Topic: k.topic, Partition: k.partition, End: w.end}
		if log, err := c.cfg.Logs(ctx, k.tp()); err == nil {
			var start int64
			start, p.End = log.Bounds()
			w.advance(start)
		}
		w.count(&p)
		s.Partitions = append(s.Partitions, p)
	}
	slices.SortFunc(s.Partitions, func(a, b PartitionSummary) int {
		return cmp.Or(slices.Compare(a.Topic[:], b.Topic[:]), cmp.Compare(a.Partition, b.Partition))
	})
	return s, true
}

// summary is what a group says without its logs, and copies of its windows. g.mu is
// held.
func (g *group) summary() (Summary, map[key]*window) {
	m := g.members
	s := Summary{Name: g.name, State: m.stateName(), Epoch: m.epoch}
	held, windows := map[string]int64{}, make(map[key]*window, len(g.parts))
	for k, p := range g.parts {
		if p.begun != nil || p.lost {
			continue // not known whether it begins there
		}
		w := p.w.clone()
		windows[k] = &w
		for i := range w.spans {
			if sp := &w.spans[i]; sp.state == acquired {
				held[sp.member] += sp.last - sp.first + 1
			}
		}
	}
	for _, mem := range m.sorted() {
		one := MemberSummary{
			ID: mem.id, ClientID: mem.client.ID, ClientHost: mem.client.Host, Subscribed: slices.Clone(mem.topics),
			Partitions: map[string][]int32{}, Acquired: held[mem.id],
		}
		for _, t := range m.topics {
			if partitions := mem.assigned[t.id]; len(partitions) > 0 {
				one.Partitions[t.name] = slices.Clone(partitions)
			}
		}
		s.Members = append(s.Members, one)
	}
	return s, windows
}

// count fills in what lies in a window; p.End is the log's end.
func (w *window) count(p *PartitionSummary) {
	p.Start, p.Next = w.start, w.end
	p.Lag = max(0, p.End-w.start-w.finished())
	p.Deliveries = map[int16]int64{}
	for i := range w.spans {
		s := &w.spans[i]
		n := s.last - s.first + 1
		switch s.state {
		case acquired:
			p.Acquired += n
		case available:
			p.Waiting += n
		default:
			continue
		}
		p.Deliveries[s.count] += n
	}
}
