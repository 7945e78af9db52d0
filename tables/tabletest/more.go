package tabletest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob/blobtest"
)

// testEvolution adds and widens columns in the commit that first needs them.
func testEvolution(b *bench) {
	null := func(name string, t arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: t, Nullable: true}
	}
	before := arrow.StructOf(null("city", arrow.BinaryTypes.String))
	after := arrow.StructOf(null("city", arrow.BinaryTypes.String), null("zip", arrow.PrimitiveTypes.Int32))
	table := b.table(null("address", before))
	at := b.commit(table, "old", rng(0, 0, 10))

	next, changes, err := table.Schema().Merge(arrow.NewSchema(append(KafkaFields(), null("address", after), null("extra", arrow.PrimitiveTypes.Float64)), nil))
	if err != nil || len(changes) != 2 {
		b.Fatalf("merge: %v, %v", changes, err)
	}
	c := Next(at, "new", WriteAs(b, b.store, table, next, "new", rng(0, 10, 20)))
	c.Schema = next
	if err := table.Commit(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	reopened := b.table()
	for name, got := range map[string]*tables.Schema{"same": table.Schema(), "reopened": reopened.Schema()} {
		if !got.Equal(next) {
			b.Errorf("%s table: schema is %v, want %v", name, got, next)
		}
	}
	b.wantRows(reopened, rng(0, 0, 20))
	st, err := reopened.Status(b.Context())
	if err != nil || st.SchemaID != next.ID {
		b.Errorf("status: schema %d, %v, want %d", st.SchemaID, err, next.ID)
	}
	b.commit(reopened, "after", rng(0, 20, 21))
	b.wantRows(reopened, rng(0, 0, 21))

	// What does not extend the table's schema is refused, and nothing changes.
	at = b.progress(reopened)
	wrong := Schema(b, null("address", arrow.BinaryTypes.String))
	wrong.ID, wrong.LastID = next.ID+1, next.LastID+1
	c = Next(at, "wrong")
	c.Schema = wrong
	if err := reopened.Commit(b.Context(), c); !errors.Is(err, tables.ErrUnsupported) {
		b.Errorf("foreign schema: got %v, want ErrUnsupported", err)
	}
	b.wantProgress(b.table(), at)
	if got := b.table().Schema(); !got.Equal(next) {
		b.Errorf("schema after a refused commit: got %v", got)
	}
}

// testAllTypes writes every type of the mapping through the physical schema.
func testAllTypes(b *bench) {
	own := append(AllFields(), arrow.Field{Name: "nanos", Type: arrow.FixedWidthTypes.Timestamp_ns, Nullable: true})
	table := b.table(own...)
	want := Schema(b, own...)
	if !table.Schema().Equal(want) {
		b.Errorf("schema: got %v, want the one it was made with, %v", table.Schema(), want)
	}
	physical, err := table.Physical(table.Schema())
	if err != nil {
		b.Fatal(err)
	}
	if got, want := names(physical.Arrow.Fields()), names(want.Arrow.Fields()); got != want {
		b.Errorf("physical schema has fields %s, want %s", got, want)
	}
	b.commit(table, "one", rng(0, 0, 200), rng(3, 7, 50))
	b.wantRows(table, rng(0, 0, 200), rng(3, 7, 50))
	b.wantRows(b.table(own...), rng(0, 0, 200), rng(3, 7, 50))
}

func names(fields []arrow.Field) string {
	var b strings.Builder
	for _, f := range fields {
		id, _ := tables.FieldID(f)
		fmt.Fprintf(&b, "%s=%d(%s) ", f.Name, id, names(tables.Children(f.Type)))
	}
	return b.String()
}

// testManyCommits goes past the points where logs are checkpointed, trimmed or
// expired, with restarts in between.
func testManyCommits(b *bench) {
	const commits = 60
	table := b.table()
	for i := range int64(commits) {
		b.commit(table, fmt.Sprintf("c%03d", i), rng(int32(i%3), i/3*2, i/3*2+2))
		if i%23 == 7 {
			table = b.table()
		}
	}
	want := tables.Progress{TopicID: "topic-1", Incarnation: "inc-1", Offsets: map[int32]int64{0: 40, 1: 40, 2: 40}}
	for _, table := range []tables.Table{table, b.table()} {
		b.wantProgress(table, want)
		b.wantRows(table, rng(0, 0, 40), rng(1, 0, 40), rng(2, 0, 40))
		st, err := table.Status(b.Context())
		if err != nil || st.Files != commits || st.Rows != 2*commits {
			b.Errorf("status: got %+v, %v, want %d files", st, err, commits)
		}
	}
}

// testCrash cuts off create and commits at every write they do, before it and
// after it. Whatever the outcome, a restart finds a table whose rows are what
// its progress says, and the same files can be committed or are committed.
func testCrash(b *bench) {
	for _, when := range []blobtest.When{blobtest.Before, blobtest.After} {
		for n := 0; ; n++ {
			if !b.crash(fmt.Sprintf("crash%d%d", when, n), n, when) {
				break
			}
		}
	}
}

