package groupconfig

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

func TestParseDuration(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration // below 0: refused
	}{
		{"PT1H", time.Hour}, {"P1D", 24 * time.Hour}, {"P1DT2H3M4.5S", 26*time.Hour + 3*time.Minute + 4500*time.Millisecond},
		{"pt30m", 30 * time.Minute}, {"PT0S", 0},
		{"", -1}, {"P", -1}, {"PT", -1}, {"P1H", -1}, {"PT1D", -1}, {"1H", -1}, {"PT1H1H", -1}, {"PT1S1H", -1},
		{"PT1.5H", -1}, {"P-1D", -1}, {"P1DT", -1}, {"P99999999999D", -1}, {"PT..S", -1}, {"P1D1D", -1},
	} {
		got, err := ParseDuration(c.in)
		if err != nil {
			got = -1
		}
		if got != c.want {
			t.Errorf("ParseDuration(%q) = %v (%v), want %v", c.in, got, err, c.want)
		}
	}
}

func TestAlter(t *testing.T) {
	e := memory.New()
	c := open(t, e)
	set := func(key, value string) error {
		return c.Alter(t.Context(), "g", []Change{{Key: key, Value: value}}, false, false)
	}
	for _, bad := range [][2]string{
		{"nonsense", "1"}, {"share.session.timeout.ms", "1"}, {"share.session.timeout.ms", "x"},
		{"share.auto.offset.reset", "never"}, {"share.auto.offset.reset", "by_duration:1h"},
		{"share.isolation.level", "serializable"}, {"share.renew.acknowledge.enable", "perhaps"},
	} {
		var refused *Error
		if err := set(bad[0], bad[1]); !errors.As(err, &refused) {
			t.Errorf("%s=%s: %v, want a refusal", bad[0], bad[1], err)
		}
	}
	if err := set("share.record.lock.duration.ms", "15000"); err != nil {
		t.Fatal(err)
	}
	if err := set("share.auto.offset.reset", "by_duration:PT1H"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Configs{c, open(t, e)} {
		if got := c.Duration("g", ShareRecordLockDurationMs); got != 15*time.Second {
			t.Errorf("lock duration %v", got)
		}
		if got, set := c.Value("g", ShareAutoOffsetReset); got != "by_duration:PT1H" || !set {
			t.Errorf("reset %q %v", got, set)
		}
		if got, set := c.Value("other", ShareAutoOffsetReset); got != Latest || set {
			t.Errorf("reset of another group %q %v", got, set)
		}
	}
	if err := c.Alter(t.Context(), "g", nil, true, true); err != nil {
		t.Fatal(err)
	}
	if _, set := c.Value("g", ShareAutoOffsetReset); !set {
		t.Error("validateOnly changed something")
	}
	if err := c.Alter(t.Context(), "g", nil, true, false); err != nil {
		t.Fatal(err)
	}
	if _, set := open(t, e).Value("g", ShareAutoOffsetReset); set {
		t.Error("replaced by nothing, and still there")
	}
}

// TestDefaults holds every default to its own rule.
func TestDefaults(t *testing.T) {
	for _, d := range Definitions() {
		if why := d.Check(d.Default); why != "" {
			t.Errorf("%s=%s: %s", d.Key, d.Default, why)
		}
	}
}

// flaky fails Commits, before or after they are done.
type flaky struct {
	storage.Engine
	fail  bool
	apply bool
}

func (f *flaky) Commit(ctx context.Context, w storage.Write) error {
	if !f.fail {
		return f.Engine.Commit(ctx, w)
	}
	if f.apply {
		if err := f.Engine.Commit(ctx, w); err != nil {
			return err
		}
	}
	return errors.New("the disk is odd")
}

// TestOutcomes: after a failed Commit memory agrees with the store, whichever it
// came to.
func TestOutcomes(t *testing.T) {
	for _, apply := range []bool{false, true} {
		f := &flaky{Engine: memory.New()}
		c := open(t, f)
		f.fail, f.apply = true, apply
		change := []Change{{Key: string(ShareDeliveryCountLimit), Value: "7"}}
		if err := c.Alter(t.Context(), "g", change, false, false); err == nil {
			t.Error("no error")
		}
		f.fail = false
		if _, set := c.Value("g", ShareDeliveryCountLimit); set != apply {
			t.Errorf("persisted %v, in memory %v", apply, set)
		}
		if err := c.Alter(t.Context(), "g", []Change{{Key: string(ShareDeliveryCountLimit), Value: "8"}}, false, false); err != nil {
			t.Errorf("persisted %v: afterwards %v", apply, err)
		}
	}
}

func open(t *testing.T, s Store) *Configs {
	t.Helper()
	c, err := Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
