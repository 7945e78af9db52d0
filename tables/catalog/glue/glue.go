// Package glue keeps pointers to Iceberg tables in AWS Glue's Data Catalog, as
// Iceberg's own clients do: a table's parameters name its current metadata file.
// A commit is an UpdateTable that names the version of the entry which it
// follows (VersionId), so that one of two writers is refused.
//
//	table_type                   ICEBERG
//	metadata_location            URL of the current metadata file
//	previous_metadata_location   the one before
//
// Five calls of Glue's JSON protocol are all it takes: Amazon's package for Glue
// has some 250.
package glue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/catalog/rest"
	"github.com/tarn-io/tarn/tables/metadata"
)

const (
	// requestLimit bounds one call.
	requestLimit = time.Minute
	// maxAnswer bounds an answer: an entry has at most 400 kB or so of columns.
	maxAnswer = 16 << 20
	// maxMessage cuts the text of an error page.
	maxMessage = 500
)

// Parameters of an entry.
const (
	typeKey     = "table_type"
	typeIceberg = "ICEBERG"
	locationKey = "metadata_location"
	previousKey = "previous_metadata_location"
)

// Config says which Data Catalog.
type Config struct {
	// Region is where it is; empty: the environment's.
	Region string
	// Endpoint is its address, if not Amazon's for the region.
	Endpoint string
	// Sign says how requests are signed; the service is always glue.
	Sign rest.SigV4
}

// Pointers is a Data Catalog. Namespaces of one level are its databases. Safe for
// concurrent use.
type Pointers struct {
	c      Config
	signer *rest.Signer
	client *http.Client
}

var _ catalog.Pointers = (*Pointers)(nil)

// New returns a Data Catalog. It touches no network.
func New(c Config) *Pointers {
	c.Sign.Service, c.Sign.Region = "glue", c.Region
	return &Pointers{c, rest.NewSigner(c.Sign), &http.Client{Timeout: requestLimit}}
}

// fault is an answer that is no success; kind is the exception's name.
type fault struct {
	status     int
	kind, text string
}

func (f *fault) Error() string {
	return fmt.Sprintf("Glue answered %d %s: %s", f.status, f.kind, f.text)
}

// Fix says what a person can do about it; empty where Glue's own words are all
// there is.
func (f *fault) Fix() string {
	switch f.kind {
	case "AccessDeniedException":
		return "let the broker's role do glue:GetDatabase, glue:CreateDatabase, glue:GetTable, glue:CreateTable, glue:UpdateTable and glue:DeleteTable there; it goes on by itself"
	case "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "MissingAuthenticationTokenException":
		return "Glue does not take the broker's credentials: mend those of its environment or role (AWS_ACCESS_KEY_ID and so on), and start it again if they are of the environment; records wait in the log"
	}
	return ""
}

func is(err error, kind string) bool {
	var f *fault
	return errors.As(err, &f) && f.kind == kind
}

// call is one call of the JSON protocol. Errors: *fault, else nobody knows
// whether it arrived.
func (p *Pointers) call(ctx context.Context, action string, in map[string]any, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode %s: %w", action, err)
	}
	at := p.c.Endpoint
	if at == "" {
		region, err := p.signer.Region(ctx)
		if err != nil {
			return err
		}
		at = "https://glue." + region + ".amazonaws.com"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(at, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AWSGlue."+action)
	if err := p.signer.Sign(ctx, req, body); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: read the answer: %w", action, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %w", action, answered(resp.StatusCode, data))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s: read the answer: %w", action, err)
	}
	return nil
}

func answered(status int, data []byte) *fault {
	var body struct {
		Type    string `json:"__type"`
		Message string `json:"Message"` // or message: names are matched in any case
	}
	if json.Unmarshal(data, &body) != nil || body.Type == "" {
		return &fault{status, "", string(data[:min(len(data), maxMessage)])}
	}
	return &fault{status, body.Type[strings.LastIndex(body.Type, "#")+1:], body.Message}
}

// entry is what is read of a table.
type entry struct {
	Version     string            `json:"VersionId"`
	Description string            `json:"Description"`
	Owner       string            `json:"Owner"`
	Parameters  map[string]string `json:"Parameters"`
}

// names is a table's database and name. Glue has one level.
func names(ident catalog.Identifier) (database, name string, err error) {
	if len(ident) != 2 {
		return "", "", fmt.Errorf("%w: table %s: Glue's databases have one level", catalog.ErrInvalid, strings.Join(ident, "."))
	}
	return ident[0], ident[1], nil
}

