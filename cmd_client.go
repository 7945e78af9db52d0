package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

type clientCmd struct {
	List          clientListCmd          `cmd:"" help:"List who is connected."`
	Metrics       clientMetricsCmd       `cmd:"" help:"Show what clients pushed about themselves last (KIP-714)."`
	Subscribe     clientSubscribeCmd     `cmd:"" help:"Let clients push metrics about themselves."`
	Subscriptions clientSubscriptionsCmd `cmd:"" help:"List which clients are to push what."`
	Unsubscribe   clientUnsubscribeCmd   `cmd:"" help:"Delete subscriptions of client metrics."`
}

type clientListCmd struct {
	connect
}

// Run lists connections.
func (c *clientListCmd) Run(ctx context.Context, std stdio) error {
	var all []clientInfo
	if err := c.call(ctx, http.MethodGet, "/api/clients", nil, &all); err != nil {
		return err
	}
	s := sheet{Columns: []string{"CLIENT", "SOFTWARE", "ADDRESS", "LISTENER", "USER", "CONNECTED", "REQUESTS"}}
	for _, i := range all {
		s.add(i.ClientID, software(i.Software, i.Version), i.Address, i.Listener, i.User, i.Since.UTC().Format(time.RFC3339), i.Requests)
	}
	return s.write(std.out, c.Output)
}

// software is a program with its version, "-" if it has not said.
func software(name, version string) string {
	if name == "" {
		return "-"
	}
	return name + "/" + version
}

type clientMetricsCmd struct {
	connect
	Client string `placeholder:"ID" help:"Only clients of this client id."`
}

// Run shows one row a number.
func (c *clientMetricsCmd) Run(ctx context.Context, std stdio) error {
	var all []instanceInfo
	if err := c.call(ctx, http.MethodGet, "/api/clients/metrics?client_id="+url.QueryEscape(c.Client), nil, &all); err != nil {
		return err
	}
	s := sheet{Columns: []string{"CLIENT", "SOFTWARE", "METRIC", "LABELS", "VALUE", "COUNT"}}
	for _, i := range all {
		for _, p := range i.Metrics {
			value, count := any(nil), any(nil)
			if p.Value != nil {
				value = json.Number(strconv.FormatFloat(*p.Value, 'f', -1, 64))
			}
			if p.Count != nil {
				count = *p.Count
			}
			s.add(i.ClientID, software(i.Software, i.Version), p.Name, joined(p.Labels), value, count)
		}
	}
	return s.write(std.out, c.Output)
}

// joined are labels in order, "-" for none.
func joined(labels map[string]string) string {
	var words []string
	for k, v := range labels {
		words = append(words, k+"="+v)
	}
	slices.Sort(words)
	if words == nil {
		return "-"
	}
	return strings.Join(words, ",")
}

type clientSubscribeCmd struct {
	connect
	Name     string        `arg:"" help:"Name of the subscription; one that is there is replaced."`
	Metrics  []string      `default:"*" placeholder:"PREFIX,…" help:"Beginnings of the names of metrics; * is all."`
	Interval time.Duration `default:"1m" help:"How often clients push: 100ms to 5m."`
	Match    []string      `placeholder:"KEY=REGEX,…" help:"Which clients: client_id, client_software_name, client_software_version, client_source_address, client_source_port, client_instance_id; all clients if none is given."`
}

// Run sets a subscription.
func (c *clientSubscribeCmd) Run(ctx context.Context, std stdio) error {
	in := subscriptionInfo{
		Metrics: strings.Join(c.Metrics, ","), Match: strings.Join(c.Match, ","),
		IntervalMs: json.Number(strconv.FormatInt(c.Interval.Milliseconds(), 10)),
	}
	if err := c.call(ctx, http.MethodPut, "/api/clients/subscriptions/"+url.PathEscape(c.Name), in, nil); err != nil {
		return err
	}
	return c.say(std, map[string]any{"name": c.Name, "status": "set"}, c.Name+" set; clients hear of it when they ask next, within 5 minutes")
}

type clientSubscriptionsCmd struct {
	connect
}

// Run lists the subscriptions.
func (c *clientSubscriptionsCmd) Run(ctx context.Context, std stdio) error {
	var all []subscriptionInfo
	if err := c.call(ctx, http.MethodGet, "/api/clients/subscriptions", nil, &all); err != nil {
		return err
	}
	s := sheet{Columns: []string{"NAME", "METRICS", "INTERVAL-MS", "MATCH"}}
	for _, i := range all {
		s.add(i.Name, i.Metrics, i.IntervalMs, i.Match)
	}
	return s.write(std.out, c.Output)
}

type clientUnsubscribeCmd struct {
	connect
	Names []string `arg:"" name:"name" help:"Subscriptions to delete."`
}

// Run deletes subscriptions.
func (c *clientUnsubscribeCmd) Run(ctx context.Context, std stdio) error {
	s := sheet{Columns: []string{"NAME", "STATUS"}}
	var failed []error
	for _, name := range c.Names {
		status := "deleted"
		if err := c.call(ctx, http.MethodDelete, "/api/clients/subscriptions/"+url.PathEscape(name), nil, nil); err != nil {
			status = "failed: " + err.Error()
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
		}
		s.add(name, status)
	}
	return errors.Join(append(failed, s.write(std.out, c.Output))...)
}
