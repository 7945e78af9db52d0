package txn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/group"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/wire"
)

// topics are two topics of two partitions, "t1" and "t2"; gone ones are deleted.
type topics struct {
	mu   sync.Mutex
	gone map[storage.TopicID]bool
}

func (v *topics) ByName(name string) (storage.TopicID, int32, bool) {
	for _, id := range []storage.TopicID{{1}, {2}} {
		if n, p, ok := v.ByID(id); ok && n == name {
			return id, p, true
		}
	}
	return storage.TopicID{}, 0, false
}

func (v *topics) ByID(id storage.TopicID) (string, int32, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if id[0] != 1 && id[0] != 2 || v.gone[id] {
		return "", 0, false
	}
	return "t" + string('0'+id[0]), 2, true
}

func (v *topics) Names() []string { return []string{"t1", "t2"} }

func (v *topics) Mark() any { return nil }

// world is a coordinator on real logs and groups, above an engine with faults.
type world struct {
	*Coordinator
	t      *testing.T
	engine *faulty.Engine
	logs   *commitlog.Logs
	groups *group.Coordinator
	topics *topics
	nowMs  atomic.Int64
	stop   func()
}

func newWorld(t *testing.T, e storage.Engine) *world {
	t.Helper()
	w := &world{t: t, engine: faulty.New(e), topics: &topics{gone: map[storage.TopicID]bool{}}}
	w.nowMs.Store(1_000_000)
	now := func() time.Time { return time.UnixMilli(w.nowMs.Load()) }
	w.logs = commitlog.New(commitlog.Config{Engine: w.engine, Now: now, Admit: func(tp storage.TP, h record.Header) error {
		return w.Admit(tp, h)
	}})
	var err error
	if w.groups, err = group.Open(t.Context(), group.Config{Commit: w.engine.Commit, Store: w.engine, Topics: w.topics}); err != nil {
		t.Fatal(err)
	}
	var ids atomic.Int64
	ids.Store(100)
	w.Coordinator, err = Open(t.Context(), Config{
		Append: w.logs.Append, Store: w.engine, Groups: w.groups, Topics: w.topics, Now: now,
		NextID: func(context.Context) (int64, error) { return ids.Add(1), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.logs.Run(ctx); err != nil {
			t.Errorf("logs: %v", err)
		}
	})
	running.Go(func() {
		if err := w.groups.Run(ctx); err != nil {
			t.Errorf("groups: %v", err)
		}
	})
	w.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(w.stop)
	return w
}

type owner struct {
	id    int64
	epoch int16
}

func (w *world) init() owner {
	w.t.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	id := "x"
	req.Version, req.TransactionalID, req.TransactionTimeoutMillis = 5, &id, 60_000
	resp := w.InitProducerID(w.t.Context(), req)
	if resp.ErrorCode != 0 {
		w.t.Fatalf("init: %s", wire.Code(resp.ErrorCode))
	}
	return owner{resp.ProducerID, resp.ProducerEpoch}
}

func (w *world) end(o *owner, version int16, commit bool) wire.Code {
	req := kmsg.NewPtrEndTxnRequest()
	req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = version, "x", o.id, o.epoch, commit
	resp := w.EndTxn(w.t.Context(), req)
	if resp.ErrorCode == 0 && version >= 5 {
		*o = owner{resp.ProducerID, resp.ProducerEpoch}
	}
	return wire.Code(resp.ErrorCode)
}

func (w *world) offset(o owner, version int16, offset int64) wire.Code {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version, req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = version, "x", "g", o.id, o.epoch
	req.Generation = -1
	rt := kmsg.NewTxnOffsetCommitRequestTopic()
	rt.Topic, rt.TopicID = "t1", storage.TopicID{1}
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Offset = offset
	rt.Partitions = append(rt.Partitions, p)
	req.Topics = append(req.Topics, rt)
	return wire.Code(w.OffsetCommit(w.t.Context(), req).Topics[0].Partitions[0].ErrorCode)
}

// fetched is the group's offset, as a stable fetch sees it.
func (w *world) fetched() (int64, wire.Code) {
	w.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group, req.RequireStable = 7, "g", true
	rt := kmsg.NewOffsetFetchRequestTopic()
	rt.Topic, rt.Partitions = "t1", []int32{0}
	req.Topics = append(req.Topics, rt)
	resp, err := w.groups.OffsetFetch(req)(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	p := resp.(*kmsg.OffsetFetchResponse).Topics[0].Partitions[0]
	return p.Offset, wire.Code(p.ErrorCode)
}

// put appends a transactional record.
func (w *world) put(tp storage.TP, o owner, seq int32) error {
	w.t.Helper()
	b := record.NewBuilder(record.Options{Producer: &record.Producer{ID: o.id, Epoch: o.epoch, BaseSequence: seq}, Transactional: true})
	b.Append(1, nil, []byte("v"))
	bytes, err := b.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	h, err := record.ParseHeader(bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	wait, err := w.logs.Append(w.t.Context(), commitlog.Entry{Batches: []commitlog.Batch{{TP: tp, Bytes: bytes, Header: h}}})
	if err == nil {
		_, err = wait(w.t.Context())
	}
	return err
}

// log is the state of a partition's log: last stable offset, end, aborted.
func (w *world) log(tp storage.TP) (stable, end int64, aborted int) {
	w.t.Helper()
	g, err := w.logs.Log(w.t.Context(), tp)
	if err != nil {
		w.t.Fatal(err)
	}
	return g.LastStable(), g.End(), len(g.Aborted(0).Below(1 << 40))
}

var (
	tp1 = storage.TP{Topic: storage.TopicID{1}}
	tp2 = storage.TP{Topic: storage.TopicID{2}, Partition: 1}
)

// begin starts a transaction with a record in two partitions and an offset.
func (w *world) begin(o owner, seq int32, offset int64) {
	w.t.Helper()
	if err := w.Join(w.t.Context(), "x", o.id, o.epoch, []storage.TP{tp1, tp2}); err != nil {
		w.t.Fatal(err)
	}
	for _, tp := range []storage.TP{tp1, tp2} {
		if err := w.put(tp, o, seq); err != nil {
			w.t.Fatal(err)
		}
	}
	if code := w.offset(o, 5, offset); code != wire.None {
		w.t.Fatal(code)
	}
}

func TestEnd(t *testing.T) {
	w := newWorld(t, memory.New())
	o := w.init()
	if err := w.put(tp1, o, 0); !errors.Is(err, commitlog.ErrNoTransaction) {
		t.Errorf("a batch before the partition was added: %v", err)
	}
	w.begin(o, 0, 30)
	if stable, end, _ := w.log(tp1); stable != 0 || end != 1 {
		t.Errorf("last stable offset %d of %d", stable, end)
	}
	if _, code := w.fetched(); code != wire.UnstableOffsetCommit {
		t.Errorf("stable fetch during the transaction: %s", code)
	}
	before := w.engine.Commits()
	first := o
	if code := w.end(&o, 5, true); code != wire.None || o.epoch != first.epoch+1 {
		t.Fatalf("end: %s, epoch %d", code, o.epoch)
	}
	if got := w.engine.Commits() - before; got != 1 {
		t.Errorf("markers, offsets and state took %d commits, want 1", got)
	}
	for _, tp := range []storage.TP{tp1, tp2} {
		if stable, end, aborted := w.log(tp); stable != 2 || end != 2 || aborted != 0 {
			t.Errorf("%s: last stable offset %d of %d, %d aborted", tp, stable, end, aborted)
		}
	}
	if got, code := w.fetched(); got != 30 || code != wire.None {
		t.Errorf("offset %d, %s; want 30", got, code)
	}
	if err := w.put(tp1, first, 1); !errors.Is(err, commitlog.ErrFenced) {
		t.Errorf("a batch of the epoch before: %v", err)
	}
	w.begin(o, 0, 31)
	if code := w.end(&o, 5, false); code != wire.None {
		t.Fatal(code)
	}
	if got, code := w.fetched(); got != 30 || code != wire.None {
		t.Errorf("after an abort: offset %d, %s; want 30", got, code)
	}
	if _, _, aborted := w.log(tp2); aborted != 1 {
		t.Errorf("%d aborted, want 1", aborted)
	}
}

// TestEndFaults: whatever comes of the commit that ends a transaction, the same
// request again finds it ended, once.
func TestEndFaults(t *testing.T) {
	broken := errors.New("the disk went away")
	for name, f := range map[string]faulty.Fault{
		"refused":       faulty.Refuse(storage.ErrFull),
		"not persisted": faulty.Refuse(broken),
		"persisted":     faulty.Persist(broken),
	} {
		for _, commit := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, memory.New())
				o := w.init()
				w.begin(o, 0, 30)
				w.engine.NextMatching(func(wr storage.Write) bool { return len(wr.Append) == 2 }, f)
				first := o
				code := w.end(&o, 5, commit)
				if code != wire.None {
					if !code.Retriable() {
						t.Errorf("got %s, which clients do not try again", code)
					}
					if code = w.end(&o, 5, commit); code != wire.None {
						t.Fatalf("again: %s", code)
					}
				}
				if o.epoch != first.epoch+1 {
					t.Errorf("epoch %d, want %d", o.epoch, first.epoch+1)
				}
				want := int64(-1)
				if commit {
					want = 30
				}
				if got, code := w.fetched(); got != want || code != wire.None {
					t.Errorf("offset %d, %s; want %d", got, code, want)
				}
				if stable, end, _ := w.log(tp1); stable != 2 || end != 2 {
					t.Errorf("last stable offset %d of %d: there should be one record and one marker", stable, end)
				}
				w.begin(o, 0, 31)
			})
		}
	}
}

