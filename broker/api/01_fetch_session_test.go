package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// reader is a client with a fetch session.
type reader struct {
	*raw
	version   int16
	id, epoch int32
	maxBytes  int32
}

// ask sends the session's next request about partitions, "t/0@3" being
// partition 0 of topic t from offset 3 on, and "-t/0" being forgotten. It
// returns what is answered: "t/0 a b" for records, "t/0 hw=3" for none, "t/0 !3"
// for error 3.
func (s *reader) ask(topics map[string]*topic.Topic, words ...string) string {
	s.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.SessionID, req.SessionEpoch = s.maxBytes, s.id, s.epoch
	for _, w := range words {
		name, rest, _ := strings.Cut(strings.TrimPrefix(w, "-"), "/")
		var p int32
		var offset int64
		if n, err := fmt.Sscanf(rest, "%d@%d", &p, &offset); n == 0 {
			s.t.Fatal(w, err)
		}
		if w[0] == '-' {
			f := kmsg.NewFetchRequestForgottenTopic()
			f.Topic, f.TopicID, f.Partitions = name, topics[name].ID, []int32{p}
			req.ForgottenTopics = append(req.ForgottenTopics, f)
			continue
		}
		req.Topics = append(req.Topics, fetchFrom(topics[name], p, offset).Topics...)
	}
	resp := do[*kmsg.FetchResponse](s.raw, s.version, req)
	if resp.ErrorCode != 0 {
		return fmt.Sprintf("!%d", resp.ErrorCode)
	}
	if s.id = resp.SessionID; s.epoch >= 0 && s.id != 0 {
		s.epoch++
	}
	var out []string
	for _, st := range resp.Topics {
		name := st.Topic
		for n, t := range topics {
			if t.ID == st.TopicID {
				name = n
			}
		}
		for _, p := range st.Partitions {
			what := fmt.Sprintf("hw=%d", p.HighWatermark)
			if p.ErrorCode != 0 {
				what = fmt.Sprintf("!%d", p.ErrorCode)
			} else if v := values(s.t, p.RecordBatches, 0); len(v) > 0 {
				what = strings.Join(v, " ")
			}
			out = append(out, fmt.Sprintf("%s/%d %s", name, p.Partition, what))
		}
	}
	return strings.Join(out, ", ")
}

