package metadata_test

import (
	"slices"
	"testing"

	"github.com/tarn-io/tarn/tables/metadata"
)

// What each update does is compared with iceberg-go in
// tables/catalog/catalogtest; here are the rules that it does not show.

const (
	make1 = `{"action":"assign-uuid","uuid":"9c12d441-03fe-4693-9a96-a0705ddf69c1"},{"action":"set-location","location":"file:///w/t"},
		{"action":"add-schema","schema":{"type":"struct","schema-id":0,"fields":[{"id":1,"name":"a","type":"long","required":true},{"id":2,"name":"b","type":"date","required":false}]}},
		{"action":"set-current-schema","schema-id":-1},
		{"action":"add-spec","spec":{"fields":[{"source-id":2,"name":"b_day","transform":"day"}]}},{"action":"set-default-spec","spec-id":-1},
		{"action":"add-sort-order","sort-order":{"order-id":0,"fields":[]}},{"action":"set-default-sort-order","sort-order-id":-1}`
	wider = `{"action":"add-schema","schema":{"type":"struct","schema-id":0,"fields":[{"id":1,"name":"a","type":"long","required":true},{"id":2,"name":"b","type":"date","required":false},{"id":3,"name":"c","type":"string","required":false}]}},
		{"action":"set-current-schema","schema-id":-1}`
	snap1 = `{"action":"add-snapshot","snapshot":{"snapshot-id":1,"sequence-number":1,"timestamp-ms":4000000000000,"manifest-list":"x","summary":{"operation":"append"},"schema-id":0}}`
	snap2 = `{"action":"add-snapshot","snapshot":{"snapshot-id":2,"parent-snapshot-id":1,"sequence-number":2,"timestamp-ms":4000000000500,"manifest-list":"y","summary":{"operation":"append"},"schema-id":0}}`
	main1 = `{"action":"set-snapshot-ref","ref-name":"main","type":"branch","snapshot-id":1}`
	main2 = `{"action":"set-snapshot-ref","ref-name":"main","type":"branch","snapshot-id":2}`
	tag1  = `{"action":"set-snapshot-ref","ref-name":"keep","type":"tag","snapshot-id":1,"max-ref-age-ms":1000}`
	stat1 = `{"action":"set-statistics","snapshot-id":1,"statistics":{"snapshot-id":1,"statistics-path":"s","file-size-in-bytes":1,"file-footer-size-in-bytes":1,"blob-metadata":[]}}`
	part1 = `{"action":"set-partition-statistics","partition-statistics":{"snapshot-id":1,"statistics-path":"p","file-size-in-bytes":1}}`
	order = `{"action":"add-sort-order","sort-order":{"order-id":1,"fields":[{"transform":"identity","source-id":1,"direction":"desc","null-order":"nulls-last"}]}},{"action":"set-default-sort-order","sort-order-id":-1}`
	spec2 = `{"action":"add-spec","spec":{"spec-id":9,"fields":[{"source-id":1,"name":"a_bucket","transform":"bucket[16]"}]}},{"action":"set-default-spec","spec-id":-1}`
)

func TestSnapshotLog(t *testing.T) {
	ids := func(m *metadata.Table) (out []int64) {
		for _, e := range m.SnapshotLog {
			out = append(out, e.SnapshotID)
		}
		return out
	}
	for _, tt := range []struct {
		updates string
		want    []int64
	}{
		{make1 + "," + snap1 + "," + main1, []int64{1}},
		{make1 + "," + snap1 + "," + main1 + "," + snap2 + "," + main2, []int64{2}}, // 1 was never seen
		{make1 + "," + snap1 + "," + main1 + "," + main1, []int64{1}},
	} {
		m, err := metadata.Apply(nil, "", updates(t, tt.updates))
		if err != nil {
			t.Fatal(err)
		}
		if got := ids(m); !slices.Equal(got, tt.want) {
			t.Errorf("log %v, want %v", got, tt.want)
		}
	}
	m := parse(t, full)
	back, err := metadata.Apply(m, "x", updates(t, `{"action":"set-snapshot-ref","ref-name":"main","type":"branch","snapshot-id":51}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := ids(back), []int64{51, 55, 51}; !slices.Equal(got, want) {
		t.Errorf("log after going back: %v, want %v", got, want)
	}
	less, err := metadata.Apply(back, "x", updates(t, `{"action":"remove-snapshots","snapshot-ids":[55]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := ids(less), []int64{51}; !slices.Equal(got, want) {
		t.Errorf("log with a gap: %v, want %v", got, want)
	}
}

func TestMetadataLogIsBounded(t *testing.T) {
	m := parse(t, full)
	for range 5 {
		var err error
		m, err = metadata.Apply(m, "file:///w/n.json", updates(t, `{"action":"set-properties","updates":{"write.metadata.previous-versions-max":"3","n":"`+m.Properties["n"]+`x"}}`))
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(m.MetadataLog); n != 3 {
		t.Errorf("%d earlier files, want 3", n)
	}
}
