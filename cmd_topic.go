package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

type topicCmd struct {
	Create   topicCreateCmd   `cmd:"" help:"Create topics."`
	List     topicListCmd     `cmd:"" help:"List topics."`
	Describe topicDescribeCmd `cmd:"" help:"Show partitions and configs of topics."`
	Alter    topicAlterCmd    `cmd:"" help:"Change configs or add partitions."`
	Trim     topicTrimCmd     `cmd:"" help:"Delete a topic's oldest records."`
	Replay   topicReplayCmd   `cmd:"" help:"Copy records of a topic into another one, at the pace at which they came, or another."`
	Size     topicSizeCmd     `cmd:"" help:"Show how many bytes the logs take."`
	Redrive  topicRedriveCmd  `cmd:"" help:"Hold a topic's dead letters against its schema again, and produce those that fit now."`
	Delete   topicDeleteCmd   `cmd:"" help:"Delete topics with all their records; their tables stay."`
}

type topicCreateCmd struct {
	connect
	Names       []string `arg:"" name:"name" help:"Topics to create."`
	Partitions  int32    `short:"p" default:"-1" help:"Number of partitions; the broker's default if not given."`
	Set         []string `name:"set" short:"c" sep:"none" placeholder:"KEY=VALUE" help:"Topic config; may be repeated."`
	IfNotExists bool     `help:"Succeed if a topic is there already."`
	dryRunFlag
}

// Run creates the topics.
func (c *topicCreateCmd) Run(ctx context.Context, std stdio) error {
	configs, err := keyValues(c.Set)
	if err != nil {
		return err
	}
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	set := map[string]*string{}
	for k, v := range configs {
		set[k] = &v
	}
	create := adm.CreateTopics
	if c.DryRun {
		create = adm.ValidateCreateTopics
	}
	answers, err := create(ctx, c.Partitions, -1, set, c.Names...)
	if err != nil {
		return err
	}
	inOrder := slices.SortedFunc(maps.Values(answers), func(a, b kadm.CreateTopicResponse) int {
		return cmp.Compare(slices.Index(c.Names, a.Topic), slices.Index(c.Names, b.Topic))
	})
	var all []deed
	for _, a := range inOrder {
		one := deed{a.Topic, c.did("created"), told(a.Err, a.ErrMessage)}
		if c.IfNotExists && errors.Is(a.Err, kerr.TopicAlreadyExists) {
			one = deed{a.Topic, "exists", nil}
		}
		all = append(all, one)
	}
	return c.tell(std, "TOPIC", all)
}

// told joins a protocol error with the broker's own words.
func told(err error, message string) error {
	if err != nil && message != "" {
		return &toldError{err, message}
	}
	return err
}

// toldError is a protocol error with the broker's own words. These say what is wrong,
// so the general ones that every such error has are left out.
type toldError struct {
	err   error
	words string
}

func (e *toldError) Error() string {
	name := e.err.Error()
	var code *kerr.Error
	if errors.As(e.err, &code) {
		name = code.Message
	}
	return name + ": " + e.words
}

func (e *toldError) Unwrap() error { return e.err }

// ofTopic says which topic an error is about, and what to do if there is none.
func ofTopic(topic string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return &toldError{kerr.UnknownTopicOrPartition, fmt.Sprintf("topic %q does not exist: tarn topic list shows those that do, tarn topic create %s makes it", topic, topic)}
	}
	return fmt.Errorf("topic %q: %w", topic, err)
}

// keyValues splits KEY=VALUE words.
func keyValues(words []string) (map[string]string, error) {
	out := map[string]string{}
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("-c %q is not KEY=VALUE", w)
		}
		if _, twice := out[k]; twice {
			return nil, fmt.Errorf("-c %s is given twice", k)
		}
		out[k] = v
	}
	return out, nil
}

type topicListCmd struct {
	connect
	regexFlag
	Names []string `arg:"" optional:"" name:"name" help:"Topics, or with -r patterns of their names; all if none is given."`
}

// Help shows examples.
func (c *topicListCmd) Help() string {
	return `tarn topic delete takes the same patterns: look here what they fit.

  tarn topic list
  tarn topic list orders users --output json
  tarn topic list -r 'shop\..*' '.*-dlq'`
}

