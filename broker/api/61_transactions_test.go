package api_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestHangingTransaction finds a transaction that keeps the last stable offset
// where it is, with the requests that kafka-transactions sends, and aborts it in
// its partition.
func TestHangingTransaction(t *testing.T) {
	b := brokertest.New(t)
	tp := create(t, b, "t", 2, nil)
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.TransactionalID("hanging"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for p := range int32(2) {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: p, Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	adm := kadm.NewClient(c)
	listed, err := adm.ListTransactions(t.Context(), nil, []string{"Ongoing"})
	if err != nil || len(listed) != 1 {
		t.Fatalf("listed %+v, %v", listed, err)
	}
	described, err := adm.DescribeTransactions(t.Context(), "hanging", "unknown")
	if err != nil {
		t.Fatal(err)
	}
	if d := described["hanging"]; d.Err != nil || d.State != "Ongoing" || d.StartTimestamp <= 0 || len(d.Topics["t"]) != 2 {
		t.Errorf("described %+v", d)
	}
	if d := described["unknown"]; d.Err == nil || d.ProducerID != -1 {
		t.Errorf("unknown: %+v", d)
	}
	parts := kadm.TopicsSet{}
	parts.Add("t", 0, 1)
	producers, err := adm.DescribeProducers(t.Context(), parts)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := producers["t"].Partitions[0].ActiveProducers[described["hanging"].ProducerID]
	if !ok || p.CurrentTxnStartOffset != 0 || p.LastSequence != 0 || p.LastTimestamp <= 0 {
		t.Fatalf("producers: %+v", producers)
	}
	abort := kadm.TopicsSet{}
	abort.Add("t", 0)
	for range 2 { // a marker more does no harm
		wrote, err := adm.WriteTxnMarkers(t.Context(), kadm.TxnMarkers{
			ProducerID: p.ProducerID, ProducerEpoch: p.ProducerEpoch, CoordinatorEpoch: max(0, p.CoordinatorEpoch), Topics: abort,
		})
		if err != nil || wrote[p.ProducerID].Topics["t"].Partitions[0].Err != nil {
			t.Fatalf("wrote %+v, %v", wrote, err)
		}
	}
	for i, want := range []struct{ stable, end int64 }{{3, 3}, {0, 1}} {
		log, err := b.Logs().Log(t.Context(), tpOf(tp, int32(i)))
		if err != nil {
			t.Fatal(err)
		}
		if log.LastStable() != want.stable || log.End() != want.end {
			t.Errorf("partition %d is stable to %d of %d, want %d of %d", i, log.LastStable(), log.End(), want.stable, want.end)
		}
	}
	req := fetchFrom(tp, 0, 0)
	req.IsolationLevel = 1
	got := do[*kmsg.FetchResponse](dial(t, b), 18, req).Topics[0].Partitions[0]
	if len(got.AbortedTransactions) != 1 || got.AbortedTransactions[0].ProducerID != p.ProducerID {
		t.Errorf("aborted: %+v", got.AbortedTransactions)
	}
	// Its own end goes on with the rest.
	if err := c.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if log, err := b.Logs().Log(t.Context(), tpOf(tp, 1)); err != nil || log.LastStable() != 2 {
		t.Errorf("partition 1 is stable to %d, %v", log.LastStable(), err)
	}
}

// TestMarkerRefusals: what is no transaction of this broker is not ended.
func TestMarkerRefusals(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	create(t, b, "t", 1, nil)
	ask := func(topic string, partition int32, id int64, epoch int16) wire.Code {
		req := kmsg.NewPtrWriteTxnMarkersRequest()
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch = id, epoch
		mt := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
		mt.Topic, mt.Partitions = topic, []int32{partition}
		m.Topics = append(m.Topics, mt)
		req.Markers = append(req.Markers, m)
		return wire.Code(do[*kmsg.WriteTxnMarkersResponse](r, 2, req).Markers[0].Topics[0].Partitions[0].ErrorCode)
	}
	for _, c := range []struct {
		topic     string
		partition int32
		id        int64
		epoch     int16
		want      wire.Code
	}{
		{"nope", 0, 1, 0, wire.UnknownTopicOrPartition},
		{"t", 1, 1, 0, wire.UnknownTopicOrPartition},
		{"t", 0, -1, 0, wire.InvalidRequest},
		{"t", 0, 1, -1, wire.InvalidRequest},
		{"t", 0, 1, 5, wire.None},
		{"t", 0, 1, 4, wire.InvalidProducerEpoch},
	} {
		if got := ask(c.topic, c.partition, c.id, c.epoch); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	req := kmsg.NewPtrDescribeProducersRequest()
	rt := kmsg.NewDescribeProducersRequestTopic()
	rt.Topic, rt.Partitions = "t", []int32{0, 1}
	req.Topics = append(req.Topics, rt)
	ps := do[*kmsg.DescribeProducersResponse](r, 0, req).Topics[0].Partitions
	if wire.Code(ps[1].ErrorCode) != wire.UnknownTopicOrPartition {
		t.Errorf("no such partition: %+v", ps[1])
	}
	if a := ps[0].ActiveProducers; len(a) != 1 || a[0].ProducerEpoch != 5 || a[0].LastSequence != -1 || a[0].CurrentTxnStartOffset != -1 {
		t.Errorf("a producer of markers only: %+v", a)
	}
}
