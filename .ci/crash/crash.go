package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/tarn-io/tarn/.ci/process"
)

const (
	// readyLimit is how long a start may take at the very most, on a busy
	// machine; how long it takes usually is for the benchmarks to say.
	readyLimit = 30 * time.Second
	// verifyLimit bounds a whole verification.
	verifyLimit = 3 * time.Minute
)

// trial is one run of the crash test.
type trial struct {
	opts  options
	dir   string
	tally *tally
	rng   *rand.Rand
	api   *process.API
	load  *load

	config   process.Config
	tables   string         // the folder that holds what is in the warehouse
	logged   map[string]int // errors and warnings of all brokers
	slowest  time.Duration  // start
	starts   int
	took     time.Duration // of all starts
	verified int
}

// crash kills and verifies.
func crash(ctx context.Context, o options, dir string, t *tally) error {
	fmt.Printf("seed %d, %d kills, data in %s\n", o.seed, o.kills, dir)
	r := &trial{opts: o, dir: dir, tally: t, rng: source(o.seed, 1<<32), logged: map[string]int{},
		config: process.Config{Binary: o.binary, Data: filepath.Join(dir, "data"), Args: []string{"--kafka.compaction-check", compactionCheck}}}
	r.tables = filepath.Join(r.config.Data, "warehouse")
	if o.gateway != "" {
		stop, err := r.openBucket(ctx)
		if err != nil {
			return err
		}
		defer stop()
	}
	begun := time.Now()
	b, err := r.prepare(ctx)
	if err != nil {
		return err
	}
	defer r.load.end()
	for n := 1; n <= o.kills && t.failed == 0; n++ {
		if b, err = r.live(ctx, b, n); err != nil {
			return err
		}
		if n%o.every == 0 || n == o.kills {
			if b, err = r.ready(ctx, b); err != nil {
				return err
			}
			r.verify(ctx, b, n)
		}
		if n%10 == 0 {
			fmt.Printf("%4d kills  %6.1f s  %8d records acknowledged  offset commits %s  %d failed\n",
				n, time.Since(begun).Seconds(), r.load.ledger.acknowledged(), r.load.groups.progress(), t.failed)
		}
	}
	r.figures(ctx, time.Since(begun))
	r.load.end()
	if b == nil {
		return nil
	}
	stopCtx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	t.check("a clean stop", b.Stop(stopCtx))
	return nil
}

// prepare starts the broker the first time, and the load.
func (r *trial) prepare(ctx context.Context) (*process.Broker, error) {
	b, err := r.prepareQuiet(ctx)
	if err != nil {
		return nil, err
	}
	return b, r.load.begin(ctx)
}

// prepareQuiet starts the broker the first time and makes topic and schema.
func (r *trial) prepareQuiet(ctx context.Context) (*process.Broker, error) {
	b, err := process.Start(r.config)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	ready, err := b.Ready(limited)
	if err != nil {
		b.Kill()
		return nil, err
	}
	// From now on the addresses stay, as they do for a user's broker.
	r.config.Kafka, r.config.HTTP = ready.Kafka, strings.TrimPrefix(ready.HTTP, "http://")
	r.api = process.NewAPI(ready.HTTP, verifyLimit)
	id, err := r.api.Register(limited, topicName+"-value", recordSchema)
	if err == nil {
		_, err = r.api.Register(limited, transfersName+"-value", recordSchema) // the same id
	}
	if err == nil {
		_, err = r.api.Register(limited, remadeName+"-value", recordSchema)
	}
	if err == nil {
		err = createTopic(limited, ready.Kafka, topicName, partitions, checked)
	}
	if err == nil {
		err = createTopic(limited, ready.Kafka, transfersName, transfersPartitions, checked)
	}
	var kinds *variety
	if err == nil && !r.opts.diskFull {
		kinds, err = newVariety(limited, ready.Kafka, r.api)
	}
	if err != nil {
		b.Kill()
		return nil, err
	}
	r.load = &load{seed: r.opts.seed, kafka: ready.Kafka, schemaID: id, ledger: newLedger(),
		groups: newGroups(ready.Kafka), reader: newReader(ready.Kafka), transact: newTransactions(ready.Kafka, id), variety: kinds,
		remade: &remade{kafka: ready.Kafka, schemaID: id, api: r.api}}
	return b, nil
}

// checked are the configs of topics with tables in all formats whose records
// the broker checks.
var checked = map[string]string{
	"tarn.table.formats":           "iceberg,delta,parquet",
	"tarn.value.schema.validation": "payload",
}

