package sink_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
)

// seeds and firstSeed say how much is simulated; -seed replays a failure.
var (
	seeds     = flag.Int("seeds", 6, "simulations of the sink")
	firstSeed = flag.Uint64("seed", 1, "seed of the first simulation")
)

// TestSimulation lets producers, users, faults, crashes and second managers do
// what they like in a random order, and after each round expects every record
// in every table once. One seed replays one run.
func TestSimulation(t *testing.T) {
	for i := range *seeds {
		seed := *firstSeed + uint64(i)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { simulate(t, seed, 14) })
	}
}

// simulation is a world with a model of what its log holds.
type simulation struct {
	*world
	rnd     *rand.Rand
	ids     []int                            // of schemas
	records map[tables.RowID]bool            // all that were acknowledged
	ends    map[int32]int64                  // of the partitions
	starts  map[int32]int64                  // after trims
	had     map[string]map[tables.RowID]bool // what each format had at the last check
}

func simulate(t *testing.T, seed uint64, rounds int) {
	w := newWorld(t)
	w.level = 12
	s := &simulation{
		world: w, rnd: rand.New(rand.NewPCG(seed, 0)), records: map[tables.RowID]bool{},
		ends: map[int32]int64{}, starts: map[int32]int64{}, had: map[string]map[tables.RowID]bool{},
	}
	s.ids = []int{w.register("orders-value", orderV1)}
	w.topics[0].CommitRows = []int64{3, 10, 1 << 20}[s.rnd.IntN(3)]
	w.run()
	for round := range rounds {
		note := s.round()
		w.fuse.heal()
		w.flushOn()
		s.check()
		if t.Failed() {
			t.Fatalf("seed %d, round %d: %s", seed, round, note)
		}
	}
	// An entry that a second manager stored last is seen at the next start.
	w.halt()
	w.run()
	w.flushOn()
	s.check()
	w.noPending()
}

// round does something, perhaps with faults, and says what.
func (s *simulation) round() (note string) {
	switch s.rnd.IntN(4) {
	case 0:
		dice := rand.New(rand.NewPCG(s.rnd.Uint64(), 0)) // thrown by the sinks
		s.fuse.gamble(func(string) (bool, bool) { return dice.IntN(5) == 0, dice.IntN(2) == 0 })
		note = "faults; "
	case 1:
		s.fuse.arm(s.rnd.IntN(30), s.rnd.IntN(2) == 0, true)
		note = "crash; "
	}
	var second *sink.Manager
	if s.rnd.IntN(4) == 0 {
		m, stop := s.start()
		second = m
		defer stop()
		note += "second manager; "
	}
	for range 1 + s.rnd.IntN(4) {
		note += s.act(second != nil) + "; "
		if s.rnd.IntN(2) == 0 {
			_, err := s.manager.Flush(s.t.Context(), "orders")
			note += fmt.Sprint("flush: ", err, "; ")
		}
		if second != nil {
			_, err := second.Flush(s.t.Context(), "orders")
			note += fmt.Sprint("second flush: ", err, "; ")
		}
	}
	if s.rnd.IntN(3) == 0 {
		s.halt()
		s.fuse.heal()
		s.run()
		note += "restart; "
	}
	return note
}

func (s *simulation) act(together bool) string {
	switch s.rnd.IntN(14) {
	case 0:
		if len(s.ids) < 2 {
			s.ids = append(s.ids, s.register("orders-value", orderV2))
		}
		return "schema"
	case 1:
		p := s.partition()
		s.starts[p] += s.rnd.Int64N(s.ends[p] - s.starts[p] + 1)
		s.trim(p, s.starts[p])
		return fmt.Sprint("trim ", p, " to ", s.starts[p])
	case 2:
		all := []string{"iceberg", "delta", "parquet"}
		s.rnd.Shuffle(3, func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:1+s.rnd.IntN(3)]
		s.alter(func(t *sink.Topic) { t.Formats = all })
		return fmt.Sprint("formats ", all)
	case 3:
		s.alter(func(t *sink.Topic) { t.Partitions = min(4, t.Partitions+1) })
		return "partition"
	case 4:
		p := s.partition()
		s.control(p)
		return fmt.Sprint("control batch in ", p)
	case 5:
		// The table is moved away while its sink is not there.
		if together {
			return "nothing"
		}
		s.halt()
		s.fuse.heal()
		format := s.topics[0].Formats[0]
		if err := formatsOver(s.store, s.items)[format].Drop(s.t.Context(), "default", "orders"); err != nil {
			s.t.Fatal(err)
		}
		delete(s.had, format)
		s.run()
		return "drop " + format
	case 6:
		_, err := s.manager.Rebuild(s.t.Context(), "orders", false)
		return fmt.Sprint("rebuild: ", err)
	case 7:
		_, err := s.manager.AbortRebuild(s.t.Context(), "orders")
		return fmt.Sprint("abort: ", err)
	}
	p := s.partition()
	n := 1 + s.rnd.IntN(6)
	var values [][]byte
	for range n {
		values = append(values, s.value())
		s.records[tables.RowID{Partition: p, Offset: s.ends[p]}] = true
		s.ends[p]++
	}
	s.produce(p, values...)
	return fmt.Sprint("produce ", n, " to ", p)
}

func (s *simulation) partition() int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rnd.Int32N(s.topics[0].Partitions)
}

func (s *simulation) value() []byte {
	n := s.rnd.IntN(len(s.ids))
	v := order(s.ids[n], s.rnd.Int64N(1000), "item")
	switch {
	case s.rnd.IntN(10) == 0:
		return nil
	case s.rnd.IntN(8) == 0:
		return v[:s.rnd.IntN(len(v))]
	case n == 1:
		return append(v, 0)
	}
	return v
}

// control appends a transaction marker, which is no record.
func (s *simulation) control(p int32) {
	b, err := record.Marker{ProducerID: 1, Commit: true}.Batch()
	if err != nil {
		s.t.Fatal(err)
	}
	s.appendBatch(p, b)
	s.ends[p]++
}

// check holds the tables against the model.
func (s *simulation) check() {
	s.t.Helper()
	r, err := s.manager.Verify(context.WithoutCancel(s.t.Context()), "orders")
	if err != nil || r.Verdict != sink.VerdictOK {
		s.t.Fatalf("verification: %+v, %v", r, err)
	}
	for _, f := range r.Formats {
		got := s.rowIDs(f.Format)
		for id := range got {
			if !s.records[id] {
				s.t.Errorf("%s: partition %d offset %d was never produced", f.Format, id.Partition, id.Offset)
			}
		}
		for id := range s.records {
			// What was trimmed may be missing, if it was not there before.
			if !got[id] && (id.Offset >= s.starts[id.Partition] || s.had[f.Format][id]) {
				s.t.Errorf("%s: partition %d offset %d is missing", f.Format, id.Partition, id.Offset)
			}
		}
		for _, gap := range f.Deleted {
			for off := gap.From; off < gap.To; off++ {
				if got[tables.RowID{Partition: gap.Partition, Offset: off}] {
					s.t.Errorf("%s: partition %d offset %d is there and on record as deleted", f.Format, gap.Partition, off)
				}
			}
		}
		s.had[f.Format] = maps.Clone(got)
	}
}
