package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/tarn-io/tarn/sink"
)

type doctorCmd struct{ connect }

// What is worth a word.
const (
	// doctorDial is how long an address may take to answer.
	doctorDial = 3 * time.Second
	// lowDisk and noDisk are bytes free on the broker's volume.
	lowDisk = 5 << 30
	noDisk  = 256 << 20
	// clockOff is how far clocks may be apart: an answer says the time in whole
	// seconds, and takes its own.
	clockOff = 3 * time.Second
	// clockWrong is what breaks signatures, tokens and certificates.
	clockWrong = time.Minute
)

// finding is what one look says.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warning or problem
	Found  string `json:"found"`
	Fix    string `json:"fix,omitempty"` // the exact change
}

// doctor gathers findings.
type doctor struct {
	*doctorCmd
	findings []finding
}

func (d *doctor) ok(check, format string, args ...any) {
	d.findings = append(d.findings, finding{check, "ok", fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(check, fix, format string, args ...any) {
	d.findings = append(d.findings, finding{check, "warning", fmt.Sprintf(format, args...), fix})
}

func (d *doctor) problem(check, fix, format string, args ...any) {
	d.findings = append(d.findings, finding{check, "problem", fmt.Sprintf(format, args...), fix})
}

// Help shows examples.
func (c *doctorCmd) Help() string {
	return `Looks at a running broker as its clients do, from where you stand: at every
address that it tells clients it speaks Kafka, with the TLS and the login of your flags
or profile, and looks whether the same broker is there. Each finding says what to
change, by the error. Exit code 1 if anything is a problem.

  tarn doctor                        # the broker that runs on ./tarn-data
  tarn doctor -b kafka.example.org:9092 --http https://kafka.example.org:8081
  tarn doctor --output json`
}

// Run looks, and says what it has found.
func (c *doctorCmd) Run(ctx context.Context, std stdio) error {
	d := &doctor{doctorCmd: c}
	if err := d.find(); err != nil {
		return err
	}
	d.kafkaSide(ctx)
	d.httpSide(ctx)
	if err := d.show(std); err != nil {
		return err
	}
	n := 0
	for _, f := range d.findings {
		if f.Status == "problem" {
			n++
		}
	}
	if n > 0 {
		return &exitError{1, fmt.Errorf("%d problems", n)}
	}
	return nil
}

func (d *doctor) show(std stdio) error {
	if d.Output == "json" {
		return writeJSON(std.out, d.findings)
	}
	s := sheet{Columns: []string{"CHECK", "STATUS", "FOUND"}}
	if d.Output == "csv" {
		s.Columns = append(s.Columns, "FIX")
		for _, f := range d.findings {
			s.add(f.Check, f.Status, f.Found, f.Fix)
		}
		return s.write(std.out, d.Output)
	}
	for _, f := range d.findings {
		mark := map[string]string{"ok": "ok      ", "warning": "warning ", "problem": "PROBLEM "}[f.Status]
		fmt.Fprintf(std.out, "%s %-12s %s\n", mark, f.Check, f.Found)
		if f.Fix != "" {
			fmt.Fprintf(std.out, "%22s %s\n", "do:", f.Fix)
		}
	}
	return nil
}

// find settles the addresses. HTTP is looked for beside Kafka, unless it is given.
func (d *doctor) find() error {
	given := d.Brokers
	run, running, err := readRunFile(d.Data)
	if err != nil {
		return err
	}
	if given != "" && d.HTTP == "" && (!running || run.Kafka != given) {
		host, _, err := net.SplitHostPort(strings.Split(given, ",")[0])
		if err != nil {
			return fmt.Errorf("-b %s: %w", given, err)
		}
		d.HTTP = "http://" + net.JoinHostPort(host, "8081")
	}
	switch {
	case given != "":
		d.ok("broker", "looking at %s, as given", given)
	case running:
		d.ok("broker", "looking at %s, by %s (process %d)", run.Kafka, runFilePath(d.Data), run.PID)
	default:
		d.warn("broker", "start one with tarn, or give -b HOST:PORT, or --data DIR", "no broker has left its addresses in %s; looking at localhost:9092", d.Data)
	}
	if d.Brokers, err = d.kafkaAddress(); err != nil {
		return err
	}
	d.HTTP, err = d.httpAddress()
	return err
}

// kafkaSide looks at what Kafka clients see.
func (d *doctor) kafkaSide(ctx context.Context) {
	reached := ""
	for addr := range strings.SplitSeq(d.Brokers, ",") {
		if err := dialled(ctx, addr); err != nil {
			d.problem("bootstrap", remedy(addr, err, "start the broker, or open the way to "+addr), "%s does not answer: %v", addr, err)
			continue
		}
		reached = addr
	}
	if reached == "" {
		return
	}
	begun := time.Now()
	cl, err := d.kafka(ctx)
	if err != nil {
		d.problem("bootstrap", remedy(reached, err, "if the listener wants TLS or a password, give --tls-ca, --user and --sasl; else it is no Kafka listener"), "%s is there and does not speak Kafka to us: %v", reached, err)
		return
	}
	defer cl.Close()
	d.ok("bootstrap", "%s answers in %d ms", reached, time.Since(begun).Milliseconds())
	adm := kadm.NewClient(cl)
	ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
	defer cancel()
	meta, err := adm.BrokerMetadata(ctx)
	if err != nil {
		d.problem("advertised", remedy(reached, err, "look at the broker's log"), "the broker does not tell its addresses: %v", err)
		return
	}
	all := true
	for _, b := range meta.Brokers {
		all = d.advertised(ctx, reached, net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))), meta.Cluster) && all
	}
	if all { // else the client would go there, too
		d.disk(ctx, adm)
	}
}

