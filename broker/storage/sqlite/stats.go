package sqlite

import "context"

// Stats describes the store for metrics and for people.
type Stats struct {
	Logs   int
	Runs   int // entries of the index in memory, 32 bytes each
	Chunks int // rows, those that wait for deletion included
	// LiveBytes are those of batches that logs need; DeadBytes lie in chunks
	// beside or instead of them and are freed in time.
	LiveBytes, DeadBytes int64
	// FileBytes is the size of the database file, FreeBytes what of it is
	// free for reuse, WALBytes the size of the write-ahead log beside it. A WAL
	// that grows means that another program holds a transaction open.
	FileBytes, FreeBytes, WALBytes int64
}

// Stats waits for the transaction under way and counts. It takes some
// milliseconds on a large store. Errors: ErrClosed, or a failed read.
func (e *Engine) Stats(ctx context.Context) (Stats, error) {
	if err := ctx.Err(); err != nil {
		return Stats{}, err
	}
	var s Stats
	err := e.do(func() error {
		free, pages, err := e.w.pages()
		if err != nil {
			return err
		}
		s = Stats{
			Logs: len(e.logs), Chunks: len(e.chunks) + len(e.dead), DeadBytes: e.deadSize(),
			FileBytes: pages * pageBytes, FreeBytes: free * pageBytes, WALBytes: e.walSize(),
		}
		for _, l := range e.byID {
			s.Runs += len(l.view.Load().runs)
		}
		for _, c := range e.chunks {
			s.LiveBytes += int64(c.live)
			s.DeadBytes += int64(c.size - c.live)
		}
		return nil
	})
	return s, err
}
