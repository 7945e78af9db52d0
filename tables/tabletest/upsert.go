package tabletest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob/blobtest"
	"github.com/tarn-io/tarn/tables/maintenance"
	"github.com/tarn-io/tarn/tables/parquet"
	"github.com/tarn-io/tarn/tables/upsert"
)

// keyOf is the key column of the suite's upserts.
var keyOf = []string{"kafka_key"}

// keyed is a model of a table of latest values: what row each key has.
type keyed struct {
	b    *bench
	live map[string]tables.RowID
	at   tables.Progress
	n    int
}

// Keyed replaces the keys of a batch: row i gets keys[i].
func Keyed(rows arrow.RecordBatch, keys []string) arrow.RecordBatch {
	k := array.NewBinaryBuilder(memory.DefaultAllocator, arrow.BinaryTypes.Binary)
	defer k.Release()
	for _, key := range keys {
		k.Append([]byte(key))
	}
	cols := slices.Clone(rows.Columns())
	cols[rows.Schema().FieldIndices("kafka_key")[0]] = k.NewArray()
	return array.NewRecordBatch(rows.Schema(), cols, rows.NumRows())
}

// put writes a file with columns of rows that have these keys.
func (k *keyed) put(table tables.Table, name string, keys []string, columns ...string) *tables.DataFile {
	k.b.Helper()
	if len(keys) == 0 {
		return nil
	}
	physical, err := table.Physical(table.Schema())
	if err != nil {
		k.b.Fatal(err)
	}
	from := k.at.Offsets[0]
	if columns != nil {
		from += 1000 // rows of its own; it is part of no table
	}
	rows, err := tables.Convert(Keyed(Rows(table.Schema().Arrow, rng(0, from, from+int64(len(keys)))), keys), physical)
	if err != nil {
		k.b.Fatal(err)
	}
	if columns != nil {
		var fields []arrow.Field
		var cols []arrow.Array
		for _, name := range columns {
			at := rows.Schema().FieldIndices(name)[0]
			fields, cols = append(fields, rows.Schema().Field(at)), append(cols, rows.Column(at))
		}
		s := arrow.NewSchema(fields, nil)
		physical = &tables.Schema{ID: physical.ID, LastID: physical.LastID, Arrow: s}
		rows = array.NewRecordBatch(s, cols, rows.NumRows())
	}
	f, err := parquet.Encode(physical, []arrow.RecordBatch{rows}, parquet.Options{})
	if err != nil {
		k.b.Fatal(err)
	}
	d := f.DataFile(physical.ID)
	d.Path, d.Ranges = table.DataPath(name), []tables.Range{rng(0, from, from+int64(len(keys)))}
	if err := k.b.store.Put(k.b.Context(), d.Path, f.Bytes); err != nil {
		k.b.Fatal(err)
	}
	return &d
}

// commit builds a commit that upserts some keys and deletes others, and the
// model as it is afterwards.
func (k *keyed) commit(table tables.Table, put, gone []string) (tables.Commit, upsert.Upsert, *keyed) {
	k.b.Helper()
	k.n++
	next := &keyed{k.b, maps.Clone(k.live), k.at.Clone(), k.n}
	if next.live == nil {
		next.live = map[string]tables.RowID{}
	}
	c := Next(k.at, fmt.Sprintf("u%d", k.n))
	if c.Progress.Offsets == nil {
		c.Progress.Offsets = map[int32]int64{}
	}
	from := k.at.Offsets[0]
	c.Progress.Offsets[0] = from + int64(len(put)+len(gone))
	if f := k.put(table, c.ID, put); f != nil {
		c.Add = []tables.DataFile{*f}
	}
	u := upsert.Upsert{Store: k.b.store, Key: keyOf, Gone: k.put(table, "keys-"+c.ID, gone, "kafka_partition", "kafka_offset", "kafka_key")}
	for i, key := range put {
		next.live[key] = tables.RowID{Offset: from + int64(i)}
	}
	for _, key := range gone {
		delete(next.live, key)
	}
	next.at = c.Progress
	return c, u, next
}

// want holds a table against the model.
func (k *keyed) want(table tables.Table) {
	k.b.Helper()
	got := map[string]tables.RowID{}
	var ids []tables.RowID
	for _, f := range k.b.files(table) {
		file, err := k.b.store.Open(k.b.Context(), f.Key)
		if err != nil {
			k.b.Fatal(err)
		}
		for rows, err := range parquet.ReadRows(k.b.Context(), file, []string{"kafka_offset", "kafka_key"}) {
			if err != nil {
				k.b.Fatal(err)
			}
			for i := range int(rows.NumRows()) {
				id := tables.RowID{Offset: rows.Column(0).(*array.Int64).Value(i)}
				got[string(rows.Column(1).(*array.Binary).Value(i))] = id
				ids = append(ids, id)
			}
		}
		file.Close()
	}
	if !maps.Equal(got, k.live) || len(ids) != len(k.live) {
		k.b.Errorf("table has %d rows: %v; want %v", len(ids), got, k.live)
	}
	rows, err := ReadRows(k.b.Context(), table)
	if err != nil || len(rows) != len(ids) {
		k.b.Errorf("%d rows, %v; its files have %d", len(rows), err, len(ids))
	}
	st, err := table.Status(k.b.Context())
	if err != nil || st.Rows != int64(len(ids)) {
		k.b.Errorf("status says %d rows, %v; want %d", st.Rows, err, len(ids))
	}
	k.b.wantProgress(table, k.at)
}

