package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// maxLine bounds one line of input: a record of the largest default batch in
// JSON with room for escapes.
const maxLine = 16 << 20

type produceCmd struct {
	connect
	Topic     string `arg:"" help:"Topic."`
	Key       string `help:"Key for records that bring none."`
	Partition int32  `default:"-1" help:"Partition; by key if not given."`
	Raw       bool   `help:"Send each line as it is, without schema."`
	TxnID     string `name:"transaction" placeholder:"ID" help:"Produce all lines in one transaction of this id, or, if any is refused, none."`
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

// Run produces every line of standard input. Lines that are refused are named
// on standard error and do not hold up the others; the command then exits 1.
func (c *produceCmd) Run(ctx context.Context, std stdio) error {
	reg, err := c.registry()
	if err != nil {
		return err
	}
	opts := []kgo.Opt{kgo.DefaultProduceTopic(c.Topic), kgo.AllowAutoTopicCreation()}
	if c.Partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	if c.TxnID != "" {
		opts = append(opts, kgo.TransactionalID(c.TxnID))
	}
	cl, err := c.kafka(ctx, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	if c.TxnID != "" {
		if err := cl.BeginTransaction(); err != nil {
			return err
		}
	}
	var mu sync.Mutex
	sent, refused := 0, 0
	fail := func(n int, err error) {
		mu.Lock()
		defer mu.Unlock()
		refused++
		fmt.Fprintf(std.err, "line %d: %v\n", n, err)
	}
	p := newPayloads(reg)
	var key, value topicSchema
	if !c.Raw {
		key, value = c.topicSchemas(ctx, cl, c.Topic)
	}
	in := bufio.NewScanner(std.in)
	in.Buffer(nil, maxLine)
	for n := 1; in.Scan(); n++ {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		r, err := c.record(ctx, p, key, value, in.Bytes())
		if err != nil {
			fail(n, err)
			continue
		}
		// A record a batch would be slow; a batch of many would be refused
		// whole for one. Errors name the line they came back for.
		cl.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				fail(n, err)
				return
			}
			mu.Lock()
			sent++
			mu.Unlock()
		})
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	if c.TxnID != "" {
		if err := cl.EndTransaction(ctx, kgo.TransactionEndTry(refused == 0)); err != nil {
			return fmt.Errorf("end the transaction: %w", err)
		}
		if refused > 0 {
			sent = 0
		}
	}
	if c.Output == "json" {
		err = writeJSON(std.out, map[string]any{"topic": c.Topic, "produced": sent, "refused": refused})
	} else {
		_, err = fmt.Fprintf(std.out, "%d records produced to %s\n", sent, c.Topic)
	}
	if refused > 0 {
		return errors.Join(err, fmt.Errorf("%d records refused", refused))
	}
	return err
}

// record reads one line: an object with a "value" as tarn consume writes it, or
// a bare value.
func (c *produceCmd) record(ctx context.Context, p *payloads, keys, values topicSchema, text []byte) (*kgo.Record, error) {
	r := &kgo.Record{Topic: c.Topic, Partition: c.Partition}
	if c.Key != "" {
		r.Key = []byte(c.Key)
	}
	if c.Raw {
		r.Value = bytes.Clone(text)
		return r, nil
	}
	if !json.Valid(text) {
		return nil, fmt.Errorf("is not JSON: %.80s", text)
	}
	value := json.RawMessage(bytes.Clone(text))
	if l, ok := envelope(text); ok {
		value = l.Value
		if l.Key != nil {
			k, err := p.encode(ctx, keys, l.Key)
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
	v, err := p.encode(ctx, values, value)
	if err != nil {
		return nil, fmt.Errorf("value %w", err)
	}
	r.Value = v
	return r, nil
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
