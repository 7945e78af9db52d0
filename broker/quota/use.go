package quota

import (
	"sync"
	"time"
)

const (
	// maxBuckets bounds the users, client ids and addresses whose use is
	// counted, some 300 bytes each. Beyond it further ones are not limited
	// until others have been idle: a client that invents ids by the thousand
	// must not take the memory of all.
	maxBuckets = 100_000
	// idleMs is after how long without use a bucket may go: by then its samples
	// are over and its tokens full.
	idleMs = 2 * samples * sampleMs
	// sweepMs is how often idle ones are looked for, at most.
	sweepMs = 60_000
)

// bucketKey names those who share one limit.
type bucketKey struct {
	key              Key
	user, client, ip string
	// hasUser and hasClient tell an empty name from none.
	hasUser, hasClient bool
}

// bucket is what they have used.
type bucket struct {
	mu     sync.Mutex
	rate   rate   // guarded by mu
	tokens tokens // guarded by mu: of Mutations
	usedMs int64  // guarded by Quotas.mu
}

// find finds the limit that holds for a client, and who shares it: the first of
// Kafka's eight places that has a quota of the key (KIP-55).
func (t *table) find(key Key, user, client string) (limit float64, b bucketKey, ok bool) {
	if t.keys[key] == 0 {
		return 0, b, false
	}
	u, c, du, dc := Exact(user), Exact(client), Default(), Default()
	for _, e := range [...]Entity{
		{User: u, Client: c}, {User: u, Client: dc}, {User: u},
		{User: du, Client: c}, {User: du, Client: dc}, {User: du},
		{Client: c}, {Client: dc},
	} {
		limit, ok := t.entities[e].values[key]
		if !ok {
			continue
		}
		b := bucketKey{key: key, hasUser: e.User.Given, hasClient: e.Client.Given}
		if b.hasUser {
			b.user = user
		}
		if b.hasClient {
			b.client = client
		}
		return limit, b, true
	}
	return 0, b, false
}

// findIP is find for connections of an address.
func (t *table) findIP(ip string) (limit float64, b bucketKey, ok bool) {
	if t.keys[Connections] == 0 {
		return 0, b, false
	}
	for _, e := range [...]Entity{{IP: Exact(ip)}, {IP: Default()}} {
		if limit, ok = t.entities[e].values[Connections]; ok {
			return limit, bucketKey{key: Connections, ip: ip}, true
		}
	}
	return 0, b, false
}

// bucket returns what is counted under a key; nil if there are too many.
func (q *Quotas) bucket(k bucketKey, nowMs int64) *bucket {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.buckets[k]
	if nowMs-q.sweptMs >= sweepMs || b == nil && len(q.buckets) >= maxBuckets && nowMs-q.sweptMs >= sampleMs {
		q.sweptMs = nowMs
		for key, old := range q.buckets {
			if old != b && nowMs-old.usedMs > idleMs {
				delete(q.buckets, key)
			}
		}
	}
	if b == nil {
		if len(q.buckets) >= maxBuckets {
			return nil
		}
		b = &bucket{}
		q.buckets[k] = b
	}
	b.usedMs = nowMs
	return b
}

// Use counts n (bytes, or percent of a second for RequestTime) for a client and
// says how long it is to be kept waiting, 0 if it is within its limits.
func (q *Quotas) Use(key Key, user, client string, n float64) time.Duration {
	limit, k, ok := q.table.Load().find(key, user, client)
	if !ok {
		return 0
	}
	nowMs := q.now().UnixMilli()
	b := q.bucket(k, nowMs)
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rate.record(n, nowMs)
	return b.rate.wait(limit, nowMs)
}

// Unuse takes back what Use counted, since it was not given after all.
func (q *Quotas) Unuse(key Key, user, client string, n float64) {
	if _, k, ok := q.table.Load().find(key, user, client); ok {
		nowMs := q.now().UnixMilli()
		if b := q.bucket(k, nowMs); b != nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.rate.record(-n, nowMs)
		}
	}
}

// Burst is how much a client may use at once, all samples together; ok is false
// if it has no limit.
func (q *Quotas) Burst(key Key, user, client string) (n float64, ok bool) {
	limit, _, ok := q.table.Load().find(key, user, client)
	return limit * (samples - 1) * sampleMs / 1000, ok
}

// Mutate counts n partitions made or deleted. With strict a client that has
// used up its tokens is refused: then wait says for how long, and nothing was
// counted. Otherwise wait says how long it is to be kept waiting afterwards.
func (q *Quotas) Mutate(user, client string, n int, strict bool) (wait time.Duration, refused bool) {
	limit, k, ok := q.table.Load().find(Mutations, user, client)
	if !ok {
		return 0, false
	}
	nowMs := q.now().UnixMilli()
	b := q.bucket(k, nowMs)
	if b == nil {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if strict {
		b.tokens.refill(limit, nowMs)
		if wait := b.tokens.wait(limit); wait > 0 {
			return wait, true
		}
		b.tokens.take(float64(n), limit, nowMs)
		return 0, false
	}
	return b.tokens.take(float64(n), limit, nowMs), false
}

// Connect counts a new connection of an address. If it came too soon wait says
// for how long to keep it before it is closed, and it was not counted.
func (q *Quotas) Connect(ip string) (wait time.Duration) {
	limit, k, ok := q.table.Load().findIP(ip)
	if !ok {
		return 0
	}
	nowMs := q.now().UnixMilli()
	b := q.bucket(k, nowMs)
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rate.record(1, nowMs)
	if wait = b.rate.wait(limit, nowMs); wait > 0 {
		b.rate.record(-1, nowMs)
	}
	return wait
}
