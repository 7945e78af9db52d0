"""Engines beside each other: a partitioned and sorted table whose schema grows, a
table of latest values and the view of a compacted topic, read by pyiceberg,
deltalake, DuckDB, Spark and Trino. Counts, checksums, least and greatest values
equal those of the log after each step; what tarn table status says of opening the
tables is done to the letter."""

import datetime as dt
import hashlib
import json
import os
import subprocess

from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import deltalake

import clients
import engines
import rows
from harness import CACHE, equal, want
from records import BASE

FIELDS = [
    {"name": "id", "type": "long"},
    {"name": "name", "type": "string"},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["NEW", "PAID", "LOST"]}},
    {"name": "happened", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": None},
    {"name": "amount", "type": "int"},
]
# Version 2 adds one; and where there is no Delta, whose readers mostly cannot, it
# widens one.
LATER = [*FIELDS, {"name": "more", "type": ["null", "string"], "default": None}]
WIDER = [*FIELDS[:4], {"name": "amount", "type": "long"}, LATER[-1]]

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.timezone.utc)
COLUMNS = ["kafka_partition", "kafka_offset", "id", "name", "kind", "happened", "amount"]
TOPICS = {
    "sorted_events": ["-c", "tarn.table.formats=iceberg,delta", "-c", "tarn.table.partition=day(happened), bucket(4, id), kind",
                      "-c", "tarn.table.sort=amount desc nulls last, id"],
    "latest_events": ["-c", "tarn.table.formats=iceberg,delta", "-c", "tarn.table.mode=upsert"],
    "compacted_events": ["-c", "tarn.table.formats=iceberg", "-c", "cleanup.policy=compact"],
}


def run(t):
    b = t.broker
    told = Told(t, b)
    with t.check("topics"):
        for topic, configs in TOPICS.items():
            b.tarn("topic", "create", topic, "--partitions", "2", "-c", "tarn.value.schema.validation=payload", *configs)
        for _ in range(3):
            told.produce(FIELDS)
    opened = []
    with t.check("engines start", seconds=1300):
        snippets = told.snippets("sorted_events")
        opened.append(engines.DuckDB(t.work, f"{b.http}/iceberg"))
        opened.append(engines.Spark(t.work, f"{b.http}/iceberg"))
        opened.append(engines.Trino(t.work, {"tarn": snippets["iceberg", "trino"], "delta": properties(snippets["delta", "trino"], t.work)}))
    equal(len(opened), 3, "engines")
    duckdb, spark, trino = opened
    with t.check("Trino registers Delta tables as it is told", seconds=300):
        for topic in ("sorted_events", "latest_events"):
            for sql in statements(told.snippets(topic)["delta", "trino"]):
                got = trino.ask(sql)
                want("error" not in got, f"{sql}: {got}")
    told.look("rows", opened)
    with t.check("the schema grows"):
        for _ in range(2):
            told.produce(LATER)
    told.look("after evolution", opened)
    with t.check("tarn table compact and expire"):
        for topic in TOPICS:
            b.tarn("table", "compact", topic)
            b.tarn("table", "expire", topic)
    told.look("after compaction and expiry", opened)
    with t.check("views cannot be changed"):
        got = spark.ask("DROP VIEW tarn.default.compacted_events__latest")
        want("error" in got, got)
    for engine in (spark, trino):
        engine.stop()
    told.follow(duckdb)
    duckdb.stop()


def properties(text, work):
    """The properties in a snippet's comment, with a metastore's directory."""
    lines = [line.removeprefix("--").strip() for line in text.splitlines() if line.startswith("--") and "=" in line]
    return "\n".join(lines).replace("/var/lib/trino/metastore", str(work / "metastore")) + "\n"


def statements(text):
    return [s.strip() for s in "\n".join(line for line in text.splitlines() if not line.startswith(("--", "#"))).split(";") if s.strip()]


