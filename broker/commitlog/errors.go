package commitlog

import "errors"

// Errors. All but ErrStorage are refusals: nothing happened.
var (
	// ErrFenced says that a newer epoch of the producer id has been seen.
	ErrFenced = errors.New("producer epoch is older than the newest seen")
	// ErrSequence says that a batch does not follow its producer's last one.
	ErrSequence = errors.New("producer sequence is out of order")
	// ErrGone says that the log's topic was deleted.
	ErrGone = errors.New("topic was deleted")
	// ErrNotOwner says that another process has appended to the partition.
	ErrNotOwner = errors.New("partition is owned by another broker")
	// ErrConflict says that an item or a check had another version.
	ErrConflict = errors.New("an expected version was wrong")
	// ErrRange says that an offset lies outside the log.
	ErrRange = errors.New("offset is out of range")
	// ErrClosed says that the sequencer has stopped.
	ErrClosed = errors.New("log is shutting down")
	// ErrNoTransaction says that a transactional batch is for a partition that
	// is in no open transaction of its producer.
	ErrNoTransaction = errors.New("partition is not in an open transaction of the producer")
	// ErrTransactionOpen says that a batch outside a transaction came from a
	// producer that has one open.
	ErrTransactionOpen = errors.New("the producer has a transaction open")
	// ErrStorage wraps the engine's error when a commit did not go through.
	ErrStorage = errors.New("storage error")
)