// listener is the name of the listener that tells clients an address.
func (d *doctor) listener(ctx context.Context, told string) string {
	var all []listenerInfo
	// Without an answer the usual name stands there.
	if err := d.call(ctx, http.MethodGet, "/api/listeners", nil, &all); err == nil {
		for _, l := range all {
			if l.Advertised == told {
				return l.Name
			}
		}
	}
	return "PLAINTEXT"
}

// dialled connects to an address and ends it at once.
func dialled(ctx context.Context, addr string) error {
	dialer := net.Dialer{Timeout: doctorDial}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// disk looks at the volume of the log.
func (d *doctor) disk(ctx context.Context, adm *kadm.Client) {
	all, err := adm.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		d.warn("disk", remedy(d.Brokers, err, "look at the broker's log"), "the broker does not say how much room it has: %v", err)
		return
	}
	all.Each(func(dir kadm.DescribedLogDir) {
		switch free := dir.UsableBytes; {
		case dir.Err != nil:
			d.problem("disk", "look at the broker's log", "%s: %v", dir.Dir, dir.Err)
		case free < 0:
			d.ok("disk", "%s: how much is free cannot be told", dir.Dir)
		case free < noDisk:
			d.problem("disk", "make room: lower retention (tarn topic alter TOPIC -c retention.ms=…), or move --data to a larger volume", "%s has %d MB free", dir.Dir, free>>20)
		case free < lowDisk:
			d.warn("disk", "make room before it is full: lower retention (tarn topic alter TOPIC -c retention.ms=…), or move --data to a larger volume", "%s has %d MB free", dir.Dir, free>>20)
		default:
			d.ok("disk", "%s has %d GB free", dir.Dir, free>>30)
		}
	})
}

// httpSide looks at registry, catalog and tables.
func (d *doctor) httpSide(ctx context.Context) {
	status, body, header, err := d.get(ctx, "/readyz")
	if err != nil {
		d.problem("http", remedy(d.HTTP, err, "start the broker, or give the right address by --http URL"), "%s does not answer: %v", d.HTTP, err)
		return
	}
	switch status {
	case http.StatusOK:
		d.ok("http", "%s is ready: Kafka, store and catalog answer", d.HTTP)
	case http.StatusUnauthorized:
		d.problem("http", "give --user and TARN_PASSWORD", "%s asks who you are", d.HTTP)
		return
	default:
		var e apiError
		_ = json.Unmarshal(body, &e) // what is no error of ours has no message
		d.problem("http", "see tarn errors "+strconv.Itoa(e.Code)+", and the broker's log", "%s is not ready: %d %s", d.HTTP, status, e.Message)
	}
	d.clock(header.Get("Date"))
	d.version(ctx)
	d.catalog(ctx)
	d.tables(ctx)
}

