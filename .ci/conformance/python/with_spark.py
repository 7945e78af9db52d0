"""Spark on the Iceberg catalog of a broker, as tarn, and on Delta tables by path:
with_spark.py JARS URI SETTINGS. Answers each line {"sql"} with {"got"} or {"error"}."""

import json
import sys

from pyspark.sql import SparkSession

jars, uri, settings = sys.argv[1:]

builder = (
    SparkSession.builder.master("local[1]").appName("conformance")
    .config("spark.jars", jars)
    .config("spark.driver.memory", "1g").config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
    .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.sql.shuffle.partitions", "1").config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions,io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .config("spark.sql.catalog.tarn", "org.apache.iceberg.spark.SparkCatalog")
    .config("spark.sql.catalog.tarn.type", "rest").config("spark.sql.catalog.tarn.uri", uri)
    .config("spark.sql.catalog.tarn.cache-enabled", "false"))
for name, value in json.loads(settings).items():
    builder = builder.config(f"spark.sql.catalog.tarn.{name}", value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("OFF")


def plain(v):
    return v if isinstance(v, (int, float, bool, type(None))) else str(v)


for line in sys.stdin:
    try:
        print(json.dumps({"got": [[plain(v) for v in r] for r in spark.sql(json.loads(line)["sql"]).collect()]}), flush=True)
    except Exception as e:  # whatever Spark says is what the scenario judges
        print(json.dumps({"error": f"{type(e).__name__}: {e}"[:2000]}), flush=True)
spark.stop()
