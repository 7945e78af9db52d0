package share

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
	groups "github.com/tarn-io/tarn/broker/group"
	"github.com/tarn-io/tarn/broker/groupconfig"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/wire"
)

// someTopics are t0 to t9 with two partitions each.
type someTopics struct {
	mu   sync.Mutex
	gone map[string]bool
}

func topicID(n int) storage.TopicID { return storage.TopicID{0xaa, 15: byte(n)} }

func (s *someTopics) ByName(name string) (storage.TopicID, int32, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range 10 {
		if name == fmt.Sprint("t", n) && !s.gone[name] {
			return topicID(n), 2, true
		}
	}
	return storage.TopicID{}, 0, false
}

func (s *someTopics) ByID(id storage.TopicID) (string, int32, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := fmt.Sprint("t", id[15])
	return name, 2, id == topicID(int(id[15])) && id[15] < 10 && !s.gone[name]
}

// noBudget is a Memory that grants everything.
type noBudget struct{}

func (noBudget) Reserve(want int) int { return want }
func (noBudget) TryExtend(int) bool   { return true }
func (noBudget) Shrink(int)           {}

func (noBudget) Extend(context.Context, int) bool { return true }

// world is a coordinator with logs, on a store that can be restarted. It lives in
// a synctest bubble. Commits of the coordinator go through faults, those of the
// logs do not.
type world struct {
	t       *testing.T
	inner   *memory.Engine
	faults  *faulty.Engine
	topics  *someTopics
	configs *groupconfig.Configs
	logs    *commitlog.Logs
	*Coordinator
	stop  func()
	conns map[string]context.CancelFunc // by member
	ctxs  map[string]context.Context
}

func newWorld(t *testing.T) *world {
	t.Helper()
	inner := memory.New()
	w := &world{t: t, inner: inner, faults: faulty.New(inner), topics: &someTopics{gone: map[string]bool{}}}
	w.start()
	return w
}

// bubble runs fn with a world in a bubble.
func bubble(t *testing.T, fn func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.kill()
		fn(w)
	})
}

func (w *world) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	lg := slog.New(slog.NewTextHandler(w.t.Output(), nil))
	w.conns, w.ctxs = map[string]context.CancelFunc{}, map[string]context.Context{}
	w.logs = commitlog.New(commitlog.Config{Engine: w.inner, Log: lg, Admit: func(storage.TP, record.Header) error { return nil }})
	var err error
	if w.configs, err = groupconfig.Open(ctx, w.inner); err != nil {
		w.t.Fatal(err)
	}
	w.Coordinator, err = Open(ctx, Config{
		Commit: w.faults.Commit, Store: w.faults, Topics: w.topics, Logs: w.logs.Log,
		Configs: w.configs, Names: new(groups.Names), Log: lg,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.logs.Run(ctx); err != nil && ctx.Err() == nil {
			w.t.Error(err)
		}
	})
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	w.stop = func() {
		cancel()
		running.Wait()
	}
}

// kill stops everything at once; connections go with it.
func (w *world) kill() {
	w.stop()
	for _, end := range w.conns {
		end()
	}
	synctest.Wait()
}

// restart kills and starts anew from the store.
func (w *world) restart() {
	w.kill()
	w.start()
}

// conn is a member's connection.
func (w *world) conn(member string) context.Context {
	if w.ctxs[member] == nil {
		w.ctxs[member], w.conns[member] = context.WithCancel(context.Background())
	}
	return w.ctxs[member]
}

// disconnect ends a member's connection; the next request opens another.
func (w *world) disconnect(member string) {
	if end := w.conns[member]; end != nil {
		end()
	}
	delete(w.conns, member)
	delete(w.ctxs, member)
	synctest.Wait()
}

// set sets a group's config.
func (w *world) set(name string, key groupconfig.Key, value string) {
	w.t.Helper()
	if err := w.configs.Alter(w.t.Context(), name, []groupconfig.Change{{Key: string(key), Value: value}}, false, false); err != nil {
		w.t.Fatal(err)
	}
}

// produce appends one batch of n records, and gives its base offset.
func (w *world) produce(tp storage.TP, n int, o record.Options) int64 {
	w.t.Helper()
	b := record.NewBuilder(o)
	for i := range n {
		b.Append(0, nil, fmt.Appendf(nil, "v%d", i))
	}
	bytes, err := b.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.append(tp, bytes)
}