// get asks for a page of the broker.
func (d *doctor) get(ctx context.Context, path string) (status int, body []byte, header http.Header, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.HTTP+path, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	d.sign(req)
	web, err := d.httpClient()
	if err != nil {
		return 0, nil, nil, err
	}
	resp, err := web.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, body, resp.Header, err
}

// page asks for a page that has to be there; who is not let in gets an apiError.
func (d *doctor) page(ctx context.Context, path string) ([]byte, error) {
	status, body, _, err := d.get(ctx, path)
	switch {
	case err != nil || status == http.StatusOK:
		return body, err
	case status == http.StatusUnauthorized:
		return nil, &apiError{Code: 40101, Message: "Unauthorized"}
	case status == http.StatusForbidden:
		return nil, &apiError{Code: 40301, Message: "not allowed"}
	}
	return nil, errors.New(strings.TrimSpace(fmt.Sprintf("%d %.200s", status, body)))
}

func (d *doctor) clock(date string) {
	at, err := http.ParseTime(date)
	if err != nil {
		return
	}
	off := time.Since(at).Round(time.Second)
	const fix = "let both machines follow a time server (NTP): retention, tokens and signatures go by the clock"
	switch {
	case off.Abs() > clockWrong:
		d.problem("clock", fix, "the broker's clock is %v from this machine's", off)
	case off.Abs() > clockOff:
		d.warn("clock", fix, "the broker's clock is %v from this machine's", off)
	default:
		d.ok("clock", "the broker's clock agrees with this machine's")
	}
}

// version compares the broker's release with the command's.
func (d *doctor) version(ctx context.Context) {
	var doc struct {
		Info struct{ Version string }
	}
	body, err := d.page(ctx, "/api/openapi.json")
	if err == nil {
		err = json.Unmarshal(body, &doc)
	}
	if err != nil {
		d.warn("version", remedy(d.HTTP, err, "look whether --http is the address of a Tarn"), "the broker does not say which version it is: %v", err)
		return
	}
	if doc.Info.Version != version {
		d.warn("version", "use the command line of the broker's version", "the broker is tarn %s, this command %s", doc.Info.Version, version)
		return
	}
	d.ok("version", "broker and command are tarn %s", version)
}

func (d *doctor) catalog(ctx context.Context) {
	if _, err := d.page(ctx, "/iceberg/v1/config"); err != nil {
		if fix := remedy(d.HTTP, err, "look at the broker's log"); notAllowed(err) { // whether it answers is not known
			d.warn("catalog", fix, "the Iceberg catalog at %s/iceberg does not let this user in: %v", d.HTTP, err)
		} else {
			d.problem("catalog", fix, "the Iceberg catalog at %s/iceberg does not answer: %v", d.HTTP, err)
		}
		return
	}
	d.ok("catalog", "the Iceberg catalog at %s/iceberg answers", d.HTTP)
}

// tables looks at what is written, to the bucket or directory.
func (d *doctor) tables(ctx context.Context) {
	var all []sink.Status
	if err := d.call(ctx, http.MethodGet, "/api/tables", nil, &all); err != nil {
		d.warn("tables", remedy(d.HTTP, err, "look at the broker's log"), "the broker does not say how its tables are: %v", err)
		return
	}
	bad := 0
	for _, st := range all {
		switch st.State {
		case sink.Running:
		case sink.WaitingForSchema:
			d.warn("tables", fmt.Sprintf("tarn schema register %s-value FILE", st.Topic), "%s waits for a schema", st.Topic)
		default:
			bad++
			d.problem("tables", fmt.Sprintf("tarn errors %s; tarn table status %s", st.State, st.Topic), "%s is %s: %s", st.Topic, st.State, st.Message)
		}
	}
	if bad == 0 {
		d.ok("tables", "%d topics have tables, and the warehouse takes their commits", len(all))
	}
}
