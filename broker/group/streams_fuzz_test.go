package group

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/wire"
)

// FuzzStreamsHeartbeat: no request brings a streams group down, alone or after
// another, and what it comes to can be stored and read.
func FuzzStreamsHeartbeat(f *testing.F) {
	process := "p"
	seed := kmsg.NewStreamsGroupHeartbeatRequest()
	seed.Version, seed.Group, seed.MemberID, seed.ProcessID, seed.RebalanceTimeoutMillis = 1, "g", "m", &process, 1000
	f.Add(seed.AppendTo(nil))
	s := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
	s.SubtopologyID, s.SourceTopics, s.RepartitionSinkTopics = "0", []string{"t0"}, []string{"t2"}
	s.StateChangelogTopics, s.RepartitionSourceTopics = []kmsg.TopicInfo{{Topic: "t1"}}, []kmsg.TopicInfo{{Topic: "t2", NumPartitions: 4}}
	s.CopartitionGroups = []kmsg.StreamsGroupHeartbeatRequestTopologySubtopologyCopartitionGroup{{SourceTopics: []int16{0}, RepartitionSourceTopics: []int16{0}}}
	seed.Topology = &kmsg.StreamsGroupHeartbeatRequestTopology{Subtopologies: []kmsg.StreamsGroupHeartbeatRequestTopologySubtopology{s}}
	seed.UserEndpoint = &kmsg.StreamsGroupHeartbeatRequestUserEndpoint{Host: "h", Port: 1}
	f.Add(seed.AppendTo(nil))
	joins := seed
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := wire.Decode(wire.Request{Key: joins.Key(), Version: 1, Body: b})
		if err != nil {
			return
		}
		req := body.(*kmsg.StreamsGroupHeartbeatRequest)
		store := memory.New()
		cfg := Config{Commit: store.Commit, Store: store, Topics: &someTopics{}}
		undelayed(&cfg)
		c, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		req.Group = "g"
		c.StreamsMissing(req)
		c.StreamsHeartbeat(Client{}, req)
		c.StreamsHeartbeat(Client{}, &joins)
		c.StreamsHeartbeat(Client{}, req)
		e, code := c.acquire("g", false)
		if code != wire.None {
			return
		}
		defer e.mu.Unlock()
		if m, ok := e.machine.(*streaming); ok {
			if err := m.snapshot().checkStreams(); err != nil {
				t.Error(err)
			}
		}
	})
}
