package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/console"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/storage/sqlite"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/trace"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/dek"
	"github.com/tarn-io/tarn/registry/validate"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/sink/query"
	"github.com/tarn-io/tarn/sink/wiring"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/delta"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/parquet"
)

// serveCmd is the configuration of a broker, one flag a setting.
type serveCmd struct {
	Data      string `default:"./tarn-data" placeholder:"DIR" help:"Directory that holds everything Tarn keeps."`
	Storage   string `placeholder:"URL" help:"Where the log lies: sqlite://PATH (default: in the data directory) or memory://."`
	Warehouse string `placeholder:"URL" help:"Where tables lie: file:///DIR (default: warehouse in the data directory), s3://BUCKET/PREFIX[?endpoint=URL&region=R], gs://BUCKET/PREFIX, abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX or memory://."`

	KafkaListen       string        `name:"kafka.listen" default:"127.0.0.1:9092" placeholder:"ADDR" help:"Kafka address; port 0 takes a free one. Several have commas between; SASL_SSL:// and the like, or a name of your own, may stand in front."`
	KafkaAdvertise    string        `name:"kafka.advertise" placeholder:"ADDR" help:"Address that Kafka clients are told; default: the one listened on. Several have commas between, by name (EXTERNAL://HOST:PORT) or in order."`
	KafkaProtocols    string        `name:"kafka.protocols" placeholder:"MAP" help:"Protocols of listeners with names of their own: EXTERNAL:SASL_SSL,INTERNAL:PLAINTEXT."`
	KafkaAutoCreate   bool          `name:"kafka.auto-create" default:"true" negatable:"" help:"Create unknown topics on first use."`
	KafkaPartitions   int32         `name:"kafka.partitions" default:"1" help:"Partitions of a new topic unless it says otherwise."`
	KafkaGroupDelay   time.Duration `name:"kafka.group.initial-rebalance-delay" default:"0s" help:"How long an empty group waits for more members."`
	StorageSync       string        `name:"storage.synchronous" enum:"full,normal" default:"full" help:"full survives power loss; normal may lose the last moments then."`
	HTTPListen        string        `name:"http.listen" default:"127.0.0.1:8081" placeholder:"ADDR" help:"Address of registry, Iceberg catalog and API; port 0 takes a free one."`
	SchemaDir         string        `name:"schema-dir" type:"path" placeholder:"DIR" help:"Directory of schema files that subjects follow: TOPIC.avsc, TOPIC.proto or TOPIC.json for values, TOPIC-key.… for keys."`
	ReadyJSON         bool          `name:"ready-json" help:"Print one JSON line with all addresses when ready, instead of the banner."`
	RegistryRate      float64       `name:"registry.max-requests-per-second" placeholder:"N" help:"Requests of one user or address to the registry, counted over 5 seconds; beyond it they are answered with 429. Default: no limit."`
	RegistryKMSSecret string        `name:"registry.kms.secret-file" type:"path" placeholder:"FILE" help:"Secret of the local KMS, for encryption keys that are shared with the registry; default: what LOCAL_SECRET holds."`

	LogLevel  string `name:"log.level" enum:"debug,info,warn,error" default:"info" help:"What is logged: debug, info, warn or error, and all that is worse."`
	LogFormat string `name:"log.format" enum:"auto,text,json" default:"auto" help:"Log format: auto is text on a terminal and JSON elsewhere."`

	catalogFlags
	securityFlags
	acmeFlags
	connectionFlags
	timeFlags
	adminFlags
	traceFlags
}

