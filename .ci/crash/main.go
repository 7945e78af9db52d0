// Command crash kills the broker with SIGKILL at random moments under load,
// starts it again, and verifies that nothing acknowledged is lost and nothing
// is there twice: in the log, in groups, and in the tables of all formats, however
// they are set up (see kinds) and while they are flushed, merged, expired, rebuilt,
// redriven, laid out in another way and given more columns, and while a topic is deleted and
// made again; and that each transaction is there whole or not at
// all. Tables are read without any code of the broker's.
//
//	go run ./.ci/crash -kills 200 -seed 7
//	go run ./.ci/crash -kills 60 -s3 .bin/versitygw
//	go run ./.ci/crash -disk-full
//
// It ends with a line "N passed, M failed" and exits 1 if any check failed; the
// data directory is kept then. A seed repeats the plan of kills and the load,
// not the scheduling of the machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tarn-io/tarn/.ci/process"
)

type options struct {
	kills    int
	seed     uint64
	every    int
	dir      string
	binary   string
	gateway  string
	diskFull bool
	keep     bool
}

func main() {
	var o options
	flag.IntVar(&o.kills, "kills", 200, "how often the broker is killed")
	flag.Uint64Var(&o.seed, "seed", 0, "seed of the plan; 0 takes one from the clock")
	flag.IntVar(&o.every, "every", 20, "verify after this many kills")
	flag.StringVar(&o.dir, "dir", "", "folder for the data; empty: a temporary one")
	flag.StringVar(&o.binary, "binary", "", "broker to test; empty: built from the working directory")
	flag.StringVar(&o.gateway, "s3", "", "versitygw binary: tables lie in a bucket that it serves")
	flag.BoolVar(&o.diskFull, "disk-full", false, "fill the disk under the broker instead of killing it")
	flag.BoolVar(&o.keep, "keep", false, "keep the data directory in any case")
	flag.Parse()
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, o))
}

// run returns the exit code.
func run(ctx context.Context, o options) int {
	dir, err := os.MkdirTemp(o.dir, "tarn-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		return 1
	}
	dir, _ = filepath.Abs(dir)
	if o.binary == "" {
		if o.binary, err = process.Build(ctx, dir); err != nil {
			fmt.Fprintln(os.Stderr, "crash:", err)
			return 1
		}
	}
	var t tally
	if o.diskFull {
		err = diskFull(ctx, o, dir, &t)
	} else {
		err = crash(ctx, o, dir, &t)
	}
	if err != nil {
		t.check("the run", err)
	}
	if t.failed > 0 || o.keep {
		fmt.Printf("data kept in %s\n", dir)
	} else if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
	}
	if t.failed > 0 {
		fmt.Printf("seed %d: repeat with -seed %d -kills %d\n", o.seed, o.seed, o.kills)
	}
	fmt.Printf("%d passed, %d failed\n", t.passed, t.failed)
	if t.failed > 0 {
		return 1
	}
	return 0
}

// tally counts checks.
type tally struct {
	passed, failed int
}

// check counts one check and prints it if it failed.
func (t *tally) check(name string, err error) {
	if err == nil {
		t.passed++
		return
	}
	t.failed++
	fmt.Printf("FAILED %s: %v\n", name, err)
}

// source gives an independent stream of random numbers for each user of the
// seed.
func source(seed uint64, user uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, user))
}
