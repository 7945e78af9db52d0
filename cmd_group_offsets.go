package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

type groupSeekCmd struct {
	connect
	Name      string `arg:"" help:"Group; it must have no members."`
	Topic     string `arg:"" help:"Topic."`
	To        string `required:"" placeholder:"WHERE" help:"start, end, an offset, or a time such as 2026-01-31T12:00:00Z."`
	Partition int32  `default:"-1" help:"Only this partition."`
	Share     bool   `help:"It is a share group; one that does not exist is made."`
}

// Run sets the group's offsets on the topic, or where a share group begins.
func (c *groupSeekCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	found, err := whereTo(ctx, adm, c.To, c.Topic)
	if err != nil {
		return err
	}
	offsets, s := kadm.Offsets{}, sheet{Columns: []string{"TOPIC", "PARTITION", "OFFSET"}}
	for _, o := range sortedOffsets(found[c.Topic]) {
		if o.Err != nil {
			return fmt.Errorf("topic %q partition %d: %w", c.Topic, o.Partition, o.Err)
		}
		if c.Partition < 0 || o.Partition == c.Partition {
			offsets.AddOffset(c.Topic, o.Partition, o.Offset, -1)
			s.add(c.Topic, o.Partition, o.Offset)
		}
	}
	if len(s.Rows) == 0 {
		return fmt.Errorf("topic %q has no partition %d", c.Topic, c.Partition)
	}
	if err := c.set(ctx, adm, offsets); err != nil {
		return fmt.Errorf("group %q: %w", c.Name, err)
	}
	return s.write(std.out, c.Output)
}

func (c *groupSeekCmd) set(ctx context.Context, adm *kadm.Client, offsets kadm.Offsets) error {
	if c.Share {
		answers, err := adm.AlterShareGroupOffsets(ctx, c.Name, offsets)
		return errors.Join(err, answers.Error())
	}
	answers, err := adm.CommitOffsets(ctx, c.Name, offsets)
	return errors.Join(err, answers.Error())
}

// whereTo finds the offsets of a topic that a word means.
func whereTo(ctx context.Context, adm *kadm.Client, word, topic string) (kadm.ListedOffsets, error) {
	switch word {
	case "start":
		return adm.ListStartOffsets(ctx, topic)
	case "end":
		return adm.ListEndOffsets(ctx, topic)
	}
	if at, err := time.Parse(time.RFC3339, word); err == nil {
		return adm.ListOffsetsAfterMilli(ctx, at.UnixMilli(), topic)
	}
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%q is none of start, end, an offset, or a time such as 2026-01-31T12:00:00Z", word)
	}
	all, err := adm.ListStartOffsets(ctx, topic)
	for p, o := range all[topic] {
		o.Offset = n
		all[topic][p] = o
	}
	return all, err
}

// sortedOffsets lists the offsets of a topic by partition.
func sortedOffsets(all map[int32]kadm.ListedOffset) []kadm.ListedOffset {
	out := make([]kadm.ListedOffset, 0, len(all))
	for p := range int32(len(all)) {
		if o, ok := all[p]; ok {
			out = append(out, o)
		}
	}
	return out
}

type groupForgetCmd struct {
	connect
	Name   string   `arg:"" help:"Group."`
	Topics []string `arg:"" name:"topic" help:"Topics whose offsets go; no member may be reading them."`
}

// Run deletes the group's offsets of whole topics.
func (c *groupForgetCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	committed, err := adm.FetchOffsets(ctx, c.Name)
	if err != nil {
		return err
	}
	var set kadm.TopicsSet
	for _, topic := range c.Topics {
		for p := range committed[topic] {
			set.Add(topic, p)
		}
		if len(committed[topic]) == 0 {
			return fmt.Errorf("group %q has no offsets of topic %q", c.Name, topic)
		}
	}
	answers, err := adm.DeleteOffsets(ctx, c.Name, set)
	if err != nil {
		return err
	}
	s, failed := sheet{Columns: []string{"TOPIC", "PARTITION", "STATUS"}}, []error(nil)
	for _, t := range set.Sorted() {
		for _, p := range t.Partitions {
			status := "deleted"
			if err, _ := answers.Lookup(t.Topic, p); err != nil {
				status = "failed: " + err.Error()
				failed = append(failed, fmt.Errorf("%s partition %d: %w", t.Topic, p, err))
			}
			s.add(t.Topic, p, status)
		}
	}
	if err := s.write(std.out, c.Output); err != nil {
		return err
	}
	return errors.Join(failed...)
}