// entry reads a table; false if there is none.
func (p *Pointers) entry(ctx context.Context, ident catalog.Identifier) (e entry, ok bool, err error) {
	database, name, err := names(ident)
	if err != nil {
		return e, false, err
	}
	var out struct{ Table entry }
	err = p.call(ctx, "GetTable", map[string]any{"DatabaseName": database, "Name": name}, &out)
	if is(err, "EntityNotFoundException") {
		return e, false, nil
	}
	return out.Table, err == nil, err
}

// Get implements catalog.Pointers.
func (p *Pointers) Get(ctx context.Context, ident catalog.Identifier) (catalog.Pointer, error) {
	e, ok, err := p.entry(ctx, ident)
	if err != nil || !ok {
		return catalog.Pointer{}, err
	}
	if !strings.EqualFold(e.Parameters[typeKey], typeIceberg) || e.Parameters[locationKey] == "" {
		return catalog.Pointer{}, fmt.Errorf("table %s of Glue is no Iceberg table: %w", strings.Join(ident, "."), tables.ErrNotOurs)
	}
	return catalog.Pointer{Metadata: e.Parameters[locationKey], Version: e.Version}, nil
}

// Swap implements catalog.Pointers. What else others wrote into the entry stays.
func (p *Pointers) Swap(ctx context.Context, ident catalog.Identifier, from catalog.Pointer, to string, meta *metadata.Table) error {
	database, name, err := names(ident)
	if err != nil {
		return err
	}
	if from.Metadata == "" {
		err := p.call(ctx, "CreateTable", map[string]any{
			"DatabaseName": database, "TableInput": input(name, entry{}, map[string]string{locationKey: to}, meta),
		}, nil)
		if is(err, "AlreadyExistsException") {
			return fmt.Errorf("%w: %w", catalog.ErrCommitFailed, err)
		}
		return err
	}
	now, ok, err := p.entry(ctx, ident)
	if err != nil {
		return err
	}
	if !ok || now.Version != from.Version || now.Parameters[locationKey] != from.Metadata {
		return fmt.Errorf("%w: another program has committed", catalog.ErrCommitFailed)
	}
	err = p.call(ctx, "UpdateTable", map[string]any{
		"DatabaseName": database, "VersionId": from.Version, "SkipArchive": true,
		"TableInput": input(name, now, map[string]string{locationKey: to, previousKey: from.Metadata}, meta),
	}, nil)
	if is(err, "ConcurrentModificationException") || is(err, "EntityNotFoundException") {
		return fmt.Errorf("%w: %w", catalog.ErrCommitFailed, err)
	}
	return err
}

// input is the TableInput of an entry.
func input(name string, now entry, set map[string]string, meta *metadata.Table) map[string]any {
	params := map[string]string{typeKey: typeIceberg}
	maps.Copy(params, now.Parameters)
	maps.Copy(params, set)
	out := map[string]any{
		"Name": name, "TableType": "EXTERNAL_TABLE", "Parameters": params,
		"StorageDescriptor": map[string]any{"Columns": columns(meta.Schema()), "Location": meta.Location},
	}
	if now.Description != "" {
		out["Description"] = now.Description
	}
	if now.Owner != "" {
		out["Owner"] = now.Owner
	}
	return out
}

// Drop implements catalog.Pointers.
func (p *Pointers) Drop(ctx context.Context, ident catalog.Identifier) error {
	database, name, err := names(ident)
	if err != nil {
		return err
	}
	err = p.call(ctx, "DeleteTable", map[string]any{"DatabaseName": database, "Name": name}, nil)
	if is(err, "EntityNotFoundException") {
		return nil
	}
	return err
}

// CreateNamespace implements catalog.Pointers.
func (p *Pointers) CreateNamespace(ctx context.Context, ns catalog.Identifier) error {
	if len(ns) != 1 {
		return fmt.Errorf("%w: namespace %s: Glue's databases have one level", catalog.ErrInvalid, strings.Join(ns, "."))
	}
	// Asking first: who may not make databases may still use this one.
	err := p.call(ctx, "GetDatabase", map[string]any{"Name": ns[0]}, nil)
	if err == nil {
		return fmt.Errorf("%w: %s", catalog.ErrNamespaceAlreadyExists, ns[0])
	}
	err = p.call(ctx, "CreateDatabase", map[string]any{"DatabaseInput": map[string]any{"Name": ns[0]}}, nil)
	if is(err, "AlreadyExistsException") {
		return fmt.Errorf("%w: %w", catalog.ErrNamespaceAlreadyExists, err)
	}
	return err
}
