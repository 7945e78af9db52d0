package api_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// edit changes bytes of a batch and writes its checksum anew.
func edit(b []byte, change func(b []byte)) []byte {
	b = slices.Clone(b)
	change(b)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// TestProduceRefusals sends what must not get into a log; nothing of it does.
func TestProduceRefusals(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	plain := create(t, b, "plain", 1, map[string]string{"max.message.bytes": "300", "segment.bytes": "250"})
	compacted := create(t, b, "compacted", 1, map[string]string{"cleanup.policy": "compact"})
	timely := create(t, b, "timely", 1, map[string]string{"message.timestamp.before.max.ms": "1000"})
	good := batch(t, record.Options{}, "a", "b")
	zstd := batch(t, record.Options{Codec: record.Zstd}, strings.Repeat("z", 100))
	keyless := record.NewBuilder(record.Options{})
	for i, key := range [][]byte{[]byte("k"), nil, []byte("k"), nil} {
		keyless.Append(int64(i), key, nil)
	}
	noKeys, err := keyless.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name    string
		topic   *topic.Topic
		records []byte
		version int16
		change  func(*kmsg.ProduceRequest)
		code    wire.Code
		bad     []int32
	}{
		{name: "null records", topic: plain, records: nil, code: wire.InvalidRecord},
		{name: "no records", topic: plain, records: []byte{}, code: wire.InvalidRecord},
		{name: "a message set in version 3", topic: plain, records: messageSet(t, 1, good), version: 3, code: wire.InvalidRecord},
		{name: "a batch in version 2", topic: plain, records: good, version: 2, code: wire.InvalidRecord},
		{name: "two batches", topic: plain, records: slices.Concat(good, good), code: wire.InvalidRecord},
		{name: "cut short", topic: plain, records: good[:len(good)-1], code: wire.CorruptMessage},
		{name: "wrong checksum", topic: plain, records: append(slices.Clone(good[:len(good)-1]), 'x'), code: wire.CorruptMessage},
		{name: "base offset", topic: plain, records: edit(good, func(b []byte) { b[7] = 1 }), code: wire.InvalidRecord},
		{name: "control bit", topic: plain, records: edit(good, func(b []byte) { b[22] |= 0x20 }), code: wire.InvalidRecord},
		{name: "LogAppendTime bit", topic: plain, records: edit(good, func(b []byte) { b[22] |= 8 }), code: wire.InvalidTimestamp},
		{name: "unknown codec", topic: plain, records: edit(good, func(b []byte) { b[22] |= 7 }), code: wire.UnsupportedCompressionType},
		{name: "one record less than counted", topic: plain, records: edit(good, func(b []byte) { b[26], b[60] = 2, 3 }), code: wire.InvalidRecord},
		{name: "one record more than counted", topic: plain, records: edit(good, func(b []byte) { b[26], b[60] = 0, 1 }), code: wire.InvalidRecord},
		{name: "producer id without sequence", topic: plain, records: edit(good, func(b []byte) { binary.BigEndian.PutUint64(b[43:], 7) }), code: wire.InvalidRecord},
		{name: "zstd before version 7", topic: plain, records: zstd, version: 6, code: wire.UnsupportedCompressionType},
		{name: "above max.message.bytes", topic: plain, records: batch(t, record.Options{}, strings.Repeat("m", 300)), code: wire.MessageTooLarge},
		{name: "above segment.bytes", topic: plain, records: batch(t, record.Options{}, strings.Repeat("m", 200)), code: wire.RecordListTooLarge},
		{name: "transactional without id", topic: plain, records: transactional(t), code: wire.TransactionalIDAuthorizationFailed},
		{name: "unknown transactional id", topic: plain, records: transactional(t), change: asTransaction, code: wire.InvalidProducerIDMapping},
		{name: "not in a transaction, version 11", topic: plain, records: transactional(t), version: 11, change: asTransaction, code: wire.TransactionAbortable},
		{name: "not in a transaction, version 10", topic: plain, records: transactional(t), version: 10, change: asTransaction, code: wire.InvalidTxnState},
		{name: "acks 2", topic: plain, records: good, change: func(q *kmsg.ProduceRequest) { q.Acks = 2 }, code: wire.InvalidRequiredAcks},
		{name: "unknown name", topic: &topic.Topic{Name: "nope"}, records: good, version: 12, code: wire.UnknownTopicOrPartition},
		{name: "unknown id", topic: &topic.Topic{ID: storage.TopicID{9}}, records: good, code: wire.UnknownTopicID},
		{name: "unknown partition", topic: plain, records: good, change: func(q *kmsg.ProduceRequest) { q.Topics[0].Partitions[0].Partition = 1 }, code: wire.UnknownTopicOrPartition},
		{name: "negative partition", topic: plain, records: good, change: func(q *kmsg.ProduceRequest) { q.Topics[0].Partitions[0].Partition = -1 }, code: wire.UnknownTopicOrPartition},
		{name: "no keys on a compacted topic", topic: compacted, records: noKeys, code: wire.InvalidRecord, bad: []int32{1, 3}},
		{name: "too old", topic: timely, records: good, code: wire.InvalidTimestamp, bad: []int32{0, 1}},
	}
	for _, c := range cases {
		req := produceTo(c.topic, 0, c.records)
		if c.change != nil {
			c.change(req)
		}
		version := int16(13)
		if c.version != 0 {
			version = c.version
		}
		p := do[*kmsg.ProduceResponse](r, version, req).Topics[0].Partitions[0]
		if wire.Code(p.ErrorCode) != c.code {
			t.Errorf("%s: code %v, want %v", c.name, wire.Code(p.ErrorCode), c.code)
		}
		if p.BaseOffset != -1 || version >= 2 && p.LogAppendTime != -1 || version >= 5 && p.LogStartOffset != -1 {
			t.Errorf("%s: offsets %d, %d, %d, want -1", c.name, p.BaseOffset, p.LogAppendTime, p.LogStartOffset)
		}
		var bad []int32
		for _, e := range p.ErrorRecords {
			if bad = append(bad, e.RelativeOffset); e.ErrorMessage == nil || *e.ErrorMessage == "" {
				t.Errorf("%s: record %d has no message", c.name, e.RelativeOffset)
			}
		}
		if !slices.Equal(bad, c.bad) {
			t.Errorf("%s: bad records %v, want %v", c.name, bad, c.bad)
		}
		if version >= 8 && (p.ErrorMessage == nil || *p.ErrorMessage == "") {
			t.Errorf("%s: no message", c.name)
		}
	}
	for _, tp := range []*topic.Topic{plain, compacted, timely} {
		if log, err := b.Logs().Log(t.Context(), tpOf(tp, 0)); err != nil || log.End() != 0 {
			t.Errorf("topic %s ends at %d, %v, want 0", tp.Name, log.End(), err)
		}
	}
}

