package catalog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/metadata"
)

// StageTable builds the metadata of a new table and registers nothing: the
// maker commits it later with an assert-create requirement. Errors:
// ErrNoSuchNamespace, ErrTableAlreadyExists, ErrInvalid.
func (c *Catalog) StageTable(
	ctx context.Context, ident Identifier, schema *iceberg.Schema, n NewTable,
) (*Table, error) {
	meta, _, err := c.newTable(ctx, ident, schema, n)
	if err != nil {
		return nil, err
	}
	return c.table(ident, meta, ""), nil
}

// CreateTable makes a table, durable on return. Field ids are assigned anew, as
// every Iceberg catalog does; who wants to keep his own commits the table's
// first metadata through CommitTable. Errors: ErrNoSuchNamespace,
// ErrTableAlreadyExists, ErrInvalid, ErrUnknown.
func (c *Catalog) CreateTable(
	ctx context.Context, ident Identifier, schema *iceberg.Schema, n NewTable,
) (*Table, error) {
	for lost := range maxTries {
		if err := pause(ctx, lost); err != nil {
			return nil, err
		}
		meta, ns, err := c.newTable(ctx, ident, schema, n)
		if err != nil {
			return nil, err
		}
		err = c.point(ctx, loaded{ident: ident, item: tables.Item{Key: tableKey(ident)}}, ns, meta, "", true)
		if err == nil {
			return c.LoadTable(ctx, ident)
		}
		// Either the table or its namespace was changed: newTable tells.
		if !errors.Is(err, tables.ErrItemConflict) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: namespace changed %d times", ErrCommitFailed, maxTries)
}

// newTable builds a new table's metadata.
func (c *Catalog) newTable(
	ctx context.Context, ident Identifier, schema *iceberg.Schema, n NewTable,
) (meta *metadata.Table, ns namespace, err error) {
	if err := checkTable(ident); err != nil {
		return nil, ns, err
	}
	if ns, err = c.namespace(ctx, namespaceOfTable(ident)); err != nil {
		return nil, ns, err
	}
	it, err := c.get(ctx, tableKey(ident))
	if err != nil {
		return nil, ns, err
	}
	if it.Version != 0 {
		return nil, ns, fmt.Errorf("%w: %s", ErrTableAlreadyExists, strings.Join(ident, "."))
	}
	id := uuid.New()
	if n.Location == "" {
		n.Location = c.newLocation(ident, id)
	} else if err := c.checkLocation(ident, n.Location); err != nil {
		return nil, ns, err
	}
	meta, err = buildTable(metadata.New{
		Schema: schema, Spec: n.Spec, Order: n.Order, Location: n.Location,
		Properties: c.withDefaults(n.Properties), UUID: id.String(),
	})
	if err != nil {
		return nil, ns, err
	}
	return meta, ns, c.makeDirs(ctx, meta)
}

// makeDirs makes the directories that the maker of a table writes to next, where
// the store has directories: DuckDB makes none for a staged table's manifests.
func (c *Catalog) makeDirs(ctx context.Context, meta *metadata.Table) error {
	maker, ok := c.store.(interface {
		MakeDir(ctx context.Context, key string) error
	})
	if !ok {
		return nil
	}
	for _, at := range []string{meta.MetadataDir(), meta.Location + "/data"} {
		key, ok := c.store.Key(at)
		if !ok {
			continue // its writer sees to it
		}
		if err := maker.MakeDir(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func buildTable(n metadata.New) (meta *metadata.Table, err error) {
	defer recovered(&err)
	meta, err = metadata.Create(n)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return meta, nil
}

// point makes metadata current for a table. A location of "" means that it
// is written first. Errors: tables.ErrItemConflict, ErrUnknown.
func (c *Catalog) point(ctx context.Context, to loaded, ns namespace, meta *metadata.Table, location string, owned bool) error {
	st := staged{from: to, meta: meta, location: location}
	if location == "" {
		var err error
		if st.location, err = c.writeMetadata(ctx, "", meta); err != nil {
			return err
		}
	}
	it := to.item
	it.Value = encodeJSON(pointer{st.location, meta.Location, owned})
	noteTable(ctx, to.ident, meta.UUID, st.location)
	err := c.put(ctx, func(ctx context.Context) bool { return c.landed(ctx, []staged{st}) }, it, ns.touch())
	if err == nil {
		c.remember(it.Key, st.location, meta)
	} else if errors.Is(err, tables.ErrItemConflict) && location == "" {
		c.discard(ctx, []staged{st})
	}
	return err
}

// RegisterTable makes a table of an existing metadata file in the store;
// overwrite lets it replace a table of that name. Its directory stays whose it
// is: purging the table leaves the files.
func (c *Catalog) RegisterTable(ctx context.Context, ident Identifier, location string, overwrite bool) (*Table, error) {
	if err := checkTable(ident); err != nil {
		return nil, err
	}
	key, ok := c.store.Key(location)
	if !ok {
		return nil, fmt.Errorf("%w: metadata location %q is outside the warehouse", ErrInvalid, location)
	}
	data, err := c.store.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("%w: read metadata %s: %w", ErrInvalid, location, err)
	}
	meta, err := parseMetadata(location, data)
	if err != nil {
		return nil, fmt.Errorf("%w: metadata %s: %w", ErrInvalid, location, err)
	}
	for range maxTries {
		ns, err := c.namespace(ctx, namespaceOfTable(ident))
		if err != nil {
			return nil, err
		}
		it, err := c.get(ctx, tableKey(ident))
		if err != nil {
			return nil, err
		}
		if it.Version != 0 && !overwrite {
			return nil, fmt.Errorf("%w: %s", ErrTableAlreadyExists, strings.Join(ident, "."))
		}
		to := loaded{ident: ident, item: tables.Item{Key: tableKey(ident), Version: it.Version}}
		if err = c.point(ctx, to, ns, meta, location, false); err == nil {
			return c.table(ident, meta, location), nil
		}
		if !errors.Is(err, tables.ErrItemConflict) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: table changed %d times", ErrCommitFailed, maxTries)
}

// LoadTable returns a table as it is now. Errors: ErrNoSuchTable,
// tables.ErrBroken.
func (c *Catalog) LoadTable(ctx context.Context, ident Identifier) (*Table, error) {
	l, err := c.find(ctx, ident)
	if err != nil {
		return nil, err
	}
	return c.table(ident, l.meta, l.ptr.Metadata), nil
}

// find is load for tables that must exist.
func (c *Catalog) find(ctx context.Context, ident Identifier) (loaded, error) {
	if err := checkTable(ident); err != nil {
		return loaded{}, fmt.Errorf("%w: %w", ErrNoSuchTable, err)
	}
	l, err := c.load(ctx, ident)
	if err == nil && l.meta == nil {
		err = fmt.Errorf("%w: %s", ErrNoSuchTable, strings.Join(ident, "."))
	}
	return l, err
}

// CheckTableExists reports whether there is such a table.
func (c *Catalog) CheckTableExists(ctx context.Context, ident Identifier) (bool, error) {
	if checkTable(ident) != nil {
		return false, nil
	}
	it, err := c.get(ctx, tableKey(ident))
	return it.Version != 0, err
}

// ListTables yields the tables of a namespace in key order. Error:
// ErrNoSuchNamespace.
func (c *Catalog) ListTables(ctx context.Context, ns Identifier) iter.Seq2[Identifier, error] {
	return func(yield func(Identifier, error) bool) {
		if _, err := c.namespace(ctx, ns); err != nil {
			yield(nil, err)
			return
		}
		for it, err := range c.items.Scan(ctx, tablesOf(ns)) {
			if err != nil {
				yield(nil, fmt.Errorf("list tables: %w", err))
				return
			}
			if !yield(splitKey(it.Key), nil) {
				return
			}
		}
	}
}

// DropTable takes a table out of the catalog and leaves its files. Errors:
// ErrNoSuchTable, ErrUnknown.
func (c *Catalog) DropTable(ctx context.Context, ident Identifier) error {
	_, err := c.unlist(ctx, ident)
	return err
}

// unlist removes a table's pointer and returns what it said.
func (c *Catalog) unlist(ctx context.Context, ident Identifier) (loaded, error) {
	var err error
	for range maxTries {
		var l loaded
		if l, err = c.find(ctx, ident); errors.Is(err, tables.ErrBroken) && l.item.Version != 0 {
			err = nil // a table whose metadata is damaged can still be dropped
		}
		if err != nil {
			return l, err
		}
		it := l.item
		it.Delete = true
		if l.meta != nil {
			noteTable(ctx, ident, l.meta.UUID, l.ptr.Metadata)
		}
		err = c.put(ctx, func(ctx context.Context) bool {
			now, gerr := c.get(ctx, it.Key)
			return gerr == nil && now.Version == 0
		}, it)
		if err == nil {
			c.forget(it.Key)
			return l, nil
		}
		if !errors.Is(err, tables.ErrItemConflict) {
			return l, err
		}
	}
	return loaded{}, fmt.Errorf("%w: %w", ErrCommitFailed, err)
}

// PurgeTable drops a table and deletes its directory: data, metadata, and what
// failed writers left there. Files outside it stay, and so does the directory
// of a registered table, of one with gc.enabled=false, and of one that another
// table lies in. On an error after the drop files may be left over.
func (c *Catalog) PurgeTable(ctx context.Context, ident Identifier) error {
	l, err := c.unlist(ctx, ident)
	if err != nil {
		return err
	}
	dir, ok := deletable(c.store, l.ptr.Location, l.meta)
	if !ok || !l.ptr.Owned {
		return nil
	}
	shared, err := c.sharesDir(ctx, dir)
	if err != nil || shared {
		return err
	}
	return deleteDir(ctx, c.store, dir)
}

// DeleteFiles deletes the directory of a table that has been dropped, unless it
// lies outside the store or its properties say gc.enabled=false.
func DeleteFiles(ctx context.Context, store blob.Store, meta *metadata.Table) error {
	dir, ok := deletable(store, meta.Location, meta)
	if !ok {
		return nil
	}
	return deleteDir(ctx, store, dir)
}

// deletable is the key of a table's directory, if there is one to be deleted.
func deletable(store blob.Store, location string, meta *metadata.Table) (dir string, ok bool) {
	dir, ok = store.Key(location)
	if !ok || path.Clean(dir) != dir || dir == "." {
		return dir, false
	}
	return dir, meta == nil || !strings.EqualFold(meta.Properties[metadata.GCEnabled], "false")
}

func deleteDir(ctx context.Context, store blob.Store, dir string) error {
	var keys []string
	for info, err := range store.List(ctx, dir+"/") {
		if err != nil {
			return fmt.Errorf("list files of dropped table: %w", err)
		}
		keys = append(keys, info.Key)
	}
	if err := store.Delete(ctx, keys...); err != nil {
		return fmt.Errorf("delete files of dropped table: %w", err)
	}
	return nil
}

// sharesDir reports whether a table lies at or below a directory.
func (c *Catalog) sharesDir(ctx context.Context, dir string) (bool, error) {
	for it, err := range c.items.Scan(ctx, tablePrefix) {
		if err != nil {
			return false, fmt.Errorf("list tables: %w", err)
		}
		var p pointer
		if err := decodePointer(it, &p); err != nil {
			return false, err
		}
		if key, ok := c.store.Key(p.Location); ok && (key == dir || strings.HasPrefix(key, dir+"/")) {
			return true, nil
		}
	}
	return false, nil
}

// RenameTable gives a table another name; its files stay where they are.
// Errors: ErrNoSuchTable, ErrNoSuchNamespace for the target,
// ErrTableAlreadyExists, ErrUnknown.
func (c *Catalog) RenameTable(ctx context.Context, from, to Identifier) (*Table, error) {
	if err := checkTable(to); err != nil {
		return nil, err
	}
	var err error
	for range maxTries {
		var l loaded
		var ns namespace
		if l, err = c.find(ctx, from); err != nil {
			return nil, err
		}
		if ns, err = c.namespace(ctx, namespaceOfTable(to)); err != nil {
			return nil, err
		}
		if exists, err := c.CheckTableExists(ctx, to); err != nil {
			return nil, err
		} else if exists {
			return nil, fmt.Errorf("%w: %s", ErrTableAlreadyExists, strings.Join(to, "."))
		}
		gone, made := l.item, tables.Item{Key: tableKey(to), Value: encodeJSON(l.ptr)}
		gone.Delete = true
		st := staged{from: loaded{ident: to}, location: l.ptr.Metadata}
		err = c.put(ctx, func(ctx context.Context) bool { return c.landed(ctx, []staged{st}) }, gone, made, ns.touch())
		if err == nil {
			c.forget(gone.Key)
			return c.table(to, l.meta, l.ptr.Metadata), nil
		}
		if !errors.Is(err, tables.ErrItemConflict) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrCommitFailed, err)
}
