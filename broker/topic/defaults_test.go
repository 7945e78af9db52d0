package topic

import (
	"errors"
	"strings"
	"testing"
)

// TestAlterDefaults changes defaults with commits that fail in every way: memory
// and store agree afterwards.
func TestAlterDefaults(t *testing.T) {
	topics, store := open(t)
	mustCreate(t, topics, "plain", nil)
	mustCreate(t, topics, "own", map[string]string{"retention.ms": "5"})
	set := func(cluster bool, value string) error {
		return topics.AlterDefaults(t.Context(), cluster, []Change{{Key: "log.retention.ms", Value: value}}, false, false)
	}
	ms := func(ts *Topics, name string) int64 { return ts.View().ByName(name).Config.RetentionMs }
	check := func(want int64) {
		t.Helper()
		for _, ts := range []*Topics{topics, reopen(t, store)} {
			if got, own := ms(ts, "plain"), ms(ts, "own"); got != want || own != 5 {
				t.Errorf("retention.ms is %d and %d, want %d and 5", got, own, want)
			}
		}
	}
	changed := topics.View().Changed()
	if err := set(true, "100"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told of the new view")
	}
	check(100)
	store.fail = true
	if err := set(false, "200"); !errors.Is(err, errDisk) {
		t.Errorf("a commit that fails: %v", err)
	}
	check(100)
	store.fail, store.apply = true, true
	if err := set(false, "200"); !errors.Is(err, errDisk) {
		t.Errorf("a commit that fails but is stored: %v", err)
	}
	check(200)
	if err := set(true, "300"); err != nil {
		t.Fatal(err)
	}
	check(200) // the broker's own goes first
	commits := store.commits
	if err := topics.AlterDefaults(t.Context(), false, nil, true, true); err != nil {
		t.Error(err)
	}
	if err := set(true, "300"); err != nil || store.commits != commits {
		t.Errorf("validation, and a change of nothing: %v, %d commits", err, store.commits-commits)
	}
	if err := topics.AlterDefaults(t.Context(), false, nil, true, false); err != nil {
		t.Fatal(err)
	}
	check(300)
	var refused *ConfigError
	if err := set(true, "-7"); !errors.As(err, &refused) || refused.Key != "log.retention.ms" {
		t.Errorf("a bad value: %v", err)
	}
	if err := topics.AlterDefaults(t.Context(), true, []Change{{Key: "tarn.table.formats", Value: "iceberg"}}, false, false); !errors.As(err, &refused) {
		t.Errorf("no default of the broker: %v", err)
	}
	check(300)
}

// TestLags refuses a lag that could not be kept, on a topic and by default.
func TestLags(t *testing.T) {
	topics, _ := open(t)
	_, err := topics.Create(t.Context(), Spec{Name: "t", Partitions: 1,
		Configs: map[string]string{"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "9"}})
	if err == nil || !strings.Contains(err.Error(), "above max.compaction.lag.ms, which is 9") {
		t.Errorf("got %v", err)
	}
	mustCreate(t, topics, "t", map[string]string{"min.compaction.lag.ms": "10"})
	err = topics.AlterDefaults(t.Context(), true, []Change{{Key: "log.cleaner.max.compaction.lag.ms", Value: "9"}}, false, false)
	if err == nil {
		t.Error("a default that contradicts a topic was taken")
	}
}
