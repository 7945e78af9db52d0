package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestFetchRefusals looks at partitions that cannot be read: error, no records,
// watermarks -1, and no waiting.
func TestFetchRefusals(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	r.mustProduce(tp, "a", "b", "c")
	if _, err := b.Logs().Trim(t.Context(), tpOf(tp, 0), 1); err != nil {
		t.Fatal(err)
	}
	zstd := create(t, b, "zstd", 1, nil)
	r.produce(zstd, batch(t, record.Options{Codec: record.Zstd}, strings.Repeat("z", 100)))
	cases := []struct {
		name    string
		topic   *topic.Topic
		version int16
		change  func(*kmsg.FetchRequestTopicPartition)
		code    wire.Code
	}{
		{"below the start", tp, 18, func(p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = 0 }, wire.OffsetOutOfRange},
		{"above the end", tp, 18, func(p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = 4 }, wire.OffsetOutOfRange},
		{"negative", tp, 18, func(p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = -1 }, wire.OffsetOutOfRange},
		{"epoch to come", tp, 18, func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 1 }, wire.UnknownLeaderEpoch},
		{"last epoch to come", tp, 18, func(p *kmsg.FetchRequestTopicPartition) { p.FetchOffset, p.LastFetchedEpoch = 1, 1 }, wire.OffsetOutOfRange},
		{"no such partition", tp, 18, func(p *kmsg.FetchRequestTopicPartition) { p.Partition = 7 }, wire.UnknownTopicOrPartition},
		{"no such topic", &topic.Topic{Name: "nope"}, 12, nil, wire.UnknownTopicOrPartition},
		{"no such id", &topic.Topic{Name: "t"}, 13, nil, wire.UnknownTopicID},
		{"zstd for an old client", zstd, 9, nil, wire.UnsupportedCompressionType},
		{"zstd for a very old client", zstd, 3, nil, wire.UnsupportedCompressionType},
	}
	for _, c := range cases {
		req := fetchFrom(c.topic, 0, 0)
		req.MaxWaitMillis, req.MinBytes = 60_000, 1<<20
		if c.change != nil {
			c.change(&req.Topics[0].Partitions[0])
		}
		begun := time.Now()
		p := do[*kmsg.FetchResponse](r, c.version, req).Topics[0].Partitions[0]
		if wire.Code(p.ErrorCode) != c.code || p.HighWatermark != -1 || len(p.RecordBatches) > 0 || p.RecordBatches == nil ||
			c.version >= 4 && p.LastStableOffset != -1 || c.version >= 5 && p.LogStartOffset != -1 {
			t.Errorf("%s: %+v, want code %v and -1", c.name, p, c.code)
		}
		if d := time.Since(begun); d > 10*time.Second {
			t.Errorf("%s: waited %v", c.name, d)
		}
	}
	// A session that was never given is unknown (KIP-227).
	req := fetchFrom(tp, 0, 1)
	req.SessionID, req.SessionEpoch = 5, 1
	if resp := do[*kmsg.FetchResponse](r, 12, req); wire.Code(resp.ErrorCode) != wire.FetchSessionIDNotFound {
		t.Errorf("session: %v", wire.Code(resp.ErrorCode))
	}
	req.SessionID, req.SessionEpoch = 0, -1
	if resp := do[*kmsg.FetchResponse](r, 12, req); resp.ErrorCode != 0 || resp.SessionID != 0 {
		t.Errorf("no session: %+v", resp)
	}
}

// TestFetchDiverges is the client of a log that was cut off, as by the restoring
// of a backup: who says which epoch its last record has is told where that epoch
// ends now, at once, and in a session each time (KIP-320, KIP-595).
func TestFetchDiverges(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	r.mustProduce(tp, "a", "b", "c")
	req := fetchFrom(tp, 0, 7)
	req.MaxWaitMillis, req.MinBytes, req.SessionEpoch = 60_000, 1<<20, 0
	req.Topics[0].Partitions[0].LastFetchedEpoch = 0
	for epoch := range int32(3) {
		begun := time.Now()
		resp := do[*kmsg.FetchResponse](r, 12, req)
		if len(resp.Topics) != 1 {
			t.Fatalf("epoch %d: the partition is not told: %+v", epoch, resp)
		}
		p := resp.Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.DivergingEpoch.Epoch != 0 || p.DivergingEpoch.EndOffset != 3 || p.HighWatermark != 3 || len(p.RecordBatches) > 0 {
			t.Errorf("epoch %d: %+v", epoch, p)
		}
		if d := time.Since(begun); d > 30*time.Second {
			t.Errorf("epoch %d: waited %v", epoch, d)
		}
		req.SessionID, req.SessionEpoch, req.Topics = resp.SessionID, epoch+1, nil
	}
	// Whoever stands within the epoch reads on.
	req = fetchFrom(tp, 0, 1)
	req.Topics[0].Partitions[0].LastFetchedEpoch = 0
	if p := do[*kmsg.FetchResponse](r, 12, req).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.DivergingEpoch.EndOffset != -1 || len(p.RecordBatches) == 0 {
		t.Errorf("within the epoch: %+v", p)
	}
}

