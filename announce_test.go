package main

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
)

// TestExposed refuses addresses beyond this machine where nobody is asked who
// they are, and says so loudly where that is wanted, however it is told that all
// is ready.
func TestExposed(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string // what is exposed
	}{
		{[]string{"--kafka.listen", "127.0.0.1:1,[::1]:2", "--http.listen", "localhost:3"}, ""},
		{[]string{"--kafka.listen", "0.0.0.0:1"}, "--kafka.listen 0.0.0.0:1"},
		{[]string{"--kafka.listen", "[::]:1", "--http.listen", ":3"}, "--kafka.listen [::]:1, --http.listen :3"},
		{[]string{"--kafka.listen", "127.0.0.1:1", "--http.listen", "192.0.2.1:3"}, "--http.listen 192.0.2.1:3"},
		{[]string{"--kafka.listen", "PLAINTEXT://127.0.0.1:1,SASL_PLAINTEXT://0.0.0.0:2", "--kafka.sasl.mechanisms", "PLAIN", "--http.listen", "0.0.0.0:3", "--http.auth"}, ""},
		{[]string{"--kafka.listen", "127.0.0.1:1", "--admin.listen", "0.0.0.0:4", "--http.auth"}, "--admin.listen 0.0.0.0:4"},
	} {
		var cmd cli
		p, err := newParser(&cmd, stdio{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Parse(append([]string{"serve"}, c.args...)); err != nil {
			t.Fatal(err)
		}
		err = cmd.Serve.checkExposure()
		if c.want == "" != (err == nil) || err != nil && (!strings.HasPrefix(err.Error(), c.want+": ") || !strings.Contains(err.Error(), "--insecure-listen")) {
			t.Errorf("%q: got %v, want %s", c.args, err, c.want)
		}
		cmd.Serve.Insecure = true
		if err := cmd.Serve.checkExposure(); err != nil {
			t.Errorf("%q with --insecure-listen: %v", c.args, err)
		}
		for _, ready := range []bool{false, true} {
			cmd.Serve.ReadyJSON = ready
			var said bytes.Buffer
			n := &node{cmd: &cmd.Serve, lg: slog.New(slog.NewTextHandler(&said, nil))}
			ends, _ := cmd.Serve.endpoints()
			if err := n.announce(stdio{out: io.Discard}, runFile{}, make([]string, len(ends)), 0); err != nil {
				t.Fatal(err)
			}
			loud := 0
			if c.want != "" {
				loud = strings.Count(c.want, ", ") + 1
			}
			if got := strings.Count(said.String(), "LISTENING BEYOND"); got != loud || got > 0 && !strings.Contains(said.String(), "level=WARN") {
				t.Errorf("%q, ready-json %v: said %d times, want %d", c.args, ready, got, loud)
			}
		}
	}
}

// TestKafkaLines gives each listener a line of the banner, and advises the address that
// a client on this machine can take.
func TestKafkaLines(t *testing.T) {
	for _, c := range []struct {
		args, advertised []string
		lines, here      string
	}{
		{[]string{"--kafka.listen", "127.0.0.1:0"}, []string{"127.0.0.1:9092"},
			"  Kafka      127.0.0.1:9092                   plaintext, no authentication\n", "127.0.0.1:9092"},
		{[]string{
			"--kafka.listen", "INTERNAL://0.0.0.0:29092,EXTERNAL://0.0.0.0:9092", "--kafka.protocols", "INTERNAL:PLAINTEXT,EXTERNAL:SASL_PLAINTEXT",
			"--kafka.advertise", "INTERNAL://tarn:29092,EXTERNAL://localhost:9092", "--kafka.sasl.mechanisms", "PLAIN",
		}, []string{"tarn:29092", "localhost:9092"},
			"  Kafka      tarn:29092                       plaintext, no authentication, for INTERNAL\n" +
				"             localhost:9092                   plaintext, SASL PLAIN, for EXTERNAL\n",
			"localhost:9092 -X security.protocol=SASL_PLAINTEXT -X sasl.mechanisms=PLAIN -X sasl.username=NAME -X sasl.password=…"},
	} {
		cmd := serveWith(t, append([]string{"serve"}, c.args...)...)
		lines, here := cmd.kafkaLines(c.advertised)
		if lines != c.lines || here != c.here {
			t.Errorf("%q: got %q and %s, want %q and %s", c.args, lines, here, c.lines, c.here)
		}
	}
}

// TestClosing says of each address what closes it, and nothing that does not.
func TestClosing(t *testing.T) {
	for _, c := range []struct {
		open  []string
		want  string
		never string
	}{
		{[]string{"--admin.listen 0.0.0.0:4"}, "keep --admin.listen on this machine", "ask who they are with"},
		{[]string{"--http.listen :3"}, "--http.auth", "--kafka.sasl.mechanisms"},
		{[]string{"--kafka.listen :1", "--http.listen :3"}, "--kafka.sasl.mechanisms, or --kafka.tls.client-auth required; ask who they are with --http.auth", "--admin.listen"},
	} {
		if got := closing(c.open); !strings.Contains(got, c.want) || strings.Contains(got, c.never) {
			t.Errorf("%q: got %q; want %q and no %q", c.open, got, c.want, c.never)
		}
	}
}

// TestReachable holds addresses that are told to ones that can be gone to.
func TestReachable(t *testing.T) {
	for addr, want := range map[string]string{
		"[::]:8081": "localhost:8081", "0.0.0.0:8081": "localhost:8081", ":8081": "localhost:8081",
		"127.0.0.1:8081": "127.0.0.1:8081", "192.0.2.1:8081": "192.0.2.1:8081", "[::1]:8081": "[::1]:8081",
	} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := reachable(tcp); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
}
