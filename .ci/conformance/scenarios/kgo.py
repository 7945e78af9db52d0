"""franz-go's whole test suite, unmodified, out of the module that Tarn's client
is built with: in memory and on SQLite several times in a row, with connections
that die all the time, with TLS and certificates of clients, and with TLS and
SCRAM. The tests of its admin client, kadm, need no broker; what kadm asks of
one is asked by the peer."""

import json
import os
import re
import shutil
import socket
import subprocess
import time

from authority import Authority
from harness import CACHE, Failure, PEER, ROOT, die_with_parent, equal, free_port, want
from records import until

RECORDS = os.environ.get("KGO_TEST_RECORDS", "50000")
RUNS = int(os.environ.get("KGO_RUNS", "3"))
ON = os.environ.get("KGO_ON", "memory sqlite secure").split()
SECONDS = 1800

# These must be among those that pass: they need a broker, and would skip
# themselves if it offered too little.
MUST_PASS = set("""
TestPing TestIssue1034 TestSCRAMAuth TestSCRAMAuthBadCredentials TestIssue325 TestIssue337 TestDirectPartitionPurge TestIssue434
TestAddRemovePartitions TestPauseIssue489 TestPauseIssueOct2023 TestIssue523 TestIssue648 TestIssue810 TestIssue865
TestIssueFetchLargerThanBrokerMaxReadBytes TestConsumeMaxDecompressBatchBytes TestConsumeRegexShareSkipsInternal
TestPooling TestGroupSimple TestHookPollStart TestGroupETL TestClient_Produce TestIssue769
TestIssueProduceSyncManualPartitionNegativeDoesNotPanic TestIssue831 TestClient_ProduceLargeMessages TestTxnEtl
TestShareGroup TestShareGroupETL TestShareGroupAckOnClose TestShareGroupOffsetsAdmin TestConsumeRegex
Test848RegexBrokerResolves
""".split())

# These skip themselves, for the reason that is given; no other may.
MAY_SKIP = {"TestIssueProduceBrokerTooOldFailsRecords": "it wants a broker that refuses Produce v2, which is served here"}

USER, PASSWORD = "kgo", "kgo-secret"


