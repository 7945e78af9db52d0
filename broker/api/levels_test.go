package api_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
)

// TestCompressionLevels stores the same batch under several levels of its topic's
// codec: one that works harder takes less room.
func TestCompressionLevels(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	rng := rand.New(rand.NewPCG(3, 3))
	values := make([]string, 2000)
	for i := range values {
		values[i] = fmt.Sprintf("order %d of customer %d: %d items", rng.IntN(1000), rng.IntN(50), rng.IntN(9))
	}
	sent := batch(t, record.Options{Codec: record.Snappy}, values...)
	for _, c := range []struct{ codec, easy, hard string }{
		{"gzip", "1", "9"}, {"lz4", "9", "12"}, {"zstd", "-5", "19"},
	} {
		var sizes []int64
		for _, level := range []string{c.easy, c.hard} {
			tp := create(t, b, c.codec+level, 1, map[string]string{
				"compression.type": c.codec, "compression." + c.codec + ".level": level,
			})
			if p := r.produce(tp, sent); p.ErrorCode != 0 {
				t.Fatalf("%s at %s: code %d", c.codec, level, p.ErrorCode)
			}
			log, err := b.Logs().Log(t.Context(), tpOf(tp, 0))
			if err != nil {
				t.Fatal(err)
			}
			n, err := log.Bytes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, n)
		}
		if sizes[0] <= sizes[1] {
			t.Errorf("%s: %d bytes at %s, %d at %s", c.codec, sizes[0], c.easy, sizes[1], c.hard)
		}
	}
}
