package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// pollWait is how long a command waits for records before it looks whether
	// there are any to come.
	pollWait = time.Second
	// memberLeave bounds the last commit or acknowledgement of a member that was
	// interrupted, and its leaving.
	memberLeave = 10 * time.Second
)

// member is who reads as one of a group: in which way it says that records are
// done, and when there are none left.
type member interface {
	// done says that the records of the last poll have been written.
	done(ctx context.Context, records []*kgo.Record) error
	// finished reports whether the group has gone through all that was in the
	// log at the start.
	finished(ctx context.Context) (bool, error)
}

// asMember reads the topic as a member of a group. Records are written before
// they are committed or acknowledged.
func (c *consumeCmd) asMember(ctx context.Context, out *printer) error {
	if len(c.Partitions) > 0 {
		return errors.New("--partition does not go with a group: the broker says which partitions a member reads")
	}
	acks, own := &acknowledged{}, &assigned{}
	opts, err := c.memberOptions(acks, own)
	if err != nil {
		return err
	}
	cl, err := c.kafka(ctx, append(opts, kgo.ConsumeTopics(c.Topic))...)
	if err != nil {
		return err
	}
	defer leave(cl)
	out.payloads.readAs(c.topicSchemas(ctx, cl, c.Topic))
	m, err := c.member(ctx, cl, acks, own)
	if err != nil {
		return err
	}
	for n := int64(0); ; {
		left := 0
		if c.Num > 0 {
			left = int(c.Num - n)
		}
		records, err := poll(ctx, cl, left)
		if ctx.Err() != nil {
			return nil // interrupted: what was written has been committed
		}
		if err != nil {
			return err
		}
		for _, r := range records {
			if r.Attrs.IsControl() {
				continue
			}
			shown, err := out.print(ctx, r)
			if err != nil {
				return err
			}
			if shown {
				n++
			}
		}
		if err := out.flush(); err != nil {
			return err
		}
		// An interrupted member still says what it has done.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), memberLeave)
		err = m.done(last, records)
		cancel()
		if err != nil || n == c.Num && n > 0 {
			return err
		}
		if c.Follow.on || len(records) > 0 && c.Ack != "release" {
			continue
		}
		if finished, err := m.finished(ctx); err != nil || finished || len(records) > 0 {
			return err
		}
	}
}

// leave leaves the group, if the broker still answers, and closes the client.
func leave(cl *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), memberLeave)
	defer cancel()
	cl.AllowRebalance()
	_ = cl.LeaveGroupContext(ctx) // else the member goes by its session timeout
	cl.Close()
}

