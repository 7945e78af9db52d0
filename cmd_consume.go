package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type consumeCmd struct {
	connect
	Topic      string     `arg:"" help:"Topic."`
	Offset     spanFlag   `name:"offset" short:"o" aliases:"from" default:"start" placeholder:"WHERE" help:"Where to begin, or FROM:TO: start, end, an offset, +N after the start, -N before the end, @TIME, @-1h:@now."`
	Partitions []int32    `name:"partition" short:"p" aliases:"partitions" placeholder:"N,…" help:"Only these partitions."`
	Num        int64      `short:"n" placeholder:"N" help:"Stop after that many records."`
	Follow     followFlag `short:"f" help:"Go on with new records instead of ending at the log end. With a format behind it (-f '%k %v\\n') it is --format."`
	Committed  bool       `help:"Leave out transactions that are open or aborted (read_committed)."`
	recordFlags

	Group      string `short:"g" xor:"member" placeholder:"GROUP" help:"Read as a member of this consumer group, from its committed offsets, and commit."`
	Protocol   string `enum:"consumer,classic" default:"consumer" help:"Protocol of the consumer group: consumer (KIP-848) or classic."`
	ShareGroup string `xor:"member" placeholder:"GROUP" help:"Read as a member of this share group (KIP-932), and acknowledge each record."`
	Ack        string `enum:"accept,release,reject" default:"accept" help:"What becomes of records of a share group: accept (done), release (given back; then it ends after the first ones, or -n), or reject (refused for ever)."`
}

// Help shows examples.
func (c *consumeCmd) Help() string {
	return `Records are JSON lines unless a format is given, decoded by their schemas.

  tarn consume orders
  tarn consume orders -f                          # and go on
  tarn consume orders -o -10                      # the last ten of each partition
  tarn consume orders -o @-1h:@now -p 0,2
  tarn consume orders -f '%o %k %v\n'
  tarn consume orders --where "amount > 100 and customer <> 'ada'" -n 5
  tarn consume orders --jq '.value | select(.amount > 100) | .customer' -r
  tarn consume orders --output csv > orders.csv
  tarn consume orders --group billing`
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
	c.Formatted = c.Follow.format
	p := newPayloads(reg)
	out, err := newPrinter(ctx, std, &c.recordFlags, p, c.Output)
	if err != nil {
		return err
	}
	defer out.close()
	if c.Group != "" || c.ShareGroup != "" {
		return c.asMember(ctx, out)
	}
	// A log may end with the marker of a transaction, so markers are looked at.
	opts := []kgo.Opt{kgo.KeepControlRecords()}
	if c.Committed {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	var q quiet
	if !c.Follow.on {
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
	return c.read(ctx, cl, out, &q, ends)
}

// read writes records until each partition has come to its end.
func (c *consumeCmd) read(ctx context.Context, cl *kgo.Client, out *printer, q *quiet, ends map[int32]int64) error {
	n := int64(0)
	return eachRecord(ctx, cl, q, c.Follow.on, ends, func(r *kgo.Record) (more bool, err error) {
		shown, err := out.print(ctx, r)
		if err != nil {
			return false, err
		}
		if shown {
			n++
		}
		return n != c.Num || n == 0, nil
	}, out.flush)
}

// eachRecord polls until each partition has come to its end, which it takes out of
// ends, or do says that there is enough, or ctx ends. do is called for each record but
// markers of transactions, after when those of a poll are done.
func eachRecord(ctx context.Context, cl *kgo.Client, q *quiet, follow bool, ends map[int32]int64, do func(*kgo.Record) (more bool, err error), after func() error) error {
	for len(ends) > 0 {
		records, err := poll(ctx, cl, 0)
		if ctx.Err() != nil {
			return nil // interrupted: what was read has been seen to
		}
		if err != nil {
			return err
		}
		if q.polled(len(records)); len(records) == 0 && !follow && q.over() {
			return nil // the last offsets have no records
		}
		for _, r := range records {
			end, open := ends[r.Partition]
			if !open || r.Offset >= end {
				continue
			}
			if r.Offset+1 >= end {
				delete(ends, r.Partition)
			}
			if r.Attrs.IsControl() {
				continue
			}
			if more, err := do(r); err != nil {
				return err
			} else if !more {
				return after()
			}
		}
		if err := after(); err != nil {
			return err
		}
	}
	return nil
}

// plan works out where each partition begins and ends. A partition that is followed
// without an end has the last offset there can be.
func (c *consumeCmd) plan(ctx context.Context, adm *kadm.Client) (at map[int32]kgo.Offset, ends map[int32]int64, err error) {
	part, err := c.Offset.span(time.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("--offset: %w", err)
	}
	b, err := logBounds(ctx, adm, c.Topic, c.Committed)
	if err != nil {
		return nil, nil, err
	}
	from, err := b.resolve(ctx, adm, c.Topic, part.from)
	if err != nil {
		return nil, nil, err
	}
	to, err := b.resolve(ctx, adm, c.Topic, logPlace{kind: atEnd})
	if err == nil && part.bounded {
		to, err = b.resolve(ctx, adm, c.Topic, part.to)
	}
	if err != nil {
		return nil, nil, err
	}
	for _, p := range c.Partitions {
		if _, ok := from[p]; !ok {
			return nil, nil, fmt.Errorf("topic %q has no partition %d", c.Topic, p)
		}
	}
	at, ends = map[int32]kgo.Offset{}, map[int32]int64{}
	for p, first := range from {
		if len(c.Partitions) > 0 && !slices.Contains(c.Partitions, p) {
			continue
		}
		start, _ := b.starts.Lookup(c.Topic, p)
		end, _ := b.ends.Lookup(c.Topic, p)
		first, last := max(first, start.Offset), min(to[p], end.Offset)
		if c.Follow.on {
			last = math.MaxInt64
			if part.bounded && part.to.kind == atOffset {
				last = part.to.n // which may be still to come
			}
		}
		if first < last {
			at[p], ends[p] = kgo.NewOffset().At(first), last
		}
	}
	return at, ends, nil
}
