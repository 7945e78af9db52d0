package group

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// TestLife takes a group of two through everything, as a client sees it.
func TestLife(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		first := await[*kmsg.JoinGroupResponse](w, w.join(9, "g", "a", "", nil))
		if wire.Code(first.ErrorCode) != wire.MemberIDRequired || first.MemberID != "a-1" || first.Generation != -1 || first.Protocol != nil {
			t.Fatalf("got %+v", first)
		}
		a := await[*kmsg.JoinGroupResponse](w, w.join(9, "g", "a", "a-1", nil))
		if a.ErrorCode != 0 || a.LeaderID != "a-1" || a.Generation != 1 || *a.ProtocolType != "consumer" || *a.Protocol != "range" || len(a.Members) != 1 {
			t.Fatalf("got %+v", a)
		}
		joinB := w.join(0, "g", "b", "", func(r *kmsg.JoinGroupRequest) { r.RebalanceTimeoutMillis = -1 })
		if got := w.heartbeat("g", "a-1", 1); got != wire.RebalanceInProgress {
			t.Errorf("heartbeat: %s", got)
		}
		joinA := w.join(9, "g", "a", "a-1", nil)
		a, b := await[*kmsg.JoinGroupResponse](w, joinA), await[*kmsg.JoinGroupResponse](w, joinB)
		if len(a.Members) != 2 || len(b.Members) != 0 || b.LeaderID != "a-1" || b.MemberID != "b-2" || b.Generation != 2 {
			t.Fatalf("got %+v and %+v", a, b)
		}
		syncB := w.sync("g", "b-2", 2, nil)
		syncA := w.sync("g", "a-1", 2, map[string][]byte{"a-1": assignment("t0", 0, 1)})
		sa, sb := await[*kmsg.SyncGroupResponse](w, syncA), await[*kmsg.SyncGroupResponse](w, syncB)
		if string(sa.MemberAssignment) != string(assignment("t0", 0, 1)) {
			t.Errorf("a is assigned %q", sa.MemberAssignment)
		}
		var empty kmsg.ConsumerMemberAssignment
		if err := empty.ReadFrom(sb.MemberAssignment); err != nil || len(empty.Topics) != 0 {
			t.Errorf("b, who got nothing, cannot read its assignment %q: %v", sb.MemberAssignment, err)
		}
		if got := w.commitCode(w.commit(9, "g", "b-2", 2, "t1", 40)); got != wire.None {
			t.Errorf("commit: %s", got)
		}
		w.wantOffset("g", "t1", 40)
		w.checkStored()
		leave := kmsg.NewPtrLeaveGroupRequest()
		leave.Version, leave.Group = 5, "g"
		for _, id := range []string{"a-1", "b-2", "c-3"} {
			m := kmsg.NewLeaveGroupRequestMember()
			m.MemberID = id
			leave.Members = append(leave.Members, m)
		}
		left := await[*kmsg.LeaveGroupResponse](w, w.Leave(leave))
		if left.ErrorCode != 0 || len(left.Members) != 3 || left.Members[0].ErrorCode != 0 || wire.Code(left.Members[2].ErrorCode) != wire.UnknownMemberID {
			t.Errorf("got %+v", left)
		}
		w.checkStored()
		w.wantOffset("g", "t1", 40)
		if got := w.deleteGroup("g"); got != wire.None {
			t.Errorf("delete: %s", got)
		}
		w.wantOffset("g", "t1", -1)
		if got := w.deleteGroup("g"); got != wire.GroupIDNotFound {
			t.Errorf("second deletion: %s", got)
		}
		w.checkStored()
	})
}

