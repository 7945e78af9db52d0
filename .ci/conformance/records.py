"""Records that peers write and read: made up, as lines, compared.

A peer is a program around one client library. All speak alike:

    PEER ADDRESS produce TOPIC              a script on standard input
    PEER ADDRESS consume TOPIC group=G n=N  [isolation=read_committed] ...
    PEER ADDRESS member TOPIC group=G       until standard input ends
    PEER ADDRESS transform TOPIC to=T group=G n=N txn=ID

A line of records is: partition, offset, timestamp ms, key, value, headers,
tabs between; bytes stand in base64, - is null, headers are key:value with
commas between. The script holds such lines (whose offset means nothing) and
commands: !open [acks=] [codec=] [idempotent=] [txn=], !begin, !flush,
!commit, !abort.
produce answers partition and offset of each record, in the order of the script.
A member commits behind each poll and prints it then; transform reads and writes
in transactions, each second of which it first aborts and does again.
"""

import base64
import collections
import os
import subprocess
import threading
import time

from harness import Failure, die_with_parent, equal, run, short

Record = collections.namedtuple("Record", "partition offset timestamp key value headers")

# The beginning of yesterday. Retention goes by the records' own timestamps and
# looks at them every five minutes: what seems a week old would be gone before
# a consumer comes for it, if that takes it a moment.
BASE = (int(time.time()) // 86400 - 1) * 86_400_000


def make(random, n, partitions=1, start=0, headers=True):
    """n records, over the partitions in turn. Null and empty come up often.
    headers may be False: none, or "one": no name twice."""
    out = []
    for i in range(start, start + n):
        hs = ()
        if headers:
            hs = random.choice([(), (("n", str(i).encode()),), (("a", b"\x00\xff"), ("b" if headers == "one" else "a", b""), ("ключ", b"x" * 40))])
        out.append(Record(
            i % partitions, None, BASE + 1000 * i + random.randrange(1000),
            random.choice([None, b"", f"k-{i % 7}".encode()]),
            random.choice([f"value {i} {'x' * (i % 90)}".encode(), b"\x00\xff\n\t" + str(i).encode(), f"{i}".encode() * 30]),
            hs))
    return out


def _text(b):
    return "-" if b is None else base64.b64encode(b).decode()


def _bytes(s):
    return None if s == "-" else base64.b64decode(s, validate=True)


def line(r):
    headers = ",".join(f"{_text(k.encode())}:{_text(v)}" for k, v in r.headers)
    offset = -1 if r.offset is None else r.offset
    return f"{r.partition}\t{offset}\t{r.timestamp}\t{_text(r.key)}\t{_text(r.value)}\t{headers}"


def parse(out):
    """The records that a peer's consume wrote."""
    got = []
    for l in out.decode().splitlines():
        p, o, ts, key, value, hs = l.split("\t")
        headers = tuple((_bytes(k).decode(), _bytes(v)) for k, v in (h.split(":") for h in hs.split(",") if h))
        got.append(Record(int(p), int(o), int(ts), _bytes(key), _bytes(value), headers))
    return got


class Peer:
    """A program that speaks as above. name stands in checks; opens is what
    each !open says besides; without empties it reads empty as null; not once: when a
    group rebalances it may read records again, though it committed them; address is
    where it goes instead of the broker's first listener."""

    def __init__(self, name, *command, env=None, headers=True, opens="", empties=True, once=True, address=None,
                 codecs=("none", "gzip", "snappy", "lz4", "zstd")):
        self.name = name
        self.command = command
        self.env = env
        self.headers = headers
        self.opens = opens
        self.empties = empties
        self.once = once
        self.codecs = codecs
        self.address = address

    def run(self, broker, *args, stdin=None, seconds=60):
        return run(*self.command, self.address or broker.kafka, *args, stdin=stdin, seconds=seconds, env=self.env)

    def produce(self, broker, topic, script, seconds=60):
        """Runs a script of records and commands; returns its records as they
        lie in the log, by what the client was told."""
        text = "".join((s if isinstance(s, str) else line(s)) + "\n" for s in script)
        out = self.run(broker, "produce", topic, stdin=text.encode(), seconds=seconds).decode().splitlines()
        sent = [s for s in script if not isinstance(s, str)]
        equal(len(out), len(sent), f"answers to {self.name}")
        answers = [tuple(map(int, l.split("\t"))) for l in out]
        for (p, _), r in zip(answers, sent):
            equal(p, r.partition, f"partition that {self.name} was told")
        return [r._replace(offset=o) for (_, o), r in zip(answers, sent)]

    def consume(self, broker, topic, group, n, seconds=100, **settings):
        return parse(self.run(broker, "consume", topic, f"group={group}", f"n={n}",
                              *[f"{k}={v}" for k, v in settings.items()], seconds=seconds))

    def member(self, broker, topic, group, **settings):
        return Member([*self.command, self.address or broker.kafka, "member", topic, f"group={group}",
                       *[f"{k}={v}" for k, v in settings.items()]], self.env)


class Member:
    """A running member of a group; records holds what it printed so far."""

    def __init__(self, command, env):
        self.process = subprocess.Popen(
            [str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})}, preexec_fn=die_with_parent)
        self.records = []
        self.said = b""
        self.readers = [threading.Thread(target=self._read, daemon=True), threading.Thread(target=self._hear, daemon=True)]
        for r in self.readers:
            r.start()

    def _read(self):
        for l in self.process.stdout:
            try:
                self.records += parse(l)
            except ValueError:  # of a program that is no peer
                self.said = (self.said + l)[-2000:]

    def _hear(self):
        for l in self.process.stderr:
            self.said = (self.said + l)[-2000:]

    def partitions(self, since=0):
        return {r.partition for r in self.records[since:]}

    def leave(self, seconds=60):
        """Ends it politely; all that it printed has been read on return. Java's
        close gives up after 30 s, which it needs where it signs in again just
        then, over TLS, and is too slow to read two answers one by one: its
        Selector does not look at what it has decrypted before its poll ends."""
        self.process.stdin.close()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"a member does not end within {seconds} s") from None
        for r in self.readers:
            r.join(10)
        if code != 0:
            raise Failure(f"a member exited {code}: {short(self.said.decode(errors='replace')[-600:], 600)}")

    def terminate(self, seconds=30):
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait()


def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.05)


def nulled(r):
    return r._replace(key=r.key or None, value=r.value or None, headers=tuple((k, v or None) for k, v in r.headers))


def same(who, got, wanted, offsets=True, empties=True):
    """got holds each wanted record once, and each partition's in its order."""
    if not empties:
        got, wanted = map(nulled, got), map(nulled, wanted)
    got, wanted = list(got), list(wanted)
    for p in sorted({r.partition for r in [*got, *wanted]}):
        g = [r for r in got if r.partition == p]
        w = [r for r in wanted if r.partition == p]
        for a, b in zip(g, w):
            if not offsets:
                a, b = a._replace(offset=None), b._replace(offset=None)
            if a != b:
                raise Failure(f"{who}, partition {p}: got {short(repr(a))}, want {short(repr(b))}")
        equal(len(g), len(w), f"records of partition {p} by {who}")


def numbered(records):
    """The records with offsets as if each partition's log began with them."""
    following = collections.Counter()
    out = []
    for r in records:
        out.append(r._replace(offset=following[r.partition]))
        following[r.partition] += 1
    return out
