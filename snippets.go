package main

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables/blob/cloud"
	"github.com/tarn-io/tarn/tables/blob/s3"
)

// snippet is how one reader opens one format's table, to be copied.
type snippet struct {
	Reader string `json:"reader"`
	Format string `json:"format"`
	// Language is that of Text: sql, python, scala or properties.
	Language string `json:"language"`
	Text     string `json:"text"`
}

// tableStatus is a topic's status with what readers need to open its tables.
type tableStatus struct {
	sink.Status
	Snippets []snippet `json:"snippets"`
}

// tableStatusAPI answers the status of one topic's tables.
func (n *node) tableStatusAPI(w http.ResponseWriter, r *http.Request) {
	st, err := n.sinks.Status(r.Context(), r.PathValue("topic"))
	if err != nil {
		reply(w)(nil, err)
		return
	}
	answer(w, http.StatusOK, tableStatus{st, n.place(r).snippets(st)})
}

// place is where tables are for who asks.
func (n *node) place(r *http.Request) place {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	p := place{catalog: scheme + r.Host + "/iceberg", in: n.cmd.catalogFlags, warehouse: n.store.URL("")}
	switch store := n.store.(type) {
	case *s3.Store:
		c := store.Config()
		p.bucket = &c
	case *cloud.Store:
		c := store.Config()
		p.cloud = &c
	}
	return p
}

// place is where tables are, as a reader must know it.
type place struct {
	catalog   string        // address of Tarn's own Iceberg catalog
	in        catalogFlags  // which catalog the tables are in; the zero value is Tarn's own
	warehouse string        // address of the warehouse, for catalogs that want it
	bucket    *s3.Config    // nil: none on S3
	cloud     *cloud.Config // nil: none at Google or Azure; both nil: a local directory
}

// snippets are all ways to open a topic's tables. Credentials of a bucket are
// never among them: readers find them where Amazon's tools do.
func (p place) snippets(st sink.Status) []snippet {
	out := []snippet{}
	for _, f := range st.Formats {
		if f.Location == "" {
			continue // not made yet
		}
		switch f.Format {
		case "iceberg":
			out = append(out, p.iceberg(st.Table)...)
		case "delta":
			out = append(out, p.delta(st.Table, f.Location)...)
		case "parquet":
			out = append(out, p.parquet(f.Location)...)
		}
	}
	return out
}

func (p place) iceberg(table string) []snippet {
	const spark = `spark-sql --packages org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.10.1%s%s \
  --conf spark.sql.catalog.%[3]s=org.apache.iceberg.spark.SparkCatalog%[4]s%[5]s \
  -e 'SELECT * FROM %[3]s.%[6]s.%[7]s'`
	d, namespace := p.doors(), cmp.Or(p.in.CatalogNamespace, "default")
	bundle, io := p.icebergIO(d.name)
	python := fmt.Sprintf(`from pyiceberg.catalog import load_catalog
table = load_catalog(%q, %s).load_table("%s.%s")
`, d.name, d.python, namespace, table)
	out := []snippet{}
	if d.duckdb != "" {
		out = append(out, snippet{"duckdb", "iceberg", "sql",
			p.duckSecret() + "INSTALL iceberg; LOAD iceberg;\n" + d.duckdb + fmt.Sprintf(`SELECT * FROM tarn."%s".%s;`, namespace, table)})
	}
	out = append(out, snippet{"spark", "iceberg", "shell", fmt.Sprintf(spark, bundle, d.packages, d.name, d.spark, io, namespace, table)})
	if d.trino != "" {
		out = append(out, snippet{"trino", "iceberg", "properties",
			"# etc/catalog/tarn.properties\nconnector.name=iceberg\n" + d.trino + p.trinoStore() + fmt.Sprintf(`# then: SELECT * FROM tarn."%s".%s`, namespace, table)})
	}
	return append(out,
		snippet{"pyiceberg", "iceberg", "python", python + "print(table.scan().to_arrow())"},
		snippet{"polars", "iceberg", "python", python + "import polars as pl\nprint(pl.scan_iceberg(table).collect())"})
}

