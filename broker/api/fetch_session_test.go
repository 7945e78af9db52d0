package api

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// askFor is a Fetch of partitions 0 to n-1 of topic "t".
func askFor(version int16, id, epoch, n int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.SessionID, req.SessionEpoch = version, id, epoch
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic = "t"
	for i := range n {
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition = i
		rt.Partitions = append(rt.Partitions, rp)
	}
	if n > 0 {
		req.Topics = append(req.Topics, rt)
	}
	return req
}

// play is a whole turn in which no partition holds anything.
func (s *sessions) play(t *testing.T, req *kmsg.FetchRequest, nowMs int64) (id int32, answered int, code wire.Code) {
	t.Helper()
	tn, code := s.begin(req, nowMs)
	if code != wire.None {
		return 0, 0, code
	}
	parts := make([]*fetching, len(tn.wanted))
	for i, w := range tn.wanted {
		parts[i] = &fetching{wanted: w, resp: kmsg.NewFetchResponseTopicPartition()}
	}
	news, id, code := s.end(tn, req, parts, nowMs)
	return id, len(news), code
}

// check compares what is counted with what is there.
func (s *sessions) check(t *testing.T) {
	t.Helper()
	n := 0
	for id, e := range s.byID {
		if e.id != id || id <= 0 || e.size != len(e.parts) || len(e.order) != len(e.parts) {
			t.Errorf("session %d has id %d, %d partitions, %d counted, %d in order", id, e.id, len(e.parts), e.size, len(e.order))
		}
		n += e.size
	}
	if n != s.parts {
		t.Errorf("%d partitions are counted, there are %d", s.parts, n)
	}
}

// TestSessionEviction fills all slots: young sessions keep theirs, idle ones
// make room for any, old ones for larger ones.
func TestSessionEviction(t *testing.T) {
	var s sessions
	var ids []int32
	for i := range maxSessions {
		id, n, code := s.play(t, askFor(12, 0, 0, 2), int64(i))
		if id == 0 || n != 2 || code != wire.None || slices.Contains(ids, id) {
			t.Fatalf("session %d: id %d, %d answered, %v", i, id, n, code)
		}
		ids = append(ids, id)
	}
	if id, n, _ := s.play(t, askFor(12, 0, 0, 100), 2000); id != 0 || n != 100 {
		t.Errorf("no room: id %d, %d answered, want no session and a whole answer", id, n)
	}
	// All are used again, but for the first; two minutes later it is idle.
	for i, id := range ids[1:] {
		if got, n, code := s.play(t, askFor(12, id, 1, 0), 10_000); got != id || n != 0 || code != wire.None {
			t.Fatalf("session %d goes on: id %d, %d answered, %v", i+1, got, n, code)
		}
	}
	if id, _, _ := s.play(t, askFor(12, 0, 0, 1), sessionEvictionMs+1000); id == 0 {
		t.Error("the idle session does not make room")
	}
	if _, _, code := s.play(t, askFor(12, ids[0], 1, 0), sessionEvictionMs+1000); code != wire.FetchSessionIDNotFound {
		t.Errorf("the idle session is still there: %v", code)
	}
	// The others are old enough to give way to a larger one, or an equal one.
	if id, _, _ := s.play(t, askFor(12, 0, 0, 1), sessionEvictionMs+2000); id != 0 {
		t.Error("a smaller session drove out a larger one")
	}
	if id, _, _ := s.play(t, askFor(12, 0, 0, 2), sessionEvictionMs+2000); id == 0 {
		t.Error("an old session does not make room for another of its size")
	}
	if len(s.byID) != maxSessions {
		t.Errorf("%d sessions", len(s.byID))
	}
	s.check(t)
}

