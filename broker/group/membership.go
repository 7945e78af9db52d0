package group

import (
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// memberEpochs is the version of OffsetCommit and OffsetFetch from which they
// carry member epochs (KIP-848).
const memberEpochs = 9

// membership decides who is in a group and what its members may do: machine for
// classic groups, modern for consumer groups, streaming for streams groups. A
// group is one of them at a time, and turns into another kind as Kafka's do; see
// migrate.go.
//
// Its methods are called with the entry's mu held. What they ask for is fetched
// with take after each.
type membership interface {
	// take hands over the effects since the last call.
	take() []effect
	// tick does what is due; deadline is when to call it next, zero: never.
	tick(now time.Time)
	deadline() time.Time

	// join, sync, heartbeat and leave take the requests of the classic protocol.
	join(now time.Time, r joinRequest)
	sync(now time.Time, r syncRequest)
	heartbeat(now time.Time, id string, instance *string, generation int32) wire.Code
	leave(now time.Time, to token, members []leaveMember)

	// stateName is the state as ListGroups gives it.
	stateName() string
	// idle reports whether nothing is left that only memory knows.
	idle() bool
	// emptySince is when an idle group became so.
	emptySince() time.Time
	// reads tells which topics members subscribe to.
	reads() func(topic string) bool

	// mayCommit, mayFetch, mayDelete and mayDropOffsets judge requests that are
	// not about membership.
	mayCommit(now time.Time, r committer) wire.Code
	mayFetch(id *string, epoch int32) wire.Code
	mayDelete() wire.Code
	mayDropOffsets() wire.Code
	// die takes an empty group out of service while its deletion is being
	// stored; revive brings it back if that did not come about.
	die(now time.Time)
	revive(now time.Time)

	// summarize fills in all but name, type and offsets.
	summarize(s *Summary)
}

// committer says who asks to commit offsets.
type committer struct {
	id       string
	instance *string
	epoch    int32 // or generation
	txn      bool
	version  int16 // of OffsetCommit
	// partitions lists what is committed, by topics' names. Nil: nothing.
	partitions func() map[string][]int32
}