// node is a broker with everything around it, in order of start.
type node struct {
	cmd       *serveCmd
	lg        *slog.Logger
	level     *slog.LevelVar // of lg
	tail      *logTail       // what lg wrote last
	heapBytes int64          // how large the heap should stay
	engine    storage.Engine
	metered   *metered // engine, timed; what works all the time goes through it
	who       identity
	store     blob.Store
	registry  *registry.Registry
	keys      *dek.Store
	tokens    *tokens // of the catalog's clients; nil without --http.auth
	validator *validate.Validator
	broker    *broker.Broker
	catalog   *catalog.Catalog
	sinks     *sink.Manager
	sql       *query.Engine
	schemas   *schemaDir // nil without --schema-dir
	listener  net.Listener
	web       *http.Server
	tracer    *trace.Tracer // nil: nobody traces
	admin     *http.Server  // nil without --admin.listen
	adminAddr net.Listener
	// challenges answers an ACME authority by plain HTTP; nil: nobody does.
	challenges    *http.Server
	challengeAddr net.Listener
	stopping      chan struct{}  // closed when the HTTP server is to end
	streams       chan struct{}  // one token for each open stream of events
	followers     chan struct{}  // one token for each backup or replica under way
	waits         chan struct{}  // one token for each request that waits for tables
	insiders      chan struct{}  // one token for each Kafka client within the process
	schemaREST    http.Handler   // the registry's routes
	registryCodes statusCodes    // what the registry has answered
	charts        *chartSampler  // of the console
	started       atomic.Bool    // everything has been started
	levels        *levels        // of the log
	startedMs     int64          // when the addresses were bound, Unix ms
	closers       []func() error // run last to first
	dev           *devSeams      // nil outside of tarn dev
}

// Run serves until ctx ends.
func (c *serveCmd) Run(ctx context.Context, std stdio) error {
	begun := time.Now()
	level := new(slog.LevelVar)
	tail := &logTail{out: std.err}
	n := &node{cmd: c, lg: c.logger(tail, level), level: level, tail: tail}
	defer n.close()
	n.heapBytes = limitMemory(n.lg)
	if err := n.open(ctx); err != nil {
		return err
	}
	run := n.addresses()
	if err := run.write(c.Data); err != nil {
		// A full disk is no reason not to serve reads: only the command line
		// needs -b and --http now.
		n.lg.Warn("the command line will not find this broker by itself", "error", err)
	}
	n.closers = append(n.closers, func() error { return os.Remove(runFilePath(c.Data)) })
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(told)
		n.tell(context.WithoutCancel(ctx), "STOPPING=1")
	})
	defer func() {
		if !stop() {
			<-told // the process may be gone right after
		}
	}()
	err := n.run(ctx, func() error {
		startEbb(ctx)
		n.tell(ctx, "READY=1\nSTATUS=Kafka at "+run.Kafka+", HTTP at "+run.HTTP)
		return n.announce(std, run, n.broker.AdvertisedByListener(), time.Since(begun))
	})
	n.lg.Info("stopped")
	return err
}

// run runs an open node until ctx ends or a part of it fails; ready is called when all
// of it has been started.
func (n *node) run(ctx context.Context, ready func() error) error {
	defer n.trace(ctx)()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.broker.Run(gctx) })
	g.Go(func() error { return n.sinks.Run(gctx) })
	g.Go(func() error { return n.serveHTTP(gctx) })
	g.Go(func() error { return n.reloadOnHangup(gctx) })
	if n.schemas != nil {
		g.Go(func() error { return n.schemas.run(gctx) })
	}
	g.Go(func() error { return n.serveChallenges(gctx) })
	g.Go(func() error { return n.serveAdmin(gctx) })
	g.Go(func() error { return n.watchdog(gctx) })
	g.Go(func() error { return n.obtain(gctx) })
	g.Go(func() error {
		n.started.Store(true)
		return ready()
	})
	return g.Wait()
}

// tell tells systemd. A broker whose starter does not listen serves all the same.
func (n *node) tell(ctx context.Context, state string) {
	if err := notify(ctx, state); err != nil {
		n.lg.Warn("systemd was not told", "state", state, "error", err)
	}
}

func (c *serveCmd) logger(to *logTail, level *slog.LevelVar) *slog.Logger {
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level.Set(slog.LevelInfo)
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" || c.LogFormat == "auto" && !isTerminal(to.out) {
		return slog.New(slog.NewJSONHandler(to, opts))
	}
	return slog.New(slog.NewTextHandler(to, opts))
}

