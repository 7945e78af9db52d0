package share

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/groupconfig"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/wire"
)

var simSeed = flag.Uint64("sim.seed", 0, "run the simulation with this seed only")

const (
	simSeeds   = 150
	simSteps   = 150
	simMembers = 4
	simLimit   = 4 // deliveries
	simLocks   = 100
	simLock    = 15 * time.Second
)

// told is what the model knows of one record of the log.
type told struct {
	control bool   // a marker
	open    bool   // of a transaction that has not ended
	aborted bool   // of one that was
	holder  string // who was given it last, and has not let it go
	until   time.Time
	// low and high bound how often it was delivered: they differ after a restart,
	// which forgets deliveries that no write recorded. durable is recorded.
	low, high, durable int16
	acked              bool // accepted, rejected or called a gap, and answered so
	unsure             bool // as acked, but the answer was an error
	trimmed            bool
}

// sim drives a coordinator with random requests, faults and restarts, and holds
// what members get against a model. One seed gives one run.
type sim struct {
	*world
	rng       *rand.Rand
	committed bool // read_committed
	logs      [2][]told
	epochs    map[string]int32 // of sessions; 0: none
	parked    []*parkedFetch
	faulted   bool // the step's Commit may fail
	seen      map[string]int
	txn       int64
	open      []openTxn
	sure      bool // of the step: a Commit that fails has left nothing, and the store can be read
}

// openTxn is a transaction that has not ended, and its records.
type openTxn struct {
	id       int64
	part     int
	from, to int
}

// parkedFetch is a fetch that waits. It is used once its answer is there.
type parkedFetch struct {
	member string
	resp   chan *kmsg.ShareFetchResponse
	at     time.Time // of the answer; set before it is in resp
}

func TestSimulation(t *testing.T) {
	seen := map[string]int{}
	if *simSeed != 0 {
		simulate(t, *simSeed, seen)
		return
	}
	for seed := range uint64(simSeeds) {
		if simulate(t, seed+1, seen); t.Failed() {
			t.Fatalf("run again with -run TestSimulation -sim.seed %d", seed+1)
		}
	}
	t.Log(seen)
	for _, kind := range []string{"delivered", "again", "accepted", "released", "archived", "restart", "torn", "refused", "failed", "unknown", "parked", "renewed", "lock ended", "disconnected", "closed"} {
		if seen[kind] < simSeeds/4 {
			t.Errorf("the simulation met %q only %d times", kind, seen[kind])
		}
	}
}

func simulate(t *testing.T, seed uint64, seen map[string]int) {
	bubble(t, func(w *world) {
		s := &sim{world: w, rng: rand.New(rand.NewPCG(seed, 7)), epochs: map[string]int32{}, seen: seen}
		s.set("g", groupconfig.ShareAutoOffsetReset, groupconfig.Earliest)
		s.set("g", groupconfig.ShareDeliveryCountLimit, fmt.Sprint(simLimit))
		s.set("g", groupconfig.SharePartitionMaxRecordLocks, fmt.Sprint(simLocks))
		s.set("g", groupconfig.ShareRecordLockDurationMs, fmt.Sprint(simLock.Milliseconds()))
		if s.committed = seed%2 == 0; s.committed {
			s.set("g", groupconfig.ShareIsolationLevel, groupconfig.ReadCommitted)
		}
		for range simSteps {
			s.step()
			if t.Failed() {
				return
			}
		}
		s.drain()
	})
}

func (s *sim) tp(i int) storage.TP { return storage.TP{Topic: topicID(0), Partition: int32(i)} }

func (s *sim) member() string { return fmt.Sprint("m", s.rng.IntN(simMembers)) }

func (s *sim) step() {
	s.faulted, s.sure = false, false
	m := s.member()
	switch n := s.rng.IntN(100); {
	case n < 20:
		s.produceSome()
	case n < 45:
		s.fetchSome(m, s.rng.IntN(3) == 0)
	case n < 75:
		s.maybeFault()
		s.ackSome(m)
	case n < 80:
		s.disconnect(m)
		s.letGo(m)
		s.epochs[m] = 0
		s.seen["disconnected"]++
	case n < 83:
		s.closeSession(m)
	case n < 86:
		s.beat("g", m, 0, "t0")
		s.beat("g", m, -1)
		s.letGo(m)
		s.epochs[m] = 0
	case n < 94:
		time.Sleep(time.Duration(1+s.rng.IntN(12)) * time.Second)
		for i := range simMembers {
			s.beat("g", fmt.Sprint("m", i), 0, "t0")
		}
	case n < 96:
		s.trim()
	default:
		s.restartSim(s.rng.IntN(2) == 0)
	}
	s.expireLocks()
	s.collect()
	s.faults.Reset()
}

