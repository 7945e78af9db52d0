package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/storage"
)

// keyAdvertised is the item of addresses set at run time, as Advertise takes
// them.
const keyAdvertised = "broker-config/advertised.listeners"

// maxHost bounds a host's name: DNS does.
const maxHost = 255

// address is a host and port that clients are told.
type address struct {
	host string
	port int32
}

func (a address) String() string { return net.JoinHostPort(a.host, strconv.Itoa(int(a.port))) }

// parseAddress reads host:port. Port 0 stands for the port listened on, and no
// host, or one that means all of the machine's addresses, for loopback: clients
// cannot connect to "any address".
func parseAddress(s string, bound int32) (address, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return address{}, fmt.Errorf("%w: %q is not host:port", api.ErrConfig, s)
	}
	odd := func(r rune) bool { return r <= ' ' || r == '/' || r == '"' || r == 0x7f || r == '\uFFFD' }
	if len(host) > maxHost || strings.ContainsFunc(host, odd) {
		return address{}, fmt.Errorf("%w: %q is no name of a host", api.ErrConfig, host)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return address{}, fmt.Errorf("%w: %q has no valid port", api.ErrConfig, s)
	}
	a := address{host, int32(n)}
	if n == 0 {
		a.port = bound
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		a.host = "127.0.0.1"
	}
	return a, nil
}

// Endpoint is a listener and what clients that come in by it are told.
type Endpoint struct {
	Name       string
	Addr       net.Addr
	Advertised string // host:port
}

// Endpoints are the broker's listeners in order.
func (b *Broker) Endpoints() []Endpoint {
	out := make([]Endpoint, len(b.listeners))
	for i, ln := range b.listeners {
		out[i] = Endpoint{Name: ln.name, Addr: ln.Addr(), Advertised: ln.advertised.Load().String()}
	}
	return out
}

// parseEndpoints reads NAME://host:port, several with commas between; the name
// may be left out where there is one listener. Names that are not there are
// returned.
func (b *Broker) parseEndpoints(s string) (set map[*listener]address, unknown []string, err error) {
	set = map[*listener]address{}
	for word := range strings.SplitSeq(s, ",") {
		name, addr, named := strings.Cut(strings.TrimSpace(word), "://")
		if !named {
			name, addr = "", name
		}
		var at *listener
		for _, ln := range b.listeners {
			if named && strings.EqualFold(ln.name, name) || !named && len(b.listeners) == 1 {
				at = ln
			}
		}
		if at == nil {
			unknown = append(unknown, word)
			continue
		}
		if _, twice := set[at]; twice {
			return nil, nil, fmt.Errorf("%w: listener %s stands twice", api.ErrConfig, at.name)
		}
		if set[at], err = parseAddress(addr, int32(at.Addr().(*net.TCPAddr).Port)); err != nil {
			return nil, nil, err
		}
	}
	return set, unknown, nil
}

// Advertise changes what clients are told, from their next question on and
// across restarts: Kafka's advertised.listeners, NAME://host:port with commas
// between. Listeners that are not named, and all of them with "", go back to
// what they were configured with. With validateOnly it only looks. Errors:
// api.ErrConfig, or the store's.
func (b *Broker) Advertise(ctx context.Context, text string, validateOnly bool) error {
	set := map[*listener]address{}
	if text != "" {
		var unknown []string
		var err error
		if set, unknown, err = b.parseEndpoints(text); err != nil {
			return err
		}
		if len(unknown) > 0 {
			return fmt.Errorf("%w: no listener is called like %q", api.ErrConfig, unknown[0])
		}
	}
	if validateOnly {
		return nil
	}
	b.advertising.Lock()
	defer b.advertising.Unlock()
	it := storage.Item{Key: keyAdvertised, Version: storage.Any, Value: []byte(text), Delete: text == ""}
	if err := b.cfg.Engine.Commit(ctx, storage.Write{Set: []storage.Item{it}}); err != nil {
		// It may have been done all the same: what is stored counts.
		return errors.Join(fmt.Errorf("store advertised listeners: %w", err), b.loadAdvertised(context.WithoutCancel(ctx)))
	}
	b.advertise(set, text)
	b.lg.Info("advertised listeners set", "listeners", b.advertisedText())
	return nil
}

// advertise makes addresses hold. advertising is held, or nobody else is there.
func (b *Broker) advertise(set map[*listener]address, text string) {
	for _, ln := range b.listeners {
		a, ok := set[ln]
		if !ok {
			a = ln.configured
		}
		ln.advertised.Store(&a)
	}
	b.override.Store(&text)
}

// loadAdvertised takes over what was set at run time before.
func (b *Broker) loadAdvertised(ctx context.Context) error {
	it, err := b.cfg.Engine.Get(ctx, keyAdvertised)
	if err != nil {
		return fmt.Errorf("read advertised listeners: %w", err)
	}
	text := string(it.Value)
	set := map[*listener]address{}
	if text != "" {
		var unknown []string
		if set, unknown, err = b.parseEndpoints(text); err != nil {
			return fmt.Errorf("%w: item %q: %w", storage.ErrBroken, keyAdvertised, err)
		}
		b.lg.Info("clients are told addresses that were set at run time", "listeners", text, "not_there_any_more", unknown)
	}
	b.advertise(set, text)
	return nil
}

// advertisedText is what clients are told, as Kafka writes it.
func (b *Broker) advertisedText() string {
	words := make([]string, len(b.listeners))
	for i, ln := range b.listeners {
		words[i] = ln.name + "://" + ln.advertised.Load().String()
	}
	return strings.Join(words, ",")
}

// settings are the configured ones, with the addresses as they are if they are
// among them, and the limits of connections.
func (b *Broker) settings() []api.BrokerConfig {
	var out []api.BrokerConfig
	if b.cfg.Settings != nil {
		out = b.cfg.Settings()
	}
	const name = "advertised.listeners"
	words := make([]string, len(b.listeners))
	for i, ln := range b.listeners {
		words[i] = ln.name + "://" + ln.configured.String()
	}
	c := api.BrokerConfig{Name: name, Value: strings.Join(words, ","), Settable: true, Doc: "Addresses that clients are told, by listener (--kafka.advertise, or set at run time)."}
	if *b.override.Load() != "" {
		text := b.advertisedText()
		c.Dynamic = &text
	}
	for i := range out {
		if out[i].Name == name {
			out[i] = c
		}
	}
	return b.tunedSettings(out)
}
