package txn

import (
	"context"
	"fmt"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

// maxRestored bounds the ids that Restored writes at a time, well within what a
// store takes in one call; one with a large item goes alone.
const maxRestored = 500

// Restored gives each transactional id of a store that comes from a backup another
// producer id, so that nobody goes on who had one before: epochs went back with the
// store, so that a producer that was fenced since would be let in, and two could
// have the same one. A transaction under way ends aborted, since what was added to
// it after the backup is lost, and committing the rest would halve it; one whose end
// was decided ends so. Producers are fenced and begin with InitProducerId, as a
// restarted one does. Call it before Open; nextID gives ids never used before, now is
// the clock. Errors are the store's and nextID's; it may be called again then.
func Restored(ctx context.Context, e storage.Engine, nextID func(context.Context) (int64, error), now time.Time) error {
	var found []storage.Item
	for it, err := range e.Scan(ctx, keyTxn) {
		if err != nil {
			return fmt.Errorf("read transactions: %w", err)
		}
		found = append(found, it)
	}
	var w storage.Write
	bytes := 0
	for i, it := range found {
		id, t, err := decode(it)
		if err != nil {
			return err
		}
		fresh, err := nextID(ctx)
		if err != nil {
			return fmt.Errorf("new producer id: %w", err)
		}
		if it, err = t.restored(fresh, now.UnixMilli()).encode(id, it.Version); err != nil {
			return fmt.Errorf("encode transactional id %q: %w", id, err)
		}
		w.Set, bytes = append(w.Set, it), bytes+len(it.Value)
		if i+1 < len(found) && len(w.Set) < maxRestored && bytes+len(found[i+1].Value) < maxItemBytes {
			continue
		}
		if err := e.Commit(ctx, w); err != nil {
			return fmt.Errorf("fence transactional ids: %w", err)
		}
		w, bytes = storage.Write{}, 0
	}
	return nil
}

// restored is t in a store that was restored: with a producer id that nobody has,
// at once or when its transaction has ended.
func (t *txn) restored(fresh, nowMs int64) *txn {
	n := t.at(t.updatedMs)
	switch {
	case t.preparing():
	case t.state == ongoing:
		n = t.prepare(false, true, nowMs)
	default:
		n.producerID, n.epoch, n.prevID, n.prevEpoch = fresh, 0, none, none
		return n
	}
	n.nextID, n.prevID, n.prevEpoch = fresh, none, none
	return n
}
