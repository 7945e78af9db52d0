package group

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestFaults fails the write of each kind of request in each way. Nobody gets
// a good answer for what is not durable, memory agrees with the store
// afterwards, and the group works on.
func TestFaults(t *testing.T) {
	requests := map[string]func(w *world, id string) wire.Code{
		"commit": func(w *world, id string) wire.Code {
			return w.commitCode(w.commit(9, "g", id, 1, "t0", 9))
		},
		"sync": func(w *world, id string) wire.Code {
			j := await[*kmsg.JoinGroupResponse](w, w.join(9, "g", "c", id, nil))
			return wire.Code(await[*kmsg.SyncGroupResponse](w,
				w.sync("g", id, j.Generation, map[string][]byte{id: assignment("t0", 3)})).ErrorCode)
		},
		"leave": func(w *world, id string) wire.Code {
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Version, req.Group, req.MemberID = 2, "g", id
			return wire.Code(await[*kmsg.LeaveGroupResponse](w, w.Leave(req)).ErrorCode)
		},
		"first commit of a group": func(w *world, _ string) wire.Code { return w.simple("new", "t0", 1) },
		"delete":                  func(w *world, _ string) wire.Code { return w.deleteGroup("simple") },
		"heartbeat of a new consumer": func(w *world, _ string) wire.Code {
			return wire.Code(await[*kmsg.ConsumerGroupHeartbeatResponse](w, w.beat("fresh", "m", 0, nil)).ErrorCode)
		},
		"heartbeat that turns a classic group": func(w *world, _ string) wire.Code {
			return wire.Code(await[*kmsg.ConsumerGroupHeartbeatResponse](w, w.beat("simple", "m", 0, nil)).ErrorCode)
		},
		"last consumer leaves": func(w *world, _ string) wire.Code {
			return wire.Code(await[*kmsg.ConsumerGroupHeartbeatResponse](w, w.beat("consumers", "m", -1, nil)).ErrorCode)
		},
		"heartbeat of a new thread": func(w *world, _ string) wire.Code {
			return wire.Code(w.threadBeats("fresh", "m", 0, nil).ErrorCode)
		},
		"last thread leaves": func(w *world, _ string) wire.Code {
			return wire.Code(w.threadBeats("threads", "m", -1, nil).ErrorCode)
		},
		"delete an offset": func(w *world, _ string) wire.Code {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Group = "simple"
			req.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "t0", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}
			return wire.Code(await[*kmsg.OffsetDeleteResponse](w, w.OffsetDelete(req)).ErrorCode)
		},
	}
	codes := map[fault]wire.Code{
		refuse: wire.CoordinatorNotAvailable, tooLarge: wire.UnknownServerError,
		loses: wire.CoordinatorNotAvailable, persists: wire.CoordinatorNotAvailable,
	}
	for name, request := range requests {
		for what := refuse; what < forgotten; what++ {
			t.Run(fmt.Sprintf("%s fault %d", name, what), func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, w *world) {
					id := w.single("g")
					w.commitCode(w.commit(9, "g", id, 1, "t0", 1))
					w.simple("simple", "t0", 1)
					await[*kmsg.ConsumerGroupHeartbeatResponse](w, w.beat("consumers", "m", 0, nil))
					w.threadBeats("threads", "m", 0, nil)
					w.store.set(func(f *flaky) { f.fault = what })
					if got := request(w, id); got != codes[what] {
						t.Errorf("got %s, want %s", got, codes[what])
					}
					synctest.Wait()
					w.checkOffsets()
					w.restart()
					if code := w.simple("after", "t0", 2); code != wire.None {
						t.Errorf("afterwards: %s", code)
					}
					time.Sleep(time.Minute) // members are gone
					synctest.Wait()
					w.checkStored()
				})
			})
		}
	}
}

// checkOffsets compares offsets and versions in memory with the store.
func (w *world) checkOffsets() {
	w.t.Helper()
	for _, e := range w.all() {
		it, offsets, err := w.readGroup(context.Background(), e.name)
		e.mu.Lock()
		if err != nil || it.Version != e.version || fmt.Sprint(offsets) != fmt.Sprint(e.offsets) {
			w.t.Errorf("group %s has version %d and %v, the store %d and %v, %v",
				e.name, e.version, e.offsets, it.Version, offsets, err)
		}
		e.mu.Unlock()
	}
}