func asTransaction(q *kmsg.ProduceRequest) { q.TransactionID = ptr("tx") }

func transactional(t *testing.T) []byte {
	t.Helper()
	return batch(t, record.Options{Transactional: true, Producer: &record.Producer{ID: 1}}, "a")
}

// TestProduceKeepsBytes takes every codec and gives back the bytes that came.
func TestProduceKeepsBytes(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	tp := create(t, b, "t", 1, map[string]string{"message.timestamp.after.max.ms": fmt.Sprint(int64(math.MaxInt64))})
	var sent []byte
	for codec := record.None; codec <= record.Zstd; codec++ {
		raw := batch(t, record.Options{Codec: codec}, "one", "two", strings.Repeat("x", 500))
		p := r.produce(tp, slices.Clone(raw))
		if p.ErrorCode != 0 || p.LogAppendTime != -1 || p.LogStartOffset != 0 {
			t.Fatalf("%s: %+v", codec, p)
		}
		record.SetBaseOffset(raw, p.BaseOffset)
		record.SetLeaderEpoch(raw, 0)
		sent = append(sent, raw...)
	}
	if got := r.fetch(tp, 0); !slices.Equal(got.RecordBatches, sent) {
		t.Errorf("got %d bytes, sent %d, and they differ", len(got.RecordBatches), len(sent))
	}
}

