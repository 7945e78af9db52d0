package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

// consumers describes a group of the consumer protocol (KIP-848), whose members
// DescribeGroups does not know.
func (c *groupDescribeCmd) consumers(ctx context.Context, adm *kadm.Client) (*groupView, error) {
	described, err := adm.DescribeConsumerGroups(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	g := described[c.Name]
	if g.Err != nil {
		return nil, fmt.Errorf("group %q: %w", c.Name, g.Err)
	}
	offsets, err := adm.FetchOffsets(ctx, c.Name)
	if err != nil {
		return nil, fmt.Errorf("offsets of group %q: %w", c.Name, err)
	}
	all := described.AssignedPartitions()
	all.Merge(offsets.Partitions())
	var ends kadm.ListedOffsets
	if len(all) > 0 {
		if ends, err = adm.ListEndOffsets(ctx, all.Topics()...); err != nil {
			return nil, fmt.Errorf("ends of logs: %w", err)
		}
	}
	v := &groupView{Group: g.Group, State: g.State, Type: "consumer", Members: len(g.Members)}
	for _, t := range all.Sorted() {
		for _, p := range t.Partitions {
			at := int64(-1)
			if o, ok := offsets.Lookup(t.Topic, p); ok {
				at = o.At
			}
			end, _ := ends.Lookup(t.Topic, p)
			one := groupLine{Topic: t.Topic, Partition: p, Offset: at, End: end.Offset, Lag: end.Offset - max(at, 0)}
			for _, m := range g.Members {
				if m.Assignment.Lookup(t.Topic, p) {
					one.Member, one.Client, one.Host = m.MemberID, m.ClientID, m.ClientHost
				}
			}
			v.add(one)
		}
	}
	return v, nil
}
