package iceberg_test

import (
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	ice "github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/layout"
	"github.com/tarn-io/tarn/tables/maintenance"
	"github.com/tarn-io/tarn/tables/tabletest"
)

func term(t *testing.T, transform, column string) layout.Term {
	t.Helper()
	tr, err := tables.ParseTransform(transform)
	if err != nil {
		t.Fatal(err)
	}
	return layout.Term{Transform: tr, Column: column}
}

// stepParts commits the rows from one offset to another, by partition.
func (l *lake) stepParts(t *testing.T, tbl tables.Table, s *tables.Schema, from, to int64) {
	t.Helper()
	r := tables.Range{From: from, To: to}
	c := tables.Commit{ID: fmt.Sprintf("c%d", to), Expect: upTo(from), Progress: upTo(to)}
	if from == 0 {
		c.Expect = tables.Progress{}
	}
	c.Add = tabletest.WriteParts(t, l.store, tbl, s, c.ID, r, tabletest.Rows(s.Arrow, r))
	if !s.Equal(tbl.Schema()) {
		c.Schema = s
	}
	mustCommit(t, tbl, c)
}

// TestTransforms writes a table for each transform of each type, and holds every
// value in the manifests against iceberg-go's transform of the file's own rows.
func TestTransforms(t *testing.T) {
	all := map[string][]string{
		"identity":     {"flag", "small", "big", "ratio", "score", "raw", "text", "hash", "cents", "wei", "day", "clock", "at", "local_at", "address.geo.label"},
		"bucket[5]":    {"small", "big", "raw", "text", "hash", "cents", "wei", "day", "clock", "at", "local_at", "address.city"},
		"truncate[3]":  {"raw", "text", "address.city"},
		"truncate[70]": {"small", "big", "cents", "wei"},
		"year":         {"day", "at", "local_at"}, "month": {"day", "at", "local_at"}, "day": {"day", "at", "local_at"}, "hour": {"at", "local_at"},
		"void": {"text"},
	}
	for transform, columns := range all {
		for _, column := range columns {
			t.Run(transform+" "+column, func(t *testing.T) {
				l := newLake(blob.NewMemory(), iceberg.Options{})
				s := tabletest.WithLayout(t, tabletest.Schema(t, tabletest.AllFields()...), layout.Want{Partition: []layout.Term{term(t, transform, column)}})
				tbl := l.open(t, s)
				l.stepParts(t, tbl, s, 0, 60)
				wantOffsets(t, tbl, 60)
				checkValues(t, l, column)
			})
		}
	}
}

// checkValues reads every file of the table with iceberg-go.
func checkValues(t *testing.T, l *lake, column string) {
	t.Helper()
	it := theirs(t, l)
	spec := it.Spec()
	f := spec.Field(0)
	source, ok := it.Schema().FindTypeByID(f.SourceID())
	if !ok {
		t.Fatalf("no column %d", f.SourceID())
	}
	tasks, err := it.Scan().PlanFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	rows := int64(0)
	for _, task := range tasks {
		rows += task.File.Count()
		value := task.File.Partition()[f.FieldID]
		if d, is := value.(ice.DecimalLiteral); is {
			value = ice.Decimal(d)
		}
		got := fmt.Sprintf("%#v", value)
		if seen[got] {
			t.Errorf("value %s stands twice", got)
		}
		seen[got] = true
		if want := fmt.Sprintf("%#v", apply(t, f.Transform, source, leastOf(task.File, f.SourceID()))); want != got && task.File.LowerBoundValues()[f.SourceID()] != nil {
			t.Errorf("%s of a file whose least %s is %x: %s, want %s", f.Transform, column, leastOf(task.File, f.SourceID()), got, want)
		}
	}
	if rows != 60 {
		t.Errorf("%d rows, want 60", rows)
	}
}

func leastOf(f ice.DataFile, id int) []byte { return f.LowerBoundValues()[id] }

