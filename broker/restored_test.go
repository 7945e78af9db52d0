package broker_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// TestRestoredProducerIDs: a store that was restored from a backup gives no producer
// id that was given away after it. Two live producers of one id would be taken for
// one, and a batch of the second for one that came twice.
func TestRestoredProducerIDs(t *testing.T) {
	e := memory.New()
	ids := func() (first, second int64) {
		t.Helper()
		b := brokertest.New(t, brokertest.WithEngine(e))
		defer b.Stop()
		c := client(t, b, kgo.DisableIdempotentWrite())
		defer c.Close()
		var out [2]int64
		for i := range out {
			resp, err := kmsg.NewPtrInitProducerIDRequest().RequestWith(t.Context(), c)
			if err != nil || resp.ErrorCode != 0 {
				t.Fatalf("InitProducerId: %+v, %v", resp, err)
			}
			out[i] = resp.ProducerID
		}
		if out[1] != out[0]+1 {
			t.Errorf("ids %v, want them to follow each other", out)
		}
		return out[0], out[1]
	}
	if first, _ := ids(); first != 0 {
		t.Errorf("a new store begins with id %d, want 0", first)
	}
	backup, err := e.Get(t.Context(), "producer-ids")
	if err != nil || backup.Version == 0 {
		t.Fatalf("next producer id: %+v, %v", backup, err)
	}
	seen := map[int64]bool{}
	for range 3 {
		first, second := ids()
		if seen[first] || seen[second] {
			t.Fatalf("ids %d and %d were given away after the backup: %v", first, second, seen)
		}
		seen[first], seen[second] = true, true
		// As tarn restore does: the state of then, without the log's identity.
		if err := e.Commit(t.Context(), storage.Write{Set: []storage.Item{
			{Key: "producer-ids", Value: backup.Value, Version: storage.Any},
			{Key: "incarnation", Delete: true, Version: storage.Any},
		}}); err != nil {
			t.Fatal(err)
		}
	}
}
