package blobtest

import (
	"errors"
	"slices"
	"testing"

	"github.com/tarn-io/tarn/tables/blob"
)

func TestFaultPairs(t *testing.T) {
	for _, test := range []struct {
		when      When
		persisted bool
	}{{Before, false}, {After, true}} {
		f := NewFaulty(blob.NewMemory())
		f.Fail(Rule{Match: func(op Op, key string) bool { return op == PutIfAbsent && key == "log/1" }, When: test.when})
		if err := f.PutIfAbsent(t.Context(), "log/0", nil); err != nil {
			t.Fatal(err)
		}
		if err := f.PutIfAbsent(t.Context(), "log/1", nil); !errors.Is(err, ErrFault) {
			t.Fatalf("got %v, want ErrFault", err)
		}
		_, err := f.Get(t.Context(), "log/1")
		if got := err == nil; got != test.persisted {
			t.Errorf("when %d: persisted %v, want %v", test.when, got, test.persisted)
		}
		// The rule struck once: the same call passes now.
		if err := f.PutIfAbsent(t.Context(), "log/1", nil); errors.Is(err, ErrFault) {
			t.Errorf("rule struck twice")
		}
	}
}

func TestCrash(t *testing.T) {
	ctx := t.Context()
	f := NewFaulty(blob.NewMemory())
	f.CrashAt(1, After)
	if err := f.Put(ctx, "a", nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Put(ctx, "b", nil); !errors.Is(err, ErrFault) {
		t.Fatalf("second write: got %v, want ErrFault", err)
	}
	if _, err := f.Get(ctx, "a"); !errors.Is(err, ErrFault) {
		t.Errorf("read after the crash: got %v, want ErrFault", err)
	}
	if !f.Heal() {
		t.Errorf("heal says that no crash came")
	}
	if _, err := f.Get(ctx, "b"); err != nil {
		t.Errorf("read of what was persisted: %v", err)
	}
	want := []Call{{Put, "a"}, {Put, "b"}, {Get, "a"}, {Get, "b"}}
	if got := f.Calls(); !slices.Equal(got, want) {
		t.Errorf("calls: got %v, want %v", got, want)
	}
}