// apply is iceberg-go's transform of a value.
func apply(t *testing.T, tr ice.Transform, source ice.Type, value []byte) any {
	t.Helper()
	if value == nil {
		return nil
	}
	lit, err := ice.LiteralFromBytes(source, value)
	if err != nil {
		t.Fatal(err)
	}
	out := tr.Apply(ice.Optional[ice.Literal]{Valid: true, Val: lit})
	if !out.Valid {
		return nil
	}
	return out.Val.Any()
}

// TestPruned asks iceberg-go for rows: it plans only files of partitions that may
// have them, and finds all rows.
func TestPruned(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{})
	s := tabletest.WithLayout(t, tabletest.Schema(t, tabletest.SmallFields()...), layout.Want{
		Partition: []layout.Term{term(t, "bucket[8]", "id"), term(t, "day", "kafka_timestamp")}, Sort: []layout.Order{{Column: "id", Desc: true}},
	})
	tbl := l.open(t, s)
	for i := range int64(3) {
		l.stepParts(t, tbl, s, i*100, i*100+100)
	}
	it := theirs(t, l)
	all, err := it.Scan().PlanFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := all[0].File.LowerBoundValues()[7]
	lit, err := ice.LiteralFromBytes(ice.PrimitiveTypes.Int64, id)
	if err != nil {
		t.Fatal(err)
	}
	scan := it.Scan(table.WithRowFilter(ice.EqualTo(ice.Reference("id"), lit.Any().(int64))))
	some, err := scan.PlanFiles(t.Context())
	if err != nil || len(some) == 0 || len(some) > 4 || len(all) < 20 {
		t.Errorf("%d files of %d are read for one id: %v", len(some), len(all), err)
	}
	found, err := scan.ToArrowTable(t.Context())
	if err != nil || found.NumRows() != 1 {
		t.Errorf("one id is in %v rows, %v", found, err)
	}
	for _, f := range all {
		if o := f.File.SortOrderID(); o == nil || *o != 1 {
			t.Errorf("%s claims sort order %v, want 1", f.File.FilePath(), o)
		}
	}
	if o := it.SortOrder(); o.OrderID() != 1 {
		t.Errorf("the table's sort order is %v", o)
	}
}

// TestPartitionWidened widens columns that a table is partitioned by; manifests of
// before are merged with later ones.
func TestPartitionWidened(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{Properties: ice.Properties{"commit.manifest.min-count-to-merge": "2"}})
	fields := func(n, x, d arrow.DataType) []arrow.Field {
		return []arrow.Field{{Name: "n", Type: n, Nullable: true}, {Name: "x", Type: x, Nullable: true}, {Name: "d", Type: d, Nullable: true}}
	}
	s := tabletest.WithLayout(t, tabletest.Schema(t, fields(arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Float32, &arrow.Decimal128Type{Precision: 9, Scale: 2})...),
		layout.Want{Partition: []layout.Term{term(t, "truncate[500]", "n"), term(t, "bucket[3]", "n"), term(t, "identity", "x"), term(t, "truncate[90000]", "d")}})
	tbl := l.open(t, s)
	l.stepParts(t, tbl, s, 0, 20)
	l.stepParts(t, tbl, s, 20, 40)
	wide, _, err := s.Merge(arrow.NewSchema(fields(arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Float64, &arrow.Decimal128Type{Precision: 20, Scale: 2}), nil))
	if err != nil {
		t.Fatal(err)
	}
	l.stepParts(t, tbl, wide, 40, 60)
	l.stepParts(t, tbl, wide, 60, 80)
	wantOffsets(t, tbl, 80)
	m := tbl.(tables.Maintainer)
	live, err := m.Live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range maintenance.Plan(live, 64<<20, true) {
		if _, err := maintenance.Merge(t.Context(), l.store, m, g); err != nil {
			t.Fatal(err)
		}
	}
	wantOffsets(t, tbl, 80)
	rows, err := theirs(t, l).Scan().ToArrowTable(t.Context())
	if err != nil || rows.NumRows() != 80 {
		t.Errorf("another reader finds %v, %v", rows, err)
	}
}