func createTopic(ctx context.Context, kafka, name string, partitions int32, config map[string]string) error {
	cl, err := client(kafka)
	if err != nil {
		return err
	}
	defer cl.Close()
	configs := map[string]*string{"tarn.table.commit.interval.ms": kadm.StringPtr("100")}
	for key, value := range config {
		configs[key] = &value
	}
	answer, err := kadm.NewClient(cl).CreateTopic(ctx, partitions, 1, configs, name)
	if err != nil {
		return fmt.Errorf("create topic %s: %w: %s", name, err, answer.ErrMessage)
	}
	return nil
}

// live lets a broker live for a while, kills it, and starts the next. A broker
// that is nil, or not yet ready, is killed while it starts.
func (r *trial) live(ctx context.Context, b *process.Broker, number int) (*process.Broker, error) {
	kind := r.rng.IntN(10)
	switch {
	case kind == 0 && b == nil: // kill it while it starts
		next, err := process.Start(r.config)
		if err != nil {
			return nil, err
		}
		pause(ctx, r.millis(0, 250))
		return nil, r.kill(next, number)
	case b == nil:
		var err error
		if b, err = r.ready(ctx, nil); err != nil {
			return nil, err
		}
		r.glance(ctx, number-1)
	}
	done, err := r.load.life(ctx, number)
	if err != nil {
		return nil, err
	}
	if kind <= 3 {
		pause(ctx, r.millis(50, 500))
		disturbed := r.disturb(ctx)
		if limit := r.millis(0, 80*max(1, kind*kind)); r.rng.IntN(3) > 0 {
			pause(ctx, limit)
		} else { // and killed right behind it
			disturbed.within(ctx, disturbLimit)
		}
		err = r.kill(b, number)
		disturbed.within(ctx, verifyLimit)
	} else {
		var changed sync.WaitGroup
		if kind >= 7 { // early, so that most are done before the kill, and some are not
			changed.Go(r.load.variety.change(ctx, r.api, r.rng))
		}
		pause(ctx, r.millis(50, 800))
		if kind == 9 {
			r.tally.check(fmt.Sprintf("a second broker before kill %d", number), r.intrude(ctx))
		}
		err = r.kill(b, number)
		changed.Wait()
	}
	done()
	return nil, errors.Join(err, ctx.Err())
}

// intrude starts a second broker on the same data, as people do by mistake. It must
// end by itself and touch nothing.
func (r *trial) intrude(ctx context.Context) error {
	config := r.config
	config.Kafka, config.HTTP = "", "" // free ones
	b, err := process.Start(config)
	if err != nil {
		return err
	}
	defer b.Kill()
	limited, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	if _, err := b.Ready(limited); err == nil {
		return errors.New("it serves the data that another serves")
	}
	if b.Alive() || !strings.Contains(b.Noise(), "store is in use") {
		return fmt.Errorf("it does not end with the reason (alive: %t):\n%s", b.Alive(), b.Noise())
	}
	return nil
}

func (r *trial) millis(from, to int) time.Duration {
	return time.Duration(from+r.rng.IntN(to-from)) * time.Millisecond
}

// kill ends a broker that must still be alive.
func (r *trial) kill(b *process.Broker, number int) error {
	alive := b.Alive()
	b.Kill()
	for line := range strings.Lines(b.Noise()) {
		if what, ok := worrying(line); ok {
			r.logged[what]++
		}
	}
	if !alive {
		return fmt.Errorf("before kill %d the broker ended by itself:\n%s", number, b.Noise())
	}
	return nil
}

// worrying picks errors and warnings out of a broker's log: errors whole,
// warnings by their message. Refusals of bad records are meant to be there,
// and of tables of another log.
func worrying(line string) (string, bool) {
	_, text, ok := strings.Cut(strings.TrimSpace(line), "level=")
	switch {
	case !ok || strings.Contains(text, "records refused by their schema"),
		strings.Contains(text, "topic="+remadeName+" state=log_replaced"):
		return "", false
	case strings.HasPrefix(text, "ERROR"):
		return text[:min(len(text), 400)], true
	case strings.HasPrefix(text, "WARN"):
		msg, _, _ := strings.Cut(text, "\" ")
		return msg, true
	}
	return "", false
}

