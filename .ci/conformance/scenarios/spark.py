"""Spark makes tables in the catalog, writes, merges, changes and maintains them,
and maintains a topic's, whose rows stay what they are."""

import engines


def run(t):
    on(t, t.broker)


def on(t, broker, **store):
    """The scenario on a broker whose tables lie where Spark is told by these."""
    topic = "for_spark"
    with t.check("a table that a topic fills"):
        ends = engines.fill(t, topic, broker=broker)
    engine = engines.Spark(t.work, f"{broker.http}/iceberg", **store)
    engines.judge(t, engine, [
        ("namespace", "CREATE NAMESPACE tarn.spark", None),
        ("namespaces", "SHOW NAMESPACES IN tarn", None),
        ("create", "CREATE TABLE tarn.spark.t (id bigint NOT NULL, name string, at timestamp) USING iceberg PARTITIONED BY (days(at), bucket(4, id)) TBLPROPERTIES ('write.delete.mode'='merge-on-read', 'write.merge.mode'='merge-on-read')", None),
        ("insert", "INSERT INTO tarn.spark.t SELECT id, concat('n', id), timestamp '2026-03-01 12:00:00' + make_interval(0,0,0,0,id,0,0) FROM range(20)", None),
        ("insert again", "INSERT INTO tarn.spark.t SELECT id, concat('n', id), timestamp '2026-03-01 12:00:00' FROM range(20, 40)", None),
        ("tag", "ALTER TABLE tarn.spark.t CREATE TAG first", None),
        ("merge", "MERGE INTO tarn.spark.t t USING (SELECT id + 35 AS id FROM range(10)) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = 'merged' WHEN NOT MATCHED THEN INSERT (id, name, at) VALUES (s.id, 'new', current_timestamp())", None),
        ("delete", "DELETE FROM tarn.spark.t WHERE id < 5", None),
        ("update", "UPDATE tarn.spark.t SET name = 'updated' WHERE id = 7", None),
        ("count", "SELECT count(*), sum(id), count_if(name = 'merged'), count_if(name = 'new'), count_if(name = 'updated') FROM tarn.spark.t", [[40, 980, 5, 5, 1]]),
        ("as of", "SELECT count(*), sum(id) FROM tarn.spark.t VERSION AS OF 'first'", [[40, 780]]),
        ("rewrite", "CALL tarn.system.rewrite_data_files(table => 'spark.t', options => map('rewrite-all', 'true'))", None),
        ("rewrite manifests", "CALL tarn.system.rewrite_manifests('spark.t')", None),
        ("evolve", "ALTER TABLE tarn.spark.t ADD COLUMN more string AFTER id", None),
        ("rename column", "ALTER TABLE tarn.spark.t RENAME COLUMN name TO title", None),
        ("partition", "ALTER TABLE tarn.spark.t DROP PARTITION FIELD bucket(4, id)", None),
        ("order", "ALTER TABLE tarn.spark.t WRITE ORDERED BY id", None),
        ("insert evolved", "INSERT INTO tarn.spark.t (id, more, title, at) VALUES (100, 'm', 't', timestamp '2026-03-02 00:00:00')", None),
        ("expire", "CALL tarn.system.expire_snapshots(table => 'spark.t', older_than => TIMESTAMP '2100-01-01 00:00:00', retain_last => 1)", None),
        ("count at the end", "SELECT count(*), sum(id), count(more) FROM tarn.spark.t", [[41, 1080, 1]]),
        ("rename", "ALTER TABLE tarn.spark.t RENAME TO spark.u", None),
        ("view", "CREATE VIEW tarn.spark.v AS SELECT id FROM tarn.spark.u", "does not support endpoint"),
        ("views", "SHOW VIEWS IN tarn.spark", []),
        ("ctas", "CREATE TABLE tarn.spark.c USING iceberg AS SELECT * FROM tarn.spark.u", None),
        ("replace", "CREATE OR REPLACE TABLE tarn.spark.c USING iceberg AS SELECT id FROM tarn.spark.u WHERE id > 90", None),
        ("replaced", "SELECT * FROM tarn.spark.c", [[100]]),
        ("tables", "SHOW TABLES IN tarn.spark", [["spark", "c", False], ["spark", "u", False]]),
        ("topic", f"SELECT kafka_partition, count(*), min(kafka_offset), max(kafka_offset) FROM tarn.default.{topic} GROUP BY 1 ORDER BY 1", ends),
        ("topic rewritten", f"CALL tarn.system.rewrite_data_files(table => 'default.{topic}', options => map('rewrite-all', 'true'))", None),
        ("topic expired", f"CALL tarn.system.expire_snapshots(table => 'default.{topic}', older_than => TIMESTAMP '2100-01-01 00:00:00', retain_last => 1)", None),
        ("topic after", f"SELECT kafka_partition, count(*), min(kafka_offset), max(kafka_offset) FROM tarn.default.{topic} GROUP BY 1 ORDER BY 1", ends),
        ("topic refused", f"INSERT INTO tarn.default.{topic} SELECT * FROM tarn.default.{topic} LIMIT 1", "tarn.table.foreign"),
        ("drop", "DROP TABLE tarn.spark.u PURGE", None),
        ("drop the other", "DROP TABLE tarn.spark.c", None),
        ("drop namespace", "DROP NAMESPACE tarn.spark", None),
    ])
    engine.stop()
    with t.check("tarn table verify"):
        broker.tarn("table", "verify", topic)
