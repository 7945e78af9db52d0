package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tarn-io/tarn/broker/storage/memory"
)

// devFlags are what tarn dev and tarn test have in common.
type devFlags struct {
	Seed           []string `placeholder:"FILE" type:"path" help:"What is there from the beginning and after a reset: YAML as tarn apply reads it, or records as JSON lines with their topic. May be repeated."`
	KafkaListen    string   `name:"kafka.listen" default:"127.0.0.1:0" placeholder:"ADDR" help:"Kafka addresses, as of tarn serve."`
	KafkaAdvertise string   `name:"kafka.advertise" placeholder:"ADDR" help:"Address that Kafka clients are told; can be set later over HTTP, too."`
	HTTPListen     string   `name:"http.listen" default:"127.0.0.1:0" placeholder:"ADDR" help:"HTTP address."`
	Partitions     int32    `name:"kafka.partitions" default:"1" help:"Partitions of a new topic unless it says otherwise."`
	LogLevel       string   `name:"log.level" enum:"debug,info,warn,error" default:"warn" help:"What is logged: debug, info, warn or error, and all that is worse."`
	InsecureListen bool     `name:"insecure-listen" help:"Listen beyond this machine: everybody may do everything, also reset and break it."`
}

type devCmd struct {
	devFlags
	Text bool `help:"Print addresses for people instead of the JSON line."`
}

// Help shows examples.
func (c *devCmd) Help() string {
	return `Everything is in memory and in a temporary directory, and gone when it ends. When it is
ready it prints one line of JSON with its addresses. Beside tarn serve's, it has routes
for tests (GET /_dev/openapi.json describes them):

  tarn dev --seed shop.yaml --seed orders.jsonl
  curl -X POST  $HTTP/_dev/snapshot/before        and later  /_dev/restore/before
  curl -X POST  $HTTP/_dev/reset
  curl -X PUT   $HTTP/_dev/advertise -d '{"kafka":"host.docker.internal:9092"}'
  curl -X POST  $HTTP/_dev/faults -d '{"on":"kafka","api":"Produce","do":"lose","count":1}'
  curl -X POST  $HTTP/_dev/faults -d '{"on":"http","path":"/subjects","do":"fail","status":500}'
  curl -X POST  $HTTP/_dev/faults -d '{"on":"table","topic":"orders","do":"lose","count":1}'
  curl -X POST  $HTTP/_dev/groups/billing/rebalance`
}

// Limits of tarn dev.
const (
	// maxSnapshots bounds the snapshots that are kept: each has a copy of the tables.
	maxSnapshots = 32
	// devStop is how long a broker may take to end before another one begins.
	devStop = 30 * time.Second
)

// dev is an ephemeral broker: a node that can be exchanged for another one behind the
// same addresses.
type dev struct {
	flags  *devFlags
	serve  *serveCmd
	lg     *slog.Logger
	level  *slog.LevelVar
	tail   *logTail
	dir    string // temporary
	front  net.Listener
	web    *http.Server
	seams  devSeams
	node   atomic.Pointer[devNode]
	broken chan error // of size 1: a node that failed by itself

	changing  sync.Mutex // guards what follows; held while nodes are exchanged
	advertise string     // as it was set over HTTP
	snapshots map[string]*memory.Engine
}

// devNode is a node that runs.
type devNode struct {
	*node
	stop  context.CancelFunc
	ended chan error // of size 1
}

// Run serves until ctx ends.
func (c *devCmd) Run(ctx context.Context, std stdio) error {
	begun := time.Now()
	d, err := openDev(ctx, &c.devFlags, std)
	if err != nil {
		return err
	}
	defer d.close()
	if c.Text {
		_, err = fmt.Fprintf(std.out, "tarn %s for tests, ready in %d ms; gone when it ends\n  Kafka      %s\n  HTTP       %s\n  Routes     %s/_dev/openapi.json\n",
			version, time.Since(begun).Milliseconds(), d.addresses().Kafka, d.addresses().HTTP, d.addresses().HTTP)
	} else {
		var line []byte
		if line, err = json.Marshal(d.addresses()); err == nil {
			_, err = fmt.Fprintln(std.out, string(line))
		}
	}
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.broken:
		return err
	}
}

