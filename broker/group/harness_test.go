package group

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/wire"
)

var errDisk = errors.New("disk says no")

// fault is what a Commit or a look at the store does instead of working.
type fault int

const (
	none      fault = iota
	refuse          // ErrFull, nothing happened
	tooLarge        // ErrInvalid, nothing happened
	loses           // fails, and was not applied
	persists        // fails, and was applied
	forgotten       // number of faults
)

// flaky is a memory engine with faults. It is safe for concurrent use.
type flaky struct {
	*memory.Engine
	mu      sync.Mutex
	fault   fault // of the next Commit
	readErr error
	gate    chan struct{} // if set, each Commit takes one value from it first
	commits int
}

func (f *flaky) set(change func(*flaky)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *flaky) Commit(ctx context.Context, w storage.Write) error {
	f.mu.Lock()
	what, gate := f.fault, f.gate
	f.fault = none
	f.commits++
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
	switch what {
	case refuse:
		return storage.ErrFull
	case tooLarge:
		return storage.ErrInvalid
	case loses:
		return errDisk
	case persists:
		if err := f.Engine.Commit(ctx, w); err != nil {
			return err
		}
		return errDisk
	}
	return f.Engine.Commit(ctx, w)
}

func (f *flaky) Get(ctx context.Context, key string) (storage.Item, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readErr != nil {
		return storage.Item{}, f.readErr
	}
	return f.Engine.Get(ctx, key)
}

func (f *flaky) Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error] {
	return f.Engine.Scan(ctx, prefix)
}

// someTopics are t0 to t9 with four partitions each.
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
			return topicID(n), 4, true
		}
	}
	return storage.TopicID{}, 0, false
}

func (s *someTopics) ByID(id storage.TopicID) (string, int32, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := fmt.Sprint("t", id[15])
	return name, 4, id == topicID(int(id[15])) && id[15] < 10 && !s.gone[name]
}

func (s *someTopics) Names() []string {
	var names []string
	for n := range 10 {
		if name := fmt.Sprint("t", n); !s.isGone(name) {
			names = append(names, name)
		}
	}
	return names
}

func (s *someTopics) Mark() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.gone)
}

func (s *someTopics) isGone(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone[name]
}

// world is a coordinator on a store that can be restarted.
type world struct {
	t      *testing.T
	store  *flaky
	topics *someTopics
	cfg    Config
	*Coordinator
	stop func()
}

// newWorld starts a coordinator inside a synctest bubble. Member ids are
// "<client>-1", "<client>-2", …
func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, store: &flaky{Engine: memory.New()}, topics: &someTopics{gone: map[string]bool{}}}
	var mu sync.Mutex
	n := 0
	w.cfg = Config{
		Commit: w.store.Commit, Store: w.store, Topics: w.topics, InitialRebalanceDelay: -1,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		NewMemberID: func() string {
			mu.Lock()
			defer mu.Unlock()
			n++
			return fmt.Sprint(n)
		},
	}
	if change != nil {
		change(&w.cfg)
	}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) start() {
	w.t.Helper()
	c, err := Open(context.Background(), w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	w.Coordinator = c
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
}

func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

// bubble runs f with fake time.
func bubble(t *testing.T, change func(*Config), f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, change)
		f(t, w)
		w.stop()
	})
}

