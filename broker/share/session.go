package share

import (
	"context"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// session is a share session: what a member fetches, and the epoch of its next
// request (KIP-932). It belongs to a connection and ends with it. Guarded by its
// group's mu.
type session struct {
	g      *group
	member string
	epoch  int32 // of the next request
	order  []key // the partitions, as they came
	closed bool
	waiter chan struct{} // of the fetch that waits in it; nil if none does
	unhook func() bool   // from the connection
}

// The epochs of requests that are no session's next.
const (
	epochOpen  = 0  // opens a session, and ends the one before
	epochClose = -1 // the last one
)

// open makes a session for a member. It ends with ctx, the connection's: the
// member is gone then, and what it has is given back.
func (g *group) open(ctx context.Context, member string) (*session, wire.Code) {
	g.close(g.sessions[member])
	c := g.c
	c.mu.Lock()
	full := c.sessions >= c.cfg.MaxSessions
	if !full {
		c.sessions++
	}
	c.mu.Unlock()
	if full {
		return nil, wire.ShareSessionLimitReached
	}
	s := &session{g: g, member: member, epoch: 1}
	s.unhook = context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.unlock()
		if !s.closed {
			g.close(s)
			g.releaseAll(member)
		}
	})
	g.sessions[member] = s
	return s, wire.None
}

// close ends a session, if there is one. A fetch that waits in it wakes up, and
// acquires nothing.
func (g *group) close(s *session) {
	if s == nil || s.closed {
		return
	}
	s.closed = true
	s.unhook()
	if g.sessions[s.member] == s {
		delete(g.sessions, s.member)
	}
	if s.waiter != nil {
		signal(s.waiter)
	}
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	g.c.sessions--
}

// find gives the session that a request goes on with, and moves its epoch on,
// but for the last one.
func (g *group) find(member string, epoch int32) (*session, wire.Code) {
	s := g.sessions[member]
	switch {
	case s == nil:
		return nil, wire.ShareSessionNotFound
	case epoch == epochClose:
		return s, wire.None
	case epoch != s.epoch:
		return nil, wire.InvalidShareSessionEpoch
	case s.epoch == math.MaxInt32:
		s.epoch = 1
	default:
		s.epoch++
	}
	return s, wire.None
}

// update adds and removes partitions.
func (s *session) update(topics []kmsg.ShareFetchRequestTopic, forgotten []kmsg.ShareFetchRequestForgottenTopicsData) wire.Code {
	has := make(map[key]bool, len(s.order))
	for _, k := range s.order {
		has[k] = true
	}
	for i := range topics {
		for j := range topics[i].Partitions {
			k := key{topics[i].TopicID, topics[i].Partitions[j].Partition}
			if has[k] {
				continue
			}
			if len(s.order) >= maxSessionParts {
				return wire.InvalidRequest
			}
			has[k] = true
			s.order = append(s.order, k)
		}
	}
	if len(forgotten) == 0 {
		return wire.None
	}
	gone := map[key]bool{}
	for i := range forgotten {
		for _, p := range forgotten[i].Partitions {
			gone[key{forgotten[i].TopicID, p}] = true
		}
	}
	s.order = slices.DeleteFunc(s.order, func(k key) bool { return gone[k] })
	return wire.None
}
