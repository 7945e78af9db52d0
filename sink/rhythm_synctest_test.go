package sink_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// rhythm is a world on a clock of its own that counts what a sink does. Its
// tables are counters: the libraries beneath real ones keep channels for ever,
// which a bubble of synctest does not let go.
type rhythm struct {
	*world
	id      int
	commits atomic.Int64
	rows    atomic.Int64
	files   atomic.Int64 // as the status says, of 1,000 bytes each
	looks   atomic.Int64 // at the clock: a sink that wakes looks at it, or at its table
	fails   atomic.Bool  // commits
	takes   atomic.Int64 // a commit, in ns
	// troubles has commits tell of an attempt that failed.
	troubles atomic.Bool
	// silent, if not nil, has tables answer no question about their status until it
	// is closed, whatever the context says, as one does whose lock is held.
	silent chan struct{}
}

// Name implements tables.Format.
func (r *rhythm) Name() string { return "parquet" }

// Drop implements tables.Format.
func (r *rhythm) Drop(context.Context, string, string) error { return nil }

// Open implements tables.Format.
func (r *rhythm) Open(_ context.Context, s tables.Spec) (tables.Table, error) {
	if s.Schema == nil {
		return nil, tables.ErrSchema
	}
	return &counter{rhythm: r, schema: s.Schema}, nil
}

// counter is a table that counts.
type counter struct {
	*rhythm
	mu       sync.Mutex
	progress tables.Progress // guarded by mu
	schema   *tables.Schema  // guarded by mu
}

// Progress implements tables.Table.
func (c *counter) Progress(context.Context) (tables.Progress, error) {
	c.looks.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.progress.Clone(), nil
}

// Commit implements tables.Table.
func (c *counter) Commit(ctx context.Context, commit tables.Commit) error {
	if c.troubles.Load() {
		blob.Trouble(ctx, errFault)
	}
	time.Sleep(time.Duration(c.takes.Load()))
	c.commits.Add(1)
	if c.fails.Load() {
		return errFault
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.progress.Equal(commit.Expect) {
		return tables.ErrConflict
	}
	for _, f := range commit.Add {
		c.rows.Add(f.Rows)
	}
	c.progress = commit.Progress.Clone()
	if commit.Schema != nil {
		c.schema = commit.Schema
	}
	return nil
}

// Schema implements tables.Table.
func (c *counter) Schema() *tables.Schema {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.schema
}

// Physical implements tables.Table.
func (c *counter) Physical(s *tables.Schema) (*tables.Schema, error) { return s, nil }

// DataPath implements tables.Table.
func (c *counter) DataPath(name string) string { return "counted/" + name }

// Landed implements tables.Table.
func (c *counter) Landed(context.Context, string, string) (bool, error) { return true, nil }

// Status implements tables.Table.
func (c *counter) Status(context.Context) (tables.Status, error) {
	if c.silent != nil {
		<-c.silent
	}
	return tables.Status{Format: "parquet", Rows: c.rows.Load(), Files: c.files.Load(), Bytes: 1000 * c.files.Load()}, nil
}

// Rows implements tables.Table.
func (c *counter) Rows(context.Context) iter.Seq2[tables.RowID, error] {
	return func(func(tables.RowID, error) bool) {}
}

// inRhythm runs test with a sink that has just made its table and sleeps.
func inRhythm(t *testing.T, set func(*sink.Topic), test func(t *testing.T, r *rhythm)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rhythm{world: newWorld(t)}
		r.level = 12
		r.topics[0].Formats = []string{"parquet"}
		r.topics[0].CommitInterval = 10 * time.Second
		if set != nil {
			set(&r.topics[0])
		}
		r.id = r.register("orders-value", orderV1)
		cfg := sink.CountOnly(r.config())
		cfg.Formats = map[string]tables.Format{"parquet": r}
		cfg.Now = func() time.Time { r.looks.Add(1); return time.Now() }
		r.manager, r.stop = r.startWith(cfg)
		synctest.Wait()
		test(t, r)
	})
}

// after lets time pass and says what was committed by then.
func (r *rhythm) after(d time.Duration) string {
	time.Sleep(d)
	synctest.Wait()
	return fmt.Sprint(r.commits.Load(), " commits, ", r.rows.Load(), " rows")
}