func (p place) delta(table, at string) []snippet {
	options := p.pythonOptions()
	delta := fmt.Sprintf("DeltaTable(%q%s)", at, options)
	return []snippet{
		{"duckdb", "delta", "sql", p.duckSecret() + fmt.Sprintf("INSTALL delta; LOAD delta;\nSELECT * FROM delta_scan('%s');", at)},
		{"spark", "delta", "shell", fmt.Sprintf(`spark-sql --packages io.delta:delta-spark_2.13:4.0.0%s \
  --conf spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension \
  --conf spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog%s \
  -e 'SELECT * FROM delta.`+"`%s`'", p.hadoopPackage(), p.hadoopConf(), p.hadoop(at))},
		{"trino", "delta", "sql", fmt.Sprintf(`-- etc/catalog/delta.properties
-- connector.name=delta_lake
-- hive.metastore=file
-- hive.metastore.catalog.dir=/var/lib/trino/metastore
-- delta.register-table-procedure.enabled=true
%sCREATE SCHEMA IF NOT EXISTS delta."default";
CALL delta.system.register_table(schema_name => 'default', table_name => '%s', table_location => '%s');
SELECT * FROM delta."default".%s;`, comments(p.trinoStore()), table, at, table)},
		{"delta-rs", "delta", "python", "from deltalake import DeltaTable\nprint(" + delta + ".to_pyarrow_table())"},
		{"polars", "delta", "python", fmt.Sprintf("import polars as pl\nprint(pl.scan_delta(%q%s).collect())", at, options)},
	}
}

func (p place) parquet(at string) []snippet {
	glob := strings.TrimSuffix(at, "/") + "/*.parquet"
	return []snippet{
		{"duckdb", "parquet", "sql", p.duckSecret() + fmt.Sprintf("SELECT * FROM read_parquet('%s', union_by_name = true);", strings.TrimPrefix(glob, "file://"))},
		{"spark", "parquet", "scala", fmt.Sprintf(`spark.read.option("mergeSchema", "true").parquet(%q).show()`, p.hadoop(glob))},
		{"polars", "parquet", "python", fmt.Sprintf("import polars as pl\nprint(pl.scan_parquet(%q, missing_columns=\"insert\", extra_columns=\"ignore\"%s).collect())",
			strings.TrimPrefix(glob, "file://"), p.pythonOptions())},
	}
}

// icebergIO is what Iceberg's Java library needs for the store, in Spark's
// catalog of that name.
func (p place) icebergIO(catalog string) (bundle, settings string) {
	var class string
	switch {
	case p.bucket != nil:
		bundle, class = "aws", "aws.s3.S3FileIO"
	case p.cloud == nil:
		return "", ""
	case p.cloud.Kind == cloud.GCS:
		bundle, class = "gcp", "gcp.gcs.GCSFileIO"
	default:
		bundle, class = "azure", "azure.adlsv2.ADLSFileIO"
	}
	return ",org.apache.iceberg:iceberg-" + bundle + "-bundle:1.10.1", conf(catalog, "io-impl", "org.apache.iceberg."+class)
}

// hadoop is an address as Hadoop's file systems want it.
func (p place) hadoop(at string) string {
	if p.bucket != nil {
		return "s3a" + strings.TrimPrefix(at, "s3")
	}
	return at
}

func (p place) hadoopPackage() string {
	switch {
	case p.cloud != nil && p.cloud.Kind == cloud.GCS:
		return ",com.google.cloud.bigdataoss:gcs-connector:hadoop3-2.2.26"
	case p.cloud != nil:
		return ",org.apache.hadoop:hadoop-azure:3.4.1"
	case p.bucket == nil:
		return ""
	}
	return ",org.apache.hadoop:hadoop-aws:3.4.1"
}

