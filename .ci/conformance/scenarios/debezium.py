"""What Debezium's PostgreSQL connector makes of a source's changes, recorded from
its engine (debezium/): a snapshot, inserts, updates, deletes with their tombstones,
changed keys, a truncate, columns that come and widen. Tables of all changes hold
each of them, tables of latest values the rows that the source has."""

import base64
import collections
import datetime as dt
import decimal
import io
import json
import urllib.parse
import urllib.request

import fastavro

import clients
import rows
from harness import HERE, equal, want

EPOCH = dt.datetime(1970, 1, 1)
READ = {"iceberg": rows.iceberg_rows, "delta": rows.delta_rows}


def run(t):
    Changes(t).run()


class Changes:
    def __init__(self, t):
        self.t, self.b = t, t.broker
        self.schemas, self.changes, self.source = {}, [], {}
        for line in (HERE / "debezium" / "changes.jsonl").read_text(encoding="utf-8").splitlines():
            one = json.loads(line)
            if "text" in one:
                self.schemas[one["schema"]] = one["text"]
            elif "topic" in one:
                self.changes.append(one)
            else:
                self.source[one["table"]] = json.loads(line, parse_float=decimal.Decimal)["rows"]
        for row in self.source["parts"]:
            if row["note"] is None:
                row["note"] = "none"  # Connect's converters write a column's default for null

    def run(self):
        # A column that comes with a default changes the source's rows without a
        # word: only who reads them by the newest schema has it. A key whose type
        # changes is another one in bytes.
        for table, config in [("items", ("tarn.table.value.version=latest",)), ("parts", ("tarn.table.key=id",))]:
            self.all_changes(f"{table}-all", table)
            self.latest(f"{table}-latest", table, config)
        self.all_changes("logs-all", "logs")

    def readers(self, table):
        """deltalake reads no table with a column that was widened."""
        return [("iceberg", self.b.http)] + [("delta", self.b.warehouse)] * (table != "parts")

    def produce(self, topic, table, configs):
        """Makes the topic and gives it the table's changes; returns them by offset."""
        self.b.tarn("topic", "create", topic, "-c", "tarn.table.formats=iceberg,delta", "-c", "tarn.table.unwrap=debezium",
                    *[w for c in configs for w in ("-c", c)])
        mine = [c for c in self.changes if c["topic"] == f"src.shop.{table}"]
        records = [{"partition": 0, "key": self.framed(f"{topic}-key", c["key"]), "value": self.framed(f"{topic}-value", c["value"])} for c in mine]
        want(len(records) > 3, f"{len(records)} changes of {table}")
        outcomes = clients.deliver(clients.producer(self.b, enable_idempotence=True), topic, records)
        self.b.tarn("table", "flush", topic)
        return {m.offset(): c for m, c in zip(clients.delivered(outcomes), mine)}

    def framed(self, subject, part):
        """The bytes as Confluent's converter frames them, their schema registered."""
        if part is None:
            return None
        body = json.dumps({"schema": json.dumps(self.schemas[part["schema"]])}).encode()
        request = urllib.request.Request(f"{self.b.http}/subjects/{urllib.parse.quote(subject)}/versions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return b"\0" + json.load(answer)["id"].to_bytes(4, "big") + base64.b64decode(part["bytes"])

    def decoded(self, part):
        if part is None:
            return None
        return fastavro.schemaless_reader(io.BytesIO(base64.b64decode(part["bytes"])), fastavro.parse_schema(self.schemas[part["schema"]]))

    def all_changes(self, topic, table):
        t = self.t
        wanted = {}
        with t.check(f"{topic}: produced and committed"):
            for offset, change in self.produce(topic, table, ()).items():
                envelope = self.decoded(change["value"])
                row = {}
                if envelope:
                    row = dict(envelope["after"] or envelope["before"] or {})
                    source = envelope["source"]
                    row |= {"kafka_cdc_op": envelope["op"], "kafka_cdc_position": str(source["lsn"]),
                            "kafka_cdc_table": f"postgres.shop.{table}", "kafka_cdc_transaction": str(source["txId"]),
                            "kafka_cdc_timestamp": (EPOCH + dt.timedelta(microseconds=source["ts_us"])).replace(tzinfo=rows.UTC)}
                else:
                    row["kafka_cdc_op"] = None
                wanted[0, offset] = row
            ops = collections.Counter(r["kafka_cdc_op"] for r in wanted.values())
            need = {"items": "rcud", "parts": "rcud", "logs": "rct"}[table]
            want(all(ops[op] for op in need), f"the recording has {dict(ops)}, want {need}")
        for fmt, where in self.readers(table):
            with t.check(f"{topic}: every change stands in {fmt}"):
                got = rows.keyed(READ[fmt](where, tarn_name(topic)))
                rows.compare(got, {k: self.padded(w, got[k]) for k, w in wanted.items()}, topic)
        with t.check(f"{topic}: tarn table verify"):
            self.b.tarn("table", "verify", topic)

    def padded(self, wanted, got):
        """Columns that a change's schema does not have are null."""
        own = {c: None for c in got if not c.startswith("kafka_")}
        return {**own, **wanted}

    def latest(self, topic, table, configs):
        t = self.t
        with t.check(f"{topic}: produced and committed"):
            self.produce(topic, table, ("tarn.table.mode=upsert", *configs))
        wanted = {(0, r["id"]): {c: as_debezium(c, v) for c, v in r.items()} for r in self.source[table]}
        for fmt, where in self.readers(table):
            with t.check(f"{topic}: {fmt} has the rows of the source"):
                got = [{c: v for c, v in r.items() if not c.startswith("kafka_")} for r in READ[fmt](where, tarn_name(topic))]
                equal(len(got), len({r["id"] for r in got}), "rows with ids of their own")
                rows.compare({(0, r["id"]): r for r in map(known, got)}, wanted, topic)
        with t.check(f"{topic}: tarn table verify"):
            self.b.tarn("table", "verify", topic)


def tarn_name(topic):
    return topic.replace("-", "_2d_")


def known(row):
    """A row with documents as what they say: the source prints them otherwise."""
    return {c: json.loads(v) if c == "doc" and v is not None else v for c, v in row.items()}


def as_debezium(column, v):
    """A value of the source, which printed it as JSON, as Debezium has it."""
    if v is None or column == "doc":
        return v
    if column == "made":
        return (dt.datetime.fromisoformat(v) - EPOCH) // dt.timedelta(microseconds=1)
    if column == "seen":
        return dt.datetime.fromisoformat(v).astimezone(rows.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if column == "day":
        return (dt.date.fromisoformat(v) - EPOCH.date()).days
    if column == "at":
        at = dt.time.fromisoformat(v)
        return ((at.hour * 60 + at.minute) * 60 + at.second) * 10**6 + at.microsecond
    if column == "raw":
        return bytes.fromhex(v.removeprefix("\\x"))
    return float(v) if column == "weight" else v
