"""Checks, the broker under test and the programs around it."""

import contextlib
import ctypes
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = Path(os.environ["CONFORMANCE_CACHE"])
TARN = CACHE / "tarn"
PEER = CACHE / "peer"

# A check that hangs fails after this many seconds unless it says otherwise.
CHECK_SECONDS = 60
READY_SECONDS = 30
STOP_SECONDS = 20


class Failure(Exception):
    """A check that found something else than it wanted."""


class TimedOut(BaseException):
    """A check ran out of time. No except clause of a client swallows it."""


def want(condition, why):
    if not condition:
        raise Failure(why)


def equal(got, wanted, what):
    if got != wanted:
        raise Failure(f"{what}: got {short(got)}, want {short(wanted)}")


def short(value, limit=300):
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[:limit] + "…"


class Checks:
    """Counts checks and prints a line for each."""

    def __init__(self, full):
        self.full = full
        self.passed = 0
        self.failed = []
        self.verbose = bool(os.environ.get("VERBOSE"))
        self.prefix = ""

    @contextlib.contextmanager
    def check(self, name, seconds=CHECK_SECONDS):
        """Runs its body as one check. An exception fails it and is not raised
        again: what depends on it fails by itself, so nothing is left out."""
        name = self.prefix + name
        begun = time.monotonic()

        def alarm(*_):
            raise TimedOut(f"no end after {seconds} s")

        previous = signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        except (Exception, TimedOut) as e:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.failed.append(name)
            why = str(e) if isinstance(e, Failure) else f"{type(e).__name__}: {e}"
            print(f"FAIL {name}: {short(why, 1000)}", flush=True)
            if self.verbose and not isinstance(e, Failure):
                traceback.print_exc()
        else:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.passed += 1
            took = time.monotonic() - begun
            print(f"ok {name}" + (f"  ({took:.1f} s)" if self.verbose else ""), flush=True)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)

    def summary(self):
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)
        return 0 if self.passed and not self.failed else 1


def run(*args, stdin=None, seconds=CHECK_SECONDS, ok=(0,), env=None, cwd=None):
    """Runs a program and returns its standard output as bytes."""
    args = [str(a) for a in args]
    p = subprocess.run(args, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=seconds, cwd=cwd, env={**os.environ, **(env or {})}, preexec_fn=die_with_parent)
    if p.returncode not in ok:
        said = (p.stderr.decode(errors="replace").strip() or p.stdout.decode(errors="replace").strip())
        raise Failure(f"{os.path.basename(args[0])} {' '.join(args[1:4])} … exited {p.returncode}: {said[-600:]}")
    return p.stdout


def lines(b):
    """The JSON lines of a program's output."""
    return [json.loads(line) for line in b.splitlines() if line.strip()]


def die_with_parent():
    """In a child before exec: have it killed when this process ends."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    """A port below those that the kernel gives to outgoing connections: a
    client that knocks on a dead broker's port there could reach itself."""
    for port in random.sample(range(20000, 32000), 200):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Failure("no free port between 20000 and 32000")


class Broker:
    """One broker with a data directory of its own, which may be killed and
    started again on the same ports."""

    def __init__(self, work, name, fixed_ports=False, extra=(), env=None, listen=None, binary=None):
        """extra are further flags of tarn serve, env is for client commands;
        listen are other listeners than a plain one, the first for commands;
        binary is another tarn to serve."""
        self.name = name
        self.expected = []
        self.extra, self.env, self.binary = extra, env or {}, binary
        self.data = Path(work) / name
        self.log_path = Path(work) / f"{name}.log"
        self.process = None
        self.ready = None
        self.kafka = listen or f"127.0.0.1:{free_port() if fixed_ports else 0}"
        self.listen = f"127.0.0.1:{free_port() if fixed_ports else 0}"

    def start(self):
        self._spawn()
        line = self._ready_line()
        self.ready = json.loads(line)
        for key in ("pid", "kafka", "http", "data", "warehouse"):
            want(key in self.ready, f"ready line has no {key}: {line}")
        equal(self.ready["pid"], self.process.pid, "pid of the ready line")
        self.kafka = self.ready["kafka"]
        self.http = self.ready["http"].rstrip("/")
        self.listen = re.sub(r"^https?://", "", self.http)
        self.warehouse = Path(re.sub(r"^file://", "", self.ready["warehouse"]))
        return self

    def start_and_kill(self, seconds):
        """Starts it and kills it so soon that it may still be recovering."""
        self._spawn()
        time.sleep(seconds)
        self.kill()

    def _spawn(self):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            [self.binary or TARN, "serve", "--log.format", "text", "--data", self.data, "--kafka.listen", self.kafka,
             "--http.listen", self.listen, "--ready-json", *self.extra],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            start_new_session=True, preexec_fn=die_with_parent)
        log.close()

    def _ready_line(self):
        end = time.monotonic() + READY_SECONDS
        line = b""
        while not line.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failure(f"broker {self.name} is not ready after {READY_SECONDS} s: {self.tail()}")
            more = os.read(self.process.stdout.fileno(), 1 << 16)
            if not more:
                raise Failure(f"broker {self.name} ended with {self.process.wait()}: {self.tail()}")
            line += more
        return line.decode()

    def tail(self, n=400):
        try:
            return short(self.log_path.read_text(errors="replace")[-n:], n)
        except OSError:
            return "no log"

    def kill(self):
        """SIGKILL, and gone when this returns."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        """Ends the broker politely; returns its exit code."""
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"broker {self.name} did not stop within {STOP_SECONDS} s") from None

    def tarn(self, *args, ok=(0,), stdin=None, seconds=CHECK_SECONDS):
        """Runs a client command of Tarn against this broker."""
        return run(TARN, *args, "-b", self.kafka, "--http", self.http, ok=ok, stdin=stdin, seconds=seconds, env=self.env)

    def peer(self, command, *args, stdin=None, seconds=CHECK_SECONDS):
        """Runs the Go peer and returns the JSON lines that it wrote."""
        return lines(run(PEER, command, "-b", self.kafka, "-http", self.http, *args, stdin=stdin, seconds=seconds))

    def kafkajs(self, program, *args, seconds=CHECK_SECONDS):
        """Runs a program of node/ with kafkajs and returns its JSON lines."""
        env = {"NODE_PATH": str(CACHE / "node" / "node_modules"), "KAFKAJS_NO_PARTITIONER_WARNING": "1"}
        return lines(run("node", HERE / "node" / program, self.kafka, *args, seconds=seconds, env=env))

    def complaints(self):
        """Lines of its log that a healthy broker does not write, but for those
        with words that a scenario has put into expected."""
        text = self.log_path.read_text(errors="replace")
        return [l for l in text.splitlines() if re.search(r"\bpanic|level=ERROR|^goroutine \d|DATA RACE", l)
                and not any(words in l for words in self.expected)]


@contextlib.contextmanager
def work_dir():
    """A directory that goes away, unless something in it failed."""
    for old in CACHE.glob("work-*"):
        if time.time() - old.stat().st_mtime > 24 * 3600:
            shutil.rmtree(old, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix="work-", dir=CACHE))
    keep = []
    try:
        yield path, keep
    except BaseException:
        keep.append(True)
        raise
    finally:
        if keep:
            print(f"# data and logs are kept in {path.relative_to(ROOT)}", flush=True)
        else:
            shutil.rmtree(path, ignore_errors=True)


def exit_on_signals():
    """SIGTERM and SIGHUP end the run as an exception does, brokers first."""
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, lambda *_: sys.exit(143))
