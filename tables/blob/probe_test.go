package blob

import (
	"context"
	"testing"
)

// careless is a store whose conditions do not count.
type careless struct{ Store }

// PutIfAbsent implements Store, as such a server would.
func (c careless) PutIfAbsent(ctx context.Context, key string, data []byte) error {
	return c.Put(ctx, key, data)
}

func TestProbe(t *testing.T) {
	m := NewMemory()
	for _, tt := range []struct {
		name string
		s    Store
		want bool
	}{{"memory", m, false}, {"careless", careless{m}, true}} {
		got, err := Probe(t.Context(), tt.s, tt.name)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
	for info, err := range m.List(t.Context(), "") {
		t.Errorf("left behind: %s, %v", info.Key, err)
	}
}
