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
	Describe topicDescribeCmd `cmd:"" help:"Show a topic's partitions and configs."`
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
	answers, err := adm.CreateTopics(ctx, c.Partitions, -1, set, c.Names...)
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"TOPIC", "STATUS"}}
	inOrder := slices.SortedFunc(maps.Values(answers), func(a, b kadm.CreateTopicResponse) int {
		return cmp.Compare(slices.Index(c.Names, a.Topic), slices.Index(c.Names, b.Topic))
	})
	return c.each(std, &s, inOrder, func(a kadm.CreateTopicResponse) (string, string, error) {
		if c.IfNotExists && errors.Is(a.Err, kerr.TopicAlreadyExists) {
			return a.Topic, "exists", nil
		}
		return a.Topic, "created", told(a.Err, a.ErrMessage)
	})
}

// each fills s with one row an answer and fails if any of them did.
func (c *connect) each(std stdio, s *sheet, answers []kadm.CreateTopicResponse, row func(kadm.CreateTopicResponse) (string, string, error)) error {
	var failed []error
	for _, a := range answers {
		name, status, err := row(a)
		if err != nil {
			status = "failed: " + err.Error()
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
		}
		s.add(name, status)
	}
	if err := s.write(std.out, c.Output); err != nil {
		return err
	}
	return errors.Join(failed...)
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
}

// Run lists the topics.
func (c *topicListCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	topics, err := adm.ListTopics(ctx)
	if err != nil {
		return err
	}
	ends, err := adm.ListEndOffsets(ctx, topics.Names()...)
	if err != nil {
		return err
	}
	starts, err := adm.ListStartOffsets(ctx, topics.Names()...)
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"TOPIC", "PARTITIONS", "RECORDS"}}
	for _, t := range topics.Sorted() {
		var n int64
		for p := range t.Partitions {
			end, _ := ends.Lookup(t.Topic, p)
			start, _ := starts.Lookup(t.Topic, p)
			n += end.Offset - start.Offset
		}
		s.add(t.Topic, len(t.Partitions), n)
	}
	return s.write(std.out, c.Output)
}

type topicDescribeCmd struct {
	connect
	Name string `arg:"" help:"Topic."`
	All  bool   `help:"Show configs that have their default value, too."`
	// Configs is for CSV, which is one table.
	Configs bool `help:"Show the configs alone. CSV, which is one table, has the partitions without it."`
}

// Run describes one topic.
func (c *topicDescribeCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	topics, err := adm.ListTopics(ctx, c.Name)
	if err != nil {
		return err
	}
	t := topics[c.Name]
	if t.Err != nil {
		return ofTopic(c.Name, t.Err)
	}
	starts, err := adm.ListStartOffsets(ctx, c.Name)
	if err != nil {
		return err
	}
	ends, err := adm.ListEndOffsets(ctx, c.Name)
	if err != nil {
		return err
	}
	parts := sheet{Columns: []string{"PARTITION", "LEADER", "START", "END"}}
	for _, p := range t.Partitions.Sorted() {
		start, _ := starts.Lookup(c.Name, p.Partition)
		end, _ := ends.Lookup(c.Name, p.Partition)
		parts.add(p.Partition, p.Leader, start.Offset, end.Offset)
	}
	rcs, err := adm.DescribeTopicConfigs(ctx, c.Name)
	if err != nil {
		return err
	}
	configs := sheet{Columns: []string{"CONFIG", "VALUE", "SOURCE"}}
	for _, rc := range rcs {
		slices.SortFunc(rc.Configs, func(a, b kadm.Config) int { return strings.Compare(a.Key, b.Key) })
		for _, e := range rc.Configs {
			if source := e.Source.String(); c.All || source == "DYNAMIC_TOPIC_CONFIG" {
				configs.add(e.Key, e.MaybeValue(), source)
			}
		}
	}
	if c.Output == "json" && !c.Configs {
		return writeJSON(std.out, map[string]any{
			"topic": c.Name, "id": t.ID.String(), "partitions": objects(parts), "configs": objects(configs),
		})
	}
	switch {
	case c.Configs:
		return configs.write(std.out, c.Output)
	case c.Output == "csv":
		return parts.write(std.out, c.Output)
	}
	fmt.Fprintf(std.out, "%s  id %s  %d partitions\n\n", c.Name, t.ID, len(t.Partitions))
	if err := parts.write(std.out, c.Output); err != nil {
		return err
	}
	fmt.Fprintln(std.out)
	return configs.write(std.out, c.Output)
}

// objects turns a sheet's rows into objects by column.
func objects(s sheet) []map[string]any {
	out := make([]map[string]any, len(s.Rows))
	for i, row := range s.Rows {
		out[i] = map[string]any{}
		for j, v := range row {
			out[i][strings.ToLower(s.Columns[j])] = v
		}
	}
	return out
}

type topicAlterCmd struct {
	connect
	Name       string   `arg:"" help:"Topic."`
	Partitions int32    `short:"p" help:"New number of partitions; only ever more."`
	Set        []string `name:"set" short:"c" sep:"none" placeholder:"KEY=VALUE" help:"Set a config; KEY= without value sets it back to its default."`
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
		answers, err := adm.UpdatePartitions(ctx, int(c.Partitions), c.Name)
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
		answers, err := adm.AlterTopicConfigs(ctx, changes, c.Name)
		if err != nil {
			return err
		}
		for _, a := range answers {
			if a.Err != nil {
				return told(a.Err, a.ErrMessage)
			}
		}
	}
	return c.say(std, map[string]any{"topic": c.Name, "status": "changed"}, c.Name+" changed")
}

type topicDeleteCmd struct {
	connect
	Names []string `arg:"" name:"name" help:"Topics to delete."`
}

// Run deletes the topics.
func (c *topicDeleteCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	answers, err := adm.DeleteTopics(ctx, c.Names...)
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"TOPIC", "STATUS"}}
	var failed []error
	for _, a := range answers.Sorted() {
		status := "deleted"
		if err := told(a.Err, a.ErrMessage); err != nil {
			status = "failed: " + err.Error()
			failed = append(failed, fmt.Errorf("%s: %w", a.Topic, err))
		}
		s.add(a.Topic, status)
	}
	if err := s.write(std.out, c.Output); err != nil {
		return err
	}
	return errors.Join(failed...)
}
