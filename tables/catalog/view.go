package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/metadata"
)

// ErrNoSuchView is refused: there is no such view.
var ErrNoSuchView = errors.New("view does not exist")

// View is a query that the catalog offers under a name. Clients read views and
// cannot change them: who serves the catalog says which there are.
type View struct {
	// Name of the view. Where a table has it, there is no view.
	Name string
	// Table is what it reads, in the same namespace. Without it there is no
	// view.
	Table string
	// Comment is one line for people.
	Comment string
	// SQL is the query in each dialect, of a table with these columns; all of
	// them come out, in their order.
	SQL func(columns []Column) map[string]string
}

// Column is one at the top of a table.
type Column struct {
	Name     string
	Required bool
}

// views are those of a namespace that can be read now, by name.
func (s *server) views(ctx context.Context, ns Identifier) ([]View, error) {
	if _, err := s.cat.namespace(ctx, ns); err != nil || s.opts.Views == nil {
		return nil, err
	}
	var out []View
	for _, v := range s.opts.Views(strings.Join(ns, ".")) {
		reads, err := s.cat.CheckTableExists(ctx, append(slices.Clone(ns), v.Table))
		if err != nil {
			return nil, err
		}
		taken, err := s.cat.CheckTableExists(ctx, append(slices.Clone(ns), v.Name))
		if err != nil {
			return nil, err
		}
		if reads && !taken {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b View) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// view finds one; ErrNoSuchView, also where there is no such namespace: Java's
// client takes both for the same.
func (s *server) view(ctx context.Context, ns Identifier, name string) (View, error) {
	all, err := s.views(ctx, ns)
	if err != nil && !errors.Is(err, ErrNoSuchNamespace) {
		return View{}, err
	}
	for _, v := range all {
		if v.Name == name {
			return v, nil
		}
	}
	return View{}, fmt.Errorf("%w: %s.%s", ErrNoSuchView, strings.Join(ns, "."), name)
}

// viewFile is a metadata file of Iceberg's view specification, version 1.
type viewFile struct {
	UUID       uuid.UUID         `json:"view-uuid"`
	Format     int               `json:"format-version"`
	Location   string            `json:"location"`
	Current    int               `json:"current-version-id"`
	Versions   []viewVersion     `json:"versions"`
	Log        []viewLog         `json:"version-log"`
	Schemas    []metadata.Schema `json:"schemas"`
	Properties map[string]string `json:"properties"`
}

type viewVersion struct {
	ID          int               `json:"version-id"`
	TimestampMs int64             `json:"timestamp-ms"`
	Schema      int               `json:"schema-id"`
	Summary     map[string]string `json:"summary"`
	Queries     []viewQuery       `json:"representations"`
	Namespace   Identifier        `json:"default-namespace"`
}

type viewQuery struct {
	Type    string `json:"type"`
	SQL     string `json:"sql"`
	Dialect string `json:"dialect"`
}

type viewLog struct {
	TimestampMs int64 `json:"timestamp-ms"`
	Version     int   `json:"version-id"`
}

// viewMetadata returns a view's metadata file and where it lies. The file is
// written when it is first asked for, under a name that holds the table, its
// schema and the queries: it never changes, and a table that gets other columns
// has another one.
func (c *Catalog) viewMetadata(ctx context.Context, ns Identifier, v View) (location string, file json.RawMessage, err error) {
	t, err := c.LoadTable(ctx, append(slices.Clone(ns), v.Table))
	if err != nil {
		return "", nil, err
	}
	now := viewOf(t.Metadata, ns, v)
	now.Location = c.store.URL(c.home(append(slices.Clone(ns), v.Name)))
	queries := sha256.Sum256(encodeJSON(now.Versions[0].Queries))
	key, ok := c.store.Key(fmt.Sprintf("%s/metadata/%05d-%s-%s.metadata.json",
		now.Location, now.Current, now.UUID, hex.EncodeToString(queries[:4])))
	if !ok {
		return "", nil, fmt.Errorf("%w: view %s is outside the warehouse", ErrInvalid, now.Location)
	}
	for range maxTries {
		if file, err = c.store.Get(ctx, key); err == nil || !errors.Is(err, blob.ErrNotFound) {
			break
		}
		if file, err = json.Marshal(now); err != nil {
			return "", nil, fmt.Errorf("encode view: %w", err)
		}
		if err = c.store.PutIfAbsent(ctx, key, file); !errors.Is(err, blob.ErrExists) {
			break
		}
	}
	if err != nil {
		return "", nil, fmt.Errorf("metadata of view %s.%s: %w", strings.Join(ns, "."), v.Name, err)
	}
	return c.store.URL(key), file, nil
}

// viewOf is a view of a table as it is now. Its version is that of the schema.
func viewOf(t *metadata.Table, ns Identifier, v View) viewFile {
	schema := t.Schemas[slices.IndexFunc(t.Schemas, func(s metadata.Schema) bool { return s.ID == t.CurrentSchemaID })]
	var columns []Column
	for _, f := range schema.Fields() {
		columns = append(columns, Column{f.Name, f.Required})
	}
	version := viewVersion{
		ID: t.CurrentSchemaID + 1, TimestampMs: time.Now().UnixMilli(), Schema: t.CurrentSchemaID,
		Summary: map[string]string{"operation": "create", "engine-name": "tarn"}, Namespace: ns,
	}
	for dialect, sql := range v.SQL(columns) {
		version.Queries = append(version.Queries, viewQuery{"sql", sql, dialect})
	}
	slices.SortFunc(version.Queries, func(a, b viewQuery) int { return strings.Compare(a.Dialect, b.Dialect) })
	return viewFile{
		// The same view of the same table, whoever is asked.
		UUID: uuid.NewSHA1(t.UUID, []byte(v.Name)), Format: 1, Current: version.ID,
		Versions: []viewVersion{version}, Log: []viewLog{{version.TimestampMs, version.ID}},
		Schemas: []metadata.Schema{schema}, Properties: map[string]string{"comment": v.Comment},
	}
}
