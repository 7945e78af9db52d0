package group

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

func txnRequest(version int16, group, id string, generation int32, topics ...string) *kmsg.TxnOffsetCommitRequest {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation = version, group, id, generation
	for n, topic := range topics {
		rt := kmsg.NewTxnOffsetCommitRequestTopic()
		rt.Topic, rt.TopicID = topic, topicID(n)
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Offset = 30
		rt.Partitions = append(rt.Partitions, p)
		req.Topics = append(req.Topics, rt)
	}
	return req
}

func TestCheckTxn(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		id := w.single("g")
		for _, tt := range []struct {
			req  *kmsg.TxnOffsetCommitRequest
			want wire.Code
		}{
			{txnRequest(3, "g", id, 1, "t0"), wire.None},
			{txnRequest(6, "g", id, 1, "t0"), wire.None},
			{txnRequest(3, "g", "", -1, "t0"), wire.None},
			{txnRequest(3, "none", "", -1, "t0"), wire.None},
			{txnRequest(5, "", "", -1, "t0"), wire.InvalidGroupID},
			{txnRequest(3, "none", "m", 1, "t0"), wire.IllegalGeneration},
			{txnRequest(3, "g", id, 2, "t0"), wire.IllegalGeneration},
			{txnRequest(3, "g", "m", 1, "t0"), wire.UnknownMemberID},
			{txnRequest(3, "g", id, 1, "t99"), wire.UnknownTopicOrPartition},
		} {
			resp, accepted := w.CheckTxn(tt.req)
			if got := wire.Code(resp.Topics[0].Partitions[0].ErrorCode); got != tt.want || (len(accepted) == 1) != (got == wire.None) {
				t.Errorf("%s %s %d: got %s and %v, want %s", tt.req.Group, tt.req.MemberID, tt.req.Generation, got, accepted, tt.want)
			}
		}
		if got := len(w.Groups()); got != 1 {
			t.Errorf("checking made groups: there are %d", got)
		}
	})
}

// end ends a transaction as broker/txn does: one Write for everything.
func (w *world) end(producerID int64, commit bool, groups ...string) error {
	w.t.Helper()
	end, err := w.EndTxn(w.t.Context(), producerID, groups, commit)
	if err != nil {
		w.t.Fatal(err)
	}
	write := storage.Write{Set: end.Set, Check: end.Check}
	err = w.store.Commit(w.t.Context(), write)
	end.Done(w.t.Context(), write.Set, err)
	return err
}

func TestTxn(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		offsets := []TxnOffset{{Topic: topicID(0), Offset: 30, LeaderEpoch: 2, Metadata: "m"}}
		w.simple("g", "t0", 1)
		for _, group := range []string{"g", "new"} {
			if code := w.AddPending(group, 9, offsets); code != wire.None {
				t.Fatal(code)
			}
		}
		if _, code := w.fetch("g", "t0", true); code != wire.UnstableOffsetCommit {
			t.Errorf("stable fetch: %s", code)
		}
		if got, code := w.fetch("g", "t0", false); got != 1 || code != wire.None {
			t.Errorf("fetch: %d, %s", got, code)
		}
		if s, _ := w.Group("g"); !s.Offsets[0].Pending {
			t.Errorf("got %+v", s)
		}
		// Another one's end, and an abort, leave things as they are.
		if err := w.end(8, true, "g", "none"); err != nil {
			t.Fatal(err)
		}
		w.AddPending("g", 10, []TxnOffset{{Topic: topicID(1), Offset: 5}})
		if err := w.end(10, false, "g"); err != nil {
			t.Fatal(err)
		}
		w.wantOffset("g", "t1", -1)
		if err := w.end(9, true, "new", "g", "g"); err != nil {
			t.Fatal(err)
		}
		w.wantOffset("g", "t0", 30)
		w.wantOffset("new", "t0", 30)
		w.checkStored()
		// An abort of what nobody has stored leaves no group.
		w.AddPending("aborted", 11, offsets)
		if err := w.end(11, false, "aborted"); err != nil {
			t.Fatal(err)
		}
		if got := w.state("aborted"); got != "none" {
			t.Errorf("got %s", got)
		}
	})
}

// TestTxnFaults: whatever comes of the Write, memory agrees with the store, and
// the transaction can be ended again.
func TestTxnFaults(t *testing.T) {
	for what := refuse; what < forgotten; what++ {
		bubble(t, nil, func(t *testing.T, w *world) {
			w.simple("g", "t0", 1)
			w.AddPending("g", 9, []TxnOffset{{Topic: topicID(0), Offset: 30}})
			w.AddPending("new", 9, []TxnOffset{{Topic: topicID(0), Offset: 31}})
			w.store.set(func(f *flaky) { f.fault = what })
			if err := w.end(9, true, "g", "new"); err == nil {
				t.Error("the fault went unnoticed")
			}
			w.checkOffsets()
			if _, code := w.fetch("g", "t0", true); code != wire.UnstableOffsetCommit {
				t.Errorf("stable fetch after fault %d: %s", what, code)
			}
			if err := w.end(9, true, "g", "new"); err != nil {
				t.Error(err)
			}
			w.wantOffset("g", "t0", 30)
			w.wantOffset("new", "t0", 31)
			w.checkStored()
		})
	}
}

