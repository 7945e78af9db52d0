// Package iceberg is the Iceberg table format: tables in tables/catalog, format
// version 2, that any Iceberg reader reads and that other writers may maintain.
//
// Progress stands in table properties, set by the very commit that adds the
// rows, and guarded at the moment of the commit: the catalog takes it only if
// the properties and the main branch are still those that the commit was built
// on. So a second writer is fenced, and a crash cannot set rows and offsets
// apart. Each snapshot's summary repeats the progress; where the two disagree,
// somebody has rolled the table back.
//
//	tarn.topic-id, tarn.incarnation   whose offsets these are
//	tarn.offset.<partition>           the next offset to read
//	tarn.extra.<key>                  further keys of Progress
//	tarn.commit-id                    the last commit
//	tarn.snapshot-commit              the last commit that made a snapshot
//	tarn.schema                       the schema as tables.Schema writes itself
//	tarn.schema-version               the Iceberg schema id it belongs to
//
// In snapshot summaries: tarn.commit-id, tarn.progress (JSON), and what the
// commit's Summary holds, with the prefix tarn.
package iceberg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/metadata"
)

// Defaults of Options. Metadata grows by some 700 bytes a snapshot and is
// written whole by each commit, so without expiry commits grow slower for ever.
const (
	DefaultExpireEvery  = 100
	DefaultKeepLast     = 50
	DefaultKeepFor      = time.Hour
	DefaultMaxSnapshots = 500
)

// Options of the format; zero values are the defaults.
type Options struct {
	// ExpireEvery is after how many snapshots a commit expires old ones.
	ExpireEvery int64
	// KeepLast snapshots and those of the last KeepFor stay, but MaxSnapshots
	// at most. What tags and other branches hold always stays.
	KeepLast     int
	KeepFor      time.Duration
	MaxSnapshots int
	// Kept says that somebody calls Expire, with what is to stay: commits then
	// expire nothing by themselves, unless there are twice as many snapshots.
	Kept bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Properties are set on new tables, over the defaults.
	Properties iceberg.Properties
	// Logger gets what goes wrong after a commit; nil drops it.
	Logger *slog.Logger
}

// Catalog is what tables want of the catalog that they are in: Tarn's own
// (catalog.Catalog), one behind Iceberg's REST protocol (catalog/rest), or
// pointers in somebody else's store (catalog.Pointed). Methods and errors are
// those of catalog.Catalog. Safe for concurrent use.
type Catalog interface {
	LoadTable(ctx context.Context, ident catalog.Identifier) (*catalog.Table, error)
	CommitTable(ctx context.Context, ident catalog.Identifier, reqs []metadata.Requirement, updates []metadata.Update) (*metadata.Table, string, error)
	CreateNamespace(ctx context.Context, ns catalog.Identifier, props iceberg.Properties) error
	PurgeTable(ctx context.Context, ident catalog.Identifier) error
	// Asks reports whether requirements that bring their own Holds are asked at
	// the moment of the commit. Where they are not, every commit of the writer
	// makes a snapshot, one without rows too: then comparing the main branch
	// fences a second writer.
	Asks() bool
}

type format struct {
	cat   Catalog
	store blob.Store
	opts  Options
}

// New returns the format over a catalog and the store that it uses.
func New(cat Catalog, store blob.Store, opts Options) tables.Format {
	opts.ExpireEvery = cmp.Or(opts.ExpireEvery, DefaultExpireEvery)
	opts.KeepLast = cmp.Or(opts.KeepLast, DefaultKeepLast)
	opts.KeepFor = cmp.Or(opts.KeepFor, DefaultKeepFor)
	opts.MaxSnapshots = cmp.Or(opts.MaxSnapshots, DefaultMaxSnapshots)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &format{cat, store, opts}
}

// Name is "iceberg".
func (f *format) Name() string { return "iceberg" }

// Open opens or makes a table. Errors beside the catalog's: ErrForeign for a
// table that Tarn did not make, ErrUnsupported.
func (f *format) Open(ctx context.Context, s tables.Spec) (tables.Table, error) {
	t := &tbl{format: f, ident: catalog.Identifier{s.Namespace, s.Name}}
	err := t.open(ctx)
	if errors.Is(err, catalog.ErrNoSuchTable) {
		cerr := f.create(ctx, t.ident, s)
		// Another process may have made it, or ours, without telling.
		if err = t.open(ctx); err != nil && cerr != nil {
			return nil, fmt.Errorf("create table %s.%s: %w", s.Namespace, s.Name, cerr)
		}
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Drop drops a table of ours with its files. Error: ErrForeign.
func (f *format) Drop(ctx context.Context, namespace, name string) error {
	t := &tbl{format: f, ident: catalog.Identifier{namespace, name}}
	if err := t.open(ctx); errors.Is(err, tables.ErrForeign) {
		return err
	}
	err := f.cat.PurgeTable(ctx, t.ident)
	if errors.Is(err, catalog.ErrNoSuchTable) {
		return nil
	}
	return err
}

// create commits the table's first metadata itself instead of asking the
// catalog for a new table: that would assign field ids of its own.
func (f *format) create(ctx context.Context, ident catalog.Identifier, s tables.Spec) error {
	schema, err := toIceberg(s.Schema)
	if err != nil {
		return err
	}
	err = f.cat.CreateNamespace(ctx, ident[:len(ident)-1], nil)
	if err != nil && !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		return err
	}
	props, err := f.properties(s)
	if err != nil {
		return err
	}
	version, added := metadata.DefaultVersion, -1
	updates := []metadata.Update{
		{Action: metadata.UpgradeFormatVersion, FormatVersion: &version},
		{Action: metadata.AddSchema, Schema: &metadata.Schema{Schema: schema}},
		{Action: metadata.SetCurrentSchema, SchemaID: &added},
		{Action: metadata.SetProperties, Updates: props},
	}
	more, err := layoutUpdates(&metadata.Table{Schemas: []metadata.Schema{{Schema: schema}}}, s.Schema.Layout)
	if err != nil {
		return err
	}
	_, _, err = f.cat.CommitTable(ctx, ident, []metadata.Requirement{{Type: metadata.AssertCreate}}, append(updates, more...))
	return err
}

// properties are those of a new table. The write.* ones are for other writers,
// so that what they add looks like ours.
func (f *format) properties(s tables.Spec) (iceberg.Properties, error) {
	props := iceberg.Properties{
		"write.parquet.compression-codec":      "zstd",
		"write.parquet.compression-level":      "1",
		"write.parquet.page-version":           "1",
		mergeEnabledKey:                        "true",
		metadata.DeleteAfterCommit:             "true",
		metadata.PreviousVersionsMax:           "20",
		"history.expire.min-snapshots-to-keep": fmt.Sprint(f.opts.KeepLast),
		"history.expire.max-snapshot-age-ms":   fmt.Sprint(f.opts.KeepFor.Milliseconds()),
	}
	for k, v := range f.opts.Properties {
		props[k] = v
	}
	if s.Comment != "" {
		props["comment"] = s.Comment
	}
	text, err := s.Schema.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	props[schemaKey], props[schemaVersionKey] = string(text), "0"
	return props, nil
}