// checkStored compares all groups in memory with what a start would read.
func (w *world) checkStored() {
	w.t.Helper()
	synctest.Wait()
	c, err := Open(context.Background(), w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	got, want := w.Groups(), c.Groups()
	for i := range got { // a new start begins a new generation's life as stable
		got[i].SinceMs = 0
	}
	for i := range want {
		want[i].SinceMs = 0
	}
	if !reflect.DeepEqual(got, want) {
		w.t.Errorf("in memory:\n%+v\nin the store:\n%+v", got, want)
	}
}

// await waits for an answer and sees that it can be written.
func await[R kmsg.Response](w *world, wait Wait) R {
	w.t.Helper()
	resp, err := wait(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	resp.AppendTo(nil)
	return resp.(R)
}

func (w *world) join(version int16, group, client, id string, change func(*kmsg.JoinGroupRequest)) Wait {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID = version, group, id
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 60_000
	req.ProtocolType = "consumer"
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", subscription("t0", "t1")
	req.Protocols = append(req.Protocols, p)
	if change != nil {
		change(req)
	}
	return w.Join(Client{ID: client, Host: "/127.0.0.1"}, req)
}

func subscription(topics ...string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics = topics
	return m.AppendTo(nil)
}

func assignment(topic string, partitions ...int32) []byte {
	m := kmsg.NewConsumerMemberAssignment()
	t := kmsg.NewConsumerMemberAssignmentTopic()
	t.Topic, t.Partitions = topic, partitions
	m.Topics = append(m.Topics, t)
	return m.AppendTo(nil)
}

func (w *world) sync(group, id string, generation int32, assignments map[string][]byte) Wait {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 5, group, id, generation
	for id, bytes := range assignments {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = id, bytes
		req.GroupAssignment = append(req.GroupAssignment, a)
	}
	return w.Sync(req)
}

// single makes a stable group of one member and returns its id.
func (w *world) single(group string) string {
	w.t.Helper()
	j := await[*kmsg.JoinGroupResponse](w, w.join(3, group, "c", "", nil))
	if j.ErrorCode != 0 {
		w.t.Fatalf("join: %s", wire.Code(j.ErrorCode))
	}
	s := await[*kmsg.SyncGroupResponse](w, w.sync(group, j.MemberID, j.Generation, map[string][]byte{j.MemberID: assignment("t0", 0, 1)}))
	if s.ErrorCode != 0 {
		w.t.Fatalf("sync: %s", wire.Code(s.ErrorCode))
	}
	return j.MemberID
}

func (w *world) heartbeat(group, id string, generation int32) wire.Code {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 4, group, id, generation
	return wire.Code(await[*kmsg.HeartbeatResponse](w, w.Heartbeat(req)).ErrorCode)
}

// commit commits offset at partition 0 of a topic.
func (w *world) commit(version int16, group, id string, generation int32, topic string, offset int64) Wait {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation = version, group, id, generation
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	t.TopicID, _, _ = w.topics.ByName(topic)
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset, p.LeaderEpoch = offset, 7
	meta := "note"
	p.Metadata = &meta
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return w.OffsetCommit(req)
}

func (w *world) commitCode(wait Wait) wire.Code {
	w.t.Helper()
	return wire.Code(await[*kmsg.OffsetCommitResponse](w, wait).Topics[0].Partitions[0].ErrorCode)
}

// simple commits for a group without members.
func (w *world) simple(group, topic string, offset int64) wire.Code {
	w.t.Helper()
	return w.commitCode(w.commit(9, group, "", -1, topic, offset))
}

// fetch gives the offset of partition 0 and the error beside it.
func (w *world) fetch(group, topic string, stable bool) (int64, wire.Code) {
	w.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.RequireStable = 9, stable
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = topic, []int32{0}
	g.Topics = append(g.Topics, t)
	req.Groups = append(req.Groups, g)
	resp := await[*kmsg.OffsetFetchResponse](w, w.OffsetFetch(req)).Groups[0]
	if resp.ErrorCode != 0 {
		return -2, wire.Code(resp.ErrorCode)
	}
	p := resp.Topics[0].Partitions[0]
	return p.Offset, wire.Code(p.ErrorCode)
}

func (w *world) wantOffset(group, topic string, want int64) {
	w.t.Helper()
	if got, code := w.fetch(group, topic, true); got != want || code != wire.None {
		w.t.Errorf("group %s has %d of %s, %s; want %d", group, got, topic, code, want)
	}
}

func (w *world) deleteGroup(group string) wire.Code {
	w.t.Helper()
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{group}
	return wire.Code(await[*kmsg.DeleteGroupsResponse](w, w.Delete(req)).Groups[0].ErrorCode)
}

func (w *world) state(group string) string {
	s, ok := w.Group(group)
	if !ok {
		return "none"
	}
	return s.State
}