// TestTooLargeAmongOthers: one group's write that is too large must not take
// the others with it.
func TestTooLargeAmongOthers(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		w.store.set(func(f *flaky) { f.gate = gate })
		first := w.commit(9, "first", "", -1, "t0", 1)
		synctest.Wait() // stands at the gate; the others gather behind it
		a, b := w.commit(9, "a", "", -1, "t0", 1), w.commit(9, "b", "", -1, "t0", 1)
		w.store.set(func(f *flaky) { f.fault = tooLarge })
		close(gate)
		for _, wait := range []Wait{first, a, b} {
			if code := w.commitCode(wait); code != wire.None {
				t.Errorf("got %s", code)
			}
		}
		w.checkStored()
	})
}

// TestUnreadable: after a failed Commit the store cannot be read either.
// Until it can, no offset is given out and nothing is written.
func TestUnreadable(t *testing.T) {
	for _, what := range []fault{loses, persists} {
		bubble(t, nil, func(t *testing.T, w *world) {
			id := w.single("g")
			w.commitCode(w.commit(9, "g", id, 1, "t0", 1))
			w.store.set(func(f *flaky) { f.fault, f.readErr = what, errDisk })
			if code := w.commitCode(w.commit(9, "g", id, 1, "t0", 2)); code != wire.CoordinatorNotAvailable {
				t.Errorf("commit: %s", code)
			}
			if got, code := w.fetch("g", "t0", false); code != wire.CoordinatorLoadInProgress {
				t.Errorf("fetched %d, %s of a group that nobody knows", got, code)
			}
			commits := w.store.commits
			if code := w.commitCode(w.commit(9, "g", id, 1, "t0", 3)); code != wire.CoordinatorNotAvailable || w.store.commits != commits {
				t.Errorf("commit: %s, after %d writes", code, w.store.commits-commits)
			}
			if code := w.heartbeat("g", id, 1); code != wire.None {
				t.Errorf("heartbeat: %s", code)
			}
			w.store.set(func(f *flaky) { f.readErr = nil })
			time.Sleep(2 * lookAgain)
			synctest.Wait()
			want := map[fault]int64{loses: 1, persists: 2}[what]
			w.wantOffset("g", "t0", want)
			if code := w.commitCode(w.commit(9, "g", id, 1, "t0", 4)); code != wire.None {
				t.Errorf("commit: %s", code)
			}
			w.checkStored()
		})
	}
}

// TestOtherWriter: a second process takes the group over. The first finds out
// at its next write, answers NOT_COORDINATOR and takes what the store has; its
// other groups are not concerned.
func TestOtherWriter(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		id := w.single("g")
		w.simple("mine", "t0", 1)
		taken, _, _, err := w.readAll("g")
		if err != nil {
			t.Fatal(err)
		}
		taken.Value = []byte(`{"type":"classic","protocol_type":"consumer","generation":41,"since_ms":0}`)
		off := storage.Item{Key: offsetKey{topicID(0), 0}.key("g"), Value: []byte(`{"offset":77,"leader_epoch":-1,"metadata":"","commit_ms":0}`)}
		if err := w.store.Engine.Commit(t.Context(), storage.Write{Set: []storage.Item{taken, off}}); err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		w.store.set(func(f *flaky) { f.gate = gate })
		first := w.commit(9, "mine", "", -1, "t0", 2)
		synctest.Wait()
		joining := w.join(9, "g", "c", id, nil) // the leader: a rebalance, which it completes
		lost, kept := w.commit(9, "g", "", -1, "t0", 5), w.commit(9, "mine", "", -1, "t0", 3)
		syncing := w.sync("g", id, 2, map[string][]byte{id: assignment("t0", 0)})
		close(gate)
		await[*kmsg.JoinGroupResponse](w, joining)
		if code := wire.Code(await[*kmsg.SyncGroupResponse](w, syncing).ErrorCode); code != wire.NotCoordinator {
			t.Errorf("sync: %s", code)
		}
		w.commitCode(first)
		w.commitCode(lost)
		if code := w.commitCode(kept); code != wire.None {
			t.Errorf("commit of another group: %s", code)
		}
		w.wantOffset("mine", "t0", 3)
		w.wantOffset("g", "t0", 77)
		if s, _ := w.Group("g"); s.Generation != 41 || s.State != "Empty" {
			t.Errorf("got %+v", s)
		}
		if code := w.simple("g", "t0", 78); code != wire.None {
			t.Errorf("commit to the group as it is now: %s", code)
		}
		w.checkStored()
	})
}