// TestRefusals lists answers that need no group, or no live one.
func TestRefusals(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		join := func(group, id string) wire.Code {
			return wire.Code(await[*kmsg.JoinGroupResponse](w, w.join(9, group, "a", id, nil)).ErrorCode)
		}
		sync := func(group string) wire.Code {
			return wire.Code(await[*kmsg.SyncGroupResponse](w, w.sync(group, "m", 1, nil)).ErrorCode)
		}
		leave := func(version int16, group string) (wire.Code, int) {
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Version, req.Group, req.MemberID = version, group, "m"
			req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: "m"}}
			resp := await[*kmsg.LeaveGroupResponse](w, w.Leave(req))
			return wire.Code(resp.ErrorCode), len(resp.Members)
		}
		leaveOld, _ := leave(1, "none")
		leaveNew, members := leave(4, "none")
		leaveEmpty, _ := leave(4, "")
		for _, tt := range []struct {
			name      string
			got, want wire.Code
		}{
			{"join without group id", join("", ""), wire.InvalidGroupID},
			{"join with a long one", join(strings.Repeat("g", maxGroupID+1), ""), wire.InvalidGroupID},
			{"join as nobody", join("none", "m"), wire.UnknownMemberID},
			{"sync without group id", sync(""), wire.InvalidGroupID},
			{"sync in none", sync("none"), wire.UnknownMemberID},
			{"heartbeat without group id", w.heartbeat("", "m", 1), wire.InvalidGroupID},
			{"heartbeat in none", w.heartbeat("none", "m", 1), wire.UnknownMemberID},
			{"leave v1", leaveOld, wire.UnknownMemberID},
			{"leave v4", leaveNew, wire.None},
			{"leave without group id", leaveEmpty, wire.InvalidGroupID},
			{"delete none", w.deleteGroup("none"), wire.GroupIDNotFound},
			{"commit v8 in none", w.commitCode(w.commit(8, "none", "m", 3, "t0", 1)), wire.IllegalGeneration},
			{"commit v9 in none", w.commitCode(w.commit(9, "none", "m", 3, "t0", 1)), wire.GroupIDNotFound},
		} {
			if tt.got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, tt.got, tt.want)
			}
		}
		if members != 1 {
			t.Errorf("leave v4 answers for %d members", members)
		}
		if got := len(w.Groups()); got != 0 {
			t.Errorf("refusals left %d groups behind", got)
		}
		w.single("g")
		if got := w.deleteGroup("g"); got != wire.NonEmptyGroup {
			t.Errorf("delete a live group: %s", got)
		}
	})
}

// TestSessionsExpire runs the clock: one member heartbeats, the other is gone.
func TestSessionsExpire(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		id := w.single("g")
		for range 10 {
			time.Sleep(8 * time.Second)
			if got := w.heartbeat("g", id, 1); got != wire.None {
				t.Fatalf("heartbeat: %s", got)
			}
		}
		time.Sleep(9999 * time.Millisecond)
		synctest.Wait()
		if got := w.state("g"); got != "Stable" {
			t.Errorf("%s before the session ends", got)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got := w.state("g"); got != "Empty" {
			t.Errorf("%s after the session ended", got)
		}
		if got := w.heartbeat("g", id, 1); got != wire.UnknownMemberID {
			t.Errorf("heartbeat: %s", got)
		}
		w.checkStored()
	})
}

// TestUnusedID forgets a group whose only member never came back with its id.
func TestUnusedID(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		await[*kmsg.JoinGroupResponse](w, w.join(5, "g", "a", "", nil))
		if got := w.state("g"); got != "Empty" {
			t.Errorf("got %s", got)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got := w.state("g"); got != "none" {
			t.Errorf("got %s", got)
		}
	})
}

func TestInitialRebalanceDelay(t *testing.T) {
	bubble(t, func(c *Config) { c.InitialRebalanceDelay = 0 }, func(t *testing.T, w *world) {
		start := time.Now()
		a := w.join(3, "g", "a", "", nil)
		time.Sleep(2 * time.Second)
		b := w.join(3, "g", "b", "", nil)
		if got := await[*kmsg.JoinGroupResponse](w, a); len(got.Members) != 2 {
			t.Errorf("got %+v", got)
		}
		await[*kmsg.JoinGroupResponse](w, b)
		if got := time.Since(start); got != 6*time.Second {
			t.Errorf("took %v, want 3 s, and 3 s more for the second", got)
		}
	})
}

