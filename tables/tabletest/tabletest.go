// Package tabletest is the suite that every table format passes, with helpers
// that make small rows and data files.
package tabletest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/blob/blobtest"
	"github.com/tarn-io/tarn/tables/parquet"
)

// Run tests the contract of tables.Table. open returns a format over the store;
// it is called again with the same store where the suite plays a restart, and
// must keep nothing in memory between such calls but what the store's owner
// would (a catalog in another store may be found by a map from store to it).
func Run(t *testing.T, open func(t *testing.T, store blob.Store) tables.Format) {
	for name, test := range map[string]func(*bench){
		"CreateReopen":    testCreateReopen,
		"Commit":          testCommit,
		"Refused":         testRefused,
		"Race":            testRace,
		"TwoWriters":      testTwoWriters,
		"Evolution":       testEvolution,
		"AllTypes":        testAllTypes,
		"ManyCommits":     testManyCommits,
		"Extra":           testExtra,
		"Incarnation":     testIncarnation,
		"EmptyCommit":     testEmptyCommit,
		"Drop":            testDrop,
		"Landed":          testLanded,
		"Crash":           testCrash,
		"ReadsFail":       testReadsFail,
		"ConcurrentReads": testConcurrentReads,
		"Compact":         testCompact,
		"CompactTypes":    testCompactTypes,
		"CompactCrash":    testCompactCrash,
		"CompactRace":     testCompactRace,
		"CompactBeside":   testCompactBeside,
		"DropRows":        testDropRows,
		"Sweep":           testSweep,
		"Upsert":          testUpsert,
		"UpsertCrash":     testUpsertCrash,
		"UpsertBeside":    testUpsertBeside,
		"Partitions":      testPartitions,
		"MergePartitions": testMergePartitions,
		"LayoutChange":    testLayoutChange,
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{T: t, store: blobtest.NewFaulty(blob.NewMemory())}
			b.start = func() tables.Format { return open(t, b.store) }
			test(b)
		})
	}
}

// bench is one test's store and how to start a format on it.
type bench struct {
	*testing.T
	store *blobtest.Faulty
	start func() tables.Format
}

// Spec is the table that the suite works on.
func Spec(s *tables.Schema) tables.Spec {
	return tables.Spec{Namespace: "ns", Name: "orders", Schema: s, Comment: "made by a test"}
}

func (b *bench) table(own ...arrow.Field) tables.Table {
	b.Helper()
	if own == nil {
		own = SmallFields()
	}
	table, err := b.start().Open(b.Context(), Spec(Schema(b, own...)))
	if err != nil {
		b.Fatal(err)
	}
	return table
}

// Write makes a data file with the rows of the ranges in the table's present
// schema, and puts it where the table wants it.
func Write(t testing.TB, store blob.Store, table tables.Table, name string, ranges ...tables.Range) tables.DataFile {
	t.Helper()
	return WriteAs(t, store, table, table.Schema(), name, ranges...)
}

