package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/catalog/catalogtest"
	"github.com/tarn-io/tarn/tables/tabletest"
)

func id64(n int64) *int64 { return &n }

// TestRequirements checks the words too: clients in Java read them.
func TestRequirements(t *testing.T) {
	c, _, _ := setup(t)
	tbl := mustCreate(t, c, orders)
	have := tbl.Metadata.UUID
	none := uuid.UUID{}
	for _, tt := range []struct {
		req  table.Requirement
		want string // "" if it holds
	}{
		{table.AssertTableUUID(have), ""},
		{table.AssertTableUUID(none), fmt.Sprintf("UUID does not match: expected %s != %s", have, none)},
		{table.AssertCreate(), "table already exists"},
		{table.AssertRefSnapshotID("main", nil), ""},
		{table.AssertRefSnapshotID("main", id64(7)), "branch or tag main is missing, expected 7"},
		{table.AssertLastAssignedFieldID(1), ""},
		{table.AssertLastAssignedFieldID(2), "last assigned field id changed: expected id 2 != 1"},
		{table.AssertCurrentSchemaID(1), "current schema changed: expected id 1 != 0"},
		{table.AssertLastAssignedPartitionID(999), ""},
		{table.AssertLastAssignedPartitionID(1000), "last assigned partition id changed: expected id 1000 != 999"},
		{table.AssertDefaultSpecID(3), "default partition spec changed: expected id 3 != 0"},
		{table.AssertDefaultSortOrderID(3), "default sort order changed: expected id 3 != 0"},
	} {
		_, _, err := c.CommitTable(t.Context(), orders, catalogtest.Requirements(t, tt.req), nil)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v, want it to hold", tt.req.GetType(), err)
		case tt.want != "" && (!errors.Is(err, catalog.ErrCommitFailed) || err.Error() != "Requirement failed: "+tt.want):
			t.Errorf("%s: %v, want %q", tt.req.GetType(), err, tt.want)
		}
	}
	_, _, err := c.CommitTable(t.Context(), table.Identifier{"default", "none"}, nil, set("k", "v"))
	if !errors.Is(err, catalog.ErrNoSuchTable) {
		t.Errorf("commit to no table: %v, want ErrNoSuchTable", err)
	}
}

func TestCreateByCommitKeepsFieldIDs(t *testing.T) {
	c, _, _ := setup(t)
	sc := iceberg.NewSchema(0,
		iceberg.NestedField{ID: 7, Name: "a", Type: iceberg.PrimitiveTypes.Int64},
		iceberg.NestedField{ID: 12, Name: "b", Type: iceberg.PrimitiveTypes.String})
	meta, _, err := c.CommitTable(t.Context(), orders, catalogtest.Requirements(t, table.AssertCreate()), catalogtest.Updates(t, table.NewAddSchemaUpdate(sc), table.NewSetCurrentSchemaUpdate(-1),
		table.NewAddPartitionSpecUpdate(iceberg.UnpartitionedSpec, true), table.NewSetDefaultSpecUpdate(-1),
		table.NewAddSortOrderUpdate(&table.UnsortedSortOrder), table.NewSetDefaultSortOrderUpdate(-1)))
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := meta.Schema().FindFieldByName("b"); !ok || f.ID != 12 || meta.LastColumnID != 12 {
		t.Errorf("field b has id %d, last %d; want 12", f.ID, meta.LastColumnID)
	}
	if meta.Version != 2 || meta.UUID == (uuid.UUID{}) || meta.Location == "" {
		t.Errorf("version %d, uuid %s, location %q", meta.Version, meta.UUID, meta.Location)
	}
}

