package sink_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/registry"
)

// TestRefusedVersion registers a version that the table cannot take: the status names
// it with the reason and what helps, and no more when a version comes that it takes.
func TestRefusedVersion(t *testing.T) {
	inRhythm(t, nil, func(t *testing.T, r *rhythm) {
		r.some(2)
		r.after(11 * time.Second)
		status := func() (version int, refused, fix string) {
			t.Helper()
			st, err := r.manager.Status(t.Context(), "orders")
			if err != nil || st.Schema == nil {
				t.Fatalf("%+v, %v", st, err)
			}
			return st.Schema.Version, st.Schema.Refused, st.Schema.Fix
		}
		if v, why, fix := status(); v != 1 || why+fix != "" {
			t.Errorf("version 1: %d, refused %q, %q", v, why, fix)
		}
		free := func(s *registry.Settings) error { s.Level = registry.None; return nil }
		if err := r.reg.SetSettings(t.Context(), "orders-value", free); err != nil {
			t.Fatal(err)
		}
		r.register("orders-value", strings.Replace(orderV1, `"item","type":"string"`, `"item","type":"long"`, 1))
		r.after(time.Second)
		v, why, fix := status()
		if v != 2 || !strings.Contains(why, "item") || !strings.Contains(fix, "tarn table redrive") || !strings.Contains(fix, "orders-value") {
			t.Errorf("version 2: %d, refused %q, fix %q", v, why, fix)
		}
		r.register("orders-value", orderV2)
		r.after(time.Second)
		if v, why, fix := status(); v != 3 || why+fix != "" {
			t.Errorf("version 3: %d, refused %q, %q", v, why, fix)
		}
	})
}
