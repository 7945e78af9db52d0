package group

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

func (w *world) typeOf(group string) string {
	s, _ := w.Group(group)
	return s.Type
}

// TestUpgrade takes a classic group over to the new protocol and back, with a
// restart at each step.
func TestUpgrade(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		id := w.single("g") // t0, 0 and 1
		w.commitCode(w.commit(9, "g", id, 1, "t0", 5))
		r := w.beats("g", "m", 0, nil)
		if got := w.typeOf("g"); got != "consumer" || r.ErrorCode != 0 || r.MemberEpoch != 2 {
			t.Fatalf("the group is %s, %s, epoch %d", got, wire.Code(r.ErrorCode), r.MemberEpoch)
		}
		w.checkStored()
		w.restart()
		if code := w.heartbeat("g", id, 1); code != wire.RebalanceInProgress {
			t.Errorf("heartbeat: %s", code)
		}
		if code := w.commitCode(w.commit(9, "g", id, 1, "t0", 6)); code != wire.None {
			t.Errorf("commit by the classic member: %s", code)
		}
		j := await[*kmsg.JoinGroupResponse](w, w.join(9, "g", "c", id, nil))
		if j.ErrorCode != 0 || j.Generation != 2 || j.LeaderID == id || len(j.Members) > 0 {
			t.Fatalf("joined: %+v", j)
		}
		s := await[*kmsg.SyncGroupResponse](w, w.sync("g", id, 2, nil))
		has, ok := parseAssignment(s.MemberAssignment)
		if !ok || len(has["t0"])+len(has["t1"]) != 4 {
			t.Errorf("it has %v of eight, %s", has, wire.Code(s.ErrorCode))
		}
		req := kmsg.NewPtrConsumerGroupDescribeRequest()
		req.Version, req.Groups = 1, []string{"g"}
		d := await[*kmsg.ConsumerGroupDescribeResponse](w, w.ConsumerDescribe(req)).Groups[0]
		if d.Members[0].MemberType != 0 || d.Members[1].MemberType != 1 {
			t.Errorf("member types are %d and %d", d.Members[0].MemberType, d.Members[1].MemberType)
		}
		w.checkStored()
		w.restart()
		w.beats("g", "m", -1, nil)
		if got, state := w.typeOf("g"), w.state("g"); got != "classic" || state != "PreparingRebalance" {
			t.Errorf("after the last of the new protocol has left the group is %s, %s", got, state)
		}
		// Its generation goes on, so that it gives back what it has and loses nothing.
		if code := w.heartbeat("g", id, 2); code != wire.RebalanceInProgress {
			t.Errorf("heartbeat in the classic group: %s", code)
		}
		w.restart()
		if got, state := w.typeOf("g"), w.state("g"); got != "classic" || state != "PreparingRebalance" {
			t.Errorf("a restart later it is %s, %s", got, state)
		}
		if code := w.heartbeat("g", id, 2); code != wire.RebalanceInProgress {
			t.Errorf("heartbeat a restart later: %s", code)
		}
		j = await[*kmsg.JoinGroupResponse](w, w.join(9, "g", "c", id, nil))
		if j.ErrorCode != 0 || j.LeaderID != id {
			t.Errorf("joined: %+v", j)
		}
		await[*kmsg.SyncGroupResponse](w, w.sync("g", id, j.Generation, nil))
		w.restart()
		if state := w.state("g"); state != "Stable" {
			t.Errorf("after the rebalance and a restart it is %s", state)
		}
		w.wantOffset("g", "t0", 6)
	})
}

// TestUpgradeWhileRebalancing: joins and syncs that are parked are told to come
// again, and an assignment on its way is void.
func TestUpgradeWhileRebalancing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.single("g")
		joining := w.join(3, "g", "d", "", nil) // waits for the first member
		w.beats("g", "m", 0, nil)
		if code := wire.Code(await[*kmsg.JoinGroupResponse](w, joining).ErrorCode); code != wire.RebalanceInProgress {
			t.Errorf("parked join: %s", code)
		}
		w.checkStored()
		id2 := w.single("h")
		j := await[*kmsg.JoinGroupResponse](w, w.join(9, "h", "c", id2, nil))
		gate := make(chan struct{})
		w.store.set(func(f *flaky) { f.gate = gate })
		syncing := w.sync("h", id2, j.Generation, map[string][]byte{id2: assignment("t1", 0)})
		synctest.Wait() // its assignment stands at the gate
		beat := w.beat("h", "m", 0, nil)
		close(gate)
		w.store.set(func(f *flaky) { f.gate = nil })
		if code := wire.Code(await[*kmsg.SyncGroupResponse](w, syncing).ErrorCode); code != wire.RebalanceInProgress {
			t.Errorf("parked sync: %s", code)
		}
		if code := await[*kmsg.ConsumerGroupHeartbeatResponse](w, beat).ErrorCode; code != 0 {
			t.Errorf("heartbeat: %s", wire.Code(code))
		}
		w.checkStored()
	})
}

// TestNoUpgrade: who is no consumer, or cannot be read, stays classic.
func TestNoUpgrade(t *testing.T) {
	for name, change := range map[string]func(*kmsg.JoinGroupRequest){
		"another type":       func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" },
		"unreadable":         func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Metadata = []byte{1} },
		"unreadable partway": func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Metadata = []byte{0, 1, 0, 0, 0, 0, 9} },
	} {
		bubble(t, nil, func(t *testing.T, w *world) {
			j := await[*kmsg.JoinGroupResponse](w, w.join(3, "g", "c", "", change))
			if code := w.beats("g", "m", 0, nil).ErrorCode; wire.Code(code) != wire.GroupIDNotFound {
				t.Errorf("%s: %s", name, wire.Code(code))
			}
			s := await[*kmsg.SyncGroupResponse](w, w.sync("g", j.MemberID, 1, map[string][]byte{j.MemberID: assignment("t0", 0)}))
			if s.ErrorCode != 0 || w.typeOf("g") != "classic" {
				t.Errorf("%s: %s, %s", name, wire.Code(s.ErrorCode), w.typeOf("g"))
			}
			w.checkStored()
		})
	}
}

