package broker

import (
	"cmp"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/telemetry"
)

// peers are the connections there are.
type peers struct {
	mu     sync.Mutex
	all    map[*peer]struct{} // guarded by mu
	byHost map[string]int     // guarded by mu: connections of an address
	limit  int                // guarded by mu: of one address; 0: none
	limits map[string]int     // guarded by mu: of single addresses instead
}

// peer is one connection, as others may see it.
type peer struct {
	listener, remote, ip string
	local                string // where it came
	since                time.Time

	mu                sync.Mutex
	user, clientID    string // guarded by mu
	software, version string // guarded by mu
	requests          int64  // guarded by mu
	last              time.Time
	told              time.Time    // guarded by mu: when it first asked for metadata
	keys              [2]uint64    // guarded by mu: a bit for each API key below 128 that was used
	instance          telemetry.ID // guarded by mu
}

// Client is a connection as it is now.
type Client struct {
	// Listener is the name of the listener it came in by, Remote its address.
	Listener, Remote string
	// User is who it says it is, ANONYMOUS if it was not asked.
	User string
	// ClientID is what its last request was signed with.
	ClientID string
	// Software and SoftwareVersion are what it said it is (KIP-511); "" if it
	// has not.
	Software, SoftwareVersion string
	// Since is when it connected, Last when its last request came; zero if none
	// has.
	Since, Last time.Time
	// Requests is how many have come, and Keys the API keys that they had.
	Requests int64
	Keys     []int16
	// Instance is the client among those of Telemetry; zero if it is none.
	Instance telemetry.ID
}

// Clients lists the connections there are, the oldest first.
func (b *Broker) Clients() []Client {
	b.peers.mu.Lock()
	all := make([]*peer, 0, len(b.peers.all))
	for p := range b.peers.all {
		all = append(all, p)
	}
	b.peers.mu.Unlock()
	out := make([]Client, len(all))
	for i, p := range all {
		p.mu.Lock()
		out[i] = Client{
			Listener: p.listener, Remote: p.remote, User: p.user, ClientID: p.clientID,
			Software: p.software, SoftwareVersion: p.version,
			Since: p.since, Last: p.last, Requests: p.requests, Instance: p.instance,
		}
		for key := range int16(128) {
			if p.keys[key/64]>>(key%64)&1 == 1 {
				out[i].Keys = append(out[i].Keys, key)
			}
		}
		p.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b Client) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Remote, b.Remote))
	})
	return out
}

// enter notes a new connection; nil if its address has as many as it may.
func (s *peers) enter(ln *listener, nc net.Conn) *peer {
	p := &peer{listener: ln.name, remote: nc.RemoteAddr().String(), ip: ipOf(nc.RemoteAddr()), local: nc.LocalAddr().String(), since: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	limit, own := s.limits[p.ip]
	if !own {
		limit = s.limit
	}
	if (own || limit > 0) && s.byHost[p.ip] >= limit {
		return nil
	}
	if s.all == nil {
		s.all, s.byHost = map[*peer]struct{}{}, map[string]int{}
	}
	s.all[p] = struct{}{}
	s.byHost[p.ip]++
	return p
}

// limitTo changes how many connections an address may have; those there are stay.
func (s *peers) limitTo(limit int, limits map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.limits = limit, limits
}

// leave forgets a connection.
func (s *peers) leave(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, p)
	if s.byHost[p.ip]--; s.byHost[p.ip] == 0 {
		delete(s.byHost, p.ip)
	}
}

// note takes over what the connection's reader knows after a request.
func (c *connection) note(key int16, clientID string) {
	p := c.peer
	if p == nil {
		return
	}
	user := c.client.Auth.Principal().Name
	p.mu.Lock()
	defer p.mu.Unlock()
	p.user, p.clientID, p.last = user, api.Clip(clientID), time.Now()
	if key == int16(kmsg.Metadata) && p.told.IsZero() {
		p.told = p.last
	}
	if key >= 0 && key < 128 {
		p.keys[key/64] |= 1 << (key % 64)
	}
	p.instance = c.client.Instance
	p.software, p.version = c.client.Software, c.client.SoftwareVersion
	p.requests++
}
