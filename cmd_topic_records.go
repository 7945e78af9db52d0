package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

type topicTrimCmd struct {
	connect
	Name      string `arg:"" help:"Topic."`
	Before    string `required:"" placeholder:"WHERE" help:"Delete records before this: end, an offset, or a time such as 2026-01-31T12:00:00Z."`
	Partition int32  `default:"-1" help:"Only this partition."`
}

// Run deletes the oldest records.
func (c *topicTrimCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	found, err := whereTo(ctx, adm, c.Before, c.Name)
	if err != nil {
		return err
	}
	offsets := kadm.Offsets{}
	for _, o := range sortedOffsets(found[c.Name]) {
		if o.Err != nil {
			return fmt.Errorf("topic %q partition %d: %w", c.Name, o.Partition, o.Err)
		}
		if c.Partition < 0 || o.Partition == c.Partition {
			offsets.AddOffset(c.Name, o.Partition, o.Offset, -1)
		}
	}
	if len(offsets[c.Name]) == 0 {
		return fmt.Errorf("topic %q has no partition %d", c.Name, c.Partition)
	}
	answers, err := adm.DeleteRecords(ctx, offsets)
	if err != nil {
		return err
	}
	if err := answers.Error(); err != nil {
		return fmt.Errorf("topic %q: %w", c.Name, err)
	}
	s := sheet{Columns: []string{"TOPIC", "PARTITION", "START"}}
	for _, a := range answers.Sorted() {
		s.add(a.Topic, a.Partition, a.LowWatermark)
	}
	return s.write(std.out, c.Output)
}

type topicSizeCmd struct {
	connect
	Names []string `arg:"" optional:"" name:"name" help:"Topics; all if none is given."`
}

// Run lists how much of the disk each partition's log takes.
func (c *topicSizeCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	topics, err := adm.ListTopics(ctx, c.Names...)
	if err != nil {
		return err
	}
	for _, t := range topics.Sorted() {
		if t.Err != nil {
			return fmt.Errorf("topic %q: %w", t.Topic, t.Err)
		}
	}
	all, err := adm.DescribeAllLogDirs(ctx, topics.TopicsSet())
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"TOPIC", "PARTITION", "BYTES", "DIRECTORY"}}
	for _, d := range all.Sorted() {
		if d.Err != nil {
			return fmt.Errorf("directory %s: %w", d.Dir, d.Err)
		}
		for _, p := range d.Topics.Sorted() {
			s.add(p.Topic, p.Partition, p.Size, d.Dir)
		}
	}
	return s.write(std.out, c.Output)
}
