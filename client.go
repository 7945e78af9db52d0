package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// Limits of client commands.
const (
	// dialTimeout is how long a command waits for a broker that is not there.
	dialTimeout = 5 * time.Second
	// maxAnswer bounds what is read of one answer over HTTP.
	maxAnswer = 64 << 20
)

// connect are the flags of every command that talks to a running broker.
type connect struct {
	Brokers string `name:"brokers" short:"b" placeholder:"HOST:PORT" help:"Kafka address; default: the broker running on --data, else localhost:9092."`
	HTTP    string `name:"http" placeholder:"URL" help:"HTTP address; default: the broker running on --data, else http://localhost:8081."`
	Data    string `default:"./tarn-data" placeholder:"DIR" help:"Data directory whose running broker is meant."`
	outputFlag
	credentials

	dataNamed bool // Data was given, and is no default
}

// fromEnvironment is what the flags are where none is given.
func (c *connect) fromEnvironment() error {
	parser, err := kong.New(c, kong.DefaultEnvars("TARN"), kong.WithBeforeReset(passEmptyPaths), kong.WithBeforeResolve(func(kctx *kong.Context) error {
		profile, err := newProfileResolver(kctx, os.Getenv(profileVariable))
		if err != nil {
			return err
		}
		kctx.AddResolver(profile)
		kctx.AddResolver(newFileVariables(kctx.Model.Node))
		return nil
	}))
	if err != nil {
		return err
	}
	_, err = parser.Parse(nil)
	return err
}

// AfterApply implements kong's hook: it notes whether somebody said which directory is
// meant, on the command line or in a profile. Variables alone do not: that of an image
// says where its own broker keeps things.
func (c *connect) AfterApply(kctx *kong.Context) error {
	for _, p := range kctx.Path {
		c.dataNamed = c.dataNamed || p.Flag != nil && p.Flag.Name == "data"
	}
	return nil
}

// kafkaAddress is that of the flag, else of the broker on --data, else the usual one.
func (c *connect) kafkaAddress() (string, error) {
	if c.Brokers != "" {
		return c.Brokers, nil
	}
	r, err := c.running("-b HOST:PORT")
	return r.Kafka, err
}

// httpAddress is the URL of the flag, else of the broker on --data, else the usual one.
func (c *connect) httpAddress() (string, error) {
	at := strings.TrimSuffix(c.HTTP, "/")
	if at == "" {
		r, err := c.running("--http URL")
		if err != nil {
			return "", err
		}
		at = r.HTTP
	}
	if !strings.Contains(at, "://") {
		at = "http://" + at
	}
	return at, nil
}

// running is the broker on --data. Where there is none it is the one at the usual
// addresses, unless the directory was named: another broker is not meant then, and else
// is the flag that would name it.
func (c *connect) running(other string) (runFile, error) {
	r, ok, err := readRunFile(c.Data)
	switch {
	case err != nil || ok:
		return r, err
	case c.dataNamed:
		return r, fmt.Errorf("no broker runs on %s: start one with tarn serve --data %s, or give %s in place of --data", c.Data, c.Data, other)
	}
	return runFile{Kafka: "localhost:9092", HTTP: "http://localhost:8081"}, nil
}

// kafka connects a Kafka client and makes sure that somebody answers.
func (c *connect) kafka(ctx context.Context, opts ...kgo.Opt) (*kgo.Client, error) {
	addr, err := c.kafkaAddress()
	if err != nil {
		return nil, err
	}
	login, err := c.kafkaOptions()
	if err != nil {
		return nil, err
	}
	opts = append(login, opts...)
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(strings.Split(addr, ",")...),
		kgo.ClientID("tarn"), kgo.SoftwareNameAndVersion("tarn", version),
		kgo.DialTimeout(dialTimeout),
	}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	ping, cancel := context.WithTimeout(ctx, 2*dialTimeout)
	defer cancel()
	if err := cl.Ping(ping); err != nil {
		cl.Close()
		return nil, unreachable(addr, err)
	}
	return cl, nil
}

// unreachable says why a client did not get to a broker, and what to change.
func unreachable(addr string, err error) error {
	const start = "start one with tarn serve, or give -b HOST:PORT"
	switch {
	case strings.Contains(err.Error(), "oauth response"):
		// The broker's reason is in an answer that the client library does not show (RFC 7628).
		return fmt.Errorf("the broker at %s does not take the token (oauth): it has expired, or its signature, issuer or audience is another than the broker wants; the broker's log says which", addr)
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fmt.Errorf("the broker at %s does not let you in (%s): %w", addr, remedy(addr, err, start), err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no Kafka broker answers at %s (%s): %w", addr, start, err)
	}
	return fmt.Errorf("no Kafka broker answers at %s (%s): %w", addr, remedy(addr, err, start), err)
}

// admin connects an admin client.
func (c *connect) admin(ctx context.Context) (*kadm.Client, error) {
	cl, err := c.kafka(ctx)
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(cl), nil
}

// registry is a client of the broker's schema registry.
func (c *connect) registry() (*sr.Client, error) {
	url, err := c.httpAddress()
	if err != nil {
		return nil, err
	}
	web, err := c.httpClient()
	if err != nil {
		return nil, err
	}
	helpful := *web
	helpful.Transport = helpfulTransport{web.Transport, url}
	opts := []sr.ClientOpt{sr.URLs(url), sr.UserAgent("tarn/" + version), sr.HTTPClient(&helpful)}
	switch {
	case c.Token != "":
		opts = append(opts, sr.BearerToken(c.Token))
	case c.User != "":
		opts = append(opts, sr.BasicAuth(c.User, c.Password))
	}
	return sr.NewClient(opts...)
}

// helpfulTransport says what to do when nobody answers.
type helpfulTransport struct {
	next http.RoundTripper // nil is the usual one
	base string
}

// RoundTrip implements http.RoundTripper.
func (t helpfulTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err != nil {
		return nil, nobodyAt(t.base, err)
	}
	return resp, nil
}

// nobodyAt is the error of an HTTP address that does not answer.
func nobodyAt(base string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err // by the user, whoever answers
	}
	return fmt.Errorf("no broker answers at %s (start one with tarn serve, or give --http URL): %w", base, err)
}

// call asks Tarn's own HTTP API and decodes its JSON answer into out, if any.
// A refusal comes back as its message.
func (c *connect) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.ask(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	asked := resp.Request.URL.Redacted()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", asked, err)
	}
	if resp.StatusCode >= 300 {
		return refusal(method+" "+asked, resp.Status, b)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("answer of %s: %w", asked, err)
	}
	return nil
}

// ask sends a request to Tarn's own HTTP API; the answer's body is to be closed.
func (c *connect) ask(ctx context.Context, method, path string, in any) (*http.Response, error) {
	base, err := c.httpAddress()
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, body)
	if err != nil {
		return nil, fmt.Errorf("address %s (--http): %w", base, err)
	}
	req.Header.Set("Content-Type", "application/json")
	c.sign(req)
	web, err := c.httpClient()
	if err != nil {
		return nil, err
	}
	resp, err := web.Do(req)
	if err != nil {
		return nil, nobodyAt(base, err)
	}
	return resp, nil
}

// refusal is what an answer says instead of its result.
func refusal(asked, status string, body []byte) error {
	var e apiError
	if json.Unmarshal(body, &e) == nil && e.Message != "" {
		return &e
	}
	return fmt.Errorf("%s answered %s", asked, status)
}

// apiError is a refusal of Tarn's HTTP API.
type apiError struct {
	Code    int    `json:"error_code"`
	Message string `json:"message"`
}

func (e *apiError) Error() string { return e.Message }