// TestMixedSimulation has clients of both protocols come and go, so that the
// group turns to and fro, with faults and restarts as in TestConsumerSimulation
// and to the same end.
func TestMixedSimulation(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				s := &consumerSimulation{t: t, w: w, mixed: true, current: w.Coordinator,
					users: map[offsetKey]string{}, codes: map[wire.Code]int{}, types: map[string]int{}}
				s.run(seed)
				if s.types["classic"] == 0 || s.types["consumer"] == 0 {
					t.Errorf("types were %v: nothing was tried", s.types)
				}
			})
		})
	}
}

// eager is one client of the classic protocol that gives back everything before
// it joins again.
type eager struct {
	simulated
	generation int32
	joined     bool
}

func (c *eager) coordinator() *world {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return &world{t: c.s.t, Coordinator: c.s.current}
}

// beat joins if it must, else heartbeats.
func (c *eager) beat() {
	if !c.joined {
		c.rejoin()
		return
	}
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 4, "g", c.id, c.generation
	resp, err := c.coordinator().Heartbeat(req)(c.s.t.Context())
	if err != nil {
		return
	}
	switch code := wire.Code(resp.(*kmsg.HeartbeatResponse).ErrorCode); code {
	case wire.None:
	case wire.RebalanceInProgress:
		c.lost(c.id)
		c.rejoin()
	case wire.UnknownMemberID, wire.IllegalGeneration, wire.FencedInstanceID:
		c.lost("")
	case wire.CoordinatorNotAvailable, wire.CoordinatorLoadInProgress, wire.NotCoordinator:
	default:
		c.s.t.Errorf("heartbeat of %s: %s", c.id, code)
	}
}

// lost gives everything back; id is what it joins with.
func (c *eager) lost(id string) {
	c.drop()
	c.joined, c.id = false, id
}

func (c *eager) rejoin() {
	w := c.coordinator()
	wait := w.join(9, "g", c.name, c.id, func(r *kmsg.JoinGroupRequest) {
		r.RebalanceTimeoutMillis = 20_000
		r.Protocols[0].Metadata = subscription(simulatedTopics...)
	})
	answer, err := wait(c.s.t.Context())
	if err != nil {
		return
	}
	j := answer.(*kmsg.JoinGroupResponse)
	switch wire.Code(j.ErrorCode) {
	case wire.None, wire.MemberIDRequired:
		c.id = j.MemberID
	case wire.UnknownMemberID:
		c.id = ""
	}
	if j.ErrorCode != 0 {
		return
	}
	given := map[string][]byte{}
	if j.LeaderID == c.id {
		given = everything(j.Members)
	}
	answer, err = w.sync("g", c.id, j.Generation, given)(c.s.t.Context())
	if err != nil {
		return
	}
	if c.note(wire.Code(answer.(*kmsg.SyncGroupResponse).ErrorCode)); answer.(*kmsg.SyncGroupResponse).ErrorCode != 0 {
		return
	}
	topics, ok := parseAssignment(answer.(*kmsg.SyncGroupResponse).MemberAssignment)
	if !ok {
		c.s.t.Errorf("%s cannot read its assignment", c.id)
	}
	c.joined, c.generation = true, j.Generation
	var a kmsg.ConsumerGroupHeartbeatResponseAssignment
	for name, numbers := range topics {
		a.Topics = append(a.Topics, kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{TopicID: scriptTopic(name), Partitions: numbers})
	}
	c.reconcile(&a)
}

// everything gives all partitions out, round and round.
func everything(members []kmsg.JoinGroupResponseMember) map[string][]byte {
	parts := make([]kmsg.ConsumerMemberAssignment, len(members))
	n := 0
	for _, name := range simulatedTopics {
		for p := range int32(4) {
			t := kmsg.NewConsumerMemberAssignmentTopic()
			t.Topic, t.Partitions = name, []int32{p}
			parts[n%len(members)].Topics = append(parts[n%len(members)].Topics, t)
			n++
		}
	}
	given := map[string][]byte{}
	for i, m := range members {
		given[m.MemberID] = parts[i].AppendTo(nil)
	}
	return given
}

func (c *eager) leave(bool) {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group, req.MemberID = 2, "g", c.id
	_, _ = c.coordinator().Leave(req)(c.s.t.Context()) // it may be gone already
}

// beater is a client of either protocol.
type beater interface {
	beat()
	drop()
	leave(forGood bool)
}

// newClient makes a client: in a mixed simulation some lives of a few clients
// speak the new protocol, so that there are times without any; with every second
// seed one of those stays.
func (s *consumerSimulation) newClient(n, life int, r *rand.Rand, name string) beater {
	base := simulated{s: s, r: r, name: name, id: fmt.Sprintf("%s-%d", name, life), used: map[offsetKey]bool{}}
	if s.mixed && (n > 2 || life%2 == 0 && (life < lives-1 || n > 0 || s.seed%2 == 0)) {
		base.id = ""
		return &eager{simulated: base}
	}
	if n%3 == 0 {
		base.instance = &name
	}
	return &base
}
