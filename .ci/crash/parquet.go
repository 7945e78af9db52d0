package main

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// row is what a table says of a record.
type row struct {
	partition int32
	offset    int64
	id        identity
}

// readRows reads a Parquet file with arrow-go.
func readRows(ctx context.Context, name string) ([]row, error) {
	f, err := file.OpenParquetFile(name, false)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var leaves []int
	for _, column := range []string{"kafka_partition", "kafka_offset", "producer", "seq"} {
		i := f.MetaData().Schema.ColumnIndexByName(column)
		if i < 0 {
			return nil, fmt.Errorf("no column %s", column)
		}
		leaves = append(leaves, i)
	}
	fr, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: 64 << 10}, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	batches, err := fr.GetRecordReader(ctx, leaves, nil)
	if err != nil {
		return nil, err
	}
	defer batches.Release()
	var out []row
	for batches.Next() {
		b := batches.RecordBatch()
		column := func(name string) any { return b.Column(b.Schema().FieldIndices(name)[0]) }
		parts, ok0 := column("kafka_partition").(*array.Int32)
		offsets, ok1 := column("kafka_offset").(*array.Int64)
		producers, ok2 := column("producer").(*array.Int32)
		seqs, ok3 := column("seq").(*array.Int64)
		if !ok0 || !ok1 || !ok2 || !ok3 {
			return nil, fmt.Errorf("columns have other types: %s", b.Schema())
		}
		for i := range int(b.NumRows()) {
			out = append(out, row{parts.Value(i), offsets.Value(i), identify(int(producers.Value(i)), seqs.Value(i))})
		}
	}
	if err := batches.Err(); err != nil {
		return nil, err
	}
	if int64(len(out)) != f.NumRows() {
		return nil, fmt.Errorf("%d rows, %d announced", len(out), f.NumRows())
	}
	return out, nil
}
