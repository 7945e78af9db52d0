package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupConfigCmd is configs of groups (KIP-848, KIP-932): kadm has those of topics and
// brokers alone.
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
	cl, err := c.kafka(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeGroupConfig, ResourceName: c.Name}}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"CONFIG", "VALUE", "SOURCE"}}
	for _, r := range resp.Resources {
		if err := answerError(r.ErrorCode, r.ErrorMessage); err != nil {
			return fmt.Errorf("group %q: %w", c.Name, err)
		}
		for _, e := range r.Configs {
			if !c.All && e.Source == kmsg.ConfigSourceDefaultConfig {
				continue
			}
			value := ""
			if e.Value != nil {
				value = *e.Value
			}
			s.add(e.Name, value, e.Source.String())
		}
	}
	return s.write(std.out, c.Output)
}

// answerError is the error of a code, with the broker's words.
func answerError(code int16, message *string) error {
	words := ""
	if message != nil {
		words = *message
	}
	return told(kerr.ErrorForCode(code), words)
}

type groupConfigSetCmd struct {
	connect
	Name string   `arg:"" help:"Group; it need not exist yet."`
	Set  []string `name:"set" short:"c" sep:"none" required:"" placeholder:"KEY=VALUE" help:"Set a config; KEY= without value sets it back to its default."`
}

// Run sets configs.
func (c *groupConfigSetCmd) Run(ctx context.Context, std stdio) error {
	values, err := keyValues(c.Set)
	if err != nil {
		return err
	}
	cl, err := c.kafka(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	of := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeGroupConfig, ResourceName: c.Name}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		one := kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: key, Op: kmsg.IncrementalAlterConfigOp(kadm.SetConfig)}
		if value := values[key]; value != "" {
			one.Value = &value
		} else {
			one.Op = kmsg.IncrementalAlterConfigOp(kadm.DeleteConfig)
		}
		of.Configs = append(of.Configs, one)
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = append(req.Resources, of)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	for _, r := range resp.Resources {
		if err := answerError(r.ErrorCode, r.ErrorMessage); err != nil {
			return fmt.Errorf("group %q: %w", c.Name, err)
		}
	}
	return c.say(std, map[string]any{"group": c.Name, "status": "changed"}, c.Name+" changed")
}