func (p place) hadoopConf() string {
	if p.cloud != nil && p.cloud.Kind == cloud.Azure {
		return fmt.Sprintf(" \\\n  --conf spark.hadoop.fs.azure.account.key.%s.dfs.core.windows.net=$AZURE_STORAGE_KEY", p.cloud.Account)
	}
	if p.bucket == nil || p.bucket.Endpoint == "" {
		return ""
	}
	return fmt.Sprintf(" \\\n  --conf spark.hadoop.fs.s3a.endpoint=%s --conf spark.hadoop.fs.s3a.path.style.access=%t", p.bucket.Endpoint, p.bucket.PathStyle)
}

// duckSecret tells DuckDB of a bucket; the keys come from the environment.
func (p place) duckSecret() string {
	switch {
	case p.cloud != nil && p.cloud.Kind == cloud.GCS:
		return "INSTALL httpfs; LOAD httpfs;\nCREATE SECRET (TYPE gcs, KEY_ID 'HMAC-KEY', SECRET 'HMAC-SECRET');\n"
	case p.cloud != nil:
		return fmt.Sprintf("INSTALL azure; LOAD azure;\nCREATE SECRET (TYPE azure, PROVIDER credential_chain, ACCOUNT_NAME '%s');\n", p.cloud.Account)
	case p.bucket == nil:
		return ""
	}
	more := ""
	if e := p.bucket.Endpoint; e != "" {
		host := e[strings.Index(e, "://")+len("://"):]
		more = fmt.Sprintf(", ENDPOINT '%s', USE_SSL %t", host, strings.HasPrefix(e, "https"))
		if p.bucket.PathStyle {
			more += ", URL_STYLE 'path'"
		}
	}
	return fmt.Sprintf("INSTALL httpfs; LOAD httpfs; INSTALL aws; LOAD aws;\nCREATE SECRET (TYPE s3, PROVIDER credential_chain, REGION '%s'%s);\n", p.bucket.Region, more)
}

// duckFrom is how DuckDB reads a topic's table: what has to be run before it, and the
// expression. It reads the files of plain Parquet, else a Delta table, else by the
// catalog; the expression is empty if it has no way.
func (p place) duckFrom(formats []string, namespace, table string) (before, from string) {
	base := strings.TrimPrefix(strings.TrimSuffix(p.warehouse, "/"), "file://") + "/" + namespace + "/" + table
	switch door := p.doors().duckdb; {
	case slices.Contains(formats, "parquet"):
		before, from = p.duckSecret(), "read_parquet('"+base+"/parquet/*.parquet', union_by_name = true)"
	case slices.Contains(formats, "delta"):
		before, from = p.duckSecret(), "delta_scan('"+base+"/delta')"
	case slices.Contains(formats, "iceberg") && door != "":
		before, from = p.duckSecret()+"INSTALL iceberg; LOAD iceberg; "+door, fmt.Sprintf(`tarn."%s"."%s"`, namespace, table)
	}
	return strings.ReplaceAll(before, "\n", " "), from
}

func (p place) trinoStore() string {
	switch {
	case p.cloud != nil && p.cloud.Kind == cloud.GCS:
		return "fs.native-gcs.enabled=true\n"
	case p.cloud != nil:
		return "fs.native-azure.enabled=true\nazure.auth-type=DEFAULT\n"
	case p.bucket == nil:
		return "fs.hadoop.enabled=true\n"
	}
	text := fmt.Sprintf("fs.native-s3.enabled=true\ns3.region=%s\n", p.bucket.Region)
	if p.bucket.Endpoint != "" {
		text += fmt.Sprintf("s3.endpoint=%s\ns3.path-style-access=%t\n", p.bucket.Endpoint, p.bucket.PathStyle)
	}
	return text
}

// comments are lines as comments of SQL.
func comments(lines string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		b.WriteString("-- " + line)
	}
	return b.String()
}

// pythonOptions are the storage options of delta-rs and Polars.
func (p place) pythonOptions() string {
	if p.bucket == nil {
		return ""
	}
	options := fmt.Sprintf("%q: %q", "aws_region", p.bucket.Region)
	if e := p.bucket.Endpoint; e != "" {
		options += fmt.Sprintf(", %q: %q, %q: \"%t\"", "aws_endpoint_url", e, "aws_allow_http", strings.HasPrefix(e, "http:"))
	}
	return ", storage_options={" + options + "}"
}
