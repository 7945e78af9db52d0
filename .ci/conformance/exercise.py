"""What every client of peers.py is put through, by what it can do."""

import time

from confluent_kafka import Consumer, KafkaError, TopicPartition

import clients
import records
from harness import Failure, equal, want
from records import Record, same, until

PARTITIONS = 3


def topic(b, name, partitions=PARTITIONS, *configs):
    b.tarn("topic", "create", name, "--partitions", str(partitions), *[w for c in configs for w in ("-c", c)])
    return name


def read(b, name, n, isolation="read_uncommitted", seconds=30):
    """All records by confluent-kafka-python; n of them, and none beyond."""
    c = Consumer({"bootstrap.servers": b.kafka, "group.id": "none", "enable.auto.commit": False,
                  "enable.partition.eof": True, "auto.offset.reset": "earliest", "isolation.level": isolation, "log_level": 2})
    try:
        parts = c.list_topics(name, 10).topics[name].partitions
        c.assign([TopicPartition(name, p, 0) for p in parts])
        out, ended, end = [], set(), time.monotonic() + seconds
        while len(ended) < len(parts):
            if time.monotonic() > end:
                raise Failure(f"{len(out)} of {n} records after {seconds} s, ends of {sorted(ended)}")
            for m in c.consume(1000, 0.5):
                if m.error() and m.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(m.partition())
                elif m.error():
                    raise Failure(f"{m.error().name()}: {m.error().str()}")
                else:
                    out.append(Record(m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value(),
                                      tuple(m.headers() or ())))
        if n is not None:
            equal(len(out), n, "records in the log")
        return out
    finally:
        c.close()


def write(b, name, made, **settings):
    """Produces records with confluent-kafka-python; returns them with offsets."""
    p = clients.producer(b, **settings)
    got = clients.delivered(clients.deliver(p, name, [
        {"partition": r.partition, "timestamp": r.timestamp, "key": r.key, "value": r.value, "headers": list(r.headers)}
        for r in made]))
    return [r._replace(offset=m.offset()) for r, m in zip(made, got)]


def committed(b, group, name):
    """The group's offsets by partition, as librdkafka reads them."""
    c = Consumer({"bootstrap.servers": b.kafka, "group.id": group, "log_level": 2})
    try:
        parts = c.list_topics(name, 10).topics[name].partitions
        return {tp.partition: tp.offset for tp in c.committed([TopicPartition(name, p) for p in parts], 10)}
    finally:
        c.close()


def produce(t, b, peer, idempotent=True):
    """Every codec with every acks: as acknowledged, as read by others."""
    with t.check(f"{peer.name} produces: {' '.join(peer.codecs)}, acks 1 and all", seconds=180):
        name = topic(b, f"{peer.id}-produced")
        script = []
        for codec in peer.codecs:
            for settings in ("acks=1", "acks=all") + (("acks=all idempotent=true",) if idempotent else ()):
                script += [f"!open {settings} codec={codec} {peer.opens}".rstrip()]
                script += records.make(t.random, 30, PARTITIONS, headers=peer.headers)
        told = peer.produce(b, name, script, seconds=120)
        equal(sorted((r.partition, r.offset) for r in told),
              sorted((r.partition, r.offset) for r in records.numbered(told)), "offsets that it was told")
        same("confluent-kafka-python", read(b, name, len(told)), sorted(told, key=lambda r: (r.partition, r.offset)))


def consume(t, b, peer, **settings):
    """Reads what librdkafka wrote with every codec, commits, goes on."""
    label = " ".join(f"{k}={v}" for k, v in settings.items())
    with t.check(f"{peer.name} consumes, commits and goes on {label}".rstrip(), seconds=240):
        name = topic(b, "-".join([peer.id, "consumed", *map(str, settings.values())]))
        group = f"g-{name}"
        first = []
        for codec in peer.codecs:
            first += write(b, name, records.make(t.random, 60, PARTITIONS, headers=peer.headers), compression_type=codec)
        same(peer.name, peer.consume(b, name, group, len(first), **settings), first, empties=peer.empties)
        equal(committed(b, group, name), clients.ends(b, name), "committed offsets")
        more = write(b, name, records.make(t.random, 31, PARTITIONS, start=9000, headers=peer.headers))
        same(f"{peer.name} going on", peer.consume(b, name, group, len(more), **settings), more, empties=peer.empties)
        equal(committed(b, group, name), clients.ends(b, name), "committed offsets, later")


