package delta_test

import (
	"testing"
	"time"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/delta"
	"github.com/tarn-io/tarn/tables/tabletest"
)

func TestFormat(t *testing.T) {
	tabletest.Run(t, func(t *testing.T, s blob.Store) tables.Format { return delta.New(s, delta.Config{}) })
}

// The same with checkpoints and cleanup in nearly every commit: a retention that
// ends in the future takes all it may.
func TestFormatSmallLog(t *testing.T) {
	tabletest.Run(t, func(t *testing.T, s blob.Store) tables.Format {
		return delta.New(s, delta.Config{CheckpointEvery: 3, LogRetention: -time.Hour})
	})
}
