package main

import (
	"cmp"
	"fmt"
	"strings"
)

// doors are how readers get into the Iceberg catalog that the tables are in. An
// empty one says that this reader has no way.
type doors struct {
	name     string // what readers call the catalog
	duckdb   string // statements; the last one attaches it
	spark    string // lines of settings, each with a break before it
	packages string // what Spark needs besides, each with a comma before it
	trino    string // lines of properties
	python   string // arguments of load_catalog behind the name
}

// doors are those of the catalog that topics' tables are in. Secrets are never
// in them: readers have their own, and where they go stands ID:SECRET or TOKEN.
func (p place) doors() doors {
	switch p.in.CatalogType {
	case "rest":
		return p.besideStore(p.restDoors())
	case "sql":
		return p.besideStore(p.sqlDoors())
	case "glue":
		return p.besideStore(p.glueDoors())
	}
	return doors{
		name:   "tarn",
		duckdb: fmt.Sprintf("ATTACH 'tarn' AS tarn (TYPE iceberg, ENDPOINT '%s', AUTHORIZATION_TYPE 'none', ACCESS_DELEGATION_MODE 'none');\n", p.catalog),
		spark:  conf("tarn", "type", "rest", "uri", p.catalog),
		trino:  "iceberg.catalog.type=rest\niceberg.rest-catalog.uri=" + p.catalog + "\n",
		python: fmt.Sprintf("type=\"rest\", uri=%q", p.catalog),
	}
}

// besideStore adds where a bucket is that is not Amazon's: Tarn's own catalog
// tells its clients, others need not.
func (p place) besideStore(d doors) doors {
	if p.bucket == nil || p.bucket.Endpoint == "" {
		return d
	}
	b := p.bucket
	d.spark += conf(d.name, "s3.endpoint", b.Endpoint, "s3.path-style-access", fmt.Sprint(b.PathStyle))
	if !strings.Contains(d.spark, ".client.region=") {
		d.spark += conf(d.name, "client.region", b.Region)
	}
	d.python += fmt.Sprintf(", **{\"s3.endpoint\": %q, \"s3.region\": %q}", b.Endpoint, b.Region)
	return d
}

// restDoors are those of an Iceberg REST catalog of others.
func (p place) restDoors() doors {
	c := p.in
	d := doors{
		name:   "tarn",
		spark:  conf("tarn", "type", "rest", "uri", c.CatalogURI, "warehouse", c.CatalogWarehouse),
		trino:  "iceberg.catalog.type=rest\niceberg.rest-catalog.uri=" + c.CatalogURI + "\n",
		python: fmt.Sprintf("type=\"rest\", uri=%q", c.CatalogURI),
	}
	if c.CatalogWarehouse != "" {
		d.trino += "iceberg.rest-catalog.warehouse=" + c.CatalogWarehouse + "\n"
		d.python += fmt.Sprintf(", warehouse=%q", c.CatalogWarehouse)
	}
	secret, how := "", ", AUTHORIZATION_TYPE 'none'"
	switch {
	case c.CatalogCredential != "":
		at := cmp.Or(c.CatalogOAuth, strings.TrimSuffix(strings.TrimRight(c.CatalogURI, "/"), "/v1")+"/v1/oauth/tokens")
		secret, how = fmt.Sprintf("CREATE SECRET (TYPE iceberg, CLIENT_ID 'ID', CLIENT_SECRET 'SECRET', OAUTH2_SERVER_URI '%s', OAUTH2_SCOPE '%s');\n", at, c.CatalogScope), ""
		d.spark += conf("tarn", "credential", "ID:SECRET", "oauth2-server-uri", c.CatalogOAuth, "scope", c.CatalogScope)
		d.trino += "iceberg.rest-catalog.security=OAUTH2\niceberg.rest-catalog.oauth2.credential=ID:SECRET\niceberg.rest-catalog.oauth2.scope=" + c.CatalogScope + "\n"
		d.python += fmt.Sprintf(", credential=\"ID:SECRET\", scope=%q", c.CatalogScope)
		if c.CatalogOAuth != "" {
			d.trino += "iceberg.rest-catalog.oauth2.server-uri=" + c.CatalogOAuth + "\n"
			d.python += fmt.Sprintf(", **{\"oauth2-server-uri\": %q}", c.CatalogOAuth)
		}
	case c.CatalogToken != "":
		secret, how = "CREATE SECRET (TYPE iceberg, TOKEN 'TOKEN');\n", ""
		d.spark += conf("tarn", "token", "TOKEN")
		d.trino += "iceberg.rest-catalog.security=OAUTH2\niceberg.rest-catalog.oauth2.token=TOKEN\n"
		d.python += `, token="TOKEN"`
	case c.CatalogSigV4:
		how = ", AUTHORIZATION_TYPE 'sigv4'"
		name := cmp.Or(c.CatalogSigner, "execute-api")
		d.spark += conf("tarn", "rest.sigv4-enabled", "true", "rest.signing-name", name, "rest.signing-region", c.CatalogRegion)
		d.trino = "" // which of its settings it is has changed between releases
		d.python += fmt.Sprintf(", **{\"rest.sigv4-enabled\": \"true\", \"rest.signing-name\": %q, \"rest.signing-region\": %q}", name, c.CatalogRegion)
	}
	d.duckdb = fmt.Sprintf("%sATTACH '%s' AS tarn (TYPE iceberg, ENDPOINT '%s'%s);\n", secret, c.CatalogWarehouse, c.CatalogURI, how)
	return d
}

