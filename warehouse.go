package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/blob/cloud"
	"github.com/tarn-io/tarn/tables/blob/s3"
	"github.com/tarn-io/tarn/tables/catalog"
)

// bucketLimit bounds the look at a bucket at start. A service that does not
// answer by then may do so later: the log does not wait for it.
const bucketLimit = 10 * time.Second

// openWarehouse opens the store of --warehouse.
func (n *node) openWarehouse(ctx context.Context) error {
	url := n.cmd.Warehouse
	if url == "" {
		url = "file://" + filepath.Join(n.cmd.Data, "warehouse")
		if strings.HasPrefix(n.cmd.Storage, "memory://") {
			// Tables that outlive their log could not be gone on with.
			url = "memory://"
		}
	}
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		scheme, rest = "file", url
	}
	switch scheme {
	case "memory":
		n.store = blob.NewMemory()
	case "file":
		dir, err := filepath.Abs(rest)
		if err != nil {
			return fmt.Errorf("--warehouse %q: %w", url, err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the warehouse (--warehouse): %w", err)
		}
		l, err := blob.OpenLocal(dir)
		if err != nil {
			return fmt.Errorf("open the warehouse (--warehouse): %w", err)
		}
		n.store = l
		n.closers = append(n.closers, l.Close)
	case "s3":
		c, err := s3.Parse(url)
		if err != nil {
			return fmt.Errorf("--warehouse %q: %w", url, err)
		}
		store, err := s3.Open(ctx, c)
		if err != nil {
			return fmt.Errorf("open the warehouse (--warehouse): %w", err)
		}
		return n.useBucket(ctx, store)
	case string(cloud.GCS), string(cloud.Azure):
		c, err := cloud.Parse(url)
		if err != nil {
			return fmt.Errorf("--warehouse %q: %w", url, err)
		}
		store, err := cloud.Open(c)
		if err != nil {
			return fmt.Errorf("open the warehouse (--warehouse): %w", err)
		}
		return n.useBucket(ctx, store)
	default:
		return fmt.Errorf("--warehouse %q: use file:///DIR, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX or memory://", url)
	}
	return nil
}

// bucket is a store that somebody else serves.
type bucket interface {
	blob.Store
	Check(ctx context.Context) error
}

// useBucket takes a bucket as the warehouse and asks whether it can be used. What
// the service refuses ends the start; that it cannot be reached does not, for
// producers are served without it and tables catch up.
func (n *node) useBucket(ctx context.Context, store bucket) error {
	n.store = store
	limited, cancel := context.WithTimeout(ctx, bucketLimit)
	defer cancel()
	switch err := store.Check(limited); {
	case err == nil:
	case errors.Is(err, blob.ErrUnreachable), limited.Err() != nil && ctx.Err() == nil:
		n.lg.Warn("the warehouse does not answer; topics are served, and tables catch up when it does",
			"warehouse", store.URL(""), "error", err)
	default:
		return fmt.Errorf("the warehouse %s (--warehouse) cannot be used: %w", store.URL(""), err)
	}
	return nil
}

// catalogOptions tells clients of the catalog where files lie: all they need to
// read them but credentials.
func (n *node) catalogOptions() catalog.Options {
	switch store := n.store.(type) {
	case *s3.Store:
		return bucketOptions(store.Config())
	case *cloud.Store:
		props := map[string]string{}
		if c := store.Config(); c.Kind == cloud.Azure {
			props["adls.account-name"] = c.Account
		} else if c.Endpoint != "" {
			props["gcs.service.host"] = c.Endpoint
		}
		return catalog.Options{Defaults: props, TableConfig: props}
	}
	return catalog.Options{}
}

func bucketOptions(c s3.Config) catalog.Options {
	props := map[string]string{
		"s3.region": c.Region, "client.region": c.Region,
		"s3.path-style-access":        strconv.FormatBool(c.PathStyle),
		"s3.force-virtual-addressing": strconv.FormatBool(!c.PathStyle), // the word of pyiceberg
	}
	if c.Endpoint != "" {
		props["s3.endpoint"] = c.Endpoint
	}
	return catalog.Options{Defaults: props, TableConfig: props}
}
