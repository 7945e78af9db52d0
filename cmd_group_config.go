package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupConfigCmd is configs of groups (KIP-848, KIP-932).
type groupConfigCmd struct {
	Describe groupConfigDescribeCmd `cmd:"" help:"Show a group's configs."`
	Set      groupConfigSetCmd      `cmd:"" help:"Set a group's configs."`
}

type groupConfigDescribeCmd struct {
	connect
	Name string `arg:"" help:"Group; it need not exist yet."`
	All  bool   `help:"Show configs that have their default value, too."`
}

// Run shows configs.
func (c *groupConfigDescribeCmd) Run(ctx context.Context, std stdio) error {
	return c.describeConfigs(ctx, std, groupConfigs(c.Name), c.All, false)
}

// groupConfigs are those of a group.
func groupConfigs(name string) configured {
	return configured{kmsg.ConfigResourceTypeGroupConfig, name, `group "` + name + `"`}
}

type groupConfigSetCmd struct {
	connect
	Name string   `arg:"" help:"Group; it need not exist yet."`
	Set  []string `name:"set" short:"c" sep:"none" required:"" placeholder:"KEY=VALUE" help:"Set a config; KEY= without value sets it back to its default."`
	dryRunFlag
}

// Run sets configs.
func (c *groupConfigSetCmd) Run(ctx context.Context, std stdio) error {
	if err := c.alterConfigs(ctx, groupConfigs(c.Name), c.Set, c.DryRun); err != nil {
		return err
	}
	return c.say(std, map[string]any{"group": c.Name, "status": c.did("changed")}, c.Name+" "+c.did("changed"))
}
