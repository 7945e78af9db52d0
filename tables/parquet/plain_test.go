package parquet_test

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/parquet"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// TestPlainIntegers: whole numbers have no annotation, as in the files of Iceberg's
// and Delta's own writers; what else is stored as INT32 or INT64 keeps its own.
func TestPlainIntegers(t *testing.T) {
	s := tabletest.Schema(t, tabletest.AllFields()...)
	rows := tabletest.Rows(s.Arrow, tables.Range{From: 0, To: 40})
	w := parquet.NewWriter(s, parquet.Options{}, 0)
	if err := w.Write([]arrow.RecordBatch{rows}); err != nil {
		t.Fatal(err)
	}
	byGroup, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]parquet.File{"at once": encode(t, s, parquet.Options{}, rows), "by row group": byGroup} {
		meta := openMeta(t, f.Bytes).MetaData()
		if meta.NumRows != 40 {
			t.Errorf("%s: %d rows, want 40", name, meta.NumRows)
		}
		kinds := map[string]int{}
		for i := range meta.Schema.NumColumns() {
			c := meta.Schema.Column(i)
			kind := c.LogicalType().String()
			if strings.HasPrefix(kind, "Int") || c.ConvertedType() == schema.ConvertedTypes.Int32 || c.ConvertedType() == schema.ConvertedTypes.Int64 {
				t.Errorf("%s: column %s is annotated %s, %s", name, c.Path(), kind, c.ConvertedType())
			}
			if kind, _, _ = strings.Cut(kind, "("); c.PhysicalType().String() != "BYTE_ARRAY" {
				kinds[kind+" "+c.PhysicalType().String()]++
			}
		}
		for _, want := range []string{"None INT32", "None INT64", "Date INT32", "Timestamp INT64", "Time INT64", "Decimal INT64"} {
			if kinds[want] == 0 {
				t.Errorf("%s: no column is %s: %v", name, want, kinds)
			}
		}
	}
}
