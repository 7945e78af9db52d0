"""The main job in short, for a topic of any schema language: make, produce,
refuse, consume, read the tables."""

import base64
import json

from confluent_kafka import KafkaError
from confluent_kafka.serialization import MessageField, SerializationContext

import clients
import rows
from harness import equal, want
from records import BASE

ALL_FORMATS = "tarn.table.formats=iceberg,delta,parquet"
KAFKA = {"kafka_partition", "kafka_offset", "kafka_timestamp", "kafka_key", "kafka_headers", "kafka_schema_id"}


class Typed:
    """One topic. A subclass gives its language:

    make(i)            the i-th value, as its serializer takes it
    columns(value)     the row that must come of it
    serializer()       of confluent-kafka-python, which registers the schema
    deserializer()
    same_value(got, v) raises unless a deserialized value is the one produced
    bad_values()       name → (bytes, words that the refusal must hold)
    """

    topic = ""
    table = None  # its name, if not the topic's
    configs = ()
    struct_lists = ()  # see rows.check_tables
    records = 500

    def __init__(self, t):
        self.t, self.b = t, t.broker
        self.log = rows.Produced()
        self.values = {}
        self.good = b""

    def run(self):
        t = self.t
        with t.check("tarn topic create"):
            configs = [ALL_FORMATS, "tarn.value.schema.validation=payload", *self.configs]
            self.b.tarn("topic", "create", self.topic, "--partitions", "2", *[w for c in configs for w in ("-c", c)])
        with t.check("produce, and register, with confluent-kafka-python"):
            self.produce([self.make(i) for i in range(self.records)])
        self.refuse()
        self.consume()
        self.tables("rows")

    def context(self):
        return SerializationContext(self.topic, MessageField.VALUE)

    def subject(self):
        return f"{self.topic}-value"

    def produce(self, values, serializer=None, **settings):
        serialize = serializer or self.serializer()
        records = [{"key": f"k{i % 17}".encode(), "value": serialize(v, self.context()), "timestamp": BASE + i}
                   for i, v in enumerate(values)]
        outcomes = clients.deliver(clients.producer(self.b, **settings), self.topic, records)
        for r, v, m in zip(records, values, clients.delivered(outcomes)):
            schema_id = int.from_bytes(r["value"][1:5], "big")
            self.log.add(m.partition(), m.offset(), r["timestamp"], r["key"], r["value"], self.columns(v), schema_id, [])
            self.values[m.partition(), m.offset()] = v
        self.good = records[0]["value"]

    def refuse(self):
        t, b = self.t, self.b
        bad = {}
        with t.check("bad records are made"):
            bad = self.bad_values()
        for name, (value, said) in bad.items():
            with t.check(f"refused: {name}"):
                before = clients.ends(b, self.topic)
                [(err, _)] = clients.deliver(clients.producer(b), self.topic, [{"value": value, "partition": 0}])
                equal(err and err.code(), KafkaError.INVALID_RECORD, "error code")
                [a] = b.peer("raw", "-topic", self.topic, stdin=raw_request([self.good, value]).encode())
                equal(a["code"], 87, "error code")
                equal([e["index"] for e in a["record_errors"] or []], [1], "indexes of RecordErrors")
                text = a["record_errors"][0]["message"] or ""
                for word in said:
                    want(word in text, f"message does not name {word!r}: {text!r}")
                equal(clients.ends(b, self.topic), before, "log ends after the refusal")

    def consume(self):
        t, b, n = self.t, self.b, len(self.log)
        with t.check("confluent-kafka-python in a group"):
            got = clients.confluent(b, self.topic, n, group=f"g-{self.topic}")
            self.log.check_raw(got, "confluent-kafka-python")
            decode = self.deserializer()
            for p, o, _, _, v in got:
                self.same_value(decode(v, self.context()), self.values[p, o])
        with t.check("kcat -C"):
            self.log.check_raw(clients.kcat(b, self.topic), "kcat")
        with t.check("kafkajs in a group"):
            self.log.check_raw(clients.kafkajs(b, self.topic, n, f"g-{self.topic}-js", "batch"), "kafkajs")
        with t.check("tarn consume"):
            out = b.tarn("consume", self.topic)
            got = {(r["partition"], r["offset"]) for r in map(json.loads, out.splitlines())}
            equal(got == self.log.rows.keys(), True, "the same offsets")

    def tables(self, name):
        t = self.t
        with t.check(f"{name}: tarn table flush"):
            self.b.tarn("table", "flush", self.topic)
        columns = set().union(*(r.keys() for r in self.log.rows.values())) | KAFKA
        rows.check_tables(t, self.table or self.topic, self.log.rows, name, columns, self.struct_lists)
        with t.check(f"{name}: tarn table verify"):
            self.b.tarn("table", "verify", self.topic)


def raw_request(values, version=9):
    return json.dumps({"version": version, "partition": 0, "acks": -1, "records": [
        {"key": "YQ==", "value": base64.b64encode(v).decode()} for v in values]})
