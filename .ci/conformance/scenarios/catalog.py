"""The catalog as others use it: pyiceberg makes tables of its own, writes, reads
and maintains them, and maintains a table that a topic fills; users sign in."""

import datetime as dt
import json
import urllib.error
import urllib.request

import pyarrow as pa
import pyiceberg.exceptions as refused
from pyiceberg.catalog import load_catalog
from pyiceberg.expressions import EqualTo, GreaterThan
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform
from pyiceberg.types import LongType, NestedField, StringType, TimestamptzType

import rows
from harness import ROOT, equal, want
from harness import run as run_program
from scenarios.protobuf import Payments

ARROW = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("name", pa.string()),
                   pa.field("at", pa.timestamp("us", tz="UTC"))])
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.timezone.utc)


def some(ids, name=None):
    return pa.table({"id": list(ids), "name": [name or f"n{i}" for i in ids],
                     "at": [NOON + dt.timedelta(hours=i) for i in ids]}, schema=ARROW)


def run(t):
    b = t.broker
    cat = rows.catalog(b.http)
    namespaces(t, b, cat)
    with t.check("a table of pyiceberg's"):
        cat.create_namespace_if_not_exists("lab")
        cat.create_table("lab.plain", schema=ARROW)
    writes(t, cat)
    evolves(t, cat)
    names(t, b, cat)
    together(t, b, cat)
    conflicts(t, cat)
    pages(t, cat)
    Foreign(t).run()
    signed(t)
    elsewhere(t)
    suite(t)


def ids(table, **scan):
    return sorted(table.scan(**scan).to_arrow()["id"].to_pylist())


def namespaces(t, b, cat):
    with t.check("namespaces, nested ones too, with properties"):
        cat.create_namespace(("team", "a"), {"owner": "me"})
        want(("team",) in cat.list_namespaces(), "the parent is not listed")
        equal(cat.list_namespaces("team"), [("team", "a")], "namespaces below team")
        done = cat.update_namespace_properties(("team", "a"), removals={"owner", "none"}, updates={"x": "1"})
        equal((done.removed, done.updated, done.missing), (["owner"], ["x"], ["none"]), "what became of properties")
        equal(cat.load_namespace_properties(("team", "a")), {"x": "1", "location": f"file://{b.warehouse}/team/a"}, "properties")
        want(cat.namespace_exists(("team", "a")), "it is not there")
        cat.create_table(("team", "a", "deep"), schema=ARROW)
        try:
            cat.drop_namespace(("team", "a"))
            want(False, "a namespace with a table was dropped")
        except refused.NamespaceNotEmptyError:
            pass
        cat.purge_table(("team", "a", "deep"))
        cat.drop_namespace(("team", "a"))
        equal(cat.namespace_exists(("team", "a")), False, "whether it is there after the drop")
        equal(cat.list_views("default"), [], "views")
        equal(cat.view_exists("default.nothing"), False, "whether there is a view")


def writes(t, cat):
    with t.check("append, overwrite, delete, upsert"):
        table = cat.load_table("lab.plain")
        table.append(some(range(10)))
        table.append(some(range(10, 20)))
        equal(ids(table), list(range(20)), "ids after appends")
        table.delete("id >= 15")
        table.overwrite(some([100]), overwrite_filter=EqualTo("id", 0))
        result = table.upsert(some([1, 2, 200], "changed"), join_cols=["id"])
        equal((result.rows_updated, result.rows_inserted), (2, 1), "rows of the upsert")
        got = cat.load_table("lab.plain")
        equal(ids(got), [*range(1, 15), 100, 200], "ids")
        equal(ids(got, row_filter="name = 'changed'"), [1, 2, 200], "changed ids")
        table.overwrite(some(range(5)))
        equal(ids(cat.load_table("lab.plain")), list(range(5)), "ids after an overwrite of all")
    with t.check("tags, branches, time travel, expiry"):
        table = cat.load_table("lab.plain")
        first = table.metadata.snapshots[0].snapshot_id
        table.manage_snapshots().create_tag(first, "first").create_branch(table.current_snapshot().snapshot_id, "next").commit()
        table.append(some([7, 8]), branch="next")
        got = cat.load_table("lab.plain")
        equal(ids(got, snapshot_id=first), list(range(10)), "ids of the tag")
        equal(ids(got), list(range(5)), "ids of main")
        equal(sorted(got.scan().use_ref("next").to_arrow()["id"].to_pylist()), [0, 1, 2, 3, 4, 7, 8], "ids of the branch")
        got.maintenance.expire_snapshots().older_than(dt.datetime.now() + dt.timedelta(days=1)).commit()
        got = cat.load_table("lab.plain")
        equal(len(got.metadata.snapshots), 3, "snapshots that a branch or tag holds")
        got.manage_snapshots().remove_tag("first").remove_branch("next").commit()
        equal(set(cat.load_table("lab.plain").refs()), {"main"}, "references")