// open makes everything, from the ground up. Nothing runs yet, but addresses
// are bound.
func (n *node) open(ctx context.Context) error {
	c := n.cmd
	n.levels = &levels{level: n.level}
	if err := os.MkdirAll(c.Data, 0o755); err != nil {
		return fmt.Errorf("make the data directory (--data): %w", err)
	}
	if err := errors.Join(n.openTracer(), n.openEngine(ctx)); err != nil {
		return err
	}
	if err := n.openWarehouse(ctx); err != nil {
		return err
	}
	if err := n.openIdentity(ctx); err != nil {
		return err
	}
	if c.HTTPAuth {
		var err error
		if n.tokens, err = openTokens(ctx, n.engine, n.who.users); err != nil {
			return err
		}
	}
	listeners, err := n.listeners()
	if err != nil {
		return err
	}
	restored, err := broker.Restored(ctx, n.engine)
	if err != nil {
		return err
	}
	if restored { // before the broker is opened, which makes it a store like others
		if err := registry.Restored(ctx, n.metered); err != nil {
			return fmt.Errorf("open the schema registry: %w", err)
		}
	}
	n.registry, err = registry.Open(ctx, registry.Config{Engine: n.metered, Log: n.lg.With("component", "registry")})
	if err != nil {
		return fmt.Errorf("open the schema registry: %w", err)
	}
	if err := errors.Join(n.openKeys(ctx), n.openSchemaDir(ctx)); err != nil {
		return err
	}
	n.validator = validate.New(validate.Config{Registry: n.registry, Log: n.lg.With("component", "validate")})
	delay := c.KafkaGroupDelay
	if delay == 0 {
		delay = -1 // the broker's zero stands for Kafka's default
	}
	times, err := c.times()
	if err != nil {
		return err
	}
	cfg := broker.Config{
		Times:          times,
		HeapBytes:      n.heapBytes,
		RetentionCheck: c.RetentionCheck, CompactionCheck: c.CompactionCheck,
		Engine:            n.metered,
		Listeners:         listeners,
		Users:             n.who.users,
		Tokens:            n.who.given,
		Rules:             n.who.rules,
		Topics:            topic.Defaults{Partitions: c.KafkaPartitions, Check: tableCheck(n.registry)},
		NoAutoCreate:      !c.KafkaAutoCreate,
		GroupInitialDelay: delay,
		Validate:          wiring.Validation(n.validator),
		Hold:              func(tp storage.TP) int64 { return n.sinks.Needs(tp) },
		Settings:          c.settings,
		Faults:            n.dev.kafka(),
		LogLevel:          n.level,
		Tracer:            n.tracer,
		Disk:              func() (total, usable int64) { return diskSpace(c.Data) },
		Log:               n.lg,
	}
	if err := c.limit(&cfg); err != nil {
		return err
	}
	if n.broker, err = broker.Open(ctx, cfg); err != nil {
		return err
	}
	items := wiring.Items{Engine: n.metered}
	n.catalog = catalog.New(catalog.Config{Items: items, Store: n.store})
	listed, err := n.openCatalog()
	if err != nil {
		return err
	}
	if n.catalogs() != ownCatalog {
		n.lg.Info("Iceberg tables are in another catalog", "component", "tables", "type", c.CatalogType, "uri", c.CatalogURI, "namespace", c.CatalogNamespace)
	}
	n.sinks = sink.New(sink.Config{
		Logs: n.broker.Logs(), Registry: n.registry, Topics: wiring.Topics(n.broker.Topics(), n.registry),
		Formats: n.formats(listed), Store: n.store, Items: items,
		Incarnation: n.broker.Incarnation(), Namespace: c.CatalogNamespace, Fault: n.dev.table(), Tracer: n.tracer,
		Cut: new(thrift).cut, Log: n.lg.With("component", "sink"),
	})
	if err := errors.Join(n.openSQL(), n.listenChallenges(ctx), n.listenAdmin(ctx)); err != nil {
		return err
	}
	return n.listenHTTP(ctx)
}

func (n *node) formats(cat iceberg.Catalog) map[string]tables.Format {
	lg := n.lg.With("component", "tables")
	out := map[string]tables.Format{}
	for _, f := range []tables.Format{
		iceberg.New(cat, n.store, iceberg.Options{Logger: lg, Kept: true}),
		delta.New(n.store, delta.Config{}),
		parquet.New(n.store, parquet.Config{}),
	} {
		out[f.Name()] = f
	}
	return out
}