def share(t, b, peer, other=None, **settings):
    """Two members share six partitions; one leaves; each record comes once."""
    other = other or peer
    label = " ".join(f"{k}={v}" for k, v in settings.items())
    with t.check(f"{peer.name} and {other.name} share a group, one leaves {label}".rstrip(), seconds=300):
        name = topic(b, "-".join([peer.id, other.id, "shared", *map(str, settings.values())]), 6)
        group = f"g-{name}"
        made = write(b, name, records.make(t.random, 120, 6, headers=peer.headers))
        members = [peer.member(b, name, group, **settings), other.member(b, name, group, **settings)]
        try:
            x, y = members

            def both():
                nonlocal made
                marks = len(x.records), len(y.records)
                made += write(b, name, records.make(t.random, 60, 6, start=len(made), headers=peer.headers))
                total = len(made)
                until(lambda: read_so_far(x, y) >= total or x.process.poll() is not None, 90,
                      lambda: f"{len(x.records)} and {len(y.records)} records of {total}: {x.said[-300:]} {y.said[-300:]} "
                              + b.tarn("group", "describe", group).decode())
                px, py = x.partitions(marks[0]), y.partitions(marks[1])
                return len(px) == len(py) == 3 and not px & py
            until(both, 120, lambda: f"three partitions to each; {x.process.poll()} {x.said[-300:]} {y.process.poll()} {y.said[-300:]}")
            y.leave()
            mark = len(x.records)
            made += write(b, name, records.make(t.random, 60, 6, start=len(made), headers=peer.headers))
            until(lambda: read_so_far(x, y) >= len(made), 90,
                  lambda: f"{len(x.records)} and {len(y.records)} records of {len(made)}: {x.said[-300:]} "
                          + b.tarn("group", "describe", group).decode())
            equal(x.partitions(mark), set(range(6)), "partitions of the one that stays")
            if not (peer.once and other.once):
                # Who reads records again commits their offsets again, from below.
                until(lambda: committed(b, group, name) == clients.ends(b, name), 90,
                      lambda: f"committed are {committed(b, group, name)}: {x.said[-300:]}")
            x.leave()
        finally:
            for m in members:
                if m.process.poll() is None:
                    m.kill()
        got = x.records + y.records
        if not (peer.once and other.once):
            got = set(got)  # which keeps two that differ
        same("both together", sorted(got, key=lambda r: (r.partition, r.offset)), made,
             empties=peer.empties and other.empties)
        equal(committed(b, group, name), clients.ends(b, name), "committed offsets")


def read_so_far(x, y):
    return len({(r.partition, r.offset) for r in x.records + y.records})


def transact(t, b, peer, reads=True):
    """Committed, aborted and later transactions; with the old, all is there."""
    with t.check(f"{peer.name} in transactions", seconds=240):
        name = topic(b, f"{peer.id}-transactions")
        script, keep = [f"!open txn={peer.id} codec={peer.codecs[-1]}"], []
        for i in range(6):
            made = records.make(t.random, 40, PARTITIONS, start=100 * i, headers=peer.headers)
            keep += [i % 3 != 1] * len(made)
            script += ["!begin", *made, "!abort" if i % 3 == 1 else "!commit"]
        told = peer.produce(b, name, script, seconds=120)
        in_log = sorted(told, key=lambda r: (r.partition, r.offset))
        same("read_uncommitted", read(b, name, len(told)), in_log)
        kept = sorted((r for r, k in zip(told, keep) if k), key=lambda r: (r.partition, r.offset))
        want(len(kept) == 160, f"{len(kept)} records in committed transactions")
        same("read_committed", read(b, name, len(kept), "read_committed"), kept)
        if reads:
            got = peer.consume(b, name, f"g-{name}", len(kept), isolation="read_committed")
            same(f"{peer.name}, read_committed", got, kept, empties=peer.empties)


def transform(t, b, peer, **settings):
    """Exactly once from a topic to another, with the offsets in the
    transaction, and again by the next member of the group."""
    label = " ".join(f"{k}={v}" for k, v in settings.items())
    with t.check(f"{peer.name} consumes, transforms and produces exactly once {label}".rstrip(), seconds=240):
        source, to = (topic(b, "-".join([peer.id, what, *settings.values()])) for what in ("source", "target"))
        group = f"g-{source}"
        total = []
        for n in (200, 90):
            total += write(b, source, records.make(t.random, n, PARTITIONS, start=len(total), headers=peer.headers))
            peer.run(b, "transform", source, f"to={to}", f"group={group}", f"n={n}", f"txn=x-{source}",
                     *[f"{k}={v}" for k, v in settings.items()], seconds=100)
            same("read_committed", read(b, to, len(total), "read_committed"), total, offsets=False)
            equal(committed(b, group, source), clients.ends(b, source), "committed offsets")
        all_of_it = sum(clients.ends(b, to).values())
        want(all_of_it > len(total), "no transaction was aborted: nothing was shown")
