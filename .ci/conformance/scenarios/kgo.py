"""franz-go's own integration tests against Tarn. They come with its module;
what they test beyond what Tarn serves now is left out by name."""

import json
import os
import re
import shutil
import subprocess

from harness import CACHE, Failure, ROOT, want

RECORDS = os.environ.get("KGO_TEST_RECORDS", "50000")

# Every test of the suite that talks to a broker; all others need none.
TESTS = """
TestPing TestIssue1034 TestIssue325 TestIssue337 TestDirectPartitionPurge TestIssue434
TestAddRemovePartitions TestPauseIssue489 TestPauseIssueOct2023 TestIssue523 TestIssue648 TestIssue810 TestIssue865
TestPooling TestGroupSimple TestHookPollStart TestGroupETL TestClient_Produce TestIssue769
TestIssueProduceSyncManualPartitionNegativeDoesNotPanic TestIssue831 TestClient_ProduceLargeMessages TestTxnEtl
TestShareGroup TestShareGroupETL TestShareGroupAckOnClose TestShareGroupOffsetsAdmin TestConsumeRegex
Test848RegexBrokerResolves
""".split()

# Left out, by name with the reason: none is.
LEFT_OUT = {}


def run(t):
    binary = None
    with t.check("suite builds", seconds=600):
        binary, where = build()
    if binary is None:
        return
    with t.check("no test of the suite is unknown to us"):
        known = set(TESTS) | set(LEFT_OUT)
        missing = known - set(names(binary))
        want(not missing, f"franz-go no longer has {sorted(missing)}")
    for name, why in LEFT_OUT.items():
        print(f"# {name} is left out: {why}", flush=True)
    b = t.broker
    for name in TESTS:
        with t.check(name, seconds=600):
            env = {**os.environ, "KGO_SEEDS": b.kafka, "KGO_TEST_RF": "1", "KGO_LOG_LEVEL": "none",
                   "KGO_TEST_RECORDS": RECORDS}
            p = subprocess.run([binary, "-test.v", "-test.timeout", "9m", "-test.run", f"^{name}$"], cwd=where, env=env,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            (t.work / f"kgo-{name}.log").write_text(p.stdout)
            if p.returncode != 0:
                raise Failure(f"exit {p.returncode}: {why_failed(p.stdout)}")
            want(f"--- PASS: {name}" in p.stdout, f"did not run, or skipped itself: {p.stdout[-300:]}")


def why_failed(out):
    said = [l for l in out.splitlines() if re.search(r"_test\.go:\d+:|panic|--- FAIL", l)]
    return " | ".join(said[:6]) or out[-400:]


def names(binary):
    out = subprocess.run([binary, "-test.list", "."], stdout=subprocess.PIPE, text=True, check=True).stdout
    return out.split()


def build():
    """The suite's test binary, built once per version of franz-go."""
    out = subprocess.run(["go", "list", "-m", "-json", "github.com/twmb/franz-go"], cwd=ROOT,
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    module = json.loads(out)
    place = CACHE / f"franz-go-{module['Version']}"
    binary = place / "kgo.test"
    source = place / "franz-go"
    if not binary.exists():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(module["Dir"], source)
        subprocess.run(["chmod", "-R", "u+w", source], check=True)
        p = subprocess.run(["go", "test", "-mod=mod", "-c", "-o", binary, "./pkg/kgo"], cwd=source,
                           env={**os.environ, "CGO_ENABLED": "0"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if p.returncode:
            raise Failure(f"go test -c: {p.stdout[-500:]}")
    return binary, source / "pkg" / "kgo"
