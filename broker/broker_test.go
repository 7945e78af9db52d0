package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
)

func client(t *testing.T, b *brokertest.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Address())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func createTopic(t *testing.T, c *kgo.Client, name string, partitions int32, configs map[string]*string) {
	t.Helper()
	if _, err := kadm.NewClient(c).CreateTopic(t.Context(), partitions, -1, configs, name); err != nil {
		t.Fatal(err)
	}
}

// consume reads n records of a client that is set up to consume.
func consume(t *testing.T, c *kgo.Client, n int) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out []*kgo.Record
	for len(out) < n {
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(out), n, err)
		}
		out = append(out, f.Records()...)
	}
	return out
}

func TestProduceAndConsume(t *testing.T) {
	b := brokertest.New(t)
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		p := client(t, b, kgo.ProducerBatchCompression(codec))
		createTopic(t, p, name, 3, nil)
		want := map[string]bool{}
		for i := range 300 {
			v := fmt.Sprintf("value %d", i)
			want[v] = true
			p.Produce(t.Context(), &kgo.Record{Topic: name, Key: fmt.Append(nil, i), Value: []byte(v)}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, opts := range [][]kgo.Opt{
			{kgo.ConsumeTopics(name)},
			{kgo.ConsumeTopics(name), kgo.ConsumerGroup("g-" + name)},
		} {
			left := map[string]bool{}
			for v := range want {
				left[v] = true
			}
			for _, r := range consume(t, client(t, b, append(opts, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...), 300) {
				if !left[string(r.Value)] {
					t.Fatalf("%s: %q came twice or was never sent", name, r.Value)
				}
				delete(left, string(r.Value))
			}
		}
	}
}

// TestParkedFetch consumes before there is anything to read.
func TestParkedFetch(t *testing.T) {
	b := brokertest.New(t)
	p := client(t, b)
	createTopic(t, p, "tail", 1, nil)
	c := client(t, b, kgo.ConsumeTopics("tail"), kgo.FetchMaxWait(30*time.Second))
	for i := range 3 {
		begun := time.Now()
		if err := p.ProduceSync(t.Context(), &kgo.Record{Topic: "tail", Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		r := consume(t, c, 1)
		if string(r[0].Value) != fmt.Sprint(i) {
			t.Errorf("got %q, want %d", r[0].Value, i)
		}
		if d := time.Since(begun); d > 15*time.Second {
			t.Errorf("record %d took %v: the fetch slept through its append", i, d)
		}
	}
}

func TestRefusedRecords(t *testing.T) {
	refuseOdd := func(_ context.Context, _ *topic.Topic, rd *record.Reader, _ api.Origin) ([]api.RecordError, error) {
		var bad []api.RecordError
		for i := int32(0); rd.Next(); i++ {
			if string(rd.Record().Value) == "bad" {
				bad = append(bad, api.RecordError{Index: i, Message: "$.a: expected double, found string"})
			}
		}
		return bad, rd.Err()
	}
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) { c.Validate = refuseOdd }))
	c := client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	createTopic(t, c, "typed", 1, nil)
	err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "typed", Value: []byte("good")}, &kgo.Record{Topic: "typed", Value: []byte("bad")}).FirstErr()
	if !errors.Is(err, kerr.InvalidRecord) {
		t.Fatalf("got %v, want INVALID_RECORD", err)
	}
	// Nothing of that batch is kept, and the producer goes on.
	r, err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "typed", Value: []byte("good")}).First()
	if err != nil || r.Offset != 0 {
		t.Errorf("after a refusal: offset %d, %v; want 0", r.Offset, err)
	}
}

func TestTopicsAndConfigs(t *testing.T) {
	b := brokertest.New(t)
	c := client(t, b)
	adm := kadm.NewClient(c)
	one, bad := "1000", "x"
	createTopic(t, c, "made", 2, map[string]*string{"retention.ms": &one})
	if _, err := adm.CreateTopic(t.Context(), 1, 1, map[string]*string{"retenton.ms": &one}, "typo"); !errors.Is(err, kerr.InvalidConfig) {
		t.Errorf("unknown config: got %v", err)
	}
	if _, err := adm.CreateTopic(t.Context(), 1, 3, map[string]*string{"retention.ms": &bad}, "typo"); !errors.Is(err, kerr.InvalidConfig) {
		t.Errorf("bad value: got %v", err)
	}
	if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, "made"); !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Errorf("made again: got %v", err)
	}
	if _, err := adm.CreatePartitions(t.Context(), 3, "made"); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: kadm.StringPtr("compact")}}, "made"); err != nil {
		t.Fatal(err)
	}
	rc, err := adm.DescribeTopicConfigs(t.Context(), "made")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range rc[0].Configs {
		got[e.Key] = e.MaybeValue()
	}
	if got["retention.ms"] != "1000" || got["cleanup.policy"] != "compact" || got["max.message.bytes"] != "1048588" {
		t.Errorf("configs: %v", got)
	}
	// A compacted topic takes no records without key.
	if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "made", Value: []byte("v")}).FirstErr(); !errors.Is(err, kerr.InvalidRecord) {
		t.Errorf("keyless record: got %v", err)
	}
	d, err := adm.ListTopics(t.Context())
	if err != nil || len(d["made"].Partitions) != 5 {
		t.Errorf("topic has %d partitions, %v; want 5", len(d["made"].Partitions), err)
	}
	if _, err := adm.DeleteTopics(t.Context(), "made"); err != nil {
		t.Fatal(err)
	}
	// A client of its own: kgo answers from its cache for a moment.
	d, err = kadm.NewClient(client(t, b)).ListTopics(t.Context())
	if err != nil || len(d) != 0 {
		t.Errorf("after deletion: %v, %v", d.Names(), err)
	}
}

func TestOffsetsAndDeleteRecords(t *testing.T) {
	b := brokertest.New(t)
	c := client(t, b)
	adm := kadm.NewClient(c)
	createTopic(t, c, "times", 1, nil)
	base := time.Now().Add(-time.Minute).Truncate(time.Second)
	for i := range 10 {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "times", Timestamp: base.Add(time.Duration(i) * time.Second)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	at, err := adm.ListOffsetsAfterMilli(t.Context(), base.Add(4*time.Second).UnixMilli(), "times")
	if o, _ := at.Lookup("times", 0); err != nil || o.Offset != 4 {
		t.Errorf("by time: %+v, %v; want 4", o, err)
	}
	end, err := adm.ListEndOffsets(t.Context(), "times")
	if o, _ := end.Lookup("times", 0); err != nil || o.Offset != 10 {
		t.Errorf("end: %+v, %v", o, err)
	}
	var del kadm.Offsets
	del.Add(kadm.Offset{Topic: "times", Partition: 0, At: 6})
	if _, err := adm.DeleteRecords(t.Context(), del); err != nil {
		t.Fatal(err)
	}
	first := consume(t, client(t, b, kgo.ConsumeTopics("times"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), 4)
	if first[0].Offset != 6 {
		t.Errorf("first record at %d, want 6", first[0].Offset)
	}
}
