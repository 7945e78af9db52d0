package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

// shares describes a share group (KIP-932), which has no committed offsets: a
// partition begins where all before it is done, and may have several members.
func (c *groupDescribeCmd) shares(ctx context.Context, adm *kadm.Client, std stdio) error {
	described, err := adm.DescribeShareGroups(ctx, c.Name)
	if err != nil {
		return err
	}
	g := described[c.Name]
	if g.Err != nil {
		return fmt.Errorf("group %q: %w", c.Name, g.Err)
	}
	all, err := adm.DescribeShareGroupOffsets(ctx, c.Name)
	if err != nil {
		return err
	}
	offsets := all[c.Name]
	if err := errors.Join(offsets.Err, offsets.Offsets.Error()); err != nil {
		return fmt.Errorf("offsets of group %q: %w", c.Name, err)
	}
	s := sheet{Columns: []string{"TOPIC", "PARTITION", "START", "LAG", "MEMBERS"}}
	total := int64(0)
	for _, o := range offsets.Offsets.Sorted() {
		members := 0
		for _, m := range g.Members {
			if m.Assignment.Lookup(o.Topic, o.Partition) {
				members++
			}
		}
		total += max(o.Lag, 0)
		s.add(o.Topic, o.Partition, o.StartOffset, o.Lag, members)
	}
	if c.Output == "text" {
		fmt.Fprintf(std.out, "%s  %s  %d members  lag %d\n\n", g.GroupID, g.GroupState, len(g.Members), total)
	}
	return s.write(std.out, c.Output)
}