// TestFetchSession goes through a session in every version that has them.
func TestFetchSession(t *testing.T) {
	for v := int16(7); v <= 18; v++ {
		t.Run(fmt.Sprint("v", v), func(t *testing.T) {
			b := brokertest.New(t)
			w := dial(t, b)
			s := &reader{raw: dial(t, b), version: v, maxBytes: 1 << 20}
			topics := map[string]*topic.Topic{"t": create(t, b, "t", 2, nil), "u": create(t, b, "u", 1, nil)}
			step := func(want string, words ...string) {
				t.Helper()
				if got := s.ask(topics, words...); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			step("t/0 hw=0, t/1 hw=0, u/0 hw=0", "t/0@0", "t/1@0", "u/0@0")
			if s.id == 0 {
				t.Fatal("no session")
			}
			first := s.id
			step("")
			w.mustProduce(topics["t"], "a", "b")
			step("t/0 a b")
			step("t/0 a b") // nothing new was asked for
			step("", "t/0@2")
			w.mustProduce(topics["u"], "c")
			step("u/0 c")
			step("", "u/0@1")
			if _, err := b.Logs().Trim(t.Context(), tpOf(topics["t"], 0), 1); err != nil {
				t.Fatal(err)
			}
			step("t/0 hw=2") // the log's start has moved
			step("")
			step("t/1 !1", "t/1@9")
			step("t/1 !1")
			step("t/1 hw=0", "t/1@0") // well again
			step("", "-u/0")
			w.mustProduce(topics["u"], "d")
			step("")
			step("u/0 c d", "u/0@0", "-t/1") // as new
			missing := map[bool]string{true: "!100", false: "!3"}[v >= 13]
			topics["nope"] = &topic.Topic{Name: "nope", ID: [16]byte{7}}
			step("nope/0 "+missing, "nope/0@0", "u/0@2")
			step("nope/0 " + missing)
			step("", "-nope/0")
			if s.id != first {
				t.Errorf("the session has changed from %d to %d", first, s.id)
			}
			s.epoch--
			step("!71")
			s.epoch++
			step("", "-t/0", "-u/0") // none is left: the session ends
			if s.id != 0 {
				t.Errorf("session %d without partitions", s.id)
			}
			s.id = first
			step("!70")
		})
	}
}

// TestFetchSessionTopicMadeAnew: by id a topic that was made anew is another
// one, and the old one is gone.
func TestFetchSessionTopicMadeAnew(t *testing.T) {
	b := brokertest.New(t)
	w := dial(t, b)
	s := &reader{raw: dial(t, b), version: 18, maxBytes: 1 << 20}
	old := create(t, b, "t", 1, nil)
	topics := map[string]*topic.Topic{"old": old}
	if got := s.ask(topics, "old/0@0"); got != "old/0 hw=0" {
		t.Fatal(got)
	}
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.TopicNames = []string{"t"}
	if code := do[*kmsg.DeleteTopicsResponse](w, 5, del).Topics[0].ErrorCode; code != 0 {
		t.Fatal(wire.Code(code))
	}
	topics["new"] = create(t, b, "t", 1, nil)
	w.mustProduce(topics["new"], "n")
	if got := s.ask(topics); got != "old/0 !100" {
		t.Errorf("the deleted topic: %q", got)
	}
	if got := s.ask(topics, "-old/0", "new/0@0"); got != "new/0 n" {
		t.Errorf("the new topic: %q", got)
	}
	if s.version = 12; s.ask(topics) != "!106" {
		t.Error("a request by name in a session by id is not refused")
	}
}

// TestFetchRotation: with room for one batch only, every partition gets its
// turn, and the first batch comes even if it is too large (KIP-74).
func TestFetchRotation(t *testing.T) {
	b := brokertest.New(t)
	w := dial(t, b)
	s := &reader{raw: dial(t, b), version: 18, maxBytes: 1}
	tp := create(t, b, "t", 3, nil)
	topics := map[string]*topic.Topic{"t": tp}
	for p := range int32(3) {
		one := batch(t, record.Options{}, fmt.Sprint("r", p))
		for range 2 {
			do[*kmsg.ProduceResponse](w, 13, produceTo(tp, p, slices.Clone(one)))
		}
	}
	if got := s.ask(topics, "t/0@0", "t/1@0", "t/2@0"); got != "t/0 r0, t/1 hw=2, t/2 hw=2" {
		t.Fatal(got)
	}
	// The client never moves on: the others are not kept waiting for it.
	var got []string
	for range 6 {
		got = append(got, s.ask(topics))
	}
	want := []string{"t/1 r1", "t/2 r2", "t/0 r0", "t/1 r1", "t/2 r2", "t/0 r0"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestFetchSessionWaits parks an incremental request on all of the session's
// partitions, not only on those it names.
func TestFetchSessionWaits(t *testing.T) {
	b := brokertest.New(t)
	w, r := dial(t, b), dial(t, b)
	tp := create(t, b, "t", 2, nil)
	req := fetchFrom(tp, 0, 0)
	req.Topics = append(req.Topics, fetchFrom(tp, 1, 0).Topics...)
	req.SessionEpoch, req.MaxWaitMillis = 0, 0
	first := do[*kmsg.FetchResponse](r, 18, req)
	next := kmsg.NewPtrFetchRequest()
	next.SessionID, next.SessionEpoch, next.MinBytes, next.MaxBytes, next.MaxWaitMillis = first.SessionID, 1, 1, 1<<20, 60_000
	next.SetVersion(18)
	r.send(next)
	w.mustProduce(tp, "a")
	begun := time.Now()
	resp := r.recv(next, r.next).(*kmsg.FetchResponse)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || len(resp.Topics[0].Partitions[0].RecordBatches) == 0 {
		t.Errorf("got %+v", resp)
	}
	if d := time.Since(begun); d > 20*time.Second {
		t.Errorf("waited %v", d)
	}
}

// TestFetchSessionKgo reads with franz-go, which keeps sessions by itself,
// while partitions come and go.
func TestFetchSessionKgo(t *testing.T) {
	b := brokertest.New(t)
	w := dial(t, b)
	tp := create(t, b, "t", 4, nil)
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.FetchMaxWait(200*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset().AtStart(), 1: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := 0
	put := func(p int32) {
		for range 3 {
			do[*kmsg.ProduceResponse](w, 13, produceTo(tp, p, batch(t, record.Options{}, "v")))
			want++
		}
	}
	got := map[string]int{}
	read := func() {
		t.Helper()
		for len(got) < want {
			fs := c.PollFetches(t.Context())
			if err := fs.Err(); err != nil {
				t.Fatal(err)
			}
			fs.EachRecord(func(r *kgo.Record) { got[fmt.Sprint(r.Partition, "@", r.Offset)]++ })
		}
	}
	put(0)
	put(1)
	read()
	c.AddConsumePartitions(map[string]map[int32]kgo.Offset{"t": {2: kgo.NewOffset().AtStart(), 3: kgo.NewOffset().AtStart()}})
	c.RemoveConsumePartitions(map[string][]int32{"t": {0}})
	put(2)
	put(3)
	put(1)
	read()
	for at, n := range got {
		if n != 1 {
			t.Errorf("%s came %d times", at, n)
		}
	}
}
