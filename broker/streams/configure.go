package streams

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Statuses of a heartbeat's answer (KIP-1071).
const (
	StaleTopology       int8 = 0 // the member's topology is older than the group's
	MissingSourceTopics int8 = 1
	IncorrectPartitions int8 = 2 // numbers of partitions do not go together
	MissingInternal     int8 = 3 // internal topics are not there yet
	ShutdownApplication int8 = 4 // a member asks all to end
	AssignmentDelayed   int8 = 5 // the group waits for more members
	maxListed                = 20
	maxTasks                 = 50_000 // assigning takes time in proportion to them and the members
	maxRepartitions          = 1000   // so does working out their sizes, to their number squared
)

// Status is one of them, with a text.
type Status struct {
	Code   int8
	Detail string
}

// Configured is what a topology means for the topics that there are.
type Configured struct {
	// Tasks is how many tasks each subtopology has; nil if that cannot be said.
	Tasks map[string]int32
	// Partitions is how many partitions internal topics have or are to have.
	Partitions map[string]int32
	// Missing are the internal topics that are to be made, by name.
	Missing []InternalTopic
	// Problem is why nothing can be assigned; nil if all is there.
	Problem *Status
}

// Ready reports whether tasks can be assigned.
func (c *Configured) Ready() bool { return c.Problem == nil }

// problem ends the work with a status.
type problem Status

func (p *problem) Error() string { return p.Detail }

// errTopology refuses a topology for good: STREAMS_INVALID_TOPOLOGY.
type errTopology string

func (e errTopology) Error() string { return string(e) }

// Configure works out the numbers of tasks and of the partitions of internal
// topics. The error refuses the topology: no topics could make it work.
func Configure(t *Topology, topics Topics) (*Configured, error) {
	c := configurator{t: t, topics: topics, decided: map[string]int32{}, asked: map[string]int32{}}
	for i := range t.Subtopologies {
		for _, it := range t.Subtopologies[i].Repartitions {
			if _, twice := c.asked[it.Name]; !twice {
				c.asked[it.Name] = it.Partitions
			}
		}
	}
	if len(c.asked) > maxRepartitions {
		return nil, errTopology(fmt.Sprintf("The topology has %d repartition topics; there may be %d.", len(c.asked), maxRepartitions))
	}
	out, err := c.run()
	if why := (*problem)(nil); errors.As(err, &why) {
		return &Configured{Problem: (*Status)(why)}, nil
	}
	return out, err
}

type configurator struct {
	t       *Topology
	topics  Topics
	decided map[string]int32
	asked   map[string]int32 // repartition topics with the partitions they ask for; 0 to be worked out
}

func (c *configurator) run() (*Configured, error) {
	if missing := c.missingSources(); len(missing) > 0 {
		return nil, &problem{MissingSourceTopics, "Source topics " + listed(missing) + " are missing."}
	}
	if err := c.repartitions(); err != nil {
		return nil, err
	}
	for i := range c.t.Subtopologies {
		for _, group := range c.t.Subtopologies[i].Copartitions {
			if err := c.copartition(group); err != nil {
				return nil, err
			}
		}
	}
	out := &Configured{Tasks: map[string]int32{}, Partitions: c.decided}
	for i := range c.t.Subtopologies {
		s := &c.t.Subtopologies[i]
		n := int32(0)
		for _, name := range s.Reads() {
			size, _ := c.size(name)
			n = max(n, size)
		}
		if n == 0 {
			return nil, errTopology("Subtopology " + s.ID + " reads no topic.")
		}
		out.Tasks[s.ID] = n
		own := map[string]bool{} // sources that are their own changelogs
		for _, name := range s.Sources {
			own[name] = true
		}
		for _, log := range s.Changelogs {
			if !own[log.Name] {
				c.decided[log.Name] = n
			}
		}
	}
	return out, c.compare(out)
}

// size is how many partitions a topic has, or is to have.
func (c *configurator) size(name string) (int32, bool) {
	if _, n, ok := c.topics.ByName(name); ok {
		return n, true
	}
	n, ok := c.decided[name]
	return n, ok
}

