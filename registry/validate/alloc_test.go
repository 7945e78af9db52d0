//go:build !race

package validate

import (
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/schema"
)

// TestAllocations says that good records cost none: batches of 100 and of 200
// allocate the same. Pools forget on purpose under the race
// detector, so it is left out there.
func TestAllocations(t *testing.T) {
	f := newFixture(t)
	byGUID := header(schema.ValueHeader, schema.AppendHeader(nil, f.guid))
	tests := []struct {
		name  string
		topic Topic
		rec   rec
	}{
		{"prefix", Topic{Name: "orders", Value: Part{Level: Payload}}, rec{value: framed(1, 14, 2, 'x')}},
		{"bare", Topic{Name: "orders", Value: Part{Level: Payload}}, rec{value: []byte{14, 2, 'x'}}},
		{"header", Topic{Name: "orders", Value: Part{Level: Payload}}, rec{value: []byte{14, 2, 'x'}, headers: []record.RecordHeader{byGUID}}},
		{"nested message", Topic{Name: "proto", Value: Part{Level: Payload}}, rec{value: framed(3, 4, 2, 0, 8, 7)}},
		{"json", Topic{Name: "json", Value: Part{Level: Payload}}, rec{value: framed(4, []byte(`{"n":1}`)...)}},
		{"key", Topic{Name: "orders", Key: Part{Level: ID}, Value: Part{Level: ID}}, rec{key: framed(2), value: framed(1)}},
		{"topic and record", Topic{Name: "orders", Value: Part{Level: ID, Strategy: TopicRecordName}}, rec{value: framed(2)}},
	}
	for _, tt := range tests {
		count := func(n int) float64 {
			recs := make([]rec, n)
			for i := range recs {
				recs[i] = tt.rec
			}
			rd := batch(t, recs...)
			return testing.AllocsPerRun(20, func() {
				rd.Rewind()
				if refused, err := f.Check(tt.topic, rd, Origin{}); err != nil || len(refused) > 0 {
					t.Fatalf("%s: %+v, %v", tt.name, refused, err)
				}
			})
		}
		if few, many := count(100), count(200); few != many || few > 4 {
			t.Errorf("%s: 100 records cost %v allocations, 200 cost %v", tt.name, few, many)
		}
	}
}