// WriteAs is Write in a schema that the table does not have yet.
func WriteAs(t testing.TB, store blob.Store, table tables.Table, s *tables.Schema, name string, ranges ...tables.Range) tables.DataFile {
	t.Helper()
	physical, err := table.Physical(s)
	if err != nil {
		t.Fatal(err)
	}
	var batches []arrow.RecordBatch
	for _, r := range ranges {
		batch, err := tables.Convert(Rows(s.Arrow, r), physical)
		if err != nil {
			t.Fatal(err)
		}
		batches = append(batches, batch)
	}
	file, err := parquet.Encode(physical, batches, parquet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := file.DataFile(s.ID)
	d.Path, d.Ranges, d.WrittenMs = table.DataPath(name), ranges, time.Now().UnixMilli()
	if err := store.Put(t.Context(), d.Path, file.Bytes); err != nil {
		t.Fatal(err)
	}
	return d
}

// Next builds the commit that follows from: its files, with the progress that
// they lead to.
func Next(from tables.Progress, id string, files ...tables.DataFile) tables.Commit {
	to := from.Clone()
	if to.TopicID == "" {
		to.TopicID, to.Incarnation = "topic-1", "inc-1"
	}
	if to.Offsets == nil {
		to.Offsets = make(map[int32]int64)
	}
	for _, f := range files {
		for _, r := range f.Ranges {
			to.Offsets[r.Partition] = max(to.Offsets[r.Partition], r.To)
		}
	}
	return tables.Commit{ID: id, Expect: from, Progress: to, Add: files, Summary: map[string]string{"made-by": "tabletest"}}
}

func (b *bench) commit(table tables.Table, id string, ranges ...tables.Range) tables.Progress {
	b.Helper()
	c := Next(b.progress(table), id, Write(b, b.store, table, id, ranges...))
	if err := table.Commit(b.Context(), c); err != nil {
		b.Fatalf("commit %s: %v", id, err)
	}
	return c.Progress
}

func (b *bench) progress(table tables.Table) tables.Progress {
	b.Helper()
	p, err := table.Progress(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func (b *bench) wantProgress(table tables.Table, want tables.Progress) {
	b.Helper()
	if got := b.progress(table); !same(got, want) {
		b.Errorf("progress: got %+v, want %+v", got, want)
	}
}

// same is Equal, but takes no map for an empty one.
func same(p, q tables.Progress) bool {
	for _, x := range []*tables.Progress{&p, &q} {
		if len(x.Offsets) == 0 {
			x.Offsets = nil
		}
		if len(x.Extra) == 0 {
			x.Extra = nil
		}
	}
	return p.Equal(q)
}

// ReadRows returns the live rows, sorted.
func ReadRows(ctx context.Context, table tables.Table) ([]tables.RowID, error) {
	var rows []tables.RowID
	for id, err := range table.Rows(ctx) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, id)
	}
	slices.SortFunc(rows, func(a, b tables.RowID) int {
		if a.Partition != b.Partition {
			return int(a.Partition - b.Partition)
		}
		return int(a.Offset - b.Offset)
	})
	return rows, nil
}

// wantRows checks that the table holds exactly the rows of the ranges, each
// once.
func (b *bench) wantRows(table tables.Table, ranges ...tables.Range) {
	b.Helper()
	got, err := ReadRows(b.Context(), table)
	if err != nil {
		b.Fatalf("read rows: %v", err)
	}
	var want []tables.RowID
	for _, r := range ranges {
		for o := r.From; o < r.To; o++ {
			want = append(want, tables.RowID{Partition: r.Partition, Offset: o})
		}
	}
	if !slices.Equal(got, want) {
		b.Errorf("rows: got %d (%v …), want %d", len(got), got[:min(3, len(got))], len(want))
	}
}

func rng(partition int32, from, to int64) tables.Range {
	return tables.Range{Partition: partition, From: from, To: to}
}

func testCreateReopen(b *bench) {
	first := b.table()
	b.wantProgress(first, tables.Progress{})
	b.wantRows(first)
	want := Schema(b, SmallFields()...)
	if got := first.Schema(); got == nil || !got.Arrow.Equal(want.Arrow) {
		b.Errorf("schema: got %v, want %v", got, want)
	}
	st, err := first.Status(b.Context())
	if err != nil || st.Rows != 0 || st.Files != 0 || st.Format == "" || st.Location == "" {
		b.Errorf("status of an empty table: got %+v, %v", st, err)
	}
	// An existing table keeps its own schema, whatever the spec says.
	again := b.table(arrow.Field{Name: "other", Type: arrow.PrimitiveTypes.Int32})
	if got := again.Schema(); !got.Arrow.Equal(want.Arrow) {
		b.Errorf("schema after reopen: got %v, want %v", got, want)
	}
	if name := b.start().Name(); name != st.Format {
		b.Errorf("format is called %q, its status says %q", name, st.Format)
	}
}

func testCommit(b *bench) {
	table := b.table()
	b.commit(table, "one", rng(0, 0, 10), rng(1, 0, 5))
	want := b.commit(table, "two", rng(0, 10, 20))
	b.wantProgress(table, want)
	b.wantRows(table, rng(0, 0, 20), rng(1, 0, 5))
	for range 2 {
		st, err := table.Status(b.Context())
		if err != nil || st.Rows != 25 || st.Files != 2 || st.Bytes <= 0 || st.CommitMs <= 0 || st.Version == "" {
			b.Errorf("status: got %+v, %v, want 25 rows in 2 files", st, err)
		}
		table = b.table() // and the same after a restart
		b.wantProgress(table, want)
		b.wantRows(table, rng(0, 0, 20), rng(1, 0, 5))
	}
	b.commit(table, "three", rng(0, 20, 21))
	b.wantRows(table, rng(0, 0, 21), rng(1, 0, 5))
}

func testRefused(b *bench) {
	table := b.table()
	at := b.commit(table, "one", rng(0, 0, 10))
	good := Next(at, "two", Write(b, b.store, table, "two", rng(0, 10, 20)))
	change := func(f func(p *tables.Progress)) tables.Commit {
		c := good
		c.Expect = c.Expect.Clone()
		f(&c.Expect)
		return c
	}
	for name, c := range map[string]tables.Commit{
		"behind":      change(func(p *tables.Progress) { p.Offsets[0] = 9 }),
		"ahead":       change(func(p *tables.Progress) { p.Offsets[0] = 11 }),
		"partition":   change(func(p *tables.Progress) { p.Offsets[1] = 0 }),
		"topic":       change(func(p *tables.Progress) { p.TopicID = "another" }),
		"incarnation": change(func(p *tables.Progress) { p.Incarnation = "another" }),
		"extra":       change(func(p *tables.Progress) { p.Extra = map[string]string{"k": "v"} }),
		"empty":       change(func(p *tables.Progress) { *p = tables.Progress{} }),
	} {
		if err := table.Commit(b.Context(), c); !errors.Is(err, tables.ErrConflict) {
			b.Errorf("%s: got %v, want ErrConflict", name, err)
		}
	}
	b.wantProgress(table, at)
	b.wantRows(table, rng(0, 0, 10))
	// The refused commit is none the worse for it.
	if err := table.Commit(b.Context(), good); err != nil {
		b.Fatal(err)
	}
	b.wantRows(table, rng(0, 0, 20))
	// The same commit again: the table has moved past its Expect.
	if err := table.Commit(b.Context(), good); !errors.Is(err, tables.ErrConflict) {
		b.Errorf("same commit again: got %v, want ErrConflict", err)
	}
	b.wantRows(table, rng(0, 0, 20))
}

// testRace has several writers, each with its own table object, race for the
// same place: one wins, the others get ErrConflict.
func testRace(b *bench) {
	const writers = 6
	at := b.commit(b.table(), "base", rng(0, 0, 10))
	open := make([]tables.Table, writers)
	commits := make([]tables.Commit, writers)
	for w := range writers {
		open[w] = b.table()
		id := fmt.Sprintf("racer-%d", w)
		commits[w] = Next(at, id, Write(b, b.store, open[w], id, rng(0, 10, 11+int64(w))))
	}
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() { errs[w] = open[w].Commit(b.Context(), commits[w]) })
	}
	wg.Wait()
	winner := -1
	for w, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = w
		case err == nil:
			b.Errorf("writers %d and %d both won", winner, w)
		case !errors.Is(err, tables.ErrConflict):
			b.Errorf("writer %d: got %v, want ErrConflict", w, err)
		}
	}
	if winner < 0 {
		b.Fatal("nobody won")
	}
	for _, table := range []tables.Table{b.table(), open[0], open[writers-1]} {
		b.wantProgress(table, commits[winner].Progress)
		b.wantRows(table, rng(0, 0, 11+int64(winner)))
	}
}