// TestRestart ends after a restart what was begun before, and what a store says
// is prepared.
func TestRestart(t *testing.T) {
	e := memory.New()
	w := newWorld(t, e)
	o := w.init()
	w.begin(o, 0, 30)
	w.stop()
	w = newWorld(t, e)
	if _, code := w.fetched(); code != wire.UnstableOffsetCommit {
		t.Errorf("stable fetch: %s", code)
	}
	if err := w.put(tp1, o, 1); err != nil {
		t.Errorf("the transaction does not go on: %v", err)
	}
	// As if another broker had died between prepare and markers.
	e1 := w.find("x", false)
	it, err := e1.txn.prepare(true, false, 0).encode("x", e1.version)
	if err != nil {
		t.Fatal(err)
	}
	w.stop()
	if err := e.Commit(t.Context(), storage.Write{Set: []storage.Item{it}}); err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, e)
	w.sweep(t.Context())
	if got, code := w.fetched(); got != 30 || code != wire.None {
		t.Errorf("offset %d, %s; want 30", got, code)
	}
	if stable, end, _ := w.log(tp1); stable != end {
		t.Errorf("last stable offset %d of %d", stable, end)
	}
	if code := w.end(&o, 3, true); code != wire.None {
		t.Errorf("the client's own end afterwards: %s", code)
	}
}

