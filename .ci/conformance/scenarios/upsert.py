"""Tables of latest values: records of few keys come and go, the broker is killed
while it commits, files are merged by Tarn and by others. Readers find one row
for each key, of its last record, and none for keys whose last record has no
value."""

import datetime as dt
import json
import time

import deltalake
import duckdb

import clients
import rows
from harness import Failure, equal, want

TOPIC = "latest"
KEYS = 60
PARTITIONS = 2


def run(t):
    Latest(t).run()


class Latest:
    def __init__(self, t):
        self.t, self.random = t, t.random
        self.rows = {}  # by key: (partition, offset, value)
        self.made = 0

    def run(self):
        t = self.t
        with t.check("topic"):
            self.b = t.start("upsert", fixed_ports=True)
            self.b.tarn("topic", "create", TOPIC, "--partitions", PARTITIONS, "-c", "tarn.table.formats=iceberg,delta",
                        "-c", "tarn.table.mode=upsert", "-c", "tarn.table.value.as=json",
                        "-c", "tarn.table.commit.interval.ms=200")
        self.round("first values", [f"key-{i}" for i in range(KEYS)], deleted=0)
        for i in range(3):
            self.round(f"round {i}", self.random.choices([f"key-{i}" for i in range(KEYS)], k=200), deleted=0.3)
        with t.check("SIGKILL while tables are committed", seconds=120):
            for _ in range(6 if t.full else 2):
                self.produce([f"key-{self.random.randrange(KEYS)}" for _ in range(150)], deleted=0.3)
                time.sleep(self.random.uniform(0.1, 0.6))
                self.b.kill()
                self.b.start()
        self.round("after kills", ["key-1", "new"], deleted=0)
        with t.check("tarn table compact and expire"):
            self.b.tarn("table", "compact", TOPIC)
            self.b.tarn("table", "expire", TOPIC)
        self.look("after compaction")
        with t.check("deltalake optimizes, pyiceberg expires"):
            self.delta().optimize.compact()
            self.iceberg().maintenance.expire_snapshots().older_than(dt.datetime.now() + dt.timedelta(days=1)).commit()
        self.round("behind others", self.random.choices([f"key-{i}" for i in range(KEYS)], k=80), deleted=0.5)
        self.round("all gone", sorted(self.rows), deleted=1)
        self.round("and back", ["key-2", "key-3"], deleted=0)

    def produce(self, keys, deleted):
        """Produces a record of each key; a share of them without a value."""
        values = []
        for _ in keys:
            self.made += 1
            gone = self.random.random() < deleted
            values.append(None if gone else json.dumps({"n": self.made, "text": "ü" * (self.made % 50)}, ensure_ascii=False))
        records = [{"key": k.encode(), "value": v and v.encode()} for k, v in zip(keys, values)]
        for (err, msg), key, value in zip(clients.deliver(clients.producer(self.b, enable_idempotence=True), TOPIC, records), keys, values):
            want(err is None, f"not acknowledged: {err}")
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = (msg.partition(), msg.offset(), value)

    def round(self, name, keys, deleted):
        with self.t.check(f"{name}: produced and committed"):
            self.produce(keys, deleted)
            self.b.tarn("table", "flush", TOPIC)
        self.look(name)

    def look(self, when):
        with self.t.check(f"{when}: pyiceberg"):
            self.compare(self.iceberg().scan().to_arrow().to_pylist())
        with self.t.check(f"{when}: deltalake"):
            self.compare(self.delta().to_pyarrow_table().to_pylist())
        with self.t.check(f"{when}: DuckDB on the files of both"):
            files = {"iceberg": [f.file.file_path for f in self.iceberg().scan().plan_files()], "delta": self.delta().file_uris()}
            for got in files.values():
                if got:
                    with duckdb.connect() as db:
                        self.compare(db.sql("SELECT * FROM read_parquet($1, union_by_name = true)",
                                            params=[[f.removeprefix("file://") for f in got]]).to_arrow_table().to_pylist())
                else:
                    equal(self.rows, {}, "keys of a table without files")
        with self.t.check(f"{when}: tarn table verify"):
            self.b.tarn("table", "verify", TOPIC)

    def compare(self, got):
        found = {}
        for r in got:
            key = bytes(r["kafka_key"]).decode()
            if key in found:
                raise Failure(f"{key} has two rows")
            found[key] = (r["kafka_partition"], r["kafka_offset"], r["value"])
        wrong = sorted(k for k in found.keys() | self.rows.keys() if found.get(k) != self.rows.get(k))
        want(not wrong, f"{len(wrong)} of {len(self.rows)} keys differ; {wrong[:1]}: got {[found.get(k) for k in wrong[:1]]}, "
                        f"want {[self.rows.get(k) for k in wrong[:1]]}")

    def iceberg(self):
        return rows.catalog(self.b.http).load_table(("default", TOPIC))

    def delta(self):
        return deltalake.DeltaTable(f"{self.b.warehouse}/default/{TOPIC}/delta")
