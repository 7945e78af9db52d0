package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

type topicTrimCmd struct {
	connect
	Name       string    `arg:"" help:"Topic."`
	Before     placeFlag `required:"" placeholder:"WHERE" help:"Delete records before this: end, an offset, +N after the start, -N before the end, or a time: @2026-01-31T12:00:00Z, @-7d."`
	Partitions []int32   `name:"partition" short:"p" aliases:"partitions" placeholder:"N,…" help:"Only these partitions."`
	dryRunFlag
}

// Help shows examples.
func (c *topicTrimCmd) Help() string {
	return `Tables keep what they have.

  tarn topic trim orders --before @-7d --dry-run
  tarn topic trim orders --before end
  tarn topic trim orders -p 0 --before 41`
}

// Run deletes the oldest records.
func (c *topicTrimCmd) Run(ctx context.Context, std stdio) error {
	to, err := parsePlace(string(c.Before), time.Now(), false)
	if err != nil {
		return fmt.Errorf("--before: %w", err)
	}
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	places, err := placesOf(ctx, adm, c.Name, to, c.Partitions)
	if err != nil {
		return err
	}
	offsets, s := kadm.Offsets{}, sheet{Columns: []string{"TOPIC", "PARTITION", "START"}}
	for _, p := range slices.Sorted(maps.Keys(places)) {
		offsets.AddOffset(c.Name, p, places[p], -1)
		s.add(c.Name, p, places[p])
	}
	if c.DryRun {
		return s.write(std.out, c.Output)
	}
	s.Rows = nil
	answers, err := adm.DeleteRecords(ctx, offsets)
	if err != nil {
		return err
	}
	if err := answers.Error(); err != nil {
		return fmt.Errorf("topic %q: %w", c.Name, err)
	}
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
