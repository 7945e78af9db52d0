package telemetry

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Key names a setting of a subscription, with Kafka's name.
type Key string

// The settings.
const (
	// Metrics are the beginnings of names that a client is to push, or "*".
	Metrics Key = "metrics"
	// IntervalMs is how often.
	IntervalMs Key = "interval.ms"
	// Match chooses clients.
	Match Key = "match"
)

// All stands for all metrics.
const All = "*"

// defaultInterval is how often a client asks whether it is to push, and the
// longest interval in effect: a subscription can only make it shorter, as in
// Kafka.
const defaultInterval = 5 * time.Minute

// Bounds of IntervalMs.
const (
	minIntervalMs = 100
	maxIntervalMs = 3_600_000
)

// Definition is one setting.
type Definition struct {
	Key     Key
	Default string
	Doc     string
	// List says that the value is a list with commas between; it is a number
	// otherwise.
	List bool
}

// Definitions lists the settings by name. The slice is the caller's.
func Definitions() []Definition {
	return []Definition{
		{IntervalMs, strconv.FormatInt(defaultInterval.Milliseconds(), 10), "How often clients push, in ms; above 5 minutes it is 5 minutes.", false},
		{Match, "", "Which clients: client_id=REGEX and the like, all of which have to fit; none means every client.", true},
		{Metrics, "", "Beginnings of the names of metrics, or * for all; none means nothing.", true},
	}
}

func definition(key Key) (Definition, bool) {
	for _, d := range Definitions() {
		if d.Key == key {
			return d, true
		}
	}
	return Definition{}, false
}

// Refusal refuses a change of a subscription. Nothing was changed.
type Refusal struct {
	Key, Value string
	Reason     string
	// Request says that Kafka takes it for a bad request, not for a bad value.
	Request bool
}

// Error names what was refused and why.
func (r *Refusal) Error() string {
	return fmt.Sprintf("client metrics config %s=%q: %s", r.Key, r.Value, r.Reason)
}

// selectors are what clients can be chosen by, and what each looks at.
func selectors() map[string]func(id ID, c *Client) string {
	return map[string]func(id ID, c *Client) string{
		"client_instance_id":      func(id ID, _ *Client) string { return id.String() },
		"client_id":               func(_ ID, c *Client) string { return c.ID },
		"client_software_name":    func(_ ID, c *Client) string { return c.Software },
		"client_software_version": func(_ ID, c *Client) string { return c.SoftwareVersion },
		"client_source_address":   func(_ ID, c *Client) string { return c.Host },
		"client_source_port":      func(_ ID, c *Client) string { return c.Port },
	}
}

// pattern is one condition of Match.
type pattern struct {
	of func(id ID, c *Client) string
	re *regexp.Regexp
}

// subscription is a parsed one.
type subscription struct {
	item     int64 // version of its item
	values   map[Key]string
	metrics  []string
	interval time.Duration
	match    []pattern
}

// splitList cuts a list as Kafka does: at commas, without the spaces around.
func splitList(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	words := strings.Split(s, ",")
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
	}
	return words
}

// parse makes a subscription of its settings, or refuses them.
func parse(values map[Key]string) (*subscription, error) {
	s := &subscription{values: values, interval: defaultInterval}
	for key, value := range values {
		if _, ok := definition(key); !ok {
			return nil, &Refusal{string(key), value, "is no setting of a subscription", true}
		}
		if len(value) > maxValue {
			return nil, &Refusal{string(key), value[:100] + "…", fmt.Sprintf("has more than %d bytes", maxValue), false}
		}
	}
	s.metrics = splitList(values[Metrics])
	if text, ok := values[IntervalMs]; ok {
		ms, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
		if err != nil {
			return nil, &Refusal{string(IntervalMs), text, "must be a whole number", false}
		}
		if ms < minIntervalMs || ms > maxIntervalMs {
			return nil, &Refusal{string(IntervalMs), text, fmt.Sprintf("must be from %d to %d", minIntervalMs, maxIntervalMs), true}
		}
		s.interval = time.Duration(ms) * time.Millisecond
	}
	known := selectors()
	for _, word := range splitList(values[Match]) {
		name, text, ok := strings.Cut(word, "=")
		of := known[strings.TrimSpace(name)]
		if !ok || of == nil || strings.Contains(text, "=") || strings.TrimSpace(text) == "" {
			return nil, &Refusal{string(Match), word, "is not client_id=REGEX, or client_instance_id, client_software_name, client_software_version, client_source_address or client_source_port", false}
		}
		re, err := regexp.Compile(`^(?:` + strings.TrimSpace(text) + `)$`)
		if err != nil {
			return nil, &Refusal{string(Match), word, "has no regular expression that can be used here: " + err.Error(), false}
		}
		s.match = append(s.match, pattern{of, re})
	}
	return s, nil
}

// fits reports whether a client is meant.
func (s *subscription) fits(id ID, c *Client) bool {
	return !slices.ContainsFunc(s.match, func(p pattern) bool { return !p.re.MatchString(p.of(id, c)) })
}
