"""Tables whose columns widen, int to long and float to double, before and after their
files are merged, by those engines that can, with nothing switched off; and written
anew, by those too that lack Delta's type widening. With EARLIER, the binary of an
earlier release, that one begins the tables: its files and those of today are read
together."""

import json
import os

import deltalake
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import clients
import engines
import rows
from harness import equal, want
from records import BASE
from scenarios.readers import properties, statements

# STEADY keeps its types: with EARLIER, what changes is how files are written.
TOPIC, STEADY = "widened", "steady"
ROWS = 60
SUMS = "count(*), min(n), max(n), CAST(sum(n) AS bigint), min(x), max(x), CAST(sum(kafka_offset) AS bigint)"


def run(t):
    b, earlier = t.broker, os.environ.get("EARLIER")
    if earlier:
        b = t.start("earlier", fixed_ports=True, binary=earlier)
    with t.check("a table that widens"):
        for topic in (TOPIC, STEADY):
            b.tarn("topic", "create", topic, "--partitions", "1", "-c", "tarn.table.formats=iceberg,delta")
            produce(b, topic, "int", "float", 0)
        if earlier:
            equal(b.stop(), 0, "exit code of the earlier release")
            b.binary = None
            b.start()
        produce(b, TOPIC, "long", "double", 1)
        produce(b, STEADY, "int", "float", 0)
    with t.check("tarn table status says which readers it takes"):
        want("typeWidening" in notice(b), b.tarn("table", "status", TOPIC))
    with t.check("engines start", seconds=1300):
        opened = [engines.DuckDB(t.work, f"{b.http}/iceberg"), engines.Spark(t.work, f"{b.http}/iceberg")]
    for when in ("as written", "merged"):
        for topic in (TOPIC, STEADY):
            look(t, b, when, opened, topic, earlier if when == "as written" else None)
        with t.check(f"{when}: {STEADY}, Delta by deltalake"):
            equal(python(deltalake.DeltaTable(f"{b.warehouse}/default/{STEADY}/delta").to_pyarrow_table()), wanted(STEADY), "sums")
        with t.check(f"{when}: deltalake has no type widening"):
            try:
                got = python(deltalake.DeltaTable(f"{b.warehouse}/default/{TOPIC}/delta").to_pyarrow_table())
            except Exception as e:  # of its own kinds
                got = str(e)
            want("typewidening" in str(got).lower(), f"it says {got}: if it reads the table, the notice may go")
        with t.check(f"{when}: tarn table verify, compact"):
            for topic in (TOPIC, STEADY):
                b.tarn("table", "verify", topic)
                b.tarn("table", "compact", topic)
    with t.check("tarn table rebuild"):
        b.tarn("table", "rebuild", TOPIC)
        b.tarn("table", "verify", TOPIC)
        equal(notice(b), "", "notice")
    look(t, b, "written anew", opened, TOPIC)
    with t.check("written anew: Delta by deltalake"):
        equal(python(deltalake.DeltaTable(f"{b.warehouse}/default/{TOPIC}/delta").to_pyarrow_table()), wanted(TOPIC), "sums")
    opened[1].stop()
    with t.check("written anew: Delta by trino", seconds=1300):
        status = json.loads(b.tarn("table", "status", TOPIC, "--snippets", "--output", "json"))["item"]
        [text] = [s["text"] for s in status["snippets"] if (s["format"], s["reader"]) == ("delta", "trino")]
        trino = engines.Trino(t.work, {"delta": properties(text, t.work)})
        for sql in [s for s in statements(text) if s.upper().startswith(("CREATE", "CALL"))]:
            got = trino.ask(sql)
            want("error" not in got, f"{sql}: {got}")
        got = trino.ask(f"SELECT {SUMS} FROM {trino.delta(None, TOPIC)}")
        want("error" not in got, got.get("error"))
        equal(got["got"], [wanted(TOPIC)], "sums")
        trino.stop()


def look(t, b, when, opened, topic, earlier=None):
    """A table by everybody who reads it."""
    for engine in opened:
        for what, table in (("Iceberg", engine.table(topic)), ("Delta", engine.delta(f"{b.warehouse}/default/{topic}/delta", topic))):
            with t.check(f"{when}: {topic}, {what} by {engine.name}", seconds=engine.seconds + 10):
                got = engine.ask(f"SELECT {SUMS} FROM {table}")
                if earlier and engine.name == "spark" and what == "Iceberg" and "IntVector" in got.get("error", ""):
                    continue  # of files that say INT(32), until they are merged: README.md, Known of others
                want("error" not in got, got.get("error"))
                equal(got["got"], [wanted(topic)], "sums")
    with t.check(f"{when}: {topic}, Iceberg by pyiceberg"):
        equal(python(rows.catalog(b.http).load_table(("default", topic)).scan().to_arrow()), wanted(topic), "sums")


def notice(b):
    status = json.loads(b.tarn("table", "status", TOPIC, "--output", "json"))["item"]
    [delta] = [f for f in status["formats"] if f["format"] == "delta"]
    return delta.get("notice", "")


def value(number, i):
    return -i if number == 0 else 2**40 + i


def real(number, i):
    return 2.0**60 if number and i == 7 else 0.5


def wanted(topic):
    """What SUMS must be, once both halves are in."""
    second = 1 if topic == TOPIC else 0
    halves = [(number, i) for number in (0, second) for i in range(ROWS)]
    n, x = [value(*h) for h in halves], [real(*h) for h in halves]
    return [2 * ROWS, min(n), max(n), sum(n), min(x), max(x), sum(range(2 * ROWS))]


def python(table):
    """SUMS of an Arrow table."""
    n, x, offsets = (table.column(c).to_pylist() for c in ("n", "x", "kafka_offset"))
    return [len(n), min(n), max(n), sum(n), min(x), max(x), sum(offsets)]


def produce(b, topic, n, x, number):
    fields = [{"name": "n", "type": n}, {"name": "x", "type": x}]
    serializer = AvroSerializer(clients.registry(b), json.dumps({"type": "record", "name": "Wide", "namespace": "shop", "fields": fields}))
    context = SerializationContext(topic, MessageField.VALUE)
    records = [{"key": None, "timestamp": BASE + i, "value": serializer({"n": value(number, i), "x": real(number, i)}, context)} for i in range(ROWS)]
    clients.delivered(clients.deliver(clients.producer(b), topic, records))
    b.tarn("table", "flush", topic)
