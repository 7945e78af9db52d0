package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

// streams describes a streams group (KIP-1071) as far as it is told by lists and
// offsets: who has which task only Kafka's own tool shows.
func (c *groupDescribeCmd) streams(ctx context.Context, adm *kadm.Client) (*groupView, error) {
	listed, err := adm.ListGroupsByType(ctx, []string{"streams"})
	if err != nil {
		return nil, err
	}
	g, ok := listed[c.Name]
	if !ok {
		return nil, fmt.Errorf("group %q does not exist", c.Name)
	}
	offsets, err := adm.FetchOffsets(ctx, c.Name)
	if err != nil {
		return nil, fmt.Errorf("offsets of group %q: %w", c.Name, err)
	}
	var ends kadm.ListedOffsets
	if topics := offsets.Partitions().Topics(); len(topics) > 0 {
		if ends, err = adm.ListEndOffsets(ctx, topics...); err != nil {
			return nil, fmt.Errorf("ends of logs: %w", err)
		}
	}
	v := &groupView{Group: g.Group, State: g.State, Type: "streams"}
	for _, o := range offsets.Sorted() {
		end, _ := ends.Lookup(o.Topic, o.Partition)
		v.add(groupLine{Topic: o.Topic, Partition: o.Partition, Offset: o.At, End: end.Offset, Lag: end.Offset - o.At})
	}
	return v, nil
}
