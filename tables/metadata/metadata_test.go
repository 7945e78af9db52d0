package metadata_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/tables/metadata"
)

// old is a version 1 file as early writers left them: no lists, no ids.
const old = `{"format-version":1,"location":"file:///w/t","last-updated-ms":1700000000000,"last-column-id":2,
	"schema":{"type":"struct","fields":[{"id":1,"name":"a","type":"long","required":true},{"id":2,"name":"b","type":"date","required":false}]},
	"partition-spec":[{"source-id":2,"name":"b_day","transform":"day"}],
	"properties":{"k":"v"},"current-snapshot-id":-1,"snapshots":[]}`

// full is a version 3 file with everything in it, and with fields at every level
// that this package does not know.
const full = `{"format-version":3,"table-uuid":"9c12d441-03fe-4693-9a96-a0705ddf69c1","location":"file:///w/t",
	"last-sequence-number":34,"last-updated-ms":1700000090000,"last-column-id":3,"next-row-id":70,"new-top":{"a":[1,2]},
	"schemas":[{"type":"struct","schema-id":0,"new-schema":1,"fields":[{"id":1,"name":"x","type":"long","required":true}]},
		{"type":"struct","schema-id":1,"identifier-field-ids":[1],"fields":[{"id":1,"name":"x","type":"long","required":true},
		{"id":2,"name":"y","type":"string","required":false,"doc":"d","initial-default":"n","write-default":"n","new-field":true},
		{"id":3,"name":"z","type":"timestamptz_ns","required":false}]}],
	"current-schema-id":1,
	"partition-specs":[{"spec-id":0,"new-spec":"s","fields":[{"source-id":1,"field-id":1000,"name":"x_b","transform":"bucket[4]"}]}],
	"default-spec-id":0,"last-partition-id":1000,
	"sort-orders":[{"order-id":3,"new-order":0,"fields":[{"transform":"identity","source-id":2,"direction":"asc","null-order":"nulls-first"}]}],
	"default-sort-order-id":3,"properties":{"read.split.target.size":"1"},"current-snapshot-id":55,
	"snapshots":[{"snapshot-id":51,"timestamp-ms":1700000000000,"sequence-number":33,"new-snapshot":"o",
		"summary":{"operation":"append","total-records":"70"},"manifest-list":"file:///w/1.avro","first-row-id":0,"added-rows":40},
		{"snapshot-id":55,"parent-snapshot-id":51,"timestamp-ms":1700000090000,"sequence-number":34,"key-id":"k1",
		"summary":{"operation":"append"},"manifest-list":"file:///w/2.avro","schema-id":1,"first-row-id":40,"added-rows":30}],
	"snapshot-log":[{"snapshot-id":51,"timestamp-ms":1700000000000},{"snapshot-id":55,"timestamp-ms":1700000090000}],
	"metadata-log":[{"metadata-file":"file:///w/v1.json","timestamp-ms":1700000000000}],
	"refs":{"main":{"snapshot-id":55,"type":"branch","new-ref":1},"t":{"snapshot-id":51,"type":"tag","max-ref-age-ms":9}},
	"statistics":[{"snapshot-id":51,"statistics-path":"file:///w/s.puffin","file-size-in-bytes":4,"file-footer-size-in-bytes":4,"blob-metadata":[]}],
	"partition-statistics":[{"snapshot-id":51,"statistics-path":"file:///w/p.parquet","file-size-in-bytes":4}],
	"encryption-keys":[{"key-id":"k1","encrypted-key-metadata":"AA=="}]}`

