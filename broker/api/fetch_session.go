package api

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// Fetch sessions (KIP-227): the broker remembers which partitions a client
// reads, so that a Fetch names only what has changed and its answer holds only
// what is news. Epoch 0 asks for a session, -1 ends one, others go on with the
// one that the request names.

const (
	// maxSessions is Kafka's max.incremental.fetch.session.cache.slots.
	maxSessions = 1000
	// maxSessionPartitions bounds the partitions of all sessions together: some
	// 30 MB. Kafka counts sessions only, but one request may name 131,072.
	maxSessionPartitions = 200_000
	// sessionEvictionMs is Kafka's: a session unused for so long makes room for
	// any other, one that is so old for larger ones.
	sessionEvictionMs = 2 * 60 * 1000

	initialEpoch = 0
	finalEpoch   = -1
)

// partitionKey names a partition as a request does: by topic name before
// version 13, by id since.
type partitionKey struct {
	name      string
	id        [16]byte
	partition int32
}

// wanted is a partition to be read, and from where.
type wanted struct {
	partitionKey
	offset int64
	epoch  int32 // the leader epoch that the client knows, -1: any
	// lastEpoch is that of the last record the client has, -1: it does not say.
	lastEpoch int32
	maxBytes  int32
}

// remembered is a partition of a session, and what its client was told last.
type remembered struct {
	wanted
	high, start int64
}

// session is one client's set of partitions.
type session struct {
	id        int32
	byID      bool // its requests name topics by id
	createdMs int64

	mu    sync.Mutex
	epoch int32                        // of the next request; guarded by mu
	parts map[partitionKey]*remembered // guarded by mu
	order []*remembered                // guarded by mu: who gave records stands at the end

	usedMs int64 // guarded by sessions.mu
	size   int   // guarded by sessions.mu: partitions counted
}

// sessions are the sessions of all clients. Its mutex and that of a session are
// never held together: a large session must not hold up the others.
type sessions struct {
	mu    sync.Mutex
	byID  map[int32]*session // guarded by mu
	parts int                // guarded by mu: of all sessions
}

// turn is one Fetch as its session sees it.
type turn struct {
	wanted  []wanted
	session *session // nil: all partitions are answered
	open    bool     // the client would like a session
	epoch   int32    // of the session's next request
}

// begin finds out what a Fetch asks for. The code is one for the whole request.
func (s *sessions) begin(req *kmsg.FetchRequest, nowMs int64) (turn, wire.Code) {
	if req.Version < 7 || req.SessionEpoch == initialEpoch || req.SessionEpoch == finalEpoch {
		if req.Version >= 7 && req.SessionID != 0 {
			s.drop(req.SessionID)
		}
		return turn{wanted: wantedOf(req), open: req.Version >= 7 && req.SessionEpoch == initialEpoch}, wire.None
	}
	s.mu.Lock()
	e := s.byID[req.SessionID]
	s.mu.Unlock()
	if e == nil {
		return turn{}, wire.FetchSessionIDNotFound
	}
	t, size, code := e.begin(req)
	if code != wire.None {
		return turn{}, code
	}
	return t, s.count(e, size, nowMs)
}

// begin takes over what a request changes, and returns what is to be read and
// the number of partitions there are now.
func (e *session) begin(req *kmsg.FetchRequest) (turn, int, wire.Code) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.epoch != req.SessionEpoch:
		return turn{}, 0, wire.InvalidFetchSessionEpoch
	case e.byID != (req.Version >= 13):
		return turn{}, 0, wire.FetchSessionTopicIDError
	}
	e.update(req)
	if len(e.parts) == 0 {
		return turn{}, 0, wire.None
	}
	e.epoch = nextEpoch(e.epoch)
	t := turn{session: e, epoch: e.epoch, wanted: make([]wanted, len(e.order))}
	for i, p := range e.order {
		t.wanted[i] = p.wanted
	}
	return t, len(e.parts), wire.None
}

// count notes the size of a session that is in use. One that has forgotten all
// partitions ends; so does one that there is no room for any more: its client
// begins anew, without.
func (s *sessions) count(e *session, size int, nowMs int64) wire.Code {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.byID[e.id] != e: // it had to make room meanwhile
		return wire.FetchSessionIDNotFound
	case size == 0:
		s.remove(e)
		return wire.None
	case s.parts+size-e.size > maxSessionPartitions:
		s.remove(e)
		return wire.FetchSessionIDNotFound
	}
	s.parts += size - e.size
	e.size, e.usedMs = size, nowMs
	return wire.None
}

// wantedOf lists the partitions that a request names.
func wantedOf(req *kmsg.FetchRequest) []wanted {
	var out []wanted
	for i := range req.Topics {
		rt := &req.Topics[i]
		for j := range rt.Partitions {
			out = append(out, wantedPartition(rt, &rt.Partitions[j]))
		}
	}
	return out
}

func wantedPartition(rt *kmsg.FetchRequestTopic, rp *kmsg.FetchRequestTopicPartition) wanted {
	return wanted{
		partitionKey: partitionKey{rt.Topic, rt.TopicID, rp.Partition},
		offset:       rp.FetchOffset, epoch: rp.CurrentLeaderEpoch, lastEpoch: rp.LastFetchedEpoch, maxBytes: rp.PartitionMaxBytes,
	}
}

// nextEpoch follows an epoch: after the greatest comes 1.
func nextEpoch(epoch int32) int32 {
	if epoch == math.MaxInt32 {
		return 1
	}
	return epoch + 1
}

