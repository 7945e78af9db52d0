package avro

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	oracle "github.com/twmb/avro"

	"github.com/tarn-io/tarn/schema"
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
		g := &generator{Rand: rand.New(rand.NewPCG(uint64(seed), 1))}
		text := g.record(0)
		s := mustParse(t, text)
		d, err := s.Decoder(nil)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		o, err := oracle.Parse(strings.ReplaceAll(text, `"logicalType"`, `"ignored"`))
		if err != nil {
			t.Fatalf("the oracle refuses %s: %v", text, err)
		}
		rows, err := schema.NewRows(d.Columns())
		if err != nil {
			t.Fatal(err)
		}
		v, ok := compareOne(t, fmt.Sprintf("schema %d", seed), text, d, o, payload, rows)
		batch := rows.Batch()
		if !ok {
			if batch.NumRows() != 0 {
				t.Fatalf("%d rows of a refused payload", batch.NumRows())
			}
			return
		}
		if got, want := gotRecord(s.root, batch, 0), wantRecord(s.root, v); got != want {
			t.Fatalf("%s\n%x\ngot  %s\nwant %s", text, payload, got, want)
		}
	})
}
