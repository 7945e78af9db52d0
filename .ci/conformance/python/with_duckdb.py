"""DuckDB's iceberg extension on the catalog of a broker: with_duckdb.py URI
TOPIC'S-TABLE. Prints a JSON line per step: {"step", "got"} or {"step", "error"}."""

import importlib
import json
import sys
from pathlib import Path

import duckdb

uri, filled = sys.argv[1:]
db = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ("avro", "httpfs", "iceberg"):
    package = Path(importlib.import_module(f"duckdb_extension_{name}").__file__).parent
    [extension] = package.rglob(f"{name}.duckdb_extension")
    db.execute(f"LOAD '{extension}'")
db.execute("SET TimeZone = 'UTC'")
db.execute(f"ATTACH 'tarn' AS lake (TYPE iceberg, ENDPOINT '{uri}', AUTHORIZATION_TYPE 'none', ACCESS_DELEGATION_MODE 'none')")


def step(name, sql):
    try:
        rows = [[v if isinstance(v, (int, float, bool, type(None))) else str(v) for v in r] for r in db.execute(sql).fetchall()]
        print(json.dumps({"step": name, "got": rows}), flush=True)
    except Exception as e:  # whatever DuckDB says is what the scenario judges
        print(json.dumps({"step": name, "error": f"{type(e).__name__}: {e}"[:2000]}), flush=True)


step("schema", "CREATE SCHEMA lake.duck")
step("create", "CREATE TABLE lake.duck.t (id bigint, name varchar, ts timestamptz)")
step("insert", "INSERT INTO lake.duck.t SELECT i, 'n' || i, timestamptz '2026-03-01 12:00:00+00' + i * interval 1 hour FROM range(10) t(i)")
step("ctas", "CREATE TABLE lake.duck.u AS SELECT 42 AS x, 'y' AS y")
step("begin", "BEGIN")
step("insert one", "INSERT INTO lake.duck.t VALUES (100, 'x', timestamptz '2026-03-02 00:00:00+00')")
step("insert other", "INSERT INTO lake.duck.u VALUES (43, 'z')")
step("commit", "COMMIT")
step("update", "UPDATE lake.duck.t SET name = 'changed' WHERE id = 3")
step("delete", "DELETE FROM lake.duck.t WHERE id = 4")
step("count", "SELECT count(*), sum(id), count(*) FILTER (name = 'changed') FROM lake.duck.t")
step("other", "SELECT * FROM lake.duck.u ORDER BY 1")
step("evolve", "ALTER TABLE lake.duck.t ADD COLUMN more varchar")
step("snapshots", "SELECT count(*) FROM iceberg_snapshots(lake.duck.t)")
step("topic", f'SELECT kafka_partition, count(*), min(kafka_offset), max(kafka_offset) FROM lake."default".{filled} GROUP BY 1 ORDER BY 1')
step("topic refused", f'DELETE FROM lake."default".{filled} WHERE kafka_offset = 0')
step("drop", "DROP TABLE lake.duck.u")
step("tables", "SELECT schema, name FROM (SHOW ALL TABLES) WHERE schema = 'duck'")
step("drop the other", "DROP TABLE lake.duck.t")
step("drop schema", "DROP SCHEMA lake.duck")
