package rest_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/catalog/rest"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// host is a catalog in another process, as far as its clients can tell.
type host struct {
	items *tabletest.Items
	url   string
	cat   *catalog.Catalog
}

func newHost(t *testing.T, store blob.Store) *host {
	t.Helper()
	h := &host{items: tabletest.NewItems()}
	h.cat = catalog.New(catalog.Config{Items: h.items, Store: store})
	srv := httptest.NewServer(catalog.Handler(h.cat, catalog.Options{}))
	t.Cleanup(srv.Close)
	h.url = srv.URL + "/iceberg"
	return h
}

func (h *host) client(t *testing.T, store blob.Store, through http.RoundTripper) *rest.Client {
	t.Helper()
	c, err := rest.New(rest.Config{URI: h.url, Warehouse: "tarn", Store: store, Client: &http.Client{Transport: through}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSuite puts Iceberg tables in a catalog behind HTTP through all that tables
// promise.
func TestSuite(t *testing.T) {
	var mu sync.Mutex
	hosts := map[blob.Store]*host{}
	tabletest.Run(t, func(t *testing.T, store blob.Store) tables.Format {
		mu.Lock()
		defer mu.Unlock()
		if hosts[store] == nil {
			hosts[store] = newHost(t, store)
		}
		return iceberg.New(hosts[store].client(t, store, nil), store, iceberg.Options{ExpireEvery: 7, KeepLast: 3, KeepFor: 1})
	})
}
