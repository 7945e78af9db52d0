package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/metadata"
)

// Pointer says where a table's metadata lies, as somebody else's store has it.
type Pointer struct {
	// Metadata is the URL of the current metadata file; empty if there is no
	// such table.
	Metadata string
	// Version is what else the store compares in Swap, if it has such a thing.
	Version string
}

// Pointers is a store of pointers that others open too: a database, AWS Glue.
// Safe for concurrent use.
type Pointers interface {
	// Get returns a table's pointer; a zero one if there is no such table. Error:
	// tables.ErrForeign if there is something else of that name.
	Get(ctx context.Context, ident Identifier) (Pointer, error)
	// Swap makes to the URL of a table's metadata, durable on return, if the
	// pointer is still from; with a zero from it makes the table. ErrCommitFailed:
	// it is not, and nothing happened. Any other error: it may have happened.
	Swap(ctx context.Context, ident Identifier, from Pointer, to string, meta *metadata.Table) error
	// Drop takes a table out of the store; one that is not there is no error.
	Drop(ctx context.Context, ident Identifier) error
	// CreateNamespace makes a namespace; ErrNamespaceAlreadyExists.
	CreateNamespace(ctx context.Context, ns Identifier) error
}

// Pointed is a catalog whose pointers are somebody else's. Metadata files are
// read and written here, like those of Catalog. Safe for concurrent use, also
// by other programs that keep to the same store's rules.
type Pointed struct {
	files *Catalog // reads, builds and writes metadata; has no items
	to    Pointers
}

// NewPointed returns the catalog over a store of pointers and one of files. It
// touches neither.
func NewPointed(to Pointers, store blob.Store) *Pointed {
	return &Pointed{New(Config{Store: store}), to}
}

// Asks says that requirements of the caller's own (metadata.Requirement.Holds)
// are asked at the moment of the commit.
func (p *Pointed) Asks() bool { return true }

// LoadTable is Catalog.LoadTable.
func (p *Pointed) LoadTable(ctx context.Context, ident Identifier) (*Table, error) {
	l, _, err := p.load(ctx, ident)
	if err != nil {
		return nil, err
	}
	if l.meta == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoSuchTable, strings.Join(ident, "."))
	}
	return p.files.table(ident, l.meta, l.ptr.Metadata), nil
}

// load reads the pointer and what it names; see Catalog.load about files that
// are gone.
func (p *Pointed) load(ctx context.Context, ident Identifier) (loaded, Pointer, error) {
	if err := checkTable(ident); err != nil {
		return loaded{}, Pointer{}, fmt.Errorf("%w: %w", ErrNoSuchTable, err)
	}
	for last := ""; ; {
		at, err := p.to.Get(ctx, ident)
		if err != nil {
			return loaded{}, at, fmt.Errorf("read pointer of table %s: %w", strings.Join(ident, "."), err)
		}
		l := loaded{ident: ident, item: tables.Item{Key: tableKey(ident)}}
		if at.Metadata == "" {
			return l, at, nil
		}
		// The version only says that the table is there.
		l.item.Version, l.ptr = 1, pointer{Metadata: at.Metadata}
		l.meta, err = p.files.readMetadata(ctx, l.item.Key, at.Metadata)
		if errors.Is(err, ErrInvalid) {
			err = fmt.Errorf("%w: %w", tables.ErrForeign, err)
		}
		if !errors.Is(err, blob.ErrNotFound) || at.Metadata == last {
			return l, at, err
		}
		last = at.Metadata
	}
}

// CommitTable is Catalog.CommitTable.
func (p *Pointed) CommitTable(
	ctx context.Context, ident Identifier, reqs []metadata.Requirement, updates []metadata.Update,
) (*metadata.Table, string, error) {
	for range maxTries {
		from, at, err := p.load(ctx, ident)
		if err != nil {
			return nil, "", err
		}
		next, err := p.files.stageOne(ctx, from, Change{ident, reqs, updates})
		if err != nil {
			p.files.discard(ctx, []staged{next})
			return nil, "", err
		}
		if next.same {
			return next.meta, next.location, nil
		}
		if err = p.to.Swap(ctx, ident, at, next.location, next.meta); err != nil {
			landed, lerr := p.landed(ctx, next)
			switch {
			case landed:
			case lerr != nil || !errors.Is(err, ErrCommitFailed):
				// What the store said is no refusal any more.
				return nil, "", fmt.Errorf("%w: write catalog: %s", ErrUnknown, errors.Join(err, lerr).Error())
			default:
				p.files.discard(ctx, []staged{next})
				continue
			}
		}
		p.files.publish(ctx, []staged{next})
		return next.meta, next.location, nil
	}
	return nil, "", fmt.Errorf("%w: other writers won %d times", ErrCommitFailed, maxTries)
}

// landed reports whether a staged state became current. A conflict may be with our
// own swap, sent twice by whoever stands between: as long as that is not known, the
// file must stay, for it may be the table's only one.
func (p *Pointed) landed(ctx context.Context, next staged) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	now, _, err := p.load(ctx, next.from.ident)
	return err == nil && now.meta != nil && current(now, next.location), err
}

// CreateNamespace makes a namespace; properties are not kept.
func (p *Pointed) CreateNamespace(ctx context.Context, ns Identifier, _ iceberg.Properties) error {
	if err := checkName(ns, "namespace"); err != nil {
		return err
	}
	return p.to.CreateNamespace(ctx, ns)
}

// PurgeTable drops a table and deletes its directory.
func (p *Pointed) PurgeTable(ctx context.Context, ident Identifier) error {
	t, err := p.LoadTable(ctx, ident)
	if err != nil {
		return err
	}
	if err := p.to.Drop(ctx, ident); err != nil {
		return fmt.Errorf("drop table %s: %w", strings.Join(ident, "."), err)
	}
	p.files.forget(tableKey(ident))
	return DeleteFiles(ctx, p.files.store, t.Metadata)
}
