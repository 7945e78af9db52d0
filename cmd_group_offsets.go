package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

type groupSeekCmd struct {
	connect
	Name       string    `arg:"" help:"Group; it must have no members."`
	Topics     []string  `arg:"" optional:"" name:"topic" help:"Topics; all that the group has offsets of if none is given."`
	To         placeFlag `required:"" placeholder:"WHERE" help:"start, end, an offset, +N after the start, -N before the end, or a time: @2026-01-31T12:00:00Z, @-1h."`
	Partitions []int32   `name:"partition" short:"p" aliases:"partitions" placeholder:"N,…" help:"Only these partitions."`
	dryRunFlag
	Share bool `help:"It is a share group; one that does not exist is made."`
}

// Help shows examples.
func (c *groupSeekCmd) Help() string {
	return `The table shows each partition's offset before and after.

  tarn group seek billing --to @-1h --dry-run
  tarn group seek billing orders --to start
  tarn group seek billing orders -p 0 --to 41
  tarn group seek workers jobs --share --to end`
}

// Run sets the group's offsets on the topics, or where a share group begins.
func (c *groupSeekCmd) Run(ctx context.Context, std stdio) error {
	to, err := parsePlace(string(c.To), time.Now(), false)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	before, err := c.before(ctx, adm)
	if err != nil {
		return err
	}
	topics := c.Topics
	if len(topics) == 0 {
		if topics = slices.Sorted(maps.Keys(before)); len(topics) == 0 {
			return fmt.Errorf("group %q has no offsets: name the topics", c.Name)
		}
	}
	offsets, s := kadm.Offsets{}, sheet{Columns: []string{"TOPIC", "PARTITION", "BEFORE", "AFTER", "MOVE"}}
	for _, topic := range topics {
		places, err := placesOf(ctx, adm, topic, to, c.Partitions)
		if err != nil {
			return err
		}
		for _, p := range slices.Sorted(maps.Keys(places)) {
			offsets.AddOffset(topic, p, places[p], -1)
			was, move := any(nil), any(nil)
			if o, ok := before[topic][p]; ok {
				was, move = o, signed(places[p]-o)
			}
			s.add(topic, p, was, places[p], move)
		}
	}
	if !c.DryRun {
		if err := c.set(ctx, adm, offsets); err != nil {
			return fmt.Errorf("group %q: %w", c.Name, err)
		}
	}
	return s.write(std.out, c.Output)
}

// signed is a number that people see with its sign.
type signed int64

func (n signed) String() string { return fmt.Sprintf("%+d", int64(n)) }

// before are the group's offsets as they are; none if it does not exist.
func (c *groupSeekCmd) before(ctx context.Context, adm *kadm.Client) (map[string]map[int32]int64, error) {
	out := map[string]map[int32]int64{}
	add := func(topic string, partition int32, at int64) {
		if out[topic] == nil {
			out[topic] = map[int32]int64{}
		}
		if at >= 0 {
			out[topic][partition] = at
		}
	}
	if c.Share {
		all, err := adm.DescribeShareGroupOffsets(ctx, c.Name)
		if err != nil {
			return nil, err
		}
		for _, o := range all[c.Name].Offsets.Sorted() {
			add(o.Topic, o.Partition, o.StartOffset)
		}
		return out, nil
	}
	offsets, err := adm.FetchOffsets(ctx, c.Name)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("offsets of group %q: %w", c.Name, err)
	}
	for _, o := range offsets.Sorted() {
		add(o.Topic, o.Partition, o.At)
	}
	return out, nil
}

func (c *groupSeekCmd) set(ctx context.Context, adm *kadm.Client, offsets kadm.Offsets) error {
	if c.Share {
		answers, err := adm.AlterShareGroupOffsets(ctx, c.Name, offsets)
		return errors.Join(err, answers.Error())
	}
	answers, err := adm.CommitOffsets(ctx, c.Name, offsets)
	if err = errors.Join(err, answers.Error()); errors.Is(err, kerr.UnknownMemberID) {
		err = fmt.Errorf("it has members, which would go on from where they are: stop them first: %w", err)
	}
	return err
}

// placesOf finds the offset of a place in the chosen partitions of a topic, all if
// none is chosen.
func placesOf(ctx context.Context, adm *kadm.Client, topic string, p logPlace, chosen []int32) (map[int32]int64, error) {
	b, err := logBounds(ctx, adm, topic, false)
	if err != nil {
		return nil, err
	}
	places, err := b.resolve(ctx, adm, topic, p)
	if err != nil {
		return nil, err
	}
	for _, want := range chosen {
		if _, ok := places[want]; !ok {
			return nil, fmt.Errorf("topic %q has no partition %d", topic, want)
		}
	}
	maps.DeleteFunc(places, func(p int32, _ int64) bool { return len(chosen) > 0 && !slices.Contains(chosen, p) })
	return places, nil
}

type groupForgetCmd struct {
	connect
	dryRunFlag
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
	var answers kadm.DeleteOffsetsResponses
	if c.DryRun {
		answers, err = c.wouldForget(ctx, adm, set)
	} else {
		answers, err = adm.DeleteOffsets(ctx, c.Name, set)
	}
	if err != nil {
		return err
	}
	s, failed := sheet{Columns: []string{"TOPIC", "PARTITION", "STATUS"}}, []error(nil)
	for _, t := range set.Sorted() {
		for _, p := range t.Partitions {
			status := c.did("deleted")
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

// wouldForget is what the broker would answer to a deletion of the group's offsets: those
// of topics that a member reads stay.
func (c *groupForgetCmd) wouldForget(ctx context.Context, adm *kadm.Client, set kadm.TopicsSet) (kadm.DeleteOffsetsResponses, error) {
	read, err := c.read(ctx, adm)
	if err != nil {
		return nil, err
	}
	out := kadm.DeleteOffsetsResponses{}
	for topic, partitions := range set {
		out[topic] = map[int32]error{}
		for p := range partitions {
			if slices.Contains(read, topic) {
				out[topic][p] = kerr.GroupSubscribedToTopic
			} else {
				out[topic][p] = nil
			}
		}
	}
	return out, nil
}

// read lists the topics that members of the group read.
func (c *groupForgetCmd) read(ctx context.Context, adm *kadm.Client) (topics []string, err error) {
	classic, err := adm.DescribeGroups(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	g := classic[c.Name]
	switch {
	case errors.Is(g.Err, kerr.GroupIDNotFound), g.Err == nil && g.State == "Dead":
		all, err := adm.DescribeConsumerGroups(ctx, c.Name)
		if err != nil {
			return nil, err
		}
		for _, m := range all[c.Name].Members {
			topics = append(append(topics, m.SubscribedTopics...), m.Assignment.Topics()...)
		}
		return topics, all[c.Name].Err
	case g.Err != nil:
		return nil, g.Err
	case g.State != "Empty" && g.ProtocolType != "consumer":
		return nil, kerr.NonEmptyGroup
	}
	for _, m := range g.Members {
		if joined, ok := m.Join.AsConsumer(); ok {
			topics = append(topics, joined.Topics...)
		}
	}
	return topics, nil
}
