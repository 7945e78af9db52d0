package tabletest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob/blobtest"
	"github.com/tarn-io/tarn/tables/maintenance"
	"github.com/tarn-io/tarn/tables/parquet"
)

// target is far above what the suite's files have.
const target = 64 << 20

func (b *bench) keeper(table tables.Table) tables.Maintainer {
	b.Helper()
	m, ok := table.(tables.Maintainer)
	if !ok {
		b.Fatalf("%T offers no maintenance", table)
	}
	return m
}

func (b *bench) files(table tables.Table) []tables.LiveFile {
	b.Helper()
	live, err := b.keeper(table).Live(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return live
}

// compact merges until nothing is left to do.
func (b *bench) compact(table tables.Table) {
	b.Helper()
	for range 10 {
		groups := maintenance.Plan(b.files(table), target, false)
		if len(groups) == 0 {
			return
		}
		for _, g := range groups {
			if _, err := maintenance.Merge(b.Context(), b.store, b.keeper(table), g); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Fatal("compaction comes to no end")
}

// testCompact merges small files while commits go on: rows and progress stay,
// the number of files is bounded, and who opens the table sees the same.
func testCompact(b *bench) {
	table := b.table()
	var first []tables.LiveFile
	for i := range int64(60) {
		b.commit(table, fmt.Sprintf("c%d", i), rng(0, i*2, i*2+2))
		if i == 0 {
			first = b.files(table)
		}
		if i%25 == 24 {
			b.compact(table)
		}
	}
	at := b.progress(table)
	b.compact(table)
	b.wantProgress(table, at)
	b.wantRows(table, rng(0, 0, 120))
	if n := len(b.files(table)); n > maintenance.MaxFiles(target) {
		b.Errorf("%d files, want %d at most", n, maintenance.MaxFiles(target))
	}
	st, err := table.Status(b.Context())
	if err != nil || st.Rows != 120 || st.Files != int64(len(b.files(table))) {
		b.Errorf("status %+v, %v", st, err)
	}
	b.wantRows(b.table(), rng(0, 0, 120))
	b.wantProgress(b.table(), at)
	err = b.keeper(table).Replace(b.Context(), tables.Replacement{ID: "late", Remove: []string{first[0].Key}})
	if !errors.Is(err, tables.ErrConflict) {
		b.Errorf("a file that is live no more was replaced: %v, want ErrConflict", err)
	}
	history, err := b.keeper(table).History(b.Context())
	if err != nil || len(history) == 0 || !history[0].Current || history[0].Rows != 120 {
		b.Errorf("history begins %+v, %v", history[:min(1, len(history))], err)
	}
	b.commit(b.table(), "later", rng(0, 120, 130))
	b.wantRows(table, rng(0, 0, 130))
}

// testCompactTypes holds every value of every type against what it was.
func testCompactTypes(b *bench) {
	table := b.table(AllFields()...)
	for i := range int64(12) {
		b.commit(table, fmt.Sprintf("c%d", i), rng(int32(i%2), i/2*7, i/2*7+7))
	}
	before := b.values(table)
	b.compact(table)
	if n := len(b.files(table)); n > 2 {
		b.Fatalf("%d files, want 2 at most", n)
	}
	after := b.values(table)
	if len(before) != len(after) {
		b.Fatalf("%d rows, want %d", len(after), len(before))
	}
	for i, want := range before {
		if after[i] != want {
			b.Errorf("row was\n%s, is\n%s", want, after[i])
		}
	}
}

// values spells every row of the live files, sorted.
func (b *bench) values(table tables.Table) []string {
	b.Helper()
	var out []string
	for _, f := range b.files(table) {
		file, err := b.store.Open(b.Context(), f.Key)
		if err != nil {
			b.Fatal(err)
		}
		for rows, err := range parquet.ReadRows(b.Context(), file, nil) {
			if err != nil {
				b.Fatal(err)
			}
			for i := range int(rows.NumRows()) {
				var row strings.Builder
				for c, col := range rows.Columns() {
					fmt.Fprintf(&row, "%s %s=%s; ", rows.Schema().Field(c).Type, rows.ColumnName(c), array.NewSlice(col, int64(i), int64(i+1)))
				}
				out = append(out, row.String())
			}
		}
		file.Close()
	}
	slices.Sort(out)
	return out
}

// testCompactCrash cuts a merge off at every write that it does, before it and
// after it. After a restart the rows are there once, the merge can be done again,
// and the writer goes on.
func testCompactCrash(b *bench) {
	for _, when := range []blobtest.When{blobtest.Before, blobtest.After} {
		for n := 0; b.compactCrash(fmt.Sprintf("merge%d%d", when, n), n, when); n++ {
			if n > 100 {
				b.Fatal("a merge has more than 100 writes")
			}
		}
	}
}

func (b *bench) compactCrash(name string, n int, when blobtest.When) (crashed bool) {
	spec := Spec(Schema(b, SmallFields()...))
	spec.Name = name
	table, err := b.start().Open(b.Context(), spec)
	if err != nil {
		b.Fatal(err)
	}
	for i := range int64(10) {
		b.commit(table, fmt.Sprintf("c%d", i), rng(0, i*3, i*3+3))
	}
	at := b.progress(table)
	groups := maintenance.Plan(b.files(table), target, false)
	if len(groups) != 1 {
		b.Fatalf("%d groups, want 1", len(groups))
	}
	b.store.CrashAt(n, when)
	_, err = maintenance.Merge(b.Context(), b.store, b.keeper(table), groups[0])
	crashed = b.store.Heal()
	if err != nil && !crashed {
		b.Fatalf("%s: %v", name, err)
	}
	if n%2 == 0 { // else the process lives on
		if table, err = b.start().Open(b.Context(), spec); err != nil {
			b.Fatalf("%s: open after a crash: %v", name, err)
		}
	}
	b.wantProgress(table, at)
	b.wantRows(table, rng(0, 0, 30))
	b.compact(table)
	b.commit(table, "later", rng(0, 30, 33))
	if table, err = b.start().Open(b.Context(), spec); err != nil {
		b.Fatal(err)
	}
	b.wantRows(table, rng(0, 0, 33))
	b.sweep(table, nil)
	b.wantRows(table, rng(0, 0, 33))
	// Files that were replaced may stay for readers; what a crash has left, not.
	known := map[string]bool{}
	for _, f := range append(groups[0], b.files(table)...) {
		known[f.Key] = true
	}
	for _, key := range b.data(table) {
		if !known[key] {
			b.Errorf("%s: %s stays after the sweep", name, key)
		}
	}
	return crashed
}

// sweep expires all that may be and removes what nothing names, however young. Dry runs
// before say the same, and leave everything where it is.
func (b *bench) sweep(table tables.Table, pending []string) {
	b.Helper()
	m := b.keeper(table)
	keep := tables.Keep{Last: 1, Max: 1}
	dry(b, m, func(dry bool) (any, error) {
		keep.DryRun = dry
		return m.Expire(b.Context(), keep)
	})
	sweep := tables.Sweep{
		Before:  time.Now().Add(time.Hour),
		Pending: func(key string) bool { return slices.Contains(pending, key) },
	}
	dry(b, m, func(dry bool) (any, error) {
		sweep.DryRun = dry
		return m.Sweep(b.Context(), sweep)
	})
}

// dry does something as a dry run and then in earnest.
func dry(b *bench, table tables.Table, do func(dry bool) (any, error)) {
	b.Helper()
	before := b.data(table)
	would, err := do(true)
	if err != nil {
		b.Fatal(err)
	}
	if after := b.data(table); !slices.Equal(after, before) {
		b.Errorf("a dry run leaves %q of %q", after, before)
	}
	did, err := do(false)
	if err != nil {
		b.Fatal(err)
	}
	if did != would {
		b.Errorf("done was %+v, and a dry run said %+v", did, would)
	}
}

// data lists the data files that lie in the table's folder, live or not, but for
// those that plain Parquet keeps for its readers.
func (b *bench) data(table tables.Table) []string {
	b.Helper()
	st, err := table.Status(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	dir, ok := b.store.Key(st.Location)
	if !ok {
		b.Fatalf("location %s is outside the store", st.Location)
	}
	var out []string
	for info, err := range b.store.List(b.Context(), dir+"/") {
		if err != nil {
			b.Fatal(err)
		}
		data := strings.HasSuffix(info.Key, ".parquet") || strings.Contains(info.Key, "/data/")
		if data && !strings.Contains(info.Key, "checkpoint") && !strings.Contains(info.Key, "/replaced/") {
			out = append(out, info.Key)
		}
	}
	return out
}

// testCompactRace lets two processes merge the same files: one is refused.
func testCompactRace(b *bench) {
	table := b.table()
	for i := range int64(10) {
		b.commit(table, fmt.Sprintf("c%d", i), rng(0, i, i+1))
	}
	other := b.table()
	group := maintenance.Plan(b.files(table), target, false)[0]
	same := maintenance.Plan(b.files(other), target, false)[0]
	if _, err := maintenance.Merge(b.Context(), b.store, b.keeper(other), same); err != nil {
		b.Fatal(err)
	}
	if _, err := maintenance.Merge(b.Context(), b.store, b.keeper(table), group); !errors.Is(err, tables.ErrConflict) {
		b.Errorf("the second merge: %v, want ErrConflict", err)
	}
	b.wantRows(table, rng(0, 0, 10))
	// A commit of the other's, and then ours: maintenance is no conflict.
	b.commit(other, "theirs", rng(0, 10, 12))
	b.commit(table, "ours", rng(0, 12, 14))
	b.wantRows(other, rng(0, 0, 14))
}

// testCompactBeside has a writer and a keeper work on one table at once.
func testCompactBeside(b *bench) {
	table := b.table()
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- keepOn(ctx, b, b.keeper(table)) }()
	for i := range int64(30) {
		b.commit(table, fmt.Sprintf("c%d", i), rng(0, i, i+1))
	}
	stop()
	if err := <-done; err != nil {
		b.Error(err)
	}
	b.wantRows(table, rng(0, 0, 30))
	b.wantRows(b.table(), rng(0, 0, 30))
}

func keepOn(ctx context.Context, b *bench, m tables.Maintainer) error {
	for ctx.Err() == nil {
		live, err := m.Live(ctx)
		if err != nil {
			return whole(ctx, err)
		}
		for _, g := range maintenance.Plan(live, target, false) {
			if _, err := maintenance.Merge(ctx, b.store, m, g); err != nil && !errors.Is(err, tables.ErrConflict) {
				return whole(ctx, err)
			}
		}
		if _, err := m.Expire(ctx, tables.Keep{Last: 5, Max: 5}); err != nil {
			return whole(ctx, err)
		}
	}
	return nil
}

// whole drops errors of a context that has ended.
func whole(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// testDropRows takes whole files away, as retention does: progress stays, and so
// do all other rows.
func testDropRows(b *bench) {
	table := b.table()
	for i := range int64(4) {
		b.commit(table, fmt.Sprintf("c%d", i), rng(0, i*5, i*5+5))
	}
	at := b.progress(table)
	live := b.files(table)
	err := b.keeper(table).Replace(b.Context(), tables.Replacement{ID: "old", Remove: []string{live[0].Key, live[1].Key}, Drop: true})
	if err != nil {
		b.Fatal(err)
	}
	b.wantProgress(table, at)
	b.wantRows(table, rng(0, 10, 20))
	b.commit(table, "later", rng(0, 20, 25))
	b.sweep(table, nil)
	b.wantRows(b.table(), rng(0, 10, 25))
}

// testSweep leaves alone what somebody may commit yet, and removes the rest.
func testSweep(b *bench) {
	table := b.table()
	b.commit(table, "base", rng(0, 0, 10))
	pending := Write(b, b.store, table, "pending", rng(0, 0, 5)) // a commit of it is under way
	orphan := Write(b, b.store, table, "orphan", rng(0, 5, 10))  // its rows are in: nobody's
	beyond := Write(b, b.store, table, "beyond", rng(0, 10, 15)) // its rows may come
	b.keeperSweep(table, time.Now().Add(-time.Hour), nil)        // too young, all of them
	b.wantThere(true, pending.Path, orphan.Path, beyond.Path)
	b.keeperSweep(table, time.Now().Add(time.Hour), []string{pending.Path})
	b.wantThere(true, pending.Path, beyond.Path)
	b.wantThere(false, orphan.Path)
	if err := table.Commit(b.Context(), Next(b.progress(table), "late", beyond)); err != nil {
		b.Fatal(err)
	}
	b.keeperSweep(table, time.Now().Add(time.Hour), nil)
	b.wantThere(false, pending.Path)
	b.wantRows(table, rng(0, 0, 15))
	b.wantRows(b.table(), rng(0, 0, 15))
}

func (b *bench) keeperSweep(table tables.Table, before time.Time, pending []string) {
	b.Helper()
	_, err := b.keeper(table).Sweep(b.Context(), tables.Sweep{
		Before: before, Pending: func(key string) bool { return slices.Contains(pending, key) },
	})
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) wantThere(want bool, keys ...string) {
	b.Helper()
	for _, key := range keys {
		if _, err := b.store.Get(b.Context(), key); (err == nil) != want {
			b.Errorf("%s is there: %v, want %v", key, err, want)
		}
	}
}

var _ testing.TB = (*bench)(nil)
