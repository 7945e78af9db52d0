package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/brokertest"
)

const (
	// compactCrashEnv names the variable that makes TestCompactionChild the child
	// of TestCompactionCrash; it holds the path of the store.
	compactCrashEnv   = "TARN_COMPACTION_CRASH_STORE"
	compactCrashKills = 6
	compactCrashKeys  = 2000 // of 2 KB each: several steps to a pass
)

// TestCompactionChild is no test: it is a broker that compacts all the time until
// it is killed.
func TestCompactionChild(t *testing.T) {
	path := os.Getenv(compactCrashEnv)
	if path == "" {
		return
	}
	b := brokertest.New(t, brokertest.WithEngine(openSQLite(t, path)), brokertest.WithConfig(func(c *broker.Config) {
		c.CompactionCheck = time.Millisecond
	}))
	fmt.Fprintf(os.Stdout, "at %s\n", b.Address())
	select {}
}

// TestCompactionCrash kills a broker with SIGKILL while it compacts and takes
// records, and looks at what the next one has: of each key the last value that was
// acknowledged, or one that was on its way.
func TestCompactionCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	values := map[string][]string{} // by key: the last one acknowledged, and those sent after it
	acked, read := 0, 0
	for kill := range compactCrashKills {
		cmd, addr := compactionChild(t, path)
		c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("table"), kgo.DisableIdempotentWrite(),
			kgo.RequiredAcks(kgo.LeaderAck()), kgo.RecordRetries(0), kgo.ProducerBatchMaxBytes(64<<10))
		if err != nil {
			t.Fatal(err)
		}
		if kill == 0 {
			compact, zero := "compact", "0"
			createTopic(t, c, "table", 1, map[string]*string{"cleanup.policy": &compact, "min.cleanable.dirty.ratio": &zero, "delete.retention.ms": &zero})
		}
		read += checkSurvivors(t, addr, values)
		acked += produceUntilKilled(t, c, cmd, values, kill)
		c.Close()
		if t.Failed() {
			return
		}
	}
	cmd, addr := compactionChild(t, path)
	defer stopChild(cmd)
	read += checkSurvivors(t, addr, values)
	t.Logf("%d kills, %d records acknowledged, %d found after kills", compactCrashKills, acked, read)
}

// compactionChild starts a broker and says where it is.
func compactionChild(t *testing.T, path string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCompactionChild$")
	cmd.Env = append(os.Environ(), compactCrashEnv+"="+path)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopChild(cmd) })
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "at ")
	if err != nil || !ok {
		t.Fatalf("child said %q, %v", line, err)
	}
	return cmd, addr
}

// stopChild kills a child, if it still runs, and waits for its end.
func stopChild(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// produceUntilKilled writes updates and deletions, kills the broker in the middle
// of them, and notes what each key may hold now. It returns how many records were
// acknowledged.
func produceUntilKilled(t *testing.T, c *kgo.Client, cmd *exec.Cmd, values map[string][]string, kill int) int {
	rng := rand.New(rand.NewPCG(uint64(kill), rand.Uint64()))
	var mu sync.Mutex
	acked, until, filler := 0, 2000+rng.IntN(6000), strings.Repeat("x", 2000)
	killed := make(chan struct{})
	for n := 0; ; n++ {
		key := fmt.Sprintf("k%d", rng.IntN(compactCrashKeys))
		value := fmt.Sprintf("%d.%d %s", kill, n, filler)
		r := &kgo.Record{Key: []byte(key), Value: []byte(value)}
		if rng.IntN(10) == 0 {
			value, r.Value = "", nil
		}
		mu.Lock()
		if values[key] == nil {
			values[key] = []string{""} // not there
		}
		values[key] = append(values[key], value)
		place := len(values[key]) - 1
		mu.Unlock()
		c.Produce(context.Background(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range place { // these are older than what is stored
				values[key][i] = "gone"
			}
			if acked++; acked == until {
				close(killed)
				if err := cmd.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
		})
		select {
		case <-killed:
		default:
			continue
		}
		break
	}
	_ = cmd.Wait()
	c.AbortBufferedRecords(context.Background())
	mu.Lock()
	defer mu.Unlock()
	return acked
}

// checkSurvivors reads the topic and compares the last value of each key with
// what it may be; that is what it must be from then on.
func checkSurvivors(t *testing.T, addr string, values map[string][]string) int {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics("table"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(t.Context(), "table")
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup("table", 0)
	if end.Offset == 0 {
		return 0
	}
	// What ends the log may be an empty batch: a record of our own is waited for.
	last := &kgo.Record{Topic: "table", Key: []byte("end"), Value: fmt.Append(nil, end.Offset)}
	if err := c.ProduceSync(t.Context(), last).FirstErr(); err != nil {
		t.Fatal(err)
	}
	got, n := map[string]string{}, 0
	for got["end"] != string(last.Value) {
		fetches := c.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got[string(r.Key)], n = string(r.Value), n+1 })
	}
	for key, may := range values {
		found := false
		for i := len(may) - 1; i >= 0 && !found; i-- {
			found = may[i] == got[key] && may[i] != "gone"
		}
		if !found {
			t.Errorf("%s is %.12q, which is none of the %d values it may have", key, got[key], len(may))
		}
		values[key] = []string{got[key]}
	}
	return n
}
