package catalog

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/metadata"
)

// maxMetadataBytes bounds a metadata file after decompression. Ten thousand
// snapshots make some 7 MB; what is far above that is no table of ours.
const maxMetadataBytes = 256 << 20

// loaded is a table as the stores hold it now.
type loaded struct {
	ident Identifier
	item  tables.Item // Version 0 if there is no such table
	ptr   pointer
	meta  *metadata.Table // nil if there is no such table
}

// load reads the pointer and the metadata it names. A file can be gone because
// other writers have committed often enough since the pointer was read to drop
// it; that is an error only if the pointer still names it. Every further look
// thus means at least one commit of another writer.
func (c *Catalog) load(ctx context.Context, ident Identifier) (loaded, error) {
	for last := ""; ; {
		l, err := c.loadOnce(ctx, ident)
		if !errors.Is(err, blob.ErrNotFound) || l.ptr.Metadata == last {
			return l, err
		}
		last = l.ptr.Metadata
	}
}

func (c *Catalog) loadOnce(ctx context.Context, ident Identifier) (loaded, error) {
	l := loaded{ident: ident}
	key := tableKey(ident)
	it, err := c.get(ctx, key)
	if err != nil {
		return l, err
	}
	l.item = tables.Item{Key: key, Version: it.Version}
	if it.Version == 0 {
		return l, nil
	}
	if err := decodePointer(it, &l.ptr); err != nil {
		return l, err
	}
	l.meta, err = c.readMetadata(ctx, key, l.ptr.Metadata)
	return l, err
}

func decodePointer(it tables.Item, p *pointer) error {
	if err := json.Unmarshal(it.Value, p); err != nil {
		return fmt.Errorf("pointer of table %s: %w: %w", strings.Join(splitKey(it.Key), "."), tables.ErrBroken, err)
	}
	return nil
}

// readMetadata returns the metadata at a location, from memory if it was the
// last one used for this key.
func (c *Catalog) readMetadata(ctx context.Context, key, location string) (*metadata.Table, error) {
	c.mu.Lock()
	e := c.cached[key]
	c.mu.Unlock()
	if e.meta != nil && e.location == location {
		return e.meta, nil
	}
	meta, err := c.fetchMetadata(ctx, location)
	if err != nil {
		return nil, err
	}
	c.remember(key, location, meta)
	return meta, nil
}

// fetchMetadata reads a metadata file.
func (c *Catalog) fetchMetadata(ctx context.Context, location string) (*metadata.Table, error) {
	at, ok := c.store.Key(location)
	if !ok {
		return nil, fmt.Errorf("%w: metadata location %q is outside the warehouse", ErrInvalid, location)
	}
	data, err := c.store.Get(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("read metadata %s: %w", location, err)
	}
	meta, err := parseMetadata(location, data)
	if err != nil {
		return nil, fmt.Errorf("metadata %s: %w: %w", location, tables.ErrBroken, err)
	}
	return meta, nil
}

func (c *Catalog) remember(key, location string, meta *metadata.Table) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.cached) >= maxCached {
		clear(c.cached)
	}
	c.cached[key] = entry{location, meta}
}

func (c *Catalog) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.cached, key)
}

// parseMetadata decodes a metadata file; its codec stands in its name.
func parseMetadata(location string, data []byte) (meta *metadata.Table, err error) {
	defer recovered(&err)
	stem := strings.TrimSuffix(path.Base(location), ".metadata.json")
	var r io.Reader = bytes.NewReader(data)
	switch path.Ext(stem) {
	case ".gz":
		if r, err = gzip.NewReader(r); err != nil {
			return nil, err
		}
	case ".zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	default:
		return metadata.Parse(data)
	}
	if data, err = io.ReadAll(io.LimitReader(r, maxMetadataBytes+1)); err != nil {
		return nil, err
	}
	if len(data) > maxMetadataBytes {
		return nil, fmt.Errorf("more than %d bytes", maxMetadataBytes)
	}
	return metadata.Parse(data)
}