def evolves(t, cat):
    with t.check("schema, partitions, sort order and properties change"):
        schema = Schema(NestedField(1, "id", LongType(), required=True), NestedField(2, "name", StringType()),
                        NestedField(3, "at", TimestamptzType()), identifier_field_ids=[1])
        spec = PartitionSpec(PartitionField(3, 1000, DayTransform(), "at_day"))
        table = cat.create_table("lab.parts", schema=schema, partition_spec=spec, properties={"write.parquet.compression-codec": "zstd"})
        table.append(some(range(30)))
        with table.update_schema() as change:
            change.add_column("more", StringType(), doc="later")
            change.rename_column("name", "title")
            change.move_first("at")
        with table.update_spec() as change:
            change.add_field("id", BucketTransform(4), "id_bucket")
            change.remove_field("at_day")
            change.add_identity("more")
        with table.transaction() as tx:
            tx.set_properties(owner="me", gone="yes")
            tx.remove_properties("gone")
        got = cat.load_table("lab.parts")
        equal([f.name for f in got.schema().fields], ["at", "id", "title", "more"], "columns")
        equal([f.name for f in got.spec().fields][-2:], ["id_bucket", "more"], "partition fields")
        equal(got.properties.get("owner"), "me", "a property")
        more = pa.table({"at": [NOON], "id": pa.array([99], pa.int64()), "title": ["t"], "more": ["m"]},
                        schema=got.schema().as_arrow())
        got.append(more)
        equal(ids(cat.load_table("lab.parts"), row_filter="more = 'm'"), [99], "ids of the new partition")
        equal(ids(cat.load_table("lab.parts"), row_filter=GreaterThan("id", 27)), [28, 29, 99], "ids over both specs")
        equal(got.spec().fields[-1].transform, IdentityTransform(), "transform")


def names(t, b, cat):
    with t.check("rename, drop, register, purge"):
        table = cat.load_table("lab.plain")
        cat.rename_table("lab.plain", "default.moved")
        equal(cat.table_exists("lab.plain"), False, "whether the old name is there")
        equal(ids(cat.load_table("default.moved")), list(range(5)), "ids under the new name")
        at = cat.load_table("default.moved").metadata_location
        cat.drop_table("default.moved")
        cat.register_table("lab.again", at)
        equal(ids(cat.load_table("lab.again")), list(range(5)), "ids after registering")
        for wrong in (lambda: cat.register_table("lab.again", at), lambda: cat.create_table("lab.again", schema=ARROW)):
            try:
                wrong()
                want(False, "a name was taken twice")
            except refused.TableAlreadyExistsError:
                pass
        equal(cat.load_table("lab.again").metadata.table_uuid, table.metadata.table_uuid, "UUID")
        directory = b.warehouse / "lab" / "parts"
        want(any(directory.rglob("*.parquet")), "no files to purge")
        cat.purge_table("lab.parts")
        equal([p for p in directory.rglob("*") if p.is_file()], [], "files after purging")
    with t.check("staged tables are seen when they are committed"):
        tx = cat.create_table_transaction("lab.staged", schema=ARROW)
        equal(cat.table_exists("lab.staged"), False, "whether it is there before")
        tx.set_properties(made="at once")
        tx.commit_transaction()
        equal(cat.load_table("lab.staged").properties["made"], "at once", "property")


