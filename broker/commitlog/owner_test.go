package commitlog

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// TestStaleOwner has two brokers on one store: the one that lost the log is
// refused, drops its state, and knows the truth afterwards.
func TestStaleOwner(t *testing.T) {
	e := memory.New()
	first, stopFirst := start(t, e, nil)
	second, _ := start(t, e, nil)
	mustPut(t, first, named(t, tp0, "a", idempotent(1, 0, 0)))
	other := storage.TP{Topic: tp0.Topic, Partition: 1}
	mustPut(t, first, named(t, other, "x", options{}))
	mustPut(t, second, named(t, tp0, "b", idempotent(2, 0, 0)))

	if _, err := put(t, first, named(t, tp0, "c", options{})); !errors.Is(err, ErrNotOwner) {
		t.Fatalf("stale owner: got %v, want ErrNotOwner", err)
	}
	if a := mustPut(t, first, named(t, other, "y", options{})); a.Base != 1 {
		t.Errorf("a log that nobody took: base %d", a.Base)
	}
	if got := offsets(t, first, tp0, 0, 1<<20); fmt.Sprint(got) != "[0 1]" {
		t.Errorf("stale owner reads %v after it was refused", got)
	}
	g, err := first.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := g.Duplicate(t.Context(), named(t, tp0, "b", idempotent(2, 0, 0)).Header); !ok || d.Base != 1 {
		t.Errorf("the rival's producer is not known: %+v %v", d, ok)
	}

	// The second goes on and trims; what the first writes when it stops does not
	// overwrite the producers that only the second's snapshot still knows.
	mustPut(t, second, named(t, tp0, "d", idempotent(3, 0, 7)))
	if _, err := second.Trim(t.Context(), tp0, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Trim(t.Context(), tp0, 2); !errors.Is(err, ErrNotOwner) {
		t.Errorf("trim of a stale owner: got %v, want ErrNotOwner", err)
	}
	mustPut(t, first, named(t, other, "z", options{}))
	stopFirst()
	third, _ := start(t, e, nil)
	if g, err = third.Log(t.Context(), tp0); err != nil {
		t.Fatal(err)
	}
	if d, ok := g.Duplicate(t.Context(), named(t, tp0, "d", idempotent(3, 0, 7)).Header); !ok || d.Base != 2 {
		t.Errorf("after a restart producer 3 is not known: %+v %v", d, ok)
	}
	if got := fmt.Sprint(lines(t, e, other)); got != "[0 x 1 y 2 z]" {
		t.Errorf("other log holds %s", got)
	}
}

// TestStaleOwnerAtShutdown saves snapshots of the logs it still has, and none
// of the log that it lost without having noticed.
func TestStaleOwnerAtShutdown(t *testing.T) {
	e := memory.New()
	first, stopFirst := start(t, e, nil)
	other := storage.TP{Topic: tp0.Topic, Partition: 1}
	mustPut(t, first, named(t, tp0, "a", idempotent(1, 0, 0)))
	mustPut(t, first, named(t, other, "a", idempotent(1, 0, 0)))
	second, stopSecond := start(t, e, nil)
	mustPut(t, second, named(t, tp0, "b", idempotent(2, 0, 0)))
	stopSecond()
	theirs, err := e.Get(t.Context(), SnapshotKey(tp0))
	if err != nil || theirs.Version == 0 {
		t.Fatalf("the new owner left no snapshot: %v", err)
	}
	stopFirst()
	if got, _ := e.Get(t.Context(), SnapshotKey(tp0)); got.Version != theirs.Version {
		t.Error("the old owner overwrote the new owner's snapshot")
	}
	if got, _ := e.Get(t.Context(), SnapshotKey(other)); got.Version == 0 {
		t.Error("the old owner did not save the log that is still its own")
	}
}

// TestRivalTookThePlace fails a commit while a rival appends as many records at
// the same offsets: the ends agree, the batches do not.
func TestRivalTookThePlace(t *testing.T) {
	inner := memory.New()
	f := faulty.New(inner)
	l, _ := start(t, f, nil)
	mustPut(t, l, named(t, tp0, "a", options{}))
	rival, _ := start(t, inner, nil)
	mustPut(t, rival, named(t, tp0, "b", options{}))
	f.Next(faulty.Refuse(errDisk)) // instead of the conflict
	if _, err := put(t, l, named(t, tp0, "mine", options{})); !errors.Is(err, ErrStorage) {
		t.Fatalf("got %v, want a failure: the rival's batch lies there", err)
	}
	if a := mustPut(t, l, named(t, tp0, "c", options{})); a.Base != 2 {
		t.Errorf("after the look: base %d, want 2", a.Base)
	}
	if got := fmt.Sprint(lines(t, inner, tp0)); got != "[0 a 1 b 2 c]" {
		t.Errorf("log holds %s", got)
	}
}

// TestEpochOutlivesBatches appends with the highest epoch the log has seen,
// also when the batches that carried it are gone.
func TestEpochOutlivesBatches(t *testing.T) {
	e := memory.New()
	b := named(t, tp0, "a", options{})
	if err := e.Commit(t.Context(), storage.Write{Append: []storage.Append{{TP: tp0, End: 1, Epoch: 5, Batches: b.Bytes}}}); err != nil {
		t.Fatal(err)
	}
	if err := e.Commit(t.Context(), storage.Write{Trim: []storage.Trim{{TP: tp0, Start: 1}}}); err != nil {
		t.Fatal(err)
	}
	l, _ := start(t, e, nil)
	if a := mustPut(t, l, named(t, tp0, "b", options{})); a.Base != 1 {
		t.Errorf("base %d", a.Base)
	}
	if got, _ := e.Bounds(t.Context(), tp0); got.Epoch != 5 {
		t.Errorf("epoch %d, want 5", got.Epoch)
	}
}
