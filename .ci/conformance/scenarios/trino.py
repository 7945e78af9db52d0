"""Trino makes tables in the catalog, writes, merges, changes and maintains them,
and maintains a topic's, whose rows stay what they are."""

import engines


def run(t):
    on(t, t.broker, "fs.hadoop.enabled=true\n")


def on(t, broker, store):
    """The scenario on a broker whose tables lie where these properties say."""
    topic = "for_trino"
    with t.check("a table that a topic fills"):
        ends = engines.fill(t, topic, broker=broker)
    ends_of = f'SELECT kafka_partition, count(*), min(kafka_offset), max(kafka_offset) FROM tarn."default".{topic} GROUP BY 1 ORDER BY 1'
    with t.check("Trino starts", seconds=engines.Trino.seconds + 10):
        engine = engines.Trino(t.work, {"tarn": (
            f"connector.name=iceberg\niceberg.catalog.type=rest\niceberg.rest-catalog.uri={broker.http}/iceberg\n"
            f"{store}iceberg.expire-snapshots.min-retention=0s\niceberg.remove-orphan-files.min-retention=0s\n")})
    at = "tarn.trino.t"
    engines.judge(t, engine, [
        ("schema", "CREATE SCHEMA tarn.trino", None),
        ("create", f"CREATE TABLE {at} (id bigint NOT NULL, name varchar, ts timestamp(6) with time zone) "
         "WITH (partitioning = ARRAY['day(ts)', 'bucket(id, 4)'], sorted_by = ARRAY['id'])", None),
        ("insert", f"INSERT INTO {at} SELECT n, 'n' || CAST(n AS varchar), timestamp '2026-03-01 12:00:00 UTC' + n * interval '1' hour FROM UNNEST(sequence(0, 39)) AS s(n)", [[40]]),
        ("merge", f"MERGE INTO {at} t USING (SELECT n + 35 AS id FROM UNNEST(sequence(0, 9)) AS s(n)) s ON t.id = s.id "
         "WHEN MATCHED THEN UPDATE SET name = 'merged' WHEN NOT MATCHED THEN INSERT (id, name, ts) VALUES (s.id, 'new', timestamp '2026-03-05 00:00:00 UTC')", [[10]]),
        ("delete", f"DELETE FROM {at} WHERE id < 5", [[5]]),
        ("update", f"UPDATE {at} SET name = 'updated' WHERE id = 7", [[1]]),
        ("count", f"SELECT count(*), sum(id), count_if(name = 'merged'), count_if(name = 'new'), count_if(name = 'updated') FROM {at}", [[40, 980, 5, 5, 1]]),
        ("snapshots", f'SELECT count(*) > 3 FROM tarn.trino."t$snapshots"', [[True]]),
        ("optimize", f"ALTER TABLE {at} EXECUTE optimize", None),
        ("statistics", f"ANALYZE {at}", None),
        ("expire", f"ALTER TABLE {at} EXECUTE expire_snapshots(retention_threshold => '0s')", None),
        ("orphans", f"ALTER TABLE {at} EXECUTE remove_orphan_files(retention_threshold => '0s')", None),
        ("evolve", f"ALTER TABLE {at} ADD COLUMN more varchar", None),
        ("rename column", f"ALTER TABLE {at} RENAME COLUMN name TO title", None),
        # Trino 476 cannot keep day(ts) and drop another field, but by luck: it
        # looks for the field in a set, and its transform's hash is an address.
        ("partition", f"ALTER TABLE {at} SET PROPERTIES partitioning = ARRAY['bucket(id, 4)']", None),
        ("insert evolved", f"INSERT INTO {at} (id, more, title, ts) VALUES (100, 'm', 't', timestamp '2026-03-02 00:00:00 UTC')", [[1]]),
        ("count at the end", f"SELECT count(*), sum(id), count(more) FROM {at}", [[41, 1080, 1]]),
        ("rename", f"ALTER TABLE {at} RENAME TO tarn.trino.u", None),
        ("view", "CREATE VIEW tarn.trino.v AS SELECT id FROM tarn.trino.u", "does not support endpoint"),
        ("ctas", "CREATE TABLE tarn.trino.c AS SELECT * FROM tarn.trino.u", [[41]]),
        ("replace", "CREATE OR REPLACE TABLE tarn.trino.c AS SELECT id FROM tarn.trino.u WHERE id > 90", [[1]]),
        ("replaced", "SELECT * FROM tarn.trino.c", [[100]]),
        ("tables", "SHOW TABLES IN tarn.trino", [["c"], ["u"]]),
        ("topic", ends_of, ends),
        ("topic rewritten", f'ALTER TABLE tarn."default".{topic} EXECUTE optimize', None),
        ("topic expired", f"ALTER TABLE tarn.\"default\".{topic} EXECUTE expire_snapshots(retention_threshold => '0s')", None),
        ("topic after", ends_of, ends),
        ("topic refused", f'INSERT INTO tarn."default".{topic} SELECT * FROM tarn."default".{topic}', "tarn.table.foreign"),
        ("drop", "DROP TABLE tarn.trino.u", None),
        ("drop the other", "DROP TABLE tarn.trino.c", None),
        ("drop schema", "DROP SCHEMA tarn.trino", None),
    ])
    engine.stop()
    with t.check("tarn table verify"):
        broker.tarn("table", "verify", topic)
