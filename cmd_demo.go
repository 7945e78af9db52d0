package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

type demoCmd struct {
	connect
	Rate        int           `default:"20" placeholder:"N" help:"Records a second, of all topics together."`
	For         time.Duration `default:"0s" placeholder:"DURATION" help:"How long; default: until Ctrl-C or tarn demo --stop."`
	EvolveAfter time.Duration `default:"20s" placeholder:"DURATION" help:"When orders get the second version of their schema."`
	BadEvery    time.Duration `default:"10s" placeholder:"DURATION" help:"How often a record is sent that does not fit its schema; 0s: never."`
	Prefix      string        `placeholder:"TEXT" help:"What names of topics, subjects and the group begin with."`
	Seed        uint64        `default:"1" help:"Where the made-up data begins."`
	Stop        bool          `help:"End the demo that runs against this broker."`
	Clean       bool          `help:"Delete what the demo has made: topics, schemas, tables and the group. Ends it first."`
}

// Limits of the demo.
const (
	// maxDemoRate is beyond what a terminal's reader wants, and what one goroutine makes.
	maxDemoRate = 5000
	// demoBeat is how often a running demo shows that it lives and looks whether it is
	// to end, and demoSilence how long it may fail to.
	demoBeat    = time.Second
	demoSilence = 10 * time.Second
)

// Help shows what the demo does.
func (c *demoCmd) Help() string {
	return `Three topics with tables fill at a steady rate: orders (Avro), users (Protobuf) and
clicks (JSON Schema). After 20 s orders get a second version of their schema, and the
tables a column. Now and then a record does not fit and is refused, and a slow group,
billing, falls behind.

  tarn demo                   # begin; Ctrl-C ends it, the data stays
  tarn demo --rate 200
  tarn demo --stop            # end it from another terminal
  tarn demo --stop --clean    # and delete all that it made`
}

// Run runs the demo, ends it or removes what it made.
func (c *demoCmd) Run(ctx context.Context, std stdio) error {
	if c.Rate < 1 || c.Rate > maxDemoRate {
		return fmt.Errorf("--rate %d: must be from 1 to %d", c.Rate, maxDemoRate)
	}
	if c.Stop || c.Clean {
		if err := c.end(ctx, std); err != nil {
			return err
		}
		if c.Clean {
			return c.clean(ctx, std)
		}
		return nil
	}
	if c.alive() {
		return fmt.Errorf("a demo runs already (%s): end it with tarn demo --stop", c.mark())
	}
	d, err := c.open(ctx, std)
	if err != nil {
		return err
	}
	defer d.close()
	if err := c.begin(); err != nil {
		return err
	}
	defer c.ended()
	if c.For > 0 {
		limited, cancel := context.WithTimeout(ctx, c.For)
		defer cancel()
		ctx = limited
	}
	fmt.Fprintf(std.out, "Demo: %s, %s and %s at %d records a second. Ctrl-C ends it.\n",
		d.streams[0].topic, d.streams[1].topic, d.streams[2].topic, c.Rate)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.produce(gctx) })
	g.Go(func() error { return d.bill(gctx) })
	g.Go(func() error { return d.show(gctx) })
	if err := g.Wait(); err != nil && !errors.Is(err, errDemoEnd) && ctx.Err() == nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "Ended: %s.\nThe data stays; tarn demo --clean%s removes it.\n", d.tally(), c.again())
	return err
}

// errDemoEnd ends a demo that was told to.
var errDemoEnd = errors.New("the demo was ended")

// mark is the file by which a running demo is known. Its time is that of the last
// beat; who wants it to end renames it, and the demo removes the new name when it has.
func (c *demoCmd) mark() string { return filepath.Join(c.Data, c.Prefix+"demo.json") }

// marked reports whether the broker is one whose directory is known.
func (c *demoCmd) marked() bool {
	_, ok, err := readRunFile(c.Data)
	return ok && err == nil && c.Brokers == ""
}

func (c *demoCmd) alive() bool {
	info, err := os.Stat(c.mark())
	return err == nil && time.Since(info.ModTime()) < demoSilence
}

