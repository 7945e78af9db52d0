package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/metadata"
)

// TestForeignPolicy walks through what others may do to a topic's table.
func TestForeignPolicy(t *testing.T) {
	b := brokertest.New(t)
	snapshot := func(op string) []metadata.Update {
		return []metadata.Update{
			{Action: metadata.AddSnapshot, Snapshot: &metadata.Snapshot{Operation: op}},
			{Action: metadata.SetSnapshotRef},
		}
	}
	acts := map[string][]metadata.Update{
		"create":   nil,
		"compact":  snapshot(metadata.Replace),
		"expire":   {{Action: metadata.RemoveSnapshots}},
		"append":   snapshot(metadata.Append),
		"delete":   snapshot("delete"),
		"schema":   {{Action: metadata.AddSchema}},
		"property": {{Action: metadata.SetProperties, Updates: map[string]string{"owner": "me"}}},
		"progress": {{Action: metadata.SetProperties, Updates: map[string]string{"tarn.offset.0": "1"}}},
	}
	allowed := map[string]string{
		topic.ForeignNone:        "",
		topic.ForeignMaintenance: " compact expire property",
		topic.ForeignAppend:      " compact expire append property",
		topic.ForeignAll:         " create compact expire append delete schema property",
	}
	view := b.Topics().View
	const namespace = "default"
	guard, drop := foreignCommit(view, namespace), foreignDrop(view, namespace)
	order := []string{"create", "compact", "expire", "append", "delete", "schema", "property", "progress"}
	for level, want := range allowed {
		if _, err := b.Topics().Create(t.Context(), topic.Spec{Name: level, Partitions: 1, Configs: map[string]string{
			"tarn.table.formats": "iceberg", "tarn.table.foreign": level, "tarn.table.log": "until_commit"}}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{level, level + "__dead_letters"} {
			got := ""
			for _, act := range order {
				err := guard(namespace, name, acts[act])
				if err == nil {
					got += " " + act
				} else if !errors.Is(err, catalog.ErrForbidden) || !strings.Contains(err.Error(), "tarn.table.foreign="+level) {
					t.Errorf("%s of %s: refused by %v", act, name, err)
				}
			}
			if got != want {
				t.Errorf("%s lets others%s, want%s", name, got, want)
			}
			if err := drop(namespace, name); (err == nil) != (level == topic.ForeignAll) {
				t.Errorf("drop of %s: %v", name, err)
			}
		}
	}
	for _, act := range order {
		if err := errors.Join(guard(namespace, "theirs", acts[act]), guard("elsewhere", "none", acts[act]), drop(namespace, "theirs")); err != nil {
			t.Errorf("%s of a table of nobody: %v", act, err)
		}
	}
}
