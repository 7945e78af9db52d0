package iceberg_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	ice "github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// TestIcebergReadsAllTypes reads what we committed through iceberg-go, which
// resolves columns by field id and prunes by our statistics.
func TestIcebergReadsAllTypes(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{})
	nanos := arrow.Field{Name: "nanos", Type: arrow.FixedWidthTypes.Timestamp_ns, Nullable: true}
	s := tabletest.Schema(t, append(tabletest.AllFields(), nanos)...)
	tbl := l.open(t, s)
	if !tbl.Schema().Equal(s) {
		t.Errorf("schema %v, want the one the table was made with", tbl.Schema().Arrow)
	}
	mustCommit(t, tbl, l.step(t, tbl, s, 0, 50))
	mustCommit(t, tbl, l.step(t, tbl, s, 50, 80))
	wantOffsets(t, tbl, 80)

	it, err := l.ice.LoadTable(t.Context(), table.Identifier{"default", "orders"})
	if err != nil {
		t.Fatal(err)
	}
	for want, filter := range map[int64]ice.BooleanExpression{
		80: ice.AlwaysTrue{},
		30: ice.GreaterThanEqual(ice.Reference("kafka_offset"), int64(50)),
		0:  ice.GreaterThan(ice.Reference("kafka_offset"), int64(79)),
	} {
		got, err := it.Scan(table.WithRowFilter(filter)).ToArrowTable(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.NumRows() != want {
			t.Errorf("%v: %d rows, want %d", filter, got.NumRows(), want)
		}
		got.Release()
	}
	tasks, err := it.Scan(table.WithRowFilter(ice.GreaterThanEqual(ice.Reference("kafka_offset"), int64(50)))).PlanFiles(t.Context())
	if err != nil || len(tasks) != 1 {
		t.Errorf("statistics leave %d files, %v; want 1", len(tasks), err)
	}
	st, err := tbl.Status(t.Context())
	if err != nil || st.Rows != 80 || st.Files != 2 || st.Snapshots != 2 || st.Bytes == 0 || st.Version == "" {
		t.Errorf("status %+v, %v", st, err)
	}
}

func TestProgress(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	tbl := l.open(t, s)
	wantProgress(t, tbl, tables.Progress{})
	p := upTo(10)
	p.Offsets[7] = 70
	p.Extra = map[string]string{"redrive.a": "x", "rebuild": ""}
	c := l.step(t, tbl, s, 0, 10)
	c.Progress, c.Summary = p, map[string]string{"rows": "10"}
	mustCommit(t, tbl, c)
	wantProgress(t, tbl, p)
	q := upTo(10) // without partition 7 and without extras
	mustCommit(t, tbl, tables.Commit{ID: "less", Expect: p, Progress: q})
	wantProgress(t, tbl, q)
	wantProgress(t, l.again(iceberg.Options{}).open(t, nil), q)
	if st, _ := tbl.Status(t.Context()); st.Snapshots != 1 {
		t.Errorf("%d snapshots, want 1: a commit without rows makes none", st.Snapshots)
	}
}

// TestFencing lets two handles on the same state race, also with commits that
// only move offsets: whatever the second one does, it is refused.
func TestFencing(t *testing.T) {
	for _, rows := range []string{"both", "first", "second", "none"} {
		l := newLake(blob.NewMemory(), iceberg.Options{})
		s := tabletest.Schema(t, tabletest.SmallFields()...)
		first := l.open(t, s)
		second := l.again(iceberg.Options{}).open(t, s)
		a, b := l.step(t, first, s, 0, 10), l.step(t, second, s, 0, 10)
		if rows == "second" || rows == "none" {
			a.Add = nil
		}
		if rows == "first" || rows == "none" {
			b.Add = nil
		}
		b.Progress = upTo(20)
		// Both read the table; then the first one commits while the second is
		// on its way, which the hook in the store brings about.
		done := false
		l.items.Fail = func([]tables.Item) (error, error) {
			if !done {
				done = true
				mustCommit(t, first, a)
			}
			return nil, nil
		}
		if err := second.Commit(t.Context(), b); !errors.Is(err, tables.ErrConflict) {
			t.Errorf("rows in %s: second commit: %v, want ErrConflict", rows, err)
		}
		wantProgress(t, second, upTo(10))
		wantOffsets(t, second, int64(10*len(a.Add)))
		if err := second.Commit(t.Context(), b); !errors.Is(err, tables.ErrConflict) {
			t.Errorf("rows in %s: stale commit: %v, want ErrConflict", rows, err)
		}
	}
}

