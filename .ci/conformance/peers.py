"""The clients of other libraries, as programs that speak like records.py."""

import sys

from harness import CACHE, HERE, run, want
from records import Member, Peer as _Peer

JAVA = CACHE / "java"
JAVA_OLD = (HERE / "java" / "versions").read_text().split()
JAVA_NEW = "4.3.1"  # java/tools/pom.xml


class Peer(_Peer):
    """id stands in names of topics and groups."""

    def __init__(self, id, name, *command, **kwargs):
        super().__init__(name, *command, **kwargs)
        self.id = id


def java(version, config=None, name="", address=None):
    """The Java client of a version that run has put below java/; with a file of
    further settings, and a name for what they make of it."""
    codecs = ("none", "gzip", "snappy", "lz4") + (() if version < "2.1" else ("zstd",))
    place = "tools" if version == JAVA_NEW else version
    id, called = f"java-{version}", f"kafka-clients {version}"
    if config:
        id, called = f"{id}-{name.lower()}", f"{called} by {name}"
    path = f"{JAVA}/classes:{JAVA}/{place}/*"
    if version < "1":  # its SCRAM needs what Java 8 had
        path += ":" + ":".join(map(str, (JAVA / "tools").glob("jaxb-api-*.jar")))
    return Peer(id, called, "java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *([f"-Dpeer.config={config}"] if config else []),
                "-cp", path, "Peer", codecs=codecs, address=address)


def golang(client, version=None):
    """A client of gopeer; version is the broker's that sarama is told of."""
    id, codecs = client, ("none", "gzip", "snappy", "lz4", "zstd")
    if version:
        id = f"{client}-{version}"
        if version < "2.1":
            codecs = codecs[:4]
    return Peer(id, id.replace("-0", " as of 0").replace("-2", " as of 2"), CACHE / "gopeer", client, codecs=codecs,
                opens=f"version={version}" if version else "", empties=client != "kafka-go", once=client != "kafka-go")


def c(which):
    """librdkafka in C: Debian's, or the newer one that its Go binding brings."""
    return Peer(f"librdkafka-{which}", f"librdkafka in C, {which}", CACHE / f"cpeer-{which}")


def python(client, id=None, env=None, **kwargs):
    """A client of python/."""
    return Peer(id or client, id or client, sys.executable, HERE / "python" / "peer.py", client,
                env={"PYTHONPATH": str(HERE), **(env or {})}, **kwargs)


def librdkafka(version):
    """An old librdkafka, out of the wheel that carries it."""
    library = next((CACHE / "librdkafka" / version).rglob("librdkafka*.so*"), None)
    want(library is not None, f"there is no librdkafka {version}")
    return python("librdkafka", f"librdkafka-{version}", {"LIBRDKAFKA": str(library), "LD_LIBRARY_PATH": str(library.parent)},
                  codecs=("none", "gzip", "snappy", "lz4") + (() if version < "1.4" else ("zstd",)))  # built without


def platformatic():
    """@platformatic/kafka, whose headers are a map: one value for each name."""
    return Peer("platformatic", "@platformatic/kafka", "node", HERE / "node" / "platformatic.js", headers="one", once=False,
                env={"NODE_PATH": str(CACHE / "node" / "node_modules"), "NODE_NO_WARNINGS": "1"},
                codecs=("none", "gzip", "snappy", "lz4"))


def tool(broker, name, *args, stdin=None, seconds=60, ok=(0,), at="--bootstrap-server", package="org.apache.kafka.tools.",
         address=None, jvm=()):
    """Runs one of Kafka's own tools; returns what it writes, in lines."""
    out = run("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *jvm, "-cp", f"{JAVA}/tools/*", *(package + name).split(),
              at, address or broker.kafka, *args, stdin=stdin, seconds=seconds, ok=ok)
    return out.decode().splitlines()


def background(main, *args):
    """A Java program of the newest client's classes that goes on running."""
    return Member(["java", "-XX:+UseSerialGC", "-Xmx400m", "-cp", f"{JAVA}/classes:{JAVA}/tools/*", main, *args], None)
