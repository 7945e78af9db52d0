package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/topic"
)

// keyLimits is the item of limits set at run time, a tuned as JSON.
const keyLimits = "broker-config/connections"

// Kafka's names of the limits; the first two may also have a listener's prefix.
const (
	limitOpen   = "max.connections"
	limitRate   = "max.connection.creation.rate"
	limitOfIP   = "max.connections.per.ip"
	limitsOfIPs = "max.connections.per.ip.overrides"
)

// maxOverrides bounds the addresses with limits of their own, in bytes of the
// config that names them.
const maxOverrides = 64 << 10

// tuned are limits that were set while the broker ran: for this broker, which go
// first, and for all brokers.
type tuned struct {
	Broker  map[string]string `json:"broker,omitempty"`
	Cluster map[string]string `json:"cluster,omitempty"`
}

// in is the value in force of what was set, if it was.
func (t tuned) in(name string) (string, bool) {
	if v, ok := t.Broker[name]; ok {
		return v, true
	}
	v, ok := t.Cluster[name]
	return v, ok
}

// ParseIPLimits reads ADDR:N,ADDR:N, Kafka's max.connections.per.ip.overrides:
// connections that single addresses may have, by the address in its usual form.
// IPv6 addresses may stand in brackets; names of hosts are not looked up.
func ParseIPLimits(text string) (map[string]int, error) {
	out := map[string]int{}
	if text == "" {
		return out, nil
	}
	if len(text) > maxOverrides {
		return nil, fmt.Errorf("it is longer than %d bytes", maxOverrides)
	}
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		at := max(strings.LastIndexByte(word, ':'), 0)
		a, err := netip.ParseAddr(strings.Trim(word[:at], "[]"))
		if err != nil {
			return nil, fmt.Errorf("%q is no IP address, of ADDR:N; names of hosts are not looked up", word[:at])
		}
		n, err := strconv.ParseInt(word[at+1:], 10, 32)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is not ADDR:N with a number of at least 0", word)
		}
		key := a.Unmap().WithZone("").String()
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("%s stands there twice", key)
		}
		out[key] = int(n)
	}
	return out, nil
}

// limitName splits the name of a limit from the listener that it is for; ok is
// false if it is the name of no limit here.
func (b *Broker) limitName(key string) (ln *listener, base string, ok bool) {
	base = key
	if rest, prefixed := strings.CutPrefix(key, "listener.name."); prefixed {
		i := slices.IndexFunc(b.listeners, func(ln *listener) bool {
			return strings.HasPrefix(rest, strings.ToLower(ln.name)+".")
		})
		if i < 0 {
			return nil, "", false
		}
		ln, base = b.listeners[i], rest[len(b.listeners[i].name)+1:]
		return ln, base, base == limitOpen || base == limitRate
	}
	return nil, base, base == limitOpen || base == limitRate || base == limitOfIP || base == limitsOfIPs
}

// IsLimit reports whether a broker config is a limit that AlterLimits sets.
func (b *Broker) IsLimit(name string) bool {
	_, _, ok := b.limitName(name)
	return ok
}

// AlterLimits changes the limits of connections while the broker runs, all of
// them or none, and for good (KIP-402, KIP-612): for this broker, which goes
// first, or with cluster for all. Connections there are stay. With replaceAll
// what is not among changes is as it was configured; with validateOnly it only
// looks. Errors: api.ErrConfig (refused), or the store's, after which the limits
// are what is stored.
func (b *Broker) AlterLimits(ctx context.Context, cluster bool, changes []topic.Change, replaceAll, validateOnly bool) error {
	b.tuning.Lock()
	defer b.tuning.Unlock()
	next := *b.tuned.Load()
	level := &next.Broker
	if cluster {
		level = &next.Cluster
	}
	*level = maps.Clone(*level)
	if *level == nil || replaceAll {
		*level = map[string]string{}
	}
	for _, c := range changes {
		switch c.Op {
		case topic.Set:
			if err := b.checkLimit(c.Key, c.Value); err != nil {
				return fmt.Errorf("%w: %s=%s: %w", api.ErrConfig, c.Key, c.Value, err)
			}
			(*level)[c.Key] = c.Value
		case topic.Delete:
			delete(*level, c.Key)
		default:
			return fmt.Errorf("%w: %s is no list: set it as a whole", api.ErrConfig, c.Key)
		}
	}
	if validateOnly || same(next, *b.tuned.Load()) {
		return nil
	}
	value, err := json.Marshal(next)
	if err != nil {
		return err
	}
	it := storage.Item{Key: keyLimits, Version: storage.Any, Value: value, Delete: same(next, tuned{})}
	if err := b.cfg.Engine.Commit(ctx, storage.Write{Set: []storage.Item{it}}); err != nil {
		// It may have been done all the same: what is stored counts.
		return errors.Join(fmt.Errorf("store limits of connections: %w", err), b.loadLimits(context.WithoutCancel(ctx)))
	}
	b.tune(&next)
	b.lg.Info("limits of connections set", "broker", next.Broker, "cluster", next.Cluster)
	return nil
}

