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
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/itchyny/gojq"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink/query"
)

// recordFlags say which records are shown, and how.
type recordFlags struct {
	Raw       bool   `help:"Do not decode by schema."`
	Where     string `placeholder:"SQL" help:"Only records for which this is true: SQL over the columns that the topic has in tarn sql."`
	JQ        string `name:"jq" placeholder:"PROGRAM" help:"Put each record, as JSON, through this program of jq, and write what it gives."`
	JQRaw     bool   `name:"raw-output" short:"r" help:"Write texts that --jq gives without quotes."`
	Format    string `short:"F" xor:"show" placeholder:"FORMAT" help:"Write each record so, as printf does: %k key, %v value, %h{%k=%v } headers, %t topic, %p partition, %o offset, %d{go##2006-01-02T15:04:05Z07:00##} time, \\n a new line."`
	Formatted string `kong:"-"` // the format of -f
}

// followFlag is -f: go on with new records; or, with a word behind it that has a
// percent sign, which no topic's name has, the format that it is for kcat and rpk.
type followFlag struct {
	on     bool
	format string
}

// IsBool says to kong that no value is needed.
func (f *followFlag) IsBool() bool { return true }

// Decode implements kong.MapperValue.
func (f *followFlag) Decode(ctx *kong.DecodeContext) error {
	t := ctx.Scan.Peek()
	word, ok := t.Value.(string)
	switch {
	case ok && !t.IsEOL() && strings.Contains(word, "%"):
		ctx.Scan.Pop()
		f.format = word
	case t.Type == kong.FlagValueToken:
		ctx.Scan.Pop()
		on, err := strconv.ParseBool(fmt.Sprint(t.Value))
		if err != nil {
			return fmt.Errorf("%v is neither true nor false", t.Value)
		}
		f.on = on
	default:
		f.on = true
	}
	return nil
}

// printer writes records in the form that the flags say. Used by one goroutine.
type printer struct {
	flags    *recordFlags
	payloads *payloads
	out      *bufio.Writer
	errs     io.Writer
	filter   *query.Filter // nil without --where
	program  *gojq.Code    // nil without --jq
	format   *kgo.RecordFormatter
	table    *csv.Writer // for --output csv
	buf      []byte
}