// update takes over what a request adds, changes and forgets. e.mu is held.
func (e *session) update(req *kmsg.FetchRequest) {
	for _, w := range wantedOf(req) {
		if p := e.parts[w.partitionKey]; p != nil {
			p.wanted = w
			continue
		}
		// What was never told differs from all there is.
		p := &remembered{wanted: w, high: -1, start: -1}
		e.parts[w.partitionKey] = p
		e.order = append(e.order, p)
	}
	forgotten := 0
	for i := range req.ForgottenTopics {
		rt := &req.ForgottenTopics[i]
		for _, n := range rt.Partitions {
			k := partitionKey{rt.Topic, rt.TopicID, n}
			if e.parts[k] != nil {
				delete(e.parts, k)
				forgotten++
			}
		}
	}
	if forgotten > 0 {
		e.order = slices.DeleteFunc(e.order, func(p *remembered) bool { return e.parts[p.partitionKey] != p })
	}
}

// end decides which partitions are answered, and with which session id. answer
// and t.wanted have the same order; those that stay are returned.
func (s *sessions) end(t turn, req *kmsg.FetchRequest, answer []*fetching, nowMs int64) ([]*fetching, int32, wire.Code) {
	if t.session == nil {
		if !t.open || len(answer) == 0 {
			return answer, 0, wire.None
		}
		return answer, s.create(req, answer, nowMs), wire.None
	}
	e := t.session
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.epoch != t.epoch { // another connection went on with it meanwhile
		return nil, 0, wire.InvalidFetchSessionEpoch
	}
	var news []*fetching
	gave := map[*remembered]bool{}
	for _, f := range answer {
		p := e.parts[f.partitionKey]
		if p == nil || !p.tell(f) {
			continue
		}
		news = append(news, f)
		if len(f.resp.RecordBatches) > 0 {
			gave[p] = true
		}
	}
	e.rotate(gave)
	return news, e.id, wire.None
}

// tell notes what the client is told and reports whether it is news. After an
// error the partition is news again.
func (p *remembered) tell(f *fetching) bool {
	r := &f.resp
	news := len(r.RecordBatches) > 0 || r.ErrorCode != 0 || r.HighWatermark != p.high || r.LogStartOffset != p.start ||
		r.DivergingEpoch.EndOffset >= 0
	p.high, p.start = r.HighWatermark, r.LogStartOffset
	if r.ErrorCode != 0 {
		p.high = -1
	}
	return news
}

// rotate puts the partitions that gave records behind all others, so that none
// waits for ever behind one that always has some (KIP-74). e.mu is held.
func (e *session) rotate(gave map[*remembered]bool) {
	if len(gave) == 0 || len(gave) == len(e.order) {
		return
	}
	slices.SortStableFunc(e.order, func(a, b *remembered) int {
		switch {
		case gave[a] == gave[b]:
			return 0
		case gave[a]:
			return 1
		}
		return -1
	})
}

// create makes a session of a whole answer and returns its id, or 0 if there is
// no room: the client then goes on without.
func (s *sessions) create(req *kmsg.FetchRequest, answer []*fetching, nowMs int64) int32 {
	e := &session{
		byID: req.Version >= 13, createdMs: nowMs, usedMs: nowMs,
		epoch: nextEpoch(initialEpoch), parts: make(map[partitionKey]*remembered, len(answer)),
	}
	gave := map[*remembered]bool{}
	for _, f := range answer {
		if e.parts[f.partitionKey] != nil {
			continue // named twice
		}
		p := &remembered{wanted: f.wanted}
		p.tell(f)
		e.parts[f.partitionKey], e.order = p, append(e.order, p)
		if len(f.resp.RecordBatches) > 0 {
			gave[p] = true
		}
	}
	e.rotate(gave)
	e.size = len(e.parts)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.room(e, nowMs) {
		return 0
	}
	if s.byID == nil {
		s.byID = map[int32]*session{}
	}
	for e.id == 0 || s.byID[e.id] != nil {
		e.id = rand.Int32N(math.MaxInt32) // not secret: it opens nothing that a request could not ask for
	}
	s.byID[e.id], s.parts = e, s.parts+e.size
	return e.id
}

// room makes room for a session as Kafka does: one slot is freed by the session
// unused for longest, if that is two minutes; else by the smallest of those
// that have lived for two minutes, if it is no larger than the new one. mu is
// held.
func (s *sessions) room(e *session, nowMs int64) bool {
	for len(s.byID) >= maxSessions || s.parts+e.size > maxSessionPartitions {
		var idle, small *session
		for _, o := range s.byID {
			if idle == nil || o.usedMs < idle.usedMs {
				idle = o
			}
			if nowMs-o.createdMs > sessionEvictionMs && (small == nil || o.size < small.size) {
				small = o
			}
		}
		switch {
		case idle != nil && nowMs-idle.usedMs > sessionEvictionMs:
			s.remove(idle)
		case small != nil && small.size <= e.size && len(s.byID) >= maxSessions:
			s.remove(small)
		default:
			return false
		}
	}
	return true
}

// drop ends a session, if there is one.
func (s *sessions) drop(id int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byID[id]; e != nil {
		s.remove(e)
	}
}

// remove forgets a session. mu is held.
func (s *sessions) remove(e *session) {
	delete(s.byID, e.id)
	s.parts -= e.size
}
