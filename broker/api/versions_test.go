package api_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// call is an ordinary request of one API: fill gives the body what a client
// gives it, check looks at the answer's error codes and at what it holds.
type call struct {
	fill  func(w *world, req kmsg.Request)
	check func(w *world, resp kmsg.Response) (code int16, problem string)
}

// world is what the requests are about.
type world struct {
	topic   *topic.Topic // partition 0 holds five records in two batches
	version int16
	fresh   string // a name of its own for each request
	message []byte // one record in the format of the version
	client  *raw   // for what has to be asked before
}

// TestEveryVersion sends an ordinary request of every API in every version that
// is served; each must be answered, decodably and without an error.
func TestEveryVersion(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	w := &world{topic: create(t, b, "t", 2, nil), client: r}
	r.mustProduce(w.topic, "a", "b")
	r.mustProduce(w.topic, "c", "d", "e")
	table := calls()
	served := map[int16]bool{}
	for _, a := range wire.Served() {
		served[a.Key] = true
		c, ok := table[a.Key]
		if !ok {
			t.Errorf("no request of %s is tried", a.Name)
			continue
		}
		for v := a.Min; v <= a.Max; v++ {
			w.version, w.fresh = v, fmt.Sprintf("fresh-%d-%d", a.Key, v)
			create(t, b, w.fresh, 1, nil)
			w.message = batch(t, record.Options{}, "x")
			if v < 3 {
				w.message = messageSet(t, min(v, 1), w.message)
			}
			req := kmsg.RequestForKey(a.Key)
			req.SetVersion(v)
			if d, ok := req.(interface{ Default() }); ok {
				d.Default()
			}
			c.fill(w, req)
			resp := do[kmsg.Response](r, v, req)
			if code, problem := c.check(w, resp); code != 0 || problem != "" {
				t.Errorf("%s v%d: code %d %s", a.Name, v, code, problem)
			}
		}
	}
	for key := range table {
		if !served[key] {
			t.Errorf("a request of key %d is tried, which is not served", key)
		}
	}
}

// messageSet converts a batch to what clients before 0.11 send.
func messageSet(t *testing.T, version int16, b []byte) []byte {
	t.Helper()
	set, err := record.ToMessageSet(b, int8(version), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// on types a call.
func on[Q kmsg.Request, R kmsg.Response](fill func(w *world, q Q), check func(w *world, r R) (int16, string)) call {
	return call{
		fill:  func(w *world, req kmsg.Request) { fill(w, req.(Q)) },
		check: func(w *world, resp kmsg.Response) (int16, string) { return check(w, resp.(R)) },
	}
}

// want is "" if got is it.
func want[T comparable](got, it T) string {
	if got != it {
		return fmt.Sprintf("got %v, want %v", got, it)
	}
	return ""
}

func calls() map[int16]call {
	all := map[int16]call{}
	for _, part := range []map[int16]call{recordCalls(), groupCalls(), consumerCalls(), shareCalls(), streamsCalls(), topicCalls(), configCalls(), authCalls(), aclCalls(), txnCalls(), clusterCalls()} {
		for key, c := range part {
			all[key] = c
		}
	}
	return all
}

func recordCalls() map[int16]call {
	return map[int16]call{
		0: on(func(w *world, q *kmsg.ProduceRequest) {
			*q = *produceTo(w.topic, 1, w.message)
			q.SetVersion(w.version)
		},
			func(w *world, r *kmsg.ProduceResponse) (int16, string) {
				p := r.Topics[0].Partitions[0]
				return p.ErrorCode, want(p.BaseOffset, int64(w.version))
			}),
		1: on(func(w *world, q *kmsg.FetchRequest) { *q = *fetchFrom(w.topic, 0, 3); q.SetVersion(w.version) },
			func(w *world, r *kmsg.FetchResponse) (int16, string) {
				p := r.Topics[0].Partitions[0]
				if w.version < 4 {
					n := 0
					for range record.Messages(p.RecordBatches, 1<<20) {
						n++
					}
					return p.ErrorCode, want(n, 3) + want(p.HighWatermark, 5)
				}
				h, err := record.ParseHeader(p.RecordBatches)
				return p.ErrorCode, want(h.BaseOffset, 2) + want(err, nil) + want(p.HighWatermark, 5) + want(p.LastStableOffset, 5)
			}),
		2: on(func(w *world, q *kmsg.ListOffsetsRequest) {
			rt := kmsg.NewListOffsetsRequestTopic()
			rt.Topic = w.topic.Name
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Timestamp, rp.MaxNumOffsets = -1, 1
			rt.Partitions = append(rt.Partitions, rp)
			q.Topics = append(q.Topics, rt)
		}, func(w *world, r *kmsg.ListOffsetsResponse) (int16, string) {
			p := r.Topics[0].Partitions[0]
			if w.version == 0 {
				return p.ErrorCode, want(fmt.Sprint(p.OldStyleOffsets), "[5]")
			}
			return p.ErrorCode, want(p.Offset, 5) + want(p.Timestamp, -1)
		}),
		21: on(func(w *world, q *kmsg.DeleteRecordsRequest) {
			rt := kmsg.NewDeleteRecordsRequestTopic()
			rt.Topic = w.fresh
			rp := kmsg.NewDeleteRecordsRequestTopicPartition()
			rp.Offset = -1
			rt.Partitions = append(rt.Partitions, rp)
			q.Topics = append(q.Topics, rt)
		}, func(w *world, r *kmsg.DeleteRecordsResponse) (int16, string) {
			return r.Topics[0].Partitions[0].ErrorCode, want(r.Topics[0].Partitions[0].LowWatermark, 0)
		}),
		22: on(func(*world, *kmsg.InitProducerIDRequest) {},
			func(w *world, r *kmsg.InitProducerIDResponse) (int16, string) {
				return r.ErrorCode, want(r.ProducerID >= 0, true) + want(r.ProducerEpoch, 0)
			}),
		23: on(func(w *world, q *kmsg.OffsetForLeaderEpochRequest) {
			rt := kmsg.NewOffsetForLeaderEpochRequestTopic()
			rt.Topic = w.topic.Name
			rp := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			rt.Partitions = append(rt.Partitions, rp)
			q.Topics = append(q.Topics, rt)
		}, func(_ *world, r *kmsg.OffsetForLeaderEpochResponse) (int16, string) {
			return r.Topics[0].Partitions[0].ErrorCode, want(r.Topics[0].Partitions[0].EndOffset, 5)
		}),
	}
}