// TestFetchLimits counts the batches that limits let through (KIP-74). All
// batches have the same size.
func TestFetchLimits(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	tp := create(t, b, "t", 2, nil)
	one := batch(t, record.Options{}, "a")
	for p := range int32(2) {
		for range 4 {
			do[*kmsg.ProduceResponse](r, 13, produceTo(tp, p, slices.Clone(one)))
		}
	}
	size := int32(len(one))
	for _, c := range []struct {
		name           string
		version        int16
		max, partition int32
		offset         int64
		want           [2]int
	}{
		{"all", 18, 1 << 20, 1 << 20, 0, [2]int{4, 4}},
		{"from inside", 18, 1 << 20, 1 << 20, 3, [2]int{1, 1}},
		{"partition limit", 18, 1 << 20, 2 * size, 0, [2]int{2, 2}},
		{"partition limit cuts", 18, 1 << 20, 2*size - 1, 0, [2]int{1, 1}},
		{"partition limit below one batch", 18, 1 << 20, 1, 0, [2]int{1, 0}},
		{"zero limits", 18, 0, 0, 0, [2]int{1, 0}},
		{"negative limits", 18, -1, -1, 0, [2]int{1, 0}},
		{"request limit", 18, 5 * size, 1 << 20, 0, [2]int{4, 1}},
		{"request limit cuts", 18, 5*size - 1, 1 << 20, 0, [2]int{4, 0}},
		{"request limit below one batch", 18, 1, 1 << 20, 0, [2]int{1, 0}},
		{"no request limit before version 3", 2, 1, 1 << 20, 0, [2]int{4, 4}},
		{"at the end", 18, 1 << 20, 1 << 20, 4, [2]int{0, 0}},
	} {
		req := fetchFrom(tp, 0, c.offset)
		req.MaxBytes, req.MaxWaitMillis = c.max, 0
		req.Topics[0].Partitions[0].PartitionMaxBytes = c.partition
		second := req.Topics[0].Partitions[0]
		second.Partition = 1
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, second)
		resp := do[*kmsg.FetchResponse](r, c.version, req)
		for i, p := range resp.Topics[0].Partitions {
			n := 0
			if c.version < 4 {
				for range record.Messages(p.RecordBatches, 1<<20) {
					n++
				}
			} else {
				n = len(values(t, p.RecordBatches, 0))
			}
			if n != c.want[i] || p.ErrorCode != 0 || p.HighWatermark != 4 || p.RecordBatches == nil {
				t.Errorf("%s: partition %d: %d batches, code %d, hw %d, want %d", c.name, i, n, p.ErrorCode, p.HighWatermark, c.want[i])
			}
		}
	}
}

// TestFetchWholeBatch asks for an offset inside a batch and gets the batch, also
// where the log starts inside it.
func TestFetchWholeBatch(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	r.mustProduce(tp, "a", "b", "c")
	r.mustProduce(tp, "d")
	if _, err := b.Logs().Trim(t.Context(), tpOf(tp, 0), 2); err != nil {
		t.Fatal(err)
	}
	p := r.fetch(tp, 2)
	if got := values(t, p.RecordBatches, 0); p.LogStartOffset != 2 || !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("start %d, records %v", p.LogStartOffset, got)
	}
	if p.AbortedTransactions != nil || p.PreferredReadReplica != -1 {
		t.Errorf("read uncommitted: aborted %v, preferred replica %d", p.AbortedTransactions, p.PreferredReadReplica)
	}
	req := fetchFrom(tp, 0, 2)
	req.IsolationLevel = 1
	p = do[*kmsg.FetchResponse](r, 18, req).Topics[0].Partitions[0]
	if p.AbortedTransactions == nil || len(p.AbortedTransactions) > 0 || p.LastStableOffset != 4 {
		t.Errorf("read committed: aborted %v, last stable offset %d", p.AbortedTransactions, p.LastStableOffset)
	}
}

