"""SIGKILL at random moments while clients produce and tables are committed.

Two idempotent producers, confluent-kafka-python and franz-go, write orders
that carry a number each. In the end the log and the three tables hold every
acknowledged number once, and nothing twice.
"""

import collections
import json
import os
import subprocess
import threading
import time

from confluent_kafka.schema_registry import Schema
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import clients
import orders
import rows
from harness import PEER, Failure, die_with_parent, equal, lines, want

TOPIC = "crash"
FRANZ_START = 10_000_000
RATE = 1000


def run(t):
    kills = int(os.environ.get("KILLS") or (10 if t.full else 3))
    b = None
    with t.check("topic and schema"):
        b = t.start("crash", fixed_ports=True)
        b.tarn("topic", "create", TOPIC, "--partitions", "3", "-c", "tarn.table.formats=iceberg,delta,parquet",
               "-c", "tarn.value.schema.validation=payload", "-c", "tarn.table.commit.interval.ms=300")
        clients.registry(b).register_schema(f"{TOPIC}-value", Schema(orders.schema_text(), "AVRO"))
    if b is None:
        return
    python, franz = PythonProducer(b, orders.make(t.random, 0)), FranzProducer(b, orders.make(t.random, 1))
    acked = {}
    with t.check(f"{kills} times SIGKILL under load", seconds=60 + 30 * kills):
        python.start()
        franz.start()
        try:
            for i in range(kills):
                time.sleep(t.random.uniform(0.2, 2.5))
                b.kill()
                if i % 3 == 1:
                    time.sleep(t.random.uniform(0, 0.5))
                if i % 3 == 2:
                    b.start_and_kill(t.random.uniform(0, 0.3))
                b.start()
            time.sleep(1)
        finally:
            python.stop()
            franz.stop()
        acked = {**python.acked(), **franz.acked()}
        want(len(python.acked()) > 100 * kills, f"only {len(python.acked())} acknowledged by confluent-kafka-python")
        want(len(franz.acked()) > 100 * kills, f"only {len(franz.acked())} acknowledged by franz-go")
        print(f"# {len(acked)} records acknowledged", flush=True)
    with t.check("every record that was handed over was acknowledged"):
        equal(python.errors[:3], [], "errors of confluent-kafka-python")
        equal(franz.error, "", "error of franz-go")
    log = {}
    with t.check("the log holds each acknowledged record once", seconds=120):
        log = numbers(clients.franz(b, TOPIC, seconds=100))
        once(log, acked, "log")
    with t.check("tables were committed between the kills"):
        parts = list(b.warehouse.glob(f"default/{TOPIC}/parquet/*.parquet"))
        want(len(parts) > kills, f"only {len(parts)} data files after {kills} kills")
    with t.check("tarn table flush", seconds=120):
        b.tarn("table", "flush", TOPIC, seconds=100)
    with t.check("tarn table verify", seconds=120):
        b.tarn("table", "verify", TOPIC, seconds=100)
    for fmt in rows.FORMATS:
        with t.check(f"each record once: {rows.READERS[fmt]}", seconds=120):
            got = {k: r["order_id"] for k, r in rows.read(fmt, b, TOPIC).items()}
            want(log, "the log was not read")
            equal(len(got), len(log), "rows")
            want(got == log, "the table holds other records than the log, or elsewhere")
            once(got, acked, "table")


def numbers(consumed):
    """order_id by (partition, offset)."""
    return {(r["partition"], r["offset"]): r["order"]["order_id"] for r in consumed}


def once(held, acked, what):
    """held: order_id by (partition, offset); acked the same."""
    count = collections.Counter(held.values())
    twice = [n for n, c in count.items() if c > 1]
    want(not twice, f"{what}: {len(twice)} records are there more than once: {twice[:5]}")
    lost = [n for n in acked.values() if n not in count]
    want(not lost, f"{what}: {len(lost)} of {len(acked)} acknowledged records are lost: {lost[:5]}")
    moved = [k for k, n in acked.items() if held[k] != n]
    want(not moved, f"{what}: {len(moved)} records lie elsewhere than was acknowledged: {moved[:5]}")


class PythonProducer:
    """confluent-kafka-python in a thread of its own."""

    def __init__(self, broker, pattern):
        self.pattern = pattern
        self.serialize = AvroSerializer(clients.registry(broker), orders.schema_text(), conf={"auto.register.schemas": False})
        self.producer = clients.producer(broker, enable_idempotence=True, linger_ms=5, retry_backoff_max_ms=200,
                                         reconnect_backoff_max_ms=200, message_timeout_ms=120000)
        self.errors, self.done = [], {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def start(self):
        self.thread.start()

    def loop(self):
        ctx = SerializationContext(TOPIC, MessageField.VALUE)
        n = 0
        try:
            while not self.ended.wait(0.01):
                for _ in range(RATE // 100):
                    value = self.serialize({**self.pattern, "order_id": f"n-{n}"}, ctx)
                    self.producer.produce(TOPIC, value, f"k-{n % 97}", on_delivery=self.keeper(n))
                    n += 1
                self.producer.poll(0)
            left = self.producer.flush(100)
            if left:
                self.errors.append(f"{left} of {n} without outcome")
        except Exception as e:
            self.errors.append(f"{type(e).__name__}: {e}")

    def keeper(self, n):
        def keep(err, msg):
            if err:
                self.errors.append(f"record {n}: {err.name()}: {err.str()}")
            else:
                self.done[msg.partition(), msg.offset()] = f"n-{n}"
        return keep

    def stop(self):
        self.ended.set()
        self.thread.join(110)

    def acked(self):
        return self.done


class FranzProducer:
    """franz-go in a process of its own."""

    def __init__(self, broker, pattern):
        self.broker, self.pattern = broker, pattern
        self.error, self.done = "", {}

    def start(self):
        self.process = subprocess.Popen(
            [PEER, "stream", "-b", self.broker.kafka, "-http", self.broker.http, "-topic", TOPIC,
             "-rate", str(RATE), "-start", str(FRANZ_START)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        self.process.stdin.write(json.dumps({"order": orders.to_json(self.pattern)}).encode() + b"\n")
        self.process.stdin.flush()

    def stop(self):
        out, err = self.process.communicate(timeout=110)  # closes standard input
        self.error = err.decode(errors="replace").strip()
        for l in lines(out):
            k = l["partition"], l["offset"]
            if k in self.done:
                raise Failure(f"franz-go was told partition {k[0]} offset {k[1]} twice")
            self.done[k] = f"n-{l['n']}"

    def acked(self):
        return self.done