func same(a, b tuned) bool {
	return maps.Equal(a.Broker, b.Broker) && maps.Equal(a.Cluster, b.Cluster)
}

// checkLimit says what is wrong with a value.
func (b *Broker) checkLimit(key, value string) error {
	if key == limitsOfIPs {
		_, err := ParseIPLimits(value)
		return err
	}
	if n, err := strconv.ParseInt(value, 10, 32); err != nil || n < 1 {
		return errors.New("want a number of at least 1")
	}
	return nil
}

// tune makes limits hold. tuning is held, or nobody else is there.
func (b *Broker) tune(t *tuned) {
	number := func(key string, configured float64) float64 {
		text, _ := t.in(key)
		if n, err := strconv.Atoi(text); err == nil {
			return float64(n)
		}
		return configured
	}
	b.door.pace.Limit(number(limitRate, b.cfg.ConnectionRate))
	for _, ln := range b.listeners {
		prefix := listenerPrefix(ln)
		ln.entrance.pace.Limit(number(prefix+limitRate, ln.limits.ConnectionRate))
		b.door.limit(&ln.entrance, int(number(prefix+limitOpen, float64(ln.limits.MaxConnections))))
	}
	b.door.limit(nil, int(number(limitOpen, float64(b.cfg.MaxConnections))))
	ofIPs := b.cfg.IPConnections
	if text, ok := t.in(limitsOfIPs); ok {
		if parsed, err := ParseIPLimits(text); err == nil {
			ofIPs = parsed
		}
	}
	b.peers.limitTo(int(number(limitOfIP, float64(b.cfg.MaxConnectionsPerIP))), ofIPs)
	b.tuned.Store(t)
}

// listenerPrefix is what stands before the configs of a listener.
func listenerPrefix(ln *listener) string { return "listener.name." + strings.ToLower(ln.name) + "." }

// loadLimits takes over what is stored. tuning is held, or nobody else is there.
func (b *Broker) loadLimits(ctx context.Context) error {
	it, err := b.cfg.Engine.Get(ctx, keyLimits)
	if err != nil {
		return fmt.Errorf("read limits of connections: %w", err)
	}
	t := &tuned{}
	if it.Version > 0 {
		if err := json.Unmarshal(it.Value, t); err != nil {
			return fmt.Errorf("%w: item %q: %w", storage.ErrBroken, keyLimits, err)
		}
		b.lg.Info("limits of connections were set at run time", "broker", t.Broker, "cluster", t.Cluster)
	}
	b.tune(t)
	return nil
}

// tunedSettings puts what was set at run time among the settings.
func (b *Broker) tunedSettings(out []api.BrokerConfig) []api.BrokerConfig {
	t := b.tuned.Load()
	names := []string{limitOpen, limitRate, limitOfIP, limitsOfIPs}
	for _, ln := range b.listeners {
		names = append(names, listenerPrefix(ln)+limitOpen, listenerPrefix(ln)+limitRate)
	}
	for _, name := range names {
		i := slices.IndexFunc(out, func(c api.BrokerConfig) bool { return c.Name == name })
		_, set := t.in(name)
		if i < 0 && !set {
			continue
		}
		if i < 0 {
			none := strconv.Itoa(math.MaxInt32)
			i, out = len(out), append(out, api.BrokerConfig{Name: name, Value: none, Default: none, Kind: topic.Int, Doc: "Set while the broker runs."})
		}
		out[i].Settable = true
		if v, ok := t.Broker[name]; ok {
			out[i].Dynamic = &v
		}
		if v, ok := t.Cluster[name]; ok {
			out[i].DynamicDefault = &v
		}
	}
	return out
}
