package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type topicReplayCmd struct {
	connect
	Name       string   `arg:"" help:"Topic to read."`
	To         string   `required:"" placeholder:"TOPIC" help:"Topic to write; one that is not there is made with as many partitions."`
	Offset     spanFlag `name:"offset" short:"o" aliases:"from" default:"start" placeholder:"WHERE" help:"Which records: FROM or FROM:TO, each start, end, an offset, +N after the start, -N before the end or @TIME; @-1h:@now."`
	Partitions []int32  `name:"partition" short:"p" aliases:"partitions" placeholder:"N,…" help:"Only these partitions."`
	Where      string   `placeholder:"SQL" help:"Only records for which this is true, as of tarn consume."`
	Speed      float64  `placeholder:"N" help:"1 is the pace at which the records came, by their timestamps; 10 is ten times as fast. Without it, as fast as it goes."`
	Now        bool     `help:"Give the records the time at which they are written, instead of their own."`
	DryRun     bool     `help:"Only count the records, and say how long they would take."`
}

// Help shows examples.
func (c *topicReplayCmd) Help() string {
	return `Keys, values and headers are copied byte by byte, so records keep their schema ids.
Records stay in their partition where both topics have as many, else they go by their
key. Those of aborted transactions are left out.

  tarn topic replay orders --to orders-replay -o @-1h:@now
  tarn topic replay orders --to orders-load --speed 10 --now
  tarn topic replay orders --to big-orders --where 'amount > 1000' --dry-run`
}

// replay is one run of it.
type replay struct {
	cmd   *topicReplayCmd
	read  *kgo.Client
	write *kgo.Client // nil in a dry run
	q     quiet
	wants *printer // nil without --where
	same  bool     // partitions are kept
	ends  map[int32]int64
	all   int64 // offsets to go through

	looked      int64
	first, last time.Time // timestamps of records that are wanted
	done        atomic.Int64
	sent        atomic.Int64
	failed      atomic.Pointer[error]
}

// Run copies the records. Interrupted, it says how many were.
func (c *topicReplayCmd) Run(ctx context.Context, std stdio) error {
	switch {
	case c.Speed < 0:
		return fmt.Errorf("--speed %v: 1 for the pace at which records came, 10 for ten times as fast", c.Speed)
	case c.To == c.Name:
		return fmt.Errorf("--to %s: a topic that is replayed into itself would never end", c.To)
	}
	r := &replay{cmd: c}
	defer r.close()
	if err := r.open(ctx, std); err != nil {
		return err
	}
	bar := startProgress(ctx, std, c.Name+" to "+c.To, func() (int64, float64) {
		return r.sent.Load(), float64(r.done.Load()) / float64(max(1, r.all))
	})
	err := r.walk(ctx)
	bar.stop()
	if err != nil {
		return err
	}
	return r.report(ctx, std)
}

func (r *replay) close() {
	for _, cl := range []*kgo.Client{r.read, r.write} {
		if cl != nil {
			cl.Close()
		}
	}
	if r.wants != nil {
		r.wants.close()
	}
}

// open connects, looks at both topics and begins to read.
func (r *replay) open(ctx context.Context, std stdio) error {
	c := r.cmd
	part := consumeCmd{connect: c.connect, Topic: c.Name, Offset: c.Offset, Partitions: c.Partitions, Committed: true}
	var err error
	if r.read, err = c.kafka(ctx, append(r.q.options(), kgo.KeepControlRecords(), kgo.FetchIsolationLevel(kgo.ReadCommitted()))...); err != nil {
		return err
	}
	var at map[int32]kgo.Offset
	if at, r.ends, err = part.plan(ctx, kadm.NewClient(r.read)); err != nil {
		return err
	}
	for p, first := range at {
		r.all += r.ends[p] - first.EpochOffset().Offset
	}
	if c.Where != "" {
		reg, err := c.registry()
		if err != nil {
			return err
		}
		p := newPayloads(reg)
		p.readAs(c.topicSchemas(ctx, r.read, c.Name))
		if r.wants, err = newPrinter(ctx, stdio{out: io.Discard, err: std.err}, &recordFlags{Where: c.Where}, p, "json"); err != nil {
			return err
		}
	}
	if !c.DryRun {
		if err := r.target(ctx); err != nil {
			return err
		}
	}
	r.read.AddConsumePartitions(map[string]map[int32]kgo.Offset{c.Name: at})
	return nil
}