def post(url, body, headers=None):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def together(t, b, cat):
    with t.check("commits to several tables: all or none"):
        for name in ("one", "two"):
            cat.create_table(f"lab.{name}", schema=ARROW)

        def change(name, value, wanted):
            return {"identifier": {"namespace": ["lab"], "name": name},
                    "requirements": [{"type": "assert-last-assigned-field-id", "last-assigned-field-id": wanted}],
                    "updates": [{"action": "set-properties", "updates": {"round": value}}]}

        at = f"{b.http}/iceberg/v1/transactions/commit"
        equal(post(at, {"table-changes": [change("one", "1", 3), change("two", "1", 3)]})[0], 204, "status")
        code, body = post(at, {"table-changes": [change("one", "2", 3), change("two", "2", 9)]})
        equal((code, json.loads(body)["error"]["type"]), (409, "CommitFailedException"), "refusal")
        equal([cat.load_table(f"lab.{n}").properties["round"] for n in ("one", "two")], ["1", "1"], "properties of both")


def conflicts(t, cat):
    with t.check("what was built on an older state is refused, in Java's words, and pyiceberg tries again"):
        early, late = cat.load_table("lab.one"), cat.load_table("lab.one")
        early.append(some([1]))
        stale = {"requirements": [{"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": 4711}], "updates": []}
        code, body = post(f"{cat.uri}/v1/namespaces/lab/tables/one", stale)
        said = json.loads(body)["error"]
        equal((code, said["type"]), (409, "CommitFailedException"), "refusal")
        head = cat.load_table("lab.one").current_snapshot().snapshot_id
        equal(said["message"], f"Requirement failed: branch main has changed: expected id 4711 != {head}", "words")
        try:
            late.append(some([2]))
        except refused.CommitFailedException as e:
            want("Requirement failed: branch main was created concurrently" in str(e), f"words: {e}")
            cat.load_table("lab.one").append(some([2]))
        equal(ids(cat.load_table("lab.one")), [1, 2], "ids of both")


def pages(t, cat):
    with t.check("lists in pages"):
        cat.create_namespace("many")
        for i in range(7):
            cat.create_table(f"many.t{i}", schema=ARROW)
        got, token, n = [], "", 0
        while token is not None:
            with urllib.request.urlopen(f"{cat.uri}/v1/namespaces/many/tables?pageSize=3&pageToken={token}") as r:
                page = json.load(r)
            got += [i["name"] for i in page["identifiers"]]
            token, n = page.get("next-page-token"), n + 1
        equal((got, n), ([f"t{i}" for i in range(7)], 3), "names, and pages")
        equal(len(cat.list_tables("many")), 7, "tables that pyiceberg lists")


class Foreign(Payments):
    """A topic's table, as others see it."""

    topic = "catalogued"

    def subject(self):
        return "catalogued-value"

    def run(self):
        t = self.t
        with t.check("a table that a topic fills"):
            self.b.tarn("topic", "create", self.topic, "-c", "tarn.table.formats=iceberg,delta,parquet", "-c", "tarn.value.schema.validation=payload")
            for _ in range(3):
                self.more()
        with t.check("it is maintained and not written by pyiceberg"):
            table = rows.catalog(self.b.http).load_table(("default", self.topic))
            table.manage_snapshots().create_tag(table.current_snapshot().snapshot_id, "kept").commit()
            with table.transaction() as tx:
                tx.set_properties(**{"a.note": "of ours"})
            for wrong in (lambda: table.delete("kafka_offset >= 0"), lambda: table.update_schema().add_column("x", StringType()).commit()):
                try:
                    wrong()
                    want(False, "rows or columns of the topic's table were changed")
                except refused.ForbiddenError as e:
                    want("tarn.table.foreign" in str(e), f"words: {e}")
            self.more()
        rows.check_tables(t, self.topic, self.log.rows, name="beside a tag", struct_lists=self.struct_lists)
        with t.check("tarn table verify"):
            self.b.tarn("table", "verify", self.topic)

    def more(self):
        done = len(self.values)
        self.produce([self.make(done + i) for i in range(20)])
        self.b.tarn("table", "flush", self.topic)


