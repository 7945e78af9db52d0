package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/tables/blob/s3"
)

// TestWarehouseInBuckets: what the service refuses ends the start with a word that a
// person can act on; silence does not.
func TestWarehouseInBuckets(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true",
		"AZURE_STORAGE_KEY": "a2V5", "GOOGLE_APPLICATION_CREDENTIALS": "",
		"AWS_CONFIG_FILE": filepath.Join(t.TempDir(), "none"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(t.TempDir(), "none"),
	} {
		t.Setenv(name, value)
	}
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))
	defer refuses.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, tt := range []struct{ warehouse, wrong string }{
		{"s3://lake/a?endpoint=" + refuses.URL, "access denied"},
		{"s3://lake/a?endpoint=" + gone.URL, ""},
		{"s3://lake/a?bucket=b", `unknown parameter "bucket"`},
		{"ftp://lake", "file:///DIR, s3://BUCKET/PREFIX, gs://"},
		{"gs://lake/a?endpoint=" + refuses.URL, "access denied"},
		{"gs://lake/a?endpoint=" + gone.URL, ""},
		{"gs://lake/a?bucket=b", `unknown parameter "bucket"`},
		{"abfss://lake@me.dfs.core.windows.net?endpoint=" + refuses.URL, "access denied"},
		{"abfss://lake@me.dfs.core.windows.net?endpoint=" + gone.URL, ""},
		{"abfss://lake/a", "want abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX"},
	} {
		n := &node{cmd: &serveCmd{Warehouse: tt.warehouse}, lg: slog.New(slog.DiscardHandler)}
		err := n.openWarehouse(t.Context())
		switch {
		case tt.wrong == "" && err != nil, tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)):
			t.Errorf("%s: got %v, want %q", tt.warehouse, err, tt.wrong)
		case tt.wrong == "" && !strings.HasPrefix(tt.warehouse, "s3:"):
			if got, want := n.store.URL(""), strings.Split(tt.warehouse, "?")[0]; got != want {
				t.Errorf("tables lie at %s, want %s", got, want)
			}
		case tt.wrong == "":
			if got := n.catalogOptions().TableConfig["s3.endpoint"]; got != gone.URL {
				t.Errorf("the catalog's clients get the endpoint %q, want %s", got, gone.URL)
			}
			if _, ok := n.store.(*s3.Store); !ok {
				t.Errorf("store is %T", n.store)
			}
		}
	}
}
