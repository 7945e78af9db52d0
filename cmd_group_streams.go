package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

// streams describes a streams group (KIP-1071) as far as it is told by lists and
// offsets: who has which task only Kafka's own tool shows.
func (c *groupDescribeCmd) streams(ctx context.Context, adm *kadm.Client, std stdio) error {
	listed, err := adm.ListGroupsByType(ctx, []string{"streams"})
	if err != nil {
		return err
	}
	g, ok := listed[c.Name]
	if !ok {
		return fmt.Errorf("group %q does not exist", c.Name)
	}
	offsets, err := adm.FetchOffsets(ctx, c.Name)
	if err != nil {
		return fmt.Errorf("offsets of group %q: %w", c.Name, err)
	}
	var ends kadm.ListedOffsets
	if topics := offsets.Partitions().Topics(); len(topics) > 0 {
		if ends, err = adm.ListEndOffsets(ctx, topics...); err != nil {
			return fmt.Errorf("ends of logs: %w", err)
		}
	}
	s := sheet{Columns: []string{"TOPIC", "PARTITION", "OFFSET", "END", "LAG"}}
	total := int64(0)
	for _, o := range offsets.Sorted() {
		end, _ := ends.Lookup(o.Topic, o.Partition)
		lag := max(end.Offset-o.At, 0)
		total += lag
		s.add(o.Topic, o.Partition, o.At, end.Offset, lag)
	}
	if c.Output == "text" {
		fmt.Fprintf(std.out, "%s  %s  streams  lag %d\n\n", g.Group, g.State, total)
	}
	return s.write(std.out, c.Output)
}