// newPrinter reads the flags; its close is to be called.
func newPrinter(ctx context.Context, std stdio, flags *recordFlags, p *payloads, output string) (*printer, error) {
	out := &printer{flags: flags, payloads: p, out: bufio.NewWriter(std.out), errs: std.err}
	format := flags.Format
	if flags.Formatted != "" {
		if format != "" {
			return nil, errors.New("give -f FORMAT or --format, not both")
		}
		format = flags.Formatted
	}
	if format != "" && flags.JQ != "" {
		return nil, errors.New("give --format or --jq, not both")
	}
	var err error
	if format != "" {
		if out.format, err = kgo.NewRecordFormatter(format); err != nil {
			return nil, fmt.Errorf("--format: %w", err)
		}
	}
	if flags.JQ != "" {
		if out.program, err = compileJQ(flags.JQ); err != nil {
			return nil, err
		}
	}
	if flags.Where != "" {
		if out.filter, err = query.NewFilter(ctx, flags.Where); err != nil {
			return nil, fmt.Errorf("--where: %w", err)
		}
	}
	if output == "csv" && out.format == nil && out.program == nil {
		out.table = csv.NewWriter(out.out)
		if err := out.table.Write([]string{"TOPIC", "PARTITION", "OFFSET", "TIMESTAMP", "KEY", "VALUE", "HEADERS", "SCHEMA-ID", "ERROR"}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// compileJQ prepares a program of jq.
func compileJQ(text string) (*gojq.Code, error) {
	q, err := gojq.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("--jq: %w", err)
	}
	code, err := gojq.Compile(q)
	if err != nil {
		return nil, fmt.Errorf("--jq: %w", err)
	}
	return code, nil
}

// flush writes out what is held back.
func (p *printer) flush() error {
	if p.table != nil {
		p.table.Flush()
		if err := p.table.Error(); err != nil {
			return err
		}
	}
	return p.out.Flush()
}

// close ends the printer; what was read before an error is shown.
func (p *printer) close() {
	_ = p.flush()
	if p.filter == nil {
		return
	}
	if names := p.filter.Unknown(); len(names) > 0 {
		fmt.Fprintf(p.errs, "tarn: --where names %s, which no record here has\n", strings.Join(names, ", "))
	}
	_ = p.filter.Close()
}

// print writes one record, if it is wanted. What cannot be decoded is shown as it
// lies, with the reason beside it.
func (p *printer) print(ctx context.Context, r *kgo.Record) (shown bool, err error) {
	l := p.line(ctx, r)
	if ok, err := p.wants(ctx, r, &l); err != nil || !ok {
		return false, err
	}
	where := func(err error) error {
		return fmt.Errorf("record at partition %d offset %d: %w", r.Partition, r.Offset, err)
	}
	switch {
	case p.format != nil:
		shown := *r
		shown.Key, shown.Value = plainText(r.Key, l.Key, l.keyDecoded), plainText(r.Value, l.Value, l.valueDecoded)
		p.buf = p.format.AppendRecord(p.buf[:0], &shown)
		_, err = p.out.Write(p.buf)
		return true, err
	case p.table != nil:
		headers, err := json.Marshal(l.Headers)
		if err != nil {
			return false, where(err)
		}
		return true, p.table.Write([]string{
			l.Topic, strconv.Itoa(int(l.Partition)), strconv.FormatInt(l.Offset, 10), l.Timestamp,
			string(plainText(r.Key, l.Key, l.keyDecoded)), string(plainText(r.Value, l.Value, l.valueDecoded)), string(headers), strconv.Itoa(l.SchemaID), l.Error,
		})
	}
	b, err := json.Marshal(l.line)
	if err != nil {
		return false, where(err)
	}
	if p.program == nil {
		_, err := p.out.Write(append(b, '\n'))
		return true, err
	}
	shown, err = p.runJQ(ctx, b)
	if err != nil {
		err = where(err)
	}
	return shown, err
}

// shownLine is a record as it is shown, and what of it a schema has explained.
type shownLine struct {
	line
	keyDecoded, valueDecoded bool
}

// line decodes a record.
func (p *printer) line(ctx context.Context, r *kgo.Record) shownLine {
	l := shownLine{line: line{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Timestamp: r.Timestamp.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		Headers:   []lineHeader{}, Deliveries: r.DeliveryCount(),
	}}
	for _, h := range r.Headers {
		l.Headers = append(l.Headers, lineHeader{Key: h.Key, Value: plainJSON(h.Value)})
	}
	if p.flags.Raw {
		l.Key, l.Value = plainJSON(r.Key), plainJSON(r.Value)
	} else {
		var err error
		if l.Key, _, l.keyDecoded, err = p.payloads.decode(ctx, r.Key, r.Headers, schema.KeyHeader); err != nil {
			l.Error = "key: " + err.Error()
		}
		if l.Value, l.SchemaID, l.valueDecoded, err = p.payloads.decode(ctx, r.Value, r.Headers, schema.ValueHeader); err != nil {
			l.Error = "value: " + err.Error()
		}
	}
	if r.Key == nil {
		l.Key = json.RawMessage("null")
	}
	if r.Value == nil {
		l.Value = json.RawMessage("null")
	}
	return l
}

// wants holds a record against --where.
func (p *printer) wants(ctx context.Context, r *kgo.Record, l *shownLine) (bool, error) {
	if p.filter == nil {
		return true, nil
	}
	f := query.FilterRecord{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp,
		Key: r.Key, Value: r.Value, SchemaID: l.SchemaID, WhyNotDecoded: l.Error,
	}
	for _, h := range r.Headers {
		f.HeaderKeys, f.HeaderValues = append(f.HeaderKeys, h.Key), append(f.HeaderValues, h.Value)
	}
	if l.keyDecoded {
		f.DecodedKey = l.Key
	}
	// JSON without a schema has fields all the same.
	if l.valueDecoded || r.Value != nil && l.Error == "" && json.Valid(r.Value) {
		f.DecodedValue = l.Value
	}
	ok, err := p.filter.Match(ctx, &f)
	if err != nil {
		return false, fmt.Errorf("--where at partition %d offset %d: %w", r.Partition, r.Offset, err)
	}
	return ok, nil
}

// runJQ writes what the program gives for a record; shown says that it gave any.
func (p *printer) runJQ(ctx context.Context, record []byte) (shown bool, err error) {
	d := json.NewDecoder(bytes.NewReader(record))
	d.UseNumber() // 64 bits stay exact
	var in any
	if err := d.Decode(&in); err != nil {
		return false, err
	}
	for results := p.program.RunWithContext(ctx, in); ; {
		v, ok := results.Next()
		if !ok {
			return shown, nil
		}
		if err, failed := v.(error); failed {
			var halt *gojq.HaltError
			if errors.As(err, &halt) && halt.Value() == nil {
				return shown, nil
			}
			return shown, fmt.Errorf("--jq: %w", err)
		}
		text, isText := v.(string)
		b := []byte(text)
		if !isText || !p.flags.JQRaw {
			if b, err = gojq.Marshal(v); err != nil {
				return shown, fmt.Errorf("--jq: %w", err)
			}
		}
		if _, err := p.out.Write(append(b, '\n')); err != nil {
			return shown, err
		}
		shown = true
	}
}

// plainText is a key or value in a text of its own: JSON if a schema explained it,
// else its bytes.
func plainText(b []byte, text json.RawMessage, decoded bool) []byte {
	if decoded {
		return text
	}
	return b
}