// TestTxnOrder: while a transaction ends, offset commits of the group queue up
// behind it, and the later one holds, in memory as in the store (T13).
func TestTxnOrder(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.AddPending("g", 9, []TxnOffset{{Topic: topicID(0), Offset: 30}})
		end, err := w.EndTxn(t.Context(), 9, []string{"g"}, true)
		if err != nil {
			t.Fatal(err)
		}
		wait := w.commit(9, "g", "", -1, "t0", 40)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a commit overtook the transaction: %v", err)
		}
		if _, err := w.EndTxn(ctx, 9, []string{"g"}, true); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("two ends at once: %v", err)
		}
		write := storage.Write{Set: end.Set, Check: end.Check}
		err = w.store.Commit(t.Context(), write)
		end.Done(t.Context(), write.Set, err)
		synctest.Wait()
		w.wantOffset("g", "t0", 40)
		w.checkStored()
	})
}

// TestTxnKeepsGroup: pending offsets keep a group from expiring (G9).
func TestTxnKeepsGroup(t *testing.T) {
	bubble(t, func(c *Config) { c.OffsetsRetention = time.Hour }, func(t *testing.T, w *world) {
		w.simple("g", "t0", 1)
		w.simple("g", "t1", 1)
		w.AddPending("g", 9, []TxnOffset{{Topic: topicID(0), Offset: 30}})
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if got, _ := w.fetch("g", "t0", false); got != 1 {
			t.Errorf("got %d", got)
		}
		w.wantOffset("g", "t1", -1)
		if err := w.end(9, true, "g"); err != nil {
			t.Fatal(err)
		}
		w.wantOffset("g", "t0", 30)
		w.checkStored()
	})
}

// TestTxnOtherWriter: the end of a transaction finds that another process has
// the group.
func TestTxnOtherWriter(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.simple("g", "t0", 1)
		w.simple("h", "t0", 1)
		w.AddPending("g", 9, []TxnOffset{{Topic: topicID(0), Offset: 30}})
		w.AddPending("h", 9, []TxnOffset{{Topic: topicID(0), Offset: 30}})
		taken, _, _, err := w.readAll("g")
		if err != nil {
			t.Fatal(err)
		}
		taken.Value = []byte(`{"type":"classic","generation":41}`)
		if err := w.store.Engine.Commit(t.Context(), storage.Write{Set: []storage.Item{taken}}); err != nil {
			t.Fatal(err)
		}
		if err := w.end(9, true, "g", "h"); !errors.As(err, new(*storage.Conflict)) {
			t.Errorf("got %v, want a conflict", err)
		}
		if s, _ := w.Group("g"); s.Generation != 41 {
			t.Errorf("got %+v", s)
		}
		w.checkOffsets()
		if _, code := w.fetch("h", "t0", true); code != wire.UnstableOffsetCommit {
			t.Errorf("stable fetch: %s", code)
		}
	})
}

// TestTxnAbandoned: if one group cannot be had, the others are let go.
func TestTxnAbandoned(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		for _, group := range []string{"a", "b"} {
			w.AddPending(group, 9, []TxnOffset{{Topic: topicID(0), Offset: 30}})
		}
		end, err := w.EndTxn(t.Context(), 9, []string{"b"}, true)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.EndTxn(ctx, 9, []string{"a", "b"}, true); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if code := w.simple("a", "t1", 5); code != wire.None {
			t.Errorf("commit to the other group: %s", code)
		}
		end.Done(t.Context(), nil, storage.ErrFull)
		if code := w.simple("b", "t1", 5); code != wire.None {
			t.Errorf("commit afterwards: %s", code)
		}
	})
}

// TestTxnDropTopic: a topic is deleted while a transaction with an offset of it
// ends. The offset must not come back.
func TestTxnDropTopic(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.AddPending("g", 9, []TxnOffset{{Topic: topicID(0), Offset: 30}})
		end, err := w.EndTxn(t.Context(), 9, []string{"g"}, true)
		if err != nil {
			t.Fatal(err)
		}
		dropped := make(chan error)
		go func() { dropped <- w.DropTopic(context.Background(), topicID(0)) }()
		synctest.Wait()
		write := storage.Write{Set: end.Set, Check: end.Check}
		err = w.store.Commit(t.Context(), write)
		end.Done(t.Context(), write.Set, err)
		if err := <-dropped; err != nil {
			t.Error(err)
		}
		w.wantOffset("g", "t0", -1)
		w.checkStored()
	})
}
