package tables

import "context"

// Replacer is a Table whose commits may take files out, so that rows can be
// replaced and deleted: what a table of latest values stands on. It names the
// state of its files, and a commit that takes files out says in which state they
// were picked: should anybody have changed the table since, in this process or
// another, the commit is refused with ErrMoved and picked anew. So no row can
// move, come or go between the look and the commit.
type Replacer interface {
	Maintainer
	// Files lists the live files, with the state that they are of and the
	// progress of that state. Errors are those of Progress.
	Files(ctx context.Context) (Files, error)
}

// Files are the live data files of one state of a table.
type Files struct {
	// State names the state: no other state of this table has the same name.
	State    string
	Progress Progress
	Live     []LiveFile
}

// Removal are files that a commit takes out of the table.
type Removal struct {
	// State is the Files.State in which the files were picked; the table must be
	// in it still.
	State string
	// Files are keys of live files. There may be none: then the commit says that
	// no row is to go in this state.
	Files []string
	// Renewed says that Files are all that the state has, and that the files of the
	// commit have every column in the type that it has from the commit on: a format
	// may forget what it noted of the types before.
	Renewed bool
}
