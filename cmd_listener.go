package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

type listenerCmd struct {
	List      listenerListCmd      `cmd:"" help:"List the Kafka listeners, and what clients are told to connect to."`
	Advertise listenerAdvertiseCmd `cmd:"" help:"Set what clients are told, while the broker runs and for good."`
}

type listenerListCmd struct {
	connect
}

// Run lists the listeners.
func (c *listenerListCmd) Run(ctx context.Context, std stdio) error {
	var all []listenerInfo
	if err := c.call(ctx, http.MethodGet, "/api/listeners", nil, &all); err != nil {
		return err
	}
	return c.listeners(std, all)
}

func (c *connect) listeners(std stdio, all []listenerInfo) error {
	s := sheet{Columns: []string{"LISTENER", "ADDRESS", "ADVERTISED"}}
	for _, l := range all {
		s.add(l.Name, l.Address, l.Advertised)
	}
	return s.write(std.out, c.Output)
}

type listenerAdvertiseCmd struct {
	connect
	Addresses []string `arg:"" optional:"" name:"address" help:"NAME://HOST:PORT; listeners that are not named go back to --kafka.advertise."`
	Reset     bool     `help:"All listeners go back to --kafka.advertise."`
}

// Run sets the addresses.
func (c *listenerAdvertiseCmd) Run(ctx context.Context, std stdio) error {
	if len(c.Addresses) == 0 && !c.Reset {
		return fmt.Errorf("give addresses, such as PLAINTEXT://broker.example:9092, or --reset")
	}
	in := []listenerInfo{}
	for _, a := range c.Addresses {
		name, addr, ok := strings.Cut(a, "://")
		if !ok {
			return fmt.Errorf("%q is not NAME://HOST:PORT", a)
		}
		in = append(in, listenerInfo{Name: name, Advertised: addr})
	}
	var all []listenerInfo
	if err := c.call(ctx, http.MethodPut, "/api/listeners", in, &all); err != nil {
		return err
	}
	return c.listeners(std, all)
}
