// Package catalogtest lets iceberg-go's table package, which knows nothing of
// ours, work on tables of our catalog in the same process: what it reads, it
// has parsed from our JSON, and what it commits reaches us as the JSON that its
// REST client would send. For tests only: nothing that is shipped imports it.
package catalogtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/metadata"
)

// Client is a catalog as iceberg-go's tables want one.
type Client struct {
	cat   *catalog.Catalog
	store blob.Store
}

var _ table.CatalogIO = (*Client)(nil)

// New returns a client of a catalog over its store.
func New(cat *catalog.Catalog, store blob.Store) *Client { return &Client{cat, store} }

// LoadTable loads a table.
func (c *Client) LoadTable(ctx context.Context, ident table.Identifier) (*table.Table, error) {
	t, err := c.cat.LoadTable(ctx, ident)
	if err != nil {
		return nil, err
	}
	meta, err := parse(t.Metadata)
	if err != nil {
		return nil, err
	}
	files := func(ctx context.Context) (io.IO, error) { return catalog.FileIO(ctx, c.store), nil }
	return table.New(ident, meta, t.MetadataLocation, files, c), nil
}

// CommitTable commits to a table.
func (c *Client) CommitTable(
	ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update,
) (table.Metadata, string, error) {
	var ours catalog.Change
	if err := convert(reqs, &ours.Requirements); err != nil {
		return nil, "", err
	}
	if err := convert(updates, &ours.Updates); err != nil {
		return nil, "", err
	}
	next, location, err := c.cat.CommitTable(ctx, ident, ours.Requirements, ours.Updates)
	if errors.Is(err, catalog.ErrCommitFailed) {
		return nil, "", fmt.Errorf("%w: %w", table.ErrCommitFailed, err)
	}
	if err != nil {
		return nil, "", err
	}
	meta, err := parse(next)
	return meta, location, err
}

func parse(t *metadata.Table) (table.Metadata, error) {
	data, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	return table.ParseMetadataBytes(data)
}

func convert(from, to any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, to)
}

// Updates are iceberg-go's as ours, by way of JSON.
func Updates(t testing.TB, theirs ...table.Update) (ours []metadata.Update) {
	t.Helper()
	if err := convert(theirs, &ours); err != nil {
		t.Fatal(err)
	}
	return ours
}

// Requirements are iceberg-go's as ours, by way of JSON.
func Requirements(t testing.TB, theirs ...table.Requirement) (ours []metadata.Requirement) {
	t.Helper()
	if err := convert(theirs, &ours); err != nil {
		t.Fatal(err)
	}
	return ours
}
