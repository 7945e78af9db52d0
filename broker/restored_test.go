package broker_test

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
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

// TestRestoredTransactionalID: who had a transactional id when the backup was made,
// or after it, has it no more on the restored store; a restart keeps it.
func TestRestoredTransactionalID(t *testing.T) {
	e := memory.New()
	take := func(id int64, epoch int16) (int64, int16, error) {
		t.Helper()
		b := brokertest.New(t, brokertest.WithEngine(e))
		defer b.Stop()
		c := client(t, b, kgo.DisableIdempotentWrite())
		defer c.Close()
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = kmsg.StringPtr("payments"), 60_000
		req.ProducerID, req.ProducerEpoch = id, epoch
		resp, err := req.RequestWith(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return resp.ProducerID, resp.ProducerEpoch, kerr.ErrorForCode(resp.ErrorCode)
	}
	first, epoch, err := take(-1, -1)
	if err != nil {
		t.Fatal(err)
	}
	if again, next, err := take(first, epoch); again != first || next != epoch+1 || err != nil {
		t.Fatalf("after a restart: id %d epoch %d, %v; want %d and %d", again, next, err, first, epoch+1)
	}
	if err := e.Commit(t.Context(), storage.Write{Set: []storage.Item{{Key: "incarnation", Delete: true, Version: storage.Any}}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := take(first, epoch+1); !errors.Is(err, kerr.ProducerFenced) {
		t.Errorf("on the restored store, who had it goes on: %v, want PRODUCER_FENCED", err)
	}
	if id, _, err := take(-1, -1); id <= first || err != nil {
		t.Errorf("a new producer has id %d, %v; want one above %d", id, err, first)
	}
}
