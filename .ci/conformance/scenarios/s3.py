"""Spark and Trino on tables in a bucket of a real S3 server, versitygw, with keys
that they are given themselves: the catalog tells them where the bucket is, and
hands out no keys. What they do is what they do in spark and trino. And the log's replica
in the bucket."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request

from harness import CACHE, TARN, Broker, Failure, die_with_parent, equal, free_port, run as call, want
from records import until
from scenarios import spark, trino

KEYS = {"AWS_ACCESS_KEY_ID": "conformance", "AWS_SECRET_ACCESS_KEY": "conformance-secret", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}


def run(t):
    port = free_port()
    (t.work / "buckets" / "lake").mkdir(parents=True)
    log = open(t.work / "versitygw.log", "wb")
    env = {**os.environ, "ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]}
    server = subprocess.Popen([CACHE / "versitygw", "--port", f"127.0.0.1:{port}", "posix", t.work / "buckets"],
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, preexec_fn=die_with_parent)
    log.close()
    with contextlib.ExitStack() as stack:
        stack.callback(server.wait)
        stack.callback(server.kill)
        for key, value in KEYS.items():
            stack.callback(put_back, key, os.environ.get(key))
            os.environ[key] = value
        with t.check("versitygw answers"):
            answers(port)
        with t.check("a broker whose tables lie in a bucket"):
            broker = t.start("s3", extra=("--warehouse", f"s3://lake/tables?endpoint=http://127.0.0.1:{port}"))
            stack.callback(broker.stop)
        replica(t, f"s3://lake/replica?endpoint=http://127.0.0.1:{port}")
        prefix = t.prefix
        t.prefix = prefix + "Trino: "
        trino.on(t, broker, "fs.native-s3.enabled=true\ns3.region=us-east-1\ns3.path-style-access=true\n"
                 f"s3.endpoint=http://127.0.0.1:{port}\ns3.aws-access-key={KEYS['AWS_ACCESS_KEY_ID']}\ns3.aws-secret-key={KEYS['AWS_SECRET_ACCESS_KEY']}\n")
        t.prefix = prefix + "Spark: "
        spark.on(t, broker, more="s3/*.jar", conf={"io-impl": "org.apache.iceberg.aws.s3.S3FileIO"})
        t.prefix = prefix


def replica(t, place):
    """The store's replica in the bucket. Broker and replica die; what the bucket gives back
    has each record and the offsets of a group, and a broker goes on with it."""
    more = ("--warehouse", place.replace("/replica?", "/away?"))
    with t.check("the log in a bucket: tarn replicate, kill -9, tarn restore, and a broker on it", seconds=300):
        away = Broker(t.work, "s3-away", extra=more).start()
        log = open(t.work / "replicate.log", "wb")
        copy = subprocess.Popen([TARN, "replicate", place, "--interval", "100ms", "--http", away.http],
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
        log.close()
        try:
            away.tarn("topic", "create", "orders", "--partitions", "3")
            for n in range(20):
                away.tarn("produce", "orders", "--raw", stdin=b"".join(b"%d of %d\n" % (i, n) for i in range(500)))
            away.tarn("consume", "orders", "--group", "readers", "-n", "10000")
            until(lambda: read_by_group(t, place) == 10000, 120, "the replica has all records, and the group's offsets")
        finally:
            copy.kill()
            copy.wait()
            away.kill()
        want(call(TARN, "restore", place, "--to", t.work / "s3-back"), "it says what it restored")
        back = Broker(t.work, "s3-back", extra=more).start()
        try:
            equal(len(set(back.tarn("consume", "orders", "-f", "%v\n").splitlines())), 10000, "records of the restored log")
            group = json.loads(back.tarn("group", "describe", "readers", "--output", "json"))["item"]
            equal((group["lag"], sum(p["offset"] for p in group["partitions"])), (0, 10000), "the group's lag and offsets")
            back.tarn("produce", "orders", "--raw", stdin=b"after\n")
            equal(back.tarn("consume", "orders", "--group", "readers", "-f", "%v\n", "-n", "1"), b"after\n", "what the group reads next")
        finally:
            equal(back.stop(), 0, "exit code")


def read_by_group(t, place):
    """How many records the group has read by what lies in the bucket."""
    probe = t.work / "s3-probe"
    shutil.rmtree(probe, ignore_errors=True)
    call(TARN, "restore", place, "--to", probe, ok=(0, 1))  # there may be no whole state yet
    if not (probe / "tarn.db").exists():
        return 0
    with contextlib.closing(sqlite3.connect(probe / "tarn.db")) as db:
        records, = db.execute("SELECT coalesce(sum(records), 0) FROM batches WHERE NOT control").fetchone()
        offsets, = db.execute("SELECT coalesce(sum(offset), 0) FROM offsets WHERE \"group\" = 'readers'").fetchone()
    return min(records, offsets)


def put_back(key, value):
    os.environ.pop(key)
    if value is not None:
        os.environ[key] = value


def answers(port):
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/").close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise Failure("it does not")
