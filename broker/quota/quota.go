// Package quota holds Kafka's client quotas: limits by user, client id and
// address, their defaults and combinations, and what clients have used of them
// (KIP-13, KIP-55, KIP-124, KIP-546, KIP-599, KIP-612). It knows nothing of the
// wire; who asks gets the time a client is to be kept waiting.
package quota

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"strings"
)

// Key names what is limited, as Kafka does.
type Key string

// Keys of users and clients, and the last one of addresses.
const (
	ProduceBytes Key = "producer_byte_rate"       // bytes of Produce requests a second
	FetchBytes   Key = "consumer_byte_rate"       // bytes of Fetch answers a second
	RequestTime  Key = "request_percentage"       // percent of one processor's time
	Mutations    Key = "controller_mutation_rate" // partitions made and deleted a second
	Connections  Key = "connection_creation_rate" // new connections of an address a second
)

// Types of an entity's parts.
const (
	TypeUser   = "user"
	TypeClient = "client-id"
	TypeIP     = "ip"
)

const (
	// maxName bounds a user or client id that gets a quota: both, escaped, have
	// to fit an item's key.
	maxName = 256
	// maxEntities bounds what has quotas: all of them are in memory, and an
	// answer lists them all.
	maxEntities = 10_000
	// prefix begins the items' keys.
	prefix = "quota/"
	// defaultMark stands for the default of a type in a key; escaped names
	// never hold it.
	defaultMark = "<default>"
)

// Match is one part of an entity. The zero value is none.
type Match struct {
	Given   bool
	Default bool   // all names without a quota of their own
	Name    string // "" for the default
}

// Exact is the part of one name.
func Exact(name string) Match { return Match{Given: true, Name: name} }

// Default is the part of all names that have no quota of their own.
func Default() Match { return Match{Given: true, Default: true} }

// Entity is what a quota is for: a user, a client id, both, or an address.
type Entity struct {
	User, Client, IP Match
}

// Refusal says why a quota is refused; nothing has changed.
type Refusal struct{ Reason string }

// Error is the reason.
func (r *Refusal) Error() string { return r.Reason }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// check says whether the entity can have quotas.
func (e Entity) check() error {
	if !e.User.Given && !e.Client.Given && !e.IP.Given {
		return refuse("the entity is empty")
	}
	if e.IP.Given && (e.User.Given || e.Client.Given) {
		return refuse("an ip does not go together with a user or a client id")
	}
	for kind, m := range e.parts() {
		if m.Given && !m.Default && m.Name == "" {
			return refuse("an empty %s is not supported", kind)
		}
		if len(m.Name) > maxName {
			return refuse("the %s has %d bytes, at most %d", kind, len(m.Name), maxName)
		}
	}
	if e.IP.Given && !e.IP.Default {
		if a, err := netip.ParseAddr(e.IP.Name); err != nil || a.Unmap().WithZone("").String() != e.IP.Name {
			return refuse("%q is no IP address in its usual form", e.IP.Name)
		}
	}
	return nil
}

// parts are the parts by type, also those that are not given.
func (e Entity) parts() map[string]Match {
	return map[string]Match{TypeUser: e.User, TypeClient: e.Client, TypeIP: e.IP}
}

// Part is the part of a type; ok is false if there is no such type.
func (e *Entity) Part(kind string) (m *Match, ok bool) {
	switch kind {
	case TypeUser:
		return &e.User, true
	case TypeClient:
		return &e.Client, true
	case TypeIP:
		return &e.IP, true
	}
	return nil, false
}

// String is the entity as it stands in an item's key: user=…,client-id=… with
// names escaped as in a URL.
func (e Entity) String() string {
	var parts []string
	for _, kind := range []string{TypeUser, TypeClient, TypeIP} {
		m, _ := e.Part(kind)
		switch {
		case m.Default:
			parts = append(parts, kind+"="+defaultMark)
		case m.Given:
			parts = append(parts, kind+"="+url.QueryEscape(m.Name))
		}
	}
	return strings.Join(parts, ",")
}

// parseEntity reads what String has written.
func parseEntity(s string) (Entity, error) {
	var e Entity
	for part := range strings.SplitSeq(s, ",") {
		kind, value, ok := strings.Cut(part, "=")
		m, known := e.Part(kind)
		if !ok || !known {
			return e, fmt.Errorf("%q is no part of an entity", part)
		}
		if *m = Default(); value != defaultMark {
			name, err := url.QueryUnescape(value)
			if err != nil {
				return e, err
			}
			*m = Exact(name)
		}
	}
	return e, e.check()
}

// checkValue says whether a key goes with the entity and the value with the key.
func (e Entity) checkValue(key Key, value float64) error {
	whole := true
	switch key {
	case ProduceBytes, FetchBytes:
	case RequestTime, Mutations:
		whole = false
	case Connections:
		if !e.IP.Given {
			return refuse("%s is a quota of an ip", key)
		}
	default:
		return refuse("%q is no quota", key)
	}
	switch {
	case e.IP.Given && key != Connections:
		return refuse("%s is no quota of an ip", key)
	case math.IsNaN(value) || value <= 0 || value > math.MaxInt64:
		return refuse("%s is %v, it has to be greater than 0", key, value)
	case whole && value != math.Trunc(value):
		return refuse("%s is %v, it has to be a whole number", key, value)
	}
	return nil
}
