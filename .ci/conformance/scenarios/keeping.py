"""Maintenance: tables of many small files are merged and their old states
forgotten, by Tarn and by others, while records come in. Readers find the same
rows after each step."""

import datetime as dt
import json
import time

import deltalake

import rows
from harness import equal, want
from scenarios.protobuf import Payments

FLUSHES = 12


def run(t):
    Kept(t).run()


class Kept(Payments):
    topic = "kept"
    configs = ("tarn.table.snapshot.max=10",)
    records = 40

    def subject(self):
        return "kept-value"

    def run(self):
        t = self.t
        with t.check("many small files"):
            self.b.tarn("topic", "create", self.topic, "--partitions", "2", "-c", "tarn.table.formats=iceberg,delta,parquet",
                        "-c", "tarn.value.schema.validation=payload", *[w for c in self.configs for w in ("-c", c)])
            for _ in range(FLUSHES):
                self.more()
            for fmt, n in self.files().items():
                want(n >= FLUSHES / 2, f"{fmt}: {n} files after {FLUSHES} flushes")
        self.look("before maintenance")
        with t.check("tarn table compact"):
            self.b.tarn("table", "compact", self.topic)
            equal(self.files(), {fmt: 1 for fmt in rows.FORMATS}, "files")
        self.look("after tarn table compact")
        with t.check("tarn table expire"):
            for _ in range(3):
                self.more()
            self.b.tarn("table", "expire", self.topic)
            history = json.loads(self.b.tarn("table", "history", self.topic, "--output", "json"))["items"]
            states = {h["format"]: len(h["versions"]) for h in history}
            want(states["iceberg"] <= 10, f"{states['iceberg']} snapshots")
        self.look("after tarn table expire")
        self.others()
        with t.check("Tarn goes on behind others"):
            self.more()
            self.b.tarn("table", "compact", self.topic)
            equal(self.files(), {fmt: 1 for fmt in rows.FORMATS}, "files")
            self.more()
            self.b.tarn("table", "expire", self.topic)
        self.look("at the end")

    def more(self):
        done = len(self.values)
        self.produce([self.make(done + i) for i in range(self.records)])
        self.b.tarn("table", "flush", self.topic)

    def files(self):
        tables = json.loads(self.b.tarn("table", "files", self.topic, "--output", "json"))["items"]
        return {x["format"]: len(x["files"]) for x in tables}

    def look(self, when):
        rows.check_tables(self.t, self.topic, self.log.rows, name=when, struct_lists=self.struct_lists)
        with self.t.check(f"tarn table verify {when}"):
            self.b.tarn("table", "verify", self.topic)

    def others(self):
        """What people do to tables by other means."""
        t = self.t
        with t.check("pyiceberg expires snapshots"):
            table = rows.catalog(self.b.http).load_table(("default", self.topic))
            table.maintenance.expire_snapshots().older_than(dt.datetime.now() + dt.timedelta(days=1)).commit()
        with t.check("deltalake optimizes and vacuums"):
            table = deltalake.DeltaTable(f"{self.b.warehouse}/default/{self.topic}/delta")
            table.optimize.compact()
            table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
        self.look("after others")
        with t.check("deltalake restores a version, and the one before that"):
            table = deltalake.DeltaTable(f"{self.b.warehouse}/default/{self.topic}/delta")
            before = table.version()
            self.more()
            table.update_incremental()
            ahead = table.version()
            table.restore(before)
            self.delta("rolled_back")
            table.restore(ahead)
            self.delta("running")
        self.b.expected.append("state=rolled_back")
        self.look("after a restore that was undone")

    def delta(self, wanted):
        """The Delta table comes to be in this state."""
        for _ in range(60):
            self.b.tarn("table", "flush", self.topic, ok=(0, 1))
            status = json.loads(self.b.tarn("table", "status", self.topic, "--output", "json"))["item"]
            state = next(f["state"] for f in status["formats"] if f["format"] == "delta")
            if state == wanted:
                return
            time.sleep(0.5)
        equal(state, wanted, "state of the Delta table")
