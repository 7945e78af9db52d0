package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/tables/parquet"
)

// item is one record to be produced, as an input has it: a line of JSON, an object
// made of a row, or a record that a format has cut out.
type item struct {
	place string // where it stands, for people
	text  json.RawMessage
	row   bool        // text is a value, whatever its fields are called
	plain *kgo.Record // set by formats: key, value, headers, timestamp
	err   error       // it cannot be read, but what follows can
}

// input is what records are read from.
type input struct {
	name   string
	file   *os.File // nil: standard input
	reader io.Reader
	size   int64        // bytes, 0 if not known
	done   atomic.Int64 // bytes read
}

// Read counts.
func (in *input) Read(p []byte) (int, error) {
	n, err := in.reader.Read(p)
	in.done.Add(int64(n))
	return n, err
}

// openInput opens a file, or standard input for -.
func openInput(ctx context.Context, name string, std stdio) (*input, error) {
	if name == "-" {
		return &input{name: "standard input", reader: interruptible(ctx, std.in)}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open the input: %w", err)
	}
	in := &input{name: name, file: f, reader: f}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		in.size = info.Size()
	}
	return in, nil
}

// interruptible ends r when ctx does: somebody may never type again.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	from, to := io.Pipe()
	context.AfterFunc(ctx, func() { _ = to.Close() })
	go func() {
		_, err := io.Copy(to, r)
		_ = to.CloseWithError(err) // nil is the end
	}()
	return from
}

func (in *input) close() {
	if in.file != nil {
		_ = in.file.Close() // it was only read
	}
}

// formOf is what kind of input a file is, by its name.
func formOf(name string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv":
		return "csv"
	case ".tsv":
		return "tsv"
	case ".parquet":
		return "parquet"
	}
	return "json"
}

// items reads an input. kinds are those of the value's fields; an error ends it.
func (in *input) items(ctx context.Context, form, format string, kinds map[string]cellKind) iter.Seq2[item, error] {
	switch {
	case format != "":
		return in.formatted(format)
	case form == "csv":
		return in.rows(',', kinds)
	case form == "tsv":
		return in.rows('\t', kinds)
	case form == "parquet":
		return in.parquet(ctx, kinds)
	}
	return in.lines()
}

// lines reads one record a line.
func (in *input) lines() iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		s := bufio.NewScanner(in)
		s.Buffer(nil, maxLine)
		for n := 1; s.Scan(); n++ {
			if len(bytes.TrimSpace(s.Bytes())) == 0 {
				continue
			}
			if !yield(item{place: fmt.Sprintf("line %d", n), text: bytes.Clone(s.Bytes())}, nil) {
				return
			}
		}
		if err := s.Err(); err != nil {
			yield(item{}, fmt.Errorf("read %s: %w", in.name, err))
		}
	}
}

// formatted reads records as a format cuts them.
func (in *input) formatted(format string) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		r, err := kgo.NewRecordReader(bufio.NewReader(in), format)
		if err != nil {
			yield(item{}, fmt.Errorf("--format: %w", err))
			return
		}
		for n := 1; ; n++ {
			rec, err := r.ReadRecord()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(item{}, fmt.Errorf("read %s, record %d: %w", in.name, n, err))
				return
			}
			if !yield(item{place: fmt.Sprintf("record %d", n), plain: rec}, nil) {
				return
			}
		}
	}
}

// rows reads CSV with a header: a row is an object.
func (in *input) rows(comma rune, kinds map[string]cellKind) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		r := csv.NewReader(in)
		r.Comma, r.ReuseRecord = comma, true
		head, err := r.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			yield(item{}, fmt.Errorf("read %s: %w", in.name, err))
			return
		}
		names := append([]string(nil), head...)
		names[0] = strings.TrimPrefix(names[0], "\ufeff") // as spreadsheets begin files
		for {
			row, err := r.Read()
			var wrong *csv.ParseError
			line, _ := r.FieldPos(0)
			switch {
			case errors.Is(err, io.EOF):
				return
			case errors.As(err, &wrong) && errors.Is(err, csv.ErrFieldCount):
				if !yield(item{place: fmt.Sprintf("line %d", line), err: fmt.Errorf("has %d columns, the header %d", len(row), len(names))}, nil) {
					return
				}
				continue
			case err != nil:
				yield(item{}, fmt.Errorf("read %s: %w", in.name, err))
				return
			}
			b := []byte{'{'}
			for i, text := range row {
				b = appendField(b, names[i], cell(text, kinds[names[i]]))
			}
			if !yield(item{place: fmt.Sprintf("line %d", line), text: append(b, '}'), row: true}, nil) {
				return
			}
		}
	}
}

