package group

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/streams"
)

// FuzzSubscription holds the parser to kmsg's: what both take, they read alike.
func FuzzSubscription(f *testing.F) {
	f.Add(subscription("a", "b"))
	f.Add([]byte{0, 0, 0x7f, 0xff, 0xff, 0xff})
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := parseSubscription(b)
		var want kmsg.ConsumerMemberMetadata
		if len(b) > 1<<10 || want.ReadFrom(b) != nil {
			return // kmsg may allocate much for what is long
		}
		if ok && !slices.Equal(got.topics, want.Topics) {
			t.Errorf("got %q, kmsg reads %q", got.topics, want.Topics)
		}
		owned := map[string][]int32{}
		for _, o := range want.OwnedPartitions {
			if len(o.Partitions) > 0 {
				owned[o.Topic] = append(owned[o.Topic], o.Partitions...)
			}
		}
		if ok && got.sound && fmt.Sprint(got.owned) != fmt.Sprint(owned) {
			t.Errorf("owned are %v, kmsg reads %v", got.owned, owned)
		}
		if !ok && want.Version >= 0 {
			t.Errorf("refused what kmsg reads as %+v", want)
		}
	})
}

// FuzzAssignment does the same for assignments.
func FuzzAssignment(f *testing.F) {
	f.Add(assignment("a", 1, 2))
	f.Add(noPartitions())
	f.Add([]byte{0, 0, 0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := parseAssignment(b)
		var m kmsg.ConsumerMemberAssignment
		if len(b) > 1<<10 || m.ReadFrom(b) != nil {
			return
		}
		want := map[string][]int32{}
		for _, mt := range m.Topics {
			if len(mt.Partitions) > 0 {
				want[mt.Topic] = append(want[mt.Topic], mt.Partitions...)
			}
		}
		if ok && !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, kmsg reads %v", got, want)
		}
		if !ok && m.Version >= 0 {
			t.Errorf("refused what kmsg reads as %+v", m)
		}
	})
}

// FuzzDecode: no stored bytes bring a start down.
func FuzzDecode(f *testing.F) {
	f.Add("offset/g/"+topicID(1).String()+"/0", []byte(`{"offset":1}`))
	f.Add("group/g", []byte(`{"type":"classic","leader":"a","members":[{"id":"a","session_ms":1,"rebalance_ms":1}]}`))
	f.Add("group/g", []byte(`{"type":"consumer","generation":2,"assignment_epoch":2,"consumers":[{"id":"a","epoch":1,"state":"unrevoked","revoking":`+
		onePartition+`,"classic":{"session_ms":1,"protocols":[{"name":"range"}]},"rebalance_ms":1}]}`))
	f.Add("group/g", []byte(`{"type":"streams","streams":{"epoch":3,"assignment_epoch":3,"topology":{"subtopologies":[{"id":"0","sources":["t0"]}]},`+
		`"members":[{"id":"a","epoch":3,"state":"stable","assigned":{"active":[{"subtopology":"0","partitions":[1]}]}}]}}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		it := storageItem(key, value)
		if group, k, o, err := decodeOffset(it); err == nil {
			again, k2, _, err := decodeOffset(storageItem(k.key(group), value))
			if err != nil || again != group || k2 != k {
				t.Errorf("%q: %v %v %v", key, o, k2, err)
			}
		}
		if _, g, err := decodeGroup(it); err == nil && g.Type == typeConsumer {
			m := newModern(rules{}, &sizedTopics{}, func() consumerSettings { return consumerSettings{session: 1} }, fixedTime)
			m.restore(fixedTime, g)
			if got := m.snapshot(); len(got.Consumers) != len(g.Consumers) || got.checkConsumers() != nil {
				t.Errorf("%+v became %+v", g, got)
			}
		} else if err == nil && g.Type == typeStreams {
			settings := func() streams.Settings { return streams.Settings{Session: 1} }
			m := streams.New(9, &sizedTopics{sizes: map[string]int32{"t0": 2}}, settings, fixedTime)
			m.Restore(fixedTime, g.Streams)
			m.Describe()
			m.Beat(fixedTime, streams.Beat{ID: "a", Epoch: 3, Rebalance: -1})
			if err := m.Item().Check(); err != nil {
				t.Errorf("%+v: %v", g.Streams, err)
			}
		} else if err == nil {
			m := restore(rules{}, fixedTime, g)
			if got := fmt.Sprint(m.snapshot().Leader); got != g.Leader && len(g.Members) > 0 {
				t.Errorf("leader %q became %q", g.Leader, got)
			}
		}
	})
}
