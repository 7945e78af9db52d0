// Command load puts a broker in a memory group of one gigabyte (or what -memory says)
// under everything at a time, and prints what it used: twenty topics of six partitions
// of which three have tables, groups of consumers, idle connections, queries, a console
// that is open, compaction and retention. Rates are steps: each lasts -for.
//
//	go run ./.ci/load -rates 20000 -for 10m
//	go run ./.ci/load -rates 40000,80000,0 -for 2m     # 0: as fast as it goes
//
// Groups of version 1 and 2 are understood (Linux, as root); without one the broker has
// GOMEMLIMIT to go by, and only its own figures count.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-io/tarn/.ci/process"
)

type load struct {
	memory    int64
	rates     []int
	each      time.Duration
	consumers int
	idle      int
	dir       string
	api       *process.API
	kafka     string
	broker    *process.Broker
	group     *memoryGroup
	ids       [withTables]int // of their schemas
	sent      tally
}

func main() {
	var l load
	binary := flag.String("tarn", "", "binary of the broker; default: it is built")
	rates := flag.String("rates", "20000", "records a second in total, one step each")
	flag.Int64Var(&l.memory, "memory", 1<<30, "bytes of memory that the broker may use")
	flag.DurationVar(&l.each, "for", 10*time.Minute, "how long a step lasts")
	flag.IntVar(&l.consumers, "consumers", 200, "members of groups")
	flag.IntVar(&l.idle, "idle", 2000, "connections that do nothing")
	flag.Parse()
	for text := range strings.SplitSeq(*rates, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			log.Fatalf("-rates %q: numbers with commas between", *rates)
		}
		l.rates = append(l.rates, n)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := l.run(ctx, *binary); err != nil {
		log.Print(err)
		stop()
		os.Exit(1)
	}
}

// run starts the broker and takes it through all steps.
func (l *load) run(ctx context.Context, binary string) (err error) {
	if l.dir, err = os.MkdirTemp("", "tarn-load-"); err != nil {
		return err
	}
	defer os.RemoveAll(l.dir)
	if binary == "" {
		if binary, err = process.Build(ctx, l.dir); err != nil {
			return err
		}
	}
	cfg := process.Config{Binary: binary, Data: filepath.Join(l.dir, "data"), Env: []string{"TARN_KAFKA_RETENTION_CHECK=30s"}}
	if l.group, err = newMemoryGroup(l.memory); err != nil {
		log.Printf("no memory group (%v): GOMEMLIMIT instead", err)
		cfg.Env = append(cfg.Env, fmt.Sprintf("GOMEMLIMIT=%d", l.memory/100*80))
	} else {
		defer l.group.remove()
		cfg.Wrap = []string{"sh", "-c", `echo $$ > "$0" && exec "$@"`, filepath.Join(l.group.dir, "cgroup.procs")}
	}
	if l.broker, err = process.Start(cfg); err != nil {
		return err
	}
	defer l.broker.Kill()
	ready, err := l.broker.Ready(ctx)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, l.broker.Noise())
	}
	l.kafka, l.api = ready.Kafka, process.NewAPI(ready.HTTP, time.Minute)
	if err := l.makeTopics(ctx); err != nil {
		return err
	}
	err = l.beside(ctx)
	if noise := l.broker.Noise(); noise != "" {
		fmt.Printf("the broker's log, its end:\n%s\n", noise[max(0, len(noise)-4000):])
	}
	if !l.broker.Alive() {
		return errors.Join(err, errors.New("the broker is gone"))
	}
	begun := time.Now()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	if stopErr := l.broker.Stop(stopping); stopErr != nil {
		return errors.Join(err, stopErr)
	}
	fmt.Printf("SIGTERM to the end: %.1f s\n", time.Since(begun).Seconds())
	return err
}

// beside runs everything that goes on all the time, and the steps.
func (l *load) beside(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	gctx, cancel := context.WithCancel(gctx)
	defer cancel()
	g.Go(func() error { return l.idleConnections(gctx) })
	for i := range l.consumers {
		g.Go(func() error { return l.consume(gctx, i) })
	}
	queries := new(tally)
	g.Go(func() error { return l.ask(gctx, queries) })
	for _, rate := range l.rates {
		if err := l.step(gctx, rate, queries); err != nil {
			cancel()
			return errors.Join(err, g.Wait())
		}
	}
	cancel()
	return g.Wait()
}

// step produces at a rate, and prints what was seen.
func (l *load) step(ctx context.Context, rate int, queries *tally) error {
	ctx, cancel := context.WithTimeout(ctx, l.each)
	defer cancel()
	l.sent.reset()
	queries.reset()
	before, err := l.measure()
	if err != nil {
		return err
	}
	var seen highest
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.watch(gctx, &seen) })
	const producers = 4
	for i := range producers {
		g.Go(func() error { return l.produce(gctx, i, rate/producers) })
	}
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	after, err := l.measure()
	if err != nil {
		return err
	}
	took := after.at.Sub(before.at).Seconds()
	fmt.Printf("rate %d for %.0f s: %.0f records/s, failed %d; produce p50 %s p99 %s p99.9 %s\n", rate, took, float64(l.sent.count())/took,
		l.sent.failed(), l.sent.percentile(50), l.sent.percentile(99), l.sent.percentile(99.9))
	fmt.Printf("  memory: RSS max %d MB (%d without files), group max %d MB, of which page cache max %d MB; its limit was reached %d times\n",
		seen.rss>>20, seen.own>>20, seen.group>>20, seen.cache>>20, seen.fails)
	fmt.Printf("  disk: %d MB, %+d MB in this step; CPU %.0f %%; table lag max %d records; group lag max %d records\n", after.disk>>20,
		(after.disk-before.disk)>>20, 100*(after.cpu-before.cpu).Seconds()/took, seen.tables, seen.lag)
	fmt.Printf("  queries: %d, failed %d, p50 %s p99 %s\n", queries.count(), queries.failed(), queries.percentile(50), queries.percentile(99))
	return nil
}

// ask queries every few seconds and does what an open console does.
func (l *load) ask(ctx context.Context, t *tally) error {
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		queries := []string{
			"SELECT count(*) FROM load_00", "SELECT customer, sum(amount) FROM load_01 GROUP BY customer ORDER BY 2 DESC LIMIT 5",
			"SELECT * FROM load_02 ORDER BY kafka_offset DESC LIMIT 20", "SELECT count(*) FROM load_10",
		}
		begun := time.Now()
		err := l.api.Call(ctx, http.MethodPost, "/api/sql", map[string]any{"sql": queries[i%len(queries)]}, nil)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && t.failed() == 0 {
			log.Printf("query %q: %v", queries[i%len(queries)], err)
		}
		t.add(time.Since(begun), err)
		for _, path := range []string{"/api/overview", "/api/overview/series", "/api/topics", "/api/topics/load_05/records?limit=50", "/metrics"} {
			if err := l.api.Call(ctx, http.MethodGet, path, nil, nil); err != nil && !strings.Contains(err.Error(), "answer of GET") && ctx.Err() == nil {
				log.Printf("GET %s: %v", path, err)
			}
		}
	}
}