func (w *world) append(tp storage.TP, bytes []byte) int64 {
	w.t.Helper()
	h, err := record.ParseHeader(bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	wait, err := w.logs.Append(w.t.Context(), commitlog.Entry{Batches: []commitlog.Batch{{TP: tp, Bytes: bytes, Header: h}}})
	if err != nil {
		w.t.Fatal(err)
	}
	done, err := wait(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return done[0].Base
}

func (w *world) beat(name, member string, epoch int32, topics ...string) *kmsg.ShareGroupHeartbeatResponse {
	w.t.Helper()
	req := kmsg.NewPtrShareGroupHeartbeatRequest()
	req.Version, req.GroupID, req.MemberID, req.MemberEpoch = 1, name, member, epoch
	req.SubscribedTopicNames = topics
	return await[*kmsg.ShareGroupHeartbeatResponse](w, w.Heartbeat(Client{"client", "host"}, req))
}

// fetchRequest is a ShareFetch of everything, that does not wait.
func fetchRequest(name, member string, epoch int32, tps ...storage.TP) *kmsg.ShareFetchRequest {
	req := kmsg.NewPtrShareFetchRequest()
	req.Version, req.GroupID, req.MemberID, req.ShareSessionEpoch = 2, &name, &member, epoch
	req.MaxBytes, req.MaxRecords, req.BatchSize = 1<<20, 500, 500
	for _, tp := range tps {
		addPartition(req, tp)
	}
	return req
}

func addPartition(req *kmsg.ShareFetchRequest, tp storage.TP) *kmsg.ShareFetchRequestTopicPartition {
	rt := kmsg.NewShareFetchRequestTopic()
	rt.TopicID = tp.Topic
	rp := kmsg.NewShareFetchRequestTopicPartition()
	rp.Partition = tp.Partition
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return &req.Topics[len(req.Topics)-1].Partitions[0]
}

func (w *world) fetch(member string, req *kmsg.ShareFetchRequest) *kmsg.ShareFetchResponse {
	w.t.Helper()
	return await[*kmsg.ShareFetchResponse](w, w.Fetch(w.conn(member), req, noBudget{}))
}

func ackRequest(name, member string, epoch int32, tp storage.TP, first, last int64, types ...int8) *kmsg.ShareAcknowledgeRequest {
	req := kmsg.NewPtrShareAcknowledgeRequest()
	req.Version, req.GroupID, req.MemberID, req.ShareSessionEpoch = 2, &name, &member, epoch
	rt := kmsg.NewShareAcknowledgeRequestTopic()
	rt.TopicID = tp.Topic
	rp := kmsg.NewShareAcknowledgeRequestTopicPartition()
	rp.Partition = tp.Partition
	b := kmsg.NewShareAcknowledgeRequestTopicPartitionAcknowledgementBatch()
	b.FirstOffset, b.LastOffset, b.AcknowledgeTypes = first, last, types
	rp.AcknowledgementBatches = append(rp.AcknowledgementBatches, b)
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// ack acknowledges one range and gives the code of its partition, or of all.
func (w *world) ack(req *kmsg.ShareAcknowledgeRequest) wire.Code {
	w.t.Helper()
	r := await[*kmsg.ShareAcknowledgeResponse](w, w.Acknowledge(req))
	if r.ErrorCode != 0 || len(r.Topics) == 0 {
		return wire.Code(r.ErrorCode)
	}
	return wire.Code(r.Topics[0].Partitions[0].ErrorCode)
}

// await gives the answer of a Wait.
func await[R kmsg.Response](w *world, wait Wait) R {
	w.t.Helper()
	r, err := wait(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return r.(R)
}

// checkStored compares all windows with what is stored, once nothing waits.
func (w *world) checkStored() {
	w.t.Helper()
	synctest.Wait()
	for _, g := range w.all() {
		g.mu.Lock()
		for k, p := range g.parts {
			it, err := w.inner.Get(context.Background(), k.item(g.name))
			if err != nil || it.Version != p.version || p.lost || len(p.queue) > 0 {
				w.t.Errorf("%s: version %d in memory, %d stored, %v; lost %v, queue %d", k.tp(), p.version, it.Version, err, p.lost, len(p.queue))
			}
			p.w.check(w.t)
		}
		it, err := w.inner.Get(context.Background(), keyGroup+g.name)
		if err != nil || it.Version != g.version || g.lost {
			w.t.Errorf("group %s: version %d in memory, %d stored, %v; lost %v", g.name, g.version, it.Version, err, g.lost)
		}
		g.mu.Unlock()
	}
}
