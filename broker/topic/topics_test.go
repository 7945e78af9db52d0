package topic

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

func TestCreate(t *testing.T) {
	topics, store := open(t)
	before := topics.View()
	got, err := topics.Create(t.Context(), Spec{Name: "orders", Partitions: -1, Configs: map[string]string{"retention.ms": "5"}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Partitions != 3 || got.Config.RetentionMs != 5 || got.CreatedMs != 1_700_000_000_000 || got.Version == 0 {
		t.Errorf("got %+v", got)
	}
	select {
	case <-before.Changed():
	default:
		t.Error("the old view does not say that it is old")
	}
	v := topics.View()
	if v.ByName("orders") != got || v.ByID(got.ID) != got || v.Partitions() != 3 || len(v.All()) != 1 {
		t.Errorf("the view lacks the topic: %s", dump(v))
	}
	if before.ByName("orders") != nil {
		t.Error("an old view changed")
	}
	checkStored(t, topics, store)
}

func TestCreateRefused(t *testing.T) {
	topics, store := open(t)
	mustCreate(t, topics, "a.b", nil)
	mustCreate(t, topics, "rows", map[string]string{"tarn.table.formats": "iceberg"})
	commits := store.commits
	config := &ConfigError{}
	tests := []struct {
		spec Spec
		want error
		text string
	}{
		{Spec{Name: "a.b", Partitions: 1}, ErrExists, ""},
		{Spec{Name: "a_b", Partitions: 1}, ErrName, `collides with "a.b"`},
		{Spec{Name: "", Partitions: 1}, ErrName, ""},
		{Spec{Name: "..", Partitions: 1}, ErrName, ""},
		{Spec{Name: "a b", Partitions: 1}, ErrName, ""},
		{Spec{Name: strings.Repeat("x", 250), Partitions: 1}, ErrName, "250"},
		{Spec{Name: "x", Partitions: 0}, ErrPartitions, ""},
		{Spec{Name: "x", Partitions: -2}, ErrPartitions, ""},
		{Spec{Name: "x", Partitions: MaxPartitions + 1}, ErrPartitions, "at most 10000"},
		{Spec{Name: "x", Partitions: 1, Configs: map[string]string{"retentin.ms": "1"}}, config, "did you mean retention.ms?"},
		{Spec{Name: "x", Partitions: 1, Configs: map[string]string{"retention.ms": "soon"}}, config, "whole number"},
		{Spec{Name: "x", Partitions: 1, Configs: map[string]string{"tarn.table.name": "rows", "tarn.table.formats": "delta"}}, config, `topic "rows" fills`},
		{Spec{Name: "rows__dead_letters", Partitions: 1, Configs: map[string]string{"tarn.table.formats": "delta"}}, config, "dead-letter"},
		{Spec{Name: strings.Repeat("X", 100), Partitions: 1, Configs: map[string]string{"tarn.table.formats": "delta"}}, config, "shorter"},
	}
	for _, tt := range tests {
		_, err := topics.Create(t.Context(), tt.spec)
		ok := errors.Is(err, tt.want)
		if errors.Is(tt.want, config) {
			ok = errors.As(err, new(*ConfigError))
		}
		if !ok || !strings.Contains(fmt.Sprint(err), tt.text) {
			t.Errorf("%.40v: got %v, want %v with %q", tt.spec, err, tt.want, tt.text)
		}
	}
	if store.commits != commits {
		t.Errorf("refusals wrote %d times", store.commits-commits)
	}
	checkStored(t, topics, store)
}

func TestBrokerPartitionLimit(t *testing.T) {
	topics, _ := open(t)
	for i := range MaxAllPartitions / MaxPartitions {
		if _, err := topics.Create(t.Context(), Spec{Name: fmt.Sprint("t", i), Partitions: MaxPartitions}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := topics.Create(t.Context(), Spec{Name: "one", Partitions: 1}); !errors.Is(err, ErrPartitions) {
		t.Errorf("got %v, want ErrPartitions", err)
	}
}

func TestValidateOnly(t *testing.T) {
	topics, store := open(t)
	mustCreate(t, topics, "a", nil)
	want, commits := dump(topics.View()), store.commits
	if topic, err := topics.Create(t.Context(), Spec{Name: "b", Partitions: 2, ValidateOnly: true}); err != nil || topic.Partitions != 2 {
		t.Errorf("create: %v, %v", topic, err)
	}
	if topic, err := topics.AddPartitions(t.Context(), "a", 9, true); err != nil || topic.Partitions != 9 {
		t.Errorf("add partitions: %v, %v", topic, err)
	}
	if topic, err := topics.Alter(t.Context(), "a", []Change{{Key: "retention.ms", Value: "1"}}, false, true); err != nil || topic.Config.RetentionMs != 1 {
		t.Errorf("alter: %v, %v", topic, err)
	}
	if got := dump(topics.View()); got != want || store.commits != commits {
		t.Errorf("validation changed something:\n%s", got)
	}
}

func TestDelete(t *testing.T) {
	topics, store := open(t)
	topic := mustCreate(t, topics, "gone", nil)
	last := storage.TP{Topic: topic.ID, Partition: topic.Partitions - 1}
	b := record.NewBuilder(record.Options{})
	b.Append(1, nil, []byte("value"))
	batch, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	w := storage.Write{Append: []storage.Append{{TP: last, End: 1, Batches: batch}}}
	if err := store.Commit(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if err := topics.Delete(t.Context(), topic.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Bounds(t.Context(), last); !errors.Is(err, storage.ErrNoLog) {
		t.Errorf("the log of the last partition outlives its topic: %v", err)
	}
	if err := topics.Delete(t.Context(), topic.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("second deletion: got %v, want ErrNotFound", err)
	}
	again := mustCreate(t, topics, "gone", nil)
	if again.ID == topic.ID {
		t.Error("a topic made again has its old id")
	}
	checkStored(t, topics, store)
	for it, err := range store.Engine.Scan(t.Context(), "topic") {
		if err != nil || strings.Contains(it.Key, topic.ID.String()) {
			t.Errorf("left over: %v %v", it.Key, err)
		}
	}
}

func TestAddPartitions(t *testing.T) {
	topics, store := open(t)
	mustCreate(t, topics, "a", nil)
	for total, want := range map[int32]error{3: ErrPartitions, 2: ErrPartitions, 0: ErrPartitions, MaxPartitions + 1: ErrPartitions} {
		if _, err := topics.AddPartitions(t.Context(), "a", total, false); !errors.Is(err, want) {
			t.Errorf("to %d: got %v, want %v", total, err, want)
		}
	}
	if _, err := topics.AddPartitions(t.Context(), "b", 9, false); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	old := topics.View().ByName("a")
	got, err := topics.AddPartitions(t.Context(), "a", 5, false)
	if err != nil || got.Partitions != 5 || old.Partitions != 3 || topics.View().Partitions() != 5 {
		t.Errorf("got %+v, %v; the old one has %d", got, err, old.Partitions)
	}
	checkStored(t, topics, store)
}

// TestFaults fails every change twice, not persisted and persisted: memory
// must agree with the store each time, and the next change must work.
func TestFaults(t *testing.T) {
	changes := map[string]func(*testing.T, *Topics) error{
		"create": func(t *testing.T, topics *Topics) error {
			_, err := topics.Create(t.Context(), Spec{Name: "new", Partitions: 1})
			return err
		},
		"delete": func(t *testing.T, topics *Topics) error {
			return topics.Delete(t.Context(), topics.View().ByName("old").ID)
		},
		"add partitions": func(t *testing.T, topics *Topics) error {
			_, err := topics.AddPartitions(t.Context(), "old", 7, false)
			return err
		},
		"alter": func(t *testing.T, topics *Topics) error {
			_, err := topics.Alter(t.Context(), "old", []Change{{Key: "retention.ms", Value: "1"}}, false, false)
			return err
		},
	}
	for name, change := range changes {
		for _, apply := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s persisted %t", name, apply), func(t *testing.T) {
				topics, store := open(t)
				mustCreate(t, topics, "old", nil)
				store.fail, store.apply = true, apply
				if err := change(t, topics); !errors.Is(err, errDisk) {
					t.Errorf("got %v, want the disk's error", err)
				}
				checkStored(t, topics, store)
				mustCreate(t, topics, "next", nil)
				checkStored(t, topics, store)
			})
		}
	}
}

// TestLookFails has the store unreadable after a failed Commit: the next
// change must look before it acts.
func TestLookFails(t *testing.T) {
	topics, store := open(t)
	store.fail, store.apply, store.scanErr = true, true, errDisk
	if _, err := topics.Create(t.Context(), Spec{Name: "a", Partitions: 1}); !errors.Is(err, errDisk) {
		t.Fatalf("got %v", err)
	}
	if _, err := topics.Create(t.Context(), Spec{Name: "b", Partitions: 1}); !errors.Is(err, errDisk) {
		t.Errorf("acted on a view that may be wrong: %v", err)
	}
	store.scanErr = nil
	if _, err := topics.Create(t.Context(), Spec{Name: "a", Partitions: 1}); !errors.Is(err, ErrExists) {
		t.Errorf("got %v, want ErrExists", err)
	}
	checkStored(t, topics, store)
}

// TestOtherProcess has two openers of one store: expected versions keep them
// apart, and the loser sees what the winner did.
func TestOtherProcess(t *testing.T) {
	one, store := open(t)
	two := reopen(t, store)
	mustCreate(t, one, "a", nil)
	if _, err := two.Create(t.Context(), Spec{Name: "a", Partitions: 1}); !errors.Is(err, ErrExists) {
		t.Errorf("got %v, want ErrExists", err)
	}
	if _, err := one.AddPartitions(t.Context(), "a", 5, false); err != nil {
		t.Fatal(err)
	}
	if _, err := two.AddPartitions(t.Context(), "a", 4, false); !errors.As(err, new(*storage.Conflict)) {
		t.Errorf("got %v, want a conflict", err)
	}
	checkStored(t, two, store)
}

func TestOpenDamaged(t *testing.T) {
	for name, it := range map[string]storage.Item{
		"no json":       {Key: "topic/x", Value: []byte("?")},
		"wrong id":      {Key: "topic/00", Value: []byte(`{"id":"01","name":"a","partitions":1}`)},
		"no partitions": {Key: "topic/" + id(1), Value: []byte(`{"id":"` + id(1) + `","name":"a"}`)},
		"bad config":    {Key: "topic/" + id(1), Value: []byte(`{"id":"` + id(1) + `","name":"a","partitions":1,"configs":{"retention.ms":"x"}}`)},
	} {
		_, store := open(t)
		if err := store.Commit(t.Context(), storage.Write{Set: []storage.Item{it}}); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), store, Defaults{}); !errors.Is(err, storage.ErrBroken) {
			t.Errorf("%s: got %v, want ErrBroken", name, err)
		}
	}
}

func id(n byte) string { return storage.TopicID{15: n}.String() }

func TestConcurrentCreate(t *testing.T) {
	topics, store := open(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range 40 {
		wg.Go(func() {
			_, err := topics.Create(t.Context(), Spec{Name: fmt.Sprint("t", i%10), Partitions: 1})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			} else if !errors.Is(err, ErrExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != 10 || len(topics.View().All()) != 10 {
		t.Errorf("made %d, there are %d, want 10", made, len(topics.View().All()))
	}
	checkStored(t, topics, store)
}
