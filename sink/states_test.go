package sink_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	ice "github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/catalog/catalogtest"
)

// catalog is the Iceberg catalog of the world's tables, for foreign hands.
func (w *world) catalog() *catalogtest.Client {
	return catalogtest.New(catalog.New(catalog.Config{Items: w.items, Store: w.store}), w.store)
}

var ident = icetable.Identifier{"default", "orders"}

// TestRolledBack has somebody roll the Iceberg table back and forward again;
// the other formats go on meanwhile.
func TestRolledBack(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	id := w.register("orders-value", orderV1)
	w.run()
	var snapshots []int64
	for i := range int64(2) {
		w.produce(0, order(id, i, "a"))
		w.verify(i+1, 0)
		it, err := w.catalog().LoadTable(t.Context(), ident)
		if err != nil {
			t.Fatal(err)
		}
		snapshots = append(snapshots, it.CurrentSnapshot().SnapshotID)
	}
	point := func(snapshot int64) {
		_, _, err := w.catalog().CommitTable(t.Context(), ident, nil,
			[]icetable.Update{icetable.NewSetSnapshotRefUpdate("main", snapshot, icetable.BranchRef, 0, 0, 0)})
		if err != nil {
			t.Fatal(err)
		}
	}
	point(snapshots[0])
	w.produce(0, order(id, 3, "b"))
	st := w.state(sink.RolledBack)
	if !strings.Contains(st.Message, "forward") || st.Formats[1].State != sink.Running {
		t.Errorf("status %+v, want what to do, and delta running", st)
	}
	if got := len(w.rowIDs("delta")); got != 3 {
		t.Errorf("delta has %d rows, want 3: it goes on", got)
	}
	if r, err := w.manager.Verify(t.Context(), "orders"); err != nil || r.Verdict != sink.VerdictUnknown {
		t.Errorf("verification %+v, %v; want unknown", r, err)
	}
	point(snapshots[1])
	w.state(sink.Running)
	w.check(3, 0)
}

// TestRestored has somebody RESTORE the Delta table, and undo it; the other
// formats go on meanwhile.
func TestRestored(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	id := w.register("orders-value", orderV1)
	w.run()
	for i := range int64(2) {
		w.produce(0, order(id, i, "a"))
		w.verify(i+1, 0)
	}
	const logs = "default/orders/delta/_delta_log/"
	version := func(v int) string { return fmt.Sprintf("%s%020d.json", logs, v) }
	last := 0
	for _, err := range w.store.List(t.Context(), logs) {
		if err != nil {
			t.Fatal(err)
		}
		last++
	}
	text, err := w.store.Get(t.Context(), version(last-1))
	if err != nil {
		t.Fatal(err)
	}
	var path string
	var added string // the action itself
	for line := range strings.Lines(string(text)) {
		var a struct {
			Add struct{ Path string }
		}
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		if a.Add.Path != "" {
			path, added = a.Add.Path, line
		}
	}
	const info = `{"commitInfo":{"timestamp":1,"operation":"RESTORE"}}` + "\n"
	put := func(v int, action string) {
		t.Helper()
		if err := w.store.PutIfAbsent(t.Context(), version(v), []byte(info+action)); err != nil {
			t.Fatal(err)
		}
	}
	put(last, fmt.Sprintf(`{"remove":{"path":%q,"deletionTimestamp":1,"dataChange":true}}`+"\n", path))
	w.produce(0, order(id, 3, "b"))
	st := w.state(sink.RolledBack)
	if !strings.Contains(st.Message, "RESTORE") || st.Formats[0].State != sink.Running {
		t.Errorf("status %+v, want what to do, and iceberg running", st)
	}
	if got := len(w.rowIDs("iceberg")); got != 3 {
		t.Errorf("iceberg has %d rows, want 3: it goes on", got)
	}
	put(last+1, added)
	w.state(sink.Running)
	w.check(3, 0)
}

