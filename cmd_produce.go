package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kong"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// maxLine bounds one line of input: a record of the largest default batch in
// JSON with room for escapes.
const maxLine = 16 << 20

type produceCmd struct {
	connect
	Topic     string   `arg:"" help:"Topic."`
	Files     []string `arg:"" optional:"" name:"file" help:"Files to read: JSON lines, .csv and .tsv with a header, .parquet; - or none is standard input."`
	Format    string   `short:"f" placeholder:"FORMAT" help:"How records stand in the input, as scanf has it: %k key, %v value, %V{big32}%v with a length before it, %h{…} headers, %p partition, %d time in ms. '%k\\t%v\\n' is a key, a tab and a value a line."`
	Input     string   `enum:"json,csv,tsv,parquet,auto" default:"auto" help:"What the input is: json (lines), csv, tsv or parquet; auto goes by the files' names."`
	Key       string   `short:"k" placeholder:"TEXT" help:"Key for records that bring none."`
	KeyField  string   `placeholder:"NAME" help:"Take the key from this field of the value."`
	Headers   []string `name:"header" short:"H" sep:"none" placeholder:"KEY=VALUE" help:"Header for every record; may be repeated."`
	Partition int32    `short:"p" default:"-1" help:"Partition; by key if not given."`
	Raw       bool     `help:"Send each line as it is, without schema."`
	Codec     string   `name:"compression" short:"z" enum:"none,gzip,snappy,lz4,zstd" default:"snappy" help:"How batches are compressed: none, gzip, snappy, lz4 or zstd. The topic's compression.type may change it."`
	Acks      acksFlag `default:"all" placeholder:"all|1|0" help:"Who has to have a record before it counts as produced: all (or -1); 1, the leader; 0, nobody: what the broker refuses is not told then."`
	TxnID     string   `name:"transaction" placeholder:"ID" help:"Produce all lines in one transaction of this id, or, if any is refused, none."`
	Skip      int64    `placeholder:"N" help:"Leave out the first N records of the input: how to go on after an interruption."`
	FailFast  bool     `help:"End at the first record that is refused, instead of going on with the others."`
	Refused   string   `type:"path" placeholder:"FILE" help:"Write records that are refused to this file, as JSON lines with the reason."`
}

// Help shows examples.
func (c *produceCmd) Help() string {
	return `A line is a value, or a record as tarn consume writes it; it is encoded by the
topic's schema. What is refused is told on standard error with its place, the others
go on, and the command exits 1.

  echo '{"id":1,"customer":"ada","amount":12.5}' | tarn produce orders
  tarn produce orders orders.csv more.parquet --key-field customer
  tarn produce notes -f '%k\t%v\n' < notes.tsv
  tarn produce orders orders.jsonl --refused bad.jsonl
  tarn produce clicks clicks.jsonl -z zstd --acks 1
  tarn consume orders | tarn produce orders-copy`
}

// acksFlag says who has to have a record: all, 1 or 0.
type acksFlag string

// Decode implements kong.MapperValue: -1 is no flag here.
func (f *acksFlag) Decode(ctx *kong.DecodeContext) error {
	word := ctx.Scan.Pop().String()
	switch word {
	case "-1":
		word = "all"
	case "all", "1", "0":
	default:
		return fmt.Errorf("%q is none of all (-1), 1 and 0", word)
	}
	*f = acksFlag(word)
	return nil
}