def signed(t):
    """Each user signs in; nobody else is let in."""
    with t.check("a broker that asks for credentials"):
        b = t.start("signed", extra=["--http.auth"])
        b.tarn("user", "create", "alice", stdin=b"alice-secret\n")
    uri = f"{b.http}/iceberg"
    with t.check("a credential becomes a token"):
        cat = load_catalog("alice", type="rest", uri=uri, credential="alice:alice-secret")
        cat.create_namespace("hers")
        cat.create_table("hers.table", schema=ARROW).append(some(range(3)))
        equal(ids(cat.load_table("hers.table")), [0, 1, 2], "ids")
    with t.check("wrong and missing credentials are refused"):
        for wrong in ({"credential": "alice:guessed"}, {"credential": "bob:alice-secret"}, {"token": "tarn.a.b"}, {}):
            try:
                load_catalog("nobody", type="rest", uri=uri, **wrong).list_namespaces()
                want(False, f"{wrong} was let in")
            except (refused.UnauthorizedError, refused.OAuthError) as e:
                want("guessed" not in str(e), f"the secret is in the words: {e}")


def elsewhere(t):
    """Topics' tables in an SQL catalog, which pyiceberg opens by itself."""
    with t.check("a broker whose tables are in an SQL catalog"):
        file = t.work / "catalog.db"
        b = t.start("sql", extra=["--catalog.type", "sql", "--catalog.uri", f"sqlite:///{file}", "--catalog.name", "mine"])
        b.tarn("topic", "create", "logged", "-c", "tarn.table.formats=iceberg", "-c", "tarn.table.value.as=string")
        for i in range(3):
            b.tarn("produce", "logged", stdin=b'"a"\n"b"\n')
            b.tarn("table", "flush", "logged")
    with t.check("pyiceberg reads and tags there, and Tarn goes on"):
        cat = load_catalog("mine", type="sql", uri=f"sqlite:///{file}")
        equal(cat.list_tables("default"), [("default", "logged")], "tables")
        table = cat.load_table("default.logged")
        equal(sorted(table.scan().to_arrow()["kafka_offset"].to_pylist()), list(range(6)), "offsets")
        table.manage_snapshots().create_tag(table.current_snapshot().snapshot_id, "kept").commit()
        b.tarn("produce", "logged", stdin=b'"c"\n')
        b.tarn("table", "flush", "logged")
        table = cat.load_table("default.logged")
        equal(sorted(table.scan().to_arrow()["kafka_offset"].to_pylist()), list(range(7)), "offsets")
        equal(set(table.refs()), {"main", "kept"}, "references")
        b.tarn("table", "verify", "logged")
    with t.check("both catalogs of one file, and a table of pyiceberg's"):
        other = load_catalog("theirs", type="sql", uri=f"sqlite:///{file}", warehouse=f"file://{t.work}/theirs")
        other.create_namespace("lab")
        other.create_table("lab.t", schema=ARROW).append(some(range(3)))
        equal(cat.list_namespaces(), [("default",)], "namespaces of Tarn's")


def suite(t):
    """iceberg-go's suite for catalogs, on a broker."""
    with t.check("iceberg-go's catalogtest by its REST client", seconds=600):
        b = t.start("suite")
        out = run_program("go", "test", "./tables/catalog", "-count=1", "-v", "-run", "^TestConformanceOverREST$", seconds=590,
                          env={"TARN_TEST_CATALOG": f"{b.http}/iceberg", "CGO_ENABLED": "0"}, cwd=ROOT).decode()
        equal((out.count("    --- PASS"), out.count("--- SKIP")), (18, 0), "tests that passed and were left out")
