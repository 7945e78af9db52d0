package txn

import (
	"maps"

	"github.com/tarn-io/tarn/broker/group"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// state is where a transactional id stands (KIP-98, KIP-890).
type state string

const (
	empty         state = "Empty"   // initialised, nothing begun
	ongoing       state = "Ongoing" // partitions or groups were added
	prepareCommit state = "PrepareCommit"
	prepareAbort  state = "PrepareAbort"
	completed     state = "CompleteCommit"
	aborted       state = "CompleteAbort"
	dead          state = "Dead" // expired; its item goes
)

const (
	// none stands for no producer id and no epoch.
	none = -1
	// lastEpoch is the greatest epoch a producer is given; markers may carry
	// one more (Kafka: Short.MAX_VALUE - 1).
	lastEpoch = 1<<15 - 2
)

// offsetKey names an offset of a group within a transaction.
type offsetKey struct {
	topic     storage.TopicID
	partition int32
}

// txn is what is known of one transactional id. Values are immutable: a step
// gives another one.
type txn struct {
	producerID int64
	epoch      int16
	// prevID and prevEpoch are what the producer had before its last change
	// by its own request, so that a repeated request is known; none if another
	// producer may have come since.
	prevID    int64
	prevEpoch int16
	state     state
	timeoutMs int64
	startMs   int64 // when the transaction began: that under way, or the last one
	updatedMs int64
	// nextID is the producer id that follows the end under way; none if it stays.
	nextID     int64
	partitions map[storage.TP]struct{}
	groups     map[string]map[offsetKey]group.TxnOffset
}

// newTxn is an id that nobody has used.
func newTxn() *txn {
	return &txn{producerID: none, epoch: none, prevID: none, prevEpoch: none, nextID: none, state: empty}
}

// plan is what a step asks for. Nothing of it holds before the write that
// carries next is durable.
type plan struct {
	code       wire.Code
	producerID int64 // for the answer
	epoch      int16
	next       *txn // to be stored; nil: nothing changes
	// ending, if not nil, is the transaction in its Prepare state: markers in
	// its partitions with its epoch, and its groups' offsets, go into the same
	// write, and it is what holds meanwhile.
	ending *txn
	// needID asks for the step again with a fresh producer id.
	needID bool
	// pending names the group whose offsets next holds and did not before.
	pending string
}

func refuse(code wire.Code) plan { return plan{code: code, producerID: none, epoch: none} }

// answer is a plan that changes nothing and tells what is.
func (t *txn) answer() plan { return plan{producerID: t.producerID, epoch: t.epoch} }

// store is a plan that makes t durable and answers with it.
func (t *txn) store() plan { return plan{producerID: t.producerID, epoch: t.epoch, next: t} }

// at copies t with the time of a change.
func (t *txn) at(nowMs int64) *txn {
	n := *t
	n.updatedMs = nowMs
	return &n
}

// cleared copies t without a transaction.
func (t *txn) cleared(s state, nowMs int64) *txn {
	n := t.at(nowMs)
	n.state, n.startMs, n.partitions, n.groups, n.nextID = s, 0, nil, nil, none
	return n
}

func (t *txn) exhausted() bool { return t.epoch >= lastEpoch }

func (t *txn) preparing() bool { return t.state == prepareCommit || t.state == prepareAbort }

// initEvent is InitProducerId. id and epoch are what the client believes it
// has (KIP-360), or none. fresh is a producer id never used, or none.
type initEvent struct {
	id        int64
	epoch     int16
	timeoutMs int64
	fresh     int64
}

// init gives the producer an epoch above all before it. A transaction under
// way is aborted with an epoch of its own, which nobody is given (T2).
func (t *txn) init(ev initEvent, nowMs int64) plan {
	given := ev.id != none
	if t.epoch == none { // fresh metadata: what the client believes does not count (T3)
		return t.initAs(ev, nowMs, false)
	}
	if given && ev.id != t.producerID && !(ev.id == t.prevID && ev.epoch >= lastEpoch) {
		return refuse(wire.ProducerFenced)
	}
	switch {
	case t.preparing():
		return refuse(wire.ConcurrentTransactions)
	case t.state == ongoing:
		if given && (ev.id != t.producerID || ev.epoch != t.epoch) {
			return refuse(wire.ProducerFenced)
		}
		ending := t.prepare(false, true, nowMs)
		p := ending.complete(nowMs).initAs(ev, nowMs, given)
		p.ending = ending
		return p
	case given && ev.id == t.producerID && ev.epoch == t.epoch:
		return t.initAs(ev, nowMs, true)
	case given && ev.epoch == t.prevEpoch: // a repeated request
		return t.answer()
	case given:
		return refuse(wire.ProducerFenced)
	}
	return t.initAs(ev, nowMs, false)
}

// initAs bumps the epoch, or takes a new id when epochs are used up. With
// record set the client's own belief is kept, so that it may repeat itself.
func (t *txn) initAs(ev initEvent, nowMs int64, record bool) plan {
	n := t.cleared(empty, nowMs)
	n.timeoutMs = ev.timeoutMs
	n.prevID, n.prevEpoch = none, none
	if record {
		n.prevID, n.prevEpoch = ev.id, ev.epoch
	}
	if t.epoch != none && !t.exhausted() {
		n.epoch++
		return n.store()
	}
	if ev.fresh == none {
		return plan{needID: true}
	}
	n.producerID, n.epoch = ev.fresh, 0
	return n.store()
}

// check compares a producer with the owner of the transactional id.
func (t *txn) check(id int64, epoch int16) wire.Code {
	switch {
	case t.epoch == none || t.producerID != id:
		return wire.InvalidProducerIDMapping
	case t.epoch != epoch:
		return wire.ProducerFenced
	case t.preparing():
		return wire.ConcurrentTransactions
	}
	return wire.None
}

// add puts partitions and a group into the transaction; the first begins it.
// An empty group is none.
func (t *txn) add(id int64, epoch int16, partitions []storage.TP, group string, nowMs int64) plan {
	if code := t.check(id, epoch); code != wire.None {
		return refuse(code)
	}
	missing := group != "" && t.groups[group] == nil
	for _, tp := range partitions {
		missing = missing || !t.has(tp)
	}
	if t.state == ongoing && !missing {
		return t.answer()
	}
	n := t.begun(nowMs)
	if len(n.partitions)+len(partitions) > maxPartitions {
		return refuse(wire.InvalidRequest)
	}
	n.partitions = maps.Clone(n.partitions)
	if n.partitions == nil {
		n.partitions = make(map[storage.TP]struct{}, len(partitions))
	}
	for _, tp := range partitions {
		n.partitions[tp] = struct{}{}
	}
	if group != "" {
		n.addGroup(group)
	}
	return n.store()
}

// begun copies t with a transaction under way.
func (t *txn) begun(nowMs int64) *txn {
	if t.state == ongoing {
		return t.at(nowMs)
	}
	n := t.cleared(ongoing, nowMs)
	n.startMs = nowMs
	return n
}

// addGroup notes a group in a copy of the table.
func (t *txn) addGroup(name string) {
	t.groups = maps.Clone(t.groups)
	if t.groups == nil {
		t.groups = map[string]map[offsetKey]group.TxnOffset{}
	}
	offsets := maps.Clone(t.groups[name])
	if offsets == nil {
		offsets = map[offsetKey]group.TxnOffset{}
	}
	t.groups[name] = offsets
}

func (t *txn) has(tp storage.TP) bool {
	_, ok := t.partitions[tp]
	return ok
}

// commitOffsets notes offsets of a group that become the group's if the
// transaction commits. implicit adds the group (TV2); else it must have been
// added before.
func (t *txn) commitOffsets(id int64, epoch int16, name string, offsets []group.TxnOffset, implicit bool, nowMs int64) plan {
	if code := t.check(id, epoch); code != wire.None {
		return refuse(code)
	}
	if !implicit && (t.state != ongoing || t.groups[name] == nil) {
		return refuse(wire.InvalidTxnState)
	}
	n := t.begun(nowMs)
	n.addGroup(name)
	for _, o := range offsets {
		n.groups[name][offsetKey{o.Topic, o.Partition}] = o
	}
	p := n.store()
	p.pending = name
	return p
}

// endEvent is EndTxn. bump is TV2's: every end gives a new epoch.
type endEvent struct {
	id     int64
	epoch  int16
	commit bool
	bump   bool
	fresh  int64
}

// end ends the transaction (T4, T5).
func (t *txn) end(ev endEvent, nowMs int64) plan {
	repeated := ev.bump && ev.id >= 0 && ev.id == t.prevID && ev.epoch == t.prevEpoch &&
		(t.state == completed || t.state == aborted)
	if t.epoch == none || ev.id != t.producerID && !repeated {
		return refuse(wire.InvalidProducerIDMapping)
	}
	if ev.epoch != t.epoch && !repeated {
		return refuse(wire.ProducerFenced)
	}
	switch t.state {
	case prepareCommit, prepareAbort:
		return refuse(wire.ConcurrentTransactions)
	case ongoing:
		return t.endOngoing(ev, nowMs)
	case completed, aborted:
		same := ev.commit == (t.state == completed)
		if same && (repeated || !ev.bump) {
			return t.answer()
		}
		if repeated {
			return refuse(wire.InvalidTxnState)
		}
	}
	// Nothing is under way: TV2 lets an abort succeed, with the epoch it bumps.
	if ev.commit || !ev.bump {
		return refuse(wire.InvalidTxnState)
	}
	p := t.endOngoing(ev, nowMs)
	p.ending = nil
	return p
}

func (t *txn) endOngoing(ev endEvent, nowMs int64) plan {
	if ev.bump && t.exhausted() && ev.fresh == none {
		return plan{needID: true}
	}
	ending := t.prepare(ev.commit, ev.bump, nowMs)
	if ev.bump {
		ending.prevID, ending.prevEpoch = ev.id, ev.epoch
		if t.exhausted() {
			ending.nextID = ev.fresh
		}
	}
	p := ending.complete(nowMs).store()
	p.ending = ending
	return p
}

// prepare is t in the state in which its markers are written. With bump they
// carry a new epoch, which fences the producer in every partition.
func (t *txn) prepare(commit, bump bool, nowMs int64) *txn {
	n := t.at(nowMs)
	if t.state != ongoing { // TV2 ends nothing, too
		n.startMs = nowMs
	}
	if n.state = prepareAbort; commit {
		n.state = prepareCommit
	}
	if bump {
		n.epoch++
		n.prevID, n.prevEpoch = none, none
	}
	return n
}

// complete is what a prepared transaction becomes once its markers are written.
func (t *txn) complete(nowMs int64) *txn {
	s := aborted
	if t.state == prepareCommit {
		s = completed
	}
	n := t.cleared(s, nowMs)
	n.startMs = t.startMs
	if t.nextID != none {
		n.producerID, n.epoch = t.nextID, 0
	}
	return n
}

// tick does what time brings: the end of a transaction that takes too long, or
// that a start found prepared, and of ids that nobody has used for long.
func (t *txn) tick(nowMs, expiryMs int64) plan {
	switch {
	case t.preparing():
		p := t.complete(nowMs).store()
		p.ending = t
		return p
	case t.state == ongoing && nowMs-t.startMs > t.timeoutMs:
		return t.expired(nowMs)
	case t.state != ongoing && nowMs-t.updatedMs > expiryMs:
		return t.cleared(dead, nowMs).store()
	}
	return t.answer()
}

// expired aborts an ongoing transaction. Its epoch is fenced in the logs; the
// producer itself, unless another has come, may still learn of the new one, by
// the abort of TV2 or by InitProducerId, and go on (T8).
func (t *txn) expired(nowMs int64) plan {
	ending := t.prepare(false, true, nowMs)
	if !t.exhausted() {
		ending.prevID, ending.prevEpoch = t.producerID, t.epoch
	}
	p := ending.complete(nowMs).store()
	p.ending = ending
	return p
}
