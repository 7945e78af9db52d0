"""DuckDB on the Iceberg catalog of a broker, as lake, with the delta extension:
with_duckdb.py URI. Answers each line {"sql"} with {"got"} or {"error"}."""

import importlib
import json
import sys
from pathlib import Path

import duckdb

db = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ("avro", "httpfs", "iceberg", "delta"):
    package = Path(importlib.import_module(f"duckdb_extension_{name}").__file__).parent
    [extension] = package.rglob(f"{name}.duckdb_extension")
    db.execute(f"LOAD '{extension}'")
db.execute("SET TimeZone = 'UTC'")
db.execute(f"ATTACH 'tarn' AS lake (TYPE iceberg, ENDPOINT '{sys.argv[1]}', AUTHORIZATION_TYPE 'none', ACCESS_DELEGATION_MODE 'none')")


def plain(v):
    return v if isinstance(v, (int, float, bool, type(None))) else str(v)


for line in sys.stdin:
    try:
        print(json.dumps({"got": [[plain(v) for v in r] for r in db.execute(json.loads(line)["sql"]).fetchall()]}), flush=True)
    except Exception as e:  # whatever DuckDB says is what the scenario judges
        print(json.dumps({"error": f"{type(e).__name__}: {e}"[:2000]}), flush=True)