func (n *node) openEngine(ctx context.Context) error {
	url := n.cmd.Storage
	if url == "" {
		url = "sqlite://" + filepath.Join(n.cmd.Data, "tarn.db")
	}
	scheme, rest, _ := strings.Cut(url, "://")
	switch scheme {
	case "memory":
		if n.dev != nil {
			n.engine = n.dev.engine
			break
		}
		n.engine = memory.New()
	case "sqlite":
		synchronous := sqlite.Full
		if n.cmd.StorageSync == "normal" {
			synchronous = sqlite.Normal
		}
		e, err := sqlite.Open(ctx, sqlite.Config{Path: rest, Synchronous: synchronous, Views: storeViews(), Log: n.lg.With("component", "storage")})
		if err != nil {
			return fmt.Errorf("open %s (--storage): %w", url, err)
		}
		n.engine = e
	case "postgres", "postgresql", "s3":
		return fmt.Errorf("--storage %s: PostgreSQL and S3 engines come in a later release; use sqlite://PATH or memory://", url)
	default:
		return fmt.Errorf("--storage %q: use sqlite://PATH or memory://", url)
	}
	n.metered = newMetered(scheme, n.engine)
	n.closers = append(n.closers, n.engine.Close)
	return nil
}

// absolute is a path as tools compare it, wherever they run.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func (n *node) addresses() runFile {
	web := "http://" + reachable(n.listener.Addr())
	switch {
	case n.who.acme != nil: // its certificates are for names only
		_, port, _ := net.SplitHostPort(n.listener.Addr().String())
		web = "https://" + net.JoinHostPort(n.cmd.ACMEDomains[0], port)
	case n.who.http != nil:
		web = "https://" + reachable(n.listener.Addr())
	}
	admin := ""
	if n.adminAddr != nil {
		admin = "http://" + reachable(n.adminAddr.Addr())
	}
	return runFile{
		Admin: admin,
		PID:   os.Getpid(), Kafka: n.broker.Advertised(), HTTP: web,
		Data: n.cmd.Data, Warehouse: n.store.URL(""), Version: version,
	}
}

// reachable is an address that is listened on as somebody on this machine can ask for
// it, host:port: one that stands for all addresses is none to go to.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || len(tcp.IP) > 0 && !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return net.JoinHostPort("localhost", strconv.Itoa(tcp.Port))
}

// announce tells where everything is, for Kafka by what clients of each listener are
// told, whether data survives, and who may do everything.
func (n *node) announce(std stdio, run runFile, advertised []string, took time.Duration) error {
	open, _ := n.cmd.exposed() // has been looked at before
	for _, flag := range open {
		n.lg.Warn("LISTENING BEYOND THIS MACHINE WITHOUT AUTHENTICATION: anyone who can reach this address can read and write everything",
			"flag", flag)
	}
	if n.cmd.ReadyJSON {
		b, err := json.Marshal(run)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(std.out, string(b))
		return err
	}
	data, kept := run.Data, "SQLite, kept across restarts"
	if strings.HasPrefix(n.cmd.Storage, "memory://") {
		data, kept = "memory", "gone when this process ends"
	}
	kafka, here := n.cmd.kafkaLines(advertised)
	_, err := fmt.Fprintf(std.out, `tarn %s  ready in %d ms
%s  Registry   %-32s Confluent-compatible
  Catalog    %-32s Iceberg REST
  Console    %s
  Data       %-32s %s
  Tables     %s
Next:  tarn demo%s        orders, users and clicks to look at, and tables that fill
       kcat -b %s -L    any Kafka client works
`, version, took.Milliseconds(), kafka, run.HTTP, run.HTTP+"/iceberg", run.HTTP+console.Path, data, kept, run.Warehouse, n.cmd.elsewhere(), here)
	return err
}

// elsewhere is the flag by which commands find a broker that is not where they look.
func (c *serveCmd) elsewhere() string {
	if c.Data == "./tarn-data" {
		return ""
	}
	return " --data " + c.Data
}

func (n *node) close() {
	for i := len(n.closers) - 1; i >= 0; i-- {
		if err := n.closers[i](); err != nil && !errors.Is(err, os.ErrNotExist) {
			n.lg.Error("close", "error", err)
		}
	}
}
