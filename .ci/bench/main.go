// Command bench measures the broker as its users meet it: the released binary
// as a process of its own, an ordinary client on loopback. Every figure stands
// beside a baseline of the same run on the same machine, since absolute figures
// of one machine say little.
//
//	go run ./.ci/bench            all of it, medians of five runs
//	go run ./.ci/bench -short     a quick look
//	go run ./.ci/bench -only produce,start -json out.json
//
// A line is: name, value, unit, baseline, ratio. The ratio is value divided by
// baseline, also where less is better.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tarn-io/tarn/.ci/process"
)

type options struct {
	runs   int
	short  bool
	json   string
	dir    string
	binary string
	only   string
}

// bench is one run of the program.
type bench struct {
	options
	ctx    context.Context
	home   string // folder of this run
	table  table
	loaded int64 // most memory that any broker had under load, in bytes
}

// section measures one side of the broker.
type section struct {
	name string
	run  func(*bench) error
}

func main() {
	var o options
	flag.IntVar(&o.runs, "runs", 5, "runs of which the median counts")
	flag.BoolVar(&o.short, "short", false, "one run, on a quarter of the data")
	flag.StringVar(&o.json, "json", "", "file to write the result to as JSON")
	flag.StringVar(&o.dir, "dir", "", "folder on the disk to measure; empty: the temporary one")
	flag.StringVar(&o.binary, "binary", "", "broker to measure; empty: built from the working directory")
	flag.StringVar(&o.only, "only", "", "sections to run, with commas between; empty: all")
	flag.Parse()
	if o.short {
		o.runs = 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	home, err := os.MkdirTemp(o.dir, "tarn-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	b := &bench{options: o, ctx: ctx, home: home}
	if b.binary == "" {
		if b.binary, err = process.Build(ctx, home); err != nil {
			return err
		}
	}
	fmt.Printf("%s, %d CPUs, %s/%s, medians of %d runs, data in %s\n",
		runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, b.runs, filepath.Dir(home))
	b.table.header()
	for _, s := range []section{
		{"start", (*bench).start},
		{"brokertest", (*bench).brokerTest},
		{"latency", (*bench).latency},
		{"produce", (*bench).produce},
		{"fetch", (*bench).fetch},
		{"validation", (*bench).validation},
		{"sink", (*bench).sink},
		{"beside", (*bench).beside},
		{"sql", (*bench).sql},
		{"transactions", (*bench).transactions},
		{"groups", (*bench).groups},
		{"scale", (*bench).scale},
		{"registry", (*bench).registry},
		{"memory", (*bench).memory},
		{"schema", (*bench).schema},
		{"paint", (*bench).paint},
	} {
		if b.only != "" && !slices.Contains(strings.Split(b.only, ","), s.name) {
			continue
		}
		if err := s.run(b); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		b.table.flush()
	}
	for _, text := range b.table.alarms() {
		fmt.Println("something is wrong:", text)
	}
	if b.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(map[string]any{
		"time": time.Now().UTC().Format(time.RFC3339), "go": runtime.Version(), "cpus": runtime.NumCPU(),
		"platform": runtime.GOOS + "/" + runtime.GOARCH, "runs": b.runs, "short": b.short, "lines": b.table.lines,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(b.json, append(text, '\n'), 0o644)
}

// amount is how many of something to take: all of it, or a quarter for a quick
// look.
func (b *bench) amount(n int) int {
	if b.short {
		return n / 4
	}
	return n
}

// each runs f as often as medians need.
func (b *bench) each(f func(run int) error) error {
	for n := range b.runs {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		if err := f(n); err != nil {
			return err
		}
	}
	return nil
}
