package share

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/groupconfig"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/wire"
)

var errDisk = errors.New("disk says no")

// tp0 is the partition that tests use.
var tp0 = storage.TP{Topic: topicID(0)}

// failures are what may happen to a Commit, in pairs: what is not persisted and
// what is; group and part are the codes that requests get.
var failures = []struct {
	name        string
	fault       faulty.Fault
	persisted   bool
	group, part wire.Code
}{
	{"full", faulty.Refuse(storage.ErrFull), false, wire.CoordinatorNotAvailable, wire.KafkaStorageError},
	{"too large", faulty.Refuse(storage.ErrInvalid), false, wire.UnknownServerError, wire.UnknownServerError},
	{"failed", faulty.Refuse(errDisk), false, wire.CoordinatorNotAvailable, wire.KafkaStorageError},
	{"failed, and persisted", faulty.Persist(errDisk), true, wire.None, wire.None},
}

// TestFaults fails the write of each kind of request in each way. Nobody gets a
// good answer for what is not durable, memory agrees with the store afterwards,
// and the group works on, before and after a restart.
func TestFaults(t *testing.T) {
	requests := map[string]func(w *world) (code wire.Code, ofPart bool){
		"join":  func(w *world) (wire.Code, bool) { return wire.Code(w.beat("g", "b", 0, "t0").ErrorCode), false },
		"leave": func(w *world) (wire.Code, bool) { return wire.Code(w.beat("g", "a", -1).ErrorCode), false },
		"first": func(w *world) (wire.Code, bool) { return wire.Code(w.beat("new", "b", 0, "t0").ErrorCode), false },
		"acknowledge": func(w *world) (wire.Code, bool) {
			return w.ack(ackRequest("g", "a", 1, tp0, 0, 1, 1)), true
		},
		"acknowledge with a fetch": func(w *world) (wire.Code, bool) {
			req := fetchRequest("g", "a", 1)
			p := addPartition(req, tp0)
			b := kmsg.NewShareFetchRequestTopicPartitionAcknowledgementBatch()
			b.LastOffset, b.AcknowledgeTypes = 1, []int8{2}
			p.AcknowledgementBatches = append(p.AcknowledgementBatches, b)
			return wire.Code(w.fetch("a", req).Topics[0].Partitions[0].AcknowledgeErrorCode), true
		},
		"first fetch of a partition": func(w *world) (wire.Code, bool) {
			r := w.fetch("c", fetchRequest("g", "c", 0, storage.TP{Topic: topicID(1)}))
			return wire.Code(r.Topics[0].Partitions[0].ErrorCode), true
		},
		"alter": func(w *world) (wire.Code, bool) {
			req := kmsg.NewPtrAlterShareGroupOffsetsRequest()
			req.GroupID = "idle"
			req.Topics = []kmsg.AlterShareGroupOffsetsRequestTopic{{Topic: "t0", Partitions: []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{StartOffset: 2}}}}
			return wire.Code(await[*kmsg.AlterShareGroupOffsetsResponse](w, w.AlterOffsets(req)).Topics[0].Partitions[0].ErrorCode), false
		},
		"forget": func(w *world) (wire.Code, bool) {
			req := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
			req.GroupID = "idle"
			req.Topics = []kmsg.DeleteShareGroupOffsetsRequestTopic{{Topic: "t0"}}
			return wire.Code(await[*kmsg.DeleteShareGroupOffsetsResponse](w, w.DeleteOffsets(req)).Topics[0].ErrorCode), false
		},
		"delete": func(w *world) (wire.Code, bool) {
			code, err := w.Delete("idle")(context.Background())
			if err != nil {
				w.t.Fatal(err)
			}
			return code, false
		},
	}
	for name, request := range requests {
		for _, f := range failures {
			t.Run(name+", "+f.name, func(t *testing.T) {
				bubble(t, func(w *world) {
					w.prepare()
					w.faults.Next(f.fault)
					code, ofPart := request(w)
					if want := map[bool]wire.Code{false: f.group, true: f.part}[ofPart]; code != want {
						t.Errorf("got %s, want %s", code, want)
					}
					w.checkStored()
					w.works()
					w.restart()
					w.works()
				})
			})
		}
	}
}

// prepare makes group g with member a, who has the first four records of tp0, and
// group idle with a state and no members.
func (w *world) prepare() {
	w.t.Helper()
	for _, name := range []string{"g", "idle", "new"} {
		w.set(name, groupconfig.ShareAutoOffsetReset, groupconfig.Earliest)
	}
	w.produce(tp0, 4, record.Options{})
	w.beat("g", "a", 0, "t0")
	w.fetch("a", fetchRequest("g", "a", 0, tp0))
	w.beat("idle", "i", 0, "t0")
	w.fetch("i", fetchRequest("idle", "i", 0, tp0))
	w.beat("idle", "i", -1)
	w.checkStored()
}