func (c *configurator) missingSources() []string {
	var missing []string
	for i := range c.t.Subtopologies {
		for _, name := range c.t.Subtopologies[i].Sources {
			if _, _, ok := c.topics.ByName(name); !ok {
				missing = append(missing, name)
			}
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// repartitions gives each repartition topic as many partitions as it asks for,
// or as the largest of the topics that flow into it.
func (c *configurator) repartitions() error {
	open := map[string]bool{}
	for i := range c.t.Subtopologies {
		for _, t := range c.t.Subtopologies[i].Repartitions {
			if t.Partitions > 0 {
				c.decided[t.Name] = t.Partitions
			} else {
				open[t.Name] = true
			}
		}
	}
	flow := c.flow(open)
	for len(open) > 0 {
		before := len(open)
		for _, name := range slices.Sorted(maps.Keys(open)) {
			if n := flow.into(name); n > 0 {
				c.decided[name] = n
				delete(open, name)
				flow.know(name, n)
			}
		}
		if len(open) == before {
			return errTopology("The number of partitions of repartition topics " + listed(slices.Sorted(maps.Keys(open))) +
				" cannot be worked out: nothing of known size flows into them.")
		}
	}
	return nil
}

// flow says which subtopologies read and write a topic, and of each how large the
// largest topic is that it reads, of those known by now.
type flow struct {
	readers, writers map[string][]int // by topic: indexes of subtopologies
	known            []int32
}

func (c *configurator) flow(open map[string]bool) *flow {
	f := &flow{map[string][]int{}, map[string][]int{}, make([]int32, len(c.t.Subtopologies))}
	for i := range c.t.Subtopologies {
		s := &c.t.Subtopologies[i]
		for _, name := range s.Sinks {
			f.writers[name] = append(f.writers[name], i)
		}
		for _, name := range s.Reads() {
			f.readers[name] = append(f.readers[name], i)
			n, ok := c.decided[name]
			if !ok && !open[name] {
				n, _ = c.size(name)
			}
			f.known[i] = max(f.known[i], n)
		}
	}
	return f
}

// know notes the size of a topic.
func (f *flow) know(topic string, n int32) {
	for _, i := range f.readers[topic] {
		f.known[i] = max(f.known[i], n)
	}
}

// into is the size of the largest topic that flows into one; 0 if none is known.
func (f *flow) into(topic string) int32 {
	n := int32(0)
	for _, i := range f.writers[topic] {
		n = max(n, f.known[i])
	}
	return n
}

// copartition gives the repartition topics of a group the number of partitions
// that the group has in common.
func (c *configurator) copartition(group []string) error {
	fixed, flexible, outside := map[string]int32{}, map[string]int32{}, map[string]int32{}
	for _, name := range group {
		n, _ := c.size(name)
		switch asked, internal := c.asked[name]; {
		case !internal:
			outside[name] = n
		case asked > 0:
			fixed[name] = asked
		default:
			flexible[name] = c.decided[name]
		}
	}
	want := int32(0)
	rule := outside
	if len(outside) == 0 {
		rule = fixed
	}
	for _, name := range slices.Sorted(maps.Keys(rule)) {
		if want != 0 && rule[name] != want {
			return &problem{IncorrectPartitions, "Following topics do not have the same number of partitions: [" + sizes(rule) + "]"}
		}
		want = rule[name]
	}
	if len(rule) == 0 {
		for _, n := range flexible {
			want = max(want, n)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fixed)) {
		if fixed[name] != want {
			return &problem{IncorrectPartitions, fmt.Sprintf("Number of partitions [%d] of repartition topic [%s] doesn't match number of partitions [%d] of the source topic.",
				fixed[name], name, want)}
		}
	}
	for name := range flexible {
		c.decided[name] = want
	}
	return nil
}

// compare holds what is decided against the topics that are there.
func (c *configurator) compare(out *Configured) error {
	total := int64(0)
	for _, n := range out.Tasks {
		total += int64(n)
	}
	if total > maxTasks {
		return errTopology(fmt.Sprintf("The topology has %d tasks; %d are too many.", total, maxTasks))
	}
	seen := map[string]bool{}
	for i := range c.t.Subtopologies {
		s := &c.t.Subtopologies[i]
		for _, t := range slices.Concat(s.Repartitions, s.Changelogs) {
			want, ok := c.decided[t.Name]
			if !ok || seen[t.Name] {
				continue // a source that is its own changelog
			}
			seen[t.Name] = true
			switch _, n, ok := c.topics.ByName(t.Name); {
			case !ok:
				t.Partitions = want
				out.Missing = append(out.Missing, t)
			case n != want:
				return &problem{IncorrectPartitions, fmt.Sprintf("Existing topic %s has different number of partitions: expected %d, found %d", t.Name, want, n)}
			}
		}
	}
	if len(out.Missing) == 0 {
		return nil
	}
	slices.SortFunc(out.Missing, func(a, b InternalTopic) int { return strings.Compare(a.Name, b.Name) })
	names := make([]string, len(out.Missing))
	for i, t := range out.Missing {
		names[i] = t.Name
	}
	out.Problem = &Status{MissingInternal, "Internal topics are missing: " + listed(names)}
	return nil
}

// listed writes names for a message, not more than a reader wants.
func listed(names []string) string {
	if len(names) > maxListed {
		return fmt.Sprintf("[%s] and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
	}
	return "[" + strings.Join(names, ", ") + "]"
}

func sizes(topics map[string]int32) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		parts = append(parts, fmt.Sprintf("%s=%d", name, topics[name]))
	}
	return strings.Join(parts, ", ")
}
