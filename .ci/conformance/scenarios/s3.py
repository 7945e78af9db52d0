"""Spark and Trino on tables in a bucket of a real S3 server, versitygw, with keys
that they are given themselves: the catalog tells them where the bucket is, and
hands out no keys. What they do is what they do in spark and trino."""

import contextlib
import os
import subprocess
import time
import urllib.error
import urllib.request

from harness import CACHE, Failure, die_with_parent, free_port
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
        prefix = t.prefix
        t.prefix = prefix + "Trino: "
        trino.on(t, broker, "fs.native-s3.enabled=true\ns3.region=us-east-1\ns3.path-style-access=true\n"
                 f"s3.endpoint=http://127.0.0.1:{port}\ns3.aws-access-key={KEYS['AWS_ACCESS_KEY_ID']}\ns3.aws-secret-key={KEYS['AWS_SECRET_ACCESS_KEY']}\n")
        t.prefix = prefix + "Spark: "
        spark.on(t, broker, more="s3/*.jar", conf={"io-impl": "org.apache.iceberg.aws.s3.S3FileIO"})
        t.prefix = prefix


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