// openDev makes an ephemeral broker that runs.
func openDev(ctx context.Context, flags *devFlags, std stdio) (_ *dev, err error) {
	d := &dev{flags: flags, level: new(slog.LevelVar), broken: make(chan error, 1), snapshots: map[string]*memory.Engine{}}
	d.seams = devSeams{engine: memory.New(), faults: &faults{}}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.dir, err = os.MkdirTemp("", "tarn-dev-"); err != nil {
		return nil, fmt.Errorf("make a directory for what it keeps: %w", err)
	}
	if d.serve, err = flags.serve(d.dir); err != nil {
		return nil, err
	}
	d.tail = &logTail{out: std.err}
	d.lg = d.serve.logger(d.tail, d.level)
	if err := d.bind(ctx); err != nil {
		return nil, err
	}
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	d.web = &http.Server{Handler: d.routes(), ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(d.lg.Handler(), slog.LevelWarn)}
	go func() {
		if err := d.web.Serve(d.front); !errors.Is(err, http.ErrServerClosed) {
			d.fail(fmt.Errorf("serve HTTP: %w", err))
		}
	}()
	return d, d.seed(ctx)
}

// serve is tarn serve's configuration: its defaults, without environment or file.
func (f *devFlags) serve(dir string) (*serveCmd, error) {
	var c serveCmd
	parser, err := kong.New(&c)
	if err != nil {
		return nil, err
	}
	args := []string{"--data=" + dir, "--storage=memory://", "--warehouse=file://" + filepath.Join(dir, "warehouse"),
		"--kafka.listen=" + f.KafkaListen, "--http.listen=" + f.HTTPListen, "--log.level=" + f.LogLevel, fmt.Sprintf("--kafka.partitions=%d", f.Partitions)}
	if f.KafkaAdvertise != "" {
		args = append(args, "--kafka.advertise="+f.KafkaAdvertise)
	}
	if f.InsecureListen {
		args = append(args, "--insecure-listen")
	}
	if _, err := parser.Parse(args); err != nil {
		return nil, err
	}
	return &c, nil
}

// bind takes the addresses, once for all nodes.
func (d *dev) bind(ctx context.Context) error {
	var lc net.ListenConfig
	ends, err := d.serve.endpoints()
	if err != nil {
		return err
	}
	for _, e := range ends {
		ln, err := lc.Listen(ctx, "tcp", e.addr)
		if err != nil {
			return fmt.Errorf("listen for Kafka on %s (--kafka.listen; port 0 takes a free one): %w", e.addr, err)
		}
		tcp, ok := ln.(*net.TCPListener)
		if !ok {
			return fmt.Errorf("listen for Kafka on %s: not TCP", e.addr)
		}
		d.seams.sockets = append(d.seams.sockets, &keptSocket{tcp})
	}
	if d.front, err = lc.Listen(ctx, "tcp", d.serve.HTTPListen); err != nil {
		return fmt.Errorf("listen for HTTP on %s (--http.listen; port 0 takes a free one): %w", d.serve.HTTPListen, err)
	}
	d.seams.front = d.front
	return nil
}

// start runs a node on the engine of the seams. Its life is not that of ctx.
func (d *dev) start(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	n := &node{cmd: d.serve, lg: d.lg, level: d.level, tail: d.tail, dev: &d.seams}
	if err := n.open(ctx); err != nil {
		n.close()
		return err
	}
	rctx, stop := context.WithCancel(ctx)
	run := &devNode{node: n, stop: stop, ended: make(chan error, 1)}
	ready := make(chan struct{})
	go func() {
		err := n.run(rctx, func() error { close(ready); return nil })
		if rctx.Err() == nil {
			d.fail(err)
		}
		run.ended <- err
	}()
	<-ready
	d.node.Store(run)
	if d.advertise != "" {
		return n.broker.Advertise(ctx, d.advertise, false)
	}
	return nil
}