def run(t):
    suite = None
    with t.check("suite builds", seconds=600):
        suite = Suite(t)
    if suite is None:
        return
    with t.check("the tests of kadm pass", seconds=600):
        out = subprocess.run(["go", "test", "-count=1", "-v", "github.com/twmb/franz-go/pkg/kadm"], cwd=ROOT, text=True,
                             env={**os.environ, "CGO_ENABLED": "0"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        equal(out.returncode, 0, f"exit code of go test, which says {out.stdout[-500:]}")
        want(out.stdout.count("--- PASS") > 5, f"it ran too few: {out.stdout[-300:]}")
    (suite.place / "users.yaml").write_text(f"{USER}: {{password: {PASSWORD}}}\nadmin: {{password: root-secret, super: true}}\n")
    for engine, flags in (("memory", ["--storage", "memory://"]), ("sqlite", [])):
        if engine not in ON:
            continue
        sasl = f"127.0.0.1:{free_port()}"
        b = None
        with t.check(f"a broker with {engine}"):
            b = t.start(f"kgo-{engine}", listen=f"PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://{sasl}",
                        extra=[*flags, *suite.users(), "--kafka.sasl.mechanisms", "SCRAM-SHA-256"])
        if b is None:
            continue
        administer(t, engine, flags)
        for i in range(RUNS):
            suite.run(t, f"{engine}, run {i + 1} of {RUNS}", b, sasl)
        suite.run(t, f"{engine}, connections that live a second", b, sasl, KGO_TEST_CHAOS="1")
    if "secure" in ON:
        secure(t, suite)


def administer(t, engine, flags):
    """What kadm asks, by the peer, of a broker with nothing in it."""
    with t.check(f"{engine}, kadm's requests", seconds=180):
        b = t.start(f"kadm-{engine}", extra=[*flags, "--auth.acl", "--auth.super-users", "ANONYMOUS"])
        steps = b.peer("admin", seconds=150)
        equal({s["step"]: s["wrong"] for s in steps if s["wrong"]}, {}, "what is wrong, by step")
        equal(len(steps), 12, "steps")


def secure(t, suite):
    """By certificates alone, and by certificates and passwords. The user of
    both needs a rule for everything that it does."""
    ca = Authority(suite.place)
    for name in ("server", USER):
        ca.issue(name)
    tls = [f"--kafka.tls.{flag}={suite.place / file}" for flag, file in
           (("cert", "server.pem"), ("key", "server.key"), ("client-ca", "ca.pem"))]
    sasl, both, near = (f"127.0.0.1:{free_port()}" for _ in range(3))
    b = None
    with t.check("a broker with certificates, SCRAM and rules"):
        b = t.start("kgo-secure", listen=f"SSL://127.0.0.1:0,SASL_PLAINTEXT://{sasl},SASL_SSL://{both}", extra=[
            *tls, *suite.users(), "--kafka.tls.client-auth", "required", "--kafka.tls.principal-mapping-rules", "RULE:^CN=(.*)$/$1/",
            "--kafka.sasl.mechanisms", "SCRAM-SHA-256,SCRAM-SHA-512", "--auth.acl", "--http.auth", "--kafka.advertise", f"SASL_SSL://{near}"],
            env={"TARN_USER": "admin", "TARN_PASSWORD": "root-secret"})
        for what in ("--topic=*", "--group=*", "--transactional-id=*", "--cluster"):
            b.tarn("acl", "create", "--principal", USER, "--operation", "all", what)
    if b is None:
        return
    shown = f"ca:{ca.path},cert:{suite.place / USER}.pem,key:{suite.place / USER}.key"
    # One test gives its client a dialer of its own, which kgo does not take
    # beside TLS: its client is nil then. It runs below.
    suite.run(t, "TLS and certificates", b, sasl, without="TestIssue769", KGO_TEST_TLS=shown)
    # The suite can be told of certificates, not of users: a program stands
    # between them, signs each connection in and hands bytes on.
    between = None
    with t.check("a program that signs in"):
        between = subprocess.Popen(
            [PEER, "signin", "-listen", near, "-b", both, "-user", USER, "-ca", ca.path,
             "-cert", suite.place / f"{USER}.pem", "-key", suite.place / f"{USER}.key"],
            stdin=subprocess.PIPE, stderr=open(t.work / "kgo-signin.log", "wb"), env={**os.environ, "PASSWORD": PASSWORD},
            preexec_fn=die_with_parent)
        until(lambda: between.poll() is None and listens(near), 20, "it does not listen")
    if between is None:
        return
    try:
        suite.run(t, "TLS and SCRAM", b, sasl, KGO_SEEDS=near)
    finally:
        between.stdin.close()
        between.wait(20)


def listens(address):
    host, port = address.rsplit(":", 1)
    with socket.socket() as s:
        return s.connect_ex((host, int(port))) == 0


class Suite:
    """The suite's test binary, built once for each version of franz-go."""

    def __init__(self, t):
        out = subprocess.run(["go", "list", "-m", "-json", "github.com/twmb/franz-go"], cwd=ROOT,
                             stdout=subprocess.PIPE, text=True, check=True).stdout
        module = json.loads(out)
        place = CACHE / f"franz-go-{module['Version']}"
        self.binary = place / "kgo.test"
        source = place / "franz-go"
        self.where = source / "pkg" / "kgo"
        self.place = t.work / "kgo-files"
        self.place.mkdir()
        if self.binary.exists():
            return
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(module["Dir"], source)
        subprocess.run(["chmod", "-R", "u+w", source], check=True)
        p = subprocess.run(["go", "test", "-mod=mod", "-c", "-o", self.binary, "./pkg/kgo"], cwd=source,
                           env={**os.environ, "CGO_ENABLED": "0"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if p.returncode:
            raise Failure(f"go test -c: {p.stdout[-500:]}")

    def users(self):
        return ["--auth.users-file", self.place / "users.yaml"]

    def run(self, t, name, b, sasl, without=None, **env):
        """One run of all tests but one, side by side as their author has them."""
        with t.check(name, seconds=SECONDS + 60):
            begun = time.monotonic()
            p = subprocess.run(
                [self.binary, "-test.v", "-test.timeout", f"{SECONDS}s", *(["-test.skip", f"^{without}$"] if without else [])], cwd=self.where,
                env={**os.environ, "KGO_SEEDS": b.kafka, "KGO_TEST_RF": "1", "KGO_LOG_LEVEL": "none", "KGO_TEST_RECORDS": RECORDS,
                     "KGO_TEST_UNSAFE": "1", "KGO_TEST_SCRAM_SEEDS": sasl, "KGO_TEST_SCRAM": f"{USER}:{PASSWORD}", **env},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            (t.work / f"{re.sub('[^a-z0-9]+', '-', f'kgo-{name}'.lower())}.log").write_text(p.stdout)
            tests = {word: set(re.findall(rf"^--- {word}: (\S+)", p.stdout, re.M)) for word in ("PASS", "FAIL", "SKIP")}
            print(f"# {name}: {len(tests['PASS'])} passed, {len(tests['SKIP'])} skipped, {len(tests['FAIL'])} failed "
                  f"in {time.monotonic() - begun:.0f} s", flush=True)
            if p.returncode != 0:
                raise Failure(f"exit {p.returncode}: {sorted(tests['FAIL'])}: {why_failed(p.stdout)}")
            equal(sorted(tests["SKIP"] - set(MAY_SKIP)), [], "tests that skipped themselves")
            equal(sorted(MUST_PASS - tests["PASS"] - {without}), [], "tests that did not run")


def why_failed(out):
    """What was said where a test failed, or at the end."""
    said = [l.strip() for l in out.splitlines() if re.search(r"_test\.go:\d+:|^panic", l) and "deleting" not in l]
    return " | ".join(said[-8:]) or out[-400:]
