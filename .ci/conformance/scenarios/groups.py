"""Consumer groups with several members: shared, handed over, gone on with."""

import subprocess
import time

from confluent_kafka import Consumer, ConsumerGroupState, ConsumerGroupType, TopicPartition
from confluent_kafka.admin import AdminClient

import clients
from harness import PEER, Failure, die_with_parent, equal, want
from scenarios.acks import topic

PARTITIONS = 6
N = 600


def run(t):
    b = t.broker
    with t.check("topic with 6 partitions"):
        b.tarn("topic", "create", "shared", "--partitions", str(PARTITIONS))
        fill(b, "shared", 0)
    for strategy in ("range", "roundrobin", "cooperative-sticky"):
        with t.check(f"two members share, one takes over: {strategy}", seconds=180):
            share(b, strategy)
    for assignor in ("uniform", "range"):
        with t.check(f"two members share, one takes over: the consumer protocol, {assignor}", seconds=180):
            share(b, assignor, {"group_protocol": "consumer", "group_remote_assignor": assignor})
    with t.check("the consumer protocol: a pattern follows new topics", seconds=180):
        pattern(b)
    with t.check("the consumer protocol: a static member comes back to its partitions", seconds=180):
        come_back(b)
    with t.check("the consumer protocol: takes a classic group over, and gives it back", seconds=180):
        take_over(b)
    with t.check("the consumer protocol: a group is described", seconds=180):
        show(b)
    with t.check("a group goes on where it left off"):
        resume(b)
    with t.check("franz-go and confluent-kafka-python go on with one another's offsets"):
        hand_over(b)
    with t.check("a member that is gone without a word is put out"):
        expire(b)
    with t.check("a group is described and deleted"):
        described = b.tarn("group", "describe", "g-resume").decode()
        want("shared" in described, f"its offsets are not described: {described}")
        b.tarn("group", "delete", "g-resume")
        want("g-resume" not in b.tarn("group", "list").decode(), "it is still listed")


def fill(b, name, start):
    """N records, the same number to each partition."""
    clients.delivered(clients.deliver(clients.producer(b), name, [
        {"value": str(start + i).encode(), "partition": i % PARTITIONS} for i in range(N)]))