// maybeFault lets the next Commit fail, sometimes.
func (s *sim) maybeFault() {
	n := s.rng.IntN(20)
	s.sure = n < 2
	switch n {
	case 0:
		s.faults.Next(faulty.Refuse(storage.ErrFull))
	case 1:
		s.faults.Next(faulty.Refuse(errDisk))
	case 2:
		s.faults.Next(faulty.Persist(errDisk))
	case 3, 4:
		s.faults.Next([]faulty.Fault{faulty.Persist(errDisk), faulty.Refuse(errDisk)}[n-3])
		s.faults.NextGet(func(string) bool { return true }, errDisk)
	default:
		return
	}
	s.faulted = true
}

func (s *sim) produceSome() {
	i, n := s.rng.IntN(2), 1+s.rng.IntN(12)
	if s.rng.IntN(4) > 0 {
		s.produce(s.tp(i), n, record.Options{})
		s.logs[i] = append(s.logs[i], make([]told, n)...)
		return
	}
	if len(s.open) > 0 && s.rng.IntN(3) > 0 {
		s.endSome()
		return
	}
	s.txn++
	s.produce(s.tp(i), n, record.Options{Transactional: true, Producer: &record.Producer{ID: s.txn}})
	s.open = append(s.open, openTxn{s.txn, i, len(s.logs[i]), len(s.logs[i]) + n})
	for range n {
		s.logs[i] = append(s.logs[i], told{open: true})
	}
}

// endSome ends the oldest open transaction.
func (s *sim) endSome() {
	x := s.open[0]
	s.open = s.open[1:]
	commit := s.rng.IntN(2) == 0
	b, err := record.Marker{ProducerID: x.id, Commit: commit}.Batch()
	if err != nil {
		s.t.Fatal(err)
	}
	for o := x.from; o < x.to; o++ {
		s.logs[x.part][o].open, s.logs[x.part][o].aborted = false, !commit
	}
	s.logs[x.part] = append(s.logs[x.part], told{control: true})
	s.append(s.tp(x.part), b)
}

// fetchSome fetches for a member, opening a session if it has none.
func (s *sim) fetchSome(m string, wait bool) {
	req := fetchRequest("g", m, s.epochs[m])
	if s.beat("g", m, 0, "t0"); s.epochs[m] == 0 || s.rng.IntN(20) == 0 {
		req = fetchRequest("g", m, 0, s.tp(0), s.tp(1))
		s.epochs[m] = 0
	}
	req.MaxRecords = int32(1 + s.rng.IntN(30))
	req.ShareAcquireMode = int8(s.rng.IntN(2))
	req.BatchSize = int32(1 + s.rng.IntN(10))
	if wait {
		req.MaxWaitMillis = 5000
	}
	s.epochs[m]++
	p := &parkedFetch{member: m, resp: make(chan *kmsg.ShareFetchResponse, 1)}
	answer := s.Fetch(s.conn(m), req, noBudget{})
	go func() {
		r, err := answer(s.t.Context())
		if err == nil {
			p.at = time.Now()
			p.resp <- r.(*kmsg.ShareFetchResponse)
		}
	}()
	s.parked = append(s.parked, p)
	synctest.Wait()
	if len(p.resp) == 0 {
		s.seen["parked"]++
	}
}

// collect looks at what fetches have brought.
func (s *sim) collect() {
	synctest.Wait()
	left := s.parked[:0]
	for _, p := range s.parked {
		select {
		case r := <-p.resp:
			s.got(p.member, p.at, r)
		default:
			left = append(left, p)
		}
	}
	s.parked = left
}

// got holds what a member was given against the model.
func (s *sim) got(m string, at time.Time, r *kmsg.ShareFetchResponse) {
	if code := wire.Code(r.ErrorCode); code != wire.None {
		if code != wire.ShareSessionNotFound {
			s.t.Errorf("%s: fetch %s", m, code)
		}
		return
	}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			if code := wire.Code(p.ErrorCode); code != wire.None && code != wire.KafkaStorageError {
				s.t.Errorf("%s: partition %s", m, code)
			}
			sent := map[int64]bool{}
			for b := range record.Batches(p.Records) {
				for o := b.Header.BaseOffset; o <= b.Header.LastOffset(); o++ {
					sent[o] = true
				}
			}
			for _, a := range p.AcquiredRecords {
				for o := a.FirstOffset; o <= a.LastOffset; o++ {
					s.deliver(m, at, int(p.Partition), o, a.DeliveryCount, sent[o])
				}
			}
		}
	}
}

