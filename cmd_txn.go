package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type txnCmd struct {
	List      txnListCmd      `cmd:"" help:"List transactional ids with the state of their transaction."`
	Describe  txnDescribeCmd  `cmd:"" help:"Show the transaction of an id."`
	Producers txnProducersCmd `cmd:"" help:"List the producers that a topic's logs remember, and where their open transactions begin."`
	Abort     txnAbortCmd     `cmd:"" help:"Abort what is open of a transactional id, and fence its producer."`
}

// inquire connects an admin client for one question.
func inquire[T any](ctx context.Context, c *connect, question func(*kadm.Client) (T, error)) (answer T, err error) {
	adm, err := c.admin(ctx)
	if err != nil {
		return answer, err
	}
	defer adm.Close()
	return question(adm)
}

// transaction describes the transaction of an id.
func (c *connect) transaction(ctx context.Context, id string) (kadm.DescribedTransaction, error) {
	all, err := inquire(ctx, c, func(adm *kadm.Client) (kadm.DescribedTransactions, error) {
		return adm.DescribeTransactions(ctx, id)
	})
	if err != nil {
		return kadm.DescribedTransaction{}, err
	}
	x := all[id]
	if x.Err != nil {
		return x, fmt.Errorf("transactional id %q: %w", id, x.Err)
	}
	return x, nil
}

type txnListCmd struct {
	connect
}

// Run lists the ids.
func (c *txnListCmd) Run(ctx context.Context, std stdio) error {
	all, err := inquire(ctx, &c.connect, func(adm *kadm.Client) (kadm.ListedTransactions, error) {
		return adm.ListTransactions(ctx, nil, nil)
	})
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"TRANSACTIONAL-ID", "PRODUCER-ID", "STATE"}}
	for _, x := range all.Sorted() {
		s.add(x.TxnID, x.ProducerID, x.State)
	}
	return s.write(std.out, c.Output)
}

type txnDescribeCmd struct {
	connect
	ID string `arg:"" help:"Transactional id."`
}

// Run describes one id.
func (c *txnDescribeCmd) Run(ctx context.Context, std stdio) error {
	x, err := c.transaction(ctx, c.ID)
	if err != nil {
		return err
	}
	started, since := any(nil), "-"
	if x.StartTimestamp > 0 {
		since = time.UnixMilli(x.StartTimestamp).UTC().Format(time.RFC3339)
		started = since
	}
	if c.Output == "text" {
		fmt.Fprintf(std.out, "%s  %s  producer %d epoch %d  timeout %v  started %s\n\n",
			x.TxnID, x.State, x.ProducerID, x.ProducerEpoch, time.Duration(x.TimeoutMillis)*time.Millisecond, since)
	}
	s := sheet{Columns: []string{"TOPIC", "PARTITION"}}
	for _, t := range x.Topics.Sorted() {
		for _, p := range t.Partitions {
			s.add(t.Topic, p)
		}
	}
	if c.Output == "json" {
		return writeJSON(std.out, map[string]any{
			"transactional_id": x.TxnID, "state": x.State, "producer_id": x.ProducerID, "producer_epoch": x.ProducerEpoch,
			"timeout_ms": x.TimeoutMillis, "started": started, "partitions": objects(s),
		})
	}
	return s.write(std.out, c.Output)
}

type txnProducersCmd struct {
	connect
	Topic string `arg:"" help:"Topic."`
}

// Run lists producers.
func (c *txnProducersCmd) Run(ctx context.Context, std stdio) error {
	all, err := inquire(ctx, &c.connect, func(adm *kadm.Client) (kadm.DescribedProducersTopics, error) {
		topics, err := adm.ListTopics(ctx, c.Topic)
		if err != nil {
			return nil, err
		}
		if err := topics[c.Topic].Err; err != nil {
			return nil, fmt.Errorf("topic %q: %w", c.Topic, err)
		}
		var set kadm.TopicsSet
		set.Add(c.Topic, topics[c.Topic].Partitions.Numbers()...)
		return adm.DescribeProducers(ctx, set)
	})
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"PARTITION", "PRODUCER-ID", "EPOCH", "LAST-SEQUENCE", "LAST-WRITE", "OPEN-SINCE-OFFSET"}}
	for _, p := range all.SortedProducers() {
		open := any(nil)
		if p.CurrentTxnStartOffset >= 0 {
			open = p.CurrentTxnStartOffset
		}
		s.add(p.Partition, p.ProducerID, p.ProducerEpoch, p.LastSequence, time.UnixMilli(p.LastTimestamp).UTC().Format(time.RFC3339), open)
	}
	return s.write(std.out, c.Output)
}

type txnAbortCmd struct {
	connect
	dryRunFlag
	ID string `arg:"" help:"Transactional id."`
}

// Run takes the id over, which aborts what is open and fences who had it, as a
// new producer of that id would.
func (c *txnAbortCmd) Run(ctx context.Context, std stdio) error {
	x, err := c.transaction(ctx, c.ID)
	if err != nil {
		return err // an id that nobody has is not made by asking for it
	}
	if c.DryRun {
		return c.say(std, map[string]any{"transactional_id": c.ID, "producer_id": x.ProducerID, "producer_epoch": x.ProducerEpoch},
			fmt.Sprintf("%s: its state is %s; producers up to %d epoch %d would be fenced", c.ID, x.State, x.ProducerID, x.ProducerEpoch))
	}
	cl, err := c.kafka(ctx, kgo.TransactionalID(c.ID))
	if err != nil {
		return err
	}
	defer cl.Close()
	id, epoch, err := cl.ProducerID(ctx)
	if err != nil {
		return fmt.Errorf("take over transactional id %q: %w", c.ID, err)
	}
	return c.say(std, map[string]any{"transactional_id": c.ID, "producer_id": id, "producer_epoch": epoch},
		fmt.Sprintf("%s: nothing is open now; producers before %d epoch %d are fenced", c.ID, id, epoch))
}
