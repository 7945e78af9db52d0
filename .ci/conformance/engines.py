"""Engines that read and write the tables by SQL: DuckDB and Spark, each a program
of python/ that is asked line by line, and a Trino server. What a step says is
judged here."""

import atexit
import json
import os
import select
import subprocess
import time
import urllib.error
import urllib.request

from harness import CACHE, HERE, Failure, die_with_parent, equal, free_port, short, want


def fill(t, topic, rounds=3, broker=None):
    """Makes a topic whose Iceberg table has several files; returns what readers
    find: the partition, its count, first and last offset."""
    b = broker or t.broker
    b.tarn("topic", "create", topic, "-c", "tarn.table.formats=iceberg", "-c", "tarn.table.value.as=string")
    for i in range(rounds):
        b.tarn("produce", topic, stdin="".join(f'"{i} {j}"\n' for j in range(30)).encode())
        b.tarn("table", "flush", topic)
    return [[0, 30 * rounds, 0, 30 * rounds - 1]]


class Program:
    """A program that answers a line {"sql"} with {"got": rows} or {"error"}."""

    seconds = 120

    def __init__(self, work, *command, env=None):
        self.log = open(work / f"{self.name}.log", "ab")
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, cwd=work,
                                        env={**os.environ, **(env or {})}, preexec_fn=die_with_parent)
        self.left = b""

    def ask(self, sql):
        """The answer to a statement, as the program gave it."""
        try:
            self.process.stdin.write(json.dumps({"sql": sql}).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failure(f"{self.name} is gone, see {self.log.name}") from None
        return json.loads(self.line())

    def line(self):
        end = time.monotonic() + self.seconds
        while b"\n" not in self.left:
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise Failure(f"{self.name} says nothing for {self.seconds} s")
            more = os.read(self.process.stdout.fileno(), 1 << 16)
            if not more:
                raise Failure(f"{self.name} ended with {self.process.wait()}, see {self.log.name}")
            self.left += more
        line, self.left = self.left.split(b"\n", 1)
        return line if line.startswith(b'{"') else self.line()

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class DuckDB(Program):
    name = "duckdb"

    def __init__(self, work, uri):
        super().__init__(work, CACHE / "duckdb" / "bin" / "python", HERE / "python" / "with_duckdb.py", uri)

    # What engines call differently; row is a list of SQL texts.
    table = staticmethod(lambda name: f'lake."default".{name}')
    delta = staticmethod(lambda at, _: f"delta_scan('{at}')")
    millis = staticmethod(lambda c: f"epoch_ms({c})")
    text = staticmethod(lambda c: f"CAST({c} AS varchar)")
    digest = staticmethod(lambda s: f"('0x' || substr(md5({s}), 1, 7))::bigint")


class Spark(Program):
    name = "spark"
    seconds = 600

    def __init__(self, work, uri, more="", conf=None, env=None):
        """more are further jars, a pattern below java/; conf are settings of the catalog."""
        jars = sorted((CACHE / "java" / "spark").glob("*.jar")) + sorted((CACHE / "java").glob(more) if more else [])
        super().__init__(work, CACHE / "spark" / "bin" / "python", HERE / "python" / "with_spark.py", ",".join(map(str, jars)), uri,
                         json.dumps(conf or {}), env={"SPARK_LOCAL_IP": "127.0.0.1", **(env or {})})

    table = staticmethod(lambda name: f"tarn.default.{name}")
    delta = staticmethod(lambda at, _: f"delta.`{at}`")
    millis = staticmethod(lambda c: f"unix_millis({c})")
    text = staticmethod(lambda c: f"CAST({c} AS string)")
    digest = staticmethod(lambda s: f"CAST(conv(substr(md5({s}), 1, 7), 16, 10) AS bigint)")


class Trino:
    """A Trino server, with the catalogs whose properties it is given: name to
    text. It takes a gigabyte and a half, and the better part of a minute."""

    name = "trino"
    seconds = 600

    def __init__(self, work, catalogs):
        home, port = CACHE / "trino", free_port()
        at = work / f"trino-{port}" # a run may start several
        (at / "catalog").mkdir(parents=True)
        (at / "config.properties").write_text(
            "coordinator=true\nnode-scheduler.include-coordinator=true\n"
            f"http-server.http.port={port}\ndiscovery.uri=http://127.0.0.1:{port}\nnode.internal-address=127.0.0.1\nnode.bind-ip=127.0.0.1\nhttp-server.log.enabled=false\n"
            "query.max-memory=256MB\nquery.max-memory-per-node=256MB\nmemory.heap-headroom-per-node=256MB\n"
            f"catalog.config-dir={at}/catalog\n")
        for name, text in catalogs.items():
            (at / "catalog" / f"{name}.properties").write_text(text)
        self.log = open(work / "trino.log", "ab")
        self.uri = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [next(home.glob("jdk/**/bin/java")), "-Xmx1500M", "-XX:+UseSerialGC", f"-Dconfig={at}/config.properties", "-Dnode.environment=conformance",
             f"-Dnode.data-dir={at}/data", f"-Dplugin.dir={home}/server/plugin", "-Duser.timezone=UTC", "-cp", f"{home}/server/lib/*", "io.trino.server.TrinoServer"],
            cwd=at, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=die_with_parent)
        atexit.register(self.process.kill)
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            want(self.process.poll() is None, f"Trino ended with {self.process.returncode}, see {self.log.name}")
            try:
                with urllib.request.urlopen(f"{self.uri}/v1/info") as r:
                    started = not json.load(r)["starting"]
                # It knows no node, not even itself, for some seconds more, and its
                # scheduler believes that for five seconds longer.
                if started and self.ask("SELECT count(*) FROM system.runtime.nodes WHERE state = 'active'").get("got") == [[1]]:
                    time.sleep(6)
                    return
            except (urllib.error.URLError, ConnectionError):
                pass
            time.sleep(0.5)
        raise Failure(f"Trino is not ready after {self.seconds} s, see {self.log.name}")

    def ask(self, sql):
        """Runs a statement by the client protocol: pages are followed to the end."""
        request = urllib.request.Request(f"{self.uri}/v1/statement", sql.encode(), {"X-Trino-User": "conformance", "X-Trino-Time-Zone": "UTC"})
        rows, end = [], time.monotonic() + self.seconds
        while True:
            with urllib.request.urlopen(request) as r:
                page = json.load(r)
            rows += page.get("data", [])
            if "error" in page:
                return {"error": f"{page['error']['errorName']}: {page['error']['message']}"}
            if "nextUri" not in page:
                return {"got": rows}
            want(time.monotonic() < end, f"no end of {short(sql)}")
            request = page["nextUri"]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    table = staticmethod(lambda name: f'tarn."default".{name}')
    delta = staticmethod(lambda _, name: f'delta."default".{name}')
    millis = staticmethod(lambda c: f"CAST(round(to_unixtime({c}) * 1000) AS bigint)")
    text = staticmethod(lambda c: f"CAST({c} AS varchar)")
    digest = staticmethod(lambda s: f"from_base(substr(lower(to_hex(md5(to_utf8({s})))), 1, 7), 16)")


def judge(t, engine, steps):
    """Runs the steps, (name, SQL, what is wanted): rows, None for any, or words of
    a refusal."""
    for name, sql, wanted in steps:
        with t.check(name, seconds=engine.seconds + 10):
            got = engine.ask(sql)
            if isinstance(wanted, str):
                want(wanted in got.get("error", ""), f"refusal with {wanted!r}: {got}")
                continue
            want("error" not in got, got.get("error"))
            if wanted is not None:
                equal(got["got"], wanted, "rows")
