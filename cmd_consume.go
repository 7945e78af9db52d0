package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/schema"
)

type consumeCmd struct {
	connect
	Topic     string `arg:"" help:"Topic."`
	From      string `default:"start" help:"start, end, or an offset."`
	Partition int32  `default:"-1" help:"Only this partition."`
	Num       int64  `short:"n" help:"Stop after that many records."`
	Follow    bool   `short:"f" help:"Go on with new records instead of ending at the log end."`
	Raw       bool   `help:"Do not decode by schema."`
	Committed bool   `help:"Leave out transactions that are open or aborted (read_committed)."`

	Group      string `xor:"member" placeholder:"GROUP" help:"Read as a member of this consumer group, from its committed offsets, and commit."`
	Protocol   string `enum:"consumer,classic" default:"consumer" help:"Protocol of the consumer group: consumer (KIP-848) or classic."`
	ShareGroup string `xor:"member" placeholder:"GROUP" help:"Read as a member of this share group (KIP-932), and acknowledge each record."`
	Ack        string `enum:"accept,release,reject" default:"accept" help:"What becomes of records of a share group: done, given back (then it ends after the first ones, or -n), or refused for ever."`
}

// Run writes the topic's records as JSON lines, partition by partition as they
// come, up to the log end seen at the start; with a group until it has come so
// far.
func (c *consumeCmd) Run(ctx context.Context, std stdio) error {
	reg, err := c.registry()
	if err != nil {
		return err
	}
	if c.Ack != "accept" && c.ShareGroup == "" {
		return fmt.Errorf("--ack %s is for members of share groups: give --share-group GROUP", c.Ack)
	}
	p := newPayloads(reg)
	if c.Group != "" || c.ShareGroup != "" {
		return c.asMember(ctx, std, p)
	}
	// A log may end with the marker of a transaction, so markers are looked at.
	opts := []kgo.Opt{kgo.KeepControlRecords()}
	if c.Committed {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	var q quiet
	if !c.Follow {
		opts = append(opts, q.options()...)
	}
	cl, err := c.kafka(ctx, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	p.readAs(c.topicSchemas(ctx, cl, c.Topic))
	at, ends, err := c.plan(ctx, kadm.NewClient(cl))
	if err != nil {
		return err
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{c.Topic: at})
	out := bufio.NewWriter(std.out)
	defer func() { _ = out.Flush() }() // what was read before an error is shown
	var n int64
	for c.Follow || len(ends) > 0 {
		records, err := poll(ctx, cl, 0)
		if ctx.Err() != nil {
			return nil // interrupted: what was read has been written
		}
		if err != nil {
			return err
		}
		if q.polled(len(records)); len(records) == 0 && q.over() {
			return nil // the last offsets have no records
		}
		for _, r := range records {
			end, open := ends[r.Partition]
			if !c.Follow && (!open || r.Offset >= end) {
				continue
			}
			if r.Offset+1 >= end {
				delete(ends, r.Partition)
			}
			if r.Attrs.IsControl() {
				continue
			}
			if err := c.print(ctx, out, p, r); err != nil {
				return err
			}
			if n++; n == c.Num {
				return out.Flush()
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// plan works out where each partition begins and ends.
func (c *consumeCmd) plan(ctx context.Context, adm *kadm.Client) (at map[int32]kgo.Offset, ends map[int32]int64, err error) {
	starts, err := adm.ListStartOffsets(ctx, c.Topic)
	if err != nil {
		return nil, nil, err
	}
	last := adm.ListEndOffsets
	if c.Committed {
		last = adm.ListCommittedOffsets
	}
	lasts, err := last(ctx, c.Topic)
	if err != nil {
		return nil, nil, err
	}
	if err := lasts.Error(); err != nil {
		return nil, nil, fmt.Errorf("topic %q: %w", c.Topic, err)
	}
	at, ends = map[int32]kgo.Offset{}, map[int32]int64{}
	for _, last := range lasts.Offsets().Sorted() {
		if c.Partition >= 0 && last.Partition != c.Partition {
			continue
		}
		start, _ := starts.Lookup(c.Topic, last.Partition)
		from := start.Offset
		switch c.From {
		case "start":
		case "end":
			from = last.At
		default:
			n, err := strconv.ParseInt(c.From, 10, 64)
			if err != nil || n < 0 {
				return nil, nil, fmt.Errorf("--from %q is neither start, end nor an offset", c.From)
			}
			from = max(n, start.Offset)
		}
		if from < last.At {
			ends[last.Partition] = last.At
		}
		if from < last.At || c.Follow {
			at[last.Partition] = kgo.NewOffset().At(from)
		}
	}
	return at, ends, nil
}

// print writes one record. What cannot be decoded is shown as it lies, with
// the reason beside it.
func (c *consumeCmd) print(ctx context.Context, out *bufio.Writer, p *payloads, r *kgo.Record) error {
	l := line{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Timestamp: r.Timestamp.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		Headers:   []lineHeader{}, Deliveries: r.DeliveryCount(),
	}
	for _, h := range r.Headers {
		l.Headers = append(l.Headers, lineHeader{Key: h.Key, Value: plainJSON(h.Value)})
	}
	if c.Raw {
		l.Key, l.Value = plainJSON(r.Key), plainJSON(r.Value)
	} else {
		var err, keyErr error
		if l.Key, _, keyErr = p.decode(ctx, r.Key, r.Headers, schema.KeyHeader); keyErr != nil {
			l.Error = "key: " + keyErr.Error()
		}
		if l.Value, l.SchemaID, err = p.decode(ctx, r.Value, r.Headers, schema.ValueHeader); err != nil {
			l.Error = "value: " + err.Error()
		}
	}
	if r.Key == nil {
		l.Key = json.RawMessage("null")
	}
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("record at %d/%d: %w", r.Partition, r.Offset, err)
	}
	if _, err := out.Write(append(b, '\n')); err != nil {
		return err
	}
	return nil
}
