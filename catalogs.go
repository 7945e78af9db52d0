package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/catalog/glue"
	"github.com/tarn-io/tarn/tables/catalog/rest"
	"github.com/tarn-io/tarn/tables/catalog/sql"
	"github.com/tarn-io/tarn/tables/iceberg"
)

// catalogFlags say which catalog the Iceberg tables of topics are in. Tarn's own
// is served in any case, at /iceberg.
type catalogFlags struct {
	CatalogType       string `name:"catalog.type" enum:"tarn,rest,sql,glue" default:"tarn" help:"Catalog of topics' Iceberg tables: tarn (its own), rest (an Iceberg REST catalog), sql (an SQLite file, as pyiceberg and Java have it), glue (AWS Glue)."`
	CatalogURI        string `name:"catalog.uri" placeholder:"URL" help:"Where the catalog is: http(s)://HOST/PATH of a REST catalog, sqlite:////PATH of an SQL one; Glue's endpoint, if not Amazon's."`
	CatalogWarehouse  string `name:"catalog.warehouse" placeholder:"NAME" help:"What a REST catalog calls its warehouse. Its place and that of --warehouse must be the same."`
	CatalogName       string `name:"catalog.name" default:"tarn" help:"Name of an SQL catalog: one file may hold several."`
	CatalogNamespace  string `name:"catalog.namespace" default:"default" help:"Namespace of topics' tables, and folder in the warehouse."`
	CatalogToken      string `name:"catalog.token" placeholder:"TOKEN" help:"Bearer token for a REST catalog; better by TARN_CATALOG_TOKEN."`
	CatalogCredential string `name:"catalog.credential" placeholder:"ID:SECRET" help:"OAuth2 client credentials for a REST catalog; better by TARN_CATALOG_CREDENTIAL."`
	CatalogOAuth      string `name:"catalog.oauth2-server-uri" placeholder:"URL" help:"Where credentials are exchanged for tokens; default: /v1/oauth/tokens of the catalog."`
	CatalogScope      string `name:"catalog.scope" default:"catalog" help:"OAuth2 scope to ask for."`
	CatalogSigV4      bool   `name:"catalog.sigv4" help:"Sign requests to a REST catalog as Amazon's services want it, with the environment's credentials."`
	CatalogSigner     string `name:"catalog.signing-name" placeholder:"NAME" help:"Service that requests are signed for: glue, s3tables, execute-api (default)."`
	CatalogRegion     string `name:"catalog.region" placeholder:"NAME" help:"Amazon's region; default: the environment's."`
}

// ownCatalog is the type of Tarn's own.
const ownCatalog = "tarn"

// catalogs is the type of the catalog that topics' tables are in.
func (n *node) catalogs() string { return cmp.Or(n.cmd.CatalogType, ownCatalog) }

// openCatalog returns the catalog that topics' tables are in. Nobody is asked
// for anything yet: a catalog that is down stops the tables and not the broker.
func (n *node) openCatalog() (iceberg.Catalog, error) {
	c := n.cmd.catalogFlags
	switch n.catalogs() {
	case ownCatalog:
		for flag, value := range map[string]string{"uri": c.CatalogURI, "warehouse": c.CatalogWarehouse, "token": c.CatalogToken, "credential": c.CatalogCredential} {
			if value != "" {
				return nil, fmt.Errorf("--catalog.%s is set, and the catalog is Tarn's own: set --catalog.type too", flag)
			}
		}
		return n.catalog, nil
	case "rest":
		conf := rest.Config{
			URI: c.CatalogURI, Warehouse: c.CatalogWarehouse, Store: n.store,
			Token: c.CatalogToken, Credential: c.CatalogCredential, OAuthURI: c.CatalogOAuth, Scope: c.CatalogScope,
		}
		if c.CatalogSigV4 {
			conf.SigV4 = &rest.SigV4{Region: c.CatalogRegion, Service: c.CatalogSigner}
		}
		client, err := rest.New(conf)
		if err != nil {
			return nil, fmt.Errorf("--catalog.type rest: %w", err)
		}
		return client, nil
	case "sql":
		pointers, err := sql.New(c.CatalogURI, c.CatalogName)
		if err != nil {
			return nil, fmt.Errorf("--catalog.type sql: %w", err)
		}
		n.closers = append(n.closers, pointers.Close)
		return catalog.NewPointed(pointers, n.store), nil
	case "glue":
		pointers := glue.New(glue.Config{Region: c.CatalogRegion, Endpoint: c.CatalogURI})
		return catalog.NewPointed(pointers, n.store), nil
	}
	return nil, errors.New("--catalog.type: tarn, rest, sql or glue")
}