func (r *rhythm) some(n int) {
	r.t.Helper()
	values := make([][]byte, n)
	for i := range values {
		values[i] = order(r.id, int64(i), "something")
	}
	r.produce(0, values...)
}

func TestInterval(t *testing.T) {
	inRhythm(t, nil, func(t *testing.T, r *rhythm) {
		for i := range 3 {
			r.after(time.Duration(i) * 3700 * time.Millisecond)
			r.some(2)
			r.after(3 * time.Second)
			r.some(1)
			before := fmt.Sprint(i, " commits, ", 3*i, " rows")
			if got := r.after(6900 * time.Millisecond); got != before {
				t.Errorf("just before the interval is over: %s, want %s", got, before)
			}
			want := fmt.Sprint(i+1, " commits, ", 3*i+3, " rows")
			if got := r.after(200 * time.Millisecond); got != want {
				t.Errorf("when the interval is over: %s, want %s", got, want)
			}
		}
	})
}

func TestIdle(t *testing.T) {
	inRhythm(t, nil, func(t *testing.T, r *rhythm) {
		for _, n := range []int{0, 5} {
			if n > 0 {
				r.some(n)
				r.after(time.Minute)
			}
			before := r.looks.Load()
			got := r.after(24 * time.Hour)
			if want := fmt.Sprint(n/5, " commits, ", n, " rows"); got != want {
				t.Errorf("after a day without records: %s, want %s", got, want)
			}
			if woken := r.looks.Load() - before; woken != 0 {
				t.Errorf("the sink looked %d times at clock or table in a day without records", woken)
			}
		}
	})
}

func TestIdleWithoutSchema(t *testing.T) {
	inRhythm(t, func(topic *sink.Topic) { topic.Value.Subject = "other" }, func(t *testing.T, r *rhythm) {
		r.some(3)
		r.after(time.Minute)
		before := r.looks.Load()
		r.after(24 * time.Hour)
		if woken := r.looks.Load() - before; woken != 0 {
			t.Errorf("the sink looked %d times at the clock while it waits for a schema", woken)
		}
		r.register("other", orderV1)
		if got, want := r.after(11*time.Second), "1 commits, 3 rows"; got != want {
			t.Errorf("after a schema came: %s, want %s", got, want)
		}
	})
}

func TestRows(t *testing.T) {
	inRhythm(t, func(topic *sink.Topic) { topic.CommitRows = 100 }, func(t *testing.T, r *rhythm) {
		r.some(99)
		if got, want := r.after(time.Second), "0 commits, 0 rows"; got != want {
			t.Errorf("99 rows: %s, want %s", got, want)
		}
		r.some(1)
		if got, want := r.after(time.Second), "1 commits, 100 rows"; got != want {
			t.Errorf("100 rows: %s, want %s", got, want)
		}
		r.some(250)
		if got, want := r.after(time.Second), "3 commits, 300 rows"; got != want {
			t.Errorf("350 rows: %s, want %s", got, want)
		}
		if got, want := r.after(10*time.Second), "4 commits, 350 rows"; got != want {
			t.Errorf("350 rows and the interval: %s, want %s", got, want)
		}
	})
}

func TestBytes(t *testing.T) {
	inRhythm(t, func(topic *sink.Topic) { topic.CommitBytes = 100_000 }, func(t *testing.T, r *rhythm) {
		r.some(100) // of 40 bytes, but no record was seen yet
		if got, want := r.after(time.Second), "0 commits, 0 rows"; got != want {
			t.Errorf("100 rows: %s, want %s", got, want)
		}
		r.after(10 * time.Second)
		before := r.commits.Load()
		r.some(1000)
		r.after(time.Second)
		if got := r.commits.Load(); got != before {
			t.Errorf("1000 small rows were committed at once")
		}
		r.some(2000)
		if got := r.after(time.Second); r.commits.Load() == before || r.rows.Load() < 2000 {
			t.Errorf("after 3000 rows: %s, want those that make up the bytes", got)
		}
	})
}

