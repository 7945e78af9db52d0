package tables

import (
	"context"
	"time"
)

// Maintainer is what a Table offers for its upkeep. No method changes which
// rows there are, but for Replace where it is asked to, and none touches the
// progress: exactly-once does not depend on them, and a crash in any of them
// leaves at most files that nothing names. They may run beside the table's
// writer, in this process or another.
type Maintainer interface {
	Table
	// Live lists the data files, the oldest rows first.
	Live(ctx context.Context) ([]LiveFile, error)
	// Replace takes files out of the table and puts others in, in one atomic
	// commit, durable on return. Errors: ErrConflict (a file to be removed is
	// live no more), ErrFile, ErrUnsupported (refused, nothing was written);
	// after any other the outcome is unknown: Landed tells.
	Replace(ctx context.Context, r Replacement) error
	// Expire forgets earlier states of the table, and removes the files that
	// only they used. What goes wrong leaves files behind and nothing else.
	Expire(ctx context.Context, k Keep) (Expired, error)
	// Sweep removes files in the table's folders that no state of the table
	// names, and nobody is about to commit.
	Sweep(ctx context.Context, s Sweep) (Removed, error)
	// History lists the states that can be read, or are recorded, the newest
	// first; 1000 at most.
	History(ctx context.Context) ([]Version, error)
}

// LiveFile is a data file that the table names.
type LiveFile struct {
	// Key is its key in the blob store: where it can be read now.
	Key  string `json:"key"`
	Size int64  `json:"size"` // bytes
	Rows int64  `json:"rows"`
	// Ranges are the offsets it covers, where the format knows.
	Ranges []Range `json:"ranges,omitempty"`
	// Deletes says that delete files of other writers may take rows of it away:
	// it must not be rewritten as it is.
	Deletes bool `json:"deletes,omitempty"`
	// Partition names the partition spec and the values that its rows have: files
	// of another one must not be merged with it. It is a word of the format's,
	// empty for none.
	Partition string `json:"partition,omitempty"`
}

// Replacement is one change of a table's files.
type Replacement struct {
	// ID names it, the same on every try.
	ID string
	// Remove are keys of live files.
	Remove []string
	// Add are the files with their rows; each lies at its DataPath.
	Add []DataFile
	// Drop says that the rows of Remove are to go; without it, Add has the
	// same rows.
	Drop bool
	// Summary is written into the table's history for people.
	Summary map[string]string
}

// Keep says which earlier states of a table stay readable: those younger than
// Age and the Last newest ones, but Max at most. Zero values keep nothing for
// that reason.
type Keep struct {
	Age       time.Duration
	Last, Max int
	// DryRun: nothing is changed, and the answer is what would be.
	DryRun bool
}

// Expired says what an expiry has done.
type Expired struct {
	Versions int `json:"versions"`
	Removed
}

// Sweep says which files may go.
type Sweep struct {
	// Before is the age guard: what was written later stays, since somebody may
	// be about to commit it.
	Before time.Time
	// Pending reports whether somebody will commit the file at a key. It must
	// know all that was pending before the call.
	Pending func(key string) bool
	// DryRun: nothing is changed, and the answer is what would be.
	DryRun bool
}

// Removed counts files that were deleted.
type Removed struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Version is one state of a table.
type Version struct {
	ID        string `json:"id"` // snapshot id, Delta version, manifest number
	TimeMs    int64  `json:"time_ms"`
	Operation string `json:"operation"`
	// Rows and Files are what the table held then, -1 where it is not recorded.
	Rows  int64 `json:"rows"`
	Files int64 `json:"files"`
	// Current is set on the newest one, Readable on those that can be read.
	Current  bool `json:"current"`
	Readable bool `json:"readable"`
}

// MaxHistory bounds the versions that Maintainer.History lists.
const MaxHistory = 1000
