package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/metadata"
)

// settleLimit bounds the look that tells what became of a commit, when the
// caller's context is already over.
const settleLimit = 10 * time.Second

// LoadTable returns a table as it is now. Error: catalog.ErrNoSuchTable.
func (c *Client) LoadTable(ctx context.Context, ident catalog.Identifier) (*catalog.Table, error) {
	if len(ident) < 2 {
		return nil, fmt.Errorf("%w: %s", catalog.ErrNoSuchTable, name(ident))
	}
	have := c.known(ident)
	var got answer
	head, unchanged, err := c.send(ctx, request{method: http.MethodGet, path: path(ident), match: have.tag}, &got)
	if err != nil {
		return nil, fmt.Errorf("load table %s: %w", name(ident), refused(err))
	}
	if unchanged {
		return have.table, nil
	}
	t, err := got.table(ident)
	if err != nil {
		return nil, err
	}
	c.remember(ident, head.Get("ETag"), t)
	return t, nil
}

// refused adds to an answer the error of tables/catalog that it stands for. A
// page of whoever stands between, or a wrong address, is no word about tables.
func refused(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	is := catalog.ErrInvalid
	switch {
	case e.Status == http.StatusNotFound && (e.Kind == "" || strings.Contains(e.Kind, "Endpoint") || strings.Contains(e.Kind, "Warehouse")):
		return err
	case e.Status == http.StatusNotFound:
		is = catalog.ErrNoSuchTable // or its namespace, which comes to the same
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden, e.Status == statusAuthTimeout:
		return denied{err} // by the catalog: the words of ErrForbidden are of our own
	case e.Status == http.StatusTooManyRequests, e.Status >= http.StatusInternalServerError:
		return err
	}
	return fmt.Errorf("%w: %w", is, err)
}

// denied is catalog.ErrForbidden, in the words of the catalog alone.
type denied struct{ error }

func (d denied) Is(target error) bool { return target == catalog.ErrForbidden }

func (d denied) Unwrap() error { return d.error }

// commitBody is a CommitTableRequest.
type commitBody struct {
	Identifier   identifier             `json:"identifier"`
	Requirements []metadata.Requirement `json:"requirements"`
	Updates      []metadata.Update      `json:"updates"`
}

type identifier struct {
	Namespace catalog.Identifier `json:"namespace"`
	Name      string             `json:"name"`
}

// CommitTable commits to a table: all or nothing. With assert-create it makes
// it, with the field ids that it is given. Errors: catalog.ErrCommitFailed and
// other refusals: nothing happened. catalog.ErrUnknown: it may have happened, or
// may yet.
func (c *Client) CommitTable(
	ctx context.Context, ident catalog.Identifier, reqs []metadata.Requirement, updates []metadata.Update,
) (*metadata.Table, string, error) {
	if len(ident) < 2 {
		return nil, "", fmt.Errorf("%w: %s", catalog.ErrNoSuchTable, name(ident))
	}
	creates := false
	for _, r := range reqs {
		if r.Holds != nil {
			return nil, "", fmt.Errorf("%w: requirement %s cannot be sent to another catalog", catalog.ErrInvalid, r.Type)
		}
		creates = creates || r.Type == metadata.AssertCreate
	}
	if creates {
		return c.create(ctx, ident, updates)
	}
	return c.commit(ctx, ident, reqs, updates)
}

func (c *Client) commit(
	ctx context.Context, ident catalog.Identifier, reqs []metadata.Requirement, updates []metadata.Update,
) (*metadata.Table, string, error) {
	last := len(ident) - 1
	body := commitBody{identifier{ident[:last], ident[last]}, reqs, updates}
	var got answer
	head, _, err := c.send(ctx, request{method: http.MethodPost, path: path(ident), body: body, once: true}, &got)
	if err == nil {
		t, err := got.table(ident)
		if err != nil {
			return nil, "", fmt.Errorf("%w: %w", catalog.ErrUnknown, err)
		}
		c.remember(ident, head.Get("ETag"), t)
		return t.Metadata, t.MetadataLocation, nil
	}
	var e *Error
	open := !errors.As(err, &e) || e.Status >= http.StatusInternalServerError
	if !open && e.Status != http.StatusConflict {
		return nil, "", fmt.Errorf("commit to table %s: %w", name(ident), refused(err))
	}
	// A conflict may be with our own commit, sent twice by whoever stands
	// between: it counts only if the snapshot is not there.
	now, lerr := c.look(ctx, ident)
	switch {
	case lerr == nil && landed(now.Metadata, updates):
		return now.Metadata, now.MetadataLocation, nil
	case open:
		return nil, "", fmt.Errorf("%w: %w", catalog.ErrUnknown, err)
	case lerr != nil && adds(updates) != nil:
		return nil, "", fmt.Errorf("%w: %w, and then: %w", catalog.ErrUnknown, err, lerr)
	}
	return nil, "", fmt.Errorf("%w: %w", catalog.ErrCommitFailed, err)
}

// look loads a table to see what became of a commit.
func (c *Client) look(ctx context.Context, ident catalog.Identifier) (*catalog.Table, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	return c.LoadTable(ctx, ident)
}

// landed reports whether a table has the snapshot that the updates add. Commits
// that add none are not told from others; whoever sends them can do so again.
func landed(now *metadata.Table, updates []metadata.Update) bool {
	s := adds(updates)
	return s != nil && now.Snapshot(s.ID) != nil
}

// adds is the snapshot that updates add, nil if none.
func adds(updates []metadata.Update) *metadata.Snapshot {
	at := slices.IndexFunc(updates, func(u metadata.Update) bool { return u.Action == metadata.AddSnapshot })
	if at < 0 {
		return nil
	}
	return updates[at].Snapshot
}

// CreateNamespace makes a namespace, if it is not there. Error:
// catalog.ErrNamespaceAlreadyExists.
func (c *Client) CreateNamespace(ctx context.Context, ns catalog.Identifier, props iceberg.Properties) error {
	// Asking first: who may not make namespaces may still use this one.
	if _, _, err := c.send(ctx, request{method: http.MethodGet, path: namespacePath(ns)}, nil); err == nil {
		return fmt.Errorf("%w: %s", catalog.ErrNamespaceAlreadyExists, name(ns))
	}
	body := map[string]any{"namespace": ns, "properties": merged(props, nil)}
	_, _, err := c.send(ctx, request{method: http.MethodPost, path: "/namespaces", body: body, once: true}, nil)
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusConflict {
		return fmt.Errorf("%w: %w", catalog.ErrNamespaceAlreadyExists, err)
	}
	if err != nil {
		return fmt.Errorf("create namespace %s: %w", name(ns), refused(err))
	}
	return nil
}

// PurgeTable drops a table and deletes its directory itself: catalogs differ in
// who may ask them for it, and in whether they do it at once.
func (c *Client) PurgeTable(ctx context.Context, ident catalog.Identifier) error {
	t, err := c.LoadTable(ctx, ident)
	if err != nil {
		return err
	}
	drop := request{method: http.MethodDelete, path: path(ident) + "?purgeRequested=false", once: true}
	if _, _, err := c.send(ctx, drop, nil); err != nil {
		return fmt.Errorf("drop table %s: %w", name(ident), refused(err))
	}
	c.forget(ident)
	return catalog.DeleteFiles(ctx, c.c.Store, t.Metadata)
}