def member(b, group, **settings):
    config = {"bootstrap.servers": b.kafka, "group.id": group, "auto.offset.reset": "earliest",
              "enable.auto.commit": False, "log_level": 2, "topic.metadata.refresh.interval.ms": 2000}
    if settings.get("group_protocol") != "consumer":  # there the broker says how long
        config |= {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
    return Consumer(config | {k.replace("_", "."): v for k, v in settings.items()})


def take(consumers, done, seconds=30):
    """Polls all of them in turn until done(); returns their new records."""
    out = [[] for _ in consumers]
    end = time.monotonic() + seconds
    while not done(out):
        if time.monotonic() > end:
            raise Failure(f"after {seconds} s: {[len(c.assignment()) for c in consumers]} partitions, {list(map(len, out))} records")
        for c, got in zip(consumers, out):
            for m in c.consume(200, 0.1):
                if m.error():
                    raise Failure(m.error().str())
                got.append((m.partition(), m.offset()))
    return out


def share(b, strategy, settings=None):
    group = f"g-share-{strategy}-{len(settings or {})}"
    x, y = (member(b, group, **(settings or {"partition_assignment_strategy": strategy})) for _ in range(2))
    try:
        x.subscribe(["shared"])
        y.subscribe(["shared"])
        # Both may read a partition before it moves: nothing is committed yet.
        take([x, y], lambda _: len(x.assignment()) == len(y.assignment()) == PARTITIONS // 2)
        parts = {tp.partition for c in (x, y) for tp in c.assignment()}
        equal(parts, set(range(PARTITIONS)), "partitions of both")
        y.close()
        take([x], lambda _: len(x.assignment()) == PARTITIONS)
        fill(b, "shared", 10**6)
        ends = clients.ends(b, "shared")
        last = {(p, o - 1) for p, o in ends.items()}
        take([x], lambda out: last <= set(out[0]))
        x.commit(asynchronous=False)
        done = {tp.partition: tp.offset for tp in x.committed(x.assignment(), 10)}
        equal(done, ends, "committed offsets")
    finally:
        x.close()


CONSUMER = {"group_protocol": "consumer"}


def pattern(b):
    topic(b, "seen-1")
    c = member(b, "g-pattern", **CONSUMER)
    try:
        c.subscribe(["^seen-.*"])
        take([c], lambda _: {tp.topic for tp in c.assignment()} == {"seen-1"})
        topic(b, "seen-2")
        take([c], lambda _: {tp.topic for tp in c.assignment()} == {"seen-1", "seen-2"})
        b.tarn("topic", "delete", "seen-1")
        take([c], lambda _: {tp.topic for tp in c.assignment()} == {"seen-2"})
    finally:
        c.close()


def come_back(b):
    def start(name):
        c = member(b, "g-static", group_instance_id=name, **CONSUMER)
        c.subscribe(["shared"])
        return c

    def owned(c):
        return {tp.partition for tp in c.assignment()}

    x, y = start("x"), start("y")
    try:
        take([x, y], lambda _: len(owned(x)) == len(owned(y)) == PARTITIONS // 2)
        before, other = owned(x), owned(y)
        x.close()
        x = start("x")
        take([x, y], lambda _: len(owned(x)) == PARTITIONS // 2)
        equal(owned(x), before, "partitions of the one that came back")
        equal(owned(y), other, "partitions of the one that stayed")
    finally:
        x.close()
        y.close()


def take_over(b):
    x = member(b, "g-taken", partition_assignment_strategy="cooperative-sticky")
    y = member(b, "g-taken", **CONSUMER)
    try:
        x.subscribe(["shared"])
        take([x], lambda _: len(x.assignment()) == PARTITIONS)
        y.subscribe(["shared"])
        take([x, y], lambda _: len(x.assignment()) == len(y.assignment()) == PARTITIONS // 2)
        parts = {tp.partition for c in (x, y) for tp in c.assignment()}
        equal(parts, set(range(PARTITIONS)), "partitions of both")
        y.close()
        take([x], lambda _: len(x.assignment()) == PARTITIONS)
    finally:
        x.close()
        y.close()


def show(b):
    c = member(b, "g-shown", **CONSUMER)
    admin = AdminClient({"bootstrap.servers": b.kafka})
    try:
        c.subscribe(["shared"])
        take([c], lambda out: len(c.assignment()) == PARTITIONS and out[0])
        c.commit(asynchronous=False)
        d = admin.describe_consumer_groups(["g-shown"])["g-shown"].result(10)
        equal((d.type, d.state), (ConsumerGroupType.CONSUMER, ConsumerGroupState.STABLE), "type and state")
        equal(len(d.members[0].assignment.topic_partitions), PARTITIONS, "partitions described")
        listed = admin.list_consumer_groups(types={ConsumerGroupType.CONSUMER}).result(10).valid
        want("g-shown" in {g.group_id for g in listed}, f"not among {listed}")
        text = b.tarn("group", "describe", "g-shown").decode()
        want("shared" in text and d.members[0].member_id in text, f"tarn describes {text}")
    finally:
        c.close()
    b.tarn("group", "delete", "g-shown")


def resume(b):
    total = sum(clients.ends(b, "shared").values())
    seen = []
    for want_now in (total // 3, total - total // 3):
        c = member(b, "g-resume")
        try:
            c.subscribe(["shared"])
            got = []
            end = time.monotonic() + 30
            while len(got) < want_now:
                want(time.monotonic() < end, f"{len(got)} of {want_now} records after 30 s")
                for m in c.consume(min(50, want_now - len(got)), 0.2):
                    got.append((m.partition(), m.offset()))
            c.commit(offsets=positions(got), asynchronous=False)
            seen += got
        finally:
            c.close()
    equal(len(set(seen)), total, "different records")
    equal(len(seen), total, "records")


def positions(got):
    """What comes behind the last record of each partition."""
    last = {}
    for p, o in got:
        last[p] = max(o, last.get(p, -1))
    return [TopicPartition("shared", p, o + 1) for p, o in last.items()]


def hand_over(b):
    name = topic(b, "handed")
    values = [str(i).encode() for i in range(100)]
    clients.delivered(clients.deliver(clients.producer(b), name, [{"value": v, "partition": 0} for v in values]))
    first = b.peer("consume", "-topic", name, "-group", "g-handed", "-n", "100", "-http", "")
    equal(len(first), 100, "records of franz-go")
    clients.delivered(clients.deliver(clients.producer(b), name, [{"value": b"more", "partition": 0}]))
    c = member(b, "g-handed")
    try:
        c.subscribe([name])
        [got] = take([c], lambda out: out[0])
        equal(got, [(0, 100)], "what confluent-kafka-python goes on with")
    finally:
        c.close()


def expire(b):
    """A process that is killed leaves its partitions after the session."""
    p = subprocess.Popen([PEER, "consume", "-b", b.kafka, "-topic", "shared", "-group", "g-expire", "-n", "100000000"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
    try:
        end = time.monotonic() + 20
        while "Stable" not in b.tarn("group", "describe", "g-expire", ok=(0, 1)).decode():
            want(time.monotonic() < end, "the member does not join within 20 s")
            time.sleep(0.2)
    finally:
        p.kill()
        p.wait()
    c = member(b, "g-expire", partition_assignment_strategy="cooperative-sticky")
    try:
        c.subscribe(["shared"])
        take([c], lambda _: len(c.assignment()) == PARTITIONS, seconds=55)
    finally:
        c.close()
