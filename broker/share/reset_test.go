package share

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/groupconfig"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestReset: share.auto.offset.reset says where a share-partition begins, once.
func TestReset(t *testing.T) {
	for reset, want := range map[string]int64{
		groupconfig.Earliest: 0, groupconfig.Latest: 6,
		"by_duration:PT30M": 4, "by_duration:P1D": 0, "by_duration:PT0S": 6,
	} {
		bubble(t, func(w *world) {
			w.set("g", groupconfig.ShareAutoOffsetReset, reset)
			w.produce(tp0, 4, record.Options{AppendTimeMs: time.Now().UnixMilli()})
			time.Sleep(time.Hour)
			w.produce(tp0, 2, record.Options{AppendTimeMs: time.Now().UnixMilli()})
			time.Sleep(time.Second)
			w.beat("g", "a", 0, "t0")
			w.fetch("a", fetchRequest("g", "a", 0, tp0))
			w.set("g", groupconfig.ShareAutoOffsetReset, groupconfig.Earliest) // too late
			w.restart()
			req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
			rg := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
			rg.GroupID = "g"
			req.Groups = append(req.Groups, rg)
			r := await[*kmsg.DescribeShareGroupOffsetsResponse](w, w.DescribeOffsets(req))
			if got := r.Groups[0].Topics[0].Partitions[0].StartOffset; got != want {
				t.Errorf("%s begins at %d, want %d", reset, got, want)
			}
		})
	}
}

// TestLostTopic: a topic is deleted, and the broker dies before the states of
// share groups are. The next start removes them.
func TestLostTopic(t *testing.T) {
	bubble(t, func(w *world) {
		w.prepare()
		w.kill()
		w.topics.gone["t0"] = true
		w.start()
		w.checkStored()
		for _, name := range []string{"g", "idle"} {
			if it, err := w.inner.Get(context.Background(), key{tp0.Topic, 0}.item(name)); err != nil || it.Version != 0 {
				t.Errorf("state of %s is left: version %d, %v", name, it.Version, err)
			}
		}
	})
}

// TestLimits: what is one too many is refused, and what is there goes on.
func TestLimits(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.MaxMembers, w.cfg.MaxSessions = 2, 2
		for i, want := range []wire.Code{0, 0, wire.GroupMaxSizeReached} {
			if r := w.beat("g", string('a'+rune(i)), 0, "t0"); wire.Code(r.ErrorCode) != want {
				t.Errorf("member %d: %s, want %s", i, wire.Code(r.ErrorCode), want)
			}
			want = []wire.Code{0, 0, wire.ShareSessionLimitReached}[i]
			if r := w.fetch("c", fetchRequest("g", string('a'+rune(i)), 0, tp0)); wire.Code(r.ErrorCode) != want {
				t.Errorf("session %d: %s, want %s", i, wire.Code(r.ErrorCode), want)
			}
		}
		if r := w.beat("g", "a", -1); r.ErrorCode != 0 {
			t.Errorf("leaving: %s", wire.Code(r.ErrorCode))
		}
		if r := w.beat("g", "c", 0, "t0"); r.ErrorCode != 0 {
			t.Errorf("joining again: %s", wire.Code(r.ErrorCode))
		}
		if r := w.fetch("c", fetchRequest("g", "c", 0, tp0)); r.ErrorCode != 0 {
			t.Errorf("a session again: %s", wire.Code(r.ErrorCode))
		}
	})
}

// TestSubscriptions: what members name has to fit the group's item.
func TestSubscriptions(t *testing.T) {
	bubble(t, func(w *world) {
		names := make([]string, maxSubscribed)
		for i := range names {
			names[i] = fmt.Sprintf("%0*d", maxTopicName, i)
		}
		last := wire.None
		for i := range defaultMaxMembers {
			if last = wire.Code(w.beat("g", fmt.Sprint(i), 0, names...).ErrorCode); last != wire.None {
				break
			}
		}
		if last != wire.InvalidRequest {
			t.Errorf("the last to join: %s", last)
		}
		if r := w.beat("g", "small", 0, "t0"); r.ErrorCode != 0 {
			t.Errorf("a small one: %s", wire.Code(r.ErrorCode))
		}
		w.checkStored()
	})
}

// TestOneSpaceOfNames: a name that another kind of group has is no share group's.
func TestOneSpaceOfNames(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.Names.Claim("theirs", "consumer")
		if r := w.beat("theirs", "a", 0, "t0"); wire.Code(r.ErrorCode) != wire.GroupIDNotFound || *r.ErrorMessage != "group theirs is not a share group" {
			t.Errorf("joining: %s", wire.Code(r.ErrorCode))
		}
		w.beat("ours", "a", 0, "t0")
		if w.cfg.Names.Claim("ours", "consumer") {
			t.Error("a share group's name is free")
		}
		w.beat("ours", "a", -1)
		if code, err := w.Delete("ours")(context.Background()); code != wire.None || err != nil {
			t.Errorf("deleting: %s, %v", code, err)
		}
		if !w.cfg.Names.Claim("ours", "consumer") {
			t.Error("a deleted share group's name is not free")
		}
	})
}
