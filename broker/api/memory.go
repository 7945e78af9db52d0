package api

import (
	"context"

	"golang.org/x/sync/semaphore"
)

const (
	// maxAnswerBytes bounds the records that Fetch answers of all connections
	// hold together, from before they are read until they are sent.
	maxAnswerBytes = 256 << 20
	// answerCopies is how often a record of an answer lies in memory: as it was
	// read, and in the encoded response.
	answerCopies = 2
	// scarceBytes is what a Fetch may read when the budget is spent. It is not
	// counted: with the limit of connections it bounds itself, and a consumer
	// goes on slowly instead of waiting for others who may never read.
	scarceBytes = 64 << 10
)

// memory is what one answer holds of the budget. Without a budget it holds
// nothing.
type memory struct {
	budget *semaphore.Weighted
	bytes  int64 // of records
}

// reserve asks for room for want bytes of records and returns how many there is
// room for, at least scarceBytes or want. It never waits.
func (m *memory) reserve(budget *semaphore.Weighted, want int) int {
	m.release()
	for want > scarceBytes {
		if budget.TryAcquire(answerCopies * int64(want)) {
			m.budget, m.bytes = budget, int64(want)
			return want
		}
		want = max(want/2, scarceBytes)
	}
	return want
}

// shrink gives back what was not used.
func (m *memory) shrink(used int) {
	if n := int64(used); m.budget != nil && n < m.bytes {
		m.budget.Release(answerCopies * (m.bytes - n))
		m.bytes = n
	}
}

func (m *memory) release() {
	if m.budget != nil {
		m.budget.Release(answerCopies * m.bytes)
	}
	*m = memory{}
}

// maxUnpacking bounds what the compressed batches that are unpacked at a time may
// become, all together: of usual ones some hundred, of bombs four on a topic that
// takes 1 MiB, or one that may become more than all of this. What is produced has
// such a budget, and what is read anew for old clients and for times another one,
// since that may wait for a disk.
const maxUnpacking = 256 << 20

// unpacking is what is held of maxUnpacking.
type unpacking struct {
	budget *semaphore.Weighted
	bytes  int64
}

// unpack waits until so many bytes may be unpacked. Release gives them back; who
// holds some must not ask for more, nor wait for others.
func unpack(ctx context.Context, budget *semaphore.Weighted, most int) (*unpacking, error) {
	n := min(int64(most), maxUnpacking)
	if n <= 0 {
		return &unpacking{}, nil
	}
	if err := budget.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return &unpacking{budget, n}, nil
}

// release gives back what is held, once.
func (u *unpacking) release() {
	if u.bytes > 0 {
		u.budget.Release(u.bytes)
		u.bytes = 0
	}
}