// TestProduceRebuilds lists the cases in which a batch is not kept as it came.
func TestProduceRebuilds(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.Now = func() time.Time { return time.UnixMilli(5_000) }
	}))
	r := dial(t, b)
	read := func(tp *topic.Topic) record.Header {
		t.Helper()
		got := r.fetch(tp, 0).RecordBatches
		if v := values(t, got, 0); !slices.Equal(v, []string{"a", "b"}) {
			t.Errorf("%s: records %v", tp.Name, v)
		}
		h, err := record.ParseHeader(got)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for _, c := range []struct {
		config     string
		sent, want record.Codec
	}{
		{"producer", record.Gzip, record.Gzip}, {"uncompressed", record.Gzip, record.None},
		{"zstd", record.None, record.Zstd}, {"zstd", record.LZ4, record.Zstd}, {"lz4", record.LZ4, record.LZ4},
	} {
		tp := create(t, b, fmt.Sprintf("%s-from-%s", c.config, c.sent), 1, map[string]string{"compression.type": c.config})
		r.produce(tp, batch(t, record.Options{Codec: c.sent}, "a", "b"))
		if got := read(tp).Codec(); got != c.want {
			t.Errorf("compression.type %s: %s became %s, want %s", c.config, c.sent, got, c.want)
		}
	}
	stamped := create(t, b, "stamped", 1, map[string]string{"message.timestamp.type": "LogAppendTime"})
	if p := r.produce(stamped, batch(t, record.Options{}, "a", "b")); p.LogAppendTime != 5_000 {
		t.Errorf("stamped %d, want 5000", p.LogAppendTime)
	}
	if h := read(stamped); !h.LogAppendTime() || h.MaxTimestamp != 5_000 {
		t.Errorf("stamped header %+v", h)
	}
	// A greatest timestamp that is not the records' own is put right.
	wrong := create(t, b, "wrong", 1, nil)
	r.produce(wrong, edit(batch(t, record.Options{}, "a", "b"), func(b []byte) { binary.BigEndian.PutUint64(b[35:], 1) }))
	if h := read(wrong); h.MaxTimestamp != 1001 {
		t.Errorf("greatest timestamp %d, want 1001", h.MaxTimestamp)
	}
	// What is too large after it was unpacked is refused, and not before.
	small := create(t, b, "small", 1, map[string]string{"compression.type": "uncompressed", "max.message.bytes": "200"})
	if p := r.produce(small, batch(t, record.Options{Codec: record.Gzip}, strings.Repeat("x", 1000))); wire.Code(p.ErrorCode) != wire.MessageTooLarge {
		t.Errorf("unpacked above the limit: %v", wire.Code(p.ErrorCode))
	}
}

// TestProduceOldFormats sends message sets; they are read back as batches.
func TestProduceOldFormats(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	for v := range int16(3) {
		set := messageSet(t, min(v, 1), batch(t, record.Options{}, fmt.Sprintf("v%d", v), "x"))
		p := do[*kmsg.ProduceResponse](r, v, produceTo(tp, 0, set)).Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.BaseOffset != int64(2*v) {
			t.Errorf("version %d: %+v", v, p)
		}
	}
	if got := values(t, r.fetch(tp, 0).RecordBatches, 0); !slices.Equal(got, []string{"v0", "x", "v1", "x", "v2", "x"}) {
		t.Errorf("read %v", got)
	}
}

// TestProduceAcks answers 1 and all when the batch is durable, 0 not at all; a
// refusal without answer closes the connection, after what came before it.
func TestProduceAcks(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	send := func(acks int16, records []byte) *kmsg.ProduceRequest {
		req := produceTo(tp, 0, records)
		req.Acks = acks
		req.SetVersion(9)
		r.send(req)
		return req
	}
	send(0, batch(t, record.Options{}, "silent"))
	for _, acks := range []int16{1, -1} {
		req := send(acks, batch(t, record.Options{}, "x"))
		if p := r.recv(req, r.next).(*kmsg.ProduceResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 {
			t.Errorf("acks %d: %+v", acks, p)
		}
	}
	req := send(1, batch(t, record.Options{}, "before"))
	send(0, []byte("not a batch"))
	if p := r.recv(req, r.next-1).(*kmsg.ProduceResponse).Topics[0].Partitions[0]; p.BaseOffset != 3 {
		t.Errorf("the answer before the refusal: %+v", p)
	}
	if !r.closed() {
		t.Error("a refused batch with acks=0 leaves the connection open")
	}
	r = dial(t, b)
	if got := values(t, r.fetch(tp, 0).RecordBatches, 0); !slices.Equal(got, []string{"silent", "x", "x", "before"}) {
		t.Errorf("log holds %v", got)
	}
}

// TestProduceIdempotence repeats batches: within a connection, and after the
// topic's rules have changed.
func TestProduceIdempotence(t *testing.T) {
	var strict atomic.Bool
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.Validate = func(context.Context, *topic.Topic, *record.Reader, api.Origin) ([]api.RecordError, error) {
			if strict.Load() {
				return []api.RecordError{{Index: 0, Message: "no"}}, nil
			}
			return nil, nil
		}
	}))
	r := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	at := func(seq int32) []byte {
		return batch(t, record.Options{Producer: &record.Producer{ID: 5, BaseSequence: seq}}, "a", "b")
	}
	for i, c := range []struct {
		seq    int32
		strict bool
		code   wire.Code
		base   int64
	}{
		{0, false, 0, 0}, {2, false, 0, 2}, {0, false, 0, 0}, {6, false, wire.OutOfOrderSequenceNumber, -1},
		{2, true, 0, 2}, {4, true, wire.InvalidRecord, -1}, {4, false, 0, 4},
	} {
		strict.Store(c.strict)
		if p := r.produce(tp, at(c.seq)); wire.Code(p.ErrorCode) != c.code || p.BaseOffset != c.base {
			t.Errorf("step %d, sequence %d: code %v base %d, want %v %d", i, c.seq, wire.Code(p.ErrorCode), p.BaseOffset, c.code, c.base)
		}
	}
}

