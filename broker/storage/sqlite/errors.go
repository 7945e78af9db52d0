package sqlite

import (
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/tarn-io/tarn/broker/storage"
)

// mapError gives errors of SQLite their meaning in the contract. A full disk
// comes as SQLITE_FULL too: SQLite turns ENOSPC of a write into it.
func mapError(err error) error {
	var e *driver.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case codes.SQLITE_FULL:
		return fmt.Errorf("%w: %w", storage.ErrFull, err)
	case codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", storage.ErrBroken, err)
	}
	return err
}

// broken says what is wrong with a chunk.
func broken(chunk int64, what string, args ...any) error {
	return fmt.Errorf("%w: chunk %d: "+what, append([]any{storage.ErrBroken, chunk}, args...)...)
}
