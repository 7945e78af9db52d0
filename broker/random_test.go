package broker

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/storage/sqlite"
	"github.com/tarn-io/tarn/broker/topic"
)

var randomSeed = flag.Uint64("random.seed", 0, "run the random operations with this seed only")

const (
	randomSeeds      = 3
	randomSteps      = 120
	randomPartitions = 3
	randomProducers  = 3
)

// twoBrokers are asked the same, one on memory and one on SQLite, and a plain
// model beside them: transactions with group offsets, repeated and stale
// requests, deleted records, restarts. Both have to answer with the same bytes,
// and readers to see what the model says. broker/commitlog has its like for
// compaction and retention.
type twoBrokers struct {
	t    *testing.T
	rng  *rand.Rand
	path string
	seen map[string]int

	memory  storage.Engine
	lite    *sqlite.Engine
	brokers [2]*Broker
	stops   [2]func()
	conn    *api.Conn

	parts     [randomPartitions]modelPart
	producers [randomProducers]modelProducer
	offsets   [randomPartitions]int64 // committed by the group, -1: none
	next      int                     // names values
}

// modelPart is a log as it should be.
type modelPart struct {
	start   int64
	records []modelRecord // by offset
}

type modelRecord struct {
	value string // "" is a marker
	owner int    // its transaction's producer, -1 if it has none or the transaction has ended
	gone  bool   // aborted
}

// modelProducer is a transactional id.
type modelProducer struct {
	id      int64
	epoch   int16
	seq     [randomPartitions]int32
	open    [randomPartitions]bool
	offsets [randomPartitions]int64 // committed in the transaction, -1: none
	last    *kmsg.ProduceRequest    // of this epoch
	base    int64                   // its answer
}

func (p *modelProducer) isOpen() bool {
	return slices.Contains(p.open[:], true) || slices.ContainsFunc(p.offsets[:], func(o int64) bool { return o >= 0 })
}

func TestRandomOperations(t *testing.T) {
	seen := map[string]int{}
	if *randomSeed != 0 {
		runRandom(t, *randomSeed, seen)
		return
	}
	for seed := range uint64(randomSeeds) {
		if runRandom(t, seed+1, seen); t.Failed() {
			t.Fatalf("run again with -run TestRandomOperations -random.seed %d", seed+1)
		}
	}
	t.Log(seen)
	for _, kind := range []string{"init", "init aborts", "plain", "transactional", "repeated", "stale", "commit", "abort", "offsets", "delete records", "restart"} {
		if seen[kind] < randomSeeds {
			t.Errorf("%q was met %d times only", kind, seen[kind])
		}
	}
}