func parse(t testing.TB, text string) *metadata.Table {
	t.Helper()
	m, err := metadata.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func encode(t testing.TB, m *metadata.Table) []byte {
	t.Helper()
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func value(t testing.TB, data []byte) map[string]any {
	t.Helper()
	var v map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestNothingIsLost reads and writes, first as it is and then with a change,
// and compares every value.
func TestNothingIsLost(t *testing.T) {
	want := value(t, []byte(full))
	m := parse(t, full)
	if got := value(t, encode(t, m)); !reflect.DeepEqual(got, want) {
		t.Errorf("written:\n%v\nwant\n%v", got, want)
	}
	next, err := metadata.Apply(m, "file:///w/v2.json", updates(t,
		`{"action":"set-properties","updates":{"added":"1"}}`,
		`{"action":"remove-properties","removals":["read.split.target.size"]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := value(t, encode(t, next))
	if got["last-updated-ms"] == want["last-updated-ms"] || len(got["metadata-log"].([]any)) != 2 {
		t.Errorf("updated at %v, log %v", got["last-updated-ms"], got["metadata-log"])
	}
	for _, changed := range []string{"properties", "last-updated-ms", "metadata-log"} {
		delete(got, changed)
		delete(want, changed)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("written after a change:\n%v\nwant\n%v", got, want)
	}
	if !bytes.Equal(encode(t, m), encode(t, parse(t, full))) {
		t.Error("the change reached the table it was made from")
	}
}

func TestOldFiles(t *testing.T) {
	m := parse(t, old)
	if m.Schema() == nil || m.Spec(0) == nil || m.Spec(0).Field(0).FieldID != 1000 || m.LastPartitionID != 1000 ||
		m.CurrentID != nil || len(m.SortOrders) != 1 {
		t.Fatalf("parsed %+v", m)
	}
	if bytes.Contains(encode(t, m), []byte("table-uuid")) {
		t.Errorf("a UUID that it never had: %s", encode(t, m))
	}
	// Some writers give sequence numbers to snapshots of version 1.
	m = parse(t, strings.Replace(old, `"snapshots":[]`,
		`"snapshots":[{"snapshot-id":4,"timestamp-ms":1700000000000,"sequence-number":6,"manifest-list":"x"}]`, 1))
	two, three := 2, 3
	for _, v := range []*int{&two, &three} {
		up, err := metadata.Apply(m, "x", []metadata.Update{{Action: metadata.UpgradeFormatVersion, FormatVersion: v}})
		if err != nil {
			t.Fatal(err)
		}
		if again := parse(t, string(encode(t, up))); again.Version != *v || again.UUID != up.UUID || again.UUID == m.UUID {
			t.Errorf("v%d: written and read: %+v", *v, again)
		}
		if _, err := metadata.Apply(up, "x", []metadata.Update{{Action: metadata.UpgradeFormatVersion, FormatVersion: new(int)}}); err == nil {
			t.Error("downgraded")
		}
	}
}

// TestDamage changes one thing in a good file; each must be found.
func TestDamage(t *testing.T) {
	for name, swap := range map[string][2]string{
		"version":        {`"format-version":3`, `"format-version":4`},
		"no uuid":        {`"table-uuid"`, `"uuid"`},
		"schema":         {`"current-schema-id":1`, `"current-schema-id":7`},
		"schema twice":   {`"schema-id":0`, `"schema-id":1`},
		"spec":           {`"default-spec-id":0`, `"default-spec-id":2`},
		"order":          {`"default-sort-order-id":3`, `"default-sort-order-id":2`},
		"order column":   {`"source-id":2,"direction"`, `"source-id":9,"direction"`},
		"direction":      {`"asc"`, `"up"`},
		"sequence":       {`"last-sequence-number":34`, `"last-sequence-number":33`},
		"current":        {`"current-snapshot-id":55`, `"current-snapshot-id":51`},
		"tag":            {`"t":{"snapshot-id":51`, `"t":{"snapshot-id":52`},
		"kind":           {`"type":"tag"`, `"type":"twig"`},
		"tag limits":     {`"max-ref-age-ms"`, `"max-snapshot-age-ms"`},
		"snapshot twice": {`"snapshot-id":55,"parent`, `"snapshot-id":51,"parent`},
		"null snapshot":  {`"snapshots":[`, `"snapshots":[null,`},
		"null schema":    {`"schemas":[`, `"schemas":[null,`},
		"log":            {`{"snapshot-id":55,"timestamp-ms":1700000090000}]`, `{"snapshot-id":55,"timestamp-ms":1600000000000}]`},
		"row ids":        {`"next-row-id":70,`, ``},
	} {
		text := strings.Replace(full, swap[0], swap[1], 1)
		if text == full {
			t.Fatalf("%s: nothing replaced", name)
		}
		if m, err := metadata.Parse([]byte(text)); err == nil {
			t.Errorf("%s: parsed %+v", name, m)
		}
	}
}

func TestRequirementWords(t *testing.T) {
	m := parse(t, full)
	for text, want := range map[string]string{
		`{"type":"assert-create"}`: "table already exists",
		`{"type":"assert-table-uuid","uuid":"9c12d441-03fe-4693-9a96-a0705ddf69c1"}`:     "",
		`{"type":"assert-ref-snapshot-id","ref":"main","snapshot-id":55}`:                "",
		`{"type":"assert-ref-snapshot-id","ref":"main","snapshot-id":51}`:                "branch main has changed: expected id 51 != 55",
		`{"type":"assert-ref-snapshot-id","ref":"t","snapshot-id":null}`:                 "tag t was created concurrently",
		`{"type":"assert-ref-snapshot-id","ref":"u","snapshot-id":1}`:                    "branch or tag u is missing, expected 1",
		`{"type":"assert-last-assigned-field-id","last-assigned-field-id":3}`:            "",
		`{"type":"assert-last-assigned-partition-id","last-assigned-partition-id":1001}`: "last assigned partition id changed: expected id 1001 != 1000",
		`{"type":"assert-default-sort-order-id","default-sort-order-id":1}`:              "default sort order changed: expected id 1 != 3",
		`{"type":"assert-current-schema-id","current-schema-id":1}`:                      "",
		`{"type":"assert-default-spec-id","default-spec-id":4}`:                          "default partition spec changed: expected id 4 != 0",
	} {
		var r metadata.Requirement
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		err := r.Check(m)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v, want it to hold", text, err)
		case want != "" && (!errors.Is(err, metadata.ErrCommitFailed) || err.Error() != "Requirement failed: "+want):
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if err := r.Check(nil); (err == nil) != (r.Type == metadata.AssertCreate) {
			t.Errorf("%s without a table: %v", text, err)
		}
	}
	for _, text := range []string{`{"type":"assert-luck"}`, `{"type":"assert-table-uuid"}`, `{"type":"assert-default-spec-id"}`} {
		if err := json.Unmarshal([]byte(text), new(metadata.Requirement)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

func updates(t testing.TB, texts ...string) (out []metadata.Update) {
	t.Helper()
	if err := json.Unmarshal([]byte("["+strings.Join(texts, ",")+"]"), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// FuzzParse feeds any file; what is taken must be written so that it reads the
// same again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{old, full, `{}`, `null`, `{"format-version":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := guarded(func() (*metadata.Table, error) { return metadata.Parse(data) })
		if err != nil {
			return
		}
		first := encode(t, m)
		if again := encode(t, parse(t, string(first))); !bytes.Equal(first, again) {
			t.Errorf("written:\n%s\nthen\n%s", first, again)
		}
	})
}

// FuzzApply feeds any updates to a table; what comes out must be a table.
func FuzzApply(f *testing.F) {
	for _, seed := range []string{make1, make1 + "," + wider + "," + spec2 + "," + order, snap1 + "," + main1 + "," + tag1 + "," + stat1 + "," + part1, snap2 + "," + main2} {
		f.Add([]byte("[" + seed + "]"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, base := range []*metadata.Table{nil, parse(t, old), parse(t, full)} {
			m, err := guarded(func() (*metadata.Table, error) {
				var us []metadata.Update
				if err := json.Unmarshal(data, &us); err != nil {
					return nil, err
				}
				return metadata.Apply(base, "file:///w/old.json", us)
			})
			if err == nil {
				parse(t, string(encode(t, m)))
			}
		}
	})
}

var errPanic = errors.New("panic")

// guarded does what the catalog does: iceberg-go's types dereference parts of
// schemas and specs that JSON may have left out.
func guarded(do func() (*metadata.Table, error)) (m *metadata.Table, err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	return do()
}
