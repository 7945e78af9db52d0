// Package storage is the contract between Tarn and the place where its bytes
// lie. An Engine has one mutating method, Commit: all or nothing, at expected
// offsets and versions. Engines store bytes and know nothing of Kafka beyond
// the fixed header of a record batch; producers, groups, transactions, topics
// and schemas are written once, above this contract, as appends and items.
//
// The suite in storagetest says in code what the comments here say in words;
// every engine runs it.
package storage

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"

	"github.com/tarn-io/tarn/broker/record"
)

// Limits of the contract. They bound what one call may make an engine hold in
// memory; a Write above them is refused.
const (
	// MaxKeyBytes bounds an item's key: topic, group and subject names are at
	// most a few hundred bytes each.
	MaxKeyBytes = 2048
	// MaxValueBytes bounds an item's value. The largest are schemas and
	// producer snapshots; log bytes never travel as items.
	MaxValueBytes = 16 << 20
	// MaxReadBytes bounds one Read whatever the caller asks for, the first
	// batch excepted, which is returned whole.
	MaxReadBytes = 64 << 20
	// MaxBatchBytes bounds one record batch. It equals Kafka's default for the
	// largest request, socket.request.max.bytes.
	MaxBatchBytes = 100 << 20
	// MaxWriteBytes bounds the batches and values of one Write added up; the
	// sequencer starts another one long before.
	MaxWriteBytes = 256 << 20
	// MaxWriteParts bounds the parts of one Write added up: a topic of the
	// most partitions one may ask for must fit many times over.
	MaxWriteParts = 1 << 17
)

// TopicID is a topic's identity for its whole life. Logs are keyed by it and
// never by name, so that a topic made again under an old name is another log.
type TopicID [16]byte

// String gives the id as 32 hexadecimal digits.
func (id TopicID) String() string { return hex.EncodeToString(id[:]) }

// TP names one partition's log.
type TP struct {
	Topic     TopicID
	Partition int32
}

// String gives "topic id/partition" for logs and errors.
func (tp TP) String() string { return fmt.Sprintf("%s/%d", tp.Topic, tp.Partition) }

// Engine stores partition logs and versioned items.
//
// All methods may be called concurrently. Methods other than Commit and Close
// see every Write whose Commit has returned nil, and no part of one that was
// refused. An engine serves one process; a second process on the same store is
// fenced by the expectations in its Writes.
type Engine interface {
	// Commit applies w whole or not at all and returns once it is durable: it
	// survives power loss on engines that promise durability. On nil every
	// w.Set[i].Version holds the version that item now has.
	//
	// Errors: *Conflict (refused: an expectation was wrong, all of them are
	// listed, nothing was written); ErrInvalid (refused: the Write breaks a
	// limit or itself); ErrFull (refused: no space, nothing was written);
	// ErrClosed; any other error means failed: w may or may not have been
	// applied, and the caller must look before it repeats itself.
	//
	// The engine may group concurrent calls into one durable step. It reads
	// w's slices until it returns and keeps no reference to them afterwards.
	// A ctx that ends before the engine has taken the Write up refuses it with
	// ctx's error; afterwards Commit waits for the outcome.
	Commit(ctx context.Context, w Write) error

	// Read returns stored batches of tp, whole and in offset order, from the
	// one that contains offset, or if that offset is gone from the first one
	// after it. Bytes are exactly those appended. It returns at least one
	// batch if there is any at or after offset, then as many as fit in
	// maxBytes. An empty slice means that the log has nothing there. The caller
	// owns the result. Errors: ErrNoLog, ErrClosed, or a failed read.
	Read(ctx context.Context, tp TP, offset int64, maxBytes int) ([]byte, error)

	// Index yields the header of every stored batch of tp whose last offset is
	// at or after from, in offset order, without reading record data. It sees
	// one consistent state. Errors as Read; after an error it ends.
	Index(ctx context.Context, tp TP, from int64) iter.Seq2[record.Header, error]

	// Bounds returns the bounds of tp's log. ErrNoLog if nothing was ever
	// appended to it, or it was forgotten.
	Bounds(ctx context.Context, tp TP) (Bounds, error)

	// Get returns the item at key, or an Item of version 0 if there is none.
	// The caller owns the value.
	Get(ctx context.Context, key string) (Item, error)

	// Scan yields the items whose key begins with prefix, in key order (bytes),
	// from one consistent state.
	Scan(ctx context.Context, prefix string) iter.Seq2[Item, error]

	// Close waits for calls under way and releases the store. Calls after it
	// return ErrClosed, and iterators under way may end with it. A second
	// Close does nothing.
	Close() error
}

