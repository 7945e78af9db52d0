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

// configured is what has configs: a group or the broker; topics are kadm's.
type configured struct {
	kind kmsg.ConfigResourceType
	name string // as in the protocol
	word string // for people
}

// describeConfigs prints the configs of something, those with default values only if
// all are asked for.
func (c *connect) describeConfigs(ctx context.Context, std stdio, of configured, all, docs bool) error {
	cl, err := c.kafka(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeDocumentation = docs
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: of.kind, ResourceName: of.name}}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("%s: %w", of.word, err)
	}
	s := sheet{Columns: []string{"CONFIG", "VALUE", "SOURCE"}}
	if docs {
		s.Columns = append(s.Columns, "MEANS")
	}
	for _, r := range resp.Resources {
		if err := answerError(r.ErrorCode, r.ErrorMessage); err != nil {
			return fmt.Errorf("%s: %w", of.word, err)
		}
		for _, e := range r.Configs {
			if !all && e.Source == kmsg.ConfigSourceDefaultConfig {
				continue
			}
			row := []any{e.Name, textOr(e.Value), e.Source.String()}
			if docs {
				row = append(row, textOr(e.Documentation))
			}
			s.add(row...)
		}
	}
	return s.write(std.out, c.Output)
}

// textOr is a text that may be missing.
func textOr(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// answerError is the error of a code, with the broker's words.
func answerError(code int16, message *string) error {
	return told(kerr.ErrorForCode(code), textOr(message))
}

// alterConfigs sets configs by KEY=VALUE words, and takes back those without a value.
// A dry run only asks whether they would be taken.
func (c *connect) alterConfigs(ctx context.Context, of configured, words []string, dryRun bool) error {
	values, err := keyValues(words)
	if err != nil {
		return err
	}
	cl, err := c.kafka(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	on := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: of.kind, ResourceName: of.name}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		one := kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: key, Op: kmsg.IncrementalAlterConfigOp(kadm.SetConfig)}
		if value := values[key]; value != "" {
			one.Value = &value
		} else {
			one.Op = kmsg.IncrementalAlterConfigOp(kadm.DeleteConfig)
		}
		on.Configs = append(on.Configs, one)
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = dryRun
	req.Resources = append(req.Resources, on)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("%s: %w", of.word, err)
	}
	for _, r := range resp.Resources {
		if err := answerError(r.ErrorCode, r.ErrorMessage); err != nil {
			return fmt.Errorf("%s: %w", of.word, err)
		}
	}
	return nil
}
