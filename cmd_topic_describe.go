package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

type topicDescribeCmd struct {
	connect
	regexFlag
	Names []string `arg:"" name:"name" help:"Topics, or with -r patterns of their names."`
	All   bool     `help:"Show configs that have their default value, too."`
	// Configs is for CSV, which is one table.
	Configs bool `help:"Show the configs alone. CSV, which is one table, has the partitions without it."`
}

// Help shows examples.
func (c *topicDescribeCmd) Help() string {
	return `JSON of one topic that is named is an item, else it is items; CSV has the topic's
name in front then.

  tarn topic describe orders --all
  tarn topic describe orders users --output json
  tarn topic describe -r 'shop\..*' --configs`
}

// described is what is shown of one topic.
type described struct {
	topic          kadm.TopicDetail
	parts, configs sheet
}

// Run describes topics. One that is not there does not keep the others from being shown.
func (c *topicDescribeCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	found, err := c.some(ctx, adm, c.Names)
	if err != nil {
		return err
	}
	var missing []error
	for _, t := range found.Sorted() {
		if t.Err != nil {
			missing = append(missing, ofTopic(t.Topic, t.Err))
			delete(found, t.Topic)
		}
	}
	if len(found) == 0 {
		return errors.Join(missing...)
	}
	all, err := c.look(ctx, adm, found)
	if err != nil {
		return err
	}
	return errors.Join(append([]error{c.show(std, all)}, missing...)...)
}

// look asks for what is shown of topics, in order of their names.
func (c *topicDescribeCmd) look(ctx context.Context, adm *kadm.Client, topics kadm.TopicDetails) ([]described, error) {
	starts, err := adm.ListStartOffsets(ctx, topics.Names()...)
	if err != nil {
		return nil, err
	}
	ends, err := adm.ListEndOffsets(ctx, topics.Names()...)
	if err != nil {
		return nil, err
	}
	rcs, err := adm.DescribeTopicConfigs(ctx, topics.Names()...)
	if err != nil {
		return nil, err
	}
	var out []described
	for _, t := range topics.Sorted() {
		d := described{t, sheet{Columns: []string{"PARTITION", "LEADER", "START", "END"}}, sheet{Columns: []string{"CONFIG", "VALUE", "SOURCE"}}}
		for _, p := range t.Partitions.Sorted() {
			start, _ := starts.Lookup(t.Topic, p.Partition)
			end, _ := ends.Lookup(t.Topic, p.Partition)
			d.parts.add(p.Partition, p.Leader, start.Offset, end.Offset)
		}
		for _, rc := range rcs {
			if rc.Name != t.Topic {
				continue
			}
			slices.SortFunc(rc.Configs, func(a, b kadm.Config) int { return strings.Compare(a.Key, b.Key) })
			for _, e := range rc.Configs {
				if source := e.Source.String(); c.All || source == "DYNAMIC_TOPIC_CONFIG" {
					d.configs.add(e.Key, e.MaybeValue(), source)
				}
			}
		}
		out = append(out, d)
	}
	return out, nil
}

// show writes topics: each by itself for people, in one table for CSV and for configs alone.
func (c *topicDescribeCmd) show(std stdio, all []described) error {
	one := len(all) == 1 && len(c.Names) == 1 && !c.Regex
	switch {
	case c.Configs || c.Output == "csv":
		of := func(d described) sheet { return d.parts }
		if c.Configs {
			of = func(d described) sheet { return d.configs }
		}
		s := of(all[0])
		if !one {
			s = sheet{Columns: append([]string{"TOPIC"}, s.Columns...)}
			for _, d := range all {
				for _, row := range of(d).Rows {
					s.add(append([]any{d.topic.Topic}, row...)...)
				}
			}
		}
		return s.write(std.out, c.Output)
	case c.Output == "json":
		items := make([]map[string]any, len(all))
		for i, d := range all {
			items[i] = map[string]any{
				"topic": d.topic.Topic, "id": d.topic.ID.String(), "partitions": objects(d.parts), "configs": objects(d.configs),
			}
		}
		if one {
			return writeJSON(std.out, items[0])
		}
		return writeJSON(std.out, items)
	}
	for i, d := range all {
		if i > 0 {
			fmt.Fprintln(std.out)
		}
		fmt.Fprintf(std.out, "%s  id %s  %d partitions\n\n", d.topic.Topic, d.topic.ID, len(d.topic.Partitions))
		if err := d.parts.write(std.out, c.Output); err != nil {
			return err
		}
		fmt.Fprintln(std.out)
		if err := d.configs.write(std.out, c.Output); err != nil {
			return err
		}
	}
	return nil
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