// Bounds are a log's ends. They outlive an empty log: after everything was
// trimmed, Start == End and the next append continues there.
type Bounds struct {
	Start int64 // first offset that may be read
	End   int64 // offset the next batch gets
	Epoch int32 // highest epoch that an Append carried
	Bytes int64 // stored bytes of batches at or after Start, about right
}

// Write is one atomic change. Empty parts are fine; an empty Write is a no-op.
// A log appears at most once in each of Append, Replace and Trim, a key at most
// once in Set. Every expectation is about the state before the Write; its parts
// then take effect in the order of the fields: a Trim may cut what the same
// Write appends, while a Replace ends at or below the end before it. A log that
// is forgotten appears nowhere else in the Write.
type Write struct {
	Append  []Append
	Replace []Replace
	Trim    []Trim
	Set     []Item
	// Check lists items that must have the given versions and are not
	// written: a fence (an epoch, a generation) that others may advance.
	Check []Check
}

// Append adds batches at the end of a log and makes the log if there is none.
type Append struct {
	TP
	// Expect is the end offset the log must have; 0 for a log that is not there.
	Expect int64
	// Epoch is the epoch of the owner that appends. It never falls: a Write
	// with a lower epoch than the log has seen is a conflict.
	Epoch int32
	// End is the log's end offset after this append: one more than the last
	// batch's last offset.
	End int64
	// Batches holds whole record batches of format v2, base offsets set,
	// contiguous and ascending from Expect. Engines read headers from it and
	// nothing else. It may be empty: that makes the log, or raises its epoch.
	Batches []byte
}

// Replace swaps the batches that lie in [From, To) for others, or for none:
// compaction. Bounds stay as they are. The range must cut no batch in two and
// not pass the log's end; if it does now, that is a conflict.
type Replace struct {
	TP
	From, To int64
	// Expect is what the caller read in the range, as Index shows it. If the
	// range holds something else now, that is a conflict. Two callers that may
	// replace the same range fence each other by an item in Write.Check: what one
	// wrote may be as long as what it found.
	Expect Range
	// Batches are the new batches, ascending within [From, To); may be empty.
	// Those wholly below the log's start are dropped.
	Batches []byte
}

// Range describes what a range of a log held when it was read.
type Range struct {
	Batches int   // how many
	Bytes   int64 // their sizes added up
}

// Trim moves a log's start. Batches wholly below Start may be deleted at once
// or later; they are never returned again.
type Trim struct {
	TP
	// Start is the new first offset; below the present one it does nothing,
	// above the end, and above 0 on a log that is not there, it is a conflict.
	Start int64
	// Forget removes the log and its bounds: its topic was deleted. Start is
	// then ignored, and a log that is not there is no error.
	Forget bool
}

// Item is a key with a value and a version: everything that is not log bytes.
type Item struct {
	Key   string
	Value []byte
	// Version is, in what Get and Scan return, the version the item has, above
	// zero, and 0 if there is none. In Write.Set it is the version the item
	// must have (0: must not exist, Any: does not matter), and after Commit
	// the version it was given. Versions of a store only rise: one is never
	// used twice, not even by another key or after a deletion.
	Version int64
	// Delete, in Write.Set, removes the item; Value is ignored and Version
	// becomes 0.
	Delete bool
}

// Any as an expected version writes whatever is there. It is for items that
// another expectation of the same Write guards.
const Any int64 = -1

// Check is an expectation about an item that is not written.
type Check struct {
	Key     string
	Version int64 // 0: must not exist; Any is refused, for it says nothing
}
