package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// consumers describes a group of the consumer protocol (KIP-848), whose members
// DescribeGroups does not know.
func (c *groupDescribeCmd) consumers(ctx context.Context, adm *kadm.Client, std stdio) error {
	described, err := adm.DescribeConsumerGroups(ctx, c.Name)
	if err != nil {
		return err
	}
	g := described[c.Name]
	if errors.Is(g.Err, kerr.GroupIDNotFound) {
		return c.shares(ctx, adm, std)
	}
	if g.Err != nil {
		return fmt.Errorf("group %q: %w", c.Name, g.Err)
	}
	offsets, err := adm.FetchOffsets(ctx, c.Name)
	if err != nil {
		return fmt.Errorf("offsets of group %q: %w", c.Name, err)
	}
	all := described.AssignedPartitions()
	all.Merge(offsets.Partitions())
	var ends kadm.ListedOffsets
	if len(all) > 0 {
		if ends, err = adm.ListEndOffsets(ctx, all.Topics()...); err != nil {
			return fmt.Errorf("ends of logs: %w", err)
		}
	}
	s := sheet{Columns: []string{"TOPIC", "PARTITION", "OFFSET", "END", "LAG", "MEMBER", "CLIENT", "HOST"}}
	total := int64(0)
	for _, t := range all.Sorted() {
		for _, p := range t.Partitions {
			at := int64(-1)
			if o, ok := offsets.Lookup(t.Topic, p); ok {
				at = o.At
			}
			end, _ := ends.Lookup(t.Topic, p)
			lag := max(end.Offset-max(at, 0), 0)
			total += lag
			member, client, host := "-", "-", "-"
			for _, m := range g.Members {
				if m.Assignment.Lookup(t.Topic, p) {
					member, client, host = m.MemberID, m.ClientID, m.ClientHost
				}
			}
			s.add(t.Topic, p, at, end.Offset, lag, member, client, host)
		}
	}
	if c.Output == "text" {
		fmt.Fprintf(std.out, "%s  %s  %d members  lag %d\n\n", g.Group, g.State, len(g.Members), total)
	}
	return s.write(std.out, c.Output)
}
