package catalog_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/catalog/catalogtest"
	"github.com/tarn-io/tarn/tables/metadata"
	"github.com/tarn-io/tarn/tables/tabletest"
)

type fault int

const (
	failBefore fault = iota
	failAfter
)

var errStore = errors.New("store went away")

// errs is what a Put says of a fault, before or after it took effect.
func (f fault) errs([]tables.Item) (before, after error) {
	if f == failBefore {
		return errStore, nil
	}
	return nil, errStore
}

// setup returns a catalog and what it stands on.
func setup(t *testing.T) (*catalog.Catalog, *tabletest.Items, blob.Store) {
	t.Helper()
	store, it := blob.NewMemory(), tabletest.NewItems()
	return catalog.New(catalog.Config{Items: it, Store: store, Prefix: "wh"}), it, store
}

var (
	orders = table.Identifier{"default", "orders"}
	schema = iceberg.NewSchema(0, iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64, Required: true})
)

func mustCreate(t *testing.T, c *catalog.Catalog, ident table.Identifier) *catalog.Table {
	t.Helper()
	tbl, err := c.CreateTable(t.Context(), ident, schema, catalog.NewTable{})
	if err != nil {
		t.Fatalf("create %v: %v", ident, err)
	}
	return tbl
}

func set(k, v string) []metadata.Update {
	return []metadata.Update{{Action: metadata.SetProperties, Updates: iceberg.Properties{k: v}}}
}

func keys(t *testing.T, store blob.Store, prefix string) []string {
	t.Helper()
	var out []string
	for info, err := range store.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, info.Key)
	}
	return out
}

func TestTableMadeAgainSharesNoFiles(t *testing.T) {
	c, _, store := setup(t)
	first := mustCreate(t, c, orders)
	if err := c.DropTable(t.Context(), orders); err != nil {
		t.Fatal(err)
	}
	second := mustCreate(t, c, orders)
	if first.Metadata.Location == second.Metadata.Location {
		t.Errorf("both tables lie at %s", first.Metadata.Location)
	}
	key, _ := store.Key(second.Metadata.Location)
	if !strings.HasPrefix(key, "wh/default/orders/iceberg/") {
		t.Errorf("location key %q, want it below wh/default/orders/iceberg/", key)
	}
	if err := c.PurgeTable(t.Context(), orders); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, store, key+"/"); len(got) != 0 {
		t.Errorf("purge left %v", got)
	}
	if got := keys(t, store, "wh/"); len(got) != 1 {
		t.Errorf("files of the dropped table: %v, want its metadata file", got)
	}
}

func TestRename(t *testing.T) {
	c, _, _ := setup(t)
	mustCreate(t, c, orders)
	other := table.Identifier{"default", "sales"}
	mustCreate(t, c, other)
	if _, err := c.RenameTable(t.Context(), orders, other); !errors.Is(err, catalog.ErrTableAlreadyExists) {
		t.Errorf("rename onto a table: %v, want ErrTableAlreadyExists", err)
	}
	if _, err := c.RenameTable(t.Context(), orders, table.Identifier{"nowhere", "x"}); !errors.Is(err, catalog.ErrNoSuchNamespace) {
		t.Errorf("rename into no namespace: %v, want ErrNoSuchNamespace", err)
	}
	to := table.Identifier{"default", "orders2"}
	if _, err := c.RenameTable(t.Context(), orders, to); err != nil {
		t.Fatal(err)
	}
	if _, err := c.LoadTable(t.Context(), orders); !errors.Is(err, catalog.ErrNoSuchTable) {
		t.Errorf("old name: %v, want ErrNoSuchTable", err)
	}
	if _, err := c.LoadTable(t.Context(), to); err != nil {
		t.Errorf("new name: %v", err)
	}
	var got []string
	for ident, err := range c.ListTables(t.Context(), table.Identifier{"default"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.Join(ident, "."))
	}
	if want := []string{"default.orders2", "default.sales"}; !slices.Equal(got, want) {
		t.Errorf("tables %v, want %v", got, want)
	}
}

func TestDefaultNamespace(t *testing.T) {
	c, _, _ := setup(t)
	if ok, err := c.CheckNamespaceExists(t.Context(), table.Identifier{"default"}); !ok || err != nil {
		t.Errorf("default exists: %v, %v", ok, err)
	}
	if err := c.DropNamespace(t.Context(), table.Identifier{"default"}); !errors.Is(err, catalog.ErrInvalid) {
		t.Errorf("drop default: %v, want ErrInvalid", err)
	}
	if err := c.CreateNamespace(t.Context(), table.Identifier{"default"}, nil); !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		t.Errorf("create default: %v, want ErrNamespaceAlreadyExists", err)
	}
}