// sending are the options of a client that produces so. Who does not wait for all cannot
// have duplicates recognised.
func sending(codec string, acks acksFlag) []kgo.Opt {
	out := []kgo.Opt{kgo.ProducerBatchCompression(map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[codec])}
	switch acks {
	case "1":
		return append(out, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		return append(out, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	}
	return out
}

// line is a record as JSON: what tarn consume writes and tarn produce reads.
type line struct {
	Topic     string          `json:"topic"`
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	Timestamp string          `json:"timestamp"` // RFC 3339, ms
	Key       json.RawMessage `json:"key"`
	Value     json.RawMessage `json:"value"`
	Headers   []lineHeader    `json:"headers"`
	SchemaID  int             `json:"schema_id,omitempty"`
	// Deliveries is how often a share group has delivered the record.
	Deliveries int32  `json:"deliveries,omitempty"`
	Error      string `json:"error,omitempty"`
}

type lineHeader struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// maxTold bounds the records whose refusal is told one by one.
const maxTold = 100

// flushTime bounds the sending of what is read when a command is interrupted.
const flushTime = 30 * time.Second

// production is one run of tarn produce. Methods of refusals may be called
// concurrently, the others by one goroutine.
type production struct {
	cmd        *produceCmd
	std        stdio
	cl         *kgo.Client
	payloads   *payloads
	key, value topicSchema
	inputs     []*input
	headers    []kgo.RecordHeader // for every record
	read       int64              // records read, of all inputs

	mu      sync.Mutex
	sent    int64         // guarded by mu
	refused int64         // guarded by mu
	byRule  bool          // guarded by mu; the broker refused some, whose reasons clients do not see
	told    []refusedItem // guarded by mu, the first ones
	report  *os.File      // guarded by mu; nil without --refused
	failed  error         // guarded by mu: writing the report
}

// refusedItem is what became of one record.
type refusedItem struct {
	Input string          `json:"input"`
	Place string          `json:"place"`
	Error string          `json:"error"`
	Value json.RawMessage `json:"value,omitempty"`
}

// Run produces every record of the inputs. Records that are refused are named on
// standard error and do not hold up the others; the command then exits 1.
func (c *produceCmd) Run(ctx context.Context, std stdio) (err error) {
	if _, err := os.Stat(c.Format); c.Format != "" && err == nil {
		return &exitError{2, fmt.Errorf("-f is the format of records, and %s is a file: files are arguments, tarn produce %s %s", c.Format, c.Topic, c.Format)}
	}
	if c.Format != "" && c.Input != "auto" {
		return errors.New("give --format or --input, not both")
	}
	if c.TxnID != "" && c.Acks != "all" {
		return &exitError{2, errors.New("a transaction needs --acks all")}
	}
	reg, err := c.registry()
	if err != nil {
		return err
	}
	p := &production{cmd: c, std: std, payloads: newPayloads(reg)}
	if p.headers, err = headersOf(c.Headers); err != nil {
		return err
	}
	if len(c.Files) == 0 {
		c.Files = []string{"-"}
	}
	defer func() { err = errors.Join(err, p.close()) }()
	for _, name := range c.Files {
		in, err := openInput(ctx, name, std)
		if err != nil {
			return err
		}
		p.inputs = append(p.inputs, in)
	}
	if c.Refused != "" {
		if p.report, err = os.Create(c.Refused); err != nil {
			return fmt.Errorf("--refused: %w", err)
		}
	}
	opts := append(sending(c.Codec, c.Acks), kgo.DefaultProduceTopic(c.Topic), kgo.AllowAutoTopicCreation())
	if c.Partition >= 0 || strings.Contains(c.Format, "%p") {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	if c.TxnID != "" {
		opts = append(opts, kgo.TransactionalID(c.TxnID))
	}
	if p.cl, err = c.kafka(ctx, opts...); err != nil {
		return err
	}
	if c.TxnID != "" {
		if err := p.cl.BeginTransaction(); err != nil {
			return err
		}
	}
	if !c.Raw {
		p.key, p.value = c.topicSchemas(ctx, p.cl, c.Topic)
	}
	interrupted, err := p.all(ctx)
	if err != nil {
		return err
	}
	return p.finish(ctx, interrupted)
}

func (p *production) close() error {
	if p.cl != nil {
		p.cl.Close()
	}
	for _, in := range p.inputs {
		in.close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.report == nil {
		return p.failed
	}
	return errors.Join(p.failed, p.report.Close())
}

// all sends every record; interrupted says that there are more.
func (p *production) all(ctx context.Context) (interrupted bool, err error) {
	if !isTerminal(p.std.in) || p.inputs[0].file != nil {
		bar := startProgress(ctx, p.std, p.cmd.Topic, p.how)
		defer bar.stop()
	}
	// What has been read is sent, also when the command is to end.
	sending := context.WithoutCancel(ctx)
	for _, in := range p.inputs {
		form := p.cmd.Input
		if form == "auto" {
			form = formOf(in.name)
		}
		var kinds map[string]cellKind
		if form != "json" && !p.cmd.Raw && p.value.err == nil {
			s, err := p.payloads.forSubject(ctx, p.value.subject)
			if err != nil {
				return false, err
			}
			if s != nil {
				kinds = s.kinds(p.value.message)
			}
		}
		for one, err := range in.items(ctx, form, p.cmd.Format, kinds) {
			if err != nil {
				return false, err
			}
			if ctx.Err() != nil || p.cmd.FailFast && p.anyRefused() {
				return true, nil
			}
			if p.read++; p.read > p.cmd.Skip {
				p.send(sending, in, one)
			}
		}
	}
	return ctx.Err() != nil, nil
}

// how tells the progress.
func (p *production) how() (int64, float64) {
	var size, done int64
	for _, in := range p.inputs {
		if in.size == 0 {
			size = 0
			break
		}
		size, done = size+in.size, done+in.done.Load()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if size == 0 {
		return p.sent, -1
	}
	return p.sent, float64(done) / float64(size)
}

// send sends one record. A record a batch would be slow; a batch of many would be
// refused whole for one. Errors name the place they came back for.
func (p *production) send(ctx context.Context, in *input, one item) {
	r, err := p.record(ctx, one)
	if err != nil {
		p.refuse(in, one, err)
		return
	}
	p.cl.Produce(ctx, r, func(_ *kgo.Record, err error) {
		if err != nil {
			p.refuse(in, one, err)
			return
		}
		p.mu.Lock()
		p.sent++
		p.mu.Unlock()
	})
}

func (p *production) anyRefused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused > 0
}

// refuse tells of a record that was not taken.
func (p *production) refuse(in *input, one item, err error) {
	r := refusedItem{Input: in.name, Place: one.place, Error: err.Error(), Value: one.text}
	if one.plain != nil && one.text == nil {
		r.Value = plainJSON(one.plain.Value)
	}
	if !json.Valid(r.Value) {
		r.Value = plainJSON(r.Value)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused++
	p.byRule = p.byRule || errors.Is(err, kerr.InvalidRecord)
	if p.report != nil && p.failed == nil {
		b, err := json.Marshal(r)
		if err == nil {
			_, err = p.report.Write(append(b, '\n'))
		}
		p.failed = err
	}
	if len(p.told) == maxTold {
		return
	}
	p.told = append(p.told, r)
	where := one.place
	if len(p.inputs) > 1 {
		where = in.name + " " + where
	}
	fmt.Fprintf(p.std.err, "%s: %v\n", where, err)
	if len(p.told) == maxTold && p.report == nil {
		fmt.Fprintln(p.std.err, "further ones are only counted; --refused FILE lists all")
	}
}

// finish waits until all is sent, and reports.
func (p *production) finish(ctx context.Context, interrupted bool) error {
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if ctx.Err() != nil {
		last, cancel = context.WithTimeout(last, flushTime)
		defer cancel()
	}
	if err := p.cl.Flush(last); err != nil {
		return fmt.Errorf("send what was read: %w", err)
	}
	p.mu.Lock()
	sent, refused, told, byRule := p.sent, p.refused, p.told, p.byRule
	p.mu.Unlock()
	c := p.cmd
	if c.TxnID != "" {
		keep := refused == 0 && !interrupted
		if err := p.cl.EndTransaction(last, kgo.TransactionEndTry(keep)); err != nil {
			return fmt.Errorf("end the transaction: %w", err)
		}
		if !keep {
			sent = 0
		}
	}
	var err error
	if c.Output == "json" {
		err = writeJSON(p.std.out, map[string]any{"topic": c.Topic, "produced": sent, "refused": refused, "refusals": append([]refusedItem{}, told...)})
	} else {
		err = c.sayFields(p.std, []field{{"topic", c.Topic}, {"produced", sent}, {"refused", refused}}, fmt.Sprintf("%d records produced to %s", sent, c.Topic))
	}
	switch {
	case interrupted && c.TxnID != "":
		err = errors.Join(err, errors.New("interrupted: the transaction is aborted, nothing was produced"))
	case interrupted:
		err = errors.Join(err, fmt.Errorf("ended before the end of the input: go on with --skip %d", p.read))
	}
	why := ""
	if byRule {
		why = "; tarn rejections " + c.Topic + " says why"
	}
	if refused > 0 {
		err = errors.Join(err, fmt.Errorf("%d records refused%s", refused, why))
	}
	return err
}

// record makes the record of an item.
func (p *production) record(ctx context.Context, one item) (*kgo.Record, error) {
	if one.err != nil {
		return nil, one.err
	}
	c := p.cmd
	r, err := p.content(ctx, one)
	if err != nil {
		return nil, err
	}
	r.Topic = c.Topic
	if c.Partition >= 0 || !strings.Contains(c.Format, "%p") {
		r.Partition = c.Partition
	}
	if r.Key == nil && c.Key != "" {
		r.Key = []byte(c.Key)
	}
	r.Headers = append(r.Headers, p.headers...)
	return r, nil
}

// content makes key and value of an item.
func (p *production) content(ctx context.Context, one item) (*kgo.Record, error) {
	switch {
	case one.plain != nil && one.text == nil:
		return p.cut(ctx, one.plain)
	case one.row:
		v, err := p.payloads.encode(ctx, p.value, one.text)
		if err != nil {
			return nil, fmt.Errorf("value %w", err)
		}
		r := &kgo.Record{Value: v}
		if one.plain != nil {
			r.Key, r.Timestamp = one.plain.Key, one.plain.Timestamp
		}
		return r, p.keyFrom(ctx, r, one.text)
	}
	return p.cmd.record(ctx, p, one.text)
}

// cut is a record that a format has cut out of the input.
func (p *production) cut(ctx context.Context, from *kgo.Record) (*kgo.Record, error) {
	r := &kgo.Record{Key: from.Key, Value: from.Value, Headers: from.Headers, Timestamp: from.Timestamp, Partition: from.Partition}
	if p.cmd.Raw {
		return r, nil
	}
	var err error
	text := r.Value
	if r.Value, err = p.payloads.encodeText(ctx, p.value, text); err != nil {
		return nil, fmt.Errorf("value %w", err)
	}
	if r.Key != nil {
		if r.Key, err = p.payloads.encodeText(ctx, p.key, r.Key); err != nil {
			return nil, fmt.Errorf("key %w", err)
		}
	}
	return r, p.keyFrom(ctx, r, text)
}

// keyFrom takes the key from a field of the value, if that is asked for.
func (p *production) keyFrom(ctx context.Context, r *kgo.Record, value []byte) error {
	name := p.cmd.KeyField
	if name == "" {
		return nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(value, &fields) != nil || fields[name] == nil {
		return fmt.Errorf("has no field %q (--key-field)", name)
	}
	k, err := p.payloads.encode(ctx, p.key, fields[name])
	if err != nil {
		return fmt.Errorf("key %w", err)
	}
	r.Key = k
	return nil
}

// record reads one line: an object with a "value" as tarn consume writes it, or
// a bare value.
func (c *produceCmd) record(ctx context.Context, p *production, text []byte) (*kgo.Record, error) {
	r := &kgo.Record{}
	if c.Raw {
		r.Value = bytes.Clone(text)
		return r, nil
	}
	if !json.Valid(text) {
		return nil, p.noJSON(ctx, text)
	}
	value := json.RawMessage(bytes.Clone(text))
	if l, ok := envelope(text); ok {
		value = l.Value
		if l.Key != nil {
			k, err := p.payloads.encode(ctx, p.key, l.Key)
			if err != nil {
				return nil, fmt.Errorf("key %w", err)
			}
			r.Key = k
		}
		for _, h := range l.Headers {
			v, err := plainBytes(h.Value)
			if err != nil {
				return nil, fmt.Errorf("header %q: %w", h.Key, err)
			}
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: v})
		}
		if l.Timestamp != "" {
			t, err := time.Parse(time.RFC3339Nano, l.Timestamp)
			if err != nil {
				return nil, fmt.Errorf("timestamp: %w", err)
			}
			r.Timestamp = t
		}
	}
	v, err := p.payloads.encode(ctx, p.value, value)
	if err != nil {
		return nil, fmt.Errorf("value %w", err)
	}
	r.Value = v
	return r, p.keyFrom(ctx, r, value)
}

// noJSON is why a line is refused; a topic without schema, as far as it is known, would
// take it as it is.
func (p *production) noJSON(ctx context.Context, text []byte) error {
	if p.value.err == nil {
		if s, err := p.payloads.forSubject(ctx, p.value.subject); err == nil && s != nil {
			return fmt.Errorf("is not JSON: %.80s", text)
		}
	}
	return fmt.Errorf("is not JSON: %.80s (--raw sends lines as they are)", text)
}

// envelope reports whether text is a record and not a bare value: it has a
// "value" and no field that a record has not.
func envelope(text []byte) (line, bool) {
	var l line
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(&l) != nil || l.Value == nil {
		return line{}, false
	}
	_, err := d.Token()
	return l, errors.Is(err, io.EOF)
}
