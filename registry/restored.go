package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
)

// What Restored leaves out: a thousand ids at least, more than are registered
// between a backup and the day it is needed, and up to a million, so that two
// restores of one backup hardly ever meet. Ids have 31 bits, which a thousand
// restores do not use up.
const (
	skipStep   = 1000
	maxSkipped = 1000
	// lastSkip is the highest next id that is still moved on: clients that are
	// refused ids would be worse than ids that come twice.
	lastSkip = 1 << 30
)

// Restored leaves out schema ids, in every context, that may have been given away
// since a backup was made from which the store comes: clients keep what an id means
// for ever, and would read new records by an old schema. Contexts that never gave
// one are left alone, and ids that come with their schemas (import) are free to be
// any. Call it before Open. Errors are the engine's, or storage.ErrBroken; it may be
// called again then, and leaves out more.
func Restored(ctx context.Context, engine storage.Engine) error {
	var w storage.Write
	skip := (1 + rand.IntN(maxSkipped)) * skipStep
	for it, err := range engine.Scan(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("read next schema ids: %w", err)
		}
		_, rest, err := splitKey(it.Key)
		if err != nil {
			return err
		}
		if rest != wordNext {
			continue
		}
		var next nextItem
		if err := decode(it, &next); err != nil {
			return err
		}
		if next.Next > 1 && next.Next+skip <= lastSkip {
			next.Next += skip
			w.Set = append(w.Set, set(strings.Clone(it.Key), it.Version, next))
		}
	}
	if len(w.Set) == 0 {
		return nil
	}
	if err := engine.Commit(ctx, w); err != nil {
		return fmt.Errorf("leave out schema ids: %w", err)
	}
	return nil
}
