package commitlog

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

var simSeed = flag.Uint64("sim.seed", 0, "run the simulation with this seed only")

const (
	simSeeds      = 60
	simSteps      = 120
	simPartitions = 3
	simProducers  = 3
)

// sim drives a sequencer by hand, one round after the other, against an engine
// whose commits fail in all ways, and compares the log with what was
// acknowledged after each step. One seed gives one run.
type sim struct {
	t     *testing.T
	rng   *rand.Rand
	inner *memory.Engine
	fault *faulty.Engine
	eng   *blind
	logs  *Logs
	seq   sequencer
	now   time.Time

	next  int // number of the next batch
	fates map[string]fate
	parts [simPartitions]simPart
	items map[string]int64 // versions reported, by key
	seen  map[string]int   // how often each kind of outcome was met, over all seeds
}

// fate is what became of a batch, by its value.
type fate struct {
	acked, refused bool // neither: the outcome was unknown
	part           int
	base           int64
}

// simPart is what a partition's idempotent producers would send next.
type simPart struct {
	producers [simProducers]simProducer
}

type simProducer struct {
	epoch  int16
	seq    int32
	unsure string  // value of a batch at seq of unknown outcome: it is repeated
	acked  []int32 // sequences acknowledged in this epoch, newest last
	values []string
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
	for _, kind := range []string{"rival", "restart", "taken", "duplicate", "unknown", "failed", "trimmed", "learnt",
		ErrSequence.Error(), ErrFenced.Error(), ErrNotOwner.Error()} {
		if seen[kind] < simSeeds/2 {
			t.Errorf("%q was met %d times only: the simulation misses it", kind, seen[kind])
		}
	}
}

func simulate(t *testing.T, seed uint64, seen map[string]int) {
	s := &sim{
		t: t, rng: rand.New(rand.NewPCG(seed, 7)), inner: memory.New(), now: time.UnixMilli(1_000_000),
		fates: map[string]fate{}, items: map[string]int64{}, seen: seen,
	}
	s.fault = faulty.New(s.inner)
	s.eng = &blind{Engine: s.fault}
	s.restart()
	for range simSteps {
		switch s.rng.IntN(20) {
		case 0:
			if s.rng.IntN(2) == 0 {
				s.seq.saveProducers()
			}
			s.restart()
			s.seen["restart"]++
		case 1:
			s.rival()
		default:
			s.round()
		}
		if s.check(); t.Failed() {
			return
		}
	}
}

func (s *sim) tp(p int) storage.TP {
	return storage.TP{Topic: storage.TopicID{1}, Partition: int32(p)}
}

func (s *sim) restart() {
	s.logs = New(Config{Engine: s.eng, Now: func() time.Time { return s.now }, TailBytes: 1 << uint(s.rng.IntN(14))})
	s.seq = sequencer{logs: s.logs, engine: s.eng}
}

// rival appends behind the back of the logs, as another owner does.
func (s *sim) rival() {
	p := s.rng.IntN(simPartitions)
	b, err := s.inner.Bounds(s.t.Context(), s.tp(p))
	if err != nil {
		return // nothing to take yet
	}
	value := s.value()
	batch := named(s.t, s.tp(p), value, options{BaseOffset: b.End})
	if err := s.inner.Commit(s.t.Context(), storage.Write{Append: []storage.Append{{
		TP: s.tp(p), Expect: b.End, End: b.End + 1, Epoch: b.Epoch, Batches: batch.Bytes,
	}}}); err != nil {
		s.t.Errorf("rival: %v", err)
	}
	s.fates[value] = fate{acked: true, part: p, base: b.End}
	s.seen["rival"]++
}

func (s *sim) value() string {
	s.next++
	return fmt.Sprintf("b%d", s.next)
}

// sent is one entry on its way.
type sent struct {
	wait  Wait
	entry Entry
	parts []sentBatch
	trim  int // partition, or -1
	to    int64
}

type sentBatch struct {
	part, producer int // producer -1: not idempotent
	value          string
	seq            int32
	repeat         bool // an acknowledged batch once more
	wrong          error
}