// TestProduceValidation shows record errors, and that what could not be told is
// tried again.
func TestProduceValidation(t *testing.T) {
	var from atomic.Pointer[api.Origin]
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.Validate = func(_ context.Context, tp *topic.Topic, rd *record.Reader, o api.Origin) ([]api.RecordError, error) {
			from.Store(&o)
			if tp.Name == "unsure" {
				return nil, errors.New("registry: disk /secret/path")
			}
			var bad []api.RecordError
			for i := int32(0); rd.Next(); i++ {
				if strings.HasPrefix(string(rd.Record().Value), "bad") {
					bad = append(bad, api.RecordError{Index: i, Message: "$.a: want int"})
				}
			}
			return bad, nil
		}
	}))
	r := dial(t, b)
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.ClientSoftwareName, versions.ClientSoftwareVersion = "rawkafka", "1.2"
	do[*kmsg.ApiVersionsResponse](r, 3, versions)
	tp, unsure := create(t, b, "typed", 2, nil), create(t, b, "unsure", 1, nil)
	for v := int16(3); v <= 13; v++ {
		req := produceTo(tp, 0, batch(t, record.Options{}, "good", "bad 1", "good", "bad 2"))
		other := req.Topics[0].Partitions[0]
		other.Partition, other.Records = 1, batch(t, record.Options{}, "good")
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, other)
		ps := do[*kmsg.ProduceResponse](r, v, req).Topics[0].Partitions
		p := ps[0]
		if wire.Code(p.ErrorCode) != wire.InvalidRecord || ps[1].ErrorCode != 0 {
			t.Errorf("v%d: codes %v and %v", v, wire.Code(p.ErrorCode), ps[1].ErrorCode)
		}
		if v < 8 {
			continue
		}
		if len(p.ErrorRecords) != 2 || p.ErrorRecords[0].RelativeOffset != 1 || p.ErrorRecords[1].RelativeOffset != 3 ||
			*p.ErrorRecords[1].ErrorMessage != "$.a: want int" {
			t.Errorf("v%d: record errors %+v", v, p.ErrorRecords)
		}
		if want := `2 of 4 records refused by the schema of topic "typed"; the first, record 1: $.a: want int`; *p.ErrorMessage != want {
			t.Errorf("v%d: message %q, want %q", v, *p.ErrorMessage, want)
		}
	}
	if o := from.Load(); o.ClientID != "raw" || o.Software != "rawkafka" || o.SoftwareVersion != "1.2" || o.Remote == "" {
		t.Errorf("origin %+v", o)
	}
	p := r.produce(unsure, batch(t, record.Options{}, "x"))
	if !wire.Code(p.ErrorCode).Retriable() || strings.Contains(*p.ErrorMessage, "secret") {
		t.Errorf("unsure: code %v, message %q", wire.Code(p.ErrorCode), *p.ErrorMessage)
	}
}

// TestProduceStorage fails and delays commits.
func TestProduceStorage(t *testing.T) {
	f := faulty.New(memory.New())
	b := brokertest.New(t, brokertest.WithEngine(f))
	r := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	appends := func(w storage.Write) bool { return len(w.Append) > 0 }
	f.NextMatching(appends, faulty.Refuse(storage.ErrFull))
	p := r.produce(tp, batch(t, record.Options{}, "x"))
	if c := wire.Code(p.ErrorCode); c != wire.KafkaStorageError || !c.Retriable() {
		t.Errorf("full disk: %v", c)
	}
	// A client waits no longer than it said, and the batch goes its way.
	release := f.Hold()
	req := produceTo(tp, 0, batch(t, record.Options{}, "slow"))
	req.TimeoutMillis = 1
	p = do[*kmsg.ProduceResponse](r, 13, req).Topics[0].Partitions[0]
	if c := wire.Code(p.ErrorCode); c != wire.RequestTimedOut || !c.Retriable() {
		t.Errorf("slow disk: %v", c)
	}
	// So it does when the connection ends.
	r2 := dial(t, b)
	req = produceTo(tp, 0, batch(t, record.Options{}, "orphan"))
	req.SetVersion(13)
	r2.send(req)
	do[*kmsg.ApiVersionsResponse](r, 0, kmsg.NewPtrApiVersionsRequest())
	r2.conn.Close()
	release()
	for {
		got := values(t, r.fetch(tp, 0).RecordBatches, 0)
		if slices.Equal(got, []string{"slow", "orphan"}) {
			break
		}
		if len(got) > 1 {
			t.Fatalf("log holds %v", got)
		}
		r.fetch(tp, int64(len(got))) // waits for the other
	}
}
