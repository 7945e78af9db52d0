package broker

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// lostAfter is how long a client has to come to the address that it was told.
	lostAfter = 10 * time.Second
	// lostEvery is how often those are looked for that have not.
	lostEvery = 5 * time.Second
	// maxLost bounds the addresses of clients that are remembered. With more of them
	// the broker is known well enough, and nobody is looked for any more.
	maxLost = 4096
	// lookupTimeout bounds the question for a name's addresses.
	lookupTimeout = 2 * time.Second
)

// firstKeys are what clients ask of any broker, before they go where the metadata
// sends them: a bit for each API key below 128.
var firstKeys = func() (out [2]uint64) {
	for _, key := range []kmsg.Key{
		kmsg.Metadata, kmsg.ApiVersions, kmsg.SASLHandshake, kmsg.SASLAuthenticate, kmsg.FindCoordinator,
		kmsg.InitProducerID, kmsg.DescribeCluster, kmsg.GetTelemetrySubscriptions, kmsg.PushTelemetry,
	} {
		out[key/64] |= 1 << (key % 64)
	}
	return out
}()

// lost finds clients that ask where the broker is, and do not come there: an address
// that is wrong from where they stand is the most frequent reason for a first client
// that hangs, and it tells nobody.
type lost struct {
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)

	mu    sync.Mutex
	known map[way]bool // guarded by mu: those that came, and those that were told of
}

// way is how clients of one address come in, and what they are told.
type way struct {
	ip, listener, told string
}

// lookForLost logs each client once that has known the broker's address for a while, is
// still there, and has asked nothing that is asked at that address, where the address
// cannot be right for it as far as the broker sees.
func (b *Broker) lookForLost(ctx context.Context, now time.Time) {
	told, hosts := map[string]string{}, map[string]string{} // by listener
	for _, ln := range b.listeners {
		a := ln.advertised.Load()
		told[ln.name], hosts[ln.name] = a.String(), a.host
	}
	waiting := map[way]*peer{}
	b.peers.mu.Lock()
	for p := range b.peers.all {
		w := way{p.ip, p.listener, told[p.listener]}
		came, since := p.came()
		switch {
		case came:
			b.lost.remember(w)
		case !since.IsZero() && now.Sub(since) >= lostAfter:
			waiting[w] = p
		}
	}
	b.peers.mu.Unlock()
	for w, p := range waiting {
		if !b.lost.news(w) {
			continue
		}
		why := b.lost.wrong(ctx, hosts[w.listener], w.ip)
		if b.lost.remember(w); why == "" {
			continue
		}
		p.mu.Lock()
		software := p.software
		p.mu.Unlock()
		b.lg.Warn("a client asked where the broker is, and did not come there", "remote", w.ip, "software", software,
			"listener", w.listener, "told", w.told, "reason", why,
			"do", "if it hangs, have it told an address that it can reach, such as tarn listener advertise "+w.listener+"://"+p.local)
	}
}

// left remembers what is known of a connection that ends.
func (b *Broker) left(p *peer) {
	if came, _ := p.came(); !came {
		return
	}
	for _, ln := range b.listeners {
		if ln.name == p.listener {
			b.lost.remember(way{p.ip, p.listener, ln.advertised.Load().String()})
		}
	}
}

// watchLost looks for lost clients until ctx ends.
func (b *Broker) watchLost(ctx context.Context) error {
	t := time.NewTicker(lostEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-t.C:
			b.lookForLost(ctx, now)
		}
	}
}

// came reports whether a connection was used for what is asked at the address that
// clients are told, and since when its client knows that; zero if it does not.
func (p *peer) came() (came bool, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[0]&^firstKeys[0]|p.keys[1]&^firstKeys[1] != 0, p.told
}

// remember notes a way that is not looked at again.
func (l *lost) remember(w way) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = map[way]bool{}
	}
	if len(l.known) < maxLost {
		l.known[w] = true
	}
}

// news reports whether nothing is known of a way yet.
func (l *lost) news(w way) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.known) < maxLost && !l.known[w]
}

// wrong says why clients at ip cannot come to a host, as far as it is seen from here;
// nothing if it may be right. An address of another machine may be that of a proxy.
func (l *lost) wrong(ctx context.Context, host, ip string) string {
	from, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	addrs := []netip.Addr{}
	if at, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, at.Unmap())
	} else {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		lookup := l.lookup
		if lookup == nil {
			lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
				return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
			}
		}
		if addrs, err = lookup(ctx, host); err != nil {
			return "its name is not known here: " + err.Error()
		}
	}
	for _, a := range addrs {
		if !a.Unmap().IsLoopback() {
			return ""
		}
	}
	if len(addrs) == 0 || from.IsLoopback() {
		return ""
	}
	return host + " is the client's own machine, unless the port is forwarded from there"
}
