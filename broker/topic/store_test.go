package topic

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

var errDisk = errors.New("disk says no")

// flaky is a memory engine whose next Commit can be made to fail, with or
// without having been applied.
type flaky struct {
	*memory.Engine
	fail, apply bool
	scanErr     error
	commits     int
}

func (f *flaky) Commit(ctx context.Context, w storage.Write) error {
	f.commits++
	if !f.fail {
		return f.Engine.Commit(ctx, w)
	}
	f.fail = false
	if f.apply {
		if err := f.Engine.Commit(ctx, w); err != nil {
			return err
		}
	}
	return errDisk
}

func (f *flaky) Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error] {
	if f.scanErr != nil {
		return func(yield func(storage.Item, error) bool) { yield(storage.Item{}, f.scanErr) }
	}
	return f.Engine.Scan(ctx, prefix)
}

// ids hands out ids 1, 2, 3, … and a clock that stands still.
func testDefaults() Defaults {
	var n byte
	return Defaults{
		Partitions: 3,
		Now:        func() time.Time { return time.UnixMilli(1_700_000_000_000) },
		NewID:      func() storage.TopicID { n++; return storage.TopicID{15: n} },
	}
}

func open(t *testing.T) (*Topics, *flaky) {
	t.Helper()
	store := &flaky{Engine: memory.New()}
	return reopen(t, store), store
}

func reopen(t *testing.T, store *flaky) *Topics {
	t.Helper()
	topics, err := Open(t.Context(), store, testDefaults())
	if err != nil {
		t.Fatal(err)
	}
	return topics
}

func mustCreate(t *testing.T, topics *Topics, name string, configs map[string]string) *Topic {
	t.Helper()
	topic, err := topics.Create(t.Context(), Spec{Name: name, Partitions: -1, Configs: configs})
	if err != nil {
		t.Fatal(err)
	}
	return topic
}

// dump says everything a view holds, for comparing memory with the store.
func dump(v *View) string {
	s := ""
	for _, t := range v.All() {
		s += fmt.Sprintf("%s %s %d %v %d v%d\n", t.ID, t.Name, t.Partitions, t.Overrides, t.CreatedMs, t.Version)
	}
	return s
}

// checkStored compares the view with what a new start would read.
func checkStored(t *testing.T, topics *Topics, store *flaky) {
	t.Helper()
	if got, want := dump(topics.View()), dump(reopen(t, store).View()); got != want {
		t.Errorf("in memory:\n%sin the store:\n%s", got, want)
	}
}
