package main

import (
	"context"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/api"
)

type configDescribeCmd struct {
	connect
	All  bool `help:"Show configs that have their default value, too."`
	Docs bool `help:"Say what each is for."`
}

// Run shows the configs of the running broker.
func (c *configDescribeCmd) Run(ctx context.Context, std stdio) error {
	return c.describeConfigs(ctx, std, brokerConfigs(false), c.All, c.Docs)
}

// brokerConfigs are those of the broker, or the defaults of all brokers.
func brokerConfigs(cluster bool) configured {
	if cluster {
		return configured{kmsg.ConfigResourceTypeBroker, "", "configs of all brokers"}
	}
	id := strconv.Itoa(int(api.NodeID))
	return configured{kmsg.ConfigResourceTypeBroker, id, "configs of broker " + id}
}

type configAlterCmd struct {
	connect
	Set     []string `name:"set" short:"c" sep:"none" required:"" placeholder:"KEY=VALUE" help:"Set a config; KEY= without value takes it back. Defaults of topics (log.retention.ms), limits of connections and advertised.listeners can be set."`
	Cluster bool     `help:"Set it for all brokers; what is set for the broker itself goes first."`
	dryRunFlag
}

// Run changes configs of the running broker, for good.
func (c *configAlterCmd) Run(ctx context.Context, std stdio) error {
	of := brokerConfigs(c.Cluster)
	if err := c.alterConfigs(ctx, of, c.Set, c.DryRun); err != nil {
		return err
	}
	return c.say(std, map[string]any{"broker": of.name, "status": c.did("changed")}, of.word+" "+c.did("changed"))
}