func TestNestedNamespaces(t *testing.T) {
	c, _, _ := setup(t)
	for _, ns := range []string{"a", "a.b", "a.b.c", "ab"} {
		if err := c.CreateNamespace(t.Context(), strings.Split(ns, "."), nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.ListNamespaces(t.Context(), table.Identifier{"a"})
	if want := []table.Identifier{{"a", "b"}}; err != nil || !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("below a: %v, %v; want %v", got, err, want)
	}
	if err := c.DropNamespace(t.Context(), table.Identifier{"a"}); !errors.Is(err, catalog.ErrNamespaceNotEmpty) {
		t.Errorf("drop a: %v, want ErrNamespaceNotEmpty", err)
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	c, _, _ := setup(t)
	long := strings.Repeat("x", 256)
	if err := c.CreateNamespace(t.Context(), table.Identifier{long[1:], long[1:], "x"}, nil); err != nil {
		t.Errorf("names as long as allowed: %v", err)
	}
	if err := c.CreateNamespace(t.Context(), table.Identifier{long[1:], long[1:], long[1:]}, nil); !errors.Is(err, catalog.ErrInvalid) {
		t.Errorf("names too long together: %v, want ErrInvalid", err)
	}
	for _, name := range []string{"", ".", "..", "a/b", "a\x00b", "a\x1fb", "\xff", long} {
		if err := c.CreateNamespace(t.Context(), table.Identifier{name}, nil); !errors.Is(err, catalog.ErrInvalid) {
			t.Errorf("namespace %.20q: %v, want ErrInvalid", name, err)
		}
		if _, err := c.CreateTable(t.Context(), table.Identifier{"default", name}, schema, catalog.NewTable{}); !errors.Is(err, catalog.ErrInvalid) {
			t.Errorf("table %.20q: %v, want ErrInvalid", name, err)
		}
		if _, err := c.LoadTable(t.Context(), table.Identifier{"default", name}); !errors.Is(err, catalog.ErrNoSuchTable) {
			t.Errorf("load %.20q: %v, want ErrNoSuchTable", name, err)
		}
	}
}

func TestLocationsThatAreRefused(t *testing.T) {
	c, _, store := setup(t)
	for _, loc := range []string{
		"file:///etc", store.URL("elsewhere/x"), store.URL("wh"), store.URL("wh/default/orders"),
		store.URL("wh/default/orders") + "/../../x/y", store.URL("wh/default/other/iceberg/1"),
	} {
		_, err := c.CreateTable(t.Context(), orders, schema, catalog.NewTable{Location: loc})
		if !errors.Is(err, catalog.ErrInvalid) {
			t.Errorf("location %s: %v, want ErrInvalid", loc, err)
		}
	}
	tbl := mustCreate(t, c, orders)
	for _, u := range []table.Update{
		table.NewSetLocationUpdate(store.URL("wh")),
		table.NewSetPropertiesUpdate(iceberg.Properties{"write.metadata.path": "file:///tmp/elsewhere"}),
	} {
		if _, _, err := c.CommitTable(t.Context(), orders, nil, catalogtest.Updates(t, u)); !errors.Is(err, catalog.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", u.Action(), err)
		}
	}
	now, err := c.LoadTable(t.Context(), orders)
	if err != nil || now.MetadataLocation != tbl.MetadataLocation {
		t.Errorf("table moved to %v, %v", now, err)
	}
}

func TestRegister(t *testing.T) {
	c, _, store := setup(t)
	tbl := mustCreate(t, c, orders)
	as := table.Identifier{"default", "copy"}
	if _, err := c.RegisterTable(t.Context(), as, tbl.MetadataLocation, false); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RegisterTable(t.Context(), as, tbl.MetadataLocation, false); !errors.Is(err, catalog.ErrTableAlreadyExists) {
		t.Errorf("register twice: %v, want ErrTableAlreadyExists", err)
	}
	if _, err := c.RegisterTable(t.Context(), as, tbl.MetadataLocation, true); err != nil {
		t.Errorf("register over: %v", err)
	}
	if _, err := c.RegisterTable(t.Context(), as, store.URL("wh/none.metadata.json"), true); !errors.Is(err, catalog.ErrInvalid) {
		t.Errorf("register nothing: %v, want ErrInvalid", err)
	}
	if err := c.PurgeTable(t.Context(), as); err != nil {
		t.Fatal(err)
	}
	if _, err := c.LoadTable(t.Context(), orders); err != nil {
		t.Errorf("table whose copy was purged: %v", err)
	}
}
