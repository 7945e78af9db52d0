package group

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// consumerSimulation is many clients of one consumer group, each as a real one
// behaves, that come, work, go away, come back and crash, over a store that
// fails now and then and a broker that is stopped and started.
type consumerSimulation struct {
	t     *testing.T
	w     *world
	seed  uint64
	mixed bool // most of the clients speak the classic protocol

	mu      sync.Mutex
	current *Coordinator
	users   map[offsetKey]string // partition → client that uses it
	moves   int
	codes   map[wire.Code]int
	types   map[string]int // of the group, now and then
}

// simulatedTopics are what everybody reads, of four partitions each.
var simulatedTopics = []string{"t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"}

// TestConsumerSimulation checks, for several seeds: no partition is ever used
// by two clients, and once it is quiet all partitions are used.
func TestConsumerSimulation(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				s := &consumerSimulation{t: t, w: w, current: w.Coordinator, users: map[offsetKey]string{}, codes: map[wire.Code]int{}, types: map[string]int{}}
				s.run(seed)
			})
		})
	}
}

func (s *consumerSimulation) run(seed uint64) {
	s.seed = seed
	quiet := make(chan struct{})
	var clients sync.WaitGroup
	for n := range 12 {
		clients.Go(func() { s.client(n, rand.New(rand.NewPCG(seed, uint64(n))), quiet) })
	}
	r := rand.New(rand.NewPCG(seed, 999))
	for range 150 {
		time.Sleep(time.Duration(r.IntN(8000)) * time.Millisecond)
		s.types[s.w.typeOf("g")]++
		switch n := r.IntN(40); {
		case n < 2:
			s.restart(n == 0)
		case n < 20:
			s.w.store.set(func(f *flaky) { f.fault = fault(r.IntN(int(forgotten))) })
		}
	}
	s.w.store.set(func(f *flaky) { f.fault = none })
	time.Sleep(3 * time.Minute) // the last ones stay
	synctest.Wait()
	s.mu.Lock()
	for topic := range 8 {
		for p := range int32(4) {
			if s.users[offsetKey{topicID(topic), p}] == "" {
				s.t.Errorf("partition %d of t%d is used by nobody", p, topic)
			}
		}
	}
	if s.moves < 100 || s.codes[wire.CoordinatorNotAvailable] == 0 {
		s.t.Errorf("only %d moves, answers %v: nothing was tried", s.moves, s.codes)
	}
	s.mu.Unlock()
	if sum, _ := s.current.Group("g"); sum.State != "Stable" {
		s.t.Errorf("after quiet the group is %s", sum.State)
	}
	close(quiet)
	clients.Wait()
	s.w.checkStored()
}

// restart stops the broker and starts it again; a crash loses what it writes
// at the end.
func (s *consumerSimulation) restart(crash bool) {
	if crash {
		s.w.store.set(func(f *flaky) { f.fault = loses })
	}
	s.w.restart()
	s.mu.Lock()
	s.current = s.w.Coordinator
	s.mu.Unlock()
}

// lives is how often a simulated process is started.
const lives = 9

// client is several incarnations of one process, the last of which stays.
func (s *consumerSimulation) client(n int, r *rand.Rand, quiet chan struct{}) {
	name := fmt.Sprint("c", n)
	for life := range lives {
		time.Sleep(time.Duration(r.IntN(20_000)) * time.Millisecond)
		c := s.newClient(n, life, r, name)
		beats := 3 + r.IntN(25)
		for life == lives-1 || beats > 0 {
			c.beat()
			beats--
			select {
			case <-quiet:
				c.drop()
				return
			case <-time.After(time.Duration(r.IntN(5000)) * time.Millisecond):
			}
		}
		if c.drop(); r.IntN(3) > 0 { // else it crashes
			c.leave(r.IntN(2) == 0)
		}
	}
}

// simulated is one client of the consumer protocol.
type simulated struct {
	s        *consumerSimulation
	r        *rand.Rand
	name, id string
	instance *string
	epoch    int32
	used     map[offsetKey]bool
	quietly  bool // the last answer was good: nothing need be repeated
}

// send gives nil if the broker went away.
func (c *simulated) send(epoch int32) *kmsg.ConsumerGroupHeartbeatResponse {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.MemberEpoch, req.InstanceID = 1, "g", c.id, epoch, c.instance
	if epoch == 0 || epoch > 0 && !c.quietly {
		req.RebalanceTimeoutMillis = 20_000
		req.SubscribedTopicNames = simulatedTopics
	}
	if epoch >= 0 && (!c.quietly || c.r.IntN(2) == 0) {
		req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		for k := range c.used {
			t := kmsg.NewConsumerGroupHeartbeatRequestTopic()
			t.TopicID, t.Partitions = k.topic, []int32{k.partition}
			req.Topics = append(req.Topics, t)
		}
	}
	c.s.mu.Lock()
	at := c.s.current
	c.s.mu.Unlock()
	resp, err := at.ConsumerHeartbeat(Client{ID: c.name, Host: "/host"}, req)(context.Background())
	if errors.Is(err, ErrStopped) {
		return nil
	}
	if err != nil {
		c.s.t.Fatal(err)
	}
	resp.AppendTo(nil)
	return resp.(*kmsg.ConsumerGroupHeartbeatResponse)
}

func (c *simulated) beat() {
	resp := c.send(c.epoch)
	c.quietly = false
	if resp == nil {
		return
	}
	code := wire.Code(resp.ErrorCode)
	c.note(code)
	switch code {
	case wire.None:
		c.quietly = true
		c.epoch = resp.MemberEpoch
		c.reconcile(resp.Assignment)
	case wire.FencedMemberEpoch:
		c.drop()
		c.epoch = 0
	case wire.UnknownMemberID, wire.FencedInstanceID, wire.GroupIDNotFound:
		c.drop()
		c.id += "'"
		c.epoch = 0
	case wire.CoordinatorNotAvailable, wire.NotCoordinator, wire.UnknownServerError,
		wire.CoordinatorLoadInProgress, wire.UnreleasedInstanceID:
	default:
		c.s.t.Errorf("%s at %d: %s", c.id, c.epoch, code)
	}
}

func (c *simulated) note(code wire.Code) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.codes[code]++
}

// reconcile gives back what is no longer the client's, which takes a while,
// and then takes what is new.
func (c *simulated) reconcile(a *kmsg.ConsumerGroupHeartbeatResponseAssignment) {
	if a == nil {
		return
	}
	var now []offsetKey
	for _, t := range a.Topics {
		for _, p := range t.Partitions {
			now = append(now, offsetKey{t.TopicID, p})
		}
	}
	for k := range c.used {
		if !slices.Contains(now, k) {
			time.Sleep(time.Duration(c.r.IntN(500)) * time.Millisecond)
			c.stop(k)
		}
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for _, k := range now {
		if other := c.s.users[k]; other != "" && other != c.id {
			c.s.t.Errorf("partition %d of %s is used by %s and %s", k.partition, k.topic, other, c.id)
		}
		if !c.used[k] {
			c.s.moves++
		}
		c.s.users[k], c.used[k] = c.id, true
	}
}

func (c *simulated) stop(k offsetKey) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.users[k] == c.id {
		delete(c.s.users, k)
	}
	delete(c.used, k)
}

func (c *simulated) drop() {
	for k := range c.used {
		c.stop(k)
	}
}

func (c *simulated) leave(forGood bool) {
	epoch := int32(epochAway)
	if forGood || c.instance == nil {
		epoch = epochLeave
	}
	c.send(epoch)
}
