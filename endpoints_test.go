package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestEndpoints reads listeners as flags give them. The answer is name, address,
// protocol and what is advertised.
func TestEndpoints(t *testing.T) {
	for _, c := range []struct{ listen, advertise, protocols, want string }{
		{":9092", "", "", "PLAINTEXT :9092 PLAINTEXT"},
		{":9092", "h:1", "", "PLAINTEXT :9092 PLAINTEXT h:1"},
		{":1,:2", "", "", "PLAINTEXT :1 PLAINTEXT, PLAINTEXT :2 PLAINTEXT"},
		{"plaintext://:1,SSL://:2", "a:1,b:2", "", "PLAINTEXT :1 PLAINTEXT a:1, SSL :2 SSL b:2"},
		{"PLAINTEXT://:1,SASL_SSL://:2", "SASL_SSL://b:2", "", "PLAINTEXT :1 PLAINTEXT, SASL_SSL :2 SASL_SSL b:2"},
		{"IN://:1, out://:2", "OUT://b:2 , in://a:1", "in:PLAINTEXT, OUT:sasl_plaintext", "IN :1 PLAINTEXT a:1, OUT :2 SASL_PLAINTEXT b:2"},
		{"SSL://:1", "", "SSL:PLAINTEXT", "SSL :1 PLAINTEXT"},
		{"IN://:1", "", "", "error"},
		{"IN://:1,IN://:2", "", "IN:SSL", "error"},
		{"IN://:1", "", "IN=SSL", "error"},
		{"IN://:1", "", "IN:TLS", "error"},
		{":1", "a:1,b:2", "", "error"},
		{":1", "OUT://b:2", "", "error"},
	} {
		cmd := &serveCmd{KafkaListen: c.listen, KafkaAdvertise: c.advertise, KafkaProtocols: c.protocols}
		if strings.Contains(c.listen+c.protocols, "S") || strings.Contains(c.protocols, "sasl") {
			cmd.TLSCert, cmd.SASLMechanisms = "cert.pem", []string{"PLAIN"}
		}
		ends, err := cmd.endpoints()
		var words []string
		for _, e := range ends {
			words = append(words, strings.TrimSpace(fmt.Sprint(e.name, " ", e.addr, " ", e.protocol(), " ", e.advertise)))
		}
		got := strings.Join(words, ", ")
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%q, %q, %q: %q (%v), want %q", c.listen, c.advertise, c.protocols, got, err, c.want)
		}
	}
}