// round fills the pool, lets commits meet faults, and runs until all is
// decided.
func (s *sim) round() {
	var all []*sent
	busy := map[[2]int]bool{} // a producer sends one batch to a partition at a time
	for range 1 + s.rng.IntN(5) {
		if e := s.entry(busy); e != nil {
			all = append(all, e)
		}
	}
	for range s.rng.IntN(3) {
		switch s.rng.IntN(4) {
		case 0:
			s.fault.Next(faulty.Refuse(storage.ErrFull))
		case 1:
			s.fault.Next(faulty.Refuse(errDisk))
		case 2:
			s.fault.Next(faulty.Persist(errDisk))
		case 3:
			s.fault.Next(faulty.Delay(closedChan()))
		}
	}
	// Which of a round's commits cannot be looked at is left to chance.
	blindFrom := s.rng.IntN(6)
	for n := 0; len(s.logs.pool.entries) > 0; n++ {
		entries, err := s.logs.pool.take(s.t.Context(), int64(entryOverhead+100)<<s.rng.IntN(6))
		if err != nil {
			s.t.Fatal(err)
		}
		s.eng.on.Store(n == blindFrom && s.opened())
		rest, err := s.seq.run(context.Background(), entries)
		s.eng.on.Store(false)
		if err != nil {
			s.t.Fatal(err)
		}
		s.logs.pool.putBack(rest)
	}
	s.fault.Reset()
	for _, e := range all {
		s.settle(e)
	}
}

func closedChan() <-chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}

// opened reports whether all logs are in memory, so that blindness hits the
// look after a commit and not the first read.
func (s *sim) opened() bool {
	for p := range simPartitions {
		if g := s.logs.logs[s.tp(p)]; g == nil || !g.opened {
			return false
		}
	}
	return true
}

// entry adds an entry or a trim to the pool.
func (s *sim) entry(busy map[[2]int]bool) *sent {
	e := &sent{trim: -1}
	var err error
	if s.rng.IntN(12) == 0 {
		e.trim = s.rng.IntN(simPartitions)
		b, err := s.inner.Bounds(s.t.Context(), s.tp(e.trim))
		if err != nil {
			return nil
		}
		e.to = b.Start + s.rng.Int64N(b.End-b.Start+1)
		if e.wait, err = s.logs.StartTrim(s.t.Context(), s.tp(e.trim), e.to); err != nil {
			s.t.Fatal(err)
		}
		return e
	}
	for _, p := range s.rng.Perm(simPartitions)[:1+s.rng.IntN(2)] {
		producer := s.rng.IntN(simProducers+1) - 1
		if producer >= 0 && busy[[2]int{p, producer}] {
			producer = -1
		}
		busy[[2]int{p, producer}] = true
		b := s.batch(p, producer)
		e.parts = append(e.parts, b)
		o := options{}
		if producer >= 0 {
			o = idempotent(int64(producer), s.parts[p].producers[producer].epoch, b.seq)
			if errors.Is(b.wrong, ErrFenced) {
				o.Producer.Epoch--
			}
		}
		e.entry.Batches = append(e.entry.Batches, named(s.t, s.tp(p), b.value, o))
	}
	if s.rng.IntN(3) == 0 {
		key := fmt.Sprintf("item%d", s.rng.IntN(4))
		e.entry.Items = []storage.Item{{Key: key, Value: []byte(s.value()), Version: s.items[key]}}
	}
	if e.wait, err = s.logs.Append(s.t.Context(), e.entry); err != nil {
		s.t.Fatal(err)
	}
	return e
}

// batch decides what a producer sends: the next batch, one of unknown outcome
// again, an acknowledged one again, or something that must be refused.
func (s *sim) batch(p, producer int) sentBatch {
	b := sentBatch{part: p, producer: producer, value: s.value()}
	if producer < 0 {
		return b
	}
	pr := &s.parts[p].producers[producer]
	b.seq = pr.seq
	if pr.unsure != "" {
		b.value = pr.unsure
		return b
	}
	switch n := s.rng.IntN(10); {
	case n == 0 && len(pr.acked) > 0:
		i := len(pr.acked) - 1 - s.rng.IntN(min(len(pr.acked), rememberedBatches))
		b.seq, b.value, b.repeat = pr.acked[i], pr.values[i], true
	case n == 1 && len(pr.acked) > 0:
		b.seq, b.wrong = pr.seq+1+s.rng.Int32N(3), ErrSequence
	case n == 2 && pr.epoch > 0 && len(pr.acked) > 0:
		b.wrong = ErrFenced
	case n == 3 && len(pr.acked) > 0:
		pr.epoch++
		pr.seq, pr.acked, pr.values = 0, nil, nil
		b.seq = 0
	}
	return b
}

