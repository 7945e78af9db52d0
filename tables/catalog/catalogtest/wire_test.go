package catalogtest_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables/catalog/catalogtest"
	"github.com/tarn-io/tarn/tables/metadata"
)

// TestWire has iceberg-go read the updates and requirements that we write: they
// do there what they do here.
func TestWire(t *testing.T) {
	for _, s := range steps {
		s.base, s.updates = timely(s.base, s.updates)
		for _, text := range []string{s.base, s.updates} {
			if text == "" || s.name == "lineage of v2" { // which iceberg-go does not know
				continue
			}
			ours := updates(t, text)
			data, err := json.Marshal(ours)
			if err != nil {
				t.Fatal(err)
			}
			var again []metadata.Update
			if err := json.Unmarshal(data, &again); err != nil {
				t.Fatalf("%s: %v", data, err)
			}
			twice, err := json.Marshal(again)
			if err != nil || string(twice) != string(data) {
				t.Errorf("%s: written again\n%s\n%s", s.name, data, twice)
			}
			var got, want table.Updates
			if err := json.Unmarshal(data, &got); err != nil {
				t.Errorf("%s: iceberg-go reads %s: %v", s.name, data, err)
			}
			if err := json.Unmarshal([]byte("["+text+"]"), &want); err != nil {
				continue
			}
			if !reflect.DeepEqual(plain(t, got), plain(t, want)) {
				t.Errorf("%s: iceberg-go reads\n%v\nand of what came in\n%v", s.name, plain(t, got), plain(t, want))
			}
		}
	}
	three, four := 3, int64(4)
	reqs := []metadata.Requirement{
		{Type: metadata.AssertCreate}, {Type: metadata.AssertTableUUID, UUID: "9b58bd5e-2b3c-4f6a-9d5b-0a7e2a1f3c4d"},
		{Type: metadata.AssertRefSnapshotID, Ref: "main", SnapshotID: &four}, {Type: metadata.AssertRefSnapshotID, Ref: "main"},
		{Type: metadata.AssertLastAssignedFieldID, FieldID: &three}, {Type: metadata.AssertCurrentSchemaID, SchemaID: &three},
		{Type: metadata.AssertLastAssignedPartitionID, PartitionID: &three}, {Type: metadata.AssertDefaultSpecID, SpecID: &three},
		{Type: metadata.AssertDefaultSortOrderID, SortOrderID: &three},
	}
	data, err := json.Marshal(reqs)
	if err != nil {
		t.Fatal(err)
	}
	var theirs table.Requirements
	if err := json.Unmarshal(data, &theirs); err != nil {
		t.Fatalf("iceberg-go reads %s: %v", data, err)
	}
	if got := catalogtest.Requirements(t, theirs...); !reflect.DeepEqual(got, reqs) {
		t.Errorf("through iceberg-go: %+v, want %+v", got, reqs)
	}
}

// plain is a value as its JSON says it.
func plain(t *testing.T, v any) (out any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
