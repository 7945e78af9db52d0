package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tarn-io/tarn/.ci/process"
)

// row is what a table says of a record.
type row struct {
	partition int32
	offset    int64
	id        identity
	key       string // in the table, where the teller has a column of keys
	file      string
}

// teller reads the identities of rows from some columns.
type teller struct {
	leaves []string // paths of Parquet columns
	of     func(b arrow.RecordBatch) (func(i int) (identity, error), error)
	key    string // the column of the key, if it is read too
}

// fromColumns reads the columns that recordSchema makes.
var fromColumns = teller{leaves: []string{"producer", "seq"}, of: func(b arrow.RecordBatch) (func(int) (identity, error), error) {
	producers, ok1 := column(b, "producer").(*array.Int32)
	seqs, ok2 := column(b, "seq").(*array.Int64)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("columns have other types: %s", b.Schema())
	}
	return func(i int) (identity, error) { return identify(int(producers.Value(i)), seqs.Value(i)), nil }, nil
}}

// fromValue reads the text of a bareValue.
var fromValue = teller{leaves: []string{"value"}, of: func(b arrow.RecordBatch) (func(int) (identity, error), error) {
	values, ok := column(b, "value").(*array.String)
	if !ok {
		return nil, fmt.Errorf("values have another type: %s", b.Schema())
	}
	return func(i int) (identity, error) {
		var v bareValue
		err := json.Unmarshal([]byte(values.Value(i)), &v)
		return identify(v.Producer, v.Seq), err
	}, nil
}}

// fromHeaders reads the header that says a record's identity, the only one.
var fromHeaders = teller{leaves: []string{"kafka_headers.list.element.value"}, of: func(b arrow.RecordBatch) (func(int) (identity, error), error) {
	lists, ok1 := column(b, "kafka_headers").(*array.List)
	if !ok1 {
		return nil, fmt.Errorf("headers have another type: %s", b.Schema())
	}
	headers, ok2 := lists.ListValues().(*array.Struct)
	if !ok2 || headers.NumField() != 1 {
		return nil, fmt.Errorf("headers have another type: %s", b.Schema())
	}
	values, ok3 := headers.Field(0).(*array.Binary)
	if !ok3 {
		return nil, fmt.Errorf("headers have another type: %s", b.Schema())
	}
	return func(i int) (identity, error) {
		from, to := lists.ValueOffsets(i)
		if to != from+1 {
			return 0, fmt.Errorf("a row has %d headers", to-from)
		}
		return parseIdentity(values.Value(int(from)))
	}, nil
}}

func column(b arrow.RecordBatch, name string) arrow.Array {
	if at := b.Schema().FieldIndices(name); len(at) == 1 {
		return b.Column(at[0])
	}
	return nil
}

// tableRows reads all rows of a format's table.
func tableRows(ctx context.Context, api *process.API, warehouse, table, format string, t teller) ([]row, error) {
	files, err := liveFiles(ctx, api, warehouse, table, format)
	if err != nil {
		return nil, err
	}
	var out []row
	for _, name := range files {
		rows, err := readRows(ctx, name, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		out = append(out, rows...)
	}
	return out, nil
}

// readRows reads a Parquet file with arrow-go.
func readRows(ctx context.Context, name string, t teller) ([]row, error) {
	var out []row
	leaves := append([]string{"kafka_partition", "kafka_offset"}, t.leaves...)
	if t.key != "" && !slices.Contains(leaves, t.key) {
		leaves = append(leaves, t.key)
	}
	n, err := readColumns(ctx, name, leaves, func(b arrow.RecordBatch) error {
		parts, ok0 := column(b, "kafka_partition").(*array.Int32)
		offsets, ok1 := column(b, "kafka_offset").(*array.Int64)
		if !ok0 || !ok1 {
			return fmt.Errorf("columns have other types: %s", b.Schema())
		}
		of, err := t.of(b)
		if err != nil {
			return err
		}
		for i := range int(b.NumRows()) {
			id, err := of(i)
			if err != nil {
				return fmt.Errorf("partition %d offset %d: %w", parts.Value(i), offsets.Value(i), err)
			}
			r := row{partition: parts.Value(i), offset: offsets.Value(i), id: id, file: filepath.Base(name)}
			if t.key != "" {
				if r.key, err = keyAt(column(b, t.key), i); err != nil {
					return err
				}
			}
			out = append(out, r)
		}
		return nil
	})
	if err == nil && int64(len(out)) != n {
		err = fmt.Errorf("%d rows, %d announced", len(out), n)
	}
	return out, err
}

// keyAt is a key as text.
func keyAt(a arrow.Array, i int) (string, error) {
	switch a := a.(type) {
	case *array.Binary:
		return string(a.Value(i)), nil
	case *array.String:
		return a.Value(i), nil
	case *array.Int32:
		return strconv.Itoa(int(a.Value(i))), nil
	}
	return "", fmt.Errorf("keys have another type: %T", a)
}

// readColumns hands over the columns at the paths leaves, and says how many rows
// the file announces.
func readColumns(ctx context.Context, name string, leaves []string, take func(arrow.RecordBatch) error) (int64, error) {
	f, err := file.OpenParquetFile(name, false)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var at []int
	for _, leaf := range leaves {
		i := f.MetaData().Schema.ColumnIndexByName(leaf)
		if i < 0 {
			return 0, fmt.Errorf("no column %s", leaf)
		}
		at = append(at, i)
	}
	fr, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: 64 << 10}, memory.DefaultAllocator)
	if err != nil {
		return 0, err
	}
	batches, err := fr.GetRecordReader(ctx, at, nil)
	if err != nil {
		return 0, err
	}
	defer batches.Release()
	for batches.Next() {
		if err := take(batches.RecordBatch()); err != nil {
			return 0, err
		}
	}
	return f.NumRows(), batches.Err()
}
