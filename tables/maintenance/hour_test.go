package maintenance_test

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/delta"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/maintenance"
	"github.com/tarn-io/tarn/tables/parquet"
	"github.com/tarn-io/tarn/tables/tabletest"
)

var (
	commits = flag.Int("commits", 400, "how many commits TestHour makes, a second apart by its own clock; an hour has 3600")
	// History is smaller than the default, so that a short run comes there too.
	history = flag.Int("history", 100, "how many states the tables of TestHour keep")
	onDisk  = flag.Bool("disk", false, "whether TestHour writes to a directory")
)

// clock is a store that says files were written when its clock says so.
type clock struct {
	blob.Store
	mu      sync.Mutex
	at      time.Time        // guarded by mu
	written map[string]int64 // guarded by mu, Unix ms
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *clock) note(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written[key] = c.at.UnixMilli()
}

func (c *clock) Put(ctx context.Context, key string, data []byte) error {
	c.note(key)
	return c.Store.Put(ctx, key, data)
}

func (c *clock) PutIfAbsent(ctx context.Context, key string, data []byte) error {
	err := c.Store.PutIfAbsent(ctx, key, data)
	if err == nil {
		c.note(key)
	}
	return err
}

func (c *clock) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for info, err := range c.Store.List(ctx, prefix) {
			c.mu.Lock()
			if ms, ok := c.written[info.Key]; ok {
				info.ModifiedMs = ms
			}
			c.mu.Unlock()
			if !yield(info, err) {
				return
			}
		}
	}
}

// TestHour commits once a second, by a clock of its own, and maintains the table
// each half minute as the keeper does: files, metadata and the time of a commit
// must not grow with the number of commits.
func TestHour(t *testing.T) {
	for _, name := range []string{"iceberg", "delta", "parquet"} {
		t.Run(name, func(t *testing.T) { hour(t, name) })
	}
}

func hour(t *testing.T, name string) {
	var store blob.Store = blob.NewMemory()
	if *onDisk {
		local, err := blob.OpenLocal(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer local.Close()
		store = local
	}
	c := &clock{Store: store, at: time.Now(), written: map[string]int64{}}
	cat := catalog.New(catalog.Config{Items: tabletest.NewItems(), Store: c})
	format := map[string]tables.Format{
		"iceberg": iceberg.New(cat, c, iceberg.Options{Kept: true, Now: c.now}),
		"delta":   delta.New(c, delta.Config{Now: c.now, MinHistory: time.Minute}),
		"parquet": parquet.New(c, parquet.Config{Now: c.now}),
	}[name]
	table, err := format.Open(t.Context(), tabletest.Spec(tabletest.Schema(t, tabletest.SmallFields()...)))
	if err != nil {
		t.Fatal(err)
	}
	k := table.(tables.Maintainer)
	at := tables.Progress{}
	var took []time.Duration
	var worst footprint
	for i := range *commits {
		n := int64(i) * 10
		next := tabletest.Next(at, fmt.Sprintf("c%d", i), tabletest.Write(t, c, table, fmt.Sprintf("c%d", i), tables.Range{From: n, To: n + 10}))
		begun := time.Now()
		if err := table.Commit(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		took, at = append(took, time.Since(begun)), next.Progress
		c.pass(time.Second)
		if i%30 == 29 {
			keepRound(t, c, k, i%600 == 599)
			worst = worst.max(measure(t, c, k))
		}
	}
	keepRound(t, c, k, true)
	end := measure(t, c, k)
	rows, err := tabletest.ReadRows(t.Context(), table)
	if err != nil || len(rows) != *commits*10 {
		t.Errorf("%d rows, %v; want %d", len(rows), err, *commits*10)
	}
	// A state is kept in one file or two; Delta also has checkpoints, and files
	// that were replaced go with the states that named them.
	if most := 8*(*history) + 200; worst.objects > most {
		t.Errorf("%d objects at worst, want %d at most", worst.objects, most)
	}
	if most := maintenance.MaxFiles(target) + 30; worst.live > most {
		t.Errorf("%d live files at worst, want %d at most", worst.live, most)
	}
	if most := int64(1 << 20); worst.metadata > most {
		t.Errorf("largest metadata file has %d bytes at worst, want %d at most", worst.metadata, most)
	}
	var sixths []time.Duration
	for part := range slices.Chunk(took, max(1, len(took)/6)) {
		sixths = append(sixths, percentile(part, 50))
	}
	t.Logf("%d commits: medians by sixth %v, 99 %% below %v; at the end %d live files, %d objects, largest metadata %d bytes (at worst %d, %d, %d)",
		len(took), sixths, percentile(took, 99),
		end.live, end.objects, end.metadata, worst.live, worst.objects, worst.metadata)
}

// keepRound does what the keeper does.
func keepRound(t *testing.T, store blob.Store, k tables.Maintainer, expire bool) {
	t.Helper()
	for {
		live, err := k.Live(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		groups := maintenance.Plan(live, target, false)
		if len(groups) == 0 {
			break
		}
		if _, err := maintenance.Merge(t.Context(), store, k, groups[0]); err != nil {
			t.Fatal(err)
		}
	}
	st, err := k.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if expire || st.Snapshots > *history+*history/10 {
		if _, err := k.Expire(t.Context(), tables.Keep{Age: 24 * time.Hour, Last: 1, Max: *history}); err != nil {
			t.Fatal(err)
		}
	}
}

// footprint is what a table takes.
type footprint struct {
	live, objects int
	metadata      int64 // the largest metadata file
}

func (f footprint) max(g footprint) footprint {
	return footprint{max(f.live, g.live), max(f.objects, g.objects), max(f.metadata, g.metadata)}
}

func measure(t *testing.T, store blob.Store, k tables.Maintainer) footprint {
	t.Helper()
	var f footprint
	live, err := k.Live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.live = len(live)
	for info, err := range store.List(t.Context(), "ns/") {
		if err != nil {
			t.Fatal(err)
		}
		f.objects++
		if strings.Contains(info.Key, "/metadata/") || strings.Contains(info.Key, "_delta_log/") || strings.HasSuffix(info.Key, ".json") {
			f.metadata = max(f.metadata, info.Size)
		}
	}
	return f
}

func percentile(d []time.Duration, p int) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[min(len(d)-1, len(d)*p/100)]
}
