"""An Avro topic from its making to its tables: the main job."""

import base64
import io
import json
import struct
import time
import urllib.request

import fastavro
from confluent_kafka import KafkaError
from confluent_kafka.schema_registry import Schema, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import clients
import orders
import rows
from harness import Failure, equal, want
from records import BASE

TOPIC = "orders"
SUBJECT = "orders-value"
FORMATS = "tarn.table.formats=iceberg,delta,parquet"
RECORDS = 5000


def run(t):
    s = State(t)
    s.create()
    s.produce()
    s.refuse()
    s.consume()
    s.tables()
    s.evolve()
    s.dead_letters()
    s.unasked()
    s.cli()


class State:
    """What the steps hand on."""

    def __init__(self, t):
        self.t, self.b = t, t.broker
        self.log = rows.Produced()
        self.made = 0
        self.now_ms = None

    def order(self):
        self.made += 1
        return orders.make(self.t.random, self.made)

    # -- making and producing

    def create(self):
        t, b = self.t, self.b
        with t.check("tarn topic create"):
            b.tarn("topic", "create", TOPIC, "--partitions", "3", "-c", FORMATS,
                   "-c", "tarn.value.schema.validation=payload")
            equal(clients.ends(b, TOPIC), {0: 0, 1: 0, 2: 0}, "log ends of the new topic")
        with t.check("schema registered over HTTP"):
            body = json.dumps({"schema": orders.schema_text()}).encode()
            request = urllib.request.Request(
                f"{b.http}/subjects/{SUBJECT}/versions", body,
                {"Content-Type": "application/vnd.schemaregistry.v1+json"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                self.schema_id = json.load(answer)["id"]
            with urllib.request.urlopen(f"{b.http}/schemas/ids/{self.schema_id}", timeout=10) as answer:
                equal(json.loads(json.load(answer)["schema"]), orders.schema(), "schema by id")

    def serializer(self, fields=orders.FIELDS):
        return AvroSerializer(clients.registry(self.b), orders.schema_text(fields),
                              conf={"auto.register.schemas": False})

    def produce_confluent(self, made, fields=orders.FIELDS, schema_id=None, **settings):
        serialize, ctx = self.serializer(fields), SerializationContext(TOPIC, MessageField.VALUE)
        records = []
        for o in made:
            i = len(self.log) + len(records)
            records.append({
                "key": f"customer-{i % 50}".encode(), "value": serialize(o, ctx), "timestamp": BASE + i,
                "headers": [("trace", str(i).encode()), ("empty", b""), ("none", None)] if i % 3 == 0 else [],
            })
        outcomes = clients.deliver(clients.producer(self.b, **settings), TOPIC, records)
        for r, o, m in zip(records, made, clients.delivered(outcomes)):
            self.log.add(m.partition(), m.offset(), r["timestamp"], r["key"], r["value"],
                         {"coupon": None, **o}, schema_id or self.schema_id, r["headers"])

    def produce(self):
        t, b = self.t, self.b
        with t.check("produce with confluent-kafka-python and AvroSerializer"):
            self.produce_confluent([self.order() for _ in range(RECORDS)], enable_idempotence=True)
            equal(sum(clients.ends(b, TOPIC).values()), RECORDS, "records in the log")
        with t.check("produce with franz-go and sr"):
            self.produce_franz([self.order() for _ in range(500)])

    def produce_franz(self, made, schema_id=None):
        lines = []
        for i, o in enumerate(made):
            key = base64.b64encode(f"go-{i % 20}".encode()).decode()
            lines.append(json.dumps({"key": key, "timestamp": BASE + i, "order": orders.to_json(o)}))
        got = self.b.peer("produce", "-topic", TOPIC, stdin="\n".join(lines).encode())
        equal(len(got), len(made), "records acknowledged")
        for r, (p, o, ts, k, v) in zip(got, clients.unpacked(got)):
            self.log.add(p, o, ts, k, v, {"coupon": None, **made[r["n"]]}, schema_id or self.schema_id, [])

    # -- refusing

    def payload(self, order, fields=orders.FIELDS, schema_id=None):
        out = io.BytesIO()
        out.write(struct.pack(">bI", 0, schema_id or self.schema_id))
        fastavro.schemaless_writer(out, fastavro.parse_schema(orders.schema(fields)), order)
        return out.getvalue()

    def bad_values(self):
        """Name → (value, what the refusal must say)."""
        good = self.payload(self.order())
        status = self.payload({**self.order(), "status": 99}, orders.BROKEN_STATUS)
        return {
            "enum index without a symbol": (status, ["$.status", "99"]),
            "payload cut off": (good[:-2], ["$."]),
            "bytes behind the value": (good + b"\x00", ["1"]),
            "broken payload": (good[:5] + b"\xff" * 20, ["$.order_id"]),
            "unknown schema id": (self.payload(self.order(), schema_id=99999), ["99999"]),
            "bare garbage": (b"not framed at all", []),
            "empty value": (b"", []),
        }

    def refuse(self):
        t, b = self.t, self.b
        try:
            bad = self.bad_values()
        except AttributeError as e:  # no schema id: the check below says so
            bad = {"bad values": (b"", [str(e)])}
        for name, (value, said) in bad.items():
            with t.check(f"refused: {name}"):
                before = clients.ends(b, TOPIC)
                # The three must travel as one batch: it goes as soon as it is
                # full, and linger counts from before the first Metadata answer.
                p = clients.producer(b, batch_num_messages=3, linger_ms=20000)
                good = self.payload(self.order())
                got = clients.deliver(p, TOPIC, [
                    {"key": b"a", "value": good, "partition": 0},
                    {"key": b"b", "value": value, "partition": 0},
                    {"key": b"c", "value": good, "partition": 0}])
                codes = [e.code() if e else 0 for e, _ in got]
                want(codes[1] == KafkaError.INVALID_RECORD, f"bad record got {codes[1]}, want INVALID_RECORD")
                want(0 not in codes, f"a record of the refused batch was acknowledged: {codes}")
                equal(clients.ends(b, TOPIC), before, "log ends after the refusal")
            with t.check(f"RecordErrors: {name}"):
                self.record_errors(value, said)
        with t.check("Produce in each version refuses alike"):
            value, _ = bad["enum index without a symbol"]
            requests = [self.raw_request([value], version=v) for v in range(3, 14)]
            codes = {a["version"]: a["code"] for a in b.peer("raw", "-topic", TOPIC, stdin="\n".join(requests).encode())}
            # Before version 8 there is no code for it that clients know.
            for v, code in codes.items():
                want(code == 87, f"version {v} answers {code}, want 87 INVALID_RECORD")
            equal(sorted(codes), list(range(3, 14)), "versions")

    def raw_request(self, values, **more):
        return json.dumps({"version": 9, "partition": 0, "acks": -1, **more, "records": [
            {"key": "YQ==", "value": base64.b64encode(v).decode()} for v in values]})

    def record_errors(self, value, said):
        before = clients.ends(self.b, TOPIC)
        good = self.payload(self.order())
        request = self.raw_request([good, value, good, value])
        [a] = self.b.peer("raw", "-topic", TOPIC, stdin=request.encode())
        equal(a["code"], 87, "error code")
        equal([e["index"] for e in a["record_errors"] or []], [1, 3], "indexes of RecordErrors")
        for e in a["record_errors"]:
            text = e["message"] or ""
            for word in said:
                want(word in text, f"message does not name {word!r}: {text!r}")
            if said and said[0].startswith("$"):
                want("expected" in text or "want" in text, f"message does not say what was expected: {text!r}")
                want("found" in text or "got" in text, f"message does not say what was found: {text!r}")
        want(a["message"], "no error message beside the code")
        equal(clients.ends(self.b, TOPIC), before, "log ends after the refusal")

    # -- consuming

    def consume(self):
        t, b, n = self.t, self.b, len(self.log)
        with t.check("kcat -C"):
            self.log.check_raw(clients.kcat(b, TOPIC), "kcat")
        with t.check("kcat -G"):
            self.log.check_raw(clients.kcat(b, TOPIC, group="g-kcat"), "kcat in a group")
        with t.check("confluent-kafka-python in a group"):
            got = clients.confluent(b, TOPIC, n, group="g-confluent")
            self.log.check_raw(got, "confluent-kafka-python")
            decode, ctx = AvroDeserializer(clients.registry(b)), SerializationContext(TOPIC, MessageField.VALUE)
            self.check_values({(p, o): decode(v, ctx) for p, o, _, _, v in got}, "AvroDeserializer")
        with t.check("confluent-kafka-python alone"):
            self.log.check_raw(clients.confluent(b, TOPIC, n), "confluent-kafka-python")
        with t.check("franz-go with sr in a group"):
            self.check_franz(clients.franz(b, TOPIC, n, group="g-franz"))
        with t.check("franz-go with sr alone"):
            self.check_franz(clients.franz(b, TOPIC))
        for mode in ("message", "batch"):
            with t.check(f"kafkajs in a group, each {mode}"):
                self.log.check_raw(clients.kafkajs(b, TOPIC, n, f"g-kafkajs-{mode}", mode), "kafkajs")
        with t.check("tarn consume"):
            self.check_cli(b.tarn("consume", TOPIC))
        with t.check("groups are listed and described"):
            listed = b.tarn("group", "list").decode()
            for g in ("g-kcat", "g-confluent", "g-franz", "g-kafkajs-batch"):
                want(g in listed, f"group {g} is not listed: {listed}")

    def check_franz(self, got):
        self.log.check_raw(clients.unpacked(got), "franz-go")
        self.check_values({(r["partition"], r["offset"]): orders.from_json(r["order"]) for r in got}, "franz-go with sr")

    def check_values(self, got, what, columns=orders.COLUMNS):
        rows.compare(got, self.log.rows, what, columns)

    def check_cli(self, out):
        got = {(r["partition"], r["offset"]): r for r in map(json.loads, out.splitlines())}
        equal(got.keys() == self.log.rows.keys(), True, "the same offsets")
        for k, r in got.items():
            equal(r["value"]["order_id"], self.log.rows[k]["order_id"], f"order_id at {k}")
            equal(r["schema_id"], self.log.rows[k]["kafka_schema_id"], f"schema_id at {k}")

    # -- tables

    def flush(self, topic=TOPIC):
        self.b.tarn("table", "flush", topic, seconds=60)

    def verify(self, topic=TOPIC):
        self.b.tarn("table", "verify", topic, seconds=60)

    def tables(self):
        t = self.t
        with t.check("tarn table flush"):
            self.flush()
        columns = set(orders.COLUMNS) | KAFKA
        rows.check_tables(t, TOPIC, self.log.rows, columns=columns)
        with t.check("tarn table verify"):
            self.verify()
        with t.check("tarn table status"):
            status = json.loads(self.b.tarn("table", "status", TOPIC, "--output", "json"))["item"]
            want(status, "no status")

    def evolve(self):
        t = self.t
        fields = orders.FIELDS + [orders.COUPON]
        with t.check("version 2 with a nullable field is registered"):
            id2 = clients.registry(self.b).register_schema(SUBJECT, Schema(orders.schema_text(fields), "AVRO"))
            want(id2 != self.schema_id, "version 2 has the id of version 1")
            self.id2 = id2
        with t.check("an incompatible version is refused"):
            broken = fields + [{"name": "must", "type": "string"}]
            try:
                clients.registry(self.b).register_schema(SUBJECT, Schema(orders.schema_text(broken), "AVRO"))
                raise Failure("a required field without default was taken")
            except SchemaRegistryError as e:
                equal(e.http_status_code, 409, "HTTP status")
        with t.check("both versions are produced and consumed"):
            self.produce_confluent([self.order() for _ in range(300)])
            with_coupon = [{**self.order(), "coupon": t.random.choice([None, "", "SAVE10"])} for _ in range(300)]
            self.produce_confluent(with_coupon, fields, self.id2)
            self.produce_franz([{**self.order(), "coupon": "go"} for _ in range(100)], self.id2)
            self.check_franz(clients.franz(self.b, TOPIC, len(self.log), group="g-franz-2"))
        with t.check("tarn table flush after the new version"):
            self.flush()
        rows.check_tables(t, TOPIC, self.log.rows, "rows with the added column", set(orders.COLUMNS) | KAFKA | {"coupon"})
        with t.check("tarn table verify after the new version"):
            self.verify()

    def dead_letters(self):
        """A topic that takes anything: what does not decode goes aside."""
        t, b, topic = self.t, self.b, "loose"
        good, bad = rows.Produced(), {}
        with t.check("a topic without validation takes bad records"):
            b.tarn("topic", "create", topic, "-c", FORMATS)
            sid = clients.registry(b).register_schema(f"{topic}-value", Schema(orders.schema_text(), "AVRO"))
            made = [self.order() for _ in range(20)]
            values = [self.payload(o, schema_id=sid) for o in made]
            values[7] = values[7][:-3]
            values[11] = b"\x00\x00\x01\x86\x9f" + values[11][5:]
            values[13] = b"garbage"
            got = clients.delivered(clients.deliver(clients.producer(b), topic, [
                {"key": b"k", "value": v, "timestamp": BASE + i} for i, v in enumerate(values)]))
            for i, m in enumerate(got):
                if i in (7, 11, 13):
                    bad[m.partition(), m.offset()] = {
                        "kafka_topic": topic, "kafka_partition": m.partition(), "kafka_offset": m.offset(),
                        "kafka_key": b"k", "kafka_value": values[i]}
                else:
                    good.add(m.partition(), m.offset(), BASE + i, b"k", values[i], made[i], sid, [])
            b.tarn("table", "flush", topic)
        rows.check_tables(t, topic, good.rows, "rows beside dead letters")
        rows.check_tables(t, f"{topic}__dead_letters", bad, "dead letters")
        for fmt in rows.FORMATS:
            with t.check(f"dead letters say why: {fmt}"):
                for k, r in rows.read(fmt, b, f"{topic}__dead_letters").items():
                    want(r["reason"], f"no reason at {k}")
        with t.check("tarn table verify with dead letters"):
            b.tarn("table", "verify", topic)

    def unasked(self):
        """Without a flush, rows are in the tables within the interval."""
        t, b = self.t, self.b
        with t.check("rows are in the tables within 10 s without a flush"):
            self.produce_franz([self.order() for _ in range(50)], self.id2)
            begun = time.monotonic()
            while rows.duckdb_count(b.warehouse, TOPIC) < len(self.log):
                want(time.monotonic() - begun < 20, f"{len(self.log)} records, fewer rows after 20 s")
                time.sleep(0.05)
            took = time.monotonic() - begun
            # A tenth of a second or so goes by before this looks again.
            want(took < 10.5, f"after {took:.2f} s")
            rows.compare(rows.read("iceberg", b, TOPIC), self.log.rows, "Iceberg table", set(orders.COLUMNS) | KAFKA)

    def cli(self):
        """tarn produce takes JSON and encodes it by the topic's schema."""
        t, b, topic = self.t, self.b, "small"
        text = json.dumps({"type": "record", "name": "Small", "fields": [
            {"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"], "default": None}]})
        with t.check("tarn produce"):
            b.tarn("topic", "create", topic, "-c", "tarn.value.schema.validation=payload")
            clients.registry(b).register_schema(f"{topic}-value", Schema(text, "AVRO"))
            wanted = [{"id": i, "name": None if i % 2 else f"n{i}"} for i in range(20)]
            b.tarn("produce", topic, stdin="\n".join(map(json.dumps, wanted)).encode())
            decode, ctx = AvroDeserializer(clients.registry(b)), SerializationContext(topic, MessageField.VALUE)
            got = sorted(clients.confluent(b, topic, len(wanted), group="g-small"))
            equal([decode(v, ctx) for _, _, _, _, v in got], wanted, "values")
        with t.check("tarn produce refuses what the schema does not know"):
            b.tarn("produce", topic, stdin=b'{"id": "many"}\n', ok=(1,))
            equal(clients.ends(b, topic), {0: 20}, "log end")


KAFKA = {"kafka_partition", "kafka_offset", "kafka_timestamp", "kafka_key", "kafka_headers", "kafka_schema_id"}