// settle notes what an entry was answered.
func (s *sim) settle(e *sent) {
	done, err := e.wait(context.Background())
	unknown := outcome(done, err) == "unknown"
	s.count(err, unknown)
	if e.trim >= 0 {
		s.seen["trimmed"]++
		if b, _ := s.inner.Bounds(s.t.Context(), s.tp(e.trim)); err == nil && (done[0].Start < e.to || b.Start < e.to) {
			s.t.Errorf("trim to %d answered %d, engine has %d", e.to, done[0].Start, b.Start)
		}
		return
	}
	for i, b := range e.parts {
		if err == nil && b.wrong != nil {
			s.t.Errorf("%s of producer %d was taken, want %v", b.value, b.producer, b.wrong)
		}
		s.settleBatch(b, i, done, err, unknown)
	}
	for _, it := range e.entry.Items {
		got, getErr := s.inner.Get(s.t.Context(), it.Key)
		if getErr != nil {
			s.t.Fatal(getErr)
		}
		if err == nil && got.Version < it.Version {
			s.t.Errorf("item %q was reported at version %d, engine has %d", it.Key, it.Version, got.Version)
		}
		s.items[it.Key] = got.Version
	}
}

func (s *sim) count(err error, unknown bool) {
	kind := "failed"
	for _, known := range []error{ErrSequence, ErrFenced, ErrNotOwner} {
		if errors.Is(err, known) {
			kind = known.Error()
		}
	}
	switch {
	case err == nil:
		kind = "taken"
	case unknown:
		kind = "unknown"
	}
	s.seen[kind]++
}

func (s *sim) settleBatch(b sentBatch, i int, done []Appended, err error, unknown bool) {
	old := s.fates[b.value]
	var pr *simProducer
	if b.producer >= 0 {
		pr = &s.parts[b.part].producers[b.producer]
	}
	switch {
	case err == nil && b.repeat:
		if !done[i].Duplicate || done[i].Base != old.base {
			s.t.Errorf("repeated %s was answered %+v, first at %d", b.value, done[i], old.base)
		}
		s.seen["duplicate"]++
	case err == nil:
		s.fates[b.value] = fate{acked: true, part: b.part, base: done[i].Base}
		if pr != nil {
			if pr.unsure != "" && done[i].Duplicate {
				s.seen["learnt"]++
			}
			pr.unsure, pr.seq = "", b.seq+1
			pr.acked, pr.values = append(pr.acked, b.seq), append(pr.values, b.value)
		}
	case unknown && pr != nil && b.wrong == nil && !b.repeat:
		pr.unsure = b.value
	case !unknown && !b.repeat && (pr == nil || pr.unsure != b.value):
		s.fates[b.value] = fate{refused: true}
	}
}

// check compares the engine's logs with the fates, and what readers see with
// the engine.
func (s *sim) check() {
	for p := range simPartitions {
		b, err := s.inner.Bounds(s.t.Context(), s.tp(p))
		if err != nil {
			continue
		}
		seen := map[string]int64{}
		all := lines(s.t, s.inner, s.tp(p))
		for _, line := range all {
			var base int64
			var value string
			fmt.Sscan(line, &base, &value)
			if at, twice := seen[value]; twice {
				s.t.Errorf("partition %d: %s lies at %d and at %d", p, value, at, base)
			}
			seen[value] = base
			if f := s.fates[value]; f.refused || f.acked && f.base != base {
				s.t.Errorf("partition %d: %s lies at %d, but %+v", p, value, base, f)
			}
		}
		for value, f := range s.fates {
			if _, ok := seen[value]; !ok && f.acked && f.part == p && f.base >= b.Start {
				s.t.Errorf("partition %d: %s, acknowledged at %d, is not there", p, value, f.base)
			}
		}
		if g, err := s.logs.Log(s.t.Context(), s.tp(p)); err != nil {
			s.t.Error(err)
		} else if g.End() == b.End && g.Start() == b.Start { // else it does not know of its rival yet
			if got := offsets(s.t, s.logs, s.tp(p), b.Start, 1+s.rng.IntN(400)); len(got) != len(all) {
				s.t.Errorf("partition %d: readers see %d batches of %d", p, len(got), len(all))
			}
		}
	}
}
