package parquet_test

import (
	"testing"
	"time"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/parquet"
	"github.com/tarn-io/tarn/tables/tabletest"
)

func TestFormat(t *testing.T) {
	tabletest.Run(t, func(t *testing.T, s blob.Store) tables.Format { return parquet.New(s, parquet.Config{}) })
}

// The same with snapshots and trimming in nearly every commit: graces that end
// in the future leave nothing that may go.
func TestFormatSmallLog(t *testing.T) {
	tabletest.Run(t, func(t *testing.T, s blob.Store) tables.Format {
		return parquet.New(s, parquet.Config{SnapshotEvery: 3, TrimGrace: -time.Hour})
	})
}
