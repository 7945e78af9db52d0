package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/api"
)

// connectionFlags say how many connections there may be, and how fast they may
// come.
type connectionFlags struct {
	MaxConns     int    `name:"kafka.max-connections" placeholder:"N" help:"Connections of all clients together, default 20000; further ones wait."`
	ListenerMax  string `name:"kafka.listener-max-connections" placeholder:"NAME:N,…" help:"Connections of single listeners; further ones wait."`
	Rate         int    `name:"kafka.connection-rate" placeholder:"N" help:"New connections a second; further ones wait (max.connection.creation.rate)."`
	ListenerRate string `name:"kafka.listener-connection-rate" placeholder:"NAME:N,…" help:"New connections a second of single listeners."`
	MaxPerIP     int    `name:"kafka.max-connections-per-ip" placeholder:"N" help:"Connections of one address; further ones are closed; default: no limit of its own."`
	MaxOfIP      string `name:"kafka.max-connections-per-ip-overrides" placeholder:"ADDR:N,…" help:"Connections of single addresses instead; 0 lets none in."`
}

// limit sets the limits of a broker, or says what is wrong with the flags.
func (f *connectionFlags) limit(cfg *broker.Config) error {
	for flag, n := range map[string]int{"max-connections": f.MaxConns, "connection-rate": f.Rate, "max-connections-per-ip": f.MaxPerIP} {
		if n < 0 {
			return fmt.Errorf("--kafka.%s %d is below 0", flag, n)
		}
	}
	cfg.MaxConnections, cfg.MaxConnectionsPerIP, cfg.ConnectionRate = f.MaxConns, f.MaxPerIP, float64(f.Rate)
	err := perListener(cfg, "--kafka.listener-max-connections", f.ListenerMax, func(l *broker.Listener, n int) { l.MaxConnections = n })
	if err != nil {
		return err
	}
	err = perListener(cfg, "--kafka.listener-connection-rate", f.ListenerRate, func(l *broker.Listener, n int) { l.ConnectionRate = float64(n) })
	if err != nil {
		return err
	}
	return f.limitAddresses(cfg)
}

func (f *connectionFlags) limitAddresses(cfg *broker.Config) error {
	var err error
	if cfg.IPConnections, err = broker.ParseIPLimits(f.MaxOfIP); err != nil {
		return fmt.Errorf("--kafka.max-connections-per-ip-overrides: %w", err)
	}
	return nil
}

// perListener sets the numbers of a flag at the listeners that it names.
func perListener(cfg *broker.Config, flag, text string, set func(l *broker.Listener, n int)) error {
	all, err := numbers(flag, text, 1)
	for name, n := range all {
		i := slices.IndexFunc(cfg.Listeners, func(l broker.Listener) bool { return strings.EqualFold(l.Name, name) })
		if i < 0 {
			return fmt.Errorf("%s: no listener in --kafka.listen is called %s", flag, name)
		}
		set(&cfg.Listeners[i], n)
	}
	return err
}

// numbers reads NAME:N,NAME:N with numbers of at least min.
func numbers(flag, text string, min int) (map[string]int, error) {
	out := map[string]int{}
	if text == "" {
		return out, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		at := strings.LastIndexByte(word, ':')
		n, err := strconv.Atoi(word[at+1:])
		_, twice := out[word[:max(at, 0)]]
		switch {
		case at < 1 || err != nil || n < min || n > math.MaxInt32:
			return nil, fmt.Errorf("%s: %q is not NAME:N with a number of at least %d", flag, word, min)
		case twice:
			return nil, fmt.Errorf("%s: %s stands there twice", flag, word[:at])
		}
		out[word[:at]] = n
	}
	return out, nil
}

// settings shows the flags as DescribeConfigs of the broker does.
func (f *connectionFlags) settings() []api.BrokerConfig {
	out := []api.BrokerConfig{
		numbered("max.connections", f.MaxConns, broker.MaxConnections, "Connections of all listeners together; further ones wait (--kafka.max-connections)."),
		numbered("max.connections.per.ip", f.MaxPerIP, math.MaxInt32, "Connections of one address (--kafka.max-connections-per-ip)."),
		{Name: "max.connections.per.ip.overrides", Value: f.MaxOfIP, Doc: "Connections of single addresses instead (--kafka.max-connections-per-ip-overrides)."},
		numbered("max.connection.creation.rate", f.Rate, math.MaxInt32, "New connections a second; further ones wait (--kafka.connection-rate)."),
	}
	for _, s := range []struct{ flag, text, key, doc string }{
		{"--kafka.listener-max-connections", f.ListenerMax, "max.connections", "Connections of this listener"},
		{"--kafka.listener-connection-rate", f.ListenerRate, "max.connection.creation.rate", "New connections of this listener a second"},
	} {
		all, err := numbers(s.flag, s.text, 1)
		if err != nil {
			continue // such a broker has not started
		}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			key := "listener.name." + strings.ToLower(name) + "." + s.key
			out = append(out, numbered(key, all[name], math.MaxInt32, s.doc+" ("+s.flag+")."))
		}
	}
	return out
}
