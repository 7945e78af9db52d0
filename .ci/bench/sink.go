package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tarn-io/tarn/.ci/process"
)

const (
	validationRecords = 200_000
	sinkRecords       = 300_000
)

// validation measures what holding every record against its schema costs.
func (b *bench) validation() error {
	s, err := b.load("validation")
	if err != nil {
		return err
	}
	var value []byte
	for topic, level := range map[string]string{"checked": "payload", "unchecked": "off"} {
		id, err := s.api.Register(b.ctx, topic+"-value", orders[0].schema)
		if err != nil {
			return err
		}
		if value, err = orders[0].framed(id); err != nil {
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

// sink measures the way from the log into tables: a backlog is flushed at once. What
// one core does of it is told by the CPU time that each takes.
func (b *bench) sink() error {
	for _, formats := range []string{"parquet", "iceberg", "delta", "iceberg,delta,parquet"} {
		for _, o := range orders {
			if err := b.each(func(int) error { return b.flush(o, formats) }); err != nil {
				return fmt.Errorf("%s to %s: %w", o.name, formats, err)
			}
		}
	}
	return nil
}

func (b *bench) flush(o orderOf, formats string) error {
	s, err := b.load("sink")
	if err != nil {
		return err
	}
	// Nothing is cut before the flush asks for it.
	count := b.amount(sinkRecords)
	err = s.orders("orders", o, count, map[string]string{
		"tarn.table.formats": formats, "tarn.table.commit.interval.ms": "3600000",
		"tarn.table.commit.bytes": "10000000000", "tarn.table.commit.rows": "10000000",
	})
	if err != nil {
		return err
	}
	effort, err := s.effort()
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := s.api.Flush(b.ctx, "orders"); err != nil {
		return err
	}
	took := time.Since(begun)
	used, err := effort()
	if err != nil {
		return err
	}
	files, err := s.dataFiles("orders", formats)
	if err != nil {
		return err
	}
	base, err := b.rewrite(files)
	if err != nil {
		return err
	}
	if base.rows < int64(count) {
		return fmt.Errorf("the table has %d rows, %d records were sent", base.rows, count)
	}
	name, rows := fmt.Sprintf("sink, %s to %s", o.name, formats), float64(base.rows)
	b.table.add(name, "rows/s", rows/took.Seconds(), rows/base.took.Seconds(), "arrow-go's Parquet writer alone")
	b.table.add(name+", of one core", "rows/s", rows/used.Seconds(), rows/base.used.Seconds(), "the same, of one core")
	return s.end()
}

// orders makes a topic of orders with tables, and fills it.
func (s *server) orders(topic string, o orderOf, count int, configs map[string]string) error {
	value, err := s.order(topic, o)
	if err != nil {
		return err
	}
	if err := s.topic(topic, partitions, configs); err != nil {
		return err
	}
	_, err = s.send(topic, 1, count, value)
	return err
}

// dataFiles are the Parquet files of a topic's table in the first of its formats.
func (s *server) dataFiles(topic, formats string) ([]string, error) {
	format, _, _ := strings.Cut(formats, ",")
	in := filepath.Join(s.data, "warehouse", "default", topic, format)
	if format == "iceberg" {
		in = filepath.Join(in, "*", "data")
	}
	return filepath.Glob(filepath.Join(in, "*.parquet"))
}

// written is what a writer took for some rows.
type written struct {
	rows       int64
	took, used time.Duration // by the clock; of processors
}

// rewrite writes the same rows with arrow-go's writer alone, as one file.
func (b *bench) rewrite(files []string) (w written, err error) {
	var tables []arrow.Table
	for _, name := range files {
		t, err := readTable(b.ctx, name)
		if err != nil {
			return w, fmt.Errorf("%s: %w", name, err)
		}
		defer t.Release()
		tables = append(tables, t)
	}
	if len(tables) == 0 {
		return w, fmt.Errorf("the table has no files")
	}
	runtime.GC() // what reading left is not the writer's
	name := filepath.Join(b.home, "rewritten.parquet")
	defer os.Remove(name)
	before, err := process.OwnCPU()
	if err != nil {
		return w, err
	}
	begun := time.Now()
	if w.rows, err = writeTables(name, tables); err != nil {
		return w, err
	}
	w.took = time.Since(begun)
	after, err := process.OwnCPU()
	w.used = after - before
	return w, err
}

// writeTables writes a file of the tables' rows and flushes it.
func writeTables(name string, tables []arrow.Table) (rows int64, err error) {
	out, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCompressionLevel(1))
	w, err := pqarrow.NewFileWriter(tables[0].Schema(), kept{out}, props, pqarrow.DefaultWriterProps())
	if err != nil {
		return 0, err
	}
	for _, t := range tables {
		if err := w.WriteTable(t, t.NumRows()); err != nil {
			return 0, err
		}
		rows += t.NumRows()
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	return rows, out.Sync()
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
