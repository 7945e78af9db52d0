package broker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarn-io/tarn/broker/quota"
)

// TestDoor lets in as many as there are places, of all and of each listener.
func TestDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := door{max: 3, pace: quota.NewPace(0)}
		a, b := entrance{max: 1, pace: quota.NewPace(0)}, entrance{pace: quota.NewPace(0)}
		var in []string
		enter := func(name string, e *entrance) {
			go func() {
				if err := d.enter(t.Context(), e); err != nil {
					t.Error(err)
				}
				in = append(in, name)
			}()
			synctest.Wait()
		}
		must := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if !slices.Equal(in, want) {
				t.Fatalf("in are %v, want %v", in, want)
			}
		}
		enter("a1", &a)
		enter("a2", &a)
		must("a1") // the listener is full, the broker is not
		enter("b1", &b)
		enter("b2", &b)
		enter("b3", &b)
		must("a1", "b1", "b2")
		d.leave(&b)
		must("a1", "b1", "b2", "b3")
		d.leave(&a)
		must("a1", "b1", "b2", "b3", "a2")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.enter(ctx, &a); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// TestDoorRate lets connections wait that come faster than a listener or the broker
// takes them: ten seconds' worth at once, then by the rate.
func TestDoorRate(t *testing.T) {
	for name, rates := range map[string][2]float64{"of the listener": {0, 5}, "of all": {5, 0}, "the lower one": {100, 5}} {
		synctest.Test(t, func(t *testing.T) {
			d := door{max: 1000, pace: quota.NewPace(rates[0])}
			e := entrance{pace: quota.NewPace(rates[1])}
			began := time.Now()
			come := func(n int) time.Duration {
				for range n {
					if err := d.enter(t.Context(), &e); err != nil {
						t.Fatal(err)
					}
				}
				return time.Since(began)
			}
			if took := come(50); took != 0 {
				t.Errorf("%s: the first 50 took %v", name, took)
			}
			// 51 in 10 s are 0.1 a second too many, which takes 200 ms.
			if took := come(1).Round(time.Millisecond); took != 200*time.Millisecond {
				t.Errorf("%s: the 51st came after %v", name, took)
			}
			// Whoever is taken back has not come.
			d.uncount(&e)
			d.uncount(&e)
			if took := come(1).Round(time.Millisecond); took != 200*time.Millisecond {
				t.Errorf("%s: with two taken back the next came after %v", name, took)
			}
			if took := come(100); took < 15*time.Second || took > 25*time.Second {
				t.Errorf("%s: 100 more took %v at 5 a second", name, took)
			}
			// Nobody waits for longer than a second.
			before := time.Now()
			for range 2 {
				d.pace.Count(before)
				e.pace.Count(before)
			}
			if come(1); time.Since(before) > maxHold {
				t.Errorf("%s: one waited %v", name, time.Since(before))
			}
		})
	}
}
