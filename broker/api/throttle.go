package api

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/quota"
	"github.com/tarn-io/tarn/broker/wire"
)

// slowDown says that the client is to be kept waiting after this request.
func (r *Request) slowDown(d time.Duration) { r.throttle = max(r.throttle, d) }

// Throttle is for how long nothing is to be read from the connection because of
// what this request used. The reader asks after Handle, the writer after Charge.
func (r *Request) Throttle() time.Duration { return r.throttle }

// use counts what the request uses of a quota.
func (h *Handlers) use(key quota.Key, r *Request, n float64) time.Duration {
	return h.cfg.Quotas.Use(key, r.user, r.ClientID, n)
}

// mutate counts partitions that the request makes or deletes
// (controller_mutation_rate, KIP-599). With strict it may refuse, as newer
// versions of such requests do; older ones are answered later.
func (h *Handlers) mutate(r *Request, partitions int32, strict bool) error {
	wait, refused := h.cfg.Quotas.Mutate(r.user, r.ClientID, int(partitions), strict)
	r.slowDown(wait)
	if refused {
		return refuse(wire.ThrottlingQuotaExceeded, "the quota of partitions made and deleted is used up; try again in %v", wait.Round(time.Millisecond))
	}
	return nil
}

// computes reports whether the Reply of a key works without waiting for others
// or for the disk, so that its time counts as the broker's.
func computes(key int16) bool {
	switch key {
	case 2, 3, 10, 15, 16, 18, 23, 32, 35, 43, 45, 46, 48, 60, 61, 65, 66, 69, 74, 89, 75:
		return true
	}
	return false
}

// Charge counts the time that a request took (request_percentage, KIP-124) and
// tells the client, in its answer, how long it is going to be kept waiting. It
// is called when the Reply has returned, before the answer is sent.
func (h *Handlers) Charge(r *Request, resp kmsg.Response, replied time.Duration) {
	if computes(resp.Key()) {
		r.busy += replied
	}
	if d := h.use(quota.RequestTime, r, r.busy.Seconds()*100); d > 0 {
		r.slowDown(min(d, maxRequestThrottle))
	}
	if t, ok := resp.(kmsg.SetThrottleResponse); ok && r.throttle > 0 {
		t.SetThrottle(int32((r.throttle + time.Millisecond - 1) / time.Millisecond))
	}
}

// maxRequestThrottle is Kafka's: one sample.
const maxRequestThrottle = time.Second