// TestControlBatchesAlone wants no commit for what holds no rows, and no
// reading of it again and again; but progress where a flush asks.
func TestControlBatchesAlone(t *testing.T) {
	inRhythm(t, nil, func(t *testing.T, r *rhythm) {
		b, err := record.Marker{ProducerID: 1, Commit: true}.Batch()
		if err != nil {
			t.Fatal(err)
		}
		r.some(1)
		r.after(time.Minute)
		for range 3 {
			r.appendBatch(0, b)
		}
		if got, want := r.after(time.Minute), "1 commits, 1 rows"; got != want {
			t.Errorf("control batches alone: %s, want %s", got, want)
		}
		before := r.looks.Load()
		r.after(24 * time.Hour)
		if woken := r.looks.Load() - before; woken != 0 {
			t.Errorf("the sink looked %d times at clock or table in a day without records", woken)
		}
		if got := r.flush().Offsets[0]; got != 4 {
			t.Errorf("flushed to %d, want 4", got)
		}
		if got, want := r.after(0), "2 commits, 1 rows"; got != want {
			t.Errorf("after a flush: %s, want %s", got, want)
		}
		r.flush()
		r.appendBatch(0, b)
		r.some(2)
		if got, want := r.after(11*time.Second), "3 commits, 3 rows"; got != want {
			t.Errorf("with rows behind them: %s, want %s", got, want)
		}
	})
}

// TestRetries counts how often a commit is tried that fails for ever.
func TestRetries(t *testing.T) {
	inRhythm(t, nil, func(t *testing.T, r *rhythm) {
		r.fails.Store(true)
		r.some(1)
		r.after(10 * time.Second)
		first := r.commits.Load()
		r.after(10 * time.Minute)
		// 200 ms doubling to 30 s: eight in the first minute, then two each.
		if got := r.commits.Load() - first; got < 20 || got > 35 {
			t.Errorf("%d tries in ten minutes, want about 27", got)
		}
		r.fails.Store(false)
		r.after(31 * time.Second)
		if got := r.after(0); r.rows.Load() != 1 {
			t.Errorf("when commits go through again: %s", got)
		}
	})
}

// TestFlushUnderLoad flushes while records keep coming: it ends when what was
// there at its begin is committed.
func TestFlushUnderLoad(t *testing.T) {
	inRhythm(t, nil, func(t *testing.T, r *rhythm) {
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					r.some(1)
				}
			}
		}()
		for range 3 {
			r.flush()
		}
		if got := r.commits.Load(); got > 20 {
			t.Errorf("%d commits for three flushes", got)
		}
		close(stop)
		<-stopped
	})
}

// TestMemory sends records that are small and have many columns: a cut ends
// when its columns have grown large.
func TestMemory(t *testing.T) {
	inRhythm(t, func(topic *sink.Topic) {
		topic.Value.Subject, topic.CommitBytes = "wide", 1<<20
	}, func(t *testing.T, r *rhythm) {
		text := `{"type":"record","name":"Wide","fields":[`
		for i := range 500 {
			if i > 0 {
				text += ","
			}
			text += fmt.Sprintf(`{"name":"f%d","type":["null","long"],"default":null}`, i)
		}
		id := r.register("wide", text+"]}")
		value := append(order(id, 0, "")[:5], make([]byte, 500)...)
		values := make([][]byte, 2000)
		for i := range values {
			values[i] = value
		}
		r.produce(0, values...) // 1 MB in records, 8 MB in columns
		r.after(time.Minute)
		if got := r.commits.Load(); got < 2 || got > 6 || r.rows.Load() != 2000 {
			t.Errorf("%d rows in %d commits, want 2000 in a few", r.rows.Load(), got)
		}
	})
}

// TestFarTimestamps keeps timestamps that are no time within the column.
func TestFarTimestamps(t *testing.T) {
	w := newWorld(t)
	id := w.register("orders-value", orderV1)
	w.run()
	for _, ms := range []int64{math.MaxInt64 / 2, -1, math.MinInt64 / 2} {
		b := record.NewBuilder(record.Options{})
		b.Append(ms, nil, order(id, 1, "a"))
		w.append(0, b)
	}
	w.verify(3, 0)
}