// replacer returns the table as one whose commits may take files out, nil if
// the format has none: then it must refuse such commits.
func (b *bench) replacer(table tables.Table) tables.Replacer {
	b.Helper()
	if r, ok := table.(tables.Replacer); ok {
		return r
	}
	at := b.commit(table, "first", rng(0, 0, 3))
	c := Next(at, "second", Write(b, b.store, table, "second", rng(0, 3, 6)))
	c.Remove = &tables.Removal{}
	if err := table.Commit(b.Context(), c); !errors.Is(err, tables.ErrUnsupported) {
		b.Errorf("a commit that takes files out: %v, want ErrUnsupported", err)
	}
	b.wantRows(table, rng(0, 0, 3))
	b.wantProgress(table, at)
	return nil
}

// reopen opens the suite's table as another process does.
func (b *bench) reopen() tables.Replacer {
	b.Helper()
	table, err := b.start().Open(b.Context(), Spec(nil))
	if err != nil {
		b.Fatal(err)
	}
	return table.(tables.Replacer)
}

// testUpsert does random upserts, deletes, merges and restarts, and holds the
// table against a model after each.
func testUpsert(b *bench) {
	table := b.replacer(b.table(AllFields()...))
	if table == nil {
		return
	}
	for seed := range uint64(3) {
		b.upserts(table, rand.New(rand.NewPCG(seed, 1)))
	}
}

func (b *bench) upserts(table tables.Replacer, rnd *rand.Rand) {
	k := &keyed{b: b, at: b.progress(table), live: map[string]tables.RowID{}}
	if n := k.at.Offsets[0]; n > 0 {
		// The tables of earlier seeds: all their keys go first.
		k.n = int(n) + 1000
		var all []string
		for i := range 20 {
			all = append(all, fmt.Sprint("key", i))
		}
		k = b.apply(table, upsert.NewIndex(upsert.NewBudget(1<<20)), k, nil, all)
	}
	x := upsert.NewIndex(upsert.NewBudget(1 << 20))
	for range 25 {
		keys := rnd.Perm(20)
		put, gone := rnd.IntN(8), rnd.IntN(4)
		var texts []string
		for _, n := range keys[:put+gone] {
			texts = append(texts, fmt.Sprint("key", n))
		}
		k = b.apply(table, x, k, texts[:put], texts[put:])
		switch rnd.IntN(5) {
		case 0:
			b.compact(table)
		case 1:
			x.Close() // another process
			x = upsert.NewIndex(upsert.NewBudget(rnd.Int64N(500)))
			table = b.reopen()
		}
		k.want(table)
	}
}

func (b *bench) apply(table tables.Replacer, x *upsert.Index, k *keyed, put, gone []string) *keyed {
	b.Helper()
	c, u, next := k.commit(table, put, gone)
	if err := x.Commit(b.Context(), table, c, u); err != nil {
		b.Fatalf("upsert %v, delete %v: %v", put, gone, err)
	}
	next.want(table)
	return next
}

// testUpsertCrash strikes each write of an upsert once, before it is done and
// after: the table is the old one or the new one, and the same commit leads on.
func testUpsertCrash(b *bench) {
	for _, when := range []blobtest.When{blobtest.Before, blobtest.After} {
		for n := 0; b.upsertCrash(fmt.Sprintf("upsert%d%d", when, n), n, when); n++ {
			if n > 100 {
				b.Fatal("an upsert has more than 100 writes")
			}
		}
	}
}

