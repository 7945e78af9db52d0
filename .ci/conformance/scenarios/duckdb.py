"""DuckDB attaches the catalog, makes tables, writes, changes and reads them, two
in one transaction, and reads a topic's, and runs what tarn sql --duckdb prints."""

import shlex

import engines
from harness import equal


def run(t):
    topic = "for_duckdb"
    with t.check("a table that a topic fills"):
        ends = engines.fill(t, topic)
    engine = engines.DuckDB(t.work, f"{t.broker.http}/iceberg")
    engines.judge(t, engine, [
        ("schema", "CREATE SCHEMA lake.duck", None),
        ("create", "CREATE TABLE lake.duck.t (id bigint, name varchar, ts timestamptz)", None),
        ("insert", "INSERT INTO lake.duck.t SELECT i, 'n' || i, timestamptz '2026-03-01 12:00:00+00' + i * interval 1 hour FROM range(10) t(i)", [[10]]),
        ("ctas", "CREATE TABLE lake.duck.u AS SELECT 42 AS x, 'y' AS y", None),
        ("begin", "BEGIN", None),
        ("insert one", "INSERT INTO lake.duck.t VALUES (100, 'x', timestamptz '2026-03-02 00:00:00+00')", None),
        ("insert other", "INSERT INTO lake.duck.u VALUES (43, 'z')", None),
        ("commit", "COMMIT", None),
        ("update", "UPDATE lake.duck.t SET name = 'changed' WHERE id = 3", [[1]]),
        ("delete", "DELETE FROM lake.duck.t WHERE id = 4", [[1]]),
        ("count", "SELECT count(*), sum(id), count(*) FILTER (name = 'changed') FROM lake.duck.t", [[10, 141, 1]]),
        ("other", "SELECT * FROM lake.duck.u ORDER BY 1", [[42, "y"], [43, "z"]]),
        ("evolve", "ALTER TABLE lake.duck.t ADD COLUMN more varchar", None),
        ("snapshots", "SELECT count(*) FROM iceberg_snapshots(lake.duck.t)", [[4]]),
        ("topic", f'SELECT kafka_partition, count(*), min(kafka_offset), max(kafka_offset) FROM lake."default".{topic} GROUP BY 1 ORDER BY 1', ends),
        ("topic refused", f'DELETE FROM lake."default".{topic} WHERE kafka_offset = 0', "tarn.table.foreign"),
        ("drop", "DROP TABLE lake.duck.u", None),
        ("tables", "SELECT schema, name FROM (SHOW ALL TABLES) WHERE schema = 'duck'", [["duck", "t"]]),
        ("drop the other", "DROP TABLE lake.duck.t", None),
        ("drop schema", "DROP SCHEMA lake.duck", None),
    ])
    for format in ("delta", "iceberg", "parquet"):
        with t.check(f"tarn sql --duckdb of {format}"):
            printed(t, engine, format)
    engine.stop()
    with t.check("tarn table verify"):
        t.broker.tarn("table", "verify", topic)


def printed(t, engine, format):
    """Asks what the command says that is printed for a topic of one format."""
    name = f"printed_{format}"
    t.broker.tarn("topic", "create", name, "-c", f"tarn.table.formats={format}", "-c", "tarn.table.value.as=string")
    t.broker.tarn("produce", name, stdin=b'"a"\n"b"\n')
    t.broker.tarn("table", "flush", name)
    command, flag, sql = shlex.split(t.broker.tarn("sql", "--duckdb", f"select count(*), max(kafka_offset) from {name}").decode())
    equal([command, flag], ["duckdb", "-c"], "the command")
    # Its extensions are loaded already, for a run fetches nothing.
    answer = engine.ask(sql.replace("INSTALL iceberg; LOAD iceberg; ", ""))
    equal(answer.get("got"), [[2, 1]], f"rows: {answer}")