// fail ends tarn dev with an error; the first one counts.
func (d *dev) fail(err error) {
	select {
	case d.broken <- err:
	default:
	}
}

// halt ends the node and gives what its engine held.
func (d *dev) halt() (*memory.Engine, error) {
	run := d.node.Load()
	run.stop()
	select {
	case err := <-run.ended:
		if err != nil {
			return nil, err
		}
	case <-time.After(devStop):
		return nil, fmt.Errorf("the broker has not ended within %v", devStop)
	}
	held, err := d.seams.engine.Clone()
	run.close()
	return held, err
}

func (d *dev) addresses() runFile { return d.node.Load().addresses() }

func (d *dev) warehouse() string { return filepath.Join(d.dir, "warehouse") }

// close ends everything, as far as it was begun.
func (d *dev) close() {
	if d.web != nil {
		_ = d.web.Close() // ends what is open; nobody is left to tell
	}
	if d.node.Load() != nil {
		if _, err := d.halt(); err != nil {
			d.lg.Error("end the broker", "error", err)
		}
	}
	if d.front != nil {
		_ = d.front.Close() // the server has closed it already
	}
	for _, s := range d.seams.sockets {
		_ = s.tcp.Close()
	}
	if d.dir != "" {
		if err := os.RemoveAll(d.dir); err != nil && d.lg != nil {
			d.lg.Warn("the temporary directory stays", "error", err)
		}
	}
}

// client is how commands of ours reach the broker.
func (d *dev) client() connect {
	run := d.addresses()
	return connect{Brokers: d.seams.sockets[0].tcp.Addr().String(), HTTP: run.HTTP, Data: d.dir, outputFlag: outputFlag{Output: "text"}}
}

// seed brings what the files of --seed say, in their order.
func (d *dev) seed(ctx context.Context) error {
	for _, path := range d.flags.Seed {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read --seed: %w", err)
		}
		var said bytes.Buffer
		quiet := stdio{in: bytes.NewReader(nil), out: &said, err: &said}
		switch filepath.Ext(path) {
		case ".yaml", ".yml":
			err = (&applyCmd{connect: d.client(), File: path}).Run(ctx, quiet)
		default:
			err = d.seedRecords(ctx, b, quiet)
		}
		if err != nil {
			return fmt.Errorf("--seed %s: %w\n%s", path, err, strings.TrimSpace(said.String()))
		}
	}
	return nil
}

// seedRecords produces JSON lines, each to the topic that it names.
func (d *dev) seedRecords(ctx context.Context, text []byte, std stdio) error {
	var topics []string
	lines := map[string]*bytes.Buffer{}
	in := bufio.NewScanner(bytes.NewReader(text))
	in.Buffer(nil, maxLine)
	for n := 1; in.Scan(); n++ {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		l, ok := envelope(in.Bytes())
		if !ok || l.Topic == "" {
			return fmt.Errorf(`line %d: is no record with a topic, as {"topic":"orders","value":{…}}`, n)
		}
		if lines[l.Topic] == nil {
			lines[l.Topic] = new(bytes.Buffer)
			topics = append(topics, l.Topic)
		}
		lines[l.Topic].Write(in.Bytes())
		lines[l.Topic].WriteByte('\n')
	}
	if err := in.Err(); err != nil {
		return err
	}
	for _, topic := range topics {
		std.in = lines[topic]
		if err := (&produceCmd{connect: d.client(), Topic: topic, Partition: -1}).Run(ctx, std); err != nil {
			return fmt.Errorf("topic %s: %w", topic, err)
		}
	}
	return nil
}

// snapshotName is what a snapshot may be called: it is a directory's name, too.
func snapshotName(name string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(name)
}
