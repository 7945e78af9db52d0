package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

var fixedTime = time.UnixMilli(1_000_000)

func storageItem(key string, value []byte) storage.Item { return storage.Item{Key: key, Value: value} }

// simulation is many clients of one group, each as a real one behaves, that
// come, work, go away and crash, over a store that fails now and then.
type simulation struct {
	w    *world
	mu   sync.Mutex
	own  map[string]string // generation/partition → member who had it assigned
	high map[int32]int64   // partition → highest offset acknowledged
	gens map[int32]bool
}

// TestSimulation checks, for several seeds: within one generation each
// partition has one owner, a stable group covers all partitions, and the
// offsets of a partition never fall behind what was acknowledged.
func TestSimulation(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				s := &simulation{w: w, own: map[string]string{}, high: map[int32]int64{}, gens: map[int32]bool{}}
				var clients sync.WaitGroup
				for n := range 24 {
					clients.Go(func() { s.client(t, n, rand.New(rand.NewPCG(seed, uint64(n)))) })
				}
				faults := make(chan struct{})
				go func() {
					defer close(faults)
					r := rand.New(rand.NewPCG(seed, 999))
					for range 40 {
						time.Sleep(time.Duration(r.IntN(5000)) * time.Millisecond)
						w.store.set(func(f *flaky) { f.fault = fault(r.IntN(int(forgotten))) })
					}
				}()
				clients.Wait()
				<-faults
				w.store.set(func(f *flaky) { f.fault = none })
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if got := w.state("g"); got != "Empty" {
					t.Errorf("after all have gone the group is %s", got)
				}
				for partition, want := range s.high {
					if got := s.offset(partition); got < want {
						t.Errorf("partition %d is at %d, acknowledged was %d", partition, got, want)
					}
				}
				if len(s.gens) < 10 || len(s.high) == 0 {
					t.Errorf("only %d generations, %d partitions committed: nothing was tried", len(s.gens), len(s.high))
				}
				w.checkOffsets()
			})
		})
	}
}

func (s *simulation) offset(partition int32) int64 {
	g, _ := s.w.Group("g")
	for _, o := range g.Offsets {
		if o.Partition == partition {
			return o.Offset
		}
	}
	return -1
}

// client lives through several incarnations of one member.
func (s *simulation) client(t *testing.T, n int, r *rand.Rand) {
	for range 3 {
		time.Sleep(time.Duration(r.IntN(20_000)) * time.Millisecond)
		static := n%3 == 0
		id := ""
		for work := 2 + r.IntN(4); work > 0; {
			next, generation, partitions, ok := s.rebalance(t, n, id, static)
			if id = next; !ok {
				time.Sleep(time.Duration(50+r.IntN(200)) * time.Millisecond) // as clients back off
				continue
			}
			s.work(id, generation, partitions, r)
			work--
		}
		if r.IntN(3) > 0 { // else it crashes
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Version, req.Group, req.MemberID = 2, "g", id
			await[*kmsg.LeaveGroupResponse](s.w, s.w.Leave(req))
		}
	}
}

// rebalance joins and syncs once. It returns the id to go on with.
func (s *simulation) rebalance(t *testing.T, n int, id string, static bool) (string, int32, []int32, bool) {
	join := await[*kmsg.JoinGroupResponse](s.w, s.w.join(9, "g", fmt.Sprint("c", n), id, func(r *kmsg.JoinGroupRequest) {
		r.RebalanceTimeoutMillis = 20_000
		if static {
			instance := fmt.Sprint("i", n)
			r.InstanceID = &instance
		}
	}))
	switch code := wire.Code(join.ErrorCode); code {
	case wire.None:
	case wire.MemberIDRequired:
		return join.MemberID, 0, nil, false
	case wire.UnknownMemberID, wire.FencedInstanceID:
		return "", 0, nil, false
	case wire.RebalanceInProgress, wire.CoordinatorNotAvailable, wire.UnknownServerError, wire.CoordinatorLoadInProgress:
		return id, 0, nil, false
	default:
		t.Errorf("join: %s", code)
		return id, 0, nil, false
	}
	id = join.MemberID
	var given map[string][]byte
	if join.LeaderID == id && !join.SkipAssignment {
		given = spread(join.Members)
	}
	sync := await[*kmsg.SyncGroupResponse](s.w, s.w.sync("g", id, join.Generation, given))
	switch code := wire.Code(sync.ErrorCode); code {
	case wire.None:
	case wire.UnknownMemberID, wire.FencedInstanceID:
		return "", 0, nil, false
	case wire.RebalanceInProgress, wire.IllegalGeneration, wire.CoordinatorNotAvailable, wire.UnknownServerError:
		return id, 0, nil, false
	default:
		t.Errorf("sync: %s", code)
		return id, 0, nil, false
	}
	parts, ok := parseAssignment(sync.MemberAssignment)
	if !ok {
		t.Errorf("assignment %q cannot be read", sync.MemberAssignment)
	}
	s.claim(t, join.Generation, id, static, parts["t0"])
	return id, join.Generation, parts["t0"], true
}

