package iceberg_test

import (
	"sync"
	"testing"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/tabletest"
)

func TestSuite(t *testing.T) {
	var mu sync.Mutex
	catalogs := make(map[blob.Store]*tabletest.Items)
	tabletest.Run(t, func(_ *testing.T, store blob.Store) tables.Format {
		mu.Lock()
		defer mu.Unlock()
		if catalogs[store] == nil {
			catalogs[store] = tabletest.NewItems()
		}
		cat := catalog.New(catalog.Config{Items: catalogs[store], Store: store})
		return iceberg.New(cat, store, iceberg.Options{ExpireEvery: 7, KeepLast: 3, KeepFor: 1})
	})
}
