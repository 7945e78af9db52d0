package delta

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/blob/blobtest"
	"github.com/tarn-io/tarn/tables/tabletest"
)

func open(t *testing.T, store blob.Store, c Config, own ...arrow.Field) *table {
	t.Helper()
	got, err := New(store, c).Open(t.Context(), tabletest.Spec(tabletest.Schema(t, own...)))
	if err != nil {
		t.Fatal(err)
	}
	return got.(*table)
}

// commitRows commits one file with rows from the progress's end.
func commitRows(t *testing.T, store blob.Store, table tables.Table, n int64) {
	t.Helper()
	at, err := table.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	from := at.Offsets[0]
	id := fmt.Sprintf("c%d", from)
	c := tabletest.Next(at, id, tabletest.Write(t, store, table, id, tables.Range{From: from, To: from + n}))
	if err := table.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, store blob.Store, key string) string {
	t.Helper()
	data, err := store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func count(t *testing.T, table tables.Table) int {
	t.Helper()
	rows, err := tabletest.ReadRows(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	return len(rows)
}

const logDir = "ns/orders/delta/_delta_log/"

func version(v int64) string { return fmt.Sprintf("%s%020d.json", logDir, v) }

func TestLogText(t *testing.T) {
	store := blob.NewMemory()
	table := open(t, store, Config{})
	commitRows(t, store, table, 3)
	commitRows(t, store, table, 2)
	if got, want := table.DataPath("x"), "ns/orders/delta/x.parquet"; got != want || table.DataPath("x.parquet") != want {
		t.Errorf("data path: got %s, want %s", got, want)
	}
	clean := regexp.MustCompile(`"(timestamp|createdTime|lastUpdated|modificationTime|size)":\d+|"id":"[0-9a-f-]{36}"|"numOutputBytes":"\d+"|"schemaString":"(\\"|[^"])*"|"tarn.schema":"(\\"|[^"])*"`)
	for v, want := range []string{
		`{"commitInfo":{,"operation":"CREATE TABLE","operationParameters":{"isManaged":"false","partitionBy":"[]"},"isBlindAppend":true,"engineInfo":"Tarn"}}
{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{,"name":"orders","description":"made by a test","format":{"provider":"parquet","options":{}},,"partitionColumns":[],"configuration":{"delta.appendOnly":"true","delta.checkpointInterval":"25","delta.logRetentionDuration":"interval 168 hours",},}}
`,
		`{"commitInfo":{,"operation":"WRITE","operationParameters":{"mode":"Append","partitionBy":"[]"},"isBlindAppend":true,"operationMetrics":{"numFiles":"1",,"numOutputRows":"3"},"userMetadata":"{\"made-by\":\"tabletest\"}","engineInfo":"Tarn","txnId":"c0"}}
{"metaData":{,"name":"orders","description":"made by a test","format":{"provider":"parquet","options":{}},,"partitionColumns":[],"configuration":{"delta.appendOnly":"true","delta.checkpointInterval":"25","delta.logRetentionDuration":"interval 168 hours","tarn.incarnation":"inc-1",,"tarn.topic_id":"topic-1"},}}
{"txn":{"appId":"tarn:topic-1:inc-1:0","version":3,}}
{"add":{"path":"c0.parquet","partitionValues":{},,,"dataChange":true,"stats":"{\"numRecords\":3,\"minValues\":{\"kafka_partition\":0,\"kafka_offset\":0,\"kafka_timestamp\":\"2026-09-21T14:13:22.469Z\",\"kafka_schema_id\":-45},\"maxValues\":{\"kafka_partition\":0,\"kafka_offset\":2,\"kafka_timestamp\":\"2026-09-21T14:14:39.013Z\",\"kafka_schema_id\":17},\"nullCount\":{\"kafka_partition\":0,\"kafka_offset\":0,\"kafka_timestamp\":0,\"kafka_key\":1,\"kafka_schema_id\":0}}"}}
`,
		// The second commit says only what changes.
		`{"commitInfo":{,"operation":"WRITE","operationParameters":{"mode":"Append","partitionBy":"[]"},"isBlindAppend":true,"operationMetrics":{"numFiles":"1",,"numOutputRows":"2"},"userMetadata":"{\"made-by\":\"tabletest\"}","engineInfo":"Tarn","txnId":"c3"}}
{"txn":{"appId":"tarn:topic-1:inc-1:0","version":5,}}
{"add":{"path":"c3.parquet",`,
	} {
		got := clean.ReplaceAllString(get(t, store, version(int64(v))), "")
		if !strings.HasPrefix(got, want) {
			t.Errorf("version %d:\ngot  %s\nwant %s", v, got, want)
		}
	}
}

// A lost answer and a second try inside the store must not count as another's.
func TestOwnVersionFound(t *testing.T) {
	store := blobtest.NewFaulty(blob.NewMemory())
	table := open(t, store, Config{})
	store.Fail(blobtest.Rule{
		Match: func(op blobtest.Op, _ string) bool { return op == blobtest.PutIfAbsent },
		When:  blobtest.After, Err: blob.ErrExists,
	})
	commitRows(t, store, table, 3)
	if got := count(t, table); got != 3 {
		t.Errorf("rows: got %d, want 3", got)
	}
}

// What a commit asks of the store does not grow with the table, and opening
// reads a checkpoint and what follows it.
func TestCost(t *testing.T) {
	store := blobtest.NewFaulty(blob.NewMemory())
	table := open(t, store, Config{CheckpointEvery: 40})
	var first int
	for i := range 77 {
		store.Calls()
		commitRows(t, store, table, 1)
		calls := len(store.Calls())
		if i == 0 {
			first = calls
		} else if calls != first && table.state.checkpoint != table.state.version {
			t.Fatalf("commit %d made %d calls, the first %d", i, calls, first)
		}
	}
	open(t, store, Config{})
	gets := 0
	for _, c := range store.Calls() {
		if c.Op == blobtest.Get {
			gets++
		}
	}
	if want := 77 - 39 + 1; gets != want {
		t.Errorf("open read %d commit files, want the %d from the checkpoint at 39", gets, want)
	}
}

// Everything is known after the commit files below a checkpoint are gone.
func TestCheckpointCarriesAll(t *testing.T) {
	store := blob.NewMemory()
	c := Config{CheckpointEvery: 5}
	table := open(t, store, c, tabletest.AllFields()...)
	for range 8 {
		commitRows(t, store, table, 10)
	}
	want := table.state
	for v := range int64(4) {
		if err := store.Delete(t.Context(), version(v)); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, store, c)
	got := again.state
	if got.checkpoint != 4 || got.oldest != 4 || got.version != 8 {
		t.Errorf("got checkpoint %d, oldest %d, version %d, want 4, 4, 8", got.checkpoint, got.oldest, got.version)
	}
	if !got.progress.Equal(want.progress) || !got.schema.Equal(want.schema) || got.rows != 80 || got.bytes != want.bytes {
		t.Errorf("state: got %+v, want %+v", got, want)
	}
	a, errA := encodeActions(want.actions(0))
	b, errB := encodeActions(got.actions(0))
	// Adds in a checkpoint are no change of data; the rest is the same.
	plain := func(s []byte) string {
		return strings.ReplaceAll(string(s), `"dataChange":true`, `"dataChange":false`)
	}
	if errA != nil || errB != nil || plain(a) != plain(b) {
		t.Errorf("actions: got\n%s\nwant\n%s", b, a)
	}
	if got := count(t, again); got != 80 {
		t.Errorf("rows: got %d, want 80", got)
	}
	var pointer checkpointPointer
	if err := json.Unmarshal([]byte(get(t, store, logDir+lastCheckpoint)), &pointer); err != nil || pointer.Version != 4 || pointer.NumOfAddFiles != 4 || pointer.Size != 7 {
		t.Errorf("_last_checkpoint: got %+v, %v, want version 4 with 7 actions, 4 of them adds", pointer, err)
	}
}

func TestCleanup(t *testing.T) {
	store := blob.NewMemory()
	table := open(t, store, Config{CheckpointEvery: 4, LogRetention: -time.Hour})
	for range 14 {
		commitRows(t, store, table, 1)
	}
	var left []string
	for info, err := range store.List(t.Context(), logDir+"0") {
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, strings.TrimLeft(strings.TrimPrefix(info.Key, logDir), "0"))
	}
	if got, want := strings.Join(left, " "), "11.checkpoint.parquet 11.json 12.json 13.json 14.json"; got != want {
		t.Errorf("log after cleanup: got %s, want %s", got, want)
	}
	if got := count(t, open(t, store, Config{})); got != 14 {
		t.Errorf("rows: got %d, want 14", got)
	}
	st, err := table.Status(t.Context())
	if err != nil || st.Snapshots != 4 {
		t.Errorf("snapshots: got %d, %v, want 4: versions 11 to 14", st.Snapshots, err)
	}
}

// foreign writes a version as another engine's maintenance would.
func foreign(t *testing.T, store blob.Store, v int64, actions string) {
	t.Helper()
	if err := store.PutIfAbsent(t.Context(), version(v), []byte(actions)); err != nil {
		t.Fatal(err)
	}
}

// A file rewritten by somebody's OPTIMIZE leaves progress alone: our commit
// moves to the next version.
func TestRebaseOverMaintenance(t *testing.T) {
	store := blob.NewMemory()
	table := open(t, store, Config{CheckpointEvery: 3})
	commitRows(t, store, table, 5)
	if err := store.Copy(t.Context(), table.DataPath("c0"), table.DataPath("part 1+2")); err != nil {
		t.Fatal(err)
	}
	at := table.state.progress.Clone()
	c := tabletest.Next(at, "next", tabletest.Write(t, store, table, "next", tables.Range{From: 5, To: 9}))
	nowMs := time.Now().UnixMilli()
	size := table.state.adds[0].Size
	foreign(t, store, 2, fmt.Sprintf(`{"commitInfo":{"timestamp":%d,"operation":"OPTIMIZE","operationParameters":{"predicate":"[]","zOrderBy":[]}}}
{"remove":{"path":"c0.parquet","deletionTimestamp":%d,"dataChange":false,"extendedFileMetadata":true,"partitionValues":{},"size":%d}}
{"add":{"path":"part%%201+2.parquet","partitionValues":{},"size":%d,"modificationTime":%d,"dataChange":false,"stats":"{\"numRecords\":5}","tags":{"a":"b","c":null}}}
`, nowMs, nowMs, size, size, nowMs))
	if err := table.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := get(t, store, version(3)); !strings.Contains(got, `"path":"next.parquet"`) {
		t.Errorf("version 3: got %s, want our commit", got)
	}
	for _, table := range []tables.Table{table, open(t, store, Config{})} {
		if got := count(t, table); got != 9 {
			t.Errorf("rows: got %d, want 9", got)
		}
	}
	// The tombstone and the foreign file's tags survive a checkpoint.
	commitRows(t, store, table, 1)
	if err := store.Delete(t.Context(), version(0), version(1), version(2)); err != nil {
		t.Fatal(err)
	}
	again := open(t, store, Config{})
	if _, ok := again.state.removes["c0.parquet"]; !ok {
		t.Errorf("tombstone is lost")
	}
	i, ok := again.state.byPath["part%201+2.parquet"]
	if !ok || again.state.adds[i].Tags["a"] == nil || *again.state.adds[i].Tags["a"] != "b" || again.state.adds[i].Tags["c"] != nil {
		t.Errorf("tags of a foreign file are lost")
	}
	if got := count(t, again); got != 10 {
		t.Errorf("rows: got %d, want 10", got)
	}
}

func TestForeignAndBroken(t *testing.T) {
	for name, test := range map[string]struct {
		actions string
		want    error
	}{
		"no json":         {`{`, tables.ErrBroken},
		"reader version":  {`{"protocol":{"minReaderVersion":2,"minWriterVersion":5}}`, tables.ErrFeature},
		"reader feature":  {`{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["columnMapping"],"writerFeatures":["columnMapping"]}}`, tables.ErrFeature},
		"writer feature":  {`{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking"]}}`, tables.ErrFeature},
		"deletion vector": {`{"add":{"path":"c0.parquet","size":1,"deletionVector":{"storageType":"u"}}}`, tables.ErrFeature},
		"other metadata":  {`{"metaData":{"id":"x","schemaString":"{}","configuration":{}}}`, tables.ErrForeign},
		"bad schema":      {`{"metaData":{"id":"x","configuration":{"tarn.schema":"{"}}}`, tables.ErrBroken},
		"bad extra":       {`{"metaData":{"id":"x","configuration":{"tarn.schema":"{\"fields\":[]}","tarn.extra":"["}}}`, tables.ErrBroken},
		"no path":         {`{"add":{"size":1}}`, tables.ErrBroken},
	} {
		store := blob.NewMemory()
		table := open(t, store, Config{})
		commitRows(t, store, table, 1)
		foreign(t, store, 2, test.actions)
		if _, err := table.Progress(t.Context()); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
	store := blob.NewMemory()
	foreign(t, store, 0, `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"x","format":{"provider":"parquet"},"schemaString":"{}","partitionColumns":[],"configuration":{}}}`)
	if _, err := New(store, Config{}).Open(t.Context(), tabletest.Spec(tabletest.Schema(t))); !errors.Is(err, tables.ErrForeign) {
		t.Errorf("another engine's table: got %v, want ErrForeign", err)
	}
	store = blob.NewMemory()
	table := open(t, store, Config{})
	commitRows(t, store, table, 1)
	commitRows(t, store, table, 1)
	if err := store.Delete(t.Context(), version(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := New(store, Config{}).Open(t.Context(), tabletest.Spec(nil)); !errors.Is(err, tables.ErrBroken) {
		t.Errorf("gap in the log: got %v, want ErrBroken", err)
	}
}

func TestFilesRefused(t *testing.T) {
	store := blob.NewMemory()
	table := open(t, store, Config{})
	commitRows(t, store, table, 3)
	at := table.state.progress
	write := func(name string) tables.DataFile {
		return tabletest.Write(t, store, table, name, tables.Range{From: 3, To: 4})
	}
	good := write("good")
	with := func(f func(d *tables.DataFile)) []tables.DataFile {
		d := good
		f(&d)
		return []tables.DataFile{d}
	}
	for name, add := range map[string][]tables.DataFile{
		"missing":   with(func(d *tables.DataFile) { d.Path = table.DataPath("other") }),
		"elsewhere": with(func(d *tables.DataFile) { d.Path = "ns/orders/good.parquet" }),
		"hidden":    {write("_good")},
		"size":      with(func(d *tables.DataFile) { d.Size++ }),
		"again":     {write("c0")},
		"twice":     {good, good},
	} {
		if err := table.Commit(t.Context(), tabletest.Next(at, name, add...)); !errors.Is(err, tables.ErrFile) {
			t.Errorf("%s: got %v, want ErrFile", name, err)
		}
	}
	if err := table.Commit(t.Context(), tabletest.Next(at, "good", good)); err != nil {
		t.Error(err)
	}
}

// A partition that leaves the progress must not come back at the next load.
func TestPartitionLeaves(t *testing.T) {
	store := blob.NewMemory()
	table := open(t, store, Config{})
	first := tables.Progress{TopicID: "t", Incarnation: "i", Offsets: map[int32]int64{0: 5, 1: 7}}
	second := tables.Progress{TopicID: "t", Incarnation: "i", Offsets: map[int32]int64{0: 3}}
	for i, step := range [][2]tables.Progress{{{}, first}, {first, second}, {second, first}, {first, second}} {
		c := tables.Commit{ID: fmt.Sprint(i), Expect: step[0], Progress: step[1]}
		if err := table.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if got := open(t, store, Config{}).state.progress; !got.Equal(step[1]) {
			t.Errorf("step %d: got %+v, want %+v", i, got, step[1])
		}
	}
}

func FuzzDecodeActions(f *testing.F) {
	f.Add([]byte(`{"commitInfo":{"timestamp":1}}` + "\n" + `{"add":{"path":"a","size":1,"stats":"{\"numRecords\":1}"}}`))
	f.Add([]byte(`{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}{"metaData":{"configuration":{"tarn.schema":"{}"}}}{"txn":{"appId":"tarn:a:b:1","version":3}}{"remove":{"path":"a"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		actions, err := decodeActions(data)
		if err != nil {
			return
		}
		s := newState()
		if s.apply(0, actions) != nil {
			return
		}
		if _, err := encodeCheckpoint(s.actions(0)); err != nil {
			t.Fatalf("a state that was read cannot be written: %v", err)
		}
		if _, err := readChanges(s.meta.SchemaString); err != nil && !errors.Is(err, tables.ErrBroken) {
			t.Fatal(err)
		}
	})
}

func FuzzDecodeCheckpoint(f *testing.F) {
	data, err := encodeCheckpoint([]action{
		{Protocol: &protocol{1, 2, nil, nil}}, {Txn: &txn{"tarn:a:b:0", 1, 2}},
		{MetaData: &metaData{ID: "x", Configuration: map[string]string{"k": "v"}}}, {Add: &add{Path: "a", Size: 1}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		m := blob.NewMemory()
		if err := m.Put(t.Context(), "f", data); err != nil {
			t.Fatal(err)
		}
		file, err := m.Open(t.Context(), "f")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeCheckpoint(t.Context(), file); err != nil && !errors.Is(err, tables.ErrBroken) && !errors.Is(err, tables.ErrForeign) && !errors.Is(err, tables.ErrFeature) {
			t.Fatal(err)
		}
	})
}
