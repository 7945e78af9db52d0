package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/alecthomas/kong"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

type groupCmd struct {
	List     groupListCmd     `cmd:"" help:"List groups."`
	Describe groupDescribeCmd `cmd:"" help:"Show a group's members, offsets and lag."`
	Seek     groupSeekCmd     `cmd:"" help:"Set a group's offsets on topics: start, end, a time, an offset."`
	Config   groupConfigCmd   `cmd:"" help:"Show and set configs of groups."`
	Forget   groupForgetCmd   `cmd:"" help:"Delete a group's offsets of topics."`
	Delete   groupDeleteCmd   `cmd:"" help:"Delete groups that have no members."`
}

type groupListCmd struct {
	connect
}

// Run lists the groups.
func (c *groupListCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	groups, err := adm.ListGroups(ctx)
	if err != nil {
		return err
	}
	lags, err := totalLags(ctx, adm, groups.Groups())
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"GROUP", "STATE", "PROTOCOL-TYPE", "LAG"}}
	for _, g := range groups.Sorted() {
		lag := any(nil)
		if n, ok := lags[g.Group]; ok {
			lag = n
		}
		s.add(g.Group, g.State, g.ProtocolType, lag)
	}
	return s.write(std.out, c.Output)
}

// totalLags sums up how far groups are behind. Groups without committed offsets, as
// share groups are, have none.
func totalLags(ctx context.Context, adm *kadm.Client, groups []string) (map[string]int64, error) {
	fetched := adm.FetchManyOffsets(ctx, groups...)
	all := kadm.TopicsSet{}
	for _, f := range fetched {
		if f.Err == nil {
			all.Merge(f.CommittedPartitions())
		}
	}
	out := map[string]int64{}
	if len(all) == 0 {
		return out, nil
	}
	ends, err := adm.ListEndOffsets(ctx, all.Topics()...)
	if err != nil {
		return nil, fmt.Errorf("ends of logs: %w", err)
	}
	for group, f := range fetched {
		if f.Err != nil {
			continue
		}
		for _, o := range f.Fetched.Sorted() {
			if end, ok := ends.Lookup(o.Topic, o.Partition); ok && end.Err == nil && o.At >= 0 {
				out[group] += max(end.Offset-o.At, 0)
			}
		}
	}
	return out, nil
}

type groupDescribeCmd struct {
	connect
	Name  string    `arg:"" help:"Group."`
	Watch watchFlag `placeholder:"[INTERVAL]" help:"Show it again at this interval, 2s if none is given, and how long offsets have been stuck: not moved although there is more to read."`
}

// watchInterval is that of --watch alone.
const watchInterval = 2 * time.Second

// watchFlag is an interval that may be left out.
type watchFlag time.Duration

// Decode implements kong.MapperValue: only what is a duration is taken for the interval.
func (f *watchFlag) Decode(ctx *kong.DecodeContext) error {
	*f = watchFlag(watchInterval)
	next := ctx.Scan.Peek()
	word := next.String()
	every, err := time.ParseDuration(word)
	switch {
	case err == nil:
		ctx.Scan.Pop()
		*f = watchFlag(every)
	case next.Type == kong.FlagValueToken: // --watch=…
		return fmt.Errorf("%q is no interval such as 2s", word)
	}
	return nil
}

// Help shows examples.
func (c *groupDescribeCmd) Help() string {
	return `Lag is in records, and in seconds: the time of the log's last record less that of the
group's next one.

  tarn group describe billing
  tarn group describe billing --watch
  tarn group describe billing --watch 10s
  tarn group describe billing --output json`
}

// Run describes one group.
func (c *groupDescribeCmd) Run(ctx context.Context, std stdio) error {
	if c.Watch < 0 || c.Watch > 0 && time.Duration(c.Watch) < 100*time.Millisecond {
		return fmt.Errorf("--watch %v: must be at least 100ms", time.Duration(c.Watch))
	}
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	if c.Watch > 0 {
		return c.watch(ctx, adm, std)
	}
	v, err := c.view(ctx, adm)
	if err != nil {
		return err
	}
	if v == nil {
		return c.shares(ctx, adm, std)
	}
	return v.write(std.out, c.Output, false)
}

// view looks at the group, of whatever kind it is; nil is a share group.
func (c *groupDescribeCmd) view(ctx context.Context, adm *kadm.Client) (*groupView, error) {
	v, err := c.classic(ctx, adm)
	if errors.Is(err, kerr.GroupIDNotFound) {
		v, err = c.consumers(ctx, adm)
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		if shared, err := adm.DescribeShareGroups(ctx, c.Name); err != nil || !errors.Is(shared[c.Name].Err, kerr.GroupIDNotFound) {
			return nil, err
		}
		v, err = c.streams(ctx, adm)
	}
	if err != nil {
		return nil, err
	}
	return v, v.measure(ctx, &c.connect, adm)
}

// classic looks at a group of the classic protocol.
func (c *groupDescribeCmd) classic(ctx context.Context, adm *kadm.Client) (*groupView, error) {
	lags, err := adm.Lag(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	g := lags[c.Name]
	if err := errors.Join(g.DescribeErr, g.FetchErr); err != nil {
		return nil, fmt.Errorf("group %q: %w", c.Name, err)
	}
	if g.State == "Dead" {
		return nil, fmt.Errorf("group %q does not exist", c.Name)
	}
	v := &groupView{Group: g.Group, State: g.State, Type: "classic", Members: len(g.Members)}
	for _, l := range g.Lag.Sorted() {
		one := groupLine{Topic: l.Topic, Partition: l.Partition, Offset: l.Commit.At, End: l.End.Offset, Lag: l.Lag}
		if l.Member != nil {
			one.Member, one.Client, one.Host = l.Member.MemberID, l.Member.ClientID, l.Member.ClientHost
		}
		v.add(one)
	}
	return v, nil
}

type groupDeleteCmd struct {
	connect
	dryRunFlag
	Names []string `arg:"" name:"name" help:"Groups to delete."`
}

// Run deletes the groups.
func (c *groupDeleteCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	var all []deed
	if c.DryRun {
		there, err := adm.ListGroups(ctx)
		if err != nil {
			return err
		}
		described, err := adm.DescribeGroups(ctx, c.Names...)
		if err != nil {
			return err
		}
		for _, name := range slices.Compact(slices.Sorted(slices.Values(c.Names))) {
			g, ok := there[name]
			why := mayDo(described[name].AuthorizedOperations, kadm.OpDelete, kerr.GroupAuthorizationFailed)
			if why == nil {
				why = wouldDeleteGroup(g, ok)
			}
			all = append(all, deed{name, c.did("deleted"), why})
		}
		return c.tell(std, "GROUP", all)
	}
	answers, err := adm.DeleteGroups(ctx, c.Names...)
	if err != nil {
		return err
	}
	for _, a := range answers.Sorted() {
		all = append(all, deed{a.Group, "deleted", a.Err})
	}
	return c.tell(std, "GROUP", all)
}

// wouldDeleteGroup is why a group would not be deleted; nil if it would.
func wouldDeleteGroup(g kadm.ListedGroup, there bool) error {
	switch {
	case !there || g.State == "Dead":
		return kerr.GroupIDNotFound
	case g.State != "Empty":
		return kerr.NonEmptyGroup
	}
	return nil
}