// TestForeignCommits lets others commit to the Iceberg table in between.
func TestForeignCommits(t *testing.T) {
	w := newWorld(t)
	id := w.register("orders-value", orderV1)
	w.run()
	for i := range int64(4) {
		w.produce(0, order(id, i, "a"), []byte("bad"))
		w.verify(i+1, i+1)
		it, err := w.catalog().LoadTable(t.Context(), ident)
		if err != nil {
			t.Fatal(err)
		}
		tx := it.NewTransaction()
		if err := tx.SetProperties(ice.Properties{"owner": string(rune('a' + i))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.verify(4, 4)
}

// TestTableAhead puts the sink on a log that is older than the tables.
func TestTableAhead(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"), order(id, 2, "b"))
	w.verify(2, 0)
	w.halt()
	logs := w.logs
	w.logs = commitlog.New(commitlog.Config{Engine: memory.New()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func(logs *commitlog.Logs) { done <- logs.Run(ctx) }(w.logs)
	w.produce(0, order(id, 1, "a"))
	w.run()
	w.state(sink.TableAhead)
	if r, err := w.manager.Verify(t.Context(), "orders"); err != nil || r.Verdict != sink.VerdictUnknown {
		t.Errorf("verification %+v, %v; want unknown", r, err)
	}
	w.halt()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.logs = logs
	w.run()
	w.state(sink.Running)
	w.check(2, 0)
}

// TestDiverged lets a foreign hand move the table's progress to where no commit
// of the sink's leads.
func TestDiverged(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	w.topics[0].Formats = []string{"delta"}
	m := &mishap{op: "commit", err: errFault, times: 0}
	w.wrap = func(f tables.Format) tables.Format { return clumsyFormat{f, m} }
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)
	m.mu.Lock()
	m.times = -1
	m.mu.Unlock()
	w.produce(0, order(id, 1, "a"), order(id, 2, "b"), order(id, 3, "c"))
	w.produce(1, order(id, 4, "d"))
	w.state(sink.Stalled) // a commit from 1 to 4 is pending
	tbl := w.table("delta")
	p, err := tbl.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := p.Clone()
	next.Offsets[0] = 2
	if err := tbl.Commit(t.Context(), tables.Commit{ID: "foreign", Expect: p, Progress: next}); err != nil {
		t.Fatal(err)
	}
	st := w.state(sink.Diverged)
	if !strings.Contains(st.Message, "another writer") {
		t.Errorf("message %q says nothing of another writer", st.Message)
	}
}

// TestFilesLost loses the files of pending commits before they are committed:
// they are cut again.
func TestFilesLost(t *testing.T) {
	for _, kind := range []string{"data", "dead"} {
		w := newWorld(t)
		w.level = 12
		m := &mishap{op: "commit", err: errFault, times: -1}
		w.wrap = func(f tables.Format) tables.Format {
			if f.Name() != "delta" {
				return f
			}
			return clumsyFormat{f, m}
		}
		id := w.register("orders-value", orderV1)
		w.run()
		for range 3 {
			w.produce(0, order(id, 1, "a"), []byte("bad"), order(id, 2, "b"))
			if _, err := w.manager.Flush(t.Context(), "orders"); !errors.Is(err, errFault) {
				t.Fatalf("flush: %v, want the fault", err)
			}
		}
		w.halt()
		lost := 0
		for info, err := range w.store.List(t.Context(), "default/") {
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(info.Key, "/delta/") && kindOf(info.Key) == kind {
				if lost++; lost == 2 {
					if err := w.store.Delete(t.Context(), info.Key); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if lost < 2 {
			t.Fatalf("%d %s files wait for delta, want 2 or more", lost, kind)
		}
		m.times = 0
		w.run()
		w.flushOn()
		w.check(6, 3)
		w.noPending()
	}
}

// TestMovedAway drops tables while commits are pending for them, as the advice
// of the states says; with the dead letters, and without.
func TestMovedAway(t *testing.T) {
	for _, letters := range []bool{true, false} {
		for _, format := range []string{"iceberg", "delta", "parquet"} {
			w := newWorld(t)
			w.level = 12
			m := &mishap{op: "commit", err: errFault, times: 0}
			w.wrap = func(f tables.Format) tables.Format {
				if f.Name() != format {
					return f
				}
				return clumsyFormat{f, m}
			}
			id := w.register("orders-value", orderV1)
			w.run()
			w.produce(0, order(id, 1, "a"), []byte("bad"), order(id, 2, "b"))
			w.verify(2, 1)
			m.mu.Lock()
			m.times = -1
			m.mu.Unlock()
			w.produce(0, order(id, 3, "c"), []byte("bad too"))
			if _, err := w.manager.Flush(t.Context(), "orders"); !errors.Is(err, errFault) {
				t.Fatalf("flush: %v, want the fault", err)
			}
			w.halt()
			names := []string{"orders"}
			if letters {
				names = append(names, "orders__dead_letters")
			}
			for _, name := range names {
				if err := formatsOver(w.store, w.items)[format].Drop(t.Context(), "default", name); err != nil {
					t.Fatal(err)
				}
			}
			m.times = 0
			w.run()
			w.flushOn()
			w.check(3, 2)
			w.produce(1, order(id, 4, "d"), []byte("bad again"))
			w.verify(4, 3)
			w.noPending()
		}
	}
}

// TestLettersStay rewrites a main table whose dead letters stayed, at a time
// when some of them would be good rows: each record still stands once.
func TestLettersStay(t *testing.T) {
	w := newWorld(t)
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"), order(id+1, 2, "early"), order(id, 3, "c"))
	w.verify(2, 1)
	w.halt()
	for _, format := range w.topics[0].Formats {
		if err := formatsOver(w.store, w.items)[format].Drop(t.Context(), "default", "orders"); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.register("orders-value", orderV2); got != id+1 {
		t.Fatalf("id %d, want %d", got, id+1)
	}
	w.produce(0, append(order(id+1, 4, "late"), 0), []byte("bad"))
	w.run()
	w.verify(3, 2)
}

// TestGap deletes records before the sink has seen them.
func TestGap(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)
	w.halt()
	for i := range int64(4) {
		w.produce(0, order(id, i, "x"), order(id, i, "y"))
	}
	w.trim(0, 4) // in the middle of a batch
	w.run()
	w.verify(6, 0)
	w.halt()
	w.produce(0, order(id, 9, "z"), order(id, 9, "z"))
	w.trim(0, 10)
	w.run()
	w.flush()
	for _, f := range w.check(7, 0).Formats {
		want := []tables.Range{{Partition: 0, From: 1, To: 4}, {Partition: 0, From: 9, To: 10}}
		if len(f.Deleted) != 2 || f.Deleted[0] != want[0] || f.Deleted[1] != want[1] {
			t.Errorf("%s: deleted %v, want %v", f.Format, f.Deleted, want)
		}
	}
	// Nothing is left but a gap: it is written down all the same.
	w.halt()
	w.produce(0, order(id, 9, "z"))
	w.trim(0, 12)
	w.run()
	w.flush()
	for _, f := range w.check(7, 0).Formats {
		if len(f.Deleted) != 3 || f.Deleted[2] != (tables.Range{Partition: 0, From: 11, To: 12}) {
			t.Errorf("%s: deleted %v, want a third gap from 11 to 12", f.Format, f.Deleted)
		}
	}
}

// TestNewPartitionGap deletes records of a partition that the table has never
// seen: it begins at 0 all the same, or nobody would know.
func TestNewPartitionGap(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	id := w.register("orders-value", orderV1)
	w.topics[0].Partitions = 1
	w.run()
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)
	w.halt()
	w.topics[0].Partitions = 2
	w.produce(1, order(id, 2, "b"), order(id, 3, "c"))
	w.trim(1, 1)
	w.run()
	w.flush()
	for _, f := range w.check(2, 0).Formats {
		if len(f.Deleted) != 1 || f.Deleted[0] != (tables.Range{Partition: 1, From: 0, To: 1}) {
			t.Errorf("%s: deleted %v, want partition 1 offset 0", f.Format, f.Deleted)
		}
	}
}

// TestTwoManagers runs a second one on the same stores by mistake. Both stay
// right, whatever the other does.
func TestTwoManagers(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	id := w.register("orders-value", orderV1)
	w.run()
	other, stop := w.start()
	defer stop()
	const rounds = 15
	for i := range int64(rounds) {
		w.produce(int32(i%2), order(id, i, "a"), []byte("bad"))
		flushed := make(chan error, 2)
		for _, m := range []*sink.Manager{w.manager, other} {
			go func() {
				var err error
				for range maxFlushes {
					if _, err = m.Flush(t.Context(), "orders"); err == nil {
						break
					}
				}
				flushed <- err
			}()
		}
		for range 2 {
			if err := <-flushed; err != nil {
				t.Fatal(err)
			}
		}
	}
	// A file that either may have taken up is told once its table has moved on.
	w.produce(0, order(id, rounds, "a"), []byte("bad"))
	w.settle(w.manager, other)
	w.check(rounds+1, rounds+1)
	w.noPending()
	w.noLeft()
}

// TestForgottenByAnother has an entry stored with an unknown outcome, and then
// committed and forgotten by another sink before the first one looks: its files
// are in the tables, and must not be taken for leftovers.
func TestForgottenByAnother(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)
	cfg := w.config()
	cfg.Store, cfg.Items, cfg.Formats = w.store, w.items, formatsOver(w.store, w.items)
	other, stop := w.startWith(cfg) // which no fault touches
	defer stop()
	for range 2 {
		w.fuse.armAt("/pending/", false, true)
		w.produce(0, order(id, 2, "b"), []byte("bad"))
		if _, err := w.manager.Flush(t.Context(), "orders"); !errors.Is(err, errFault) {
			t.Fatalf("flush: %v, want the fault", err)
		}
		for range 2 {
			w.produce(1, order(id, 3, "c"))
			if _, err := other.Flush(t.Context(), "orders"); err != nil {
				// The first flush may have met what it did not know of.
				if _, err = other.Flush(t.Context(), "orders"); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.fuse.heal()
		w.flushOn()
	}
	w.check(7, 2)
	w.noPending()
}

// TestWideEntry commits files whose statistics alone would not fit an item.
func TestWideEntry(t *testing.T) {
	w := newWorld(t)
	text := `{"type":"record","name":"Wide","fields":[`
	const columns = 1300
	for i := range columns {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(`{"name":"f%d","type":"string"}`, i)
	}
	id := w.register("orders-value", text+"]}")
	value := order(id, 0, "")[:5]
	for range columns {
		value = append(binary.AppendVarint(value, 1000), strings.Repeat("x", 1000)...)
	}
	w.items = smallItems{w.items}
	w.run()
	w.produce(0, value)
	w.verify(1, 0)
}

// smallItems refuses values as storage engines do.
type smallItems struct{ tables.Items }

func (s smallItems) Put(ctx context.Context, items ...tables.Item) error {
	for _, it := range items {
		if len(it.Value) > storage.MaxValueBytes/2 {
			return fmt.Errorf("value of %d bytes: %w", len(it.Value), storage.ErrInvalid)
		}
	}
	return s.Items.Put(ctx, items...)
}

// TestVerifyFindsDamage takes a live file away, and a commit's rows.
func TestVerifyFindsDamage(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Formats = []string{"parquet"}
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"), order(id, 2, "b"))
	w.verify(2, 0)
	// Progress without rows: a gap. Rows a second time: duplicates.
	w.produce(0, order(id, 3, "c"))
	tbl := w.table("parquet")
	p, err := tbl.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := p.Clone()
	next.Offsets[0] = 3
	name := ""
	for info := range w.store.List(t.Context(), "default/orders/parquet/data-") {
		name = info.Key
	}
	twice := tbl.DataPath("twice.parquet")
	if err := w.store.Copy(t.Context(), name, twice); err != nil {
		t.Fatal(err)
	}
	data, err := w.store.Get(t.Context(), twice)
	if err != nil {
		t.Fatal(err)
	}
	err = tbl.Commit(t.Context(), tables.Commit{ID: "foreign", Expect: p, Progress: next, Add: []tables.DataFile{{
		Path: twice, Size: int64(len(data)), Rows: 2, Ranges: []tables.Range{{From: 0, To: 2}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.manager.Verify(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	f := r.Formats[0]
	if r.Verdict != sink.VerdictBad || len(f.Gaps) != 1 || f.Gaps[0] != (tables.Range{From: 2, To: 3}) ||
		len(f.Duplicates) != 2 || f.Duplicates[0] != (sink.Duplicate{Offset: 0, Count: 2}) {
		t.Errorf("report %+v, want a gap at 2 and duplicates at 0 and 1", r)
	}
	if err := w.store.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if r, err = w.manager.Verify(t.Context(), "orders"); err != nil || r.Verdict != sink.VerdictBad || r.Formats[0].Message == "" {
		t.Errorf("report %+v, %v; want bad, and why", r, err)
	}
}

// TestVerifyMissingFile takes away single files that a table names: it is
// damaged, which is more than that it could not be told.
func TestVerifyMissingFile(t *testing.T) {
	for _, format := range []string{"parquet", "delta"} {
		for _, table := range []string{"orders", "orders__dead_letters"} {
			t.Run(format+"/"+table, func(t *testing.T) {
				w := newWorld(t)
				w.topics[0].Formats = []string{format}
				id := w.register("orders-value", orderV1)
				w.run()
				w.produce(0, order(id, 1, "a"), []byte("bad"))
				w.verify(1, 1)
				w.produce(1, order(id, 2, "b"), []byte("bad"))
				w.verify(2, 2)
				gone := ""
				for info, err := range w.store.List(t.Context(), "default/"+table+"/"+format+"/d") {
					if err != nil {
						t.Fatal(err)
					}
					gone = info.Key
				}
				if err := w.store.Delete(t.Context(), gone); err != nil {
					t.Fatal(err)
				}
				r, err := w.manager.Verify(t.Context(), "orders")
				if err != nil || r.Verdict != sink.VerdictBad || r.Formats[0].Message == "" {
					t.Errorf("without %q: %+v, %v; want bad, and why", gone, r, err)
				}
			})
		}
	}
}
