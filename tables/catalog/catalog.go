// Package catalog is Tarn's own Iceberg catalog: which tables there are, and
// where the current metadata file of each lies. The pointers live in a
// tables.Items store (multi-key compare-and-set), the metadata files in a
// blob.Store; nothing else is needed, and commits over several tables are
// atomic. Handler serves it as an Iceberg REST catalog. What a metadata file
// says, and how commits change it, is in tables/metadata.
//
// Items, by key:
//
//	iceberg/ns/<namespace>            properties of a namespace, JSON object
//	iceberg/table/<namespace>/<name>  pointer to a table's metadata, JSON
//
// The parts of a nested namespace are joined by U+001F, as on the wire. Making,
// moving and registering a table writes its namespace's item too, so that a
// namespace cannot be dropped beside it.
//
// A table lies at <prefix>/<namespace>/<name>/iceberg/<8 hex digits of its
// UUID>, so that a table made again under the same name shares no file with
// the earlier one.
package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/apache/iceberg-go"
	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/metadata"
)

// DefaultNamespace is always there and cannot be dropped.
const DefaultNamespace = "default"

// Limits.
const (
	// maxLevels bounds the parts of a namespace: each is a directory.
	maxLevels = 16
	// maxNameBytes bounds one part of a name as it is spelled in a path: file
	// systems take no longer names.
	maxNameBytes = 255
	// maxPathBytes bounds all parts together, so that keys of items and of
	// objects (1024 bytes) have room for what comes before and behind.
	maxPathBytes = 700
	// maxCached bounds the tables whose metadata is kept in memory. A table's
	// metadata takes some 100 kB.
	maxCached = 1024
	// maxTries bounds how often a commit that lost a race is built again. The
	// requirements are checked anew each time, so trying again is only spared
	// round trips of the client.
	maxTries = 10
	// maxPause bounds the pause before such a try: 2^maxPause ms.
	maxPause = 8
)

// Errors beside those in handle.go.
var (
	// ErrInvalid is refused: the request makes no sense.
	ErrInvalid = errors.New("invalid request")
	// ErrUnknown says that a write may or may not have happened: the store
	// failed while writing and did not tell afterwards. Load and compare.
	ErrUnknown = errors.New("outcome of the write is unknown")
)

// Config says where a catalog keeps things.
type Config struct {
	// Items holds the pointers; required.
	Items tables.Items
	// Store holds metadata, manifests and data; required.
	Store blob.Store
	// Prefix is the blob key below which tables are made; empty for the root.
	Prefix string
	// Defaults are table properties that a new table gets unless its maker
	// says otherwise. Nil stands for twenty earlier metadata files kept, and
	// older ones deleted.
	Defaults iceberg.Properties
}

// Catalog is an Iceberg catalog. Safe for concurrent use, also by several
// processes over one Items store.
type Catalog struct {
	items    tables.Items
	store    blob.Store
	prefix   string
	defaults iceberg.Properties

	mu     sync.Mutex
	cached map[string]entry // guarded by mu; by item key
}

// entry is parsed metadata and where it was read from. Metadata files never
// change, so an entry is right for as long as the pointer names its location.
type entry struct {
	location string
	meta     *metadata.Table
}

// New returns a catalog. It touches neither store.
func New(c Config) *Catalog {
	defaults := c.Defaults
	if defaults == nil {
		defaults = iceberg.Properties{
			metadata.DeleteAfterCommit:   "true",
			metadata.PreviousVersionsMax: "20",
		}
	}
	return &Catalog{
		items: c.Items, store: c.Store, prefix: strings.Trim(c.Prefix, "/"),
		defaults: defaults, cached: make(map[string]entry),
	}
}

// pointer is the value of a table's item.
type pointer struct {
	// Metadata is the URL of the current metadata file.
	Metadata string `json:"metadata"`
	// Location is the URL of the table's directory.
	Location string `json:"location"`
	// Owned says that the table was made here, so that its directory may be
	// deleted with it. Registered tables belong to whoever made them.
	Owned bool `json:"owned"`
}

const (
	nsPrefix    = "iceberg/ns/"
	tablePrefix = "iceberg/table/"
	separator   = "\x1f"
)

