package txn

import (
	"fmt"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// Admit says whether a batch that begins a transaction in tp may: nil,
// commitlog.ErrFenced or commitlog.ErrNoTransaction. The log's sequencer asks,
// so it does not wait.
func (c *Coordinator) Admit(tp storage.TP, h record.Header) error {
	t, ok := c.open(tp, h.ProducerID)
	switch {
	case t == nil:
		return commitlog.ErrNoTransaction
	case h.ProducerEpoch < t.epoch:
		return commitlog.ErrFenced
	case !ok || h.ProducerEpoch != t.epoch:
		return fmt.Errorf("%s: %w", tp, commitlog.ErrNoTransaction)
	}
	return nil
}
