"""Runs the scenarios: main.py smoke|full [SCENARIO ...]."""

import importlib
import os
import random
import sys

import harness
import selftest

# In order. A scenario is a module with run(t): t is a Scenario.
SCENARIOS = ["avro", "protobuf", "jsonschema", "registry", "serializers", "serdes", "keeping", "upsert", "debezium", "partitions", "catalog", "duckdb", "spark", "console", "documents", "trino", "readers", "widened", "s3", "clouds", "catalogs", "groups", "acks", "formats", "pipelined",
             "java", "tools", "streams", "streams_protocol", "consumer_protocol", "share", "librdkafka", "golang", "python", "node", "security", "acls",
             "java_security", "traces", "crash", "kgo"]
# A smoke run has these only.
SMOKE = {"avro", "protobuf", "jsonschema", "crash"}


class Scenario(harness.Checks):
    """What a scenario gets: checks, a shared broker, a place for its own."""

    def __init__(self, full, work, seed):
        super().__init__(full)
        self.work = work
        self.random = random.Random(seed)
        self.brokers = []
        self.broker = None

    def start(self, name, **kwargs):
        """Starts a broker that is stopped at the end of the run."""
        b = harness.Broker(self.work, name, **kwargs)
        self.brokers.append(b)
        return b.start()

    def finish(self):
        self.prefix = ""
        for b in self.brokers:
            with self.check(f"broker {b.name} stops and has no complaints"):
                harness.equal(b.stop(), 0, "exit code")
                harness.equal(b.complaints()[:3], [], "log lines of level ERROR")


def main():
    mode, chosen = sys.argv[1], sys.argv[2:]
    unknown = set(chosen) - set(SCENARIOS)
    if unknown:
        sys.exit(f"no scenario {', '.join(sorted(unknown))}: there are {', '.join(SCENARIOS)}")
    full = mode == "full"
    if not chosen:
        chosen = [s for s in SCENARIOS if full or s in SMOKE]
    seed = int(os.environ.get("SEED") or random.randrange(1 << 31))
    print(f"# {mode} run, SEED={seed}", flush=True)
    harness.exit_on_signals()
    with harness.work_dir() as (work, keep):
        t = Scenario(full, work, seed)
        try:
            selftest.run(t)
            with t.check("broker starts"):
                t.broker = t.start("main")
            for name in chosen:
                t.prefix = f"{name}: "
                before = t.passed + len(t.failed)
                try:
                    importlib.import_module(f"scenarios.{name}").run(t)
                except Exception as e:
                    with t.check("runs to its end"):
                        raise harness.Failure(f"{type(e).__name__}: {e}") from e
                if t.passed + len(t.failed) == before:
                    with t.check("checks something"):
                        raise harness.Failure("no check ran")
            t.finish()
        finally:
            for b in t.brokers:
                if b.process and b.process.poll() is None:
                    b.kill()
        if t.failed:
            keep.append(True)
    sys.exit(t.summary())


main()