func nsKey(ns []string) string { return nsPrefix + strings.Join(ns, separator) }

func tablesOf(ns []string) string { return tablePrefix + strings.Join(ns, separator) + "/" }

func tableKey(ident Identifier) string {
	return tablesOf(namespaceOfTable(ident)) + nameOfTable(ident)
}

// splitKey is the inverse of tableKey.
func splitKey(key string) Identifier {
	ns, name, _ := strings.Cut(strings.TrimPrefix(key, tablePrefix), "/")
	return append(strings.Split(ns, separator), name)
}

// checkName refuses names that cannot be part of a key or a directory.
func checkName(parts []string, what string) error {
	if len(parts) == 0 || len(parts) > maxLevels+1 {
		return fmt.Errorf("%w: %s of %d parts", ErrInvalid, what, len(parts))
	}
	total := 0
	for _, p := range parts {
		length := len(portable(p))
		total += length + 1
		switch {
		case p == "" || p == "." || p == "..":
			return fmt.Errorf("%w: %s part %q", ErrInvalid, what, p)
		case length > maxNameBytes || total > maxPathBytes:
			return fmt.Errorf("%w: %s of %d bytes, at most %d in a part and %d in all", ErrInvalid, what, total, maxNameBytes, maxPathBytes)
		case !utf8.ValidString(p) || strings.Contains(p, "/") || strings.ContainsFunc(p, unicode.IsControl):
			return fmt.Errorf("%w: %s part %q has characters that a path cannot", ErrInvalid, what, p)
		}
	}
	return nil
}

func checkTable(ident Identifier) error {
	if len(ident) < 2 {
		return fmt.Errorf("%w: table name %q without namespace", ErrInvalid, strings.Join(ident, "."))
	}
	return checkName(ident, "table name")
}

// home is the directory key under which the tables of this name lie.
func (c *Catalog) home(ident Identifier) string {
	parts := []string{c.prefix}
	for _, p := range ident {
		parts = append(parts, portable(p))
	}
	return path.Join(parts...)
}

// newLocation is the URL of a new table's directory.
func (c *Catalog) newLocation(ident Identifier, id uuid.UUID) string {
	return c.store.URL(path.Join(c.home(ident), "iceberg", id.String()[:8]))
}

// checkLocation refuses a directory chosen by a client that is not below the
// home of the table's name: whoever purges the table deletes all of it. Trino
// puts a table beside it, with a UUID behind the name: no topic's table has a
// hyphen in its directory.
func (c *Catalog) checkLocation(ident Identifier, location string) error {
	key, ok := c.store.Key(location)
	rest, below := strings.CutPrefix(key, c.home(ident))
	if !ok || path.Clean(key) != key || !below || !strings.HasPrefix(rest, "/") && !trinoSuffix(rest) {
		return fmt.Errorf("%w: location %q is not below %s/", ErrInvalid, location, c.store.URL(c.home(ident)))
	}
	return nil
}

// trinoSuffix reports whether a text is a hyphen and 32 hexadecimal digits.
func trinoSuffix(text string) bool {
	digits, ok := strings.CutPrefix(text, "-")
	return ok && len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}

// portable spells a name so that every reader of URLs and paths takes it alike.
func portable(name string) string {
	var b strings.Builder
	for i := range len(name) {
		ch := name[i]
		switch {
		case ch >= 'a' && ch <= 'z', ch >= 'A' && ch <= 'Z', ch >= '0' && ch <= '9', ch == '_', ch == '-':
			b.WriteByte(ch)
		case ch == '.' && i > 0:
			b.WriteByte(ch)
		default:
			fmt.Fprintf(&b, "_%02x_", ch)
		}
	}
	return b.String()
}

// get returns an item; Version 0 if there is none.
func (c *Catalog) get(ctx context.Context, key string) (tables.Item, error) {
	it, err := c.items.Get(ctx, key)
	if err != nil {
		return it, fmt.Errorf("read catalog item %q: %w", key, err)
	}
	return it, nil
}

func encodeJSON(v any) []byte {
	// Strings, bools and maps of strings always encode.
	b, _ := json.Marshal(v)
	return b
}
