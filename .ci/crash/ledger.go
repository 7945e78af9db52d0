package main

import (
	"fmt"
	"sync"
)

// place is where a record lies.
type place struct {
	partition int32
	offset    int64
}

// maxComplaints is how many wrong answers of a kind are kept: the first ones
// tell what happened.
const maxComplaints = 3

// unknown marks records whose fate was never told.
var unknown = place{partition: -1}

// ledger is what the broker has acknowledged. Safe for concurrent use.
type ledger struct {
	mu    sync.Mutex
	sent  map[int][]place // by producer, index is the sequence number
	acked int64
	bad   int64   // bad records that were refused as they should be
	wrong []error // answers that must not be
}

func newLedger() *ledger { return &ledger{sent: map[int][]place{}} }

// next gives a producer's next record.
func (l *ledger) next(producer int) identity {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[producer] = append(l.sent[producer], unknown)
	return identify(producer, int64(len(l.sent[producer])-1))
}

// acknowledge notes where the broker says that a record is.
func (l *ledger) acknowledge(i identity, p place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[i.producer()][i.seq()] = p
	l.acked++
}

// complain notes an answer that the broker should not have given.
func (l *ledger) complain(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wrong) < maxComplaints {
		l.wrong = append(l.wrong, err)
	}
}

// complaints takes the answers that should not have been.
func (l *ledger) complaints() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wrong
}

// refuse notes that a bad record was refused.
func (l *ledger) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bad++
}

func (l *ledger) refused() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bad
}

func (l *ledger) acknowledged() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

// copyLog is a whole log as it was read: identities by partition and offset.
type copyLog [][]identity

func (c copyLog) records() (n int) {
	for _, p := range c {
		n += len(p)
	}
	return n
}

// places are the identities by where they lie.
func (c copyLog) places() map[place]identity {
	out := make(map[place]identity, c.records())
	for part, ids := range c {
		for offset, id := range ids {
			out[place{int32(part), int64(offset)}] = id
		}
	}
	return out
}

// compare holds the log against the ledger: every acknowledged record at its
// place, none twice, each producer's records in order, none that was not sent.
func (l *ledger) compare(log copyLog) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[int][]bool{}
	for producer, sent := range l.sent {
		seen[producer] = make([]bool, len(sent))
	}
	for part, ids := range log {
		last := map[int]int64{}
		for offset, id := range ids {
			who := seen[id.producer()]
			if id.seq() >= int64(len(who)) {
				return fmt.Errorf("partition %d offset %d holds %s, which was never sent", part, offset, id)
			}
			if who[id.seq()] {
				return fmt.Errorf("partition %d offset %d holds %s, which is there already", part, offset, id)
			}
			who[id.seq()] = true
			if before, ok := last[id.producer()]; ok && before > id.seq() {
				return fmt.Errorf("partition %d offset %d holds %s behind record %d of the same producer", part, offset, id, before)
			}
			last[id.producer()] = id.seq()
		}
	}
	for producer, sent := range l.sent {
		for seq, p := range sent {
			if p == unknown {
				continue
			}
			id := identify(producer, int64(seq))
			if !seen[producer][seq] {
				return fmt.Errorf("%s was acknowledged at partition %d offset %d and is lost", id, p.partition, p.offset)
			}
			if at := log[p.partition]; p.offset >= int64(len(at)) || at[p.offset] != id {
				return fmt.Errorf("%s was acknowledged at partition %d offset %d, which holds another record", id, p.partition, p.offset)
			}
		}
	}
	return nil
}
