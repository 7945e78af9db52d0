"""A table whose columns widen, int to long and float to double, before and after
its files are merged: read by those engines that can, with nothing switched off."""

import json

from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import clients
import engines
from harness import equal, want
from records import BASE

TOPIC = "widened"
ROWS = 60


def run(t):
    b = t.broker
    with t.check("a table that widens"):
        b.tarn("topic", "create", TOPIC, "--partitions", "1", "-c", "tarn.table.formats=iceberg,delta")
        for number, (n, x) in enumerate([("int", "float"), ("long", "double")]):
            produce(b, n, x, number)
            b.tarn("table", "flush", TOPIC)
    with t.check("engines start", seconds=1300):
        opened = [engines.DuckDB(t.work, f"{b.http}/iceberg"), engines.Spark(t.work, f"{b.http}/iceberg")]
    for when in ("as written", "merged"):
        for engine in opened:
            for what, table in (("Iceberg", engine.table(TOPIC)), ("Delta", engine.delta(f"{b.warehouse}/default/{TOPIC}/delta", TOPIC))):
                with t.check(f"{when}: {what} by {engine.name}", seconds=engine.seconds + 10):
                    got = engine.ask(f"SELECT count(*), min(n), max(n), CAST(sum(n) AS bigint), min(x), max(x) FROM {table}")
                    want("error" not in got, got.get("error"))
                    numbers = [value(0, i) for i in range(ROWS)] + [value(1, i) for i in range(ROWS)]
                    equal(got["got"], [[2 * ROWS, min(numbers), max(numbers), sum(numbers), 0.5, 2.0**60]], "sums")
        with t.check(f"{when}: tarn table verify, compact"):
            b.tarn("table", "verify", TOPIC)
            b.tarn("table", "compact", TOPIC)
    opened[1].stop()


def value(number, i):
    return -i if number == 0 else 2**40 + i


def produce(b, n, x, number):
    fields = [{"name": "n", "type": n}, {"name": "x", "type": x}]
    serializer = AvroSerializer(clients.registry(b), json.dumps({"type": "record", "name": "Wide", "namespace": "shop", "fields": fields}))
    context = SerializationContext(TOPIC, MessageField.VALUE)
    records = [{"key": None, "timestamp": BASE + i, "value": serializer({"n": value(number, i), "x": 2.0**60 if number and i == 7 else 0.5}, context)} for i in range(ROWS)]
    clients.delivered(clients.deliver(clients.producer(b), TOPIC, records))