func (s *sim) deliver(m string, at time.Time, i int, offset int64, count int16, sent bool) {
	s.t.Helper()
	r := &s.logs[i][offset]
	wrong := ""
	switch {
	case !sent:
		wrong = "is not in the answer's bytes"
	case r.control || s.committed && (r.open || r.aborted):
		wrong = "is nobody's to get"
	case r.acked:
		wrong = "was acknowledged"
	case r.holder != "" && r.until.After(at):
		wrong = "is " + r.holder + "'s"
	case count < r.low+1 || count > r.high+1:
		wrong = fmt.Sprintf("was delivered %d to %d times before", r.low, r.high)
	case count > simLimit:
		wrong = "was delivered too often"
	}
	if wrong != "" {
		s.t.Errorf("%s gets %d/%d, delivery %d, which %s", m, i, offset, count, wrong)
	}
	if count > 1 {
		s.seen["again"]++
	}
	s.seen["delivered"]++
	r.holder, r.until, r.low, r.high = m, at.Add(simLock), count, count
}

// letGo is what the model knows when a member gives everything back.
func (s *sim) letGo(m string) {
	for i := range s.logs {
		for o := range s.logs[i] {
			r := &s.logs[i][o]
			if r.holder != m {
				continue
			}
			r.holder = ""
		}
	}
}

func (s *sim) expireLocks() {
	now := time.Now()
	for i := range s.logs {
		for o := range s.logs[i] {
			if r := &s.logs[i][o]; r.holder != "" && !r.until.After(now) {
				r.holder = ""
				s.seen["lock ended"]++
			}
		}
	}
}

// held lists ranges of records that a member has, each of at most a few records.
func (s *sim) held(m string, i int) (list [][2]int64) {
	for o := range s.logs[i] {
		r := &s.logs[i][o]
		if r.holder != m || r.trimmed {
			continue
		}
		if n := len(list); n > 0 && list[n-1][1] == int64(o)-1 && s.rng.IntN(5) > 0 {
			list[n-1][1] = int64(o)
			continue
		}
		list = append(list, [2]int64{int64(o), int64(o)})
	}
	return list
}

// ackSome acknowledges some of what a member has, one type a range.
func (s *sim) ackSome(m string) {
	i := s.rng.IntN(2)
	list := s.held(m, i)
	if s.epochs[m] == 0 || len(list) == 0 {
		return
	}
	req := ackRequest("g", m, s.epochs[m], s.tp(i), 0, 0)
	req.IsRenewAck = true
	p := &req.Topics[0].Partitions[0]
	p.AcknowledgementBatches = nil
	for _, r := range list {
		if s.rng.IntN(3) == 0 {
			continue
		}
		b := kmsg.NewShareAcknowledgeRequestTopicPartitionAcknowledgementBatch()
		b.FirstOffset, b.LastOffset, b.AcknowledgeTypes = r[0], r[1], []int8{[]int8{0, 1, 1, 1, 2, 2, 3, 4}[s.rng.IntN(8)]}
		p.AcknowledgementBatches = append(p.AcknowledgementBatches, b)
	}
	torn := s.rng.IntN(25) == 0
	if torn {
		s.faults.Reset()
		s.faults.Next(faulty.Tear(s.rng.IntN(2) == 0, errDisk))
		s.faulted, s.sure = true, false
	}
	counts := s.counts(i)
	code := s.ack(req)
	if s.epochs[m]++; code == wire.ShareSessionNotFound {
		s.t.Errorf("%s has lost its session", m)
	}
	if code != wire.None && !s.faulted {
		s.t.Errorf("%s: acknowledge %s", m, code)
	}
	written := false
	for _, b := range p.AcknowledgementBatches {
		written = written || ackType(b.AcknowledgeTypes[0]) != ackRenew
		for o := b.FirstOffset; o <= b.LastOffset; o++ {
			if code == wire.None || !s.sure { // else they are the member's still
				s.acked(&s.logs[i][o], ackType(b.AcknowledgeTypes[0]), code)
			}
		}
	}
	switch {
	case torn:
		s.seen["torn"]++
		s.faults = faulty.New(s.inner)
		s.restartSim(false)
	case code == wire.None && written:
		for o := range counts {
			s.logs[i][o].durable = max(s.logs[i][o].durable, counts[o])
		}
	case code != wire.None && s.sure:
		s.seen["failed"]++
	case code != wire.None: // its state may have been read anew
		s.seen["refused"]++
		s.forgetLocks(i)
	}
}

