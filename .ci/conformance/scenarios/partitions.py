"""Partitioned and sorted tables: each reader finds every row, plans only the
files that it needs, and agrees with Tarn about every partition value."""

import json
from pathlib import Path

import deltalake
import duckdb
import pyarrow.parquet as pq
from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, LessThan

import rows
from harness import equal, want
from scenarios.protobuf import Payments

SPEC = "day(paid_at), bucket(4, payment_id), kind"
LATER = "month(paid_at), truncate(2, note), bucket(8, payer.name)"


def run(t):
    Parted(t).run()


class Parted(Payments):
    topic = "parted"
    records = 120

    def make(self, i):
        m = super().make(i)
        m.payment_id = f"p-{i % 40}"
        if m.HasField("paid_at"):
            m.paid_at.FromMicroseconds(self.t.random.choice([-1, 0, 1767225600123456, 1767225600123456 + 86_400_000_000]))
        return m

    def run(self):
        t = self.t
        with t.check("a partitioned topic"):
            self.b.tarn("topic", "create", self.topic, "--partitions", "2", "-c", "tarn.table.formats=iceberg,delta,parquet",
                        "-c", f"tarn.table.partition={SPEC}", "-c", "tarn.table.sort=balance desc nulls last, payment_id")
            for _ in range(3):
                self.more()
            status = self.b.tarn("table", "status", self.topic).decode()
            want(f"partitioned by {SPEC}" in status, f"status says {status}")
        self.look("rows")
        self.values_agree("values")
        self.pruned()
        self.in_order()
        with t.check("killed, and started again"):
            self.produce([self.make(i) for i in range(self.records)])
            self.b.kill()
            self.b.start()
            self.b.tarn("table", "flush", self.topic)
        self.look("rows after a kill")
        self.kept()
        self.evolved()

    def more(self):
        done = len(self.values)
        self.produce([self.make(done + i) for i in range(self.records)])
        self.b.tarn("table", "flush", self.topic)

    def look(self, when):
        rows.check_tables(self.t, self.topic, self.log.rows, name=when)
        with self.t.check(f"{when}: tarn table verify"):
            self.b.tarn("table", "verify", self.topic)

    def iceberg(self):
        return rows.catalog(self.b.http).load_table(("default", self.topic))

    def delta(self):
        return deltalake.DeltaTable(f"{self.b.warehouse}/default/{self.topic}/delta")

    def values_agree(self, when):
        """pyiceberg's own transforms of every row against the manifests."""
        with self.t.check(f"{when}: pyiceberg makes the same of each row"):
            table = self.iceberg()
            specs, schema, n = table.specs(), table.schema(), 0
            for task in table.scan().plan_files():
                spec = specs[task.file.spec_id]
                path = task.file.file_path.removeprefix("file://")
                for i, field in enumerate(spec.fields):
                    source = schema.find_field(field.source_id)
                    make = field.transform.transform(source.field_type)
                    stored = task.file.partition[i]
                    for v in column(path, schema.find_column_name(field.source_id)):
                        equal(make(internal(v)), stored, f"{field.name} of {v!r} in {path}")
                        n += 1
            want(n >= len(self.log), f"{n} values")

    def pruned(self):
        t = self.t
        some = next(v for v in self.values.values() if v.HasField("paid_at") and v.paid_at.ToMicroseconds() > 0)
        with t.check("pyiceberg plans files of one partition only"):
            table = self.iceberg()
            every = len(list(table.scan().plan_files()))
            for name, expr, holds, most in [
                ("kind", EqualTo("kind", "FULL"), lambda r: r["kind"] == "FULL", 0.6),
                ("bucket", EqualTo("payment_id", some.payment_id), lambda r: r["payment_id"] == some.payment_id, 0.6),
                ("day", And(GreaterThanOrEqual("paid_at", "2026-01-02T00:00:00+00:00"), LessThan("paid_at", "2026-01-03T00:00:00+00:00")),
                 lambda r: r["paid_at"] is not None and r["paid_at"].isoformat().startswith("2026-01-02"), 0.4),
            ]:
                scan = table.scan(row_filter=expr)
                planned = len(list(scan.plan_files()))
                found = len(scan.to_arrow())
                equal(found, sum(1 for r in self.log.rows.values() if holds(r)), f"rows by {name}")
                want(0 < planned <= every * most, f"{name}: {planned} files of {every} are read")
        with t.check("deltalake picks files by partition columns"):
            d = self.delta()
            equal(d.metadata().partition_columns, ["paid_at_day", "payment_id_bucket_4", "kind"], "partition columns")
            every = len(d.file_uris())
            for column_, value, holds in [
                ("kind", "PARTIAL", lambda r: r["kind"] == "PARTIAL"),
                ("paid_at_day", "1969-12-31", lambda r: r["paid_at"] is not None and r["paid_at"].year == 1969),
            ]:
                files = d.file_uris(partition_filters=[(column_, "=", value)])
                want(0 < len(files) < every, f"{column_}: {len(files)} files of {every}")
                got = d.to_pyarrow_table(partitions=[(column_, "=", value)])
                equal(got.num_rows, sum(1 for r in self.log.rows.values() if holds(r)), f"rows by {column_}")
        with t.check("DuckDB reads the plain files by the documented glob"):
            with duckdb.connect() as db:
                files = db.sql(f"SELECT file_name, min(kind), max(kind) FROM (SELECT filename file_name, kind FROM "
                               f"read_parquet('{self.b.warehouse}/default/{self.topic}/parquet/*.parquet', filename=true)) GROUP BY 1").fetchall()
            want(len(files) > 10 and all(lo == hi for _, lo, hi in files), "a file has rows of two kinds")

    def in_order(self):
        with self.t.check("rows lie in the sort order, and files say so"):
            table = self.iceberg()
            equal([(f.source_id, f.direction.name, f.null_order.name) for f in table.sort_order().fields],
                  [(table.schema().find_field("balance").field_id, "DESC", "NULLS_LAST"),
                   (table.schema().find_field("payment_id").field_id, "ASC", "NULLS_FIRST")], "sort order")
            for task in table.scan().plan_files():
                path = task.file.file_path.removeprefix("file://")
                got = list(zip(column(path, "balance"), column(path, "payment_id")))
                equal(got, sorted(got, key=lambda r: (-r[0], r[1].encode())), f"order in {path}")
                equal(task.file.sort_order_id, table.sort_order().order_id, "sort order id")

    def files(self):
        tables = json.loads(self.b.tarn("table", "files", self.topic, "--output", "json"))["items"]
        return {x["format"]: len(x["files"]) for x in tables}

    def kept(self):
        with self.t.check("files merge within their partitions"):
            table = self.iceberg()
            parts = {(t.file.spec_id, repr(t.file.partition)) for t in table.scan().plan_files()}
            self.b.tarn("table", "compact", self.topic)
            equal(self.files(), dict.fromkeys(rows.FORMATS, len(parts)), "files")
        self.look("rows after merging")
        self.values_agree("after merging")
        with self.t.check("deltalake optimizes and vacuums"):
            self.more()
            d = self.delta()
            d.optimize.compact()
            d.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
        with self.t.check("pyiceberg and Tarn expire"):
            self.more()
            self.b.tarn("table", "expire", self.topic)
        self.look("rows after others' maintenance")

    def evolved(self):
        t = self.t
        with t.check("another partition spec: Iceberg evolves, Delta says that it cannot"):
            self.b.expected.append("keeps the partition columns that it was made with")
            self.b.tarn("topic", "alter", self.topic, "-c", f"tarn.table.partition={LATER}")
            self.produce([self.make(i) for i in range(self.records)])
            self.b.tarn("table", "flush", self.topic, ok=(0, 1))
            status = json.loads(self.b.tarn("table", "status", self.topic, "--output", "json"))["item"]
            states = {f["format"]: f["state"] for f in status["formats"]}
            equal(states, {"iceberg": "running", "delta": "stalled", "parquet": "running"}, "states")
            message = next(f["message"] for f in status["formats"] if f["format"] == "delta")
            want("keeps the partition columns" in message, message)
            table = self.iceberg()
            equal(len(table.specs()), 2, "specs")
            equal({x.file.spec_id for x in table.scan().plan_files()}, {0, 1}, "specs of files")
        self.values_agree("after the change")
        with t.check("set back, all go on"):
            self.b.tarn("topic", "alter", self.topic, "-c", f"tarn.table.partition={SPEC}")
            self.b.tarn("table", "flush", self.topic)
            self.more()
            equal(self.iceberg().spec().spec_id, 0, "the first spec is the default again")
        self.look("rows at the end")
        self.values_agree("at the end")


def column(path, name):
    """A column of a file, dotted for those in structs."""
    top, *rest = name.split(".")
    out = []
    for v in pq.read_table(Path(path), columns=[top]).column(top).to_pylist():
        for part in rest:
            v = None if v is None else v[part]
        out.append(v)
    return out


def internal(v):
    """A value as pyiceberg's transforms take it."""
    return int(v.timestamp() // 1) * 1_000_000 + v.microsecond if hasattr(v, "timestamp") else v
