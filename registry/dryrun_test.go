package registry

import (
	"errors"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
)

// TestDryRun says how things would be, is refused where a change would be, and leaves
// everything as it is, in memory and in the store.
func TestDryRun(t *testing.T) {
	e := memory.New()
	r := open(t, e)
	dry := DryRun(t.Context())
	v, err := r.Register(dry, "orders", avro(orderV1))
	if err != nil || v.Version != 1 || v.ID != 1 {
		t.Errorf("would be %+v: %v", v, err)
	}
	register(t, r, "orders", avro(orderV1))
	if v, err := r.Register(dry, "orders", avro(orderV2)); err != nil || v.Version != 2 || v.ID != 2 {
		t.Errorf("would be %+v: %v", v, err)
	}
	if _, err := r.Register(dry, "orders", avro(orderV3)); err == nil {
		t.Error("what does not fit would be registered")
	}
	if gone, err := r.DeleteSubject(dry, "orders", false); err != nil || len(gone) != 1 {
		t.Errorf("would delete %v: %v", gone, err)
	}
	if _, err := r.DeleteVersion(dry, "orders", 1, true); !errors.Is(err, ErrVersionNotDeleted) {
		t.Errorf("a version that is not deleted first: %v", err)
	}
	if err := r.SetMode(dry, "orders", ReadOnly, false); err != nil {
		t.Error(err)
	}
	for _, now := range []*Registry{r, open(t, e)} {
		if v := register(t, now, "orders", avro(orderV1)); v.Version != 1 || v.ID != 1 {
			t.Errorf("is %+v", v)
		}
	}
	if v := register(t, r, "orders", avro(orderV2)); v.Version != 2 || v.ID != 2 {
		t.Errorf("is %+v", v)
	}
}
