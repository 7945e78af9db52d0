package main

import (
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// fetchKey is Fetch's API key.
	fetchKey = 1
	// batchHeader is the least that an answer with a batch has more than one
	// without: an answer of a fetch session that is smaller has none.
	batchHeader = 61
	// enoughQuiet is how many such answers say that nothing is left. The first may
	// be of a request that left out a partition whose records were being written.
	enoughQuiet = 3
	// quietWait is how long the broker waits for records before it says there are
	// none.
	quietWait = 250 * time.Millisecond
)

// quiet counts answers without a batch. Compaction may leave a log whose last
// offsets have no record, nor a marker, so their end is not met by records. Safe
// for concurrent use.
type quiet struct{ n atomic.Int32 }

// OnBrokerE2E sees each answer before its records are there to be polled.
func (q *quiet) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	switch {
	case key != fetchKey:
	case e.WriteErr != nil || e.ReadErr != nil || e.BytesRead >= batchHeader:
		q.n.Store(0)
	default:
		q.n.Add(1)
	}
}

// OnBrokerThrottle forgets: an answer to a client that uses too much has no
// batches either.
func (q *quiet) OnBrokerThrottle(kgo.BrokerMetadata, time.Duration, bool) { q.n.Store(0) }

// options are those of a client whose answers are counted.
func (q *quiet) options() []kgo.Opt {
	return []kgo.Opt{kgo.WithHooks(q), kgo.FetchMaxWait(quietWait)}
}

// over reports whether nothing is left of what the client reads.
func (q *quiet) over() bool { return q.n.Load() >= enoughQuiet }

// polled is to be called after each poll, with how many records it gave.
func (q *quiet) polled(records int) {
	if records > 0 {
		q.n.Store(0)
	}
}
