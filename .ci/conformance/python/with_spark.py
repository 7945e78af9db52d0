"""Spark on the Iceberg catalog of a broker: with_spark.py JARS URI TOPIC'S-TABLE.
Prints a JSON line per step: {"step", "got"} or {"step", "error"}."""

import json
import sys

from pyspark.sql import SparkSession

jars, uri, filled = sys.argv[1:]

spark = (
    SparkSession.builder.master("local[1]").appName("conformance")
    .config("spark.jars", jars)
    .config("spark.driver.memory", "1g").config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
    .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.sql.shuffle.partitions", "1").config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
    .config("spark.sql.catalog.tarn", "org.apache.iceberg.spark.SparkCatalog")
    .config("spark.sql.catalog.tarn.type", "rest").config("spark.sql.catalog.tarn.uri", uri)
    .config("spark.sql.catalog.tarn.cache-enabled", "false")
    .getOrCreate())
spark.sparkContext.setLogLevel("OFF")


def step(name, sql):
    try:
        rows = [[v if isinstance(v, (int, float, bool, type(None))) else str(v) for v in r] for r in spark.sql(sql).collect()]
        print(json.dumps({"step": name, "got": rows}), flush=True)
    except Exception as e:  # whatever Spark says is what the scenario judges
        print(json.dumps({"step": name, "error": f"{type(e).__name__}: {e}"[:2000]}), flush=True)


T = "tarn.spark.t"
step("namespace", "CREATE NAMESPACE tarn.spark")
step("namespaces", "SHOW NAMESPACES IN tarn")
step("create", f"CREATE TABLE {T} (id bigint NOT NULL, name string, at timestamp) USING iceberg PARTITIONED BY (days(at), bucket(4, id)) "
     "TBLPROPERTIES ('write.delete.mode'='merge-on-read', 'write.merge.mode'='merge-on-read')")
step("insert", f"INSERT INTO {T} SELECT id, concat('n', id), timestamp '2026-03-01 12:00:00' + make_interval(0,0,0,0,id,0,0) FROM range(20)")
step("insert again", f"INSERT INTO {T} SELECT id, concat('n', id), timestamp '2026-03-01 12:00:00' FROM range(20, 40)")
step("tag", f"ALTER TABLE {T} CREATE TAG first")
step("merge", f"MERGE INTO {T} t USING (SELECT id + 35 AS id FROM range(10)) s ON t.id = s.id "
     "WHEN MATCHED THEN UPDATE SET name = 'merged' WHEN NOT MATCHED THEN INSERT (id, name, at) VALUES (s.id, 'new', current_timestamp())")
step("delete", f"DELETE FROM {T} WHERE id < 5")
step("update", f"UPDATE {T} SET name = 'updated' WHERE id = 7")
step("count", f"SELECT count(*), sum(id), count_if(name = 'merged'), count_if(name = 'new'), count_if(name = 'updated') FROM {T}")
step("as of", f"SELECT count(*), sum(id) FROM {T} VERSION AS OF 'first'")
step("rewrite", "CALL tarn.system.rewrite_data_files(table => 'spark.t', options => map('rewrite-all', 'true'))")
step("rewrite manifests", "CALL tarn.system.rewrite_manifests('spark.t')")
step("evolve", f"ALTER TABLE {T} ADD COLUMN more string AFTER id")
step("rename column", f"ALTER TABLE {T} RENAME COLUMN name TO title")
step("partition", f"ALTER TABLE {T} DROP PARTITION FIELD bucket(4, id)")
step("order", f"ALTER TABLE {T} WRITE ORDERED BY id")
step("insert evolved", f"INSERT INTO {T} (id, more, title, at) VALUES (100, 'm', 't', timestamp '2026-03-02 00:00:00')")
step("expire", "CALL tarn.system.expire_snapshots(table => 'spark.t', older_than => TIMESTAMP '2100-01-01 00:00:00', retain_last => 1)")
step("count at the end", f"SELECT count(*), sum(id), count(more) FROM {T}")
step("rename", f"ALTER TABLE {T} RENAME TO spark.u")
step("view", "CREATE VIEW tarn.spark.v AS SELECT id FROM tarn.spark.u")
step("views", "SHOW VIEWS IN tarn.spark")
step("ctas", "CREATE TABLE tarn.spark.c USING iceberg AS SELECT * FROM tarn.spark.u")
step("replace", "CREATE OR REPLACE TABLE tarn.spark.c USING iceberg AS SELECT id FROM tarn.spark.u WHERE id > 90")
step("replaced", "SELECT * FROM tarn.spark.c")
step("tables", "SHOW TABLES IN tarn.spark")
step("topic", f"SELECT kafka_partition, count(*), min(kafka_offset), max(kafka_offset) FROM tarn.default.{filled} GROUP BY 1 ORDER BY 1")
step("topic rewritten", f"CALL tarn.system.rewrite_data_files(table => 'default.{filled}', options => map('rewrite-all', 'true'))")
step("topic expired", f"CALL tarn.system.expire_snapshots(table => 'default.{filled}', older_than => TIMESTAMP '2100-01-01 00:00:00', retain_last => 1)")
step("topic after", f"SELECT kafka_partition, count(*), min(kafka_offset), max(kafka_offset) FROM tarn.default.{filled} GROUP BY 1 ORDER BY 1")
step("topic refused", f"INSERT INTO tarn.default.{filled} SELECT * FROM tarn.default.{filled} LIMIT 1")
step("drop", "DROP TABLE tarn.spark.u PURGE")
step("drop the other", "DROP TABLE tarn.spark.c")
step("drop namespace", "DROP NAMESPACE tarn.spark")
spark.stop()
