package rest

import (
	"bytes"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limits of how much is done at a time. What a request may carry is bounded by
// Options.MaxBodyBytes and the limits of package registry.
const (
	// maxWorking bounds the requests with bodies that are read and worked on at a
	// time: each holds its body and the parsed schema. More than twice the
	// processors of a large machine, and 256 MiB of bodies at the worst.
	maxWorking = 32
	// smallBody is how much of a body is read before its request takes one of these
	// places: nearly all bodies whole. Who sends nothing holds nobody up.
	smallBody = 64 << 10
	// workPatience is how long such a request waits for its turn before it is
	// told to come back.
	workPatience = 10 * time.Second
	// burstSeconds is how many seconds' worth of requests a client may send at
	// once: applications start with a burst.
	burstSeconds = 5
	// maxBuckets bounds the clients whose requests are counted. Beyond it those
	// that have sent nothing for long are forgotten, and then all.
	maxBuckets = 10_000
)

// limiter counts the requests of each client: a bucket that fills steadily.
type limiter struct {
	perSecond float64
	now       func() time.Time

	mu      sync.Mutex
	buckets map[string]*bucket // guarded by mu
}

type bucket struct {
	tokens float64
	at     time.Time // when tokens was right
}

// take counts a request of a client. Above zero is how long to wait before the
// next one: this one is not to be served.
func (l *limiter) take(client string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, full := l.now(), math.Max(1, l.perSecond*burstSeconds)
	b := l.buckets[client]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			l.forget(now)
		}
		b = &bucket{tokens: full, at: now}
		l.buckets[client] = b
	}
	b.tokens = math.Min(full, b.tokens+now.Sub(b.at).Seconds()*l.perSecond)
	b.at = now
	if b.tokens < 1 {
		return time.Duration((1 - b.tokens) / l.perSecond * float64(time.Second))
	}
	b.tokens--
	return 0
}

// forget makes room: buckets that are full again say nothing.
func (l *limiter) forget(now time.Time) {
	for client, b := range l.buckets {
		if now.Sub(b.at) >= burstSeconds*time.Second {
			delete(l.buckets, client)
		}
	}
	if len(l.buckets) >= maxBuckets {
		clear(l.buckets)
	}
}

// limited lets requests pass as far as limits go; others are told with 429 when
// to come back.
func (a *api) limited(next http.Handler) http.Handler {
	rate := &limiter{perSecond: a.opts.RequestsPerSecond, now: time.Now, buckets: map[string]*bucket{}}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if rate.perSecond > 0 {
			if wait := rate.take(a.client(req)); wait > 0 {
				a.comeBack(w, req, wait)
				return
			}
		}
		if req.ContentLength == 0 {
			next.ServeHTTP(w, req)
			return
		}
		if head, err := io.ReadAll(io.LimitReader(req.Body, smallBody)); err == nil && len(head) < smallBody {
			req.Body = io.NopCloser(bytes.NewReader(head))
		} else { // an error comes again
			req.Body = begun{io.MultiReader(bytes.NewReader(head), req.Body), req.Body}
		}
		patience := time.NewTimer(a.patience)
		defer patience.Stop()
		select {
		case a.working <- struct{}{}:
			defer func() { <-a.working }()
			next.ServeHTTP(w, req)
		case <-patience.C:
			a.comeBack(w, req, time.Second)
		case <-req.Context().Done(): // nobody waits for an answer
		}
	})
}

// begun is a body of which some has been read.
type begun struct {
	io.Reader
	io.Closer
}

// comeBack answers 429 with Retry-After in whole seconds.
func (a *api) comeBack(w http.ResponseWriter, req *http.Request, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	a.serve(func(*http.Request) (any, error) {
		return nil, &problem{http.StatusTooManyRequests, http.StatusTooManyRequests, "Too many requests"}
	}).ServeHTTP(w, req)
}

// client is who sent a request: as Options.Client names it, else its address.
func (a *api) client(req *http.Request) string {
	if a.opts.Client != nil {
		if name := a.opts.Client(req); name != "" {
			return name
		}
	}
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		return req.RemoteAddr
	}
	return host
}
