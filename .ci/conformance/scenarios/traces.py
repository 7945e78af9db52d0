"""Traces from producers to tables at a collector of OpenTelemetry's, and
compose.yaml as Docker Compose reads it."""

import json
import re
import subprocess
import time

from harness import CACHE, ROOT, TARN, die_with_parent, equal, free_port, run as program, want

CONFIG = """
receivers:
  otlp:
    protocols:
      http: {endpoint: "127.0.0.1:%d"}
exporters:
  file: {path: %s, flush_interval: 100ms}
service:
  telemetry:
    metrics: {level: none}
  pipelines:
    traces: {receivers: [otlp], exporters: [file]}
"""
RECORDS = 200
# More than the queue of spans holds, several times.
MANY = 40000
# What those may cost above what the broker had before.
GROWTH = 150 << 20


class Collector:
    def __init__(self, t):
        self.port = free_port()
        self.dir = t.work
        self.process = None

    def start(self, name):
        self.path = f"{self.dir}/{name}.json"
        config = f"{self.dir}/{name}.yaml"
        with open(config, "w") as f:
            f.write(CONFIG % (self.port, self.path))
        log = open(f"{self.dir}/{name}.log", "wb")
        self.process = subprocess.Popen([CACHE / "collector", "--config", config], stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log, preexec_fn=die_with_parent)
        log.close()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def spans(self):
        """The spans that it has written, each with its attributes by name and kind."""
        found = []
        try:
            with open(self.path) as f:
                text = f.read()
        except FileNotFoundError:
            return found
        for line in text.splitlines(keepends=True):
            if not line.endswith("\n"):
                break  # being written
            for resource in json.loads(line)["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    for span in scope["spans"]:
                        span["attributes"] = {a["key"]: a["value"] for a in span.get("attributes", [])}
                        span["resource"] = {a["key"]: a["value"] for a in resource["resource"]["attributes"]}
                        found.append(span)
        return found

    def until(self, holds, what, seconds=120):
        end = time.monotonic() + seconds
        while True:
            spans = self.spans()
            if holds(spans):
                return spans
            want(time.monotonic() < end, f"{what}: the collector has {len(spans)} spans after {seconds} s")
            time.sleep(0.2)


def produce(b, first, n):
    """Produces n records, each in a trace of its own."""
    lines = b"".join(json.dumps({"key": str(i), "value": {"n": i}, "headers": [
        {"key": "traceparent", "value": f"00-{i:032x}-{i:016x}-01"}]}).encode() + b"\n" for i in range(first, first + n))
    program(TARN, "produce", "traced", "-b", b.kafka, "--http", b.http, stdin=lines, seconds=120)


def resident(b):
    with open(f"/proc/{b.process.pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+) kB", f.read()).group(1)) << 10


def run(t):
    with t.check("compose.yaml, read by compose-go"):
        model = json.loads(program(CACHE / "compose-go" / "cmd", "-format", "json", "compose.yaml", cwd=ROOT))
        tarn, demo = model["services"]["tarn"], model["services"]["demo"]
        # The program knows no variables, so that defaults hold.
        equal((tarn["image"], demo["image"]), ("tarn", "tarn"), "images without TARN_IMAGE")
        equal(sorted((p["host_ip"], p["published"], p["target"]) for p in tarn["ports"]),
              [("127.0.0.1", "8081", 8081), ("127.0.0.1", "9092", 9092)], "ports")
        equal(demo["depends_on"]["tarn"]["condition"], "service_healthy", "what demo waits for")
        equal(tarn["volumes"][0]["target"], "/var/lib/tarn", "where the volume is")

    collector = Collector(t)
    collector.start("first")
    try:
        b = t.start("traced", extra=["--trace.endpoint", f"http://127.0.0.1:{collector.port}"])
        topic = [TARN, "topic", "create", "traced", "-b", b.kafka, "--http", b.http,
                 "-c", "tarn.table.formats=iceberg,delta,parquet", "-c", "tarn.table.value.as=json"]
        with t.check("spans from the log to three tables, in their producers' traces", seconds=240):
            program(*topic)
            produce(b, 1, RECORDS)
            program(TARN, "table", "flush", "traced", "-b", b.kafka, "--http", b.http)
            # A batch and a commit are part of 64 traces at most.
            spans = collector.until(lambda all: {s["attributes"]["tarn.table.format"]["stringValue"] for s in all if s["name"] == "commit traced"}
                                    == {"iceberg", "delta", "parquet"}, "commits in three formats")
            parents = {f"{i:032x}": f"{i:016x}" for i in range(1, RECORDS + 1)}
            stored = [s for s in spans if s["name"] == "store traced"]
            want(stored, "no span of the log")
            for s in spans:
                if s.get("parentSpanId"):
                    equal(s["parentSpanId"], parents.get(s["traceId"]), f"parent of {s['name']}")
                else:
                    equal(s["name"], "commit traced", "a span without a parent")
                    want(s.get("links"), "a commit of its own links to nothing")
                equal(s["resource"]["service.name"], {"stringValue": "tarn"}, "service.name")
                equal(s["attributes"]["messaging.system"], {"stringValue": "kafka"}, "messaging.system")
                equal(s["attributes"]["messaging.destination.name"], {"stringValue": "traced"}, "messaging.destination.name")
            for s in stored:
                a = s["attributes"]
                equal(a["messaging.operation.name"], {"stringValue": "store"}, "messaging.operation.name")
                equal(a["messaging.destination.partition.id"], {"stringValue": "0"}, "messaging.destination.partition.id")
                want("intValue" in a["messaging.kafka.offset"] and int(a["messaging.batch.message_count"]["intValue"]) > 0, f"attributes of {a}")
        with t.check("producing goes on without the collector, in bounded memory", seconds=240):
            before = resident(b)
            collector.kill()
            produce(b, 1000, MANY)
            want(resident(b) - before < GROWTH, f"the broker grew by {(resident(b) - before) >> 20} MB")
            equal(program(TARN, "table", "flush", "traced", "-b", b.kafka, "--http", b.http).split()[1], str(MANY).encode(), "rows committed")
        with t.check("spans come again when the collector is back", seconds=240):
            collector.start("second")
            end, at = time.monotonic() + 120, 1 << 20
            while not any(s["name"] == "store traced" for s in collector.spans()):
                want(time.monotonic() < end, "no span came")
                produce(b, at, 1)
                at += 1
                time.sleep(1)
    finally:
        collector.kill()