// ready starts a broker, unless there is one, and waits until it is ready.
func (r *trial) ready(ctx context.Context, b *process.Broker) (*process.Broker, error) {
	if b != nil {
		return b, nil
	}
	b, err := process.Start(r.config)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	if _, err := b.Ready(limited); err != nil {
		b.Kill()
		return nil, err
	}
	took := time.Since(b.Began)
	r.slowest, r.took, r.starts = max(r.slowest, took), r.took+took, r.starts+1
	return b, nil
}

// glance checks right after a start that each transaction is there whole or not
// at all.
func (r *trial) glance(ctx context.Context, kills int) {
	ctx, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	r.load.gate.mu.Lock()
	defer r.load.gate.mu.Unlock()
	log, err := r.load.transact.read(ctx)
	if err == nil {
		err = r.load.transact.compare(log)
	}
	r.tally.check(fmt.Sprintf("transactions right after kill %d", kills), err)
}

// verify holds up the load and checks everything.
func (r *trial) verify(ctx context.Context, b *process.Broker, kills int) {
	ctx, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	begun := time.Now()
	check := func(what string, err error) {
		r.tally.check(fmt.Sprintf("%s after %d kills", what, kills), err)
	}
	r.load.gate.mu.Lock()
	defer r.load.gate.mu.Unlock()
	check("waiting for acknowledgements", r.load.settle(ctx))
	check("answers", errors.Join(r.load.ledger.complaints()...))
	log, err := readLog(ctx, r.load.kafka)
	check("reading the log", err)
	if err != nil {
		return
	}
	check("the log", r.load.ledger.compare(log))
	check("what readers saw", r.load.reader.compare(log))
	check("groups", r.load.groups.compare(ctx))
	check("flush", r.api.Flush(ctx, topicName))
	check("table verify", r.ownVerdict(ctx, log))
	for _, format := range formats {
		rows, err := tableRows(ctx, r.api, r.tables, topicName, format, fromColumns)
		if err == nil {
			err = compareRows(rows, log.places())
		}
		check("the "+format+" table", err)
	}
	r.load.transact.verify(ctx, r.api, r.tables, check)
	r.load.variety.verify(ctx, r.api, r.tables, check)
	r.load.remade.verify(ctx, r.api, r.tables, check)
	left, err := debris(r.tables)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("temporary files lie beside the data: %v", left)
	}
	check("clean folders", err)
	r.verified++
	if !b.Alive() {
		check("the broker", fmt.Errorf("it is gone:\n%s", b.Noise()))
	}
	fmt.Printf("     verified %d records in log and tables in %.1f s\n", log.records(), time.Since(begun).Seconds())
}

// ownVerdict is what the broker itself says of its tables.
func (r *trial) ownVerdict(ctx context.Context, log copyLog) error {
	report, err := r.api.Verify(ctx, topicName)
	if err != nil {
		return err
	}
	if report.Verdict != "ok" || len(report.Formats) != len(formats) {
		return fmt.Errorf("the broker says %+v", report)
	}
	for _, f := range report.Formats {
		if f.Rows != int64(log.records()) || f.DeadLetters != 0 {
			return fmt.Errorf("the broker counts %d rows and %d dead letters in %s, the log has %d records", f.Rows, f.DeadLetters, f.Format, log.records())
		}
	}
	return nil
}

// figures prints what the run has seen.
func (r *trial) figures(ctx context.Context, took time.Duration) {
	fmt.Printf("%d kills and %d verifications in %.0f s; %d records acknowledged, %d bad ones refused, offset commits: %s\n",
		r.opts.kills, r.verified, took.Seconds(), r.load.ledger.acknowledged(), r.load.ledger.refused(), r.load.groups.progress())
	fmt.Printf("transactions: %s\n", r.load.transact.progress())
	fmt.Printf("other topics: %s, %s\n", r.load.variety.progress(ctx), r.load.remade.progress())
	fmt.Printf("asked of tables under load: %s\n", &r.load.variety.disturbed)
	if r.starts > 0 {
		fmt.Printf("start to ready: mean %d ms, slowest %d ms\n", (r.took / time.Duration(r.starts)).Milliseconds(), r.slowest.Milliseconds())
	}
	if status, err := r.api.Tables(ctx, topicName); err == nil {
		for _, f := range status.Formats {
			fmt.Printf("%-8s version %s, %d files, %d rows, %d MB\n", f.Format, f.Version, f.Files, f.Rows, f.Bytes>>20)
		}
	}
	for text, n := range r.logged {
		fmt.Printf("logged %d times: %s\n", n, text)
	}
}
