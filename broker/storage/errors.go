package storage

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinels of the contract. Refused means that nothing happened.
var (
	// ErrInvalid is refused: the Write breaks a limit or contradicts itself.
	ErrInvalid = errors.New("invalid write")
	// ErrFull is refused: the store has no space for it. It may succeed later.
	ErrFull = errors.New("no space left in the store")
	// ErrNoLog says that there is no log of that partition.
	ErrNoLog = errors.New("no such log")
	// ErrClosed says that the engine was closed.
	ErrClosed = errors.New("storage engine is closed")
	// ErrBroken says that an invariant of the store is gone (a damaged chunk,
	// a directory that contradicts itself). The process should stop.
	ErrBroken = errors.New("store is damaged")
)

// Conflict is the error of a Commit whose expectations were wrong. Nothing was
// written. It lists every wrong expectation, not the first one, so that a
// caller who merged several changes knows which of them to fail.
type Conflict struct {
	Logs  []LogConflict
	Items []ItemConflict
}

// LogConflict is a wrong expectation about a log. For a Trim above the end,
// WantEnd is its Start; for a Replace, Replaced is set and the ends are equal.
type LogConflict struct {
	TP
	WantEnd, GotEnd     int64
	WantEpoch, GotEpoch int32
	// Replaced is set when the range of a Replace held other batches.
	Replaced bool
}

// ItemConflict is a wrong expectation about an item.
type ItemConflict struct {
	Key       string
	Want, Got int64
}

// Error lists the first few conflicts in words.
func (c *Conflict) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "conflict on %d logs and %d items", len(c.Logs), len(c.Items))
	for i, l := range c.Logs {
		if i == 3 {
			break
		}
		fmt.Fprintf(&b, "; %s: expected end %d epoch %d, has end %d epoch %d",
			l.TP, l.WantEnd, l.WantEpoch, l.GotEnd, l.GotEpoch)
	}
	for i, it := range c.Items {
		if i == 3 {
			break
		}
		fmt.Fprintf(&b, "; %q: expected version %d, has %d", it.Key, it.Want, it.Got)
	}
	return b.String()
}

// Empty reports whether c lists nothing.
func (c *Conflict) Empty() bool { return len(c.Logs) == 0 && len(c.Items) == 0 }