// testTwoWriters fences a writer that slept while another went on.
func testTwoWriters(b *bench) {
	asleep := b.table()
	at := b.commit(asleep, "one", rng(0, 0, 10))
	stale := Next(at, "stale", Write(b, b.store, asleep, "stale", rng(0, 10, 15)))
	awake := b.table()
	for i := range int64(5) {
		b.commit(awake, fmt.Sprintf("awake-%d", i), rng(0, 10+i, 11+i))
	}
	if err := asleep.Commit(b.Context(), stale); !errors.Is(err, tables.ErrConflict) {
		b.Errorf("stale writer: got %v, want ErrConflict", err)
	}
	b.wantRows(awake, rng(0, 0, 15))
	b.wantProgress(asleep, b.progress(awake))
	b.commit(asleep, "again", rng(0, 15, 20))
	b.commit(awake, "and again", rng(0, 20, 25))
	b.wantRows(b.table(), rng(0, 0, 25))
}

func testExtra(b *bench) {
	table := b.table()
	c := Next(tables.Progress{}, "one", Write(b, b.store, table, "one", rng(0, 0, 1)))
	c.Progress.Extra = map[string]string{"redrive": `{"from": 3, "name": "wörd"}`, "rebuild.id": "7"}
	if err := table.Commit(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	b.wantProgress(table, c.Progress)
	b.wantProgress(b.table(), c.Progress)
	next := Next(c.Progress, "two", Write(b, b.store, table, "two", rng(0, 1, 2)))
	next.Progress.Extra = map[string]string{"rebuild.id": "8"}
	if err := table.Commit(b.Context(), next); err != nil {
		b.Fatal(err)
	}
	b.wantProgress(b.table(), next.Progress)
}

// testIncarnation goes on under another topic id, whose offsets begin below.
func testIncarnation(b *bench) {
	table := b.table()
	at := b.commit(table, "one", rng(0, 0, 10), rng(1, 0, 10))
	c := Next(at, "two", Write(b, b.store, table, "two", rng(0, 3, 4)))
	c.Progress = tables.Progress{TopicID: "topic-2", Incarnation: "inc-9", Offsets: map[int32]int64{0: 4}}
	if err := table.Commit(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	b.wantProgress(table, c.Progress)
	b.wantProgress(b.table(), c.Progress)
	b.commit(table, "three", rng(0, 4, 6))
}

// testEmptyCommit moves offsets over a range without rows.
func testEmptyCommit(b *bench) {
	table := b.table()
	at := b.commit(table, "one", rng(0, 0, 10))
	c := Next(at, "two")
	c.Progress.Offsets[0] = 12
	if err := table.Commit(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	b.wantProgress(b.table(), c.Progress)
	b.wantRows(table, rng(0, 0, 10))
}

func testDrop(b *bench) {
	format := b.start()
	if err := format.Drop(b.Context(), "ns", "orders"); err != nil {
		b.Errorf("drop of nothing: %v", err)
	}
	table := b.table()
	b.commit(table, "one", rng(0, 0, 10))
	keep, err := format.Open(b.Context(), tables.Spec{Namespace: "ns", Name: "orders2", Schema: Schema(b, SmallFields()...)})
	if err != nil {
		b.Fatal(err)
	}
	kept := b.commit(keep, "kept", rng(0, 0, 3))
	for range 2 {
		if err := format.Drop(b.Context(), "ns", "orders"); err != nil {
			b.Fatal(err)
		}
	}
	for info, err := range b.store.List(b.Context(), "ns/orders/") {
		b.Errorf("left after drop: %v, %v", info.Key, err)
	}
	b.wantProgress(keep, kept)
	b.wantRows(keep, rng(0, 0, 3))
	// The place is free for a new table.
	table = b.table(append(SmallFields(), arrow.Field{Name: "more", Type: arrow.PrimitiveTypes.Int32, Nullable: true})...)
	b.wantProgress(table, tables.Progress{})
	b.commit(table, "one", rng(0, 0, 4))
	b.wantRows(table, rng(0, 0, 4))
}

func testConcurrentReads(b *bench) {
	table := b.table()
	b.commit(table, "start", rng(0, 0, 1))
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				rows, err := ReadRows(b.Context(), table)
				if err != nil {
					b.Errorf("read: %v", err)
					return
				}
				for i, r := range rows {
					if r.Offset != int64(i) {
						b.Errorf("row %d has offset %d: a gap or a duplicate", i, r.Offset)
						return
					}
				}
				if _, err := table.Status(b.Context()); err != nil || table.Schema() == nil {
					b.Errorf("status: %v", err)
					return
				}
			}
		})
	}
	for i := range int64(10) {
		b.commit(table, fmt.Sprintf("c%d", i), rng(0, 1+i, 2+i))
	}
	cancel()
	wg.Wait()
}
