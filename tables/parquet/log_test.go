package parquet

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/blob/blobtest"
)

// The suite in tabletest imports this package, so these tests make their own
// small rows.
func ids(t *testing.T) *tables.Schema {
	t.Helper()
	s, err := tables.NewSchema(arrow.NewSchema([]arrow.Field{
		{Name: PartitionColumn, Type: arrow.PrimitiveTypes.Int32},
		{Name: OffsetColumn, Type: arrow.PrimitiveTypes.Int64},
	}, nil))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func rowFile(t *testing.T, from, to int64) File {
	t.Helper()
	s := ids(t)
	b := array.NewRecordBuilder(memory.DefaultAllocator, s.Arrow)
	for o := from; o < to; o++ {
		b.Field(0).(*array.Int32Builder).Append(0)
		b.Field(1).(*array.Int64Builder).Append(o)
	}
	f, err := Encode(s, []arrow.RecordBatch{b.NewRecordBatch()}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func openTable(t *testing.T, store blob.Store, c Config) tables.Table {
	t.Helper()
	table, err := New(store, c).Open(t.Context(), tables.Spec{Namespace: "ns", Name: "t", Schema: ids(t), Comment: "small"})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func stage(t *testing.T, store blob.Store, table tables.Table, name string, from, to int64) tables.DataFile {
	t.Helper()
	f := rowFile(t, from, to)
	d := f.DataFile(0)
	d.Path, d.Ranges = table.DataPath(name), []tables.Range{{Partition: 0, From: from, To: to}}
	if err := store.Put(t.Context(), d.Path, f.Bytes); err != nil {
		t.Fatal(err)
	}
	return d
}

func at(next int64) tables.Progress {
	if next == 0 {
		return tables.Progress{}
	}
	return tables.Progress{TopicID: "id", Incarnation: "one", Offsets: map[int32]int64{0: next}}
}

func commitRows(t *testing.T, store blob.Store, table tables.Table, from, to int64) {
	t.Helper()
	name := fmt.Sprintf("0-%d-%d", from, to)
	c := tables.Commit{ID: "c-" + name, Expect: at(from), Progress: at(to), Add: []tables.DataFile{stage(t, store, table, name, from, to)}}
	if err := table.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func keys(t *testing.T, store blob.Store, prefix string) string {
	t.Helper()
	var out []string
	for info, err := range store.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.TrimPrefix(info.Key, "ns/t/parquet/"))
	}
	return strings.Join(out, " ")
}

func TestLayout(t *testing.T) {
	store := blob.NewMemory()
	table := openTable(t, store, Config{})
	commitRows(t, store, table, 0, 3)
	d := stage(t, store, table, "0-3-5.parquet", 3, 5)
	if want := "ns/t/parquet/_tarn/staged/0-3-5.parquet"; d.Path != want {
		t.Errorf("data path: got %s, want %s", d.Path, want)
	}
	want := "0-0-3.parquet _tarn/00000000000000000000.json _tarn/00000000000000000001.json _tarn/staged/0-3-5.parquet"
	if got := keys(t, store, ""); got != want {
		t.Errorf("keys:\ngot  %s\nwant %s", got, want)
	}
}

// The stored text is a promise to readers outside: README.md.
func TestEntryText(t *testing.T) {
	store := blob.NewMemory()
	table := openTable(t, store, Config{SnapshotEvery: 2})
	commitRows(t, store, table, 0, 3)
	commitRows(t, store, table, 3, 4)
	schema := `"schema":{"id":0,"last_id":2,"fields":[{"id":1,"name":"kafka_partition","type":"int32","required":true},{"id":2,"name":"kafka_offset","type":"int64","required":true}]},"comment":"small"`
	one := `{"name":"0-0-3.parquet","size":SIZE,"rows":3,"schema_id":0,"ranges":[{"partition":0,"from":0,"to":3}]}`
	two := `{"name":"0-3-4.parquet","size":SIZE,"rows":1,"schema_id":0,"ranges":[{"partition":0,"from":3,"to":4}]}`
	for n, want := range []string{
		`{"format":"tarn.parquet","version":1,"number":0,"commit":"","time_ms":TIME,"progress":{"topic_id":"","incarnation":"","offsets":null},` + schema + `,"snapshot":{"files":[]}}`,
		`{"format":"tarn.parquet","version":1,"number":1,"commit":"c-0-0-3","time_ms":TIME,"progress":{"topic_id":"id","incarnation":"one","offsets":{"0":3}},"add":[` + one + `]}`,
		`{"format":"tarn.parquet","version":1,"number":2,"commit":"c-0-3-4","time_ms":TIME,"progress":{"topic_id":"id","incarnation":"one","offsets":{"0":4}},` + schema + `,"add":[` + two + `],"snapshot":{"files":[` + one + `,` + two + `]}}`,
	} {
		got, err := store.Get(t.Context(), entryKey("ns/t/parquet/_tarn/", int64(n)))
		if err != nil {
			t.Fatal(err)
		}
		var e entry
		if err := json.Unmarshal(got, &e); err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(got), fmt.Sprint(e.TimeMs), "TIME", 1)
		for _, f := range e.Add {
			text = strings.ReplaceAll(text, fmt.Sprintf(`"size":%d`, f.Size), `"size":SIZE`)
		}
		if e.Snapshot != nil {
			for _, f := range e.Snapshot.Files {
				text = strings.ReplaceAll(text, fmt.Sprintf(`"size":%d`, f.Size), `"size":SIZE`)
			}
		}
		if text != want {
			t.Errorf("entry %d:\ngot  %s\nwant %s", n, text, want)
		}
	}
}

// A reader of the glob sees no row of a commit before its entry stands, and
// after a crash the next open links what the entry names.
func TestGlobAfterCrash(t *testing.T) {
	store := blobtest.NewFaulty(blob.NewMemory())
	table := openTable(t, store, Config{})
	d := stage(t, store, table, "a", 0, 3)
	store.Fail(blobtest.Rule{Match: func(op blobtest.Op, _ string) bool { return op == blobtest.Copy }})
	c := tables.Commit{ID: "c", Expect: at(0), Progress: at(3), Add: []tables.DataFile{d}}
	if err := table.Commit(t.Context(), c); !errors.Is(err, blobtest.ErrFault) {
		t.Fatalf("commit: got %v, want the fault", err)
	}
	if got := keys(t, store, "ns/t/parquet/a"); got != "" {
		t.Errorf("in the glob before the link: %s", got)
	}
	openTable(t, store, Config{})
	if got := keys(t, store, "ns/t/parquet/a"); got != "a.parquet" {
		t.Errorf("in the glob after the next open: %q, want a.parquet", got)
	}
	if got := keys(t, store, "ns/t/parquet/_tarn/staged"); got != "" {
		t.Errorf("still staged after the next open: %s", got)
	}
}

func TestFilesRefused(t *testing.T) {
	store := blob.NewMemory()
	table := openTable(t, store, Config{})
	commitRows(t, store, table, 0, 3)
	good := stage(t, store, table, "good", 3, 4)
	with := func(f func(d *tables.DataFile)) []tables.DataFile {
		d := good
		f(&d)
		return []tables.DataFile{d}
	}
	for name, add := range map[string][]tables.DataFile{
		"missing":   with(func(d *tables.DataFile) { d.Path = table.DataPath("other") }),
		"elsewhere": with(func(d *tables.DataFile) { d.Path = "ns/t/parquet/good.parquet" }),
		"hidden":    {stage(t, store, table, ".good", 3, 4)},
		"size":      with(func(d *tables.DataFile) { d.Size++ }),
		"again":     {stage(t, store, table, "0-0-3", 0, 3)},
		"twice":     {good, good},
	} {
		err := table.Commit(t.Context(), tables.Commit{ID: name, Expect: at(3), Progress: at(4), Add: add})
		if !errors.Is(err, tables.ErrFile) {
			t.Errorf("%s: got %v, want ErrFile", name, err)
		}
	}
	p, err := table.Progress(t.Context())
	if err != nil || !p.Equal(at(3)) {
		t.Errorf("progress: got %v, %v, want 3", p, err)
	}
}

// If the store's answer is lost and its own second try finds the number taken,
// the entry there is ours: the commit stands.
func TestOwnEntryFound(t *testing.T) {
	store := blobtest.NewFaulty(blob.NewMemory())
	table := openTable(t, store, Config{})
	d := stage(t, store, table, "a", 0, 3)
	store.Fail(blobtest.Rule{
		Match: func(op blobtest.Op, _ string) bool { return op == blobtest.PutIfAbsent },
		When:  blobtest.After, Err: blob.ErrExists,
	})
	if err := table.Commit(t.Context(), tables.Commit{ID: "c", Expect: at(0), Progress: at(3), Add: []tables.DataFile{d}}); err != nil {
		t.Errorf("got %v, want the commit to stand", err)
	}
}

func TestTrim(t *testing.T) {
	store := blob.NewMemory()
	table := openTable(t, store, Config{SnapshotEvery: 4, TrimGrace: -time.Hour})
	for i := range int64(10) {
		commitRows(t, store, table, i, i+1)
	}
	log := keys(t, store, "ns/t/parquet/_tarn/0")
	if strings.Contains(log, "003.json") || !strings.Contains(log, "008.json") || !strings.Contains(log, "010.json") {
		t.Errorf("log after trims: %s, want the newest snapshot, 8, and what follows", log)
	}
	kept := blob.NewMemory()
	table = openTable(t, kept, Config{SnapshotEvery: 4})
	for i := range int64(10) {
		commitRows(t, kept, table, i, i+1)
	}
	if got := keys(t, kept, "ns/t/parquet/_tarn/00000000000000000000"); got == "" {
		t.Errorf("entry 0 was trimmed within the grace")
	}
}

// Opening must not read the whole history.
func TestOpenReadsTail(t *testing.T) {
	store := blobtest.NewFaulty(blob.NewMemory())
	table := openTable(t, store, Config{SnapshotEvery: 10})
	for i := range int64(45) {
		commitRows(t, store, table, i, i+1)
	}
	store.Calls()
	openTable(t, store, Config{SnapshotEvery: 10})
	gets := 0
	for _, c := range store.Calls() {
		if c.Op == blobtest.Get {
			gets++
		}
	}
	if gets != 6 {
		t.Errorf("open read %d entries, want 6: the snapshot 40 and five more", gets)
	}
}

// What a commit asks of the store does not grow with the table.
func TestCommitCostIsFlat(t *testing.T) {
	store := blobtest.NewFaulty(blob.NewMemory())
	table := openTable(t, store, Config{})
	commitRows(t, store, table, 0, 1)
	var first int
	for i := int64(1); i < 90; i++ {
		store.Calls()
		commitRows(t, store, table, i, i+1)
		calls := len(store.Calls())
		if i == 1 {
			first = calls
		} else if calls != first {
			t.Fatalf("commit %d made %d calls, the first %d", i, calls, first)
		}
	}
}

func TestSweepStaged(t *testing.T) {
	store := blob.NewMemory()
	table := openTable(t, store, Config{})
	commitRows(t, store, table, 0, 5)
	stage(t, store, table, "below", 2, 5)
	stage(t, store, table, "over", 4, 6)
	if err := store.Put(t.Context(), table.DataPath("unreadable"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	again := openTable(t, store, Config{}).(tables.Maintainer)
	for _, before := range []time.Duration{-time.Hour, time.Hour} {
		if got := keys(t, store, "ns/t/parquet/_tarn/staged/below"); got == "" {
			t.Errorf("a staged file was swept by opening the table, or while it was young")
		}
		none := func(string) bool { return false }
		if _, err := again.Sweep(t.Context(), tables.Sweep{Before: time.Now().Add(before), Pending: none}); err != nil {
			t.Fatal(err)
		}
	}
	want := "_tarn/staged/over.parquet _tarn/staged/unreadable.parquet"
	if got := keys(t, store, "ns/t/parquet/_tarn/staged/"); got != want {
		t.Errorf("staged after the sweep: got %s, want %s", got, want)
	}
}

func TestForeignAndBroken(t *testing.T) {
	entryAt := func(n int64) string { return entryKey("ns/t/parquet/_tarn/", n) }
	for name, test := range map[string]struct {
		spoil func(s blob.Store) error
		want  error
	}{
		"foreign file": {func(s blob.Store) error {
			return s.Delete(t.Context(), entryAt(0), entryAt(1), entryAt(2))
		}, tables.ErrForeign},
		"other format": {func(s blob.Store) error {
			return s.Put(t.Context(), entryAt(2), []byte(`{"format":"x","version":1,"number":2}`))
		}, tables.ErrForeign},
		"newer version": {func(s blob.Store) error {
			return s.Put(t.Context(), entryAt(2), []byte(`{"format":"tarn.parquet","version":3,"number":2}`))
		}, tables.ErrForeign},
		"no json": {func(s blob.Store) error { return s.Put(t.Context(), entryAt(2), []byte(`{`)) }, tables.ErrBroken},
		"gap":     {func(s blob.Store) error { return s.Delete(t.Context(), entryAt(1)) }, tables.ErrBroken},
		"no snapshot": {func(s blob.Store) error {
			return s.Put(t.Context(), entryAt(0), []byte(`{"format":"tarn.parquet","version":1}`))
		}, tables.ErrBroken},
		"wrong number": {func(s blob.Store) error { return s.Copy(t.Context(), entryAt(1), entryAt(2)) }, tables.ErrBroken},
	} {
		store := blob.NewMemory()
		table := openTable(t, store, Config{})
		commitRows(t, store, table, 0, 1)
		commitRows(t, store, table, 1, 2)
		if err := test.spoil(store); err != nil {
			t.Fatal(err)
		}
		_, err := New(store, Config{}).Open(t.Context(), tables.Spec{Namespace: "ns", Name: "t", Schema: ids(t)})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: open: got %v, want %v", name, err, test.want)
		}
	}
}

// Rows tells when the glob is not what the log says.
func TestRowsSeesStrays(t *testing.T) {
	for name, spoil := range map[string]func(s blob.Store) error{
		"stray":   func(s blob.Store) error { return s.Put(t.Context(), "ns/t/parquet/stray.parquet", nil) },
		"missing": func(s blob.Store) error { return s.Delete(t.Context(), "ns/t/parquet/0-0-3.parquet") },
		"other": func(s blob.Store) error {
			return s.Put(t.Context(), "ns/t/parquet/0-0-3.parquet", rowFile(t, 0, 2).Bytes)
		},
	} {
		store := blob.NewMemory()
		table := openTable(t, store, Config{})
		commitRows(t, store, table, 0, 3)
		if err := spoil(store); err != nil {
			t.Fatal(err)
		}
		var last error
		for _, err := range table.Rows(t.Context()) {
			last = err
		}
		if !errors.Is(last, tables.ErrBroken) {
			t.Errorf("%s: got %v, want ErrBroken", name, last)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add([]byte(`{"format":"tarn.parquet","version":1,"number":7,"commit":"c","time_ms":1,"progress":{"topic_id":"t","offsets":{"0":3}},"add":[{"name":"a.parquet","size":1,"rows":1}]}`))
	f.Add([]byte(`{"format":"tarn.parquet","version":1,"number":7,"schema":{"id":0,"last_id":1,"fields":[{"id":1,"name":"a","type":"int32"}]},"snapshot":{"files":[{"name":"a.parquet"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decodeEntry(data, 7)
		if err != nil {
			return
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeEntry(text, 7); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	})
}
