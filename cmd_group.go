package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

type groupCmd struct {
	List     groupListCmd     `cmd:"" help:"List groups."`
	Describe groupDescribeCmd `cmd:"" help:"Show a group's members, offsets and lag."`
	Seek     groupSeekCmd     `cmd:"" help:"Set a group's offsets on a topic."`
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
	s := sheet{Columns: []string{"GROUP", "STATE", "PROTOCOL-TYPE"}}
	for _, g := range groups.Sorted() {
		s.add(g.Group, g.State, g.ProtocolType)
	}
	return s.write(std.out, c.Output)
}

type groupDescribeCmd struct {
	connect
	Name string `arg:"" help:"Group."`
}

// Run describes one group.
func (c *groupDescribeCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	lags, err := adm.Lag(ctx, c.Name)
	if err != nil {
		return err
	}
	g := lags[c.Name]
	if errors.Is(g.DescribeErr, kerr.GroupIDNotFound) {
		return c.consumers(ctx, adm, std)
	}
	if err := errors.Join(g.DescribeErr, g.FetchErr); err != nil {
		return fmt.Errorf("group %q: %w", c.Name, err)
	}
	if g.State == "Dead" {
		return fmt.Errorf("group %q does not exist", c.Name)
	}
	s := sheet{Columns: []string{"TOPIC", "PARTITION", "OFFSET", "END", "LAG", "MEMBER", "CLIENT", "HOST"}}
	for _, l := range g.Lag.Sorted() {
		member, client, host := "-", "-", "-"
		if l.Member != nil {
			member, client, host = l.Member.MemberID, l.Member.ClientID, l.Member.ClientHost
		}
		s.add(l.Topic, l.Partition, l.Commit.At, l.End.Offset, l.Lag, member, client, host)
	}
	if c.Output == "text" {
		fmt.Fprintf(std.out, "%s  %s  %d members  lag %d\n\n", g.Group, g.State, len(g.Members), g.Lag.Total())
	}
	return s.write(std.out, c.Output)
}

type groupDeleteCmd struct {
	connect
	Names []string `arg:"" name:"name" help:"Groups to delete."`
}

// Run deletes the groups.
func (c *groupDeleteCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	answers, err := adm.DeleteGroups(ctx, c.Names...)
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"GROUP", "STATUS"}}
	var failed []error
	for _, a := range answers.Sorted() {
		status := "deleted"
		if a.Err != nil {
			status = "failed: " + a.Err.Error()
			failed = append(failed, fmt.Errorf("%s: %w", a.Group, a.Err))
		}
		s.add(a.Group, status)
	}
	if err := s.write(std.out, c.Output); err != nil {
		return err
	}
	return errors.Join(failed...)
}