// Run lists topics. One that is not there does not keep the others from being listed.
func (c *topicListCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	topics, err := c.find(ctx, adm, c.Names)
	if err != nil {
		return err
	}
	var missing []error
	for _, t := range topics.Sorted() {
		if t.Err != nil {
			missing = append(missing, ofTopic(t.Topic, t.Err))
			delete(topics, t.Topic)
		}
	}
	s := sheet{Columns: []string{"TOPIC", "PARTITIONS", "RECORDS"}}
	if len(topics) == 0 { // no names ask for the offsets of all topics
		return errors.Join(append([]error{s.write(std.out, c.Output)}, missing...)...)
	}
	ends, err := adm.ListEndOffsets(ctx, topics.Names()...)
	if err != nil {
		return err
	}
	starts, err := adm.ListStartOffsets(ctx, topics.Names()...)
	if err != nil {
		return err
	}
	for _, t := range topics.Sorted() {
		var n int64
		for p := range t.Partitions {
			end, _ := ends.Lookup(t.Topic, p)
			start, _ := starts.Lookup(t.Topic, p)
			n += end.Offset - start.Offset
		}
		s.add(t.Topic, len(t.Partitions), n)
	}
	return errors.Join(append([]error{s.write(std.out, c.Output)}, missing...)...)
}

type topicAlterCmd struct {
	connect
	Name       string   `arg:"" help:"Topic."`
	Partitions int32    `short:"p" placeholder:"N" help:"New number of partitions; only ever more."`
	Set        []string `name:"set" short:"c" sep:"none" placeholder:"KEY=VALUE" help:"Set a config; KEY= without value sets it back to its default."`
	dryRunFlag
}

// Run changes one topic.
func (c *topicAlterCmd) Run(ctx context.Context, std stdio) error {
	configs, err := keyValues(c.Set)
	if err != nil {
		return err
	}
	if len(configs) == 0 && c.Partitions == 0 {
		return errors.New("nothing to change: give -c KEY=VALUE or -p N")
	}
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	if c.Partitions != 0 {
		update := adm.UpdatePartitions
		if c.DryRun {
			update = adm.ValidateUpdatePartitions
		}
		answers, err := update(ctx, int(c.Partitions), c.Name)
		if err != nil {
			return err
		}
		if a := answers[c.Name]; a.Err != nil {
			return told(a.Err, a.ErrMessage)
		}
	}
	var changes []kadm.AlterConfig
	for k, v := range configs {
		ch := kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: &v}
		if v == "" {
			ch = kadm.AlterConfig{Op: kadm.DeleteConfig, Name: k}
		}
		changes = append(changes, ch)
	}
	if len(changes) > 0 {
		alter := adm.AlterTopicConfigs
		if c.DryRun {
			alter = adm.ValidateAlterTopicConfigs
		}
		answers, err := alter(ctx, changes, c.Name)
		if err != nil {
			return err
		}
		for _, a := range answers {
			if a.Err != nil {
				return told(a.Err, a.ErrMessage)
			}
		}
	}
	return c.say(std, map[string]any{"topic": c.Name, "status": c.did("changed")}, c.Name+" "+c.did("changed"))
}

type topicDeleteCmd struct {
	connect
	regexFlag
	dryRunFlag
	Names []string `arg:"" name:"name" help:"Topics to delete, or with -r patterns of their names."`
}

// Help shows examples.
func (c *topicDeleteCmd) Help() string {
	return `Tables and schemas of the topics stay.

  tarn topic delete orders users
  tarn topic delete -r 'test-.*' --dry-run`
}

// Run deletes the topics.
func (c *topicDeleteCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	names, all := c.Names, []deed(nil)
	if c.Regex || c.DryRun {
		found, err := c.some(kadm.WithAuthorizedOps(ctx), adm, names)
		if err != nil {
			return err
		}
		names = found.Names()
		for _, t := range found.Sorted() {
			all = append(all, deed{t.Topic, c.did("deleted"), wouldDelete(t)})
		}
	}
	if !c.DryRun {
		answers, err := adm.DeleteTopics(ctx, names...)
		if err != nil {
			return err
		}
		all = nil
		for _, a := range answers.Sorted() {
			all = append(all, deed{a.Topic, c.did("deleted"), told(a.Err, a.ErrMessage)})
		}
	}
	return c.tell(std, "TOPIC", all)
}