func (b *bench) upsertCrash(name string, n int, when blobtest.When) (crashed bool) {
	spec := Spec(Schema(b, SmallFields()...))
	spec.Name = name
	open := func() tables.Table {
		table, err := b.start().Open(b.Context(), spec)
		if err != nil {
			b.Fatalf("%s: open: %v", name, err)
		}
		return table
	}
	table, ok := open().(tables.Replacer)
	if !ok {
		return false
	}
	x := upsert.NewIndex(upsert.NewBudget(1 << 20))
	k := &keyed{b: b}
	known := map[string]bool{}
	note := func(files []tables.LiveFile) {
		for _, f := range files {
			known[f.Key] = true
		}
	}
	for _, put := range [][]string{{"a", "b", "c"}, {"b", "d"}, {"e"}} {
		k = b.apply(table, x, k, put, nil)
		note(b.files(table))
	}
	c, u, next := k.commit(table, []string{"a", "f"}, []string{"d", "e", "never"})
	b.store.CrashAt(n, when)
	err := x.Commit(b.Context(), table, c, u)
	if crashed = b.store.Heal(); err != nil && !crashed {
		b.Fatalf("%s: %v", name, err)
	}
	if n%2 == 0 { // else the process lives on
		table, x = open().(tables.Replacer), upsert.NewIndex(upsert.NewBudget(0))
	}
	if got := b.progress(table); same(got, k.at) {
		k.want(table)
		if err := x.Commit(b.Context(), table, c, u); err != nil {
			b.Fatalf("%s: the same commit again: %v", name, err)
		}
	}
	next.want(table)
	refusal := tables.ErrConflict
	if f, err := b.store.Open(b.Context(), c.Add[0].Path); err != nil {
		refusal = tables.ErrFile // the format has moved it into the table
	} else if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	if err := x.Commit(b.Context(), table, c, u); !errors.Is(err, refusal) {
		b.Errorf("%s: the same commit once more: %v, want %v", name, err, refusal)
	}
	note(b.files(table))
	next = b.apply(table, x, next, []string{"b", "g"}, []string{"f"})
	b.sweep(table, nil)
	next.want(open())
	// Files that were live once may stay for readers; what a crash has left, not.
	note(b.files(table))
	for _, key := range b.data(table) {
		if !known[key] && !strings.Contains(key, "/keys-") {
			b.Errorf("%s: %s stays after the sweep", name, key)
		}
	}
	return crashed
}

// between is a table that somebody changes after its files were listed.
type between struct {
	tables.Replacer
	do func()
}

func (t *between) Files(ctx context.Context) (tables.Files, error) {
	f, err := t.Replacer.Files(ctx)
	if do := t.do; do != nil {
		t.do = nil
		do()
	}
	return f, err
}

// testUpsertBeside has files merged, and another writer commit, between an
// upsert's look and its commit: rows that moved are found where they are now.
func testUpsertBeside(b *bench) {
	table := b.replacer(b.table())
	if table == nil {
		return
	}
	x := upsert.NewIndex(upsert.NewBudget(1 << 20))
	k := &keyed{b: b}
	for i := range 12 {
		k = b.apply(table, x, k, []string{fmt.Sprint("key", i), "hot"}, nil)
	}
	merged := false
	c, u, next := k.commit(table, []string{"key3", "hot"}, []string{"key4"})
	t := &between{table, func() {
		groups := maintenance.Plan(b.files(table), target, true)
		if _, err := maintenance.Merge(b.Context(), b.store, b.keeper(b.reopen()), groups[0]); err != nil {
			b.Fatal(err)
		}
		merged = true
	}}
	if err := x.Commit(b.Context(), t, c, u); err != nil || !merged {
		b.Fatalf("upsert beside a merge: %v", err)
	}
	next.want(table)

	// Another writer with another commit is first: this one is fenced.
	mine, how, _ := next.commit(table, []string{"key5"}, nil)
	other, otherHow, after := next.commit(table, []string{"key6"}, []string{"key7"})
	t = &between{table, func() {
		if err := upsert.NewIndex(upsert.NewBudget(0)).Commit(b.Context(), b.reopen(), other, otherHow); err != nil {
			b.Fatal(err)
		}
	}}
	if err := x.Commit(b.Context(), t, mine, how); !errors.Is(err, tables.ErrConflict) {
		b.Errorf("an upsert behind another writer's: %v, want ErrConflict", err)
	}
	after.want(table)

	// The same commit by another process, which rewrites to files of its own: it is
	// in once, and both see what is there.
	twin, twinHow, afterTwin := after.commit(table, []string{"key9"}, []string{"key10"})
	t = &between{table, func() {
		if err := upsert.NewIndex(upsert.NewBudget(0)).Commit(b.Context(), b.reopen(), twin, twinHow); err != nil {
			b.Fatal(err)
		}
	}}
	if err := x.Commit(b.Context(), t, twin, twinHow); err != nil && !errors.Is(err, tables.ErrConflict) {
		b.Errorf("an upsert that another process has made: %v", err)
	}
	after = afterTwin
	after.want(table)
	after.want(b.reopen())

	// A merge whose files an upsert has rewritten meanwhile is refused.
	live := b.files(table)
	after = b.apply(table, x, after, []string{"key3", "key8", "hot"}, []string{"key6"})
	if _, err := maintenance.Merge(b.Context(), b.store, b.keeper(table), live); !errors.Is(err, tables.ErrConflict) {
		b.Errorf("a merge of files that were rewritten: %v, want ErrConflict", err)
	}
	after.want(b.reopen())

	// Files picked in a state that is past are not taken out.
	late, _, _ := after.commit(table, []string{"key11"}, nil)
	late.Remove = &tables.Removal{State: "no such state", Files: []string{b.files(table)[0].Key}}
	if err := table.Commit(b.Context(), late); !errors.Is(err, tables.ErrMoved) {
		b.Errorf("files of another state: %v, want ErrMoved", err)
	}
	after.want(table)
}