func runRandom(t *testing.T, seed uint64, seen map[string]int) {
	w := &twoBrokers{t: t, rng: rand.New(rand.NewPCG(seed, 5)), path: filepath.Join(t.TempDir(), "tarn.db"), seen: seen, memory: memory.New()}
	w.conn = &api.Conn{Listener: "PLAINTEXT", Remote: "127.0.0.1:1", Auth: auth.Known(auth.Anonymous()), Address: func() (string, int32) { return "127.0.0.1", 9092 }}
	w.start()
	defer func() { w.stop() }()
	for _, b := range w.brokers {
		if _, err := b.topics.Create(t.Context(), topic.Spec{Name: "t", Partitions: randomPartitions}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range w.offsets {
		w.offsets[i] = -1
	}
	for i := range w.producers {
		w.init(i)
	}
	for range randomSteps {
		w.step()
		if w.check(); t.Failed() {
			return
		}
	}
}

func (w *twoBrokers) start() {
	var err error
	if w.lite, err = sqlite.Open(w.t.Context(), sqlite.Config{Path: w.path, Synchronous: sqlite.Normal}); err != nil {
		w.t.Fatal(err)
	}
	for i, e := range []storage.Engine{w.memory, w.lite} {
		b, err := Open(w.t.Context(), Config{
			Engine: e, Listeners: []Listener{{Addr: "127.0.0.1:0"}}, GroupInitialDelay: -1,
			Now: func() time.Time { return time.UnixMilli(1_000_000) },
		})
		if err != nil {
			w.t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		w.brokers[i], w.stops[i] = b, func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Errorf("Run: %v", err)
			}
		}
	}
}

func (w *twoBrokers) stop() {
	for _, stop := range w.stops {
		stop()
	}
	if err := w.lite.Close(); err != nil {
		w.t.Error(err)
	}
}

// both sends a request to both brokers and returns what they answer alike.
func both[R kmsg.Response](w *twoBrokers, version int16, req kmsg.Request) R {
	w.t.Helper()
	req.SetVersion(version)
	var answers [2]kmsg.Response
	var raw [2][]byte
	for i, b := range w.brokers {
		r := &api.Request{Conn: w.conn, ClientID: "random", Body: req, Bytes: 100}
		reply, err := b.handlers.Handle(w.t.Context(), r)
		if err == nil {
			answers[i], err = reply(w.t.Context())
		}
		if err != nil {
			w.t.Fatalf("key %d: %v", req.Key(), err)
		}
		raw[i] = answers[i].AppendTo(nil)
		r.Release()
	}
	if !bytes.Equal(raw[0], raw[1]) {
		w.t.Errorf("key %d %+v:\nmemory answers %+v\nSQLite answers %+v", req.Key(), req, answers[0], answers[1])
	}
	return answers[0].(R)
}

// want fails unless a request was answered with a code.
func (w *twoBrokers) want(what string, got, code int16) {
	w.t.Helper()
	if w.seen[what]++; got != code {
		w.t.Errorf("%s: code %d, want %d", what, got, code)
	}
}

func (w *twoBrokers) step() {
	p, part := w.rng.IntN(randomProducers), w.rng.IntN(randomPartitions)
	switch w.rng.IntN(20) {
	case 0:
		w.init(p)
	case 1, 2, 3:
		w.produce(-1, part)
	case 4, 5, 6, 7, 8, 9:
		w.produce(p, part)
	case 10:
		w.repeat(p)
	case 11:
		w.stale(p, part)
	case 12, 13:
		w.commitOffset(p, part)
	case 14, 15, 16:
		w.end(p, true)
	case 17:
		w.end(p, false)
	case 18:
		w.deleteRecords(part)
	case 19:
		w.seen["restart"]++
		w.stop()
		w.start()
	}
}

func txnID(p int) *string {
	s := fmt.Sprintf("txn-%d", p)
	return &s
}

// init begins a producer anew, which aborts what it left open.
func (w *twoBrokers) init(p int) {
	m := &w.producers[p]
	if m.isOpen() {
		w.seen["init aborts"]++
		w.ended(p, false)
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = txnID(p), 60_000
	resp := both[*kmsg.InitProducerIDResponse](w, 5, req)
	w.want("init", resp.ErrorCode, 0)
	*m = modelProducer{id: resp.ProducerID, epoch: resp.ProducerEpoch, offsets: [randomPartitions]int64{-1, -1, -1}}
}

// ended writes the markers of a transaction into the model.
func (w *twoBrokers) ended(p int, commit bool) {
	m := &w.producers[p]
	for part := range w.parts {
		l := &w.parts[part]
		if m.offsets[part] >= 0 && commit {
			w.offsets[part] = m.offsets[part]
		}
		m.offsets[part] = -1
		if !m.open[part] {
			continue
		}
		for i := range l.records {
			if r := &l.records[i]; r.owner == p {
				r.owner, r.gone = -1, !commit
			}
		}
		l.records = append(l.records, modelRecord{owner: -1})
		m.open[part] = false
	}
}

// produceRequest is a batch of one to three records; of producer -1 it is plain.
func (w *twoBrokers) produceRequest(p, part int) (*kmsg.ProduceRequest, []modelRecord) {
	o, req := record.Options{}, kmsg.NewPtrProduceRequest()
	if req.Acks, req.TimeoutMillis = -1, 10_000; p >= 0 {
		m := &w.producers[p]
		o = record.Options{Transactional: true, Producer: &record.Producer{ID: m.id, Epoch: m.epoch, BaseSequence: m.seq[part]}}
		req.TransactionID = txnID(p)
	}
	b := record.NewBuilder(o)
	var records []modelRecord
	for range 1 + w.rng.IntN(3) {
		w.next++
		r := modelRecord{value: fmt.Sprint("v", w.next), owner: p}
		b.Append(1_000_000, nil, []byte(r.value))
		records = append(records, r)
	}
	raw, err := b.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = "t"
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = int32(part), raw
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req, records
}

func (w *twoBrokers) send(req *kmsg.ProduceRequest) kmsg.ProduceResponseTopicPartition {
	w.t.Helper()
	again := *req // a handler may write into the batch
	again.Topics = slices.Clone(req.Topics)
	return both[*kmsg.ProduceResponse](w, 12, &again).Topics[0].Partitions[0]
}

func (w *twoBrokers) produce(p, part int) {
	l := &w.parts[part]
	req, records := w.produceRequest(p, part)
	resp := w.send(req)
	if p < 0 {
		w.want("plain", resp.ErrorCode, 0)
	} else {
		w.want("transactional", resp.ErrorCode, 0)
		m := &w.producers[p]
		m.seq[part] += int32(len(records))
		m.open[part], m.last, m.base = true, req, resp.BaseOffset
	}
	if resp.BaseOffset != int64(len(l.records)) {
		w.t.Errorf("base offset %d, want %d", resp.BaseOffset, len(l.records))
	}
	l.records = append(l.records, records...)
}

// repeat sends a producer's last batch again.
func (w *twoBrokers) repeat(p int) {
	m := &w.producers[p]
	if m.last == nil || !m.open[m.last.Topics[0].Partitions[0].Partition] {
		return
	}
	resp := w.send(m.last)
	if w.want("repeated", resp.ErrorCode, 0); resp.BaseOffset != m.base {
		w.t.Errorf("a repeated batch has offset %d, want %d", resp.BaseOffset, m.base)
	}
}

// stale sends what is fenced: a batch of an epoch before.
func (w *twoBrokers) stale(p, part int) {
	if w.producers[p].epoch == 0 {
		return
	}
	w.producers[p].epoch--
	req, _ := w.produceRequest(p, part)
	w.producers[p].epoch++
	w.want("stale", w.send(req).ErrorCode, 47)
}

// commitOffset commits a group's offset in the transaction.
func (w *twoBrokers) commitOffset(p, part int) {
	m := &w.producers[p]
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = *txnID(p), "g", m.id, m.epoch, -1
	rt := kmsg.NewTxnOffsetCommitRequestTopic()
	rt.Topic = "t"
	rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	rp.Partition, rp.Offset = int32(part), w.rng.Int64N(100)
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	w.want("offsets", both[*kmsg.TxnOffsetCommitResponse](w, 5, req).Topics[0].Partitions[0].ErrorCode, 0)
	m.offsets[part] = rp.Offset
}

// end ends a transaction that is open; the producer goes on with the next epoch.
func (w *twoBrokers) end(p int, commit bool) {
	m := &w.producers[p]
	if !m.isOpen() {
		return
	}
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = *txnID(p), m.id, m.epoch, commit
	resp := both[*kmsg.EndTxnResponse](w, 5, req)
	w.want(map[bool]string{true: "commit", false: "abort"}[commit], resp.ErrorCode, 0)
	w.ended(p, commit)
	*m = modelProducer{id: resp.ProducerID, epoch: resp.ProducerEpoch, offsets: m.offsets}
}

func (w *twoBrokers) deleteRecords(part int) {
	l := &w.parts[part]
	req := kmsg.NewPtrDeleteRecordsRequest()
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = "t"
	rp := kmsg.NewDeleteRecordsRequestTopicPartition()
	rp.Partition, rp.Offset = int32(part), w.rng.Int64N(l.stable()+1)
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	w.want("delete records", both[*kmsg.DeleteRecordsResponse](w, 2, req).Topics[0].Partitions[0].ErrorCode, 0)
	l.start = max(l.start, rp.Offset)
}

// stable is the last stable offset.
func (l *modelPart) stable() int64 {
	for o, r := range l.records {
		if r.owner >= 0 {
			return int64(o)
		}
	}
	return int64(len(l.records))
}

// check reads everything as readers of both isolation levels do.
func (w *twoBrokers) check() {
	w.t.Helper()
	for part := range w.parts {
		l := &w.parts[part]
		for _, isolation := range []int8{0, 1} {
			end := int64(len(l.records))
			if isolation == 1 {
				end = l.stable()
			}
			var want []string
			for o := l.start; o < end; o++ {
				if r := l.records[o]; r.value != "" && (isolation == 0 || !r.gone) {
					want = append(want, r.value)
				}
			}
			if got := w.read(part, isolation, l.start, end); !slices.Equal(got, want) {
				w.t.Errorf("partition %d at isolation level %d: got %q, want %q", part, isolation, got, want)
			}
		}
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = "g"
	rt := kmsg.NewOffsetFetchRequestTopic()
	rt.Topic, rt.Partitions = "t", []int32{0, 1, 2}
	req.Topics = append(req.Topics, rt)
	for _, p := range both[*kmsg.OffsetFetchResponse](w, 6, req).Topics[0].Partitions {
		if p.Offset != w.offsets[p.Partition] {
			w.t.Errorf("the group's offset of partition %d is %d, want %d", p.Partition, p.Offset, w.offsets[p.Partition])
		}
	}
}

// read fetches a partition and leaves out what a client leaves out.
func (w *twoBrokers) read(part int, isolation int8, start, end int64) []string {
	w.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.IsolationLevel, req.SessionEpoch = 10<<20, isolation, -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic = "t"
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = int32(part), start, 10<<20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	p := both[*kmsg.FetchResponse](w, 12, req).Topics[0].Partitions[0]
	l := &w.parts[part]
	if p.ErrorCode != 0 || p.LogStartOffset != l.start || p.HighWatermark != int64(len(l.records)) || p.LastStableOffset != l.stable() {
		w.t.Errorf("partition %d: %+v, want start %d, end %d, stable %d", part, p, l.start, len(l.records), l.stable())
	}
	aborted := slices.SortedFunc(slices.Values(p.AbortedTransactions), func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return int(a.FirstOffset - b.FirstOffset)
	})
	var out []string
	var rd record.Reader
	bad := map[int64]bool{}
	for b, err := range record.Batches(p.RecordBatches) {
		if err == nil {
			err = rd.Reset(b.Bytes, 1<<20)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		h := rd.Header()
		for len(aborted) > 0 && aborted[0].FirstOffset <= h.LastOffset() {
			bad[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		if h.Control() {
			delete(bad, h.ProducerID)
			continue
		}
		for rd.Next() {
			if o := rd.Record().Offset; o >= start && o < end && !(h.Transactional() && bad[h.ProducerID]) {
				out = append(out, string(rd.Record().Value))
			}
		}
	}
	return out
}