class Told:
    """What was acknowledged, by topic, and what readers must find of it."""

    def __init__(self, t, b):
        self.t, self.b, self.random = t, b, t.random
        self.rows = {topic: {} for topic in TOPICS}  # by (partition, offset)
        self.keys = {topic: {} for topic in TOPICS}  # the last of each: (partition, offset), or None
        self.made = 0

    def produce(self, fields):
        for topic in TOPICS:
            of = WIDER if fields is LATER and topic == "compacted_events" else fields
            serializer = AvroSerializer(clients.registry(self.b), json.dumps({"type": "record", "name": "Event", "namespace": "shop", "fields": of}))
            values, records = [], []
            for _ in range(80):
                self.made += 1
                value = {"id": self.random.randrange(-5, 40), "name": self.random.choice(["Ana", "", "Zoë", "主"]), "kind": self.random.choice(["NEW", "PAID", "LOST"]),
                         "happened": self.random.choice([None, NOON, NOON + dt.timedelta(days=1, milliseconds=self.made), dt.datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=dt.timezone.utc)]),
                         "amount": self.random.choice([0, -1, 2**31 - 1, self.made])}
                if fields is LATER:
                    value["more"] = self.random.choice([None, "m"])
                if of is WIDER:
                    value["amount"] = self.random.choice([2**40, -(2**63), self.made])
                if topic != "sorted_events" and self.random.random() < 0.2:
                    value = None
                values.append(value)
                records.append({"key": f"k{self.random.randrange(30)}".encode(), "timestamp": BASE + self.made,
                                "value": value and serializer(value, SerializationContext(topic, MessageField.VALUE))})
            for record, value, m in zip(records, values, clients.delivered(clients.deliver(clients.producer(self.b), topic, records))):
                at = (m.partition(), m.offset())
                self.keys[topic][record["key"]] = at if value else None
                self.rows[topic][at] = value
            self.b.tarn("table", "flush", topic)

    def wanted(self, topic, latest=False):
        at = self.rows[topic]
        if latest:
            at = {k: at[k] for k in self.keys[topic].values() if k}
        return sums([[*k, *((v or {}).get(c) for c in COLUMNS[2:])] for k, v in at.items()])

    def look(self, when, opened):
        t = self.t
        for topic in TOPICS:
            latest = topic == "latest_events"
            with t.check(f"{when}: {topic} by pyiceberg"):
                scan = rows.catalog(self.b.http).load_table(("default", topic)).scan(selected_fields=tuple(COLUMNS))
                equal(sums(values(scan.to_arrow())), self.wanted(topic, latest), "sums")
            for engine in opened:
                self.ask(when, topic, engine, engine.table(topic), latest)
            if topic == "compacted_events":
                for engine in opened[1:]:  # DuckDB reads no views of Iceberg's
                    self.ask(when, f"{topic}__latest", engine, engine.table(f"{topic}__latest"), True, topic)
                self.view(when, topic, opened[0])
                continue
            path = f"{self.b.warehouse}/default/{topic}/delta"
            with t.check(f"{when}: {topic} by deltalake"):

                equal(sums(values(deltalake.DeltaTable(path).to_pyarrow_table(columns=COLUMNS))), self.wanted(topic, latest), "sums")
            for engine in opened:
                self.ask(when, f"{topic}, Delta", engine, engine.delta(path, topic), latest, topic)
            with t.check(f"{when}: tarn table verify {topic}"):
                self.b.tarn("table", "verify", topic)

    def view(self, when, topic, duckdb):
        with self.t.check(f"{when}: the view by pyiceberg, its text by DuckDB"):
            cat = rows.catalog(self.b.http)
            equal(cat.list_views("default"), [("default", f"{topic}__latest")], "views")
            want(cat.view_exists(f"default.{topic}__latest"), "it is not there")
            version = cat.load_view(f"default.{topic}__latest").metadata.versions[-1]
            [text] = [r.root.sql if hasattr(r, "root") else r.sql for r in version.representations if (r.root if hasattr(r, "root") else r).dialect == "duckdb"]
            got = duckdb.ask(query(duckdb, "(" + text.replace(f'FROM "{topic}"', f"FROM {duckdb.table(topic)}") + ")"))
            want("error" not in got, got)
            equal(got["got"], self.wanted(topic, True), "sums")

    def ask(self, when, what, engine, table, latest, topic=None):
        with self.t.check(f"{when}: {what} by {engine.name}", seconds=engine.seconds + 10):
            got = engine.ask(query(engine, table))
            want("error" not in got, got.get("error"))
            equal(got["got"], self.wanted(topic or what, latest), "sums")

    def snippets(self, topic):
        status = json.loads(self.b.tarn("table", "status", topic, "--snippets", "--output", "json"))["item"]
        return {(s["format"], s["reader"]): s["text"] for s in status["snippets"]}

    def follow(self, duckdb):
        """Each snippet as it stands; DuckDB's extensions are here already, and Trino
        has been started with its own."""
        topic = "sorted_events"
        said, n = {}, str(len(self.rows[topic]))
        with self.t.check("snippets"):
            self.b.tarn("topic", "create", "plain_events", "-c", "tarn.table.formats=parquet", "-c", "tarn.table.value.as=string")
            self.b.tarn("produce", "plain_events", stdin=b'"a"\n"b"\n')
            self.b.tarn("table", "flush", "plain_events")
            said = self.snippets(topic) | self.snippets("plain_events")
            equal(len(said), 13, "snippets")
        for (fmt, reader), text in said.items():
            if reader == "trino":
                continue
            with self.t.check(f"snippet: {fmt} by {reader}", seconds=1200):
                if reader == "duckdb":
                    asked = [s for s in statements(text) if not s.startswith(("INSTALL", "LOAD"))]
                    got = [duckdb.ask(s) for s in asked]
                    want(not any("error" in g for g in got), got)
                    equal(len(got[-1]["got"]), 2 if fmt == "parquet" else int(n), "rows")
                    continue
                env = {"PATH": f"{CACHE}/spark/bin:/usr/bin:/bin", "SPARK_LOCAL_IP": "127.0.0.1"}
                if fmt == "parquet" and reader == "spark":
                    command, text = ["spark-shell", "--master", "local[1]"], text + "\n:quit\n"
                elif reader == "spark":
                    command = ["bash", "-c", text]
                else:
                    command = [CACHE / "venv" / "bin" / "python", "-"]
                    # deltalake's threads may abort Python's end, behind the answer.
                    text += "\nimport os, sys\nsys.stdout.flush()\nos._exit(0)\n"
                p = subprocess.run([str(c) for c in command], input=text.encode(), cwd=self.t.work, capture_output=True,
                                   env={**os.environ, **env}, timeout=1190)
                out = p.stdout.decode()
                equal(p.returncode, 0, f"exit code; {p.stderr.decode()[-600:]}")
                if reader == "spark" and fmt != "parquet":
                    equal(len(out.strip().splitlines()), int(n), "lines")
                elif reader == "polars":
                    want(f"shape: ({2 if fmt == 'parquet' else n}," in out, out[:200])
                else:
                    want("kafka_offset" in out, out[:200])