func TestTimeoutAndExpiry(t *testing.T) {
	w := newWorld(t, memory.New())
	o := w.init()
	w.begin(o, 0, 30)
	w.sweep(t.Context())
	if stable, _, _ := w.log(tp1); stable != 0 {
		t.Error("the transaction ended before its time")
	}
	w.nowMs.Add(60_001)
	w.sweep(t.Context())
	if _, _, aborted := w.log(tp1); aborted != 1 {
		t.Error("the transaction was not aborted")
	}
	if got, code := w.fetched(); got != -1 || code != wire.None {
		t.Errorf("offset %d, %s; want none", got, code)
	}
	if err := w.put(tp1, o, 1); !errors.Is(err, commitlog.ErrFenced) {
		t.Errorf("the late producer's batch: %v", err)
	}
	if code := w.end(&o, 5, true); code != wire.InvalidTxnState {
		t.Errorf("the late producer's end: %s", code)
	}
	if code := w.end(&o, 3, true); code != wire.ProducerFenced {
		t.Errorf("the late producer's end in TV1: %s", code)
	}
	if code := w.end(&o, 1, true); code != wire.InvalidProducerEpoch {
		t.Errorf("the late producer's end in an old version: %s", code)
	}
	w.nowMs.Add(DefaultExpiry.Milliseconds() + 1)
	w.sweep(t.Context())
	if it, err := w.engine.Get(t.Context(), keyTxn+"x"); err != nil || it.Version != 0 {
		t.Errorf("the id is still stored: %v", err)
	}
	if code := w.end(&o, 5, true); code != wire.InvalidProducerIDMapping {
		t.Errorf("of an id that is forgotten: %s", code)
	}
	if n := w.init(); n.id == o.id {
		t.Error("a forgotten id got its old producer id")
	}
}

