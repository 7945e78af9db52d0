package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
)

// TestSettingsFail has the store fail when limits and advertised addresses are
// changed, with nothing persisted and with everything: what is stored is in force,
// shown, and the same after a restart.
func TestSettingsFail(t *testing.T) {
	lost := errors.New("the store is away")
	for _, c := range []struct {
		name  string
		fault faulty.Fault
		limit int
		told  string
	}{
		{"not persisted", faulty.Refuse(lost), 50, "first.example:1"},
		{"persisted", faulty.Persist(lost), 60, "second.example:2"},
	} {
		e := faulty.New(memory.New())
		b := brokertest.New(t, brokertest.WithEngine(e))
		set := func(ctx context.Context, n int) error {
			return b.AlterLimits(ctx, true, []topic.Change{{Key: "max.connections", Op: topic.Set, Value: fmt.Sprint(n)}}, false, false)
		}
		if err := errors.Join(set(t.Context(), 50), b.Advertise(t.Context(), "PLAINTEXT://first.example:1", false)); err != nil {
			t.Fatal(err)
		}
		e.Next(c.fault)
		if err := set(t.Context(), 60); !errors.Is(err, lost) {
			t.Errorf("%s: limits: %v", c.name, err)
		}
		e.Next(c.fault)
		if err := b.Advertise(t.Context(), "PLAINTEXT://second.example:2", false); !errors.Is(err, lost) {
			t.Errorf("%s: addresses: %v", c.name, err)
		}
		check := func(when string) {
			t.Helper()
			if n := fmt.Sprintf(" %d:DYNAMIC_DEFAULT_BROKER_CONFIG", c.limit); !strings.Contains(shownLimits(t, b), n) {
				t.Errorf("%s, %s: got %s, want%s", c.name, when, shownLimits(t, b), n)
			}
			if got := b.Endpoints()[0].Advertised; got != c.told {
				t.Errorf("%s, %s: clients are told %s, want %s", c.name, when, got, c.told)
			}
		}
		check("at once")
		b.Stop()
		b = brokertest.New(t, brokertest.WithEngine(e))
		check("after a restart")
	}
}
