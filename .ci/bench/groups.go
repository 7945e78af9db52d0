package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// groupPartitions is how many partitions the members of a group share.
const groupPartitions = 100

// groups measures how long groups of both protocols take to form, and to hand
// over what a member had that leaves.
func (b *bench) groups() error {
	s, err := b.serve("groups")
	if err != nil {
		return err
	}
	if err := s.topic("shared", groupPartitions, nil); err != nil {
		return err
	}
	for _, protocol := range []string{"classic", "consumer"} {
		for _, members := range []int{1, 10, 100} {
			err := b.each(func(run int) error { return b.group(s, protocol, members, run) })
			if err != nil {
				return fmt.Errorf("%s group of %d: %w", protocol, members, err)
			}
		}
	}
	return s.end()
}

// group forms a group and loses one of its members, if there is another.
func (b *bench) group(s *server, protocol string, members, run int) error {
	o := owners{of: map[int32]int{}, changed: make(chan struct{}, 1)}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	name := fmt.Sprintf("%s group, %d members: ", protocol, members)
	begun := time.Now()
	var clients []*kgo.Client
	defer func() {
		var all sync.WaitGroup
		for _, cl := range clients {
			all.Go(cl.Close)
		}
		all.Wait()
	}()
	for n := range members {
		opts := []kgo.Opt{
			kgo.ConsumerGroup(fmt.Sprintf("%s-%d-%d", protocol, members, run)), kgo.ConsumeTopics("shared"),
			kgo.OnPartitionsAssigned(o.take(n)), kgo.OnPartitionsRevoked(o.give(n)), kgo.OnPartitionsLost(o.give(n)),
		}
		if protocol == "consumer" {
			opts = append(opts, kgo.ServerSideBalancer())
		}
		cl, err := s.client(opts...)
		if err != nil {
			return err
		}
		clients = append(clients, cl)
	}
	if err := o.await(ctx, members); err != nil {
		return err
	}
	b.table.add(name+"form", "ms", float64(time.Since(begun))/1e6, 0, "")
	if members == 1 {
		return nil
	}
	begun = time.Now()
	clients[0].Close()
	clients = clients[1:]
	if err := o.await(ctx, members-1); err != nil {
		return err
	}
	b.table.add(name+"lose one", "ms", float64(time.Since(begun))/1e6, 0, "")
	return nil
}

// owners tells who has which partition.
type owners struct {
	mu      sync.Mutex
	of      map[int32]int
	changed chan struct{}
}

type rebalanced = func(context.Context, *kgo.Client, map[string][]int32)

func (o *owners) take(member int) rebalanced {
	return o.change(func(p int32) { o.of[p] = member })
}

func (o *owners) give(member int) rebalanced {
	return o.change(func(p int32) {
		if o.of[p] == member {
			delete(o.of, p)
		}
	})
}

func (o *owners) change(f func(partition int32)) rebalanced {
	return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, p := range topics["shared"] {
			f(p)
		}
		select {
		case o.changed <- struct{}{}:
		default:
		}
	}
}

// await waits until all partitions have owners, so many of them.
func (o *owners) await(ctx context.Context, members int) error {
	for {
		o.mu.Lock()
		who := map[int]bool{}
		for _, m := range o.of {
			who[m] = true
		}
		owned := len(o.of)
		o.mu.Unlock()
		if owned == groupPartitions && len(who) == members {
			return nil
		}
		select {
		case <-o.changed:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), fmt.Errorf("%d of %d partitions have owners, %d of %d members", owned, groupPartitions, len(who), members))
		}
	}
}
