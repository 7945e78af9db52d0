"""Spark makes tables in the catalog, writes, merges, changes and maintains them,
and maintains a topic's, whose rows stay what they are."""

import engines
from harness import CACHE, HERE


def run(t):
    topic = "for_spark"
    with t.check("a table that a topic fills"):
        ends = engines.fill(t, topic)
    engines.judge(t, {
        "namespace": None, "create": None, "insert": None, "insert again": None, "tag": None, "merge": None,
        "delete": None, "update": None, "count": [[40, 980, 5, 5, 1]], "as of": [[40, 780]],
        "rewrite": None, "rewrite manifests": None, "evolve": None, "rename column": None, "partition": None, "order": None,
        "insert evolved": None, "expire": None, "count at the end": [[41, 1080, 1]],
        "rename": None, "view": "does not support endpoint", "views": [],
        "ctas": None, "replace": None, "replaced": [[100]],
        "tables": [["spark", "c", False], ["spark", "u", False]],
        "topic": ends, "topic rewritten": None, "topic expired": None, "topic after": ends, "topic refused": "tarn.table.foreign",
        "drop": None, "drop the other": None, "drop namespace": None,
    }, CACHE / "spark" / "bin" / "python", HERE / "python" / "with_spark.py", next((CACHE / "java" / "spark").glob("*.jar")),
        f"{t.broker.http}/iceberg", topic, seconds=900, env={"SPARK_LOCAL_IP": "127.0.0.1"})
    with t.check("tarn table verify"):
        t.broker.tarn("table", "verify", topic)
