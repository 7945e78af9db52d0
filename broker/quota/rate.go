package quota

import "time"

// Kafka's quota.window.num and quota.window.size.seconds: a rate is taken over
// eleven samples of a second, the last of them not over yet.
const (
	samples  = 11
	sampleMs = 1000
)

// rate is a sum over the last samples (Kafka's SampledStat and Rate).
type rate struct {
	sums   [samples]float64
	starts [samples]int64 // Unix ms; 0: unused
	at     int
}

// record adds v.
func (r *rate) record(v float64, nowMs int64) {
	switch start := r.starts[r.at]; {
	case start == 0:
		r.starts[r.at] = nowMs
	case nowMs-start >= sampleMs:
		r.at = (r.at + 1) % samples
		r.starts[r.at], r.sums[r.at] = nowMs, 0
	}
	r.sums[r.at] += v
}

// value is the rate a second, and the time it is taken over: ten full samples
// at least, so that the first burst is not held against a second.
func (r *rate) value(nowMs int64) (perSecond float64, over time.Duration) {
	total, oldest := 0.0, nowMs
	for i, start := range r.starts {
		if start == 0 {
			continue
		}
		if nowMs-start >= samples*sampleMs {
			r.starts[i], r.sums[i] = 0, 0
			continue
		}
		total, oldest = total+r.sums[i], min(oldest, start)
	}
	elapsedMs := nowMs - oldest
	if full := elapsedMs / sampleMs; full < samples-1 {
		elapsedMs += (samples - 1 - full) * sampleMs
	}
	over = time.Duration(elapsedMs) * time.Millisecond
	return total / over.Seconds(), over
}

// wait is how long nothing may come, for the rate to be limit again.
func (r *rate) wait(limit float64, nowMs int64) time.Duration {
	is, over := r.value(nowMs)
	if is <= limit {
		return 0
	}
	return seconds((is - limit) / limit * over.Seconds())
}

// tokens is a bucket that fills by the limit each second, up to the burst of
// all samples, and may go below zero (KIP-599).
type tokens struct {
	have   float64
	lastMs int64 // 0: full
}

func (t *tokens) refill(limit float64, nowMs int64) {
	most := limit * samples * sampleMs / 1000
	if t.lastMs == 0 {
		t.have = most
	} else if ms := nowMs - t.lastMs; ms > 0 {
		t.have = min(most, t.have+limit*float64(ms)/1000)
	}
	t.lastMs = max(t.lastMs, nowMs)
}

// take takes n tokens, and says how long it is until there are some again.
func (t *tokens) take(n, limit float64, nowMs int64) time.Duration {
	t.refill(limit, nowMs)
	t.have -= n
	return t.wait(limit)
}

func (t *tokens) wait(limit float64) time.Duration {
	if t.have >= 0 {
		return 0
	}
	return seconds(-t.have / limit)
}

// maxWait bounds the time a client is kept waiting: as long as a silent
// connection is kept. Kafka has no bound.
const maxWait = 10 * time.Minute

// seconds is a time that is no longer than maxWait.
func seconds(s float64) time.Duration {
	if s >= maxWait.Seconds() {
		return maxWait
	}
	return time.Duration(s * float64(time.Second))
}