// encodeMetadata is the inverse of parseMetadata.
func encodeMetadata(location string, meta *metadata.Table) ([]byte, error) {
	data, err := json.Marshal(meta)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	var b bytes.Buffer
	var w io.WriteCloser
	switch path.Ext(strings.TrimSuffix(path.Base(location), ".metadata.json")) {
	case ".gz":
		w = gzip.NewWriter(&b)
	case ".zstd":
		if w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1)); err != nil {
			return nil, fmt.Errorf("encode metadata: %w", err)
		}
	default:
		return data, nil
	}
	if _, err := w.Write(data); err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	return b.Bytes(), nil
}

// writeMetadata writes the metadata file that follows the one at base (empty
// for a new table) and returns its URL. Names hold a fresh UUID, so a name that
// is taken is a fault and not a race.
func (c *Catalog) writeMetadata(ctx context.Context, base string, meta *metadata.Table) (string, error) {
	location, err := metadataLocation(meta, metadataVersion(base)+1)
	if err != nil {
		return "", err
	}
	key, ok := c.store.Key(location)
	if !ok {
		return "", fmt.Errorf("%w: metadata location %q is outside the warehouse", ErrInvalid, location)
	}
	data, err := encodeMetadata(location, meta)
	if err != nil {
		return "", err
	}
	if err := c.store.PutIfAbsent(ctx, key, data); err != nil {
		return "", fmt.Errorf("write metadata %s: %w", location, err)
	}
	return location, nil
}

// metadataLocation is a fresh name for a metadata file. Its codec stands in it.
func metadataLocation(meta *metadata.Table, version int) (string, error) {
	name := fmt.Sprintf("%05d-%s", version, uuid.New())
	switch codec := meta.Properties.Get(metadata.Compression, "none"); codec {
	case "none":
	case "gzip":
		name += ".gz"
	case "zstd":
		name += ".zstd"
	default:
		return "", fmt.Errorf("%w: %s=%s", ErrInvalid, metadata.Compression, codec)
	}
	return meta.MetadataDir() + "/" + name + ".metadata.json", nil
}

// metadataVersion is the number in a metadata file's name, -1 if it has none:
// 00012-<uuid>.metadata.json, or v12.metadata.json by old Hadoop tables.
func metadataVersion(location string) int {
	base := strings.TrimPrefix(path.Base(location), "v")
	end := strings.IndexAny(base, "-.")
	if end < 0 {
		return -1
	}
	n, err := strconv.Atoi(base[:end])
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// dropOld deletes the metadata files that have left the log of earlier ones,
// if the table wishes so. Failures only leave files behind.
func (c *Catalog) dropOld(ctx context.Context, before, after *metadata.Table) {
	if before == nil || !after.Properties.GetBool(metadata.DeleteAfterCommit, false) {
		return
	}
	kept := make(map[string]bool)
	for _, e := range after.MetadataLog {
		kept[e.File] = true
	}
	var keys []string
	for _, e := range before.MetadataLog {
		if key, ok := c.store.Key(e.File); ok && !kept[e.File] {
			keys = append(keys, key)
		}
	}
	if len(keys) > 0 {
		_ = c.store.Delete(context.WithoutCancel(ctx), keys...)
	}
}

// table wraps metadata as a handle.
func (c *Catalog) table(ident Identifier, meta *metadata.Table, location string) *Table {
	return &Table{ident, meta, location}
}

// withDefaults returns props with the catalog's defaults under them.
func (c *Catalog) withDefaults(props iceberg.Properties) iceberg.Properties {
	out := iceberg.Properties{}
	for k, v := range c.defaults {
		out[k] = v
	}
	for k, v := range props {
		out[k] = v
	}
	return out
}

// recovered turns a panic into ErrInvalid. iceberg-go dereferences parts of
// updates and metadata that JSON may have left out; nothing of ours has been
// changed by then.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", ErrInvalid, p)
	}
}
