package rest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/metadata"
)

// createBody is a CreateTableRequest.
type createBody struct {
	Name       string                 `json:"name"`
	Location   string                 `json:"location"`
	Schema     metadata.Schema        `json:"schema"`
	Spec       *iceberg.PartitionSpec `json:"partition-spec"`
	Order      metadata.SortOrder     `json:"write-order"`
	Stage      bool                   `json:"stage-create"`
	Properties iceberg.Properties     `json:"properties"`
}

// create makes a table in two steps, so that its field ids stay ours: staged,
// which settles its place and UUID, and a commit with assert-create. A catalog
// that cannot stage gets it in one, if the ids that it will give are those.
func (c *Client) create(ctx context.Context, ident catalog.Identifier, updates []metadata.Update) (*metadata.Table, string, error) {
	want, err := c.wanted(ident, updates)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", catalog.ErrInvalid, err)
	}
	body := createBody{
		Name: ident[len(ident)-1], Location: want.Location, Schema: metadata.Schema{Schema: want.Schema()},
		Spec: want.Spec(want.DefaultSpecID), Order: order(want), Stage: true,
		Properties: merged(want.Properties, iceberg.Properties{metadata.FormatVersionKey: fmt.Sprint(want.Version)}),
	}
	t, _, err := c.ask(ctx, ident, body)
	var e *Error
	switch {
	case errors.As(err, &e) && unstaged(e.Status):
		return c.createAtOnce(ctx, ident, want, body)
	case err != nil:
		return nil, "", err
	}
	return c.commit(ctx, ident, []metadata.Requirement{{Type: metadata.AssertCreate}}, first(want, t.Metadata))
}

// wanted is the table as the updates make it, at the place that Tarn's own
// catalog would give it.
func (c *Client) wanted(ident catalog.Identifier, updates []metadata.Update) (*metadata.Table, error) {
	id := uuid.New()
	location := c.c.Store.URL(strings.Join(ident, "/") + "/iceberg/" + id.String()[:8])
	return metadata.Apply(nil, "", append([]metadata.Update{
		{Action: metadata.AssignUUID, UUID: id.String()}, {Action: metadata.SetLocation, Location: location},
	}, updates...))
}

// ask sends a request to create or stage a table.
func (c *Client) ask(ctx context.Context, ident catalog.Identifier, body createBody) (*catalog.Table, http.Header, error) {
	at := namespacePath(ident[:len(ident)-1]) + "/tables"
	var got answer
	head, _, err := c.send(ctx, request{method: http.MethodPost, path: at, body: body, once: true}, &got)
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusConflict {
		return nil, nil, fmt.Errorf("%w: %w", catalog.ErrCommitFailed, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("create table %s: %w", name(ident), refused(err))
	}
	t, err := got.table(ident)
	if err != nil {
		return nil, nil, err
	}
	if _, ok := c.c.Store.Key(t.Metadata.Location); !ok {
		return nil, nil, fmt.Errorf(
			"%w: the catalog puts table %s at %s, which is outside the warehouse %s: let --warehouse name the place that the catalog means",
			catalog.ErrInvalid, name(ident), t.Metadata.Location, c.c.Store.URL(""))
	}
	return t, head, nil
}

// unstaged reports whether an answer may be that of a catalog that cannot stage.
func unstaged(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
		http.StatusUnprocessableEntity, http.StatusNotImplemented:
		return true
	}
	return false
}

// createAtOnce makes a table in one step, and drops it again if the catalog has
// given its columns other ids: Java's order is ours, but not everybody's.
func (c *Client) createAtOnce(
	ctx context.Context, ident catalog.Identifier, want *metadata.Table, body createBody,
) (*metadata.Table, string, error) {
	body.Stage = false
	t, head, err := c.ask(ctx, ident, body)
	if err != nil {
		return nil, "", err
	}
	if !t.Metadata.Schema().Equals(want.Schema()) {
		return nil, "", errors.Join(fmt.Errorf(
			"%w: table %s: the catalog does not stage tables, and gives columns other ids than they have", catalog.ErrInvalid, name(ident)),
			c.PurgeTable(context.WithoutCancel(ctx), ident))
	}
	c.remember(ident, head.Get("ETag"), t)
	return t.Metadata, t.MetadataLocation, nil
}

// first are the updates that make a table, in the order of Java's client: what
// want says, at the place and with the UUID that the catalog settled.
func first(want, settled *metadata.Table) []metadata.Update {
	added, sorted, version := -1, order(want), want.Version
	spec := iceberg.UnboundPartitionSpec{PartitionSpec: *want.Spec(want.DefaultSpecID)}
	return []metadata.Update{
		{Action: metadata.AssignUUID, UUID: settled.UUID.String()},
		{Action: metadata.UpgradeFormatVersion, FormatVersion: &version},
		{Action: metadata.AddSchema, Schema: &metadata.Schema{Schema: want.Schema()}},
		{Action: metadata.SetCurrentSchema, SchemaID: &added},
		{Action: metadata.AddSpec, Spec: &spec},
		{Action: metadata.SetDefaultSpec, SpecID: &added},
		{Action: metadata.AddSortOrder, SortOrder: &sorted},
		{Action: metadata.SetDefaultSortOrder, SortOrderID: &added},
		{Action: metadata.SetLocation, Location: settled.Location},
		{Action: metadata.SetProperties, Updates: merged(settled.Properties, want.Properties)},
	}
}

// order is a table's sort order; where it has none, the one without fields.
func order(t *metadata.Table) metadata.SortOrder {
	for _, o := range t.SortOrders {
		if o.ID == t.DefaultSortOrderID {
			return o
		}
	}
	return metadata.SortOrder{}
}

func merged(under, over iceberg.Properties) iceberg.Properties {
	out := maps.Clone(under)
	if out == nil {
		out = iceberg.Properties{}
	}
	maps.Copy(out, over)
	return out
}
