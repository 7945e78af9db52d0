package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// picky refuses values that begin with "bad".
func picky(c *broker.Config) {
	c.Validate = func(_ context.Context, _ *topic.Topic, rd *record.Reader, _ api.Origin) ([]api.RecordError, error) {
		var bad []api.RecordError
		for i := int32(0); rd.Next(); i++ {
			if strings.HasPrefix(string(rd.Record().Value), "bad") {
				bad = append(bad, api.RecordError{Index: i, Message: "bad", Why: []record.RecordHeader{{Key: "why", Value: []byte("it is bad")}}})
			}
		}
		return bad, nil
	}
}

// contents reads a log as "offset:value{header=value ...}" by record.
func contents(t *testing.T, r *raw, tp *topic.Topic) string {
	t.Helper()
	var out []string
	b := r.fetch(tp, 0).RecordBatches
	for len(b) > 0 {
		h, err := record.ParseHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		rd := &record.Reader{}
		if err := rd.Reset(b[:h.Size()], 1<<20); err != nil {
			t.Fatal(err)
		}
		for rd.Next() {
			rec := rd.Record()
			line := fmt.Sprintf("%d:%s", h.BaseOffset+int64(rec.OffsetDelta), rec.Value)
			for _, key := range []string{"mine", "why", "tarn.invalid.topic", "tarn.invalid.partition", "tarn.invalid.client"} {
				if v, ok := rec.HeaderLast(key); ok {
					line += fmt.Sprintf(" %s=%s", strings.TrimPrefix(key, "tarn.invalid."), v)
				}
			}
			out = append(out, line)
		}
		if rd.Err() != nil {
			t.Fatal(rd.Err())
		}
		b = b[h.Size():]
	}
	return strings.Join(out, "; ")
}

// TestInvalidSetAside sends batches with bad records to topics that keep them:
// in the dead-letter topic, with offsets and sequences as the producer counts
// them, or marked.
func TestInvalidSetAside(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(picky))
	r := dial(t, b)
	dlq := create(t, b, "typed", 1, map[string]string{"tarn.schema.on.invalid": "dlq"})
	mark := create(t, b, "marked", 1, map[string]string{"tarn.schema.on.invalid": "mark", "compression.type": "gzip"})
	for _, codec := range []record.Codec{record.None, record.Zstd} {
		for _, tp := range []*topic.Topic{dlq, mark} {
			if p := r.produce(tp, batch(t, record.Options{Codec: codec}, "a", "bad b", "c", "bad d")); p.ErrorCode != 0 {
				t.Fatalf("%s: code %v", tp.Name, wire.Code(p.ErrorCode))
			}
		}
	}
	letters := b.Topics().View().ByName("typed.dlq")
	if letters == nil {
		t.Fatal("no dead-letter topic")
	}
	from := " why=it is bad topic=typed partition=0 client=raw"
	for tp, want := range map[*topic.Topic]string{
		dlq:     "0:a; 2:c; 4:a; 6:c",
		letters: "0:bad b" + from + "; 1:bad d" + from + "; 2:bad b" + from + "; 3:bad d" + from,
		mark: "0:a; 1:bad b why=it is bad; 2:c; 3:bad d why=it is bad; " +
			"4:a; 5:bad b why=it is bad; 6:c; 7:bad d why=it is bad",
	} {
		if got := contents(t, r, tp); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", tp.Name, got, want)
		}
	}
	// Nothing good in a batch: its place stays empty, and the next one follows.
	if p := r.produce(dlq, batch(t, record.Options{}, "bad x")); p.ErrorCode != 0 || p.BaseOffset != 8 {
		t.Errorf("all bad: code %v, base %d", wire.Code(p.ErrorCode), p.BaseOffset)
	}
	if got := r.mustProduce(dlq, "z"); got != 9 {
		t.Errorf("the next record has offset %d, want 9", got)
	}
}

// TestInvalidRetry repeats an idempotent batch whose bad records went to the
// dead-letter topic: neither is kept twice, and the next sequence is the one
// that the producer has counted.
func TestInvalidRetry(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(picky))
	r := dial(t, b)
	tp := create(t, b, "typed", 1, map[string]string{"tarn.schema.on.invalid": "dlq", "tarn.schema.dlq.topic": "elsewhere"})
	init := do[*kmsg.InitProducerIDResponse](r, 4, kmsg.NewPtrInitProducerIDRequest())
	at := func(seq int32) []byte {
		return batch(t, record.Options{Producer: &record.Producer{ID: init.ProducerID, Epoch: init.ProducerEpoch, BaseSequence: seq}}, "a", "bad b", "bad c")
	}
	for i, c := range []struct {
		seq  int32
		base int64
		code wire.Code
	}{{0, 0, wire.None}, {0, 0, wire.None}, {3, 3, wire.None}, {0, 0, wire.None}, {4, -1, wire.OutOfOrderSequenceNumber}} {
		if p := r.produce(tp, at(c.seq)); wire.Code(p.ErrorCode) != c.code || p.BaseOffset != c.base {
			t.Errorf("step %d: code %v, base %d, want %v, %d", i, wire.Code(p.ErrorCode), p.BaseOffset, c.code, c.base)
		}
	}
	letters := b.Topics().View().ByName("elsewhere")
	if letters == nil {
		t.Fatal("no dead-letter topic")
	}
	if got := strings.Count(contents(t, r, letters), ";") + 1; got != 4 {
		t.Errorf("%d dead letters, want 4: %s", got, contents(t, r, letters))
	}
}

// TestInvalidRefused lists what is refused although the topic keeps bad records.
func TestInvalidRefused(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(picky))
	r := dial(t, b)
	self := create(t, b, "self", 1, map[string]string{"tarn.schema.on.invalid": "dlq", "tarn.schema.dlq.topic": "self"})
	if p := r.produce(self, batch(t, record.Options{}, "bad")); wire.Code(p.ErrorCode) != wire.InvalidConfig {
		t.Errorf("its own dead letters: %v", wire.Code(p.ErrorCode))
	}
	create(t, b, "tiny.dlq", 1, map[string]string{"max.message.bytes": "100"})
	tiny := create(t, b, "tiny", 1, map[string]string{"tarn.schema.on.invalid": "dlq"})
	if p := r.produce(tiny, batch(t, record.Options{}, "bad")); wire.Code(p.ErrorCode) != wire.MessageTooLarge {
		t.Errorf("dead letters too large: %v", wire.Code(p.ErrorCode))
	}
	many := make([]string, api.MaxSetAside)
	for i := range many {
		many[i] = "bad"
	}
	mark := create(t, b, "marked", 1, map[string]string{"tarn.schema.on.invalid": "mark"})
	if p := r.produce(mark, batch(t, record.Options{}, many...)); wire.Code(p.ErrorCode) != wire.InvalidRecord {
		t.Errorf("too many bad records: %v", wire.Code(p.ErrorCode))
	}
}