// TestDeletedTopic: a topic that went takes its part of the transaction along.
func TestDeletedTopic(t *testing.T) {
	w := newWorld(t, memory.New())
	o := w.init()
	w.begin(o, 0, 30)
	w.topics.mu.Lock()
	w.topics.gone[tp2.Topic] = true
	w.topics.mu.Unlock()
	if err := w.logs.Forget(t.Context(), tp2.Topic); err != nil {
		t.Fatal(err)
	}
	if code := w.end(&o, 5, true); code != wire.None {
		t.Fatal(code)
	}
	if stable, end, _ := w.log(tp1); stable != end {
		t.Errorf("last stable offset %d of %d", stable, end)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, memory.New())
	long := int32(16 * 60 * 1000)
	for _, tt := range []struct {
		id      string
		timeout int32
		pid     int64
		want    wire.Code
	}{
		{"", 1000, -1, wire.InvalidRequest},
		{"x", 0, -1, wire.InvalidTransactionTimeout},
		{"x", long, -1, wire.InvalidTransactionTimeout},
		{"x", 1000, 5, wire.InvalidRequest},
	} {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.Version, req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID = 5, &tt.id, tt.timeout, tt.pid
		if got := wire.Code(w.InitProducerID(t.Context(), req).ErrorCode); got != tt.want {
			t.Errorf("init %+v: %s", tt, got)
		}
	}
	o := w.init()
	add := func(version int16, topic string, partition int32) []int16 {
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch = version, "x", o.id, o.epoch
		for _, name := range []string{"t1", topic} {
			rt := kmsg.NewAddPartitionsToTxnRequestTopic()
			rt.Topic, rt.Partitions = name, []int32{partition}
			req.Topics = append(req.Topics, rt)
		}
		resp := w.AddPartitions(t.Context(), req)
		return []int16{resp.Topics[0].Partitions[0].ErrorCode, resp.Topics[1].Partitions[0].ErrorCode}
	}
	if got := add(3, "none", 0); got[0] != int16(wire.OperationNotAttempted) || got[1] != int16(wire.UnknownTopicOrPartition) {
		t.Errorf("an unknown topic: %v", got)
	}
	if got := add(3, "t2", 1); got[0] != 0 || got[1] != 0 {
		t.Errorf("add: %v", got)
	}
	if code := w.offset(o, 3, 1); code != wire.InvalidTxnState {
		t.Errorf("offsets of a group that was not added: %s", code)
	}
	group := kmsg.NewPtrAddOffsetsToTxnRequest()
	group.Version, group.TransactionalID, group.ProducerID, group.ProducerEpoch, group.Group = 3, "x", o.id, o.epoch, "g"
	if code := w.AddOffsets(t.Context(), group).ErrorCode; code != 0 {
		t.Errorf("add offsets: %s", wire.Code(code))
	}
	if code := w.offset(o, 3, 1); code != wire.None {
		t.Errorf("offsets: %s", code)
	}
	if err := w.Join(t.Context(), "x", o.id, o.epoch-1, []storage.TP{tp1}); !errors.Is(err, &wire.Error{Code: wire.InvalidProducerEpoch}) {
		t.Errorf("a fenced producer's produce: %v", err)
	}
}
