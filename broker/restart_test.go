package broker_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/sqlite"
	"github.com/tarn-io/tarn/broker/topic"
)

// openSQLite opens the engine of users; the test closes it.
func openSQLite(t testing.TB, path string) storage.Engine {
	t.Helper()
	e, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestRestart stops a broker on SQLite and starts another one on its file:
// everything is there, and goes on where it was.
func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	e := openSQLite(t, path)
	b := brokertest.New(t, brokertest.WithEngine(e))
	c := client(t, b, kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	adm := kadm.NewClient(c)
	minute := "60000"
	createTopic(t, c, "kept", 2, map[string]*string{"segment.ms": &minute})
	createTopic(t, c, "gone", 1, nil)
	var want []string
	for i := range 100 {
		v := fmt.Sprintf("value %d", i)
		want = append(want, v)
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "kept", Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	kept := b.Topics().View().ByName("kept")
	idempotent := idempotentBatch(t, 0)
	first := produceRaw(t, b, kept, idempotent)
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: "kept", Partition: 1, At: 7, LeaderEpoch: -1, Metadata: "note"})
	if err := adm.CommitAllOffsets(t.Context(), "readers", offsets); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.DeleteTopics(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	id, incarnation := b.ClusterID(), b.Incarnation()
	c.Close()
	b.Stop()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}

	e = openSQLite(t, path)
	b = brokertest.New(t, brokertest.WithEngine(e))
	t.Cleanup(func() { // after the broker has stopped: cleanups run last first
		b.Stop()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if b.ClusterID() != id || b.Incarnation() != incarnation {
		t.Errorf("cluster %s incarnation %s, were %s and %s", b.ClusterID(), b.Incarnation(), id, incarnation)
	}
	again := b.Topics().View().ByName("kept")
	if again == nil || again.ID != kept.ID || again.Overrides["segment.ms"] != minute || b.Topics().View().ByName("gone") != nil {
		t.Fatalf("topics are %v", b.Topics().View().All())
	}
	c = client(t, b, kgo.ConsumeTopics("kept"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var got []string
	for _, r := range consume(t, c, 101) {
		if r.Partition == 0 && string(r.Value) == "idempotent" {
			continue
		}
		got = append(got, string(r.Value))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %d records, want %d", len(got), len(want))
	}
	if p := produceRaw(t, b, again, idempotent); p.ErrorCode != 0 || p.BaseOffset != first.BaseOffset {
		t.Errorf("repeated batch: %+v, want offset %d", p, first.BaseOffset)
	}
	if p := produceRaw(t, b, again, idempotentBatch(t, 1)); p.ErrorCode != 0 || p.BaseOffset <= first.BaseOffset {
		t.Errorf("next batch: %+v", p)
	}
	if p := produceRaw(t, b, again, idempotentBatch(t, 9)); p.ErrorCode != 45 {
		t.Errorf("batch after a gap: %+v", p)
	}
	committed, err := kadm.NewClient(c).FetchOffsets(t.Context(), "readers")
	if o, ok := committed.Lookup("kept", 1); err != nil || !ok || o.At != 7 || o.Metadata != "note" {
		t.Errorf("committed %+v, %v", o, err)
	}
}

func idempotentBatch(t *testing.T, seq int32) []byte {
	t.Helper()
	rb := record.NewBuilder(record.Options{Producer: &record.Producer{ID: 500_000, BaseSequence: seq}})
	rb.Append(1000, nil, []byte("idempotent"))
	raw, err := rb.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// produceRaw sends one batch to partition 0 and returns the answer.
func produceRaw(t *testing.T, b *brokertest.Broker, tp *topic.Topic, batch []byte) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	req := produceRequest(t, tp, "")
	req.Topics[0].Partitions[0].Records = batch
	c := socket(t, b)
	sendTo(t, c, frame(1, req))
	_, body := receiveFrom(t, c)
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	if err := resp.ReadFrom(body[1:]); err != nil {
		t.Fatal(err)
	}
	return resp.Topics[0].Partitions[0]
}
