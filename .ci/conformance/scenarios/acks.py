"""acks 0, 1 and all with each client, and every codec with each: what one
client wrote, all others read."""

import time

import clients
from harness import PEER, Failure, equal, lines, want
from harness import run as run_program
from records import BASE

N = 200
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def run(t):
    b = t.broker
    for acks in ("0", "1", "all"):
        for codec in CODECS:
            kcat(t, b, acks, codec)
            confluent(t, b, acks, codec)
            franz(t, b, acks, codec)
    for acks in ("0", "1", "-1"):
        for codec in ("none", "gzip"):
            kafkajs(t, b, acks, codec, "plain")
    kafkajs(t, b, "-1", "gzip", "idempotent")
    for codec in ["uncompressed"] + CODECS[1:]:
        recompressed(t, b, codec)
    timestamps(t, b)


def topic(b, name, *configs):
    b.tarn("topic", "create", name, *[w for c in configs for w in ("-c", c)])
    return name


def kcat(t, b, acks, codec):
    with t.check(f"kcat acks={acks} {codec}"):
        name = topic(b, f"kcat-{acks}-{codec}")
        values = [f"value {i} {'x' * (i % 70)}" for i in range(N)]
        clients.kcat_produce(b, name, values, ["-z", codec, "-X", f"acks={acks}"], key="k")
        everyone(b, name, [(b"k", v.encode()) for v in values], codec)


def confluent(t, b, acks, codec):
    with t.check(f"confluent-kafka-python acks={acks} {codec}"):
        name = topic(b, f"py-{acks}-{codec}")
        records = [{"key": str(i).encode(), "value": (b"\x00\xff" * i) or None} for i in range(N)]
        p = clients.producer(b, acks=acks, compression_type=codec, enable_idempotence=acks == "all")
        clients.delivered(clients.deliver(p, name, records))
        everyone(b, name, [(r["key"], r["value"]) for r in records], codec)


def franz(t, b, acks, codec):
    with t.check(f"franz-go acks={acks} {codec}"):
        name = topic(b, f"go-{acks}-{codec}")
        got = b.peer("send", "-topic", name, "-acks", acks, "-codec", codec, "-n", str(N))
        everyone(b, name, [(k, v) for _, _, _, k, v in clients.unpacked(got)], codec)


def kafkajs(t, b, acks, codec, kind):
    with t.check(f"kafkajs acks={acks} {codec} {kind}"):
        name = topic(b, f"js{acks}-{codec}-{kind}")
        b.kafkajs("produce.js", name, str(N), codec, acks, kind)
        everyone(b, name, [(f"js-{i}".encode(), f"{codec} value {i} {'x' * (i % 50)}".encode()) for i in range(N)], codec)


def recompressed(t, b, codec):
    """The topic wants another codec than the client took."""
    with t.check(f"compression.type={codec}"):
        name = topic(b, f"topic-{codec}", f"compression.type={codec}")
        wanted = []
        for sent in CODECS:
            values = [f"{sent} {i}" for i in range(20)]
            clients.kcat_produce(b, name, values, ["-z", sent], key="k")
            wanted += [(b"k", v.encode()) for v in values]
        everyone(b, name, wanted, codec)


def everyone(b, name, wanted, codec):
    """All clients find the wanted (key, value) in partition 0, in order."""
    settle(b, name, len(wanted))
    check("kcat", clients.kcat(b, name), wanted)
    check("confluent-kafka-python", clients.confluent(b, name, len(wanted)), wanted)
    check("franz-go", clients.unpacked(lines_of(b, name)), wanted)
    if codec not in ("lz4", "zstd"):  # no codec of kafkajs's own, nor one in JavaScript alone
        check("kafkajs", clients.kafkajs(b, name, len(wanted), f"g-{name}", "batch"), wanted)


def lines_of(b, name):
    # No registry: plain texts.
    return lines(run_program(PEER, "consume", "-b", b.kafka, "-topic", name))


def settle(b, name, n):
    """With acks=0 a client may be done before the broker is."""
    end = time.monotonic() + 10
    while sum(clients.ends(b, name).values()) < n:
        if time.monotonic() > end:
            raise Failure(f"log ends {clients.ends(b, name)} after 10 s, want {n} records")
        time.sleep(0.05)


def check(who, got, wanted):
    got = sorted(got)
    equal([g[1] for g in got], list(range(len(wanted))), f"offsets by {who}")
    for (_, o, _, k, v), w in zip(got, wanted):
        if (k, v) != w:
            raise Failure(f"{who} at offset {o}: got {(k, v)!r}, want {w!r}")


def timestamps(t, b):
    with t.check("LogAppendTime stamps records"):
        name = topic(b, "append-time", "message.timestamp.type=LogAppendTime")
        before = time.time() * 1000
        clients.delivered(clients.deliver(clients.producer(b), name, [{"value": b"x", "timestamp": 1000} for _ in range(3)]))
        for _, _, ts, _, _ in clients.kcat(b, name):
            want(before - 1000 < ts < time.time() * 1000 + 1000, f"timestamp {ts}, want about {before}")
    with t.check("kcat -Q finds offsets by time"):
        name = topic(b, "by-time")
        clients.delivered(clients.deliver(clients.producer(b), name, [
            {"value": b"x", "timestamp": BASE + 1000 * i, "partition": 0} for i in range(10)]))
        for ts, offset in ((BASE - 1, 0), (BASE + 4500, 5), (BASE + 9000, 9), (-1, 10), (-2, 0)):
            out = run_program("kcat", "-q", "-b", b.kafka, "-Q", "-t", f"{name}:0:{ts}").decode()
            equal(out.split()[-1], str(offset), f"offset for {ts}")