func appendField(b []byte, name string, value []byte) []byte {
	if len(b) > 1 {
		b = append(b, ',')
	}
	quoted, _ := json.Marshal(name) // texts always marshal
	return append(append(append(b, quoted...), ':'), value...)
}

// parquet reads the rows of a Parquet file. Columns of where a record lay, which
// Tarn's own tables have, are left out; its key and time are taken from there.
func (in *input) parquet(ctx context.Context, kinds map[string]cellKind) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		if in.size == 0 {
			yield(item{}, fmt.Errorf("%s: Parquet is read from its end, so it has to be a file", in.name))
			return
		}
		n := 0
		for batch, err := range parquet.ReadRows(ctx, (*parquetFile)(in), nil) {
			if err != nil {
				yield(item{}, fmt.Errorf("read %s: %w", in.name, err))
				return
			}
			for i := range int(batch.NumRows()) {
				n++
				one := item{place: fmt.Sprintf("row %d", n), row: true}
				one.text, one.plain, one.err = rowJSON(batch, i, kinds)
				if !yield(one, nil) {
					return
				}
			}
		}
		in.done.Store(in.size)
	}
}

// parquetFile is an input as a file of the store.
type parquetFile input

// ReadAt counts what is read; pieces that are read twice count twice.
func (f *parquetFile) ReadAt(p []byte, pos int64) (int, error) {
	n, err := f.file.ReadAt(p, pos)
	f.done.Store(min(f.done.Load()+int64(n), f.size))
	return n, err
}

// Size implements blob.File.
func (f *parquetFile) Size() int64 { return f.size }

// Close implements blob.File; the input is closed by who opened it.
func (f *parquetFile) Close() error { return nil }

// rowJSON is a row as an object, and what of it belongs to the record.
func rowJSON(batch arrow.RecordBatch, i int, kinds map[string]cellKind) (json.RawMessage, *kgo.Record, error) {
	rec := &kgo.Record{}
	b := []byte{'{'}
	for c, col := range batch.Columns() {
		name := batch.ColumnName(c)
		if strings.HasPrefix(name, "kafka_") {
			if name == "kafka_key" && col.IsValid(i) {
				switch keys := col.(type) {
				case *array.Binary:
					rec.Key = bytes.Clone(keys.Value(i))
				case *array.String: // a result of tarn sql
					rec.Key = []byte(keys.Value(i))
				}
			}
			if times, ok := col.(*array.Timestamp); ok && name == "kafka_timestamp" && col.IsValid(i) {
				rec.Timestamp = times.Value(i).ToTime(col.DataType().(*arrow.TimestampType).Unit)
			}
			continue
		}
		text, err := cellOf(col, i, kinds[name])
		if err != nil {
			return nil, nil, fmt.Errorf("column %s: %w", name, err)
		}
		b = appendField(b, name, text)
	}
	return append(b, '}'), rec, nil
}

// cellOf is a value of a column as JSON.
func cellOf(col arrow.Array, i int, kind cellKind) (json.RawMessage, error) {
	if col.IsNull(i) {
		return json.RawMessage("null"), nil
	}
	switch a := col.(type) {
	case *array.Timestamp:
		t := a.Value(i).ToTime(a.DataType().(*arrow.TimestampType).Unit)
		if kind >= cellMillis {
			return cell(t.UTC().Format("2006-01-02T15:04:05.999999999Z"), kind), nil
		}
		return json.Marshal(t.UTC())
	case *array.Date32:
		return cell(a.Value(i).ToTime().Format("2006-01-02"), max(kind, cellText)), nil
	case *array.Binary:
		return plainJSON(a.Value(i)), nil
	}
	return json.Marshal(col.GetOneForMarshal(i))
}