// target makes the topic to write, if need be.
func (r *replay) target(ctx context.Context) error {
	c := r.cmd
	from, err := partitionsOf(ctx, &c.connect, c.Name)
	if err != nil {
		return err
	}
	to, err := partitionsOf(ctx, &c.connect, c.To)
	if err != nil {
		return err
	}
	if to == 0 {
		if err := makeTopic(ctx, &c.connect, c.To, from); err != nil {
			return err
		}
		to = from
	}
	opts := []kgo.Opt{kgo.DefaultProduceTopic(c.To)}
	if r.same = from == to; r.same {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	r.write, err = c.kafka(ctx, opts...)
	return err
}

// walk goes through the records.
func (r *replay) walk(ctx context.Context) error {
	clock := replayClock{speed: r.cmd.Speed}
	if r.cmd.DryRun {
		clock.speed = 0
	}
	m := newMerger(r.read, &r.q, r.cmd.Name, r.ends)
	for r.failed.Load() == nil {
		rec, err := m.next(ctx)
		if err != nil {
			return fmt.Errorf("read %s: %w", r.cmd.Name, err)
		}
		if rec == nil {
			break
		}
		if r.done.Add(1); r.wants != nil {
			l := r.wants.line(ctx, rec)
			if ok, err := r.wants.wants(ctx, rec, &l); err != nil {
				return err
			} else if !ok {
				continue
			}
		}
		if waitUntil(ctx, clock.due(rec.Timestamp)) != nil {
			break
		}
		if r.looked++; r.looked == 1 {
			r.first = rec.Timestamp
		}
		r.last = rec.Timestamp
		if !r.cmd.DryRun {
			r.send(context.WithoutCancel(ctx), rec)
		}
	}
	if r.write == nil {
		return nil
	}
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := r.write.Flush(flush); err != nil {
		return fmt.Errorf("send the last records: %w", err)
	}
	return nil
}

// send writes a copy.
func (r *replay) send(ctx context.Context, from *kgo.Record) {
	out := &kgo.Record{Key: from.Key, Value: from.Value, Headers: from.Headers}
	if r.same {
		out.Partition = from.Partition
	}
	if !r.cmd.Now {
		out.Timestamp = from.Timestamp
	}
	r.write.Produce(ctx, out, func(_ *kgo.Record, err error) {
		if err != nil {
			r.failed.CompareAndSwap(nil, &err)
			return
		}
		r.sent.Add(1)
	})
}

func (r *replay) report(ctx context.Context, std stdio) error {
	c := r.cmd
	spanned := r.last.Sub(r.first)
	fields := []field{{"topic", c.Name}, {"to", c.To}, {"records", r.looked}, {"replayed", r.sent.Load()}, {"span_ms", spanned.Milliseconds()}}
	text := fmt.Sprintf("%d records of %s replayed to %s", r.sent.Load(), c.Name, c.To)
	if c.DryRun {
		text = fmt.Sprintf("%d records of %s would be replayed to %s; they came within %v", r.looked, c.Name, c.To, spanned.Round(time.Millisecond))
		if c.Speed > 0 {
			text += fmt.Sprintf(", and would take %v", time.Duration(float64(spanned)/c.Speed).Round(time.Millisecond))
		}
	}
	err := c.sayFields(std, fields, text)
	switch failed := r.failed.Load(); {
	case failed != nil:
		err = errors.Join(err, fmt.Errorf("produce to %s: %w", c.To, *failed))
	case ctx.Err() != nil && r.looked == 0:
		err = errors.Join(err, errors.New("interrupted before the first record"))
	case ctx.Err() != nil:
		err = errors.Join(err, fmt.Errorf("interrupted: go on with -o @%s, where the last record that was replayed comes again", r.last.UTC().Format(time.RFC3339Nano)))
	}
	return err
}
