package broker

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/meter"
	"github.com/tarn-io/tarn/broker/wire"
)

// maxMeteredKey is above every API key that is served.
const maxMeteredKey = 128

// requestMeters count the requests that were answered, by API key. The zero value is
// ready; a key costs memory once it is asked for.
type requestMeters [maxMeteredKey]atomic.Pointer[requestMeter]

type requestMeter struct {
	took   *meter.Histogram
	errors sync.Map // wire.Code → *atomic.Int64, None among them; as many as codes at most
}

// add counts an answered request; resp is nil where nothing is answered.
func (m *requestMeters) add(key int16, resp kmsg.Response, took time.Duration) {
	if key < 0 || int(key) >= len(m) {
		return
	}
	one := m[key].Load()
	if one == nil {
		one = &requestMeter{took: meter.Durations()}
		if !m[key].CompareAndSwap(nil, one) {
			one = m[key].Load()
		}
	}
	one.took.Observe(took.Seconds())
	code := wire.None
	if resp != nil {
		code = api.FirstError(resp)
	}
	n, ok := one.errors.Load(code)
	if !ok {
		n, _ = one.errors.LoadOrStore(code, new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
}

// RequestTally is what was asked by one API key since the start.
type RequestTally struct {
	// Key is Kafka's API key, Name its name.
	Key  int16
	Name string
	// Took is the time from a request's arrival to its answer, seconds; that a Fetch
	// waits for records is part of it.
	Took meter.Snapshot
	// Codes are how many were answered by the first error in them, None among these.
	Codes map[wire.Code]int64
}

// Requests says what clients have asked for, by API key. Safe for concurrent use.
func (b *Broker) Requests() []RequestTally {
	var out []RequestTally
	for key := range b.requests {
		one := b.requests[key].Load()
		if one == nil {
			continue
		}
		t := RequestTally{Key: int16(key), Name: kmsg.NameForKey(int16(key)), Took: one.took.Snapshot(), Codes: map[wire.Code]int64{}}
		one.errors.Range(func(code, n any) bool {
			t.Codes[code.(wire.Code)] = n.(*atomic.Int64).Load()
			return true
		})
		out = append(out, t)
	}
	return out
}

// Traffic says what went in and out, by topic. Safe for concurrent use.
func (b *Broker) Traffic() []api.TopicTraffic { return b.handlers.Traffic() }