func (c *demoCmd) begin() error {
	if !c.marked() {
		return nil
	}
	b, err := json.Marshal(map[string]any{"pid": os.Getpid(), "rate": c.Rate})
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.mark(), append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("leave a mark for tarn demo --stop: %w", err)
	}
	return nil
}

// beat shows that the demo lives. The error says that it is to end.
func (c *demoCmd) beat() error {
	if !c.marked() {
		return nil
	}
	now := time.Now()
	if err := os.Chtimes(c.mark(), now, now); errors.Is(err, fs.ErrNotExist) {
		return errDemoEnd
	}
	return nil
}

// ended takes the marks away. They may be gone, or their directory.
func (c *demoCmd) ended() {
	_ = os.Remove(c.mark())
	_ = os.Remove(c.mark() + ".stop")
}

// end tells a running demo to end, and waits until it has.
func (c *demoCmd) end(ctx context.Context, std stdio) error {
	if !c.alive() {
		c.ended()
		_, err := fmt.Fprintln(std.out, "no demo runs")
		return err
	}
	stop := c.mark() + ".stop"
	if err := os.Rename(c.mark(), stop); err != nil {
		return fmt.Errorf("end the demo: %w", err)
	}
	tick := time.NewTicker(demoBeat / 10)
	defer tick.Stop()
	deadline := time.After(demoSilence)
	for {
		if _, err := os.Stat(stop); errors.Is(err, fs.ErrNotExist) {
			_, err := fmt.Fprintln(std.out, "the demo has ended")
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			c.ended() // it was killed just now
			_, err := fmt.Fprintln(std.out, "the demo did not answer; it is taken for ended")
			return err
		}
	}
}

// again is what a command needs to find the same broker.
func (c *demoCmd) again() string {
	out := ""
	if c.Prefix != "" {
		out += " --prefix " + c.Prefix
	}
	if c.Data != "./tarn-data" {
		out += " --data " + c.Data
	}
	if c.Brokers != "" {
		out += " -b " + c.Brokers
	}
	if c.HTTP != "" {
		out += " --http " + c.HTTP
	}
	return out
}

// show prints the queries once the first rows are in the tables, and a line of numbers
// now and then.
func (d *demo) show(ctx context.Context) error {
	const every = 10 * time.Second
	tick := time.NewTicker(demoBeat)
	defer tick.Stop()
	queries, last := false, time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := d.cmd.beat(); err != nil {
			return err
		}
		if !queries {
			if at, ok := d.tables(ctx); ok {
				d.queries(d.std.out, at)
				queries, last = true, time.Now()
			}
		}
		if time.Since(last) >= every {
			last = time.Now()
			fmt.Fprintf(d.std.out, "%s  %s\n", last.Format(time.TimeOnly), d.tally())
		}
	}
}

// queries prints three queries to paste.
func (d *demo) queries(w io.Writer, location string) {
	orders, at := d.streams[0].topic, d.cmd.again()
	web, err := d.cmd.httpAddress()
	if err != nil {
		return
	}
	fmt.Fprintf(w, `
Rows are in the tables. In another terminal:

  tarn sql%s 'select status, count(*) as orders, round(sum(amount), 2) as total from %q group by status order by total desc'
`, at, orders)
	if location != "" {
		fmt.Fprintf(w, "  duckdb -c \"select currency, count(*), round(sum(amount), 2) from read_parquet('%s/*.parquet', union_by_name = true) group by all\"\n", location)
	}
	fmt.Fprintf(w, `  python3 -c 'from pyiceberg.catalog import load_catalog; print(load_catalog("tarn", type="rest", uri="%s/iceberg").load_table("default.%s").scan(limit=5).to_arrow())'

  tarn rejections%s %s     what did not fit, and why
  tarn group describe%s %s    how far the slow group is behind
  tarn demo%s --stop --clean    ends it and deletes all of it

`, web, d.table, at, d.streams[0].topic, at, d.group(), at)
}
