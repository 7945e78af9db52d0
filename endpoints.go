package main

import (
	"fmt"
	"slices"
	"strings"
)

// endpoint is one entry of --kafka.listen.
type endpoint struct {
	name            string // its own, or its protocol
	addr, advertise string
	tls, sasl       bool
}

// protocols are Kafka's names of the ways an endpoint may speak.
func protocols() []string { return []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"} }

// speak sets what a protocol means; false if there is none of that name.
func (e *endpoint) speak(protocol string) bool {
	i := slices.Index(protocols(), protocol)
	e.tls, e.sasl = i&1 == 1, i >= 2
	return i >= 0
}

// protocol is Kafka's name of how an endpoint speaks.
func (e endpoint) protocol() string {
	i := 0
	if e.tls {
		i |= 1
	}
	if e.sasl {
		i |= 2
	}
	return protocols()[i]
}

// endpoints reads --kafka.listen: addresses with commas between, each with
// Kafka's protocol in front (SASL_SSL://:9093), with a name that
// --kafka.protocols gives a protocol, or without; then it is TLS if there is a
// certificate and SASL if there are mechanisms. --kafka.advertise names them
// again, or has as many in the same order, or fewer.
func (c *serveCmd) endpoints() ([]endpoint, error) {
	named, err := c.protocolMap()
	if err != nil {
		return nil, err
	}
	var out []endpoint
	for word := range strings.SplitSeq(c.KafkaListen, ",") {
		e := endpoint{tls: c.TLSCert != "", sasl: len(c.SASLMechanisms) > 0}
		name, addr, ok := strings.Cut(strings.TrimSpace(word), "://")
		if !ok {
			name, addr = "", name
		}
		e.name, e.addr = strings.ToUpper(name), addr
		protocol := e.name
		if p, ok := named[e.name]; ok {
			protocol = p
		}
		switch {
		case name == "":
			e.name = e.protocol()
		case !e.speak(protocol):
			return nil, fmt.Errorf("--kafka.listen: %q is none of %s, and --kafka.protocols does not say which it is", name, strings.Join(protocols(), ", "))
		case slices.ContainsFunc(out, func(o endpoint) bool { return o.name == e.name }):
			return nil, fmt.Errorf("--kafka.listen: two listeners are called %s: give one a name of its own, and --kafka.protocols its protocol", e.name)
		}
		switch {
		case e.tls && c.TLSCert == "":
			return nil, fmt.Errorf("--kafka.listen %s needs --kafka.tls.cert", word)
		case e.sasl && len(c.SASLMechanisms) == 0:
			return nil, fmt.Errorf("--kafka.listen %s needs --kafka.sasl.mechanisms", word)
		}
		out = append(out, e)
	}
	return out, c.advertise(out)
}

// protocolMap reads --kafka.protocols, Kafka's listener.security.protocol.map.
func (c *serveCmd) protocolMap() (map[string]string, error) {
	out := map[string]string{}
	if c.KafkaProtocols == "" {
		return out, nil
	}
	for word := range strings.SplitSeq(c.KafkaProtocols, ",") {
		name, protocol, ok := strings.Cut(strings.ToUpper(strings.TrimSpace(word)), ":")
		if !ok || name == "" || !new(endpoint).speak(protocol) {
			return nil, fmt.Errorf("--kafka.protocols: %q is not NAME:PROTOCOL, with one of %s", word, strings.Join(protocols(), ", "))
		}
		out[name] = protocol
	}
	return out, nil
}

// advertise gives endpoints the addresses of --kafka.advertise.
func (c *serveCmd) advertise(ends []endpoint) error {
	if c.KafkaAdvertise == "" {
		return nil
	}
	for i, word := range strings.Split(c.KafkaAdvertise, ",") {
		name, addr, named := strings.Cut(strings.TrimSpace(word), "://")
		if !named {
			name, addr = "", name
		}
		at := i
		if named {
			at = slices.IndexFunc(ends, func(e endpoint) bool { return e.name == strings.ToUpper(name) })
		}
		if at < 0 || at >= len(ends) {
			return fmt.Errorf("--kafka.advertise: %q has no listener in --kafka.listen", word)
		}
		ends[at].advertise = addr
	}
	return nil
}
