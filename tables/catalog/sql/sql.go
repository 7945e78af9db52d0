// Package sql keeps pointers to Iceberg tables in an SQLite file as pyiceberg's
// SqlCatalog and Java's JdbcCatalog do, so that they open the same tables.
//
//	iceberg_tables                 catalog_name, table_namespace, table_name (key),
//	                               metadata_location, previous_metadata_location, iceberg_type
//	iceberg_namespace_properties   catalog_name, namespace, property_key (key), property_value
//
// Levels of a namespace have dots between. A commit is one UPDATE that names the
// metadata file which it follows.
package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"

	driver "modernc.org/sqlite"

	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/metadata"
)

const (
	// busyMs is how long a statement waits for another program's.
	busyMs = 10_000
	// maxConnections bounds open connections: commits of all tables queue up in
	// SQLite anyway.
	maxConnections = 4
	// maxLocation is what the schema gives a metadata file's URL.
	maxLocation = 1000
)

// schema is that of pyiceberg 0.12 and of Java's JdbcCatalog, version V1. Files of
// version V0 lack iceberg_type, which is why no statement names it.
const schema = `
CREATE TABLE IF NOT EXISTS iceberg_tables (
	catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL,
	metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5),
	PRIMARY KEY (catalog_name, table_namespace, table_name));
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
	catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL,
	property_key VARCHAR(255) NOT NULL, property_value VARCHAR(1000) NOT NULL,
	PRIMARY KEY (catalog_name, namespace, property_key));`

// ErrConfig is refused: the settings cannot be.
var ErrConfig = errors.New("catalog settings")

// Pointers is one catalog in an SQLite file. Safe for concurrent use, also beside
// other programs.
type Pointers struct {
	db   *sql.DB
	name string

	mu    sync.Mutex
	ready bool // guarded by mu: the tables are there
}

var _ catalog.Pointers = (*Pointers)(nil)

// New returns the catalog of a name in a file, spelled as SQLAlchemy does:
// sqlite:////ABSOLUTE/PATH, or sqlite:///RELATIVE. The file is made by the first
// call. Error: ErrConfig.
func New(uri, name string) (*Pointers, error) {
	path, ok := strings.CutPrefix(uri, "sqlite:///")
	if !ok || path == "" || name == "" {
		return nil, fmt.Errorf("%w: address %q, name %q: use sqlite:////ABSOLUTE/PATH and a name", ErrConfig, uri, name)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if abs = filepath.ToSlash(abs); abs[0] != '/' {
		abs = "/" + abs // C:/… on Windows
	}
	query := fmt.Sprintf("_pragma=busy_timeout(%d)&_pragma=synchronous(full)&_txlock=immediate", busyMs)
	at := url.URL{Scheme: "file", Path: abs, RawQuery: query}
	c, err := driver.NewConnector(at.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	p := &Pointers{db: sql.OpenDB(c), name: name}
	p.db.SetMaxOpenConns(maxConnections)
	return p, nil
}

// Close closes the file.
func (p *Pointers) Close() error { return p.db.Close() }

// open makes the tables, once.
func (p *Pointers) open(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ready {
		return nil
	}
	if _, err := p.db.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("open the SQL catalog: %w", err)
	}
	p.ready = true
	return nil
}

// split is a table's namespace and name as the file has them.
func split(ident catalog.Identifier) (ns, name string) {
	last := len(ident) - 1
	return strings.Join(ident[:last], "."), ident[last]
}

// Get implements catalog.Pointers.
func (p *Pointers) Get(ctx context.Context, ident catalog.Identifier) (catalog.Pointer, error) {
	if err := p.open(ctx); err != nil {
		return catalog.Pointer{}, err
	}
	ns, name := split(ident)
	var at sql.NullString
	err := p.db.QueryRowContext(ctx, `SELECT metadata_location FROM iceberg_tables
		WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?`, p.name, ns, name).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return catalog.Pointer{}, nil
	}
	if err != nil {
		return catalog.Pointer{}, fmt.Errorf("read the SQL catalog: %w", err)
	}
	return catalog.Pointer{Metadata: at.String}, nil
}

// Swap implements catalog.Pointers.
func (p *Pointers) Swap(ctx context.Context, ident catalog.Identifier, from catalog.Pointer, to string, _ *metadata.Table) error {
	if len(to) > maxLocation {
		return fmt.Errorf("%w: metadata location of %d bytes, at most %d", catalog.ErrCommitFailed, len(to), maxLocation)
	}
	if err := p.open(ctx); err != nil {
		return err
	}
	ns, name := split(ident)
	var done sql.Result
	var err error
	if from.Metadata == "" {
		done, err = p.db.ExecContext(ctx, `INSERT OR IGNORE INTO iceberg_tables
			(catalog_name, table_namespace, table_name, metadata_location) VALUES (?, ?, ?, ?)`, p.name, ns, name, to)
	} else {
		done, err = p.db.ExecContext(ctx, `UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?
			WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND metadata_location = ?`,
			to, from.Metadata, p.name, ns, name, from.Metadata)
	}
	if err != nil {
		return fmt.Errorf("write the SQL catalog: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return fmt.Errorf("%w: another program has committed", catalog.ErrCommitFailed)
	}
	return nil
}

// Drop implements catalog.Pointers.
func (p *Pointers) Drop(ctx context.Context, ident catalog.Identifier) error {
	if err := p.open(ctx); err != nil {
		return err
	}
	ns, name := split(ident)
	_, err := p.db.ExecContext(ctx, `DELETE FROM iceberg_tables
		WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?`, p.name, ns, name)
	if err != nil {
		return fmt.Errorf("write the SQL catalog: %w", err)
	}
	return nil
}

// CreateNamespace implements catalog.Pointers: a namespace is there by a property
// of its own.
func (p *Pointers) CreateNamespace(ctx context.Context, ns catalog.Identifier) error {
	if err := p.open(ctx); err != nil {
		return err
	}
	done, err := p.db.ExecContext(ctx, `INSERT OR IGNORE INTO iceberg_namespace_properties
		(catalog_name, namespace, property_key, property_value) VALUES (?, ?, 'exists', 'true')`, p.name, strings.Join(ns, "."))
	if err != nil {
		return fmt.Errorf("write the SQL catalog: %w", err)
	}
	if n, err := done.RowsAffected(); err == nil && n == 0 {
		return fmt.Errorf("%w: %s", catalog.ErrNamespaceAlreadyExists, strings.Join(ns, "."))
	}
	return nil
}
