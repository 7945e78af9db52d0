package sink

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"syscall"
	"time"

	"github.com/tarn-io/tarn/tables"
)

// errorInfo is an error with what a person can do about it.
func errorInfo(now time.Time, err error) ErrorInfo {
	return ErrorInfo{AtMs: now.UnixMilli(), Message: err.Error(), Fix: fixOf(err)}
}

// fixOf says what a person can do about an error of a table. What the error's
// own text advises is not repeated.
func fixOf(err error) string {
	var stop *stopError
	var dial *net.OpError
	var defect *panicError
	var known interface { // errors of catalogs, which know best
		error
		Fix() string
	}
	switch {
	case errors.As(err, &stop) && advice[stop.state] != "":
		return advice[stop.state]
	case errors.As(err, &defect):
		return "this is a defect of Tarn: please report it with the stack in the broker's log. Records wait in the log; it is tried again every 30 s, and tarn table flush TOPIC tries at once"
	case errors.As(err, &known) && known.Fix() != "":
		return known.Fix()
	case errors.Is(err, tables.ErrUnsupported):
		return "this format cannot hold the schema: register one that it can, or take the format out of tarn.table.formats"
	case errors.Is(err, tables.ErrBroken):
		return "the table's metadata is damaged: restore it, or move the table and its dead letters away to have it written anew from the log"
	case errors.Is(err, tables.ErrConflict):
		return "another writer came first: it is tried again; if it stays so, stop the other writer"
	case errors.Is(err, syscall.ENOSPC):
		return "the volume of the warehouse is full: make room, and it goes on by itself"
	case errors.Is(err, fs.ErrPermission):
		return "let the broker's user read and write the warehouse's folder, and it goes on by itself"
	case errors.As(err, &dial):
		return "nobody answers there: start the store or catalog, or mend the address; records wait in the log and it goes on by itself"
	case errors.Is(err, context.DeadlineExceeded):
		return "the store or catalog hangs: look at it; records wait in the log and it goes on by itself"
	}
	return "it is tried again by itself, at most 30 s apart; tarn table flush TOPIC tries at once"
}