func (w *world) readAll(group string) (storage.Item, map[offsetKey]offset, string, error) {
	it, offsets, err := w.readGroup(context.Background(), group)
	return it, offsets, group, err
}

const onePartition = `[{"topic":"aa000000000000000000000000000001","partitions":[7]}]`

// TestDamaged refuses to start on items that cannot be.
func TestDamaged(t *testing.T) {
	good := `{"type":"classic","generation":1}`
	for name, items := range map[string]map[string]string{
		"group":              {"group/g": "?"},
		"no leader":          {"group/g": `{"type":"classic","leader":"x","members":[{"id":"a"}]}`},
		"member twice":       {"group/g": `{"type":"classic","leader":"a","members":[{"id":"a"},{"id":"a"}]}`},
		"no timeouts":        {"group/g": `{"type":"classic","leader":"a","members":[{"id":"a"}]}`},
		"offset":             {"group/g": good, offsetKey{topicID(1), 0}.key("g"): "?"},
		"key":                {"group/g": good, "offset/g/1": "{}"},
		"topic id":           {"group/g": good, "offset/g/xx/1": "{}"},
		"partition":          {"group/g": good, "offset/g/" + topicID(1).String() + "/x": "{}"},
		"consumer twice":     {"group/g": `{"type":"consumer","consumers":[{"id":"a"},{"id":"a"}]}`},
		"epochs":             {"group/g": `{"type":"consumer","generation":1,"assignment_epoch":2}`},
		"member's epoch":     {"group/g": `{"type":"consumer","generation":1,"assignment_epoch":1,"consumers":[{"id":"a","epoch":2}]}`},
		"two owners":         {"group/g": `{"type":"consumer","consumers":[{"id":"a","assigned":` + onePartition + `},{"id":"b","revoking":` + onePartition + `}]}`},
		"partition below 0":  {"group/g": strings.ReplaceAll(`{"type":"consumer","consumers":[{"id":"a","assigned":`+onePartition+`}]}`, "[7]", "[-1]")},
		"state of a member":  {"group/g": `{"type":"consumer","consumers":[{"id":"a","state":"lost"}]}`},
		"unknown type":       {"group/g": `{"type":"share"}`},
		"offset of no group": {offsetKey{topicID(1), 0}.key("h"): "{}"},
	} {
		bubble(t, nil, func(t *testing.T, w *world) {
			w.stop()
			var write storage.Write
			for key, value := range items {
				write.Set = append(write.Set, storage.Item{Key: key, Value: []byte(value)})
			}
			if err := w.store.Commit(t.Context(), write); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), w.cfg); !errors.Is(err, storage.ErrBroken) {
				t.Errorf("%s: got %v, want ErrBroken", name, err)
			}
		})
	}
}

// TestWhileDeleting: a group whose deletion is on its way is out of service,
// and a new one of its name begins afresh.
func TestWhileDeleting(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.simple("g", "t0", 1)
		gate := make(chan struct{})
		w.store.set(func(f *flaky) { f.gate = gate })
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Groups = []string{"g"}
		deleting := w.Delete(req)
		synctest.Wait()
		if got := w.state("g"); got != "Dead" {
			t.Errorf("it is %s", got)
		}
		if code := w.simple("g", "t0", 2); code != wire.CoordinatorNotAvailable {
			t.Errorf("commit: %s", code)
		}
		join := await[*kmsg.JoinGroupResponse](w, w.join(3, "g", "c", "", nil))
		if code := wire.Code(join.ErrorCode); code != wire.CoordinatorNotAvailable {
			t.Errorf("join: %s", code)
		}
		if code := w.deleteGroup("g"); code != wire.GroupIDNotFound {
			t.Errorf("second deletion: %s", code)
		}
		close(gate)
		if code := wire.Code(await[*kmsg.DeleteGroupsResponse](w, deleting).Groups[0].ErrorCode); code != wire.None {
			t.Errorf("deletion: %s", code)
		}
		if code := w.simple("g", "t1", 3); code != wire.None {
			t.Errorf("commit afterwards: %s", code)
		}
		w.wantOffset("g", "t0", -1)
		w.wantOffset("g", "t1", 3)
		w.checkStored()
	})
}
