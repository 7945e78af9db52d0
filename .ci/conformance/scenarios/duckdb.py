"""DuckDB attaches the catalog, makes tables, writes, changes and reads them, two
in one transaction, and reads a topic's."""

import engines
from harness import CACHE, HERE


def run(t):
    topic = "for_duckdb"
    with t.check("a table that a topic fills"):
        ends = engines.fill(t, topic)
    engines.judge(t, {
        "schema": None, "create": None, "insert": [[10]], "ctas": None,
        "insert one": None, "insert other": None, "commit": None, "update": [[1]], "delete": [[1]],
        "count": [[10, 141, 1]], "other": [[42, "y"], [43, "z"]], "evolve": None, "snapshots": [[4]],
        "topic": ends, "topic refused": "tarn.table.foreign",
        "drop": None, "tables": [["duck", "t"]], "drop the other": None, "drop schema": None,
    }, CACHE / "duckdb" / "bin" / "python", HERE / "python" / "with_duckdb.py", f"{t.broker.http}/iceberg", topic, seconds=120)
    with t.check("tarn table verify"):
        t.broker.tarn("table", "verify", topic)