// spread gives all four partitions out, round and round.
func spread(members []kmsg.JoinGroupResponseMember) map[string][]byte {
	parts := map[string][]int32{}
	for p := range int32(4) {
		m := members[int(p)%len(members)].MemberID
		parts[m] = append(parts[m], p)
	}
	given := map[string][]byte{}
	for m, p := range parts {
		given[m] = assignment("t0", p...)
	}
	return given
}

// claim notes who owns a partition in a generation. A static member that came
// back under a new id inherits.
func (s *simulation) claim(t *testing.T, generation int32, id string, static bool, partitions []int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gens[generation] = true
	for _, p := range partitions {
		key := fmt.Sprint(generation, "/", p)
		if owner, ok := s.own[key]; ok && owner != id && !static {
			t.Errorf("partition %s belongs to %s and %s", key, owner, id)
		}
		s.own[key] = id
	}
}

// work heartbeats and commits until a rebalance begins or it has done enough.
func (s *simulation) work(id string, generation int32, partitions []int32, r *rand.Rand) {
	for range 3 + r.IntN(20) {
		time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
		if s.w.heartbeat("g", id, generation) != wire.None {
			return
		}
		if len(partitions) > 0 && !s.commitNext(id, generation, partitions[r.IntN(len(partitions))]) {
			return
		}
	}
}

// commitNext commits the offset after the last one, as an owner does who read
// it from the group first.
func (s *simulation) commitNext(id string, generation, partition int32) bool {
	next := s.offset(partition) + 1
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 9, "g", id, generation
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = "t0"
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = partition, next
	rt.Partitions = append(rt.Partitions, p)
	req.Topics = append(req.Topics, rt)
	resp := await[*kmsg.OffsetCommitResponse](s.w, s.w.OffsetCommit(req))
	if resp.Topics[0].Partitions[0].ErrorCode != 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.high[partition] = max(s.high[partition], next)
	return true
}

// TestManyMembers has a few hundred join at once, in real time, for the race
// detector.
func TestManyMembers(t *testing.T) {
	const members = 200
	w := newWorld(t, func(c *Config) { c.InitialRebalanceDelay = 50 * time.Millisecond })
	var all sync.WaitGroup
	var mu sync.Mutex
	var generations []int32
	for n := range members {
		all.Go(func() {
			id := ""
			for {
				j := await[*kmsg.JoinGroupResponse](w, w.join(9, "g", fmt.Sprint("c", n), id, nil))
				id = j.MemberID
				if j.ErrorCode != 0 {
					continue
				}
				given := map[string][]byte{}
				for _, m := range j.Members {
					given[m.MemberID] = []byte(m.MemberID)
				}
				s := await[*kmsg.SyncGroupResponse](w, w.sync("g", id, j.Generation, given))
				if s.ErrorCode != 0 {
					continue
				}
				if string(s.MemberAssignment) != id {
					t.Errorf("%s got the assignment of %s", id, s.MemberAssignment)
				}
				sum, _ := w.Group("g")
				if len(sum.Members) < members {
					continue // until all are there, as a rebalance tells clients
				}
				mu.Lock()
				generations = append(generations, j.Generation)
				mu.Unlock()
				return
			}
		})
	}
	all.Wait()
	if got := slices.Max(generations) - slices.Min(generations); got > 2 {
		t.Errorf("members ended %d generations apart", got)
	}
}
