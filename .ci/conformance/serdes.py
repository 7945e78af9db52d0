"""Serializers of other clients, as programs.

PROGRAM ... write|read ... gets lines of JSON: first a set-up

  type      AVRO, JSON or PROTOBUF
  schema    its text
  message   of Protobuf, the message's name; files, its FileDescriptorSet
  auto      register it; latest: take the latest version that is there
  header    the schema's id travels in a header

then the values, in the JSON that the client's library has for the language. It
writes a line for each record: {"offset"}, or {"offset", "value"}.
"""

import base64
import json
import sys

import sales
from harness import CACHE, HERE, PEER, lines, run, want
from peers import JAVA

DEBIAN = CACHE / "debian"
FLAT = {"AVRO": sales.AVRO, "JSON": sales.JSON, "PROTOBUF": sales.PROTO}


class Client:
    """A client, for the languages it knows (reads: those that it reads, if they
    are fewer); avro is "plain" or "tagged": how it writes unions."""

    def __init__(self, id, command, types=("AVRO", "JSON", "PROTOBUF"), avro="plain", env=None, reads=None, **more):
        self.id, self.command, self.types, self.avro, self.env = id, command, types, avro, env
        self.reads, self.more = reads or types, more

    def _run(self, b, act, topic, n, setup, values=()):
        stdin = "\n".join(map(json.dumps, [{**setup, **self.more}, *values])).encode()
        return lines(run(*self.command(b, act, topic, n), stdin=stdin, seconds=60, env=self.env))

    def write(self, b, topic, setup, values):
        got = self._run(b, "write", topic, len(values), setup, [self._out(setup, v) for v in values])
        want(len(got) == len(values), f"{self.id} wrote {len(got)} of {len(values)} records")
        return [l["offset"] for l in got]

    def read(self, b, topic, setup, n):
        return {l["offset"]: self._in(setup, l["value"]) for l in self._run(b, "read", topic, n, setup)}

    def _out(self, setup, v):
        if setup["type"] == "PROTOBUF":
            v = sales.to_proto_json(v)
        elif setup["type"] == "AVRO" and self.avro == "tagged":
            v = sales.to_avro_json(v)
        return {"value": v} if self.id == "sr" else v

    def _in(self, setup, v):
        if setup["type"] == "PROTOBUF":
            return sales.from_proto_json(v)
        if setup["type"] == "AVRO":
            return sales.from_avro_json(v)
        return {**v, "total": float(v["total"])}


def sr():
    return Client("sr", lambda b, act, topic, n: [
        PEER, f"serdes-{act}", "-b", b.kafka, "-http", b.http, "-topic", topic, "-n", n], avro="tagged")


def javascript():
    env = {"NODE_PATH": str(CACHE / "node" / "node_modules"), "KAFKAJS_NO_PARTITIONER_WARNING": "1", "NODE_NO_WARNINGS": "1"}
    return Client("schemaregistry-js", lambda b, act, topic, n: [
        "node", HERE / "node" / "serdes.js", b.kafka, act, b.http, topic, n], env=env)


def debian(**more):
    """Debian's package and its protobuf, with other packages from the venv."""
    path = next(DEBIAN.rglob("dist-packages"), None)
    want(path is not None, "Debian's python3-confluent-kafka is not there")
    env = {"PYTHONPATH": str(path), "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    program = lambda b, act, topic, n: [sys.executable, HERE / "python" / "with_serdes.py", b.kafka, act, b.http, topic, n]
    if more:
        return Client("debian-legacy", program, types=("AVRO",), env=env, **more)
    return Client("debian", program, env=env)


def java(what, types, **more):
    """Confluent's own Java client (as Flink carries it), or Apicurio's serializers."""
    return Client(f"java-{what}", lambda b, act, topic, n: [
        "java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{JAVA}/classes:{JAVA}/serdes/*", "Serdes",
        b.kafka, act, b.http, topic, n, what], types=types, avro="tagged", **more)


def setup(b, type, texts=None, message="sales.Sale", root="sale.proto"):
    """The set-up of a language, in one text or in parts."""
    out = {"type": type, "schema": FLAT[type], "auto": True}
    if type == "PROTOBUF":
        files = texts or {root: sales.PROTO}
        [d] = b.peer("descriptors", stdin=json.dumps({"root": root, "files": files}).encode())
        out |= {"message": message, "files": base64.b64encode(base64.b64decode(d["files"])).decode()}
    return out
