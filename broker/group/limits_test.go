package group

import (
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// machineReplies runs f on a machine whose only member A has joined, and gives
// the codes of the joins and syncs it answered.
func machineReplies(t *testing.T, f func(m *machine, now time.Time)) []wire.Code {
	t.Helper()
	m := newMachine(rules{maxSession: time.Hour, maxMembers: 10}, fixedTime)
	r := joinRequest{to: 1, version: 0, newID: "A", session: time.Minute, rebalance: time.Minute, protocolType: "consumer", protocols: []protocol{{"range", nil}}}
	m.join(fixedTime, r)
	m.take()
	f(m, fixedTime)
	var codes []wire.Code
	for _, e := range m.take() {
		switch a := e.answer.(type) {
		case joinReply:
			codes = append(codes, a.code)
		case syncReply:
			codes = append(codes, a.code)
		}
	}
	return codes
}

func TestGroupBytes(t *testing.T) {
	big := []protocol{{"range", make([]byte, maxGroupBytes-len("range"))}}
	join := joinRequest{to: 2, newID: "B", session: time.Minute, rebalance: time.Minute, protocolType: "consumer", protocols: big}
	got := machineReplies(t, func(m *machine, now time.Time) { m.join(now, join) })
	if len(got) != 1 || got[0] != wire.GroupMaxSizeReached {
		t.Errorf("a second member above the limit: got %v", got)
	}
	join.memberID, join.protocols = "A", []protocol{{"range", make([]byte, maxGroupBytes-len("range"))}}
	got = machineReplies(t, func(m *machine, now time.Time) { m.join(now, join) })
	if len(got) != 1 || got[0] != wire.None {
		t.Errorf("the only member at the limit: got %v", got)
	}
}

func TestAssignmentBytes(t *testing.T) {
	got := machineReplies(t, func(m *machine, now time.Time) {
		m.sync(now, syncRequest{to: 2, memberID: "A", generation: 1, assignments: map[string][]byte{"A": make([]byte, maxAssignmentBytes+1)}})
	})
	if len(got) != 1 || got[0] != wire.UnknownServerError {
		t.Errorf("got %v", got)
	}
}

func TestPendingLimit(t *testing.T) {
	got := machineReplies(t, func(m *machine, now time.Time) {
		r := joinRequest{version: 4, session: time.Minute, rebalance: time.Minute, protocolType: "consumer", protocols: []protocol{{"range", nil}}}
		for n := range maxPendingMembers + 1 {
			r.to, r.newID = token(n+2), strings.Repeat("x", n%7)+time.Duration(n).String()
			m.join(now, r)
		}
	})
	if last := got[len(got)-1]; last != wire.GroupMaxSizeReached || got[len(got)-2] != wire.MemberIDRequired {
		t.Errorf("got %v", got[len(got)-2:])
	}
}

// TestFullItemFits: a group at all limits at once is stored.
func TestFullItemFits(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		m := newMachine(w.rules, fixedTime)
		m.state, m.protocol = stable, "range"
		for n := range DefaultMaxMembers {
			mem := &member{id: strings.Repeat("m", 60) + time.Duration(n).String(), session: time.Second, rebalance: time.Second}
			mem.protocols = []protocol{{"range", make([]byte, maxGroupBytes/DefaultMaxMembers-len("range"))}}
			mem.assignment = make([]byte, maxAssignmentBytes/DefaultMaxMembers)
			m.insert(mem)
		}
		e, _ := w.acquire("g", true)
		e.queue = append(e.queue, &op{group: m.snapshot(), then: func(_ time.Time, code wire.Code) {
			if code != wire.None {
				t.Errorf("got %s", code)
			}
		}})
		w.release(e)
		w.stop()
		if got := len(w.Groups()); got != 1 {
			t.Fatalf("%d groups", got)
		}
	})
}
