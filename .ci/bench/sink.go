package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/twmb/avro"
)

// orderSchema is the twelve-field record that the schema packages are measured
// with too.
const orderSchema = `{"type":"record","name":"Order","namespace":"shop","fields":[
 {"name":"id","type":"string"},
 {"name":"number","type":"long"},
 {"name":"amount","type":"double"},
 {"name":"created","type":{"type":"long","logicalType":"timestamp-micros"}},
 {"name":"customer","type":{"type":"record","name":"Customer","fields":[
   {"name":"id","type":"long"},{"name":"name","type":"string"},{"name":"mail","type":["null","string"],"default":null}]}},
 {"name":"tags","type":{"type":"array","items":"string"}},
 {"name":"attributes","type":{"type":"map","values":"string"}},
 {"name":"note","type":["null","string"],"default":null},
 {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":4}},
 {"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID","SENT"]}},
 {"name":"paid","type":"boolean"},
 {"name":"count","type":"int"}]}`

const (
	validationRecords = 200_000
	sinkRecords       = 300_000
)

// order is one framed record.
func order(id int) ([]byte, error) {
	s, err := avro.Parse(orderSchema)
	if err != nil {
		return nil, err
	}
	payload, err := s.Encode(map[string]any{
		"id": "7f2c4f4e-8f5b-4d26", "number": int64(123456789), "amount": 1234.5, "created": time.UnixMicro(1_760_000_000_000_000),
		"customer": map[string]any{"id": int64(4711), "name": "Ada Lovelace", "mail": "ada@example.com"},
		"tags":     []any{"alpha", "beta", "gamma"}, "attributes": map[string]any{"colour": "blue", "size": "large"},
		"note": nil, "price": []byte{0x0b, 0xc6, 0x14, 0xe0}, "state": "PAID", "paid": true, "count": 42,
	})
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(id)), payload...), nil
}

// validation measures what holding every record against its schema costs.
func (b *bench) validation() error {
	s, err := b.load("validation")
	if err != nil {
		return err
	}
	var value []byte
	for topic, level := range map[string]string{"checked": "payload", "unchecked": "off"} {
		id, err := s.api.Register(b.ctx, topic+"-value", orderSchema)
		if err != nil {
			return err
		}
		if value, err = order(id); err != nil {
			return err
		}
		if err := s.topic(topic, partitions, map[string]string{"tarn.value.schema.validation": level}); err != nil {
			return err
		}
	}
	count := b.amount(validationRecords)
	err = b.each(func(int) error {
		off, err := s.send("unchecked", 1, count, value)
		if err != nil {
			return err
		}
		on, err := s.send("checked", 1, count, value)
		if err != nil {
			return err
		}
		b.table.add("produce with payload validation", "records/s", float64(count)/on.Seconds(), float64(count)/off.Seconds(), "validation off")
		return nil
	})
	if err != nil {
		return err
	}
	return s.end()
}

// sink measures the way from the log into tables: a backlog is flushed at once.
func (b *bench) sink() error {
	for _, formats := range []string{"parquet", "iceberg,delta,parquet"} {
		if err := b.each(func(int) error { return b.flush(formats) }); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) flush(formats string) error {
	s, err := b.load("sink")
	if err != nil {
		return err
	}
	id, err := s.api.Register(b.ctx, "orders-value", orderSchema)
	if err != nil {
		return err
	}
	value, err := order(id)
	if err != nil {
		return err
	}
	// Nothing is cut before the flush asks for it.
	if err := s.topic("orders", partitions, map[string]string{
		"tarn.table.formats": formats, "tarn.table.commit.interval.ms": "3600000",
		"tarn.table.commit.bytes": "10000000000", "tarn.table.commit.rows": "10000000",
	}); err != nil {
		return err
	}
	count := b.amount(sinkRecords)
	if _, err := s.send("orders", 1, count, value); err != nil {
		return err
	}
	begun := time.Now()
	if err := s.api.Flush(b.ctx, "orders"); err != nil {
		return err
	}
	took := time.Since(begun)
	files, err := filepath.Glob(filepath.Join(s.data, "warehouse", "default", "orders", "parquet", "*.parquet"))
	if err != nil {
		return err
	}
	rows, base, err := b.rewrite(files)
	if err != nil {
		return err
	}
	if rows < int64(count) {
		return fmt.Errorf("the table has %d rows, %d records were sent", rows, count)
	}
	b.table.add("sink to "+formats, "rows/s", float64(rows)/took.Seconds(), float64(rows)/base.Seconds(), "arrow-go's Parquet writer alone")
	return s.end()
}

// rewrite writes the same rows with arrow-go's writer alone, as one file, and
// returns how long that took.
func (b *bench) rewrite(files []string) (rows int64, took time.Duration, err error) {
	var tables []arrow.Table
	for _, name := range files {
		t, err := readTable(b.ctx, name)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w", name, err)
		}
		defer t.Release()
		tables = append(tables, t)
	}
	if len(tables) == 0 {
		return 0, 0, fmt.Errorf("the table has no files")
	}
	begun := time.Now()
	out, err := os.Create(filepath.Join(b.home, "rewritten.parquet"))
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(out.Name())
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCompressionLevel(1))
	w, err := pqarrow.NewFileWriter(tables[0].Schema(), kept{out}, props, pqarrow.DefaultWriterProps())
	if err != nil {
		return 0, 0, err
	}
	for _, t := range tables {
		if err := w.WriteTable(t, t.NumRows()); err != nil {
			return 0, 0, err
		}
		rows += t.NumRows()
	}
	if err := w.Close(); err != nil {
		return 0, 0, err
	}
	if err := out.Sync(); err != nil {
		return 0, 0, err
	}
	took = time.Since(begun)
	return rows, took, out.Close()
}

// kept keeps the Parquet writer from closing the file before it is flushed.
type kept struct{ f *os.File }

func (k kept) Write(p []byte) (int, error) { return k.f.Write(p) }

func readTable(ctx context.Context, name string) (arrow.Table, error) {
	f, err := file.OpenParquetFile(name, false)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fr, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	return fr.ReadTable(ctx)
}