func TestOldMetadataFilesGo(t *testing.T) {
	c, _, store := setup(t)
	tbl := mustCreate(t, c, orders)
	for i := range 50 {
		if _, _, err := c.CommitTable(t.Context(), orders, nil, set("k", strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	key, _ := store.Key(tbl.Metadata.Location)
	if got := len(keys(t, store, key+"/metadata/")); got != 21 {
		t.Errorf("%d metadata files, want the present one and 20 before it", got)
	}
}

func TestReadsWhatAnotherProcessWrote(t *testing.T) {
	c, it, store := setup(t)
	other := catalog.New(catalog.Config{Items: it, Store: store, Prefix: "wh"})
	mustCreate(t, c, orders)
	for _, codec := range []string{"none", "gzip", "zstd"} {
		if _, _, err := other.CommitTable(t.Context(), orders, nil, set("write.metadata.compression-codec", codec)); err != nil {
			t.Fatal(err)
		}
		tbl, err := c.LoadTable(t.Context(), orders)
		if err != nil {
			t.Fatal(err)
		}
		if got := tbl.Metadata.Properties["write.metadata.compression-codec"]; got != codec {
			t.Errorf("property %q, want %q", got, codec)
		}
	}
}

// TestOutcomes plants a fault at the decisive write, in pairs: failed without
// effect, and failed after it took effect.
func TestOutcomes(t *testing.T) {
	ops := map[string]func(c *catalog.Catalog) error{
		"commit": func(c *catalog.Catalog) error {
			_, _, err := c.CommitTable(t.Context(), orders, nil, set("k", "v"))
			return err
		},
		"create": func(c *catalog.Catalog) error {
			_, err := c.CreateTable(t.Context(), table.Identifier{"default", "new"}, schema, catalog.NewTable{})
			return err
		},
		"rename": func(c *catalog.Catalog) error {
			_, err := c.RenameTable(t.Context(), orders, table.Identifier{"default", "new"})
			return err
		},
		"drop": func(c *catalog.Catalog) error { return c.DropTable(t.Context(), orders) },
	}
	for name, op := range ops {
		for _, f := range []fault{failBefore, failAfter} {
			c, it, _ := setup(t)
			mustCreate(t, c, orders)
			it.Fail = f.errs
			err := op(c)
			if f == failBefore && (!errors.Is(err, catalog.ErrUnknown) || !errors.Is(err, errStore)) {
				t.Errorf("%s that failed: %v, want ErrUnknown", name, err)
			}
			if f == failAfter && err != nil {
				t.Errorf("%s that took effect: %v, want it recognised", name, err)
			}
			if f == failBefore {
				it.Fail = nil
				if err := op(c); err != nil {
					t.Errorf("%s tried again: %v", name, err)
				}
			}
		}
	}
}

func TestLandedIsRecognisedBehindOthers(t *testing.T) {
	c, it, store := setup(t)
	mustCreate(t, c, orders)
	other := catalog.New(catalog.Config{Items: it, Store: store, Prefix: "wh"})
	it.Fail = func(put []tables.Item) (error, error) { it.Fail = nil; return failAfter.errs(put) }
	hook := &hookItems{Items: it, afterPut: func() {
		if _, _, err := other.CommitTable(t.Context(), orders, nil, set("other", "1")); err != nil {
			t.Error(err)
		}
	}}
	hooked := catalog.New(catalog.Config{Items: hook, Store: store, Prefix: "wh"})
	if _, _, err := hooked.CommitTable(t.Context(), orders, nil, set("k", "v")); err != nil {
		t.Errorf("commit that took effect before another's: %v", err)
	}
}

// hookItems runs something after each Put, before its caller sees the outcome.
type hookItems struct {
	*tabletest.Items
	afterPut func()
}

func (h *hookItems) Put(ctx context.Context, put ...tables.Item) error {
	err := h.Items.Put(ctx, put...)
	h.afterPut()
	return err
}

func TestTransactionIsAtomic(t *testing.T) {
	c, _, store := setup(t)
	a, b := table.Identifier{"default", "a"}, table.Identifier{"default", "b"}
	mustCreate(t, c, a)
	mustCreate(t, c, b)
	before := len(keys(t, store, "wh/"))
	err := c.CommitTransaction(t.Context(), []catalog.Change{
		{Identifier: a, Updates: set("k", "1")},
		{Identifier: b, Requirements: catalogtest.Requirements(t, table.AssertCurrentSchemaID(9)), Updates: set("k", "1")},
	})
	if !errors.Is(err, catalog.ErrCommitFailed) {
		t.Fatalf("commit: %v, want ErrCommitFailed", err)
	}
	tbl, err := c.LoadTable(t.Context(), a)
	if err != nil || tbl.Metadata.Properties["k"] != "" {
		t.Errorf("first table changed: %v, %v", tbl.Metadata.Properties, err)
	}
	if after := len(keys(t, store, "wh/")); after != before {
		t.Errorf("%d files left by the refused transaction", after-before)
	}
	n := table.Identifier{"default", "n"}
	err = c.CommitTransaction(t.Context(), []catalog.Change{
		{Identifier: a, Updates: set("k", "1")}, {Identifier: b, Updates: set("k", "1")},
		{Identifier: n, Requirements: catalogtest.Requirements(t, table.AssertCreate()), Updates: catalogtest.Updates(t,
			table.NewAddSchemaUpdate(schema), table.NewSetCurrentSchemaUpdate(-1),
			table.NewAddPartitionSpecUpdate(iceberg.UnpartitionedSpec, true), table.NewSetDefaultSpecUpdate(-1),
			table.NewAddSortOrderUpdate(&table.UnsortedSortOrder), table.NewSetDefaultSortOrderUpdate(-1),
			table.NewSetPropertiesUpdate(iceberg.Properties{"k": "1"}),
		)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, ident := range []table.Identifier{a, b, n} {
		tbl, err := c.LoadTable(t.Context(), ident)
		if err != nil || tbl.Metadata.Properties["k"] != "1" {
			t.Errorf("%v: %v, %v", ident, tbl, err)
		}
	}
}

// stalled runs between once, before the first Get.
type stalled struct {
	blob.Store
	once    sync.Once
	between func()
}

func (s *stalled) Get(ctx context.Context, key string) ([]byte, error) {
	s.once.Do(s.between)
	return s.Store.Get(ctx, key)
}

// TestLoadWhileFilesAreDropped: between a reader's look at the pointer and at
// the metadata file, others commit so often that the file is dropped.
func TestLoadWhileFilesAreDropped(t *testing.T) {
	c, it, store := setup(t)
	mustCreate(t, c, orders)
	first, err := c.LoadTable(t.Context(), orders)
	if err != nil {
		t.Fatal(err)
	}
	const commits = 250 // more than any table keeps
	slow := &stalled{Store: store, between: func() {
		for i := range commits {
			if _, _, err := c.CommitTable(t.Context(), orders, nil, set("k", fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		}
	}}
	reader := catalog.New(catalog.Config{Items: it, Store: slow, Prefix: "wh"})
	tbl, err := reader.LoadTable(t.Context(), orders)
	if err != nil || tbl.Metadata.Properties["k"] != fmt.Sprint(commits-1) {
		t.Fatalf("load: %v, %v", tbl, err)
	}
	key, _ := store.Key(first.MetadataLocation)
	if _, err := store.Get(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("the first file is still there (%v): nothing was shown", err)
	}
	last, _ := store.Key(tbl.MetadataLocation)
	if err := store.Delete(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	fresh := catalog.New(catalog.Config{Items: it, Store: store, Prefix: "wh"})
	if _, err := fresh.LoadTable(t.Context(), orders); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("load of a table whose file is lost: %v, want ErrNotFound", err)
	}
}

// TestConcurrentWriters lets six writers compare-and-set a counter each; a
// lost commit would show as a missing or repeated number.
func TestConcurrentWriters(t *testing.T) {
	c, it, store := setup(t)
	mustCreate(t, c, orders)
	var wg sync.WaitGroup
	for w := range 6 {
		own := c
		if w%2 == 1 { // half of them are another process
			own = catalog.New(catalog.Config{Items: it, Store: store, Prefix: "wh"})
		}
		wg.Go(func() {
			for i := range 10 {
				key := fmt.Sprintf("w%d.%d", w, i)
				for {
					_, _, err := own.CommitTable(t.Context(), orders, nil, set(key, "1"))
					if err == nil {
						break
					}
					if !errors.Is(err, catalog.ErrCommitFailed) {
						t.Errorf("writer %d: %v", w, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	tbl, err := c.LoadTable(t.Context(), orders)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for k := range tbl.Metadata.Properties {
		if strings.HasPrefix(k, "w") && !strings.HasPrefix(k, "write.") {
			n++
		}
	}
	if n != 60 {
		t.Errorf("%d of 60 commits are in the table", n)
	}
	if !strings.HasPrefix(tbl.MetadataLocation[strings.LastIndex(tbl.MetadataLocation, "/")+1:], "00060-") {
		t.Errorf("metadata location %s, want version 60", tbl.MetadataLocation)
	}
}

// politeItems lets others go first after every read, so that all who read read the
// same.
type politeItems struct{ tables.Items }

func (p politeItems) Get(ctx context.Context, key string) (tables.Item, error) {
	it, err := p.Items.Get(ctx, key)
	for range 100 {
		runtime.Gosched()
	}
	return it, err
}

// TestManyNewTables makes many tables of one namespace at once, as a broker does that
// starts with many new topics: all of them get theirs.
func TestManyNewTables(t *testing.T) {
	first, it, store := setup(t)
	mustCreate(t, first, orders)
	c := catalog.New(catalog.Config{Items: politeItems{it}, Store: store, Prefix: "wh"})
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			ident := table.Identifier{orders[0], fmt.Sprintf("table%d", n)}
			if _, err := c.CreateTable(t.Context(), ident, schema, catalog.NewTable{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestMaintenancePolicy(t *testing.T) {
	snap := func(op table.Operation) table.Update {
		return table.NewAddSnapshotUpdate(&table.Snapshot{SnapshotID: 1, Summary: &table.Summary{Operation: op}})
	}
	for _, tt := range []struct {
		u  table.Update
		ok bool
	}{
		{snap(table.OpReplace), true},
		{snap(table.OpAppend), false},
		{snap(table.OpDelete), false},
		{table.NewRemoveSnapshotsUpdate([]int64{1}, false), true},
		{table.NewAddSchemaUpdate(schema), false},
		{table.NewSetLocationUpdate("file:///x"), false},
		{table.NewSetPropertiesUpdate(iceberg.Properties{"owner": "me"}), true},
		{table.NewSetPropertiesUpdate(iceberg.Properties{"tarn.offset.0": "1"}), false},
		{table.NewRemovePropertiesUpdate([]string{"tarn.topic-id"}), false},
	} {
		err := catalog.Maintenance(catalogtest.Updates(t, tt.u))
		if (err == nil) != tt.ok || (err != nil && !errors.Is(err, catalog.ErrForbidden)) {
			t.Errorf("%s: %v, want ok %v", tt.u.Action(), err, tt.ok)
		}
	}
}
