package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob/cloud"
	"github.com/tarn-io/tarn/tables/blob/s3"
)

// TestSnippets wants a way for each reader, complete for a directory and a
// bucket, without secrets.
func TestSnippets(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hidden")
	t.Setenv("AZURE_STORAGE_KEY", "hidden")
	st := func(base string) sink.Status {
		s := sink.Status{Topic: "orders", Table: "orders"}
		for _, f := range []string{"iceberg", "delta", "parquet"} {
			s.Formats = append(s.Formats, sink.FormatStatus{Status: tables.Status{Format: f, Location: base + "/default/orders/" + f}})
		}
		s.Formats = append(s.Formats, sink.FormatStatus{Status: tables.Status{Format: "delta"}}) // not made yet
		return s
	}
	for _, tt := range []struct {
		name string
		p    place
		base string
		want map[string]string // format/reader to a part of the text
		not  string
	}{
		{
			name: "directory", p: place{catalog: "http://h:8081/iceberg"}, base: "file:///w",
			want: map[string]string{
				"iceberg/duckdb": "ENDPOINT 'http://h:8081/iceberg'", "iceberg/spark": "uri=http://h:8081/iceberg \\\n", "iceberg/trino": "rest-catalog.uri=http://h:8081/iceberg",
				"iceberg/pyiceberg": `uri="http://h:8081/iceberg").load_table("default.orders")`, "iceberg/polars": "scan_iceberg(table)",
				"delta/duckdb": "delta_scan('file:///w/default/orders/delta')", "delta/spark": "delta.`file:///w/default/orders/delta`", "delta/trino": "-- fs.hadoop.enabled=true\nCREATE SCHEMA IF NOT EXISTS delta.\"default\";\nCALL delta.system.register_table(schema_name => 'default', table_name => 'orders', table_location => 'file:///w/default/orders/delta'",
				"delta/delta-rs": `DeltaTable("file:///w/default/orders/delta").`, "delta/polars": `scan_delta("file:///w/default/orders/delta").`,
				"parquet/duckdb": "read_parquet('/w/default/orders/parquet/*.parquet', union_by_name = true)", "parquet/spark": `parquet("file:///w/default/orders/parquet/*.parquet")`,
				"parquet/polars": `scan_parquet("/w/default/orders/parquet/*.parquet"`,
			}, not: "s3",
		},
		{
			name: "bucket", p: place{catalog: "http://h:8081/iceberg", bucket: &s3.Config{Bucket: "lake", Region: "eu-west-1", Endpoint: "http://127.0.0.1:7070", PathStyle: true}}, base: "s3://lake",
			want: map[string]string{
				"iceberg/duckdb": "REGION 'eu-west-1', ENDPOINT '127.0.0.1:7070', USE_SSL false, URL_STYLE 'path'", "iceberg/spark": "S3FileIO \\\n", "iceberg/trino": "s3.endpoint=http://127.0.0.1:7070\ns3.path-style-access=true",
				"iceberg/pyiceberg": "load_table", "iceberg/polars": "scan_iceberg(table)",
				"delta/duckdb": "delta_scan('s3://lake/default/orders/delta')", "delta/spark": "delta.`s3a://lake/default/orders/delta`", "delta/trino": "-- s3.path-style-access=true\nCREATE SCHEMA",
				"delta/delta-rs": `storage_options={"aws_region": "eu-west-1", "aws_endpoint_url": "http://127.0.0.1:7070", "aws_allow_http": "true"}`, "delta/polars": `"aws_region"`,
				"parquet/duckdb": "read_parquet('s3://lake/default/orders/parquet/*.parquet'", "parquet/spark": "s3a://lake/", "parquet/polars": "s3://lake/",
			}, not: "hidden",
		},
		{
			name: "Google", p: place{catalog: "http://h:8081/iceberg", cloud: &cloud.Config{Kind: cloud.GCS, Bucket: "lake"}}, base: "gs://lake",
			want: map[string]string{
				"iceberg/duckdb":    "TYPE gcs",
				"iceberg/spark":     "iceberg-gcp-bundle:1.10.1 ",
				"iceberg/trino":     "fs.native-gcs.enabled=true",
				"iceberg/pyiceberg": "load_table",
				"iceberg/polars":    "scan_iceberg(table)",
				"delta/duckdb":      "delta_scan('gs://lake/default/orders/delta')",
				"delta/spark":       "delta.`gs://lake/default/orders/delta`",
				"delta/trino":       "table_location => 'gs://lake/default/orders/delta'",
				"delta/delta-rs":    "DeltaTable(\"gs://lake/default/orders/delta\")",
				"delta/polars":      "scan_delta",
				"parquet/duckdb":    "read_parquet('gs://lake/default/orders/parquet/*.parquet'",
				"parquet/spark":     "gs://lake",
				"parquet/polars":    "gs://lake",
			}, not: "hidden",
		},
		{
			name: "Azure", p: place{catalog: "http://h:8081/iceberg", cloud: &cloud.Config{Kind: cloud.Azure, Bucket: "lake", Account: "me"}}, base: "abfss://lake@me.dfs.core.windows.net",
			want: map[string]string{
				"iceberg/duckdb":    "ACCOUNT_NAME 'me'",
				"iceberg/spark":     "ADLSFileIO",
				"iceberg/trino":     "azure.auth-type=DEFAULT",
				"iceberg/pyiceberg": "load_table",
				"iceberg/polars":    "scan_iceberg(table)",
				"delta/duckdb":      "delta_scan('abfss://lake@me.dfs.core.windows.net/default/orders/delta')",
				"delta/spark":       "delta.`abfss://lake@me.dfs.core.windows.net/default/orders/delta`",
				"delta/trino":       "table_location => 'abfss://lake@me.dfs.core.windows.net/default/orders/delta'",
				"delta/delta-rs":    "DeltaTable(\"abfss://lake@me.dfs.core.windows.net/default/orders/delta\")",
				"delta/polars":      "scan_delta",
				"parquet/duckdb":    "read_parquet('abfss://lake@me.dfs.core.windows.net/default/orders/parquet/*.parquet'",
				"parquet/spark":     "abfss://lake@me.dfs.core.windows.net",
				"parquet/polars":    "abfss://lake@me.dfs.core.windows.net",
			}, not: "hidden",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := map[string]string{}
			for _, s := range tt.p.snippets(st(tt.base)) {
				got[s.Format+"/"+s.Reader] = s.Text
				if strings.Contains(s.Text, tt.not) || strings.Contains(s.Text, "%!") || s.Language == "" {
					t.Errorf("%s: %s", s.Reader, s.Text)
				}
			}
			for name, part := range tt.want {
				if !strings.Contains(got[name], part) {
					t.Errorf("%s: got %q, want %q in it", name, got[name], part)
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("%d snippets, want %d", len(got), len(tt.want))
			}
			if text, err := json.Marshal(tableStatus{Status: st(tt.base)}); err != nil || !strings.Contains(string(text), `"topic":"orders"`) {
				t.Errorf("status as JSON: %s, %v", text, err)
			}
		})
	}
}