// TestStop releases whoever waits, and a Wait ends with its context.
func TestStop(t *testing.T) {
	bubble(t, func(c *Config) { c.InitialRebalanceDelay = time.Hour }, func(t *testing.T, w *world) {
		wait := w.join(3, "g", "a", "", nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		got := make(chan error)
		go func() {
			_, err := wait(context.Background())
			got <- err
		}()
		synctest.Wait()
		w.stop()
		if err := <-got; !errors.Is(err, ErrStopped) {
			t.Errorf("got %v, want ErrStopped", err)
		}
	})
}

// TestRestart brings back members, assignment, offsets; sessions begin anew.
func TestRestart(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		id := w.single("g")
		w.commitCode(w.commit(9, "g", id, 1, "t0", 5))
		w.simple("a/b", "t1", 6)
		w.simple("a", "t1", 7)
		w.simple("", "t2", 8)
		time.Sleep(9 * time.Second)
		before := w.Groups()
		w.restart()
		w.wantOffset("g", "t0", 5)
		w.wantOffset("a/b", "t1", 6)
		w.wantOffset("a", "t1", 7)
		w.wantOffset("", "t2", 8)
		s, _ := w.Group("g")
		if len(s.Members) != 1 || s.Generation != 1 || s.Leader != id || !slices.Equal(s.Members[0].Partitions["t0"], []int32{0, 1}) {
			t.Errorf("got %+v, was %+v", s, before)
		}
		time.Sleep(9 * time.Second)
		if got := w.heartbeat("g", id, 1); got != wire.None {
			t.Errorf("heartbeat after the restart: %s", got)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got := w.state("g"); got != "Empty" {
			t.Errorf("%s after the session ended", got)
		}
	})
}

func TestDescribeAndList(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		id := w.single("live")
		w.simple("simple", "t0", 1)
		describe := func(version int16, names ...string) []kmsg.DescribeGroupsResponseGroup {
			req := kmsg.NewPtrDescribeGroupsRequest()
			req.Version, req.Groups = version, names
			return await[*kmsg.DescribeGroupsResponse](w, w.Describe(req)).Groups
		}
		got := describe(6, "live", "simple", "none")
		if live := got[0]; live.State != "Stable" || live.Protocol != "range" || live.ProtocolType != "consumer" ||
			len(live.Members) != 1 || live.Members[0].MemberID != id || live.Members[0].ClientHost != "/127.0.0.1" ||
			string(live.Members[0].ProtocolMetadata) != string(subscription("t0", "t1")) || live.AuthorizedOperations != -2147483648 {
			t.Errorf("got %+v", live)
		}
		if got[1].State != "Empty" || got[1].ErrorCode != 0 || got[2].State != "Dead" || wire.Code(got[2].ErrorCode) != wire.GroupIDNotFound {
			t.Errorf("got %+v", got[1:])
		}
		if old := describe(5, "none")[0]; old.State != "Dead" || old.ErrorCode != 0 {
			t.Errorf("v5 of no group: %+v", old)
		}
		for _, tt := range []struct{ states, types, want string }{
			{"", "", "live simple"}, {"stable", "", "live"}, {"Empty,Dead", "CLASSIC", "simple"}, {"", "share", ""},
		} {
			req := kmsg.NewPtrListGroupsRequest()
			req.Version = 5
			if tt.states != "" {
				req.StatesFilter = strings.Split(tt.states, ",")
			}
			if tt.types != "" {
				req.TypesFilter = strings.Split(tt.types, ",")
			}
			var names []string
			for _, g := range await[*kmsg.ListGroupsResponse](w, w.List(req)).Groups {
				names = append(names, g.Group)
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("states %q types %q: got %q, want %q", tt.states, tt.types, got, tt.want)
			}
		}
	})
}
