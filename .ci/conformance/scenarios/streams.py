"""Kafka Streams, exactly once, killed and gone on with; Kafka Connect."""

import collections
import json
import urllib.error
import urllib.request

import clients
import exercise
from harness import Failure, equal, free_port, want
from peers import JAVA, background
from records import BASE, Record, until

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()


def run(t):
    b = t.broker
    word_count(t, b)
    standalone(t, b)
    distributed(t, b)


def word_count(t, b):
    with t.check("Kafka Streams counts words exactly once, though it is killed twice", seconds=300):
        source, to = exercise.topic(b, "streams-lines", 3), exercise.topic(b, "streams-counts", 2)
        counts = collections.Counter()
        lines = 0

        def write(n):
            nonlocal lines
            made = []
            for i in range(n):
                words = [t.random.choice(WORDS) for _ in range(4)]
                counts.update(words)
                made.append(Record(i % 3, None, BASE + i, None, " ".join(words).encode(), ()))
            exercise.write(b, source, made)
            lines += n

        def start(state):
            return background("WordCount", b.kafka, source, to, "streams-count", str(t.work / state))
        app = None
        try:
            # Killed somewhere in its work, with its directory and without it.
            for state in ("streams-a", "streams-a", "streams-b"):
                app = start(state)
                write(600)
                if state == "streams-b" and lines == 1800:
                    break
                before = progress(b, to)
                until(lambda: progress(b, to) > before + 200 or app.process.poll() is not None, 60, lambda: f"no counts: {app.said[-400:]}")
                app.kill()
            until(lambda: last(b, to) == counts or app.process.poll() is not None, 90,
                  lambda: f"counts are {dict(last(b, to))}, want {dict(counts)}: {app.said[-400:]}")
            app.leave()
        finally:
            if app:
                app.kill()
        equal(last(b, to), counts, "counts")
        # Every step of every count came out once, in order.
        seen = collections.defaultdict(list)
        for r in committed_records(b, to):
            seen[r.key.decode()].append(int(r.value))
        equal({w: v == list(range(1, counts[w] + 1)) for w, v in seen.items()}, {w: True for w in counts}, "each count from 1 to its last")


def progress(b, name):
    return sum(clients.ends(b, name).values())


def committed_records(b, name):
    return exercise.read(b, name, None, "read_committed")


def last(b, name):
    out = collections.Counter()
    for r in committed_records(b, name):
        out[r.key.decode()] = int(r.value)
    return out


def worker(t, b, name, **more):
    path = t.work / f"{name}.properties"
    path.write_text("".join(f"{k.replace('_', '.')}={v}\n" for k, v in {
        "bootstrap.servers": b.kafka, "listeners": f"http://127.0.0.1:{free_port()}",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
        "offset.flush.interval.ms": 500, "plugin.discovery": "service_load",
        "plugin.path": f"{JAVA}/tools", **more}.items()))
    return path


def connectors(t, name, topic):
    source, sink = t.work / f"{name}-in.txt", t.work / f"{name}-out.txt"
    return source, sink, [
        {"name": f"{name}-source", "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
         "tasks.max": "1", "file": str(source), "topic": topic},
        {"name": f"{name}-sink", "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector",
         "tasks.max": "2", "file": str(sink), "topics": topic, "consumer.override.auto.offset.reset": "earliest"}]


def grows(b, m, topic, source, sink, lines):
    """Appends lines to the source's file, and awaits them in topic and sink."""
    with source.open("a") as f:
        f.write("".join(l + "\n" for l in lines))
    wanted = source.read_text().splitlines()

    def got():
        return sink.read_text().splitlines() if sink.exists() else []
    until(lambda: len(got()) >= len(wanted) or m.process.poll() is not None, 60,
          lambda: f"{len(got())} of {len(wanted)} lines in the sink: {m.said[-500:]}")
    equal([r.value.decode() for r in exercise.read(b, topic, len(wanted), "read_committed")], wanted, "records of the topic")
    equal(got(), wanted, "lines of the sink")


def standalone(t, b):
    with t.check("Connect standalone: a file to a topic to a file, and on from there", seconds=180):
        topic = exercise.topic(b, "connect-lines", 1)
        source, sink, configs = connectors(t, "standalone", topic)
        files = []
        for c in configs:
            files.append(t.work / f"{c['name']}.json")
            files[-1].write_text(json.dumps({"name": c["name"], "config": c}))
        path = worker(t, b, "standalone", **{"offset.storage.file.filename": str(t.work / "standalone.offsets")})
        source.write_text("")  # ASCII: the source counts characters, and skips bytes
        for start in (0, 300):
            m = background("org.apache.kafka.connect.cli.ConnectStandalone", path, *files)
            try:
                grows(b, m, topic, source, sink, [f"line {i}" for i in range(start, start + 300)])
            finally:
                m.terminate()
        equal(exercise.committed(b, "connect-standalone-sink", topic), {0: 600}, "offsets of the sink's group")


def distributed(t, b):
    with t.check("Connect distributed: two workers, exactly-once source, one is killed", seconds=300):
        topic = exercise.topic(b, "connect-cluster-lines", 1)
        source, sink, configs = connectors(t, "cluster", topic)
        source.write_text("")
        common = {"group.id": "connect-cluster", "exactly.once.source.support": "enabled",
                  "config.storage.topic": "connect-configs", "offset.storage.topic": "connect-offsets",
                  "status.storage.topic": "connect-status", "config.storage.replication.factor": 1,
                  "offset.storage.replication.factor": 1, "status.storage.replication.factor": 1,
                  "session.timeout.ms": 6000, "heartbeat.interval.ms": 1000, "scheduled.rebalance.max.delay.ms": 1000}
        paths = [worker(t, b, f"cluster-{i}", **common) for i in range(2)]
        workers = [background("org.apache.kafka.connect.cli.ConnectDistributed", p) for p in paths]
        urls = [next(l.split("=", 1)[1] for l in p.read_text().splitlines() if l.startswith("listeners=")) for p in paths]
        try:
            until(lambda: all(answers(u) for u in urls), 180, lambda: f"workers do not answer: {workers[0].said[-400:]} {workers[1].said[-400:]}")
            for c in configs:
                until(lambda: call(urls[0], f"/connectors/{c['name']}/config", c) is not None, 30, f"{c['name']} is not taken")
            grows(b, workers[0], topic, source, sink, [f"line {i}" for i in range(300)])
            owners = {call(urls[1], f"/connectors/{c['name']}/status")["connector"]["worker_id"] for c in configs}
            want(len(owners) == 2, f"both connectors are at {owners}")
            workers[0].kill()
            grows(b, workers[1], topic, source, sink, [f"line {i}" for i in range(300, 600)])
        finally:
            for m in workers:
                m.terminate()


def answers(url):
    try:
        return call(url, "/connectors") is not None
    except OSError:
        return False


def call(url, path, config=None):
    body = None if config is None else json.dumps(config).encode()
    request = urllib.request.Request(url + path, data=body, method="GET" if body is None else "PUT",
                                     headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as r:
            return json.load(r)
    except urllib.error.HTTPError as e:
        if e.code in (404, 409, 500, 503):  # rebalancing, or not yet known there
            return None
        raise Failure(f"{path}: {e.code} {e.read()[:300]}") from None