// TestSnippetsElsewhere wants the ways into the catalog that the tables are in,
// which is not Tarn's own, without what Tarn signs in with.
func TestSnippetsElsewhere(t *testing.T) {
	minio := &s3.Config{Bucket: "lake", Region: "eu-west-1", Endpoint: "http://127.0.0.1:7070", PathStyle: true}
	for _, tt := range []struct {
		name string
		in   catalogFlags
		b    *s3.Config
		want map[string][]string // reader to parts of the text
	}{
		{"credential", catalogFlags{CatalogType: "rest", CatalogURI: "https://c/api", CatalogWarehouse: "w", CatalogNamespace: "n", CatalogCredential: "me:hidden", CatalogScope: "all"}, nil, map[string][]string{
			"duckdb":    {"CLIENT_ID 'ID', CLIENT_SECRET 'SECRET', OAUTH2_SERVER_URI 'https://c/api/v1/oauth/tokens', OAUTH2_SCOPE 'all'", "ATTACH 'w' AS tarn (TYPE iceberg, ENDPOINT 'https://c/api');", `FROM tarn."n".orders`},
			"spark":     {"tarn.uri=https://c/api \\\n", "tarn.warehouse=w \\\n", "tarn.credential=ID:SECRET \\\n", "tarn.scope=all \\\n  -e 'SELECT * FROM tarn.n.orders'"},
			"trino":     {"rest-catalog.uri=https://c/api\n", "rest-catalog.warehouse=w\n", "security=OAUTH2\n", "oauth2.credential=ID:SECRET\n"},
			"pyiceberg": {`type="rest", uri="https://c/api", warehouse="w", credential="ID:SECRET", scope="all").load_table("n.orders")`},
			"polars":    {"scan_iceberg"},
		}},
		{"token", catalogFlags{CatalogType: "rest", CatalogURI: "https://c", CatalogNamespace: "n", CatalogToken: "hidden"}, minio, map[string][]string{
			"duckdb":    {"(TYPE iceberg, TOKEN 'TOKEN')", "ENDPOINT '127.0.0.1:7070'"},
			"spark":     {"tarn.token=TOKEN \\\n", "tarn.s3.endpoint=http://127.0.0.1:7070 \\\n", "tarn.client.region=eu-west-1"},
			"trino":     {"oauth2.token=TOKEN\n", "s3.endpoint=http://127.0.0.1:7070"},
			"pyiceberg": {`token="TOKEN", **{"s3.endpoint": "http://127.0.0.1:7070", "s3.region": "eu-west-1"})`},
			"polars":    {"scan_iceberg"},
		}},
		{"Glue", catalogFlags{CatalogType: "glue", CatalogRegion: "eu-west-1", CatalogNamespace: "n"}, &s3.Config{Bucket: "lake", Region: "eu-west-1"}, map[string][]string{
			"duckdb":    {"ENDPOINT_TYPE 'glue'"},
			"spark":     {"tarn.type=glue", "tarn.client.region=eu-west-1", "aws.s3.S3FileIO", "iceberg-aws-bundle"},
			"trino":     {"iceberg.catalog.type=glue\nhive.metastore.glue.region=eu-west-1\n"},
			"pyiceberg": {`type="glue", **{"glue.region": "eu-west-1"}).load_table("n.orders")`},
			"polars":    {"scan_iceberg"},
		}},
		{"a file", catalogFlags{CatalogType: "sql", CatalogURI: "sqlite:////d/c.db", CatalogName: "mine", CatalogNamespace: "n"}, nil, map[string][]string{
			"spark":     {"catalog.mine.type=jdbc", "mine.uri=jdbc:sqlite:/d/c.db", "mine.warehouse=file:///w", "FROM mine.n.orders"},
			"pyiceberg": {`load_catalog("mine", type="sql", uri="sqlite:////d/c.db").load_table("n.orders")`},
			"polars":    {"scan_iceberg"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := sink.Status{Table: "orders", Formats: []sink.FormatStatus{{Status: tables.Status{Format: "iceberg", Location: "file:///w/n/orders/iceberg/1"}}}}
			p := place{catalog: "http://own/iceberg", in: tt.in, bucket: tt.b, warehouse: "file:///w"}
			got := map[string]string{}
			for _, s := range p.snippets(st) {
				got[s.Reader] = s.Text
				if strings.Contains(s.Text, "hidden") || strings.Contains(s.Text, "own") || strings.Contains(s.Text, "%!") {
					t.Errorf("%s: %s", s.Reader, s.Text)
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("%d snippets, want %d", len(got), len(tt.want))
			}
			for reader, parts := range tt.want {
				for _, part := range parts {
					if !strings.Contains(got[reader], part) {
						t.Errorf("%s: got %q, want %q in it", reader, got[reader], part)
					}
				}
			}
		})
	}
}

// TestDuckFrom: the line that tarn sql --duckdb prints reads what there is, and tells
// DuckDB of a bucket and of a catalog before.
func TestDuckFrom(t *testing.T) {
	local := place{catalog: "http://h:8081/iceberg", warehouse: "file:///srv/lake"}
	bucket := place{catalog: "http://h:8081/iceberg", warehouse: "s3://lake/shop", bucket: &s3.Config{Bucket: "lake", Region: "r"}}
	for _, tt := range []struct {
		p            place
		formats      []string
		before, from string
	}{
		{local, []string{"iceberg", "delta", "parquet"}, "", "read_parquet('/srv/lake/default/orders/parquet/*.parquet', union_by_name = true)"},
		{local, []string{"iceberg", "delta"}, "", "delta_scan('/srv/lake/default/orders/delta')"},
		{local, []string{"iceberg"}, "ATTACH 'tarn' AS tarn (TYPE iceberg", `tarn."default"."orders"`},
		{local, nil, "", ""},
		{bucket, []string{"delta"}, "CREATE SECRET (TYPE s3,", "delta_scan('s3://lake/shop/default/orders/delta')"},
		{place{in: catalogFlags{CatalogType: "sql", CatalogURI: "sqlite:///c.db"}}, []string{"iceberg"}, "", ""},
	} {
		before, from := tt.p.duckFrom(tt.formats, "default", "orders")
		if from != tt.from || !strings.Contains(before, tt.before) || tt.before == "" && before != "" || strings.Contains(before, "\n") {
			t.Errorf("%v: got %q, %q", tt.formats, before, from)
		}
	}
}
