"""Rows: what was produced, what the readers find, and how they are compared.

A row is a dict by column. Rows are held by (partition, offset), so a table
that has one twice cannot hide it.
"""

import datetime as dt
import decimal
import math

import deltalake
import duckdb
from pyiceberg.catalog.rest import RestCatalog

from harness import Failure, short, want

UTC = dt.timezone.utc
FORMATS = ["iceberg", "delta", "parquet"]


def plain(v):
    """A value without the differences of the readers' types: bytes, UTC times
    in microseconds, lists of pairs as dicts, decimals by value."""
    if isinstance(v, (bytes, bytearray, memoryview)):
        return bytes(v)
    if isinstance(v, dt.datetime):
        # Readers differ in the class and name of the zone.
        v = v.replace(tzinfo=UTC) if v.tzinfo is None else v.astimezone(UTC)
        return dt.datetime(v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond, UTC)
    if isinstance(v, float):
        return "NaN" if math.isnan(v) else v
    if isinstance(v, decimal.Decimal):
        return v.normalize()
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list):
        if v and all(isinstance(x, tuple) and len(x) == 2 for x in v):
            return {k: plain(x) for k, x in v}
        return [plain(x) for x in v]
    return v


def same(a, b):
    """Whether two plain values are equal; an empty map and an empty list are,
    since a list of pairs does not tell."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if not a and not b and isinstance(a, (dict, list)) and isinstance(b, (dict, list)):
        return True
    return type(a) is type(b) and a == b


def differences(got, wanted, path=""):
    """Where two plain values differ, as text."""
    if isinstance(got, dict) and isinstance(wanted, dict) and got.keys() == wanted.keys():
        for k in wanted:
            if not same(got[k], wanted[k]):
                return differences(got[k], wanted[k], f"{path}.{k}")
    return f"{path or 'row'}: got {short(got, 150)}, want {short(wanted, 150)}"


def keyed(rows, partition="kafka_partition", offset="kafka_offset"):
    """Rows by (partition, offset); fails if one is there twice."""
    out = {}
    for r in rows:
        k = (r[partition], r[offset])
        if k in out:
            raise Failure(f"partition {k[0]} offset {k[1]} is there more than once")
        out[k] = r
    return out


def compare(got, wanted, what, columns=None):
    """Fails unless both hold the same keys, and under each the same columns."""
    missing, extra = wanted.keys() - got.keys(), got.keys() - wanted.keys()
    if missing or extra:
        raise Failure(f"{what}: {len(missing)} rows missing {sorted(missing)[:3]}, "
                      f"{len(extra)} not asked for {sorted(extra)[:3]}; {len(got)} rows, want {len(wanted)}")
    bad = 0
    first = None
    for k, w in wanted.items():
        g = got[k]
        w = {c: plain(v) for c, v in w.items() if columns is None or c in columns}
        absent = w.keys() - g.keys()
        if absent:
            raise Failure(f"{what}: no column {sorted(absent)[0]}; there are {sorted(g)}")
        g = {c: plain(g[c]) for c in w}
        if not same(g, w):
            bad += 1
            first = first or f"partition {k[0]} offset {k[1]} {differences(g, w)}"
    if bad:
        raise Failure(f"{what}: {bad} of {len(wanted)} rows differ; {first}")


class Produced:
    """What was acknowledged: rows by (partition, offset), and the bytes."""

    def __init__(self):
        self.rows = {}   # for tables: columns of the value and kafka_*
        self.raw = {}    # (key bytes, value bytes, timestamp ms)

    def add(self, partition, offset, timestamp_ms, key, value, columns, schema_id=None, headers=None):
        k = (partition, offset)
        want(k not in self.raw, f"partition {partition} offset {offset} was acknowledged twice")
        self.raw[k] = (key, value, timestamp_ms)
        row = dict(columns)
        row["kafka_partition"], row["kafka_offset"] = partition, offset
        row["kafka_timestamp"] = dt.datetime.fromtimestamp(0, UTC) + dt.timedelta(milliseconds=timestamp_ms)
        row["kafka_key"] = key
        if schema_id is not None:
            row["kafka_schema_id"] = schema_id
        if headers is not None:
            row["kafka_headers"] = [{"key": h, "value": v} for h, v in headers]
        self.rows[k] = row

    def __len__(self):
        return len(self.raw)

    def check_raw(self, got, what):
        """got: (partition, offset, timestamp ms, key, value) of a consumer
        that saw every record once."""
        seen = {}
        for p, o, ts, k, v in got:
            if (p, o) in seen:
                raise Failure(f"{what}: partition {p} offset {o} came more than once")
            seen[p, o] = {"key": k, "value": v, "timestamp": ts}
        compare(seen, {k: dict(zip(("key", "value", "timestamp"), r)) for k, r in self.raw.items()}, what)


def duckdb_rows(warehouse, table):
    """DuckDB over the Parquet files, the way a user globs them."""
    with duckdb.connect() as db:
        pattern = f"{warehouse}/default/{table}/parquet/*.parquet"
        query = "SELECT * FROM read_parquet($1, union_by_name = true)"
        return db.sql(query, params=[pattern]).to_arrow_table().to_pylist()


def duckdb_count(warehouse, table):
    with duckdb.connect() as db:
        pattern = f"{warehouse}/default/{table}/parquet/*.parquet"
        return db.sql("SELECT count(*) FROM read_parquet($1)", params=[pattern]).fetchall()[0][0]


def catalog(http):
    return RestCatalog("tarn", uri=f"{http}/iceberg")


def iceberg_rows(http, table):
    """pyiceberg through Tarn's own REST catalog."""
    return catalog(http).load_table(("default", table)).scan().to_arrow().to_pylist()


def delta_rows(warehouse, table):
    """deltalake from the Delta log."""
    return deltalake.DeltaTable(f"{warehouse}/default/{table}/delta").to_pyarrow_table().to_pylist()


def read(fmt, broker, table):
    """All rows of one format, by (partition, offset)."""
    if fmt == "iceberg":
        return keyed(iceberg_rows(broker.http, table))
    if fmt == "delta":
        return keyed(delta_rows(broker.warehouse, table))
    return keyed(duckdb_rows(broker.warehouse, table))


READERS = {"iceberg": "pyiceberg from the Iceberg catalog", "delta": "deltalake from the Delta log",
           "parquet": "DuckDB from the Parquet files"}


def check_tables(t, table, wanted, name=None, columns=None, struct_lists=()):
    """Three checks: each reader finds exactly the wanted rows. struct_lists
    are nullable columns of lists of structs: pyiceberg reads a null in them as
    an empty list (apache/iceberg-python#3833), the file holds the null."""
    for fmt in FORMATS:
        with t.check(f"{name or 'rows'}: {READERS[fmt]}", seconds=120):
            got = read(fmt, t.broker, table)
            if fmt == "iceberg":
                for k in got.keys() & wanted.keys():
                    for c in struct_lists:
                        if got[k][c] == [] and wanted[k][c] is None:
                            got[k][c] = None
            compare(got, wanted, f"table {table}", columns)