// crash reports whether the table's life has as many as n writes.
func (b *bench) crash(name string, n int, when blobtest.When) bool {
	spec := Spec(Schema(b, SmallFields()...))
	spec.Name = name
	b.store.CrashAt(n, when)
	table, err := b.start().Open(b.Context(), spec)
	opened := err == nil
	if b.store.Heal() {
		if table, err = b.start().Open(b.Context(), spec); err != nil {
			b.Fatalf("%s: open after a crash: %v", name, err)
		}
		b.wantProgress(table, tables.Progress{})
		b.wantRows(table)
		return true
	}
	if !opened {
		b.Fatalf("%s: %v", name, err)
	}
	at := b.commit(table, "base", rng(0, 0, 5))
	c := Next(at, "next", Write(b, b.store, table, "next-a", rng(0, 5, 10)), Write(b, b.store, table, "next-b", rng(1, 0, 3)))

	b.store.CrashAt(max(0, n-b.createWrites()), when)
	err = table.Commit(b.Context(), c)
	crashed := b.store.Heal()
	if err == nil && !crashed {
		b.wantRows(table, rng(0, 0, 10), rng(1, 0, 3))
		return false
	}
	if errors.Is(err, tables.ErrConflict) || errors.Is(err, tables.ErrUnsupported) {
		b.Errorf("%s: a crash was reported as refused: %v", name, err)
	}
	// Half of the time the writer lives on and reloads, else it starts anew.
	if n%2 == 0 {
		if table, err = b.start().Open(b.Context(), spec); err != nil {
			b.Fatalf("%s: open after a crash: %v", name, err)
		}
	}
	got := b.progress(table)
	switch {
	case same(got, c.Progress):
	case same(got, at):
		b.wantRows(table, rng(0, 0, 5))
		if err := table.Commit(b.Context(), c); err != nil {
			b.Fatalf("%s: the same commit again: %v", name, err)
		}
	default:
		b.Errorf("%s: progress after a crash: %+v, want %+v or %+v", name, got, at, c.Progress)
	}
	b.wantProgress(table, c.Progress)
	b.wantRows(table, rng(0, 0, 10), rng(1, 0, 3))
	b.commit(table, "later", rng(1, 3, 4))
	if table, err = b.start().Open(b.Context(), spec); err != nil {
		b.Fatal(err)
	}
	b.wantRows(table, rng(0, 0, 10), rng(1, 0, 4))
	return true
}

// createWrites counts the writes of making a table.
func (b *bench) createWrites() int {
	b.store.Calls()
	spec := Spec(Schema(b, SmallFields()...))
	spec.Name = "counted"
	format := b.start()
	if _, err := format.Open(b.Context(), spec); err != nil {
		b.Fatal(err)
	}
	writes := 0
	for _, c := range b.store.Calls() {
		if c.Op == blobtest.Put || c.Op == blobtest.PutIfAbsent || c.Op == blobtest.Copy || c.Op == blobtest.Delete {
			writes++
		}
	}
	if err := format.Drop(b.Context(), spec.Namespace, spec.Name); err != nil {
		b.Fatal(err)
	}
	return writes
}

// testReadsFail fails reads while a commit is prepared: no wrong answers, and
// nothing is spoilt for the next try.
func testReadsFail(b *bench) {
	table := b.table()
	at := b.commit(table, "one", rng(0, 0, 10))
	c := Next(at, "two", Write(b, b.store, table, "two", rng(0, 10, 20)))
	for _, op := range []blobtest.Op{blobtest.Get, blobtest.Open, blobtest.List} {
		b.store.Fail(blobtest.Rule{Match: func(o blobtest.Op, _ string) bool { return o == op }, Times: -1})
		_, err := table.Progress(b.Context())
		if err != nil && !errors.Is(err, blobtest.ErrFault) {
			b.Errorf("progress while %s fails: got %v, want the fault", op, err)
		}
		if _, err := ReadRows(b.Context(), table); err == nil && op == blobtest.Open {
			b.Errorf("rows were read while open fails")
		}
		b.store.Heal()
	}
	b.wantProgress(table, at)
	if err := table.Commit(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	b.wantRows(table, rng(0, 0, 20))
}

// testLanded tells files that commits have brought from those that none has.
func testLanded(b *bench) {
	table := b.table()
	is := func(want bool, id, key string) {
		b.Helper()
		for name, at := range map[string]tables.Table{"same": table, "reopened": b.table()} {
			if got, err := at.Landed(b.Context(), id, key); err != nil || got != want {
				b.Errorf("%s table, %s at %s: landed %v, %v, want %v", name, id, key, got, err, want)
			}
		}
	}
	one, lost := Write(b, b.store, table, "one", rng(0, 0, 10)), Write(b, b.store, table, "lost", rng(0, 0, 9))
	at := b.progress(table)
	is(false, "one", one.Path)
	if err := b.table().Commit(b.Context(), Next(at, "one", one)); err != nil { // another writer's
		b.Fatal(err)
	}
	if err := table.Commit(b.Context(), Next(at, "lost", lost)); !errors.Is(err, tables.ErrConflict) {
		b.Fatalf("the late one: got %v, want ErrConflict", err)
	}
	is(true, "one", one.Path)
	is(false, "lost", lost.Path)
	is(false, "none", table.DataPath("none"))
	for i := range int64(30) { // past checkpoints and snapshots
		b.commit(table, fmt.Sprintf("more-%d", i), rng(0, 10+i, 11+i))
	}
	is(true, "one", one.Path)
	is(false, "lost", lost.Path)
}