// TestSessionPartitions: the partitions of all sessions have a limit, for new
// sessions and for growing ones.
func TestSessionPartitions(t *testing.T) {
	var s sessions
	const half = maxSessionPartitions / 2
	a, _, _ := s.play(t, askFor(12, 0, 0, half), 0)
	b, _, _ := s.play(t, askFor(12, 0, 0, half), 0)
	if c, n, _ := s.play(t, askFor(12, 0, 0, 1), 0); a == 0 || b == 0 || c != 0 || n != 1 {
		t.Errorf("ids %d, %d, %d; the third has no room", a, b, c)
	}
	req := askFor(12, a, 1, 0)
	req.Topics = append(req.Topics, askFor(12, 0, 0, half+1).Topics...)
	if _, _, code := s.play(t, req, 0); code != wire.FetchSessionIDNotFound {
		t.Errorf("a session grew past the limit: %v", code)
	}
	s.check(t)
	if c, _, _ := s.play(t, askFor(12, 0, 0, 1), 0); c == 0 {
		t.Error("what the ended session held is not free")
	}
	s.check(t)
}

// TestSessionEpochs goes from epoch to epoch, over the end, and refuses all
// others.
func TestSessionEpochs(t *testing.T) {
	var s sessions
	id, _, _ := s.play(t, askFor(12, 0, 0, 1), 0)
	e := s.byID[id]
	e.epoch = math.MaxInt32
	for _, c := range []struct {
		version   int16
		id, epoch int32
		code      wire.Code
	}{
		{12, id, 1, wire.InvalidFetchSessionEpoch},
		{12, id, math.MaxInt32 - 1, wire.InvalidFetchSessionEpoch},
		{13, id, math.MaxInt32, wire.FetchSessionTopicIDError},
		{12, id + 1, math.MaxInt32, wire.FetchSessionIDNotFound},
		{12, id, math.MaxInt32, wire.None},
		{12, id, math.MaxInt32, wire.InvalidFetchSessionEpoch},
		{12, id, 1, wire.None},
		{12, id, -2, wire.InvalidFetchSessionEpoch},
	} {
		if _, _, code := s.play(t, askFor(c.version, c.id, c.epoch, 0), 0); code != c.code {
			t.Errorf("v%d id %d epoch %d: %v, want %v", c.version, c.id, c.epoch, code, c.code)
		}
	}
	// Somebody else goes on with the session while an answer is made.
	req := askFor(12, id, 2, 0)
	tn, code := s.begin(req, 0)
	if code != wire.None {
		t.Fatal(code)
	}
	if _, _, code := s.play(t, askFor(12, id, 3, 0), 0); code != wire.None {
		t.Fatal(code)
	}
	if _, _, code := s.end(tn, req, nil, 0); code != wire.InvalidFetchSessionEpoch {
		t.Errorf("a late answer: %v", code)
	}
	// A full request ends the session it names, whether it opens another or not.
	next, _, _ := s.play(t, askFor(12, id, 0, 1), 0)
	if next == id || s.byID[id] != nil {
		t.Errorf("session %d is still there after %d", id, next)
	}
	if got, n, _ := s.play(t, askFor(12, next, -1, 1), 0); got != 0 || n != 1 || len(s.byID) != 0 {
		t.Errorf("the last request: id %d, %d answered, %d sessions left", got, n, len(s.byID))
	}
	s.check(t)
}

// TestSessionForget takes partitions out, and ends with the last.
func TestSessionForget(t *testing.T) {
	var s sessions
	id, _, _ := s.play(t, askFor(12, 0, 0, 3), 0)
	forget := func(epoch int32, partitions ...int32) *kmsg.FetchRequest {
		req := askFor(12, id, epoch, 0)
		f := kmsg.NewFetchRequestForgottenTopic()
		f.Topic, f.Partitions = "t", partitions
		req.ForgottenTopics = append(req.ForgottenTopics, f)
		return req
	}
	if got, n, code := s.play(t, forget(1, 1, 7), 0); got != id || n != 0 || code != wire.None {
		t.Fatalf("id %d, %d answered, %v", got, n, code)
	}
	s.check(t)
	order := fmt.Sprint(s.byID[id].order[0].partition, s.byID[id].order[1].partition)
	if len(s.byID[id].parts) != 2 || order != "0 2" {
		t.Errorf("%d partitions left: %s", len(s.byID[id].parts), order)
	}
	if got, n, code := s.play(t, forget(2, 0, 2), 0); got != 0 || n != 0 || code != wire.None || len(s.byID) != 0 {
		t.Errorf("the last ones: id %d, %d answered, %v, %d sessions", got, n, code, len(s.byID))
	}
	s.check(t)
}