// TestFetchWaits parks until enough has come, over all partitions, and not for
// ever.
func TestFetchWaits(t *testing.T) {
	b := brokertest.New(t)
	r, w := dial(t, b), dial(t, b)
	tp := create(t, b, "t", 2, nil)
	one := batch(t, record.Options{}, "a")
	req := fetchFrom(tp, 0, 0)
	second := req.Topics[0].Partitions[0]
	second.Partition = 1
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, second)
	req.MinBytes, req.MaxWaitMillis = int32(3*len(one)), 60_000
	req.SetVersion(18)
	r.send(req)
	for i := range int32(3) {
		do[*kmsg.ProduceResponse](w, 13, produceTo(tp, i%2, slices.Clone(one)))
	}
	ps := r.recv(req, r.next).(*kmsg.FetchResponse).Topics[0].Partitions
	if n := len(ps[0].RecordBatches) + len(ps[1].RecordBatches); n != 3*len(one) {
		t.Errorf("answered with %d bytes, asked for %d", n, 3*len(one))
	}
	// The time is over: what there is.
	req.MinBytes, req.MaxWaitMillis = 1<<20, 1
	if resp := do[*kmsg.FetchResponse](r, 18, req); len(resp.Topics[0].Partitions[0].RecordBatches) != 2*len(one) {
		t.Errorf("after max wait: %+v", resp)
	}
	// Nothing to wait for.
	req = kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes = 60_000, 1
	if resp := do[*kmsg.FetchResponse](r, 18, req); len(resp.Topics) != 0 {
		t.Errorf("no partitions: %+v", resp)
	}
}

// TestFetchOfDeletedTopic ends a parked Fetch when its topic goes (by id in new
// versions), and does not read from one that is made again under its name.
func TestFetchOfDeletedTopic(t *testing.T) {
	b := brokertest.New(t)
	adm := dial(t, b)
	for _, c := range []struct {
		version int16
		code    wire.Code
	}{{12, wire.UnknownTopicOrPartition}, {18, wire.UnknownTopicID}} {
		name := fmt.Sprintf("v%d", c.version)
		tp := create(t, b, name, 1, nil)
		r := dial(t, b)
		req := fetchFrom(tp, 0, 0)
		req.MaxWaitMillis = 60_000
		req.SetVersion(c.version)
		r.send(req)
		del := kmsg.NewPtrDeleteTopicsRequest()
		del.TopicNames = []string{name}
		if code := do[*kmsg.DeleteTopicsResponse](adm, 5, del).Topics[0].ErrorCode; code != 0 {
			t.Fatalf("delete: %v", wire.Code(code))
		}
		if got := r.recv(req, r.next).(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode; wire.Code(got) != c.code {
			t.Errorf("v%d: %v, want %v", c.version, wire.Code(got), c.code)
		}
		again := create(t, b, name, 1, nil)
		if r.mustProduce(again, "new") != 0 {
			t.Error("the new topic goes on with the old log")
		}
		if p := r.fetch(tp, 0); wire.Code(p.ErrorCode) != wire.UnknownTopicID {
			t.Errorf("the old id reads %+v", p)
		}
	}
}

// TestFetchOldFormats gives clients before 0.11 messages.
func TestFetchOldFormats(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	r.produce(tp, batch(t, record.Options{Codec: record.Gzip}, "a", "b"))
	r.produce(tp, batch(t, record.Options{Codec: record.LZ4}, "c"))
	for v := range int16(4) {
		p := do[*kmsg.FetchResponse](r, v, fetchFrom(tp, 0, 0)).Topics[0].Partitions[0]
		var got []string
		for m, err := range record.Messages(p.RecordBatches, 1<<20) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%d %d %s", m.Offset, m.Timestamp, m.Value))
		}
		want := []string{"0 1000 a", "1 1001 b", "2 1000 c"}
		if v < 2 {
			want = []string{"0 -1 a", "1 -1 b", "2 -1 c"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("v%d: %v, want %v", v, got, want)
		}
		if magic, err := record.Magic(p.RecordBatches); err != nil || (magic == 0) != (v < 2) {
			t.Errorf("v%d: magic %d, %v", v, magic, err)
		}
	}
}