// poll returns the next records, at most max of them if max is above 0; none
// after pollWait.
func poll(ctx context.Context, cl *kgo.Client, max int) ([]*kgo.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, pollWait)
	defer cancel()
	fetches := cl.PollRecords(ctx, max)
	for _, e := range fetches.Errors() {
		if !errors.Is(e.Err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("%s partition %d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	return fetches.Records(), nil
}

// memberOptions are the client's options for the kind of group.
func (c *consumeCmd) memberOptions(acks *acknowledged, own *assigned) ([]kgo.Opt, error) {
	if c.ShareGroup != "" {
		switch {
		case c.Committed:
			return nil, errors.New("--committed does not go with --share-group: the group's config share.isolation.level says it for all members")
		case c.Offset != "start":
			return nil, errors.New("--offset does not go with --share-group: set where the group begins by tarn group seek --share")
		}
		opts := []kgo.Opt{kgo.ShareGroup(c.ShareGroup), kgo.ShareAckCallback(acks.note)}
		if c.Num > 0 {
			// What is not asked for is not locked away from others.
			opts = append(opts, kgo.ShareMaxRecords(int32(min(c.Num, 500))), kgo.ShareMaxRecordsStrict())
		}
		return opts, nil
	}
	opts := []kgo.Opt{
		kgo.ConsumerGroup(c.Group), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.KeepControlRecords(), // a log may end with a marker, and that is to be committed
		kgo.OnPartitionsAssigned(own.add), kgo.OnPartitionsRevoked(own.remove), kgo.OnPartitionsLost(own.remove),
	}
	if !c.Follow.on {
		opts = append(opts, own.options()...)
	}
	if c.Protocol == "consumer" {
		opts = append(opts, kgo.ServerSideBalancer())
	}
	if c.Committed {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	switch c.Offset {
	case "start":
		opts = append(opts, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	case "end":
		opts = append(opts, kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))
	default:
		return nil, fmt.Errorf("--offset %s: a group begins at its committed offsets, else at start or end; set them by tarn group seek", c.Offset)
	}
	return opts, nil
}

// member begins to read, as the kind of group wants it.
func (c *consumeCmd) member(ctx context.Context, cl *kgo.Client, acks *acknowledged, own *assigned) (member, error) {
	adm := kadm.NewClient(cl)
	last := adm.ListEndOffsets
	if c.Committed {
		last = adm.ListCommittedOffsets
	}
	ends, err := last(ctx, c.Topic)
	if err != nil {
		return nil, err
	}
	if err := ends.Error(); err != nil {
		return nil, fmt.Errorf("topic %q: %w", c.Topic, err)
	}
	if c.ShareGroup != "" {
		status := map[string]kgo.AckStatus{"accept": kgo.AckAccept, "release": kgo.AckRelease, "reject": kgo.AckReject}[c.Ack]
		return &shareMember{cl, adm, c.ShareGroup, c.Topic, status, ends, acks}, nil
	}
	starts, err := adm.ListStartOffsets(ctx, c.Topic)
	if err != nil {
		return nil, err
	}
	m := &groupMember{cl: cl, adm: adm, group: c.Group, topic: c.Topic, ends: map[int32]int64{}, own: own}
	committed, err := adm.FetchOffsets(ctx, c.Group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("offsets of group %q: %w", c.Group, err)
	}
	for p, end := range ends[c.Topic] {
		start, _ := starts.Lookup(c.Topic, p)
		_, has := committed.Lookup(c.Topic, p)
		if end.Offset > start.Offset && (has || c.Offset == "start") {
			m.ends[p] = end.Offset
		}
	}
	return m, nil
}

// groupMember reads as a member of a consumer group of either protocol, and
// commits after each poll.
type groupMember struct {
	cl           *kgo.Client
	adm          *kadm.Client
	group, topic string
	ends         map[int32]int64 // how far the group is to come, of partitions with records
	own          *assigned
}

func (m *groupMember) done(ctx context.Context, records []*kgo.Record) error {
	defer m.cl.AllowRebalance()
	m.own.polled(len(records))
	if len(records) == 0 {
		return nil
	}
	if err := m.cl.CommitUncommittedOffsets(ctx); err != nil {
		return fmt.Errorf("commit offsets of group %q: %w", m.group, err)
	}
	return nil
}

func (m *groupMember) finished(ctx context.Context) (bool, error) {
	committed, err := m.adm.FetchOffsets(ctx, m.group)
	if err != nil {
		return false, fmt.Errorf("offsets of group %q: %w", m.group, err)
	}
	for p, end := range m.ends {
		// What lags is the work of others, or there is nothing left of it.
		if o, ok := committed.Lookup(m.topic, p); (!ok || o.At < end) && !m.own.over(p) {
			return false, nil
		}
	}
	return true, nil
}

// assigned are the partitions that a member has, and whether they are quiet. Safe
// for concurrent use.
type assigned struct {
	quiet
	mu  sync.Mutex
	all map[int32]bool // guarded by mu
}

func (a *assigned) add(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	a.set(topics, true)
}

func (a *assigned) remove(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	a.set(topics, false)
}

func (a *assigned) set(topics map[string][]int32, has bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = map[int32]bool{}
	}
	for _, partitions := range topics { // there is one topic
		for _, p := range partitions {
			a.all[p] = has
		}
	}
	a.polled(1) // answers until now were about others
}

// over reports whether the member has the partition and nothing is left of it.
func (a *assigned) over(partition int32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all[partition] && a.quiet.over()
}

// shareMember reads as a member of a share group (KIP-932), and acknowledges
// each record.
type shareMember struct {
	cl           *kgo.Client
	adm          *kadm.Client
	group, topic string
	status       kgo.AckStatus
	ends         kadm.ListedOffsets
	acks         *acknowledged
}

func (m *shareMember) done(ctx context.Context, records []*kgo.Record) error {
	if len(records) == 0 {
		return nil
	}
	m.cl.MarkAcks(m.status, records...)
	if err := m.cl.FlushAcks(ctx); err != nil {
		return fmt.Errorf("acknowledge in share group %q: %w", m.group, err)
	}
	return m.acks.err()
}

// finished looks whether every partition begins where the log ended at the
// start, or has nothing left to do.
func (m *shareMember) finished(ctx context.Context) (bool, error) {
	all, err := m.adm.DescribeShareGroupOffsets(ctx, m.group)
	if err != nil {
		return false, fmt.Errorf("offsets of share group %q: %w", m.group, err)
	}
	offsets := all[m.group]
	for p, end := range m.ends[m.topic] {
		o, ok := offsets.Offsets.Lookup(m.topic, p)
		if !ok || o.Err != nil || o.StartOffset < end.Offset && o.Lag != 0 {
			return false, nil
		}
	}
	return true, nil
}

// acknowledged collects what became of acknowledgements. Safe for concurrent
// use.
type acknowledged struct {
	mu     sync.Mutex
	failed error // guarded by mu: the first refusal
}

// note is the client's callback.
func (a *acknowledged) note(_ *kgo.Client, results kgo.ShareAckResults) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range results {
		if r.Err != nil && a.failed == nil {
			a.failed = fmt.Errorf("acknowledge %s partition %d: %w", r.Topic, r.Partition, r.Err)
		}
	}
}

func (a *acknowledged) err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}
