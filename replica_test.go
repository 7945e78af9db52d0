package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/sqlite"
	"github.com/tarn-io/tarn/tables/blob"
)

// replicated is a replica of a store whose item "n" counts states, from 0, a
// second apart; times are those of the states.
func replicated(t *testing.T, store blob.Store, name string, states int) (times []time.Time) {
	t.Helper()
	e, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "tarn.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	begun := time.UnixMilli(1_800_000_000_000)
	number := 0
	set := func(n int) {
		w := storage.Write{Set: []storage.Item{{Key: "n", Version: storage.Any, Value: fmt.Append(nil, name, n)}}}
		if err := e.Commit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	set(0)
	ticks := make(chan time.Time, 1)
	err = e.Parts(t.Context(), ticks, func(p sqlite.Part) error {
		p.Time = begun.Add(time.Duration(len(times)) * time.Second)
		if err := store.Put(t.Context(), partKey(name, number, p), p.Bytes); err != nil {
			return err
		}
		number++
		if p.Whole {
			if times = append(times, p.Time); len(times) == states {
				close(ticks)
				return nil
			}
			set(len(times))
			ticks <- p.Time
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return times
}

// restored is the item of the state at a time.
func restored(t *testing.T, store blob.Store, at time.Time) (string, error) {
	t.Helper()
	parts, err := stateAt(t.Context(), store, at)
	if err != nil {
		return "", err
	}
	path := filepath.Join(t.TempDir(), "tarn.db")
	c, err := sqlite.NewCopy(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := fetchParts(t.Context(), store, parts, func(ch sqlite.Change) error { return c.Apply(t.Context(), ch) }); err != nil {
		return "", err
	}
	if err := c.Finish(t.Context(), storeViews()); err != nil {
		t.Fatal(err)
	}
	e, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	it, err := e.Get(t.Context(), "n")
	return string(it.Value), err
}

func TestReplica(t *testing.T) {
	store := blob.NewMemory()
	if _, err := stateAt(t.Context(), store, time.Now()); !errors.Is(err, errNoState) {
		t.Errorf("an empty replica: got %v", err)
	}
	const older, newer = "1799999999000-aaaaaaaa", "1800000003500-bbbbbbbb"
	times := replicated(t, store, older, 12)
	check := func(at time.Time, want string) {
		t.Helper()
		if got, err := restored(t, store, at); got != want || err != nil {
			t.Errorf("at %v: got %q, %v; want %q", at, got, err, want)
		}
	}
	for n := range times {
		check(times[n], fmt.Sprint(older, n))
		check(times[n].Add(400*time.Millisecond), fmt.Sprint(older, n))
	}
	if _, err := restored(t, store, times[0].Add(-time.Millisecond)); !errors.Is(err, errNoState) {
		t.Errorf("before it begins: got %v", err)
	}
	// A replica that ended within a state is as good as its last whole one.
	last, _ := stateAt(t.Context(), store, times[11])
	if err := store.Delete(t.Context(), last[len(last)-1].key); err != nil {
		t.Fatal(err)
	}
	check(times[11], fmt.Sprint(older, 10))
	// What comes behind a gap is not taken.
	if err := store.Delete(t.Context(), last[len(last)-4].key); err != nil {
		t.Fatal(err)
	}
	check(times[11], fmt.Sprint(older, 7))
	// A damaged part is told, not taken.
	data, err := store.Get(t.Context(), last[1].key)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := store.Put(t.Context(), last[1].key, data); err != nil {
		t.Fatal(err)
	}
	if _, err := restored(t, store, times[5]); !errors.Is(err, sqlite.ErrPart) {
		t.Errorf("a damaged part: got %v, want ErrPart", err)
	}
	// A newer generation answers for what it has, and the older one goes when
	// nothing needs it.
	after := replicated(t, store, newer, 2)
	check(after[1], newer+"1")
	for _, tt := range []struct {
		before time.Time
		want   int
	}{{after[0], 2}, {after[0].Add(time.Second), 1}} {
		if err := prune(t.Context(), store, newer, tt.before); err != nil {
			t.Fatal(err)
		}
		if all, err := generations(t.Context(), store); len(all) != tt.want || err != nil {
			t.Errorf("generations: got %d, %v; want %d", len(all), err, tt.want)
		}
	}
	check(after[1], newer+"1")
}

// TestReplicaClockSetBack: what is written after the clock was set back is the newest
// all the same, and what it replaces goes.
func TestReplicaClockSetBack(t *testing.T) {
	store := blob.NewMemory()
	begun := time.UnixMilli(1_800_000_000_000)
	var name string
	for n, now := range []time.Time{begun.Add(time.Hour), begun, begun.Add(-time.Hour), begun.Add(2 * time.Hour)} {
		next, err := newGeneration(t.Context(), store, now)
		if err != nil || next <= name {
			t.Fatalf("generation %d: got %s, %v; want one after %s", n, next, err, name)
		}
		name = next
		times := replicated(t, store, name, 2)
		if got, err := restored(t, store, times[1].Add(24*time.Hour)); got != name+"1" || err != nil {
			t.Errorf("generation %d: restored %q, %v; want %q", n, got, err, name+"1")
		}
	}
	if want := fmt.Sprintf("%013d-", begun.Add(2*time.Hour).UnixMilli()); !strings.HasPrefix(name, want) {
		t.Errorf("with the clock right again: got %s, want %s...", name, want)
	}
	if err := store.Put(t.Context(), "notes/0000000000-1800000000000-s", nil); err != nil {
		t.Fatal(err)
	}
	if next, err := newGeneration(t.Context(), store, begun.Add(3*time.Hour)); err != nil || len(next) != len(name) {
		t.Errorf("beside a folder of others: got %s, %v", next, err)
	}
}

func TestParseAt(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"-5m": now.Add(-5 * time.Minute), "2026-11-22T11:00:00Z": now.Add(-time.Hour), "2026-11-22T12:00:00.5+01:00": now.Add(-time.Hour + 500*time.Millisecond),
		"5m": now.Add(-5 * time.Minute), "yesterday": {},
	} {
		if got, err := parseAt(text, now); !got.Equal(want) || (err == nil) == want.IsZero() {
			t.Errorf("%s: got %v, %v; want %v", text, got, err, want)
		}
	}
}

// TestTroubleIsToldOnce: what goes on is told each minute, what changes at once.
func TestTroubleIsToldOnce(t *testing.T) {
	var out strings.Builder
	begun, o := time.UnixMilli(1_800_000_000_000), &once{to: &out}
	for i := range 25 { // each three seconds, as a broker is asked that is away
		o.say(fmt.Errorf("write .tmp/%d: %w", i, syscall.ENOSPC), "trying again", begun.Add(time.Duration(i)*3*time.Second))
	}
	o.say(errors.New("refused"), "trying again", begun.Add(75*time.Second))
	want := fmt.Sprintf("tarn: write .tmp/0: %v; trying again\ntarn: write .tmp/20: %[1]v; trying again\ntarn: refused; trying again\n", syscall.ENOSPC)
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
