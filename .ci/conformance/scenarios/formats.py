"""Old message formats, in and out: clients from before 0.11, as librdkafka
plays them, write v0 and v1 message sets and are given such."""

import clients
from harness import Failure, equal
from scenarios.acks import check, lines_of, topic

N = 300
CODECS = ["none", "gzip", "snappy", "lz4"]


def run(t):
    b = t.broker
    for fmt, old in clients.OLD.items():
        for codec in CODECS:
            written(t, b, fmt, old, codec)
            given(t, b, fmt, old, codec)
        mixed(t, b, fmt, old)


def values(codec):
    return [f"{codec} {i} {'y' * (i % 90)}" for i in range(N)]


def written(t, b, fmt, old, codec):
    """An old client writes, everybody reads."""
    with t.check(f"{fmt} {codec} written by an old client"):
        name = topic(b, f"old-{fmt}-{codec}")
        clients.kcat_produce(b, name, values(codec), [*old, "-z", codec], key="k")
        wanted = [(b"k", v.encode()) for v in values(codec)]
        equal(clients.ends(b, name), {0: N}, "log end")
        check("kcat", clients.kcat(b, name), wanted)
        check("kcat as an old client", clients.kcat(b, name, extra=old), wanted)
        check("confluent-kafka-python", clients.confluent(b, name, N), wanted)
        check("franz-go", clients.unpacked(lines_of(b, name)), wanted)
        if codec != "lz4":
            check("kafkajs", clients.kafkajs(b, name, N, f"g-{name}", "batch"), wanted)


def given(t, b, fmt, old, codec):
    """A new client writes with headers, an old one reads."""
    with t.check(f"{codec} batches given to an old client as {fmt}"):
        name = topic(b, f"new-{fmt}-{codec}")
        wanted, records = [], []
        for i, v in enumerate(values(codec)):
            key = None if i % 5 == 0 else f"k{i}".encode()
            value = None if i % 7 == 0 else v.encode()
            wanted.append((key, value))
            records.append({"key": key, "value": value, "headers": [("h", b"1")]})
        clients.delivered(clients.deliver(clients.producer(b, compression_type=codec), name, records))
        got = clients.kcat(b, name, extra=old)
        check("kcat as an old client", got, wanted)


def mixed(t, b, fmt, old):
    """Both write in turn; offsets stay in order and an old client can start
    in the middle of a batch."""
    with t.check(f"{fmt} and v2 in one log"):
        name = topic(b, f"mixed-{fmt}")
        wanted = []
        for round_ in range(6):
            vs = [f"{round_} {i}" for i in range(50)]
            clients.kcat_produce(b, name, vs, ["-z", "gzip", *(old if round_ % 2 else [])], key="k")
            wanted += [(b"k", v.encode()) for v in vs]
        check("kcat", clients.kcat(b, name), wanted)
        check("kcat as an old client", clients.kcat(b, name, extra=old), wanted)
        got = clients.parse_kcat(clients.run("kcat", "-q", "-b", b.kafka, *old, "-C", "-t", name, "-o", "77", "-e", "-f", clients.KCAT_FORMAT))
        if [g[1] for g in got] != list(range(77, len(wanted))):
            raise Failure(f"from offset 77 came {len(got)} records, the first at {got[:1]}")