def values(table):
    return [list(r) for r in zip(*(table.column(c).to_pylist() for c in COLUMNS))]


def query(engine, table):
    """The sums that sums makes, in an engine's SQL."""
    ms = engine.millis("happened")
    line = " || '|' || ".join(["name", "kind", *(engine.text(c) for c in ("kafka_partition", "kafka_offset", "id", "amount"))])
    line = f"COALESCE({line} || '|' || COALESCE({engine.text(ms)}, '-'), '')"
    return (f"SELECT kafka_partition, count(*), min(kafka_offset), max(kafka_offset), sum({engine.digest(line)}), count(happened), min({ms}), max({ms}), "
            f"min(id), max(id), min(amount), max(amount), min(kind), max(kind), min(name), max(name) FROM {table} GROUP BY kafka_partition ORDER BY kafka_partition")


def sums(found):
    """By partition: count, least and greatest values, and a checksum of the rows."""
    out = []
    for partition in sorted({r[0] for r in found}):
        of = [r for r in found if r[0] == partition]
        offsets = [r[1] for r in of]
        ms = [None if r[5] is None else round(r[5].timestamp() * 1000) for r in of]
        check = 0
        for r, m in zip(of, ms):
            line = "" if r[3] is None else "|".join([r[3], r[4], *(str(v) for v in (r[0], r[1], r[2], r[6])), "-" if m is None else str(m)])
            check += int(hashlib.md5(line.encode()).hexdigest()[:7], 16)

        def ends(values):
            there = [v for v in values if v is not None]
            return [min(there, default=None), max(there, default=None)]

        out.append([partition, len(of), min(offsets), max(offsets), check, sum(m is not None for m in ms), *ends(ms), *ends([r[2] for r in of]),
                    *ends([r[6] for r in of]), *ends([r[4] for r in of]), *ends([r[3] for r in of])])
    return out