// counts are the least deliveries of a partition's records.
func (s *sim) counts(i int) []int16 {
	list := make([]int16, len(s.logs[i]))
	for o := range list {
		list[o] = s.logs[i][o].low
	}
	return list
}

// acked notes what came of one acknowledgement.
func (s *sim) acked(r *told, kind ackType, code wire.Code) {
	switch {
	case code != wire.None:
		if kind != ackRenew && kind != ackRelease {
			r.unsure = true
			s.seen["unknown"]++
		}
	case kind == ackRenew:
		r.until = time.Now().Add(simLock)
		s.seen["renewed"]++
	case kind == ackRelease:
		r.holder = ""
		s.seen["released"]++
	default:
		r.holder, r.acked = "", true
		s.seen["accepted"]++
	}
}

// forgetLocks is what the model knows after a state may have been read anew:
// nobody has anything, and some deliveries may be forgotten.
func (s *sim) forgetLocks(i int) {
	time.Sleep(2 * lookAgain) // it is read by then
	for o := range s.logs[i] {
		r := &s.logs[i][o]
		r.holder, r.low = "", min(r.low, r.durable)
	}
	// The members' locks may stand still: wait until they would have ended.
	time.Sleep(simLock)
	s.collect()
}

func (s *sim) closeSession(m string) {
	if s.epochs[m] == 0 {
		return
	}
	req := ackRequest("g", m, -1, s.tp(0), 0, 0)
	req.Topics = nil
	if code := s.ack(req); code != wire.None {
		s.t.Errorf("%s: closing: %s", m, code)
	}
	s.letGo(m)
	s.epochs[m] = 0
	s.seen["closed"]++
}

func (s *sim) trim() {
	i := s.rng.IntN(2)
	log, err := s.world.logs.Log(s.t.Context(), s.tp(i))
	if err != nil {
		s.t.Fatal(err)
	}
	start, end := log.Bounds()
	to := start + (end-start)/4
	if _, err := s.world.logs.Trim(s.t.Context(), s.tp(i), to); err != nil {
		s.t.Fatal(err)
	}
	for o := range to {
		s.logs[i][o].trimmed, s.logs[i][o].holder = true, ""
	}
}

// restartSim restarts the broker, in order (all that waits is written) or not.
func (s *sim) restartSim(quiet bool) {
	if quiet {
		synctest.Wait()
	}
	s.restart()
	s.parked = nil
	s.epochs = map[string]int32{}
	for i := range s.logs {
		for o := range s.logs[i] {
			r := &s.logs[i][o]
			r.holder, r.low = "", min(r.low, r.durable)
		}
	}
	s.seen["restart"]++
}

// drain gives everything that is left to one last member: nothing is lost but
// what was delivered too often.
func (s *sim) drain() {
	for len(s.open) > 0 {
		s.endSome()
	}
	for i := range simMembers {
		s.disconnect(fmt.Sprint("m", i))
		s.letGo(fmt.Sprint("m", i))
		s.collect()
	}
	time.Sleep(simLock + time.Second)
	s.expireLocks()
	s.collect()
	s.parked = nil
	got := map[[2]int64]bool{}
	s.beat("g", "last", 0, "t0")
	epoch := int32(0)
	for {
		req := fetchRequest("g", "last", epoch)
		if epoch == 0 {
			req = fetchRequest("g", "last", 0, s.tp(0), s.tp(1))
		}
		epoch++
		r := s.fetch("last", req)
		s.got("last", time.Now(), r)
		n := 0
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				for _, a := range p.AcquiredRecords {
					n++
					for o := a.FirstOffset; o <= a.LastOffset; o++ {
						got[[2]int64{int64(p.Partition), o}] = true
						s.logs[p.Partition][o].acked = true
					}
					if code := s.ack(ackRequest("g", "last", epoch, s.tp(int(p.Partition)), a.FirstOffset, a.LastOffset, 1)); code != wire.None {
						s.t.Fatalf("last: %s", code)
					}
					epoch++
				}
			}
		}
		if n == 0 {
			break
		}
	}
	for i := range s.logs {
		for o := range s.logs[i] {
			r := &s.logs[i][o]
			if r.high >= simLimit && !r.acked {
				s.seen["archived"]++
			}
			lost := !r.acked && !r.unsure && !r.trimmed && !r.control && r.high < simLimit && !(s.committed && r.aborted)
			if lost {
				s.t.Errorf("%d/%d is lost: %+v", i, o, *r)
			}
		}
	}
	s.checkStored()
}
