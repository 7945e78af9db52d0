"""The Kafka clients of the scenarios, each as one function.

Consumers return (partition, offset, timestamp ms, key, value) per record.
"""

import base64
import re
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient

from harness import Failure, run

OLD = {  # librdkafka settings of clients from before ApiVersions
    "v1": ["-X", "api.version.request=false", "-X", "broker.version.fallback=0.10.0"],
    "v0": ["-X", "api.version.request=false", "-X", "broker.version.fallback=0.9.0"],
}


def registry(broker):
    return SchemaRegistryClient({"url": broker.http})


def producer(broker, **settings):
    return Producer({"bootstrap.servers": broker.kafka, "linger.ms": 20, "log_level": 2,
                     **{k.replace("_", "."): v for k, v in settings.items()}})


def deliver(p, topic, records, seconds=60):
    """Produces dicts for Producer.produce and returns a list of (error,
    message), one per record in the order given.

    The topic is known before the first record, and nothing is flushed: both
    would let librdkafka send what little it has, whatever linger.ms says."""
    out = [None] * len(records)
    p.list_topics(topic, 30)

    def keep(i):
        def on_delivery(err, msg):
            out[i] = (err, msg)
        return on_delivery

    for i, r in enumerate(records):
        while True:
            try:
                p.produce(topic, on_delivery=keep(i), **r)
                break
            except BufferError:
                p.poll(0.1)
        p.poll(0)
    end = time.monotonic() + seconds
    while left := sum(o is None for o in out):
        if time.monotonic() > end:
            raise Failure(f"{left} of {len(records)} records have no outcome after {seconds} s")
        p.poll(0.1)
    return out


def delivered(outcomes):
    """The messages; fails at the first record that was not taken."""
    for i, (err, _) in enumerate(outcomes):
        if err:
            raise Failure(f"record {i} of {len(outcomes)}: {err.name()}: {err.str()}")
    return [m for _, m in outcomes]


def ends(broker, topic):
    """Log end offsets by partition, from the Go peer."""
    return {l["partition"]: l["offset"] for l in broker.peer("ends", "-topic", topic)}


def confluent(broker, topic, n, group=None, seconds=40, **settings):
    """Consumes n records with confluent-kafka-python: in a group, or all
    partitions by hand."""
    c = Consumer({"bootstrap.servers": broker.kafka, "group.id": group or "none", "auto.offset.reset": "earliest",
                  "enable.auto.commit": False, **{k.replace("_", "."): v for k, v in settings.items()}})
    try:
        if group:
            c.subscribe([topic])
        else:
            c.assign([TopicPartition(topic, p, 0) for p in c.list_topics(topic, 10).topics[topic].partitions])
        out = []
        end = time.monotonic() + seconds
        while len(out) < n:
            if time.monotonic() > end:
                raise Failure(f"{len(out)} of {n} records after {seconds} s")
            for m in c.consume(1000, 0.5):
                if m.error() and m.error().code() != KafkaError._PARTITION_EOF:
                    raise Failure(f"{m.error().name()}: {m.error().str()}")
                if not m.error():
                    out.append((m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value()))
        if group:
            c.commit(asynchronous=False)
            committed = c.committed(c.assignment(), 10)
            done = sum(max(tp.offset, 0) for tp in committed)
            if done != n:
                raise Failure(f"committed offsets add up to {done}, want {n}")
        return out
    finally:
        c.close()


# Binary-safe: lengths first, then the bytes.
KCAT_FORMAT = r"@%p %o %T %K %S:%k%s"


def parse_kcat(b):
    out, pos = [], 0
    head = re.compile(rb"@(\d+) (\d+) (-?\d+) (-?\d+) (-?\d+):")
    while pos < len(b):
        m = head.match(b, pos)
        if not m:
            raise Failure(f"kcat wrote {b[pos:pos + 60]!r} at {pos}")
        p, o, ts, klen, vlen = map(int, m.groups())
        pos = m.end()
        key = b[pos:pos + klen] if klen >= 0 else None
        pos += max(klen, 0)
        value = b[pos:pos + vlen] if vlen >= 0 else None
        pos += max(vlen, 0)
        out.append((p, o, ts, key, value))
    return out


def kcat(broker, topic, n=None, group=None, extra=(), seconds=60):
    """Consumes with kcat: everything there is, or in a group."""
    args = ["kcat", "-q", "-b", broker.kafka, "-u", "-f", KCAT_FORMAT, *extra]
    if group:
        # -e ends at the end of all partitions that the group gave it.
        args += ["-X", "auto.offset.reset=earliest", "-e", "-G", group, topic]
    else:
        args += ["-C", "-t", topic, "-o", "beginning", "-e"]
        if n is not None:
            args += ["-c", str(n)]
    return parse_kcat(run(*args, seconds=seconds))


def kcat_produce(broker, topic, values, extra=(), key=None, seconds=60):
    """Produces texts without newlines, one record a line."""
    args = ["kcat", "-q", "-b", broker.kafka, "-P", "-t", topic, *extra]
    if key is not None:
        args += ["-k", key]
    run(*args, stdin="".join(f"{v}\n" for v in values).encode(), seconds=seconds)


def unpacked(rows):
    """Records of the node and Go programs: bytes stand in base64."""
    def b(s):
        return None if s is None else base64.b64decode(s)
    return [(r["partition"], r["offset"], r["timestamp"], b(r["key"]), b(r["value"])) for r in rows]


def kafkajs(broker, topic, n, group, mode):
    """Consumes n records in a group with kafkajs; mode is message or batch."""
    return unpacked(broker.kafkajs("consume.js", topic, str(n), group, mode))


def franz(broker, topic, n=0, group=None, seconds=60):
    """Consumes with franz-go; returns the rows as the peer wrote them."""
    args = ["-topic", topic, "-n", str(n)] + (["-group", group] if group else [])
    return broker.peer("consume", *args, seconds=seconds)
