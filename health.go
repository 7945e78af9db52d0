package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

// readyLimit bounds one look at all that readiness depends on.
const readyLimit = 2 * time.Second

// readyCheck is one thing that a broker needs to serve.
type readyCheck struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Message string  `json:"message,omitempty"`
	TookMs  float64 `json:"took_ms"`
	code    int
}

// readyReport is what /readyz?verbose answers.
type readyReport struct {
	Status string       `json:"status"` // ready, or not ready
	Checks []readyCheck `json:"checks"`
}

// ready answers 200 only when Kafka, storage and catalog answer and the broker is
// not about to stop. With ?verbose it says how each is.
func (n *node) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
	defer cancel()
	report := readyReport{Status: "ready"}
	for _, c := range []struct {
		name string
		code int
		look func(context.Context) (string, error)
	}{
		{"start", 50305, n.lookStarted},
		{"kafka", 50301, n.lookKafka},
		{"storage", 50302, n.lookStorage},
		{"catalog", 50303, n.lookCatalog},
		{"disk", 0, n.lookDisk},
	} {
		begun := time.Now()
		text, err := c.look(ctx)
		one := readyCheck{Name: c.name, OK: err == nil, Message: text, code: c.code}
		if err != nil {
			one.Message, report.Status = err.Error(), "not ready"
		}
		one.TookMs = float64(time.Since(begun).Microseconds()) / 1000
		report.Checks = append(report.Checks, one)
	}
	status := http.StatusOK
	if report.Status != "ready" {
		status = http.StatusServiceUnavailable
	}
	if r.URL.Query().Has("verbose") {
		answer(w, status, report)
		return
	}
	for _, c := range report.Checks {
		if !c.OK {
			answer(w, status, apiError{Code: c.code, Message: c.Name + ": " + c.Message})
			return
		}
	}
	answer(w, status, map[string]string{"status": report.Status})
}

// lookStarted tells a broker that starts or drains from one that serves.
func (n *node) lookStarted(context.Context) (string, error) {
	select {
	case <-n.stopping:
		return "", fmt.Errorf("the broker is stopping")
	default:
	}
	if !n.started.Load() {
		return "", fmt.Errorf("the broker is starting")
	}
	return "", nil
}

func (n *node) lookKafka(ctx context.Context) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", n.broker.Addr().String())
	if err != nil {
		return "", err
	}
	return n.broker.Addr().String(), conn.Close()
}

// lookStorage writes nothing but a check that holds of what it has read: that
// takes the way of every commit.
func (n *node) lookStorage(ctx context.Context) (string, error) {
	it, err := n.engine.Get(ctx, "cluster-id")
	if err != nil {
		return "", err
	}
	return "", n.engine.Commit(ctx, storage.Write{Check: []storage.Check{{Key: it.Key, Version: it.Version}}})
}

func (n *node) lookCatalog(ctx context.Context) (string, error) {
	_, err := n.catalog.ListNamespaces(ctx, nil)
	return "", err
}

// lookDisk only tells: a full disk is no reason not to serve reads.
func (n *node) lookDisk(context.Context) (string, error) {
	total, usable := diskSpace(n.cmd.Data)
	return fmt.Sprintf("%d of %d bytes free", usable, total), nil
}

// startup answers 200 once everything has been started, and ever after.
func (n *node) startup(w http.ResponseWriter, _ *http.Request) {
	if !n.started.Load() {
		answer(w, http.StatusServiceUnavailable, apiError{Code: 50305, Message: "the broker is starting"})
		return
	}
	fmt.Fprintln(w, "ok")
}

// notify tells systemd how the broker is (sd_notify(3)): one datagram to the
// socket that it names, or nothing if it names none.
func notify(ctx context.Context, state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	if strings.HasPrefix(name, "@") {
		name = "\x00" + name[1:] // a name without a file
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unixgram", name)
	if err != nil {
		return fmt.Errorf("tell systemd (NOTIFY_SOCKET): %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("tell systemd (NOTIFY_SOCKET): %w", err)
	}
	return nil
}

// healthcheckCmd is for images that have no other program.
type healthcheckCmd struct {
	connect
	Live bool `help:"Only ask whether the process answers, not whether it can serve."`
}

// here asks the broker on --data, which is one of this machine: over loopback where
// it is known by a name, and without a look at its certificate, which is for others.
// It is told no secret, and nothing but its health is believed.
func (c *healthcheckCmd) here() {
	c.User, c.Password, c.Token = "", "", ""
	var d net.Dialer
	c.web = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err == nil && net.ParseIP(host) == nil {
				if conn, err := d.DialContext(ctx, network, net.JoinHostPort("localhost", port)); err == nil {
					return conn, nil
				}
			}
			return d.DialContext(ctx, network, addr)
		},
	}}
}

// Run exits 0 if the broker is ready, else 1 with the reason.
func (c *healthcheckCmd) Run(ctx context.Context, std stdio) error {
	ctx, cancel := context.WithTimeout(ctx, 2*readyLimit)
	defer cancel()
	if c.HTTP == "" && c.CA == "" {
		c.here()
	}
	if c.Live {
		return c.call(ctx, http.MethodGet, "/livez", nil, nil)
	}
	var report readyReport
	if err := c.call(ctx, http.MethodGet, "/readyz", nil, nil); err != nil {
		return err
	}
	if err := c.call(ctx, http.MethodGet, "/readyz?verbose", nil, &report); err != nil {
		return err
	}
	s := sheet{Columns: []string{"CHECK", "OK", "MS", "MESSAGE"}}
	for _, check := range report.Checks {
		s.add(check.Name, check.OK, check.TookMs, check.Message)
	}
	return s.write(std.out, c.Output)
}