// sqlDoors are those of an SQLite file, which is found by the catalog's name.
// DuckDB and Trino read none.
func (p place) sqlDoors() doors {
	c := p.in
	return doors{
		name: c.CatalogName,
		spark: conf(c.CatalogName, "type", "jdbc", "uri", "jdbc:sqlite:"+strings.TrimPrefix(c.CatalogURI, "sqlite:///"),
			"jdbc.schema-version", "V1", "warehouse", p.warehouse),
		packages: ",org.xerial:sqlite-jdbc:3.50.3.0",
		python:   fmt.Sprintf("type=\"sql\", uri=%q", c.CatalogURI),
	}
}

// glueDoors are those of Glue's Data Catalog.
func (p place) glueDoors() doors {
	c := p.in
	d := doors{
		name:   "tarn",
		duckdb: "ATTACH 'ACCOUNT-ID' AS tarn (TYPE iceberg, ENDPOINT_TYPE 'glue');\n",
		spark:  conf("tarn", "type", "glue", "client.region", c.CatalogRegion, "glue.endpoint", c.CatalogURI),
		trino:  "iceberg.catalog.type=glue\n",
		python: `type="glue"`,
	}
	if c.CatalogRegion != "" {
		d.trino += "hive.metastore.glue.region=" + c.CatalogRegion + "\n"
	}
	more := ""
	for _, kv := range [][2]string{{"glue.region", c.CatalogRegion}, {"glue.endpoint", c.CatalogURI}} {
		if kv[1] != "" {
			more += fmt.Sprintf("%q: %q, ", kv[0], kv[1])
		}
	}
	if more != "" {
		d.python += ", **{" + strings.TrimSuffix(more, ", ") + "}"
	}
	if c.CatalogURI != "" { // another than Amazon's, which DuckDB does not ask
		d.duckdb = ""
		d.trino += "hive.metastore.glue.endpoint-url=" + c.CatalogURI + "\n"
	}
	return d
}

// conf are Spark's lines for settings of a catalog, given as keys and values;
// empty values are left out.
func conf(catalog string, pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(&b, " \\\n  --conf spark.sql.catalog.%s.%s=%s", catalog, pairs[i], pairs[i+1])
		}
	}
	return b.String()
}
