package storagetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
)

func testItems(t *testing.T, open Open) {
	eng, reopen := open(t)
	if got := value(t, eng, "a"); got.Version != 0 || got.Key != "a" || len(got.Value) != 0 {
		t.Errorf("Get of nothing: got %+v", got)
	}
	odd := "k\x00\xff/é" + strings.Repeat("x", storage.MaxKeyBytes-8)
	w := storage.Write{Set: []storage.Item{
		{Key: "a", Value: []byte("1")}, {Key: "empty"}, {Key: odd, Value: []byte("2")},
		{Key: "large", Value: noise(1, storage.MaxValueBytes)},
	}}
	mustCommit(t, eng, w)
	for range 2 {
		for _, want := range w.Set {
			got := value(t, eng, want.Key)
			if got.Version != want.Version || !bytes.Equal(got.Value, want.Value) {
				t.Errorf("Get %.9q: got version %d and %d bytes, want %d and %d",
					want.Key, got.Version, len(got.Value), want.Version, len(want.Value))
			}
		}
		if reopen == nil {
			break
		}
		eng = reopen()
	}
	a := w.Set[0].Version
	up := storage.Write{Set: []storage.Item{{Key: "a", Value: []byte("2"), Version: a}},
		Check: []storage.Check{{Key: "empty", Version: w.Set[1].Version}, {Key: "none"}}}
	mustCommit(t, eng, up)
	if got := value(t, eng, "a"); string(got.Value) != "2" || got.Version != up.Set[0].Version || got.Version <= a {
		t.Errorf("after the update: got %+v, want value 2 at a version above %d", got, a)
	}
	gone := storage.Write{Set: []storage.Item{
		{Key: "a", Delete: true, Version: up.Set[0].Version}, {Key: "none", Delete: true},
		{Key: "empty", Delete: true, Version: storage.Any}, {Key: "never", Delete: true, Version: storage.Any},
		{Key: "any", Value: []byte("x"), Version: storage.Any},
	}}
	mustCommit(t, eng, gone)
	for _, it := range gone.Set[:4] {
		if got := value(t, eng, it.Key); got.Version != 0 || it.Version != 0 {
			t.Errorf("%q after its deletion: got %+v, Commit told version %d", it.Key, got, it.Version)
		}
	}
	if got := value(t, eng, "any"); string(got.Value) != "x" {
		t.Errorf("written at Any: got %+v", got)
	}
}

func testItemConflicts(t *testing.T, open Open) {
	eng, _ := open(t)
	w := storage.Write{Set: []storage.Item{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte("1")}}}
	mustCommit(t, eng, w)
	a, b := w.Set[0].Version, w.Set[1].Version
	bad := storage.Write{
		Append: []storage.Append{appendOf(tp(0), 0, Batch(0, 1, 100)), appendOf(tp(1), 1, Batch(1, 1, 100))},
		Set: []storage.Item{
			{Key: "a", Version: 0}, {Key: "b", Version: b + 100, Delete: true},
			{Key: "c", Version: b}, {Key: "d"}, {Key: "e", Version: storage.Any},
		},
		Check: []storage.Check{{Key: "a", Version: a}, {Key: "b", Version: 0}, {Key: "d", Version: 5}},
	}
	c := wantConflict(t, eng, bad)
	want := []storage.ItemConflict{
		{Key: "a", Want: 0, Got: a}, {Key: "b", Want: b + 100, Got: b}, {Key: "c", Want: b, Got: 0},
		{Key: "b", Want: 0, Got: b}, {Key: "d", Want: 5, Got: 0},
	}
	if !slices.Equal(c.Items, want) {
		t.Errorf("items: got %+v, want %+v", c.Items, want)
	}
	if want := []storage.LogConflict{{TP: tp(1), WantEnd: 1}}; !slices.Equal(c.Logs, want) {
		t.Errorf("logs: got %+v, want %+v", c.Logs, want)
	}
	if got, want := keys(t.Context(), t, eng, ""), []string{"a", "b"}; !slices.Equal(got, want) {
		t.Errorf("after the conflict: got keys %v, want %v", got, want)
	}
	if bad.Set[0].Version != 0 || bad.Set[4].Version != storage.Any {
		t.Errorf("a refused Write was changed: %+v", bad.Set)
	}
}

// testVersions checks that a version is never used twice, not even across a
// deletion and a reopening.
func testVersions(t *testing.T, open Open) {
	eng, reopen := open(t)
	last := int64(0)
	set := func(key string) {
		t.Helper()
		w := storage.Write{Set: []storage.Item{{Key: key, Version: storage.Any}}}
		mustCommit(t, eng, w)
		if w.Set[0].Version <= last {
			t.Fatalf("version of %q: got %d after %d", key, w.Set[0].Version, last)
		}
		last = w.Set[0].Version
	}
	for i := range 20 {
		set(fmt.Sprint("key", i%3))
		if i%4 == 3 {
			mustCommit(t, eng, storage.Write{Set: []storage.Item{{Key: fmt.Sprint("key", i%3), Version: last, Delete: true}}})
		}
		if i%7 == 6 && reopen != nil {
			eng = reopen()
		}
	}
}

func testScan(t *testing.T, open Open) {
	eng, reopen := open(t)
	var w storage.Write
	for _, key := range []string{"b/2", "a", "b/10", "b", "b/\xff", "b/\xff\xff", "c", "b0", "\xff\xff", "\xff"} {
		w.Set = append(w.Set, storage.Item{Key: key, Value: []byte("v" + key)})
	}
	mustCommit(t, eng, w)
	if reopen != nil {
		eng = reopen()
	}
	tests := []struct {
		prefix string
		want   []string
	}{
		{"b/", []string{"b/10", "b/2", "b/\xff", "b/\xff\xff"}},
		{"b", []string{"b", "b/10", "b/2", "b/\xff", "b/\xff\xff", "b0"}},
		{"b/\xff", []string{"b/\xff", "b/\xff\xff"}},
		{"\xff", []string{"\xff", "\xff\xff"}},
		{"x", []string{}},
		{"", []string{"a", "b", "b/10", "b/2", "b/\xff", "b/\xff\xff", "b0", "c", "\xff", "\xff\xff"}},
	}
	for _, tt := range tests {
		if got := keys(t.Context(), t, eng, tt.prefix); !slices.Equal(got, tt.want) {
			t.Errorf("Scan %q: got %q, want %q", tt.prefix, got, tt.want)
		}
	}
	// One consistent state although items change under way.
	n := 0
	for it, err := range eng.Scan(t.Context(), "b") {
		if err != nil || string(it.Value) != "v"+it.Key || it.Version == 0 {
			t.Fatalf("Scan: got %+v, %v", it, err)
		}
		mustCommit(t, eng, storage.Write{Set: []storage.Item{
			{Key: "b/2", Delete: true, Version: storage.Any}, {Key: "b1", Version: storage.Any},
			{Key: "b0", Version: storage.Any, Value: []byte("new")}}})
		n++
	}
	if n != 6 {
		t.Errorf("Scan beside writes: got %d items, want 6", n)
	}
	for _, err := range eng.Scan(t.Context(), "") {
		if err != nil {
			t.Errorf("Scan: %v", err)
		}
		break
	}
}