// TestLostAnswers plants a fault at the decisive write, in pairs, and then does
// what the sink does: look, and commit again only if nothing happened.
func TestLostAnswers(t *testing.T) {
	for _, persists := range []bool{false, true} {
		l := newLake(blob.NewMemory(), iceberg.Options{})
		s := tabletest.Schema(t, tabletest.SmallFields()...)
		tbl := l.open(t, s)
		for i := range int64(6) {
			c := l.step(t, tbl, s, i*10, i*10+10)
			l.items.Fail = func([]tables.Item) (error, error) {
				if persists {
					return nil, errStore
				}
				return errStore, nil
			}
			err := tbl.Commit(t.Context(), c)
			if errors.Is(err, tables.ErrConflict) || (err == nil) != persists {
				t.Errorf("persists %v: %v", persists, err)
			}
			l.items.Fail = nil
			got, err := tbl.Progress(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !got.Equal(c.Progress) {
				mustCommit(t, tbl, c)
			}
			wantOffsets(t, tbl, i*10+10)
		}
	}
}

func TestEvolutionKeepsOurFieldIDs(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	tbl := l.open(t, s)
	mustCommit(t, tbl, l.step(t, tbl, s, 0, 10))
	wider, changes, err := s.Merge(arrow.NewSchema(append(tabletest.KafkaFields(),
		append(tabletest.SmallFields(), tabletest.AllFields()...)...), nil))
	if err != nil || len(changes) == 0 {
		t.Fatalf("merge: %v, %v", changes, err)
	}
	c := l.step(t, tbl, wider, 10, 20)
	c.Schema = wider
	mustCommit(t, tbl, c)
	if !tbl.Schema().Equal(wider) || !l.again(iceberg.Options{}).open(t, nil).Schema().Equal(wider) {
		t.Error("the table's schema is not the committed one")
	}
	it, err := l.ice.LoadTable(t.Context(), table.Identifier{"default", "orders"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range wider.Arrow.Fields() {
		id, _ := tables.FieldID(f)
		if got, ok := it.Schema().FindFieldByName(f.Name); !ok || got.ID != id {
			t.Errorf("field %s has id %d, want %d", f.Name, got.ID, id)
		}
	}
	if snap := it.CurrentSnapshot(); snap.SchemaID == nil || *snap.SchemaID != it.Schema().ID {
		t.Errorf("snapshot is of schema %v, want %d", snap.SchemaID, it.Schema().ID)
	}
	got, err := it.Scan().ToArrowTable(t.Context())
	if err != nil || got.NumRows() != 20 {
		t.Fatalf("scan over both schemas: %v", err)
	}
	got.Release()
	stale := l.step(t, tbl, s, 20, 30)
	stale.Schema, _, _ = s.Merge(arrow.NewSchema([]arrow.Field{{Name: "other", Type: arrow.BinaryTypes.String, Nullable: true}}, nil))
	if err := tbl.Commit(t.Context(), stale); !errors.Is(err, tables.ErrConflict) {
		t.Errorf("schema worked out on an old one: %v, want ErrConflict", err)
	}
}

// TestForeignSchemaChanges lets another writer add columns, one of a type that
// we have not, and goes on from there.
func TestForeignSchemaChanges(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{})
	nanos := arrow.Field{Name: "nanos", Type: arrow.FixedWidthTypes.Timestamp_ns, Nullable: true}
	s := tabletest.Schema(t, append(tabletest.SmallFields(), nanos)...)
	tbl := l.open(t, s)
	mustCommit(t, tbl, l.step(t, tbl, s, 0, 10))
	it, err := l.ice.LoadTable(t.Context(), table.Identifier{"default", "orders"})
	if err != nil {
		t.Fatal(err)
	}
	tx := it.NewTransaction()
	err = tx.UpdateSchema(true, false).
		AddColumn([]string{"region"}, ice.PrimitiveTypes.String, "theirs", false, nil).
		AddColumn([]string{"token"}, ice.PrimitiveTypes.UUID, "", false, nil).Commit()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantProgress(t, tbl, upTo(10))
	now := tbl.Schema()
	if at := now.Arrow.FieldIndices("region"); len(at) != 1 || now.ID != s.ID+1 || now.LastID != s.LastID+2 {
		t.Fatalf("schema %d, last id %d: %v", now.ID, now.LastID, now.Arrow)
	}
	if f, _ := now.Arrow.FieldsByName("nanos"); f[0].Type.(*arrow.TimestampType).Unit != arrow.Nanosecond {
		t.Errorf("nanoseconds became %v", f[0].Type)
	}
	more, _, err := now.Merge(arrow.NewSchema([]arrow.Field{{Name: "own", Type: arrow.BinaryTypes.String, Nullable: true}}, nil))
	if err != nil {
		t.Fatal(err)
	}
	c := l.step(t, tbl, more, 10, 20)
	c.Schema = more
	mustCommit(t, tbl, c)
	if it, err = l.ice.LoadTable(t.Context(), table.Identifier{"default", "orders"}); err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]int{"region": s.LastID + 1, "token": s.LastID + 2, "own": s.LastID + 3} {
		if f, ok := it.Schema().FindFieldByName(name); !ok || f.ID != id {
			t.Errorf("field %s has id %d, want %d", name, f.ID, id)
		}
	}
	wantOffsets(t, tbl, 20)
}

func TestRollback(t *testing.T) {
	for _, resumeWithRows := range []bool{true, false} {
		l := newLake(blob.NewMemory(), iceberg.Options{})
		s := tabletest.Schema(t, tabletest.SmallFields()...)
		tbl := l.open(t, s)
		var ids []int64
		ident := table.Identifier{"default", "orders"}
		for i := range int64(3) {
			mustCommit(t, tbl, l.step(t, tbl, s, i*10, i*10+10))
			it, err := l.ice.LoadTable(t.Context(), ident)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, it.CurrentSnapshot().SnapshotID)
		}
		_, _, err := l.ice.CommitTable(t.Context(), ident, nil,
			[]table.Update{table.NewSetSnapshotRefUpdate("main", ids[0], table.BranchRef, 0, 0, 0)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = tbl.Progress(t.Context())
		var back *tables.RolledBack
		if !errors.Is(err, tables.ErrRolledBack) || !errors.As(err, &back) || !back.Rows.Equal(upTo(10)) {
			t.Fatalf("progress: %v (%+v), want ErrRolledBack to 10", err, back)
		}
		if err := tbl.Commit(t.Context(), l.step(t, tbl, s, 30, 40)); !errors.Is(err, tables.ErrConflict) {
			t.Errorf("commit as if nothing had happened: %v, want ErrConflict", err)
		}
		if !resumeWithRows {
			mustCommit(t, tbl, tables.Commit{ID: "resume", Expect: upTo(10), Progress: upTo(10)})
			wantProgress(t, tbl, upTo(10))
		}
		c := l.step(t, tbl, s, 10, 35)
		c.Add[0] = l.write(t, tbl, s, "again.parquet", tables.Range{From: 10, To: 35})
		mustCommit(t, tbl, c)
		wantProgress(t, tbl, upTo(35))
		wantOffsets(t, tbl, 35)
	}
}

// TestForeignDeletes lets somebody delete rows by files of positions.
func TestForeignDeletes(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{Properties: ice.Properties{"write.delete.mode": "merge-on-read"}})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	tbl := l.open(t, s)
	mustCommit(t, tbl, l.step(t, tbl, s, 0, 10))
	it, err := l.ice.LoadTable(t.Context(), table.Identifier{"default", "orders"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := it.Delete(t.Context(), ice.GreaterThanEqual(ice.Reference("kafka_offset"), int64(7)), nil); err != nil {
		t.Fatal(err)
	}
	wantOffsets(t, tbl, 7)
	wantProgress(t, tbl, upTo(10))
	mustCommit(t, tbl, l.step(t, tbl, s, 10, 12))
	if got, want := offsets(t, tbl), []int64{0, 1, 2, 3, 4, 5, 6, 10, 11}; !slices.Equal(got, want) {
		t.Errorf("offsets %v, want %v", got, want)
	}
	st, err := tbl.Status(t.Context())
	if err != nil || st.Foreign == nil || st.Foreign.Commits != 1 || st.Foreign.Version == st.Version || st.Foreign.Operation == "" {
		t.Errorf("status %+v, foreign %+v, %v: want one commit of others", st, st.Foreign, err)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	tbl := l.open(t, s)
	good := l.step(t, tbl, s, 0, 10)
	for name, spoil := range map[string]func(f *tables.DataFile){
		"size": func(f *tables.DataFile) { f.Size++ },
		"path": func(f *tables.DataFile) { f.Path += "x" },
	} {
		c := good
		c.Add = slices.Clone(c.Add)
		spoil(&c.Add[0])
		if err := tbl.Commit(t.Context(), c); !errors.Is(err, tables.ErrFile) {
			t.Errorf("wrong %s: %v, want ErrFile", name, err)
		}
	}
	mustCommit(t, tbl, good)
	wantOffsets(t, tbl, 10)
}

func TestForeignTables(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	spec := tables.Spec{Namespace: "default", Name: "orders", Schema: s}
	ident := table.Identifier{"default", "orders"}
	_, err := l.cat.CreateTable(t.Context(), ident, ice.NewSchema(0, ice.NestedField{ID: 1, Name: "x", Type: ice.PrimitiveTypes.Int32}), catalog.NewTable{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.format.Open(t.Context(), spec); !errors.Is(err, tables.ErrForeign) {
		t.Errorf("open: %v, want ErrForeign", err)
	}
	if err := l.format.Drop(t.Context(), "default", "orders"); !errors.Is(err, tables.ErrForeign) {
		t.Errorf("drop: %v, want ErrForeign", err)
	}
	if err := l.cat.PurgeTable(t.Context(), ident); err != nil {
		t.Fatal(err)
	}
	tbl := l.open(t, s)
	mustCommit(t, tbl, l.step(t, tbl, s, 0, 10))
	for range 2 { // the second time it is gone already
		if err := l.format.Drop(t.Context(), "default", "orders"); err != nil {
			t.Fatal(err)
		}
	}
	for info := range l.store.List(t.Context(), "") {
		t.Errorf("file left by drop: %s", info.Key)
	}
	if _, err := tbl.Progress(t.Context()); !errors.Is(err, catalog.ErrNoSuchTable) {
		t.Errorf("progress of a dropped table: %v, want ErrNoSuchTable", err)
	}
	l.open(t, s)
	if _, err := tbl.Progress(t.Context()); !errors.Is(err, tables.ErrForeign) {
		t.Errorf("progress of a table made again: %v, want ErrForeign", err)
	}
}

func TestRefusedCommitLeavesNoManifests(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	tbl := l.open(t, s)
	mustCommit(t, tbl, l.step(t, tbl, s, 0, 10))
	c := l.step(t, tbl, s, 10, 20)
	other := l.again(iceberg.Options{}).open(t, s)
	done := false
	l.items.Fail = func([]tables.Item) (error, error) {
		if !done {
			done = true
			mustCommit(t, other, tables.Commit{ID: "other", Expect: upTo(10), Progress: upTo(11)})
		}
		return nil, nil
	}
	if err := tbl.Commit(t.Context(), c); !errors.Is(err, tables.ErrConflict) {
		t.Fatalf("commit: %v, want ErrConflict", err)
	}
	n := 0
	for info := range l.store.List(t.Context(), "") {
		if strings.HasSuffix(info.Key, ".avro") {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d Avro files, want the 2 of the first commit", n)
	}
}
