package avro

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	oracle "github.com/twmb/avro"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/schematest"
)

// FuzzOracle feeds any bytes to decoders of random schemas, each picked by a
// number, and to the oracle: both accept or both refuse, and the row is what the
// oracle decodes. It is TestOracle with a search in place of a list.
func FuzzOracle(f *testing.F) {
	for seed := range uint64(40) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
		s := mustParse(f, g.record(0))
		f.Add(uint16(seed), g.payload(nil, s.root, 0))
	}
	f.Fuzz(func(t *testing.T, seed uint16, payload []byte) {
		newContest(t, uint64(seed)).check(t, payload)
	})
}

// contest is a random schema with both decoders.
type contest struct {
	*generator
	label, text string
	s           *Schema
	d           schema.Decoder
	o           *oracle.Schema
	rows        *schema.Rows
}

func newContest(t *testing.T, seed uint64) *contest {
	t.Helper()
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
	c := &contest{generator: g, label: fmt.Sprintf("schema %d", seed), text: g.record(0)}
	c.s = mustParse(t, c.text)
	var err error
	if c.d, err = c.s.Decoder(nil); err != nil {
		t.Fatalf("%s: %v", c.text, err)
	}
	if c.o, err = oracle.Parse(strings.ReplaceAll(c.text, `"logicalType"`, `"ignored"`)); err != nil {
		t.Fatalf("the oracle refuses %s: %v", c.text, err)
	}
	if c.rows, err = schema.NewRows(c.d.Columns()); err != nil {
		t.Fatal(err)
	}
	return c
}

// check compares one payload's verdict and row; taken if both accept it.
func (c *contest) check(t *testing.T, payload []byte) (taken bool) {
	t.Helper()
	v, ok := compareOne(t, c.label, c.text, c.d, c.o, payload, c.rows)
	batch := c.rows.Batch()
	if !ok {
		if batch.NumRows() != 0 {
			t.Fatalf("%d rows of a refused payload", batch.NumRows())
		}
		return false
	}
	if got, want := gotRecord(c.s.root, batch, 0), wantRecord(c.s.root, v); got != want {
		t.Fatalf("%s\n%x\ngot  %s\nwant %s", c.text, payload, got, want)
	}
	return true
}

// TestDifferential is FuzzOracle and FuzzResolve on a list that stays the same.
func TestDifferential(t *testing.T) {
	schematest.Differential(t, "avro, against twmb/avro", 100, func(seed uint64, tally *schematest.Tally) {
		c := newContest(t, seed)
		tally.Schemas++
		for i := range 60 {
			p := c.payload(nil, c.s.root, 0)
			for range i / 20 { // whole, spoiled once, and twice
				p = c.spoil(p)
			}
			tally.Count(c.check(t, p))
		}
	})
	schematest.Differential(t, "avro, resolved, against twmb/avro", 200, func(seed uint64, tally *schematest.Tally) {
		w, r, d, o := resolvedPair(t, seed)
		if o == nil {
			return
		}
		tally.Schemas++
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 4))}
		for i := range 30 {
			p := g.payload(nil, w.root, 0)
			for range i / 10 {
				p = g.spoil(p)
			}
			tally.Count(compareResolved(t, fmt.Sprintf("seed %d, payload %d", seed, i), w, r, d, o, p))
		}
	})
}