// works runs a new member through all there is.
func (w *world) works() {
	w.t.Helper()
	if r := w.beat("g", "z", 0, "t0"); r.ErrorCode != 0 {
		w.t.Fatalf("joining: %s", wire.Code(r.ErrorCode))
	}
	at := w.produce(tp0, 1, record.Options{})
	r := w.fetch("z", fetchRequest("g", "z", 0, tp0))
	p := r.Topics[0].Partitions[0]
	if r.ErrorCode != 0 || p.ErrorCode != 0 || len(p.AcquiredRecords) == 0 || p.AcquiredRecords[len(p.AcquiredRecords)-1].LastOffset != at {
		w.t.Fatalf("fetching: %+v", r)
	}
	for i, a := range p.AcquiredRecords {
		if code := w.ack(ackRequest("g", "z", int32(i)+1, tp0, a.FirstOffset, a.LastOffset, 1)); code != wire.None {
			w.t.Fatalf("acknowledging: %s", code)
		}
	}
	if r := w.beat("g", "z", -1); r.ErrorCode != 0 {
		w.t.Fatalf("leaving: %s", wire.Code(r.ErrorCode))
	}
	w.checkStored()
}

// TestUnreadable: after a failed Commit the store cannot be read either. Until it
// can, nothing is acquired; then the state is what the store holds.
func TestUnreadable(t *testing.T) {
	for _, f := range failures[2:] {
		bubble(t, func(w *world) {
			w.prepare()
			w.faults.Next(f.fault)
			for range 3 {
				w.faults.NextGet(func(string) bool { return true }, errDisk)
			}
			if code := w.ack(ackRequest("g", "a", 1, tp0, 0, 1, 1)); code != wire.KafkaStorageError {
				t.Errorf("acknowledged: %s", code)
			}
			r := w.fetch("a", fetchRequest("g", "a", 2))
			if len(r.Topics) != 1 || wire.Code(r.Topics[0].Partitions[0].ErrorCode) != wire.KafkaStorageError {
				t.Errorf("fetched from a state that nobody knows: %+v", r)
			}
			if code := w.ack(ackRequest("g", "a", 3, tp0, 2, 3, 1)); code != wire.KafkaStorageError {
				t.Errorf("acknowledged: %s", code)
			}
			time.Sleep(5 * lookAgain)
			w.checkStored()
			first := map[bool]int64{false: 0, true: 2}[f.persisted]
			r = w.fetch("b", fetchRequest("g", "b", 0, tp0))
			if got := fmt.Sprint(r.Topics[0].Partitions[0].AcquiredRecords[0].FirstOffset); got != fmt.Sprint(first) {
				t.Errorf("%s: begins at %s, want %d", f.name, got, first)
			}
			w.works()
		})
	}
}

// TestOtherWriter: a second process takes the group over. The first finds out at
// its next write, says so, and takes what the store has; its other groups are not
// concerned.
func TestOtherWriter(t *testing.T) {
	bubble(t, func(w *world) {
		w.prepare()
		k := key{tp0.Topic, 0}.item("g")
		theirs := window{start: 3, end: 3}
		it := storage.Item{Key: k, Value: theirs.encode(), Version: storage.Any}
		if err := w.inner.Commit(t.Context(), storage.Write{Set: []storage.Item{it}}); err != nil {
			t.Fatal(err)
		}
		release := w.faults.Hold()
		mine := w.Acknowledge(ackRequest("g", "a", 1, tp0, 0, 1, 1))
		synctest.Wait()
		other := w.Heartbeat(Client{}, func() *kmsg.ShareGroupHeartbeatRequest {
			req := kmsg.NewPtrShareGroupHeartbeatRequest()
			req.GroupID, req.MemberID, req.SubscribedTopicNames = "other", "o", []string{"t0"}
			return req
		}())
		release()
		if r := await[*kmsg.ShareAcknowledgeResponse](w, mine); wire.Code(r.Topics[0].Partitions[0].ErrorCode) != wire.NotLeaderOrFollower {
			t.Errorf("acknowledged: %s", wire.Code(r.Topics[0].Partitions[0].ErrorCode))
		}
		if r := await[*kmsg.ShareGroupHeartbeatResponse](w, other); r.ErrorCode != 0 {
			t.Errorf("other group: %s", wire.Code(r.ErrorCode))
		}
		w.checkStored()
		r := w.fetch("b", fetchRequest("g", "b", 0, tp0))
		if got := r.Topics[0].Partitions[0].AcquiredRecords[0].FirstOffset; got != 3 {
			t.Errorf("begins at %d, want what the other wrote", got)
		}
		// Now the group itself.
		it = storage.Item{Key: keyGroup + "g", Value: []byte(`{"epoch":40}`), Version: storage.Any}
		if err := w.inner.Commit(t.Context(), storage.Write{Set: []storage.Item{it}}); err != nil {
			t.Fatal(err)
		}
		if r := w.beat("g", "c", 0, "t0"); wire.Code(r.ErrorCode) != wire.NotCoordinator {
			t.Errorf("joined: %s", wire.Code(r.ErrorCode))
		}
		w.checkStored()
		if r := w.beat("g", "c", 0, "t0"); r.ErrorCode != 0 || r.MemberEpoch != 41 {
			t.Errorf("joined: %s at %d", wire.Code(r.ErrorCode), r.MemberEpoch)
		}
	})
}
