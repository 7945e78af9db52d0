package sql_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/catalog/sql"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/metadata"
	"github.com/tarn-io/tarn/tables/tabletest"
)

func newPointers(t *testing.T, path string) *sql.Pointers {
	t.Helper()
	p, err := sql.New("sqlite:///"+path, "lake")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// TestSuite puts tables whose pointers are in an SQLite file through all that
// tables promise.
func TestSuite(t *testing.T) {
	var mu sync.Mutex
	paths := map[blob.Store]string{}
	tabletest.Run(t, func(t *testing.T, store blob.Store) tables.Format {
		mu.Lock()
		defer mu.Unlock()
		if paths[store] == "" {
			paths[store] = filepath.Join(t.TempDir(), "catalog.db")
		}
		cat := catalog.NewPointed(newPointers(t, paths[store]), store)
		return iceberg.New(cat, store, iceberg.Options{ExpireEvery: 7, KeepLast: 3, KeepFor: 1})
	})
}

// TestPointers swaps against what is there, from two connections to one file.
func TestPointers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	a, b := newPointers(t, path), newPointers(t, path)
	ident := catalog.Identifier{"a", "b", "t"}
	if err := a.CreateNamespace(t.Context(), ident[:2]); err != nil {
		t.Fatal(err)
	}
	if err := b.CreateNamespace(t.Context(), ident[:2]); !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		t.Errorf("namespace again: %v", err)
	}
	steps := []struct {
		by       *sql.Pointers
		from, to string
		want     error
	}{
		{a, "x", "y", catalog.ErrCommitFailed}, {a, "", "1", nil}, {b, "", "2", catalog.ErrCommitFailed},
		{b, "1", "2", nil}, {a, "1", "3", catalog.ErrCommitFailed}, {a, "2", "3", nil},
	}
	for _, s := range steps {
		if err := s.by.Swap(t.Context(), ident, catalog.Pointer{Metadata: s.from}, s.to, nil); !errors.Is(err, s.want) {
			t.Errorf("%q to %q: %v, want %v", s.from, s.to, err, s.want)
		}
	}
	if at, err := b.Get(t.Context(), ident); err != nil || at.Metadata != "3" {
		t.Errorf("%v, %v; want 3", at, err)
	}
	for range 2 {
		if err := a.Drop(t.Context(), ident); err != nil {
			t.Error(err)
		}
	}
	if at, err := b.Get(t.Context(), ident); err != nil || at.Metadata != "" {
		t.Errorf("after the drop: %v, %v", at, err)
	}
}

func TestAddress(t *testing.T) {
	for _, uri := range []string{"", "sqlite:///", "postgresql://h/db", "/path"} {
		if _, err := sql.New(uri, "lake"); !errors.Is(err, sql.ErrConfig) {
			t.Errorf("%q: %v", uri, err)
		}
	}
	if _, err := sql.New("sqlite:////x", ""); !errors.Is(err, sql.ErrConfig) {
		t.Errorf("no name: %v", err)
	}
}

// resent is a store of pointers behind something that sends a swap twice, as proxies
// do that see no answer, and then is away for a moment.
type resent struct {
	catalog.Pointers
	twice, away bool
	there       bool // it is never away
}

func (r *resent) Swap(ctx context.Context, ident catalog.Identifier, from catalog.Pointer, to string, meta *metadata.Table) error {
	err := r.Pointers.Swap(ctx, ident, from, to, meta)
	if r.twice && err == nil {
		r.twice, r.away = false, !r.there
		return r.Pointers.Swap(ctx, ident, from, to, meta)
	}
	return err
}

func (r *resent) Get(ctx context.Context, ident catalog.Identifier) (catalog.Pointer, error) {
	if r.away {
		r.away = false
		return catalog.Pointer{}, errors.New("no route to the catalog")
	}
	return r.Pointers.Get(ctx, ident)
}

// TestSentTwice has a commit refused because it was sent twice, while nobody can
// look whether it is in: its outcome is unknown, and its files stay.
func TestSentTwice(t *testing.T) {
	store := blob.NewMemory()
	at := &resent{Pointers: newPointers(t, filepath.Join(t.TempDir(), "catalog.db"))}
	open := func() tables.Table {
		t.Helper()
		tbl, err := iceberg.New(catalog.NewPointed(at, store), store, iceberg.Options{}).
			Open(t.Context(), tabletest.Spec(tabletest.Schema(t, tabletest.SmallFields()...)))
		if err != nil {
			t.Fatal(err)
		}
		return tbl
	}
	tbl := open()
	c := tabletest.Next(tables.Progress{}, "first", tabletest.Write(t, store, tbl, "first", tables.Range{From: 0, To: 3}))
	at.twice = true
	if err := tbl.Commit(t.Context(), c); !errors.Is(err, catalog.ErrUnknown) {
		t.Errorf("commit: %v, want ErrUnknown", err)
	}
	for _, tbl := range []tables.Table{tbl, open()} {
		if p, err := tbl.Progress(t.Context()); err != nil || !p.Equal(c.Progress) {
			t.Errorf("progress %v, %v, want %v", p, err, c.Progress)
		}
		if rows, err := tabletest.ReadRows(t.Context(), tbl); err != nil || len(rows) != 3 {
			t.Errorf("%d rows, %v, want 3", len(rows), err)
		}
	}
	next := tabletest.Next(c.Progress, "next", tabletest.Write(t, store, tbl, "next", tables.Range{From: 3, To: 4}))
	at.twice, at.there = true, true
	if err := tbl.Commit(t.Context(), next); err != nil {
		t.Errorf("a commit that can be looked for: %v", err)
	}
}
