"""The console in Chromium: every page in light and dark, and what people do there;
nothing may be complained of in the browser, axe finds nothing, and no request
may leave the machine."""

import json

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from harness import HERE, CACHE, equal, lines, run as program, want

V1 = {"type": "record", "name": "Sale", "fields": [{"name": "id", "type": "long"}, {"name": "amount", "type": "double"}]}
V2 = {**V1, "fields": [*V1["fields"], {"name": "coupon", "type": ["null", "string"], "default": None}]}
N = 200
LONG = "n" * 249


def run(t):
    with t.check("the console's JavaScript fits its JSDoc types"):
        typed()
    shots = t.work / "console-pictures"
    shots.mkdir()
    b = t.start("console")
    with t.check("a topic with tables, two versions, a group and rejections"):
        fill(b)
    browse(t, b, shots, "light", 28)
    browse(t, b, shots, "dark", 26)
    browse(t, b, shots, "work", 23)
    browse(t, b, shots, "late", 15)
    place = t.work / "console-files"
    place.mkdir()
    (place / "users.yaml").write_text("admin: {password: root-secret, super: true}\n")
    b = t.start("console-secure", extra=["--kafka.sasl.mechanisms", "SCRAM-SHA-256", "--http.auth", "--auth.acl", "--auth.users-file", place / "users.yaml"],
                env={"TARN_USER": "admin", "TARN_PASSWORD": "root-secret"})
    with t.check("a user who may read one topic"):
        b.tarn("user", "create", "alice", stdin=b"alice-secret\n")
        for name in ("mine", "theirs"):
            b.tarn("topic", "create", name)
        b.tarn("acl", "create", "--principal", "alice", "--operation", "read", "--topic", "mine")
    browse(t, b, shots, "signin", 2)
    with t.check("a user who sees one table and one group"):
        one(b, place)
    browse(t, b, shots, "rights", 4)


def one(b, place):
    b.tarn("user", "create", "carol", stdin=b"carol-secret\n")
    (place / "sales.avsc").write_text(json.dumps(V1))
    b.tarn("schema", "register", "sales-value", place / "sales.avsc")
    b.tarn("topic", "create", "sales", "-c", "tarn.table.formats=iceberg,delta,parquet", "-c", "tarn.table.commit.interval.ms=1000")
    b.tarn("produce", "sales", stdin="".join(json.dumps({"key": f"k{i}", "value": {"id": i, "amount": 1.5}}) + "\n" for i in range(50)).encode())
    b.tarn("produce", "theirs", stdin=b"1\n")
    b.tarn("consume", "sales", "--group", "team", "-n", "20")
    b.tarn("consume", "theirs", "--group", "others", "-n", "1")
    for operation, on in (("read", ("--topic", "sales")), ("describe-configs", ("--topic", "sales")), ("read", ("--group", "team"))):
        b.tarn("acl", "create", "--principal", "carol", "--operation", operation, *on)


def typed():
    """Has TypeScript look at the modules; libraries are as their authors left them."""
    said = program("node", CACHE / "node" / "node_modules" / "typescript" / "bin" / "tsc", "-p", HERE / "node" / "tsconfig.json", "--pretty", "false",
                   seconds=120, ok=(0, 1, 2)).decode()
    want("/vendor/htm.js" in said, f"htm.js is full of complaints, and none was made: {said[-300:]}")
    equal([line for line in said.splitlines() if line[:1].strip() and "/vendor/" not in line], [], "what does not fit")


def fill(b):
    b.tarn("topic", "create", "shop", "-p", "3", "-c", "tarn.table.formats=iceberg,delta,parquet", "-c", "tarn.value.schema.validation=payload",
           "-c", "tarn.table.commit.interval.ms=1000")
    b.tarn("topic", "create", "raw")
    registry = SchemaRegistryClient({"url": b.http})
    for schema in (V1, V2):
        registry.register_schema("shop-value", Schema(json.dumps(schema), "AVRO"))
    text = "".join(json.dumps({"key": f"k{i}", "value": {"id": (1 << 63) - 1 - i, "amount": float(i), "coupon": None}}) + "\n" for i in range(N))
    b.tarn("produce", "shop", stdin=text.encode())
    b.tarn("produce", "raw", "--raw", stdin=b"\x00\x00\x00\x00\x63junk\n")
    b.tarn("produce", "shop", "--raw", stdin=b"no schema\n", ok=(1,))
    b.tarn("consume", "shop", "--group", "readers", "-n", "50")
    b.tarn("topic", "create", "many")
    b.tarn("produce", "many", stdin="".join(f'{{"n":{i}}}\n' for i in range(10_500)).encode())
    b.tarn("topic", "create", LONG)
    b.tarn("produce", LONG, stdin=json.dumps({"pad": "x y " * 40_000}).encode() + b"\n")
    b.tarn("topic", "create", "jobs")
    b.tarn("produce", "jobs", stdin="".join(f'"job {i}"\n' for i in range(40)).encode())
    b.tarn("group", "seek", "workers", "jobs", "--to", "start", "--share")
    for _ in range(2):
        b.tarn("consume", "jobs", "--share-group", "workers", "--ack", "release", "-n", "5")
    b.tarn("consume", "jobs", "--share-group", "workers", "-n", "2")


def browse(t, b, shots, mode, least):
    """Runs the program in the browser; each of its lines is a check."""
    got = []
    with t.check(f"Chromium, {mode}", seconds=600):
        env = {"NODE_PATH": str(CACHE / "node" / "node_modules")}
        got = lines(program("node", HERE / "node" / "console.js", b.http, shots, mode, seconds=600, env=env))
        want(len(got) >= least, f"{len(got)} checks ran, want {least}")
    for line in got:
        with t.check(line["check"]):
            equal(line["why"], None, "what went wrong")
