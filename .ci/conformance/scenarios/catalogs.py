"""Topics' tables in the catalogs of others: Iceberg's own REST server, from the
kit that catalogs are tested with, on a directory and on a bucket whose keys it
hands out, and moto's Glue. Each is written to while answers are lost, while
pyiceberg and Spark commit too, and while the broker is killed; Tarn's verify,
pyiceberg, DuckDB and Spark find what was acknowledged."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import CommitFailedException

import clients
import engines
from between import Between
from harness import CACHE, Failure, die_with_parent, equal, free_port, run as program, want

NAMESPACE = "lake"
KEYS = {"AWS_ACCESS_KEY_ID": "conformance", "AWS_SECRET_ACCESS_KEY": "conformance-secret", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
CREDENTIAL = "tarn:conformance secret/+%"  # characters that forms must escape
COLUMNS = ("kafka_partition", "kafka_offset", "value")


def run(t):
    chosen = os.environ.get("CATALOGS", "own iceberg sql vending glue").split()
    if "own" in chosen:
        delegated(t)
    for story in (Directory, Sql):
        if story.name in chosen:
            with contextlib.ExitStack() as stack:
                story(t, stack).run()
    if not {"vending", "glue"} & set(chosen):
        return
    with contextlib.ExitStack() as stack:
        for key, value in KEYS.items():
            stack.callback(put_back, key, os.environ.get(key))
            os.environ[key] = value
        # boto3, which pyiceberg's Glue catalog wants, comes with moto.
        sys.path += map(str, (CACHE / "moto").glob("lib/python*/site-packages"))
        moto = Moto(t, stack)
        for story in (Bucket, Glue):
            if story.name in chosen:
                story(t, stack, moto).run()


def delegated(t):
    """Clients ask Tarn's own catalog for credentials of the store, as pyiceberg
    and DuckDB do unless they are told otherwise, and go on without."""
    at = f"{t.broker.http}/iceberg"
    with t.check("own: what asks for vended credentials is served without", seconds=120):
        engines.fill(t, "undelegated", rounds=1)
        catalog = load_catalog("own", type="rest", uri=at)
        equal(catalog._session.headers.get("X-Iceberg-Access-Delegation"), "vended-credentials", "what pyiceberg asks for")
        equal(catalog.load_table("default.undelegated").scan().to_arrow().num_rows, 30, "rows by pyiceberg")
        for value in ("vended-credentials", "remote-signing", "vended-credentials,remote-signing"):
            request = urllib.request.Request(f"{at}/v1/namespaces/default/tables/undelegated", headers={"X-Iceberg-Access-Delegation": value})
            with urllib.request.urlopen(request) as r:
                want(not json.load(r).get("storage-credentials"), "credentials come from nowhere")
    with t.check("own: DuckDB attaches without being told of credentials", seconds=120):
        engine = engines.DuckDB(t.work, at)
        said = engine.ask(f"ATTACH 'tarn' AS asking (TYPE iceberg, ENDPOINT '{at}', AUTHORIZATION_TYPE 'none')")
        want("got" in said, f"it says {said}")
        said = engine.ask('SELECT count(*) FROM asking."default".undelegated')
        engine.stop()
        equal(said.get("got"), [[30]], f"rows ({said})")


def put_back(key, value):
    os.environ.pop(key)
    if value is not None:
        os.environ[key] = value


def spawn(t, stack, name, command, port):
    """Starts a server and waits until it answers anything."""
    log = open(t.work / f"{name}.log", "ab")
    server = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=t.work, preexec_fn=die_with_parent)
    log.close()
    stack.callback(server.wait)
    stack.callback(server.kill)
    for _ in range(600):
        want(server.poll() is None, f"it ended with {server.returncode}, see {name}.log")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/").close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise Failure("it does not answer")


def iceberg_server(t, stack, name, more=(), catalog="backend", **properties):
    """Iceberg's REST server on a JdbcCatalog of that name; returns its port."""
    port, java = free_port(), CACHE / "java"
    path = ":".join(map(str, [java / "classes", java / "catalog" / "*", *more]))
    settings = {"catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog", "uri": f"jdbc:sqlite:{t.work}/{name}.db", "jdbc.schema-version": "V1", **properties}
    spawn(t, stack, name, ["java", "-Xmx256m", "-cp", path, "org.apache.iceberg.rest.IcebergCatalog", port, catalog, *(f"{k}={v}" for k, v in settings.items())], port)
    return port


class Moto:
    """Glue and S3 of moto, with a bucket called lake."""

    def __init__(self, t, stack):
        with t.check("moto answers"):
            self.port = free_port()
            spawn(t, stack, "moto", [CACHE / "moto" / "bin" / "moto_server", "-H", "127.0.0.1", "-p", self.port], self.port)
            self.uri = f"http://127.0.0.1:{self.port}"
            urllib.request.urlopen(urllib.request.Request(f"{self.uri}/lake", method="PUT")).close()

    def files(self):
        """What a client of Iceberg must be told to reach the bucket."""
        return {"s3.endpoint": self.uri, "s3.region": "us-east-1", "s3.access-key-id": KEYS["AWS_ACCESS_KEY_ID"], "s3.secret-access-key": KEYS["AWS_SECRET_ACCESS_KEY"]}

    def warehouse(self, prefix):
        return f"s3://lake/{prefix}?endpoint={self.uri}"


class Story:
    """What is done to a topic whose table is in a catalog of others. between is
    what Tarn reaches it through; others() is the catalog to pyiceberg."""

    def __init__(self, t, stack):
        self.t, self.stack, self.rows, self.made = t, stack, {}, 0
        self.topic = f"in_{self.name}"

    def run(self):
        before = self.t.prefix
        self.t.prefix = f"{before}{self.name}: "
        try:
            self.checks()
        finally:
            self.t.prefix = before

    def start(self):
        """A broker on the catalog, and its topic."""
        self.b = self.t.start(f"on-{self.name}", fixed_ports=True, extra=self.flags())
        self.b.expected += ["sink does not go on"]  # while its catalog is away
        self.b.tarn("topic", "create", self.topic, "--partitions", 2, "-c", "tarn.table.formats=iceberg", "-c", "tarn.table.value.as=json",
                    "-c", "tarn.table.commit.interval.ms=200")

    def again(self, **flags):
        """Starts the broker anew, with other flags."""
        self.b.stop()
        self.b.extra = self.flags(**flags)
        self.b.start()

    def produce(self, n=50):
        values = [json.dumps({"n": self.made + i}) for i in range(n)]
        self.made += n
        records = [{"key": b"k%d" % i, "value": v.encode()} for i, v in enumerate(values)]
        for (err, msg), value in zip(clients.deliver(clients.producer(self.b, enable_idempotence=True), self.topic, records), values):
            want(err is None, f"not acknowledged: {err}")
            self.rows[msg.partition(), msg.offset()] = value

    def status(self):
        [iceberg] = json.loads(self.b.tarn("table", "status", self.topic, "--output", "json"))["item"]["formats"]
        return iceberg

    def await_state(self, state, *words):
        for _ in range(300):
            now = self.status()
            text = json.dumps(now)
            if now["state"] == state and all(w in text for w in words):
                return text
            time.sleep(0.1)
        raise Failure(f"want {state} with {words}, it is {json.dumps(now)}")

    def table(self):
        return self.others().load_table((NAMESPACE, self.topic))

    def look(self, when):
        """Everything that was acknowledged is there, once."""
        t = self.t
        with t.check(f"{when}: tarn table verify", seconds=120):
            self.b.tarn("table", "flush", self.topic)
            self.b.tarn("table", "verify", self.topic)
        with t.check(f"{when}: pyiceberg"):
            got = [((r["kafka_partition"], r["kafka_offset"]), r["value"]) for r in self.table().scan(selected_fields=COLUMNS).to_arrow().to_pylist()]
            equal(len(got), len(self.rows), "rows")
            equal(dict(got) == self.rows, True, "the rows that were acknowledged")

    def killed(self):
        with self.t.check("SIGKILL while tables are committed", seconds=180):
            for _ in range(6):
                self.produce()
                time.sleep(self.t.random.uniform(0.1, 0.8))
                self.b.kill()
                self.b.start()
            self.produce()
        self.look("after kills")

    def is_commit(self, request):
        return request.method == "POST" and request.path.endswith(f"/tables/{self.topic}")

    def lost(self, kinds=("forget", "half", "lose")):
        """Answers to commits that were done do not come, and requests do not arrive."""
        for kind in kinds:
            with self.t.check(f"commits whose outcome nobody tells: {kind}", seconds=120):
                left = [4]

                def rule(request):
                    if not self.is_commit(request) or left[0] == 0:
                        return None
                    left[0] -= 1
                    return kind

                self.between.rule = rule
                for _ in range(6):
                    self.produce(20)
                    time.sleep(0.3)
                for _ in range(300):
                    if left[0] == 0:
                        break
                    self.produce(1)
                    time.sleep(0.1)
                self.between.rule = lambda _: None
                equal(left[0], 0, "commits that were to be lost yet")
            self.look(f"after {kind}")

    def down(self):
        with self.t.check("the catalog is away: the log takes records, the table says so and catches up", seconds=180):
            self.between.rule = lambda _: "lose"
            self.produce()
            self.await_state("stalled", "fix")
            self.produce()
            self.between.rule = lambda _: None
            self.await_state("running")
        self.look("after the catalog was away")

    def beside(self):
        """pyiceberg commits snapshots while Tarn does, six at least."""
        with self.t.check("pyiceberg commits in between, and rows of its own come and go", seconds=300):
            done, refused, stop, wrong = [0], [0], time.monotonic() + 240, []

            def others():
                try:
                    while done[0] < 6 and time.monotonic() < stop:
                        try:
                            self.write_beside(done[0])
                            done[0] += 1
                        except CommitFailedException:
                            refused[0] += 1
                except Exception as e:  # told below, by the check's own thread
                    wrong.append(e)

            worker = threading.Thread(target=others)
            worker.start()
            while worker.is_alive():
                self.produce(10)
                time.sleep(0.1)
            worker.join()
            want(not wrong, f"pyiceberg: {wrong}")
            want(done[0] >= 6, f"pyiceberg has committed {done[0]} times, refused {refused[0]}")
            print(f"# {self.t.prefix}pyiceberg committed {done[0]} times and was refused {refused[0]} times; the catalog refused "
                  f"{self.between.did.get(409, 0)} commits of Tarn's so far", flush=True)
            # Rows of pyiceberg's go again, however far the thread has come.
            self.table().delete("kafka_partition = -1")
        self.look("beside pyiceberg")

    def overtaken(self):
        """Each of four commits of Tarn's finds that pyiceberg was a moment faster."""
        with self.t.check("commits that pyiceberg overtakes are refused by the catalog and done anew", seconds=180):
            before, left, lock = self.between.did.get(409, 0), [0, 4], threading.Lock()

            def rule(request):
                with lock:
                    if self.is_commit(request) and left[0] < left[1]:
                        self.write_beside(left[0])
                        left[0] += 1

            self.between.rule = rule
            for _ in range(600):
                if left[0] == left[1]:
                    break
                self.produce(5)
                time.sleep(0.1)
            self.between.rule = lambda _: None
            equal(left[0], left[1], "commits that were to be overtaken")
            for _ in range(600):  # the last of them may be under way
                if self.between.did.get(409, 0) - before >= 4:
                    break
                time.sleep(0.1)
            want(self.between.did.get(409, 0) - before >= 4, f"the catalog refused {self.between.did.get(409, 0) - before}")
        self.look("after conflicts")

    def snippet(self, **secrets):
        with self.t.check("pyiceberg's snippet of tarn table status, as it stands"):
            status = json.loads(self.b.tarn("table", "status", self.topic, "--output", "json"))["item"]
            [text] = [s["text"] for s in status["snippets"] if s["reader"] == "pyiceberg" and s["format"] == "iceberg"]
            for placeholder, secret in secrets.items():
                text = text.replace(placeholder.replace("_", ":"), secret)
            names = {}
            exec(text.replace("print(", "got = ("), names)
            equal(names["got"].num_rows, len(self.rows), "rows")

    def write_beside(self, n):
        """One row of pyiceberg's own, which it deletes the next time."""
        table = self.table()
        if n % 2:
            table.delete("kafka_partition = -1")
            return
        row = {f.name: [None] for f in table.schema().fields}
        row |= {"kafka_partition": [-1], "kafka_offset": [n], "kafka_timestamp": [0], "kafka_headers": [[]], "value": ["{}"]}
        table.append(pa.Table.from_pydict(row, schema=table.schema().as_arrow()))

    def kept(self):
        """Files that pyiceberg wrote are merged with Tarn's, and its rows go again."""
        with self.t.check("tarn table compact and expire, with a file of pyiceberg's", seconds=180):
            self.write_beside(0)
            self.b.tarn("table", "compact", self.topic, seconds=120)
            equal(self.table().scan(row_filter="kafka_partition = -1").to_arrow().num_rows, 1, "rows of pyiceberg's after merging")
            self.write_beside(1)
            self.b.tarn("table", "compact", self.topic, seconds=120)
            self.b.tarn("table", "expire", self.topic)
        self.look("after compaction")


class Rest(Story):
    def flags(self, **changed):
        flags = {"type": "rest", "uri": self.between.uri, "namespace": NAMESPACE, **self.signing, **changed}
        return [x for k, v in flags.items() for x in (f"--catalog.{k}", v)] + ["--warehouse", self.warehouse]


class Directory(Rest):
    """Iceberg's REST server on a directory, behind a door that wants tokens of
    OAuth2, which the server itself gives out."""

    name, signing = "iceberg", {"credential": CREDENTIAL}

    def checks(self):
        t = self.t
        self.warehouse = f"file://{t.work}/iceberg-lake"
        with t.check("Iceberg's REST server answers", seconds=120):
            (t.work / "iceberg-lake").mkdir()
            self.port = iceberg_server(t, self.stack, "iceberg", warehouse=self.warehouse)
            self.between = Between(self.port)
            self.stack.callback(self.between.stop)
        self.door = Door(self.between)
        self.refused()
        self.look("after refusals")
        self.down()
        self.lost()
        with t.check("tokens that end are fetched anew", seconds=120):
            for _ in range(3):
                self.door.end_tokens()
                self.produce(10)
                self.b.tarn("table", "flush", self.topic)
            want(self.door.given > 3, f"{self.door.given} tokens were fetched")
        self.overtaken()
        self.beside()
        self.killed()
        self.kept()
        self.snippet(ID_SECRET=CREDENTIAL)
        self.duckdb()
        self.spark()

    def others(self):
        return load_catalog("others", type="rest", uri=f"http://127.0.0.1:{self.port}")

    def refused(self):
        t = self.t
        with t.check("a wrong credential: records are taken, the table says why, and the secret is not in it", seconds=120):
            self.signing = {"credential": "tarn:guessed-wrong"}
            self.start()
            self.produce()
            said = self.await_state("stalled", "invalid_client", "TARN_CATALOG_CREDENTIAL")
            want("guessed-wrong" not in said, said)
            want("guessed-wrong" not in self.b.log_path.read_text(), "the secret is in the log")
        with t.check("a wrong token", seconds=120):
            self.signing = {"token": "guessed-wrong"}
            self.again()
            said = self.await_state("stalled", "Not authorized", "TARN_CATALOG_TOKEN")
            want("guessed-wrong" not in said, said)
        with t.check("a namespace that is missing and may not be made", seconds=120):
            self.signing = {"credential": CREDENTIAL}
            self.door.closed = lambda r: r.method == "POST" and r.path == "/v1/namespaces"
            self.again()
            self.await_state("stalled", "namespace", NAMESPACE, "make the namespace")
            self.others().create_namespace(NAMESPACE)
            self.await_state("running")
            self.door.closed = lambda _: False

    def duckdb(self):
        with self.t.check("DuckDB reads through that catalog", seconds=120):
            engine = engines.DuckDB(self.t.work, f"http://127.0.0.1:{self.port}")
            said = engine.ask(f'SELECT kafka_partition, kafka_offset, value FROM lake."{NAMESPACE}".{self.topic}')
            engine.stop()
            want("got" in said, f"it says {said}")
            equal(sorted(map(tuple, said["got"])), sorted((p, o, v) for (p, o), v in self.rows.items()), "rows")

    def spark(self):
        t, name = self.t, f"tarn.{NAMESPACE}.{self.topic}"
        with t.check("Spark reads through that catalog", seconds=600):
            engine = engines.Spark(t.work, f"http://127.0.0.1:{self.port}")
            said = engine.ask(f"SELECT count(*), count(DISTINCT kafka_partition, kafka_offset) FROM {name}")
            equal(said.get("got"), [[len(self.rows)] * 2], f"rows ({said})")
        with t.check("Spark merges files, rewrites manifests and expires while Tarn commits", seconds=600):
            for sql in (f"CALL tarn.system.rewrite_data_files(table => '{NAMESPACE}.{self.topic}', options => map('rewrite-all', 'true'))",
                        f"CALL tarn.system.rewrite_manifests('{NAMESPACE}.{self.topic}')",
                        f"CALL tarn.system.expire_snapshots(table => '{NAMESPACE}.{self.topic}', retain_last => 2)"):
                said, done = [], threading.Event()
                worker = threading.Thread(target=lambda: (said.append(engine.ask(sql)), done.set()))
                worker.start()
                while not done.wait(0.2):
                    self.produce(10)
                worker.join()
                # Which of two wins is open: a commit of Tarn's may come between.
                want("got" in said[0] or any(w in said[0]["error"] for w in ("CommitFailed", "conflict", "could not be found in the latest snapshot")), f"{sql}: {said}")
            engine.stop()
        self.look("beside Spark")


class Door:
    """Lets in who has a token that the server behind gave for CREDENTIAL."""

    def __init__(self, between):
        self.tokens, self.given, self.closed = set(), 0, lambda _: False
        self.inner = lambda _: None
        self.between = between
        between.told = self.told
        # A story sets rule; the door comes before it.
        door, cls = self, type(between)

        class Guarded(cls):
            @property
            def rule(self):
                return door.rule

            @rule.setter
            def rule(self, rule):
                door.inner = rule

        between.__class__ = Guarded

    def rule(self, request):
        if request.path == "/v1/oauth/tokens":
            form = urllib.parse.parse_qs(request.body.decode())
            if [form.get("client_id"), form.get("client_secret")] != [[part] for part in CREDENTIAL.split(":", 1)]:
                return 401, {"error": "invalid_client", "error_description": "Unknown client or wrong secret"}
            return self.inner(request)
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 401, {"error": {"message": "Not authorized: no such token", "type": "NotAuthorizedException", "code": 401}}
        if self.closed(request):
            return 403, {"error": {"message": "Forbidden: ask the owner of the catalog", "type": "ForbiddenException", "code": 403}}
        return self.inner(request)

    def told(self, request, status, body):
        if request.path == "/v1/oauth/tokens" and status == 200:
            self.given += 1
            self.tokens.add(json.loads(body)["access_token"])

    def end_tokens(self):
        self.tokens.clear()


class Bucket(Rest):
    """Iceberg's REST server on a bucket, which hands out the keys of the bucket
    to whoever loads a table. pyiceberg has no others; Tarn uses its own."""

    name, signing = "vending", {"token": "any"}

    def __init__(self, t, stack, moto):
        super().__init__(t, stack)
        self.moto = moto

    def checks(self):
        t, moto = self.t, self.moto
        self.warehouse = moto.warehouse("vending")
        with t.check("Iceberg's REST server on a bucket answers", seconds=120):
            self.port = iceberg_server(t, self.stack, "vending", more=[CACHE / "java" / "s3" / "*"], warehouse="s3://lake/vending",
                                       **{"io-impl": "org.apache.iceberg.aws.s3.S3FileIO", "s3.path-style-access": "true", "client.region": "us-east-1",
                                          "include-credentials": "true", **moto.files()})
            self.between = Between(self.port)
            self.stack.callback(self.between.stop)
        with t.check("a topic"):
            self.start()
            self.produce()
        self.look("at first")
        with t.check("the catalog vends keys, and Tarn does not show them"):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/namespaces/{NAMESPACE}/tables/{self.topic}") as r:
                want(json.load(r)["config"]["s3.secret-access-key"] == KEYS["AWS_SECRET_ACCESS_KEY"], "no keys in the answer")
            text = self.b.log_path.read_text() + json.dumps(self.status())
            want(KEYS["AWS_SECRET_ACCESS_KEY"] not in text, "the secret is shown")
        self.lost(("forget", "half"))
        self.overtaken()
        self.killed()
        self.kept()
        self.snippet()

    def others(self):
        # No keys: what the catalog vends is all that this client has.
        return load_catalog("others", type="rest", uri=f"http://127.0.0.1:{self.port}", **{"s3.endpoint": self.moto.uri, "s3.region": "us-east-1"})


class Sql(Story):
    """Tables in an SQLite file, which Java's JdbcCatalog opens too, behind
    Iceberg's REST server. It leaves a read open on a file that had its tables
    already, under which SQLite lets nobody else commit: Tarn says so, and goes on
    when Java is gone."""

    name = "sql"

    def flags(self):
        return ["--catalog.type", "sql", "--catalog.uri", f"sqlite:///{self.file}", "--catalog.name", "mine", "--catalog.namespace", NAMESPACE]

    def checks(self):
        t = self.t
        self.file, self.java = t.work / "jdbc.db", None
        with t.check("a topic"):
            self.start()
            self.produce()
            self.b.tarn("table", "flush", self.topic)
        self.look("at first")
        with contextlib.ExitStack() as stack:
            with t.check("Java's JdbcCatalog opens the file", seconds=120):
                self.java = iceberg_server(t, stack, "jdbc", catalog="mine", clients="1", warehouse=f"file://{self.b.warehouse}")
            self.look("by Java")
            with t.check("Java commits", seconds=120):
                for n in range(4):
                    self.write_beside(n)
            self.produce(10)
            with t.check("Java holds the file: Tarn says so", seconds=120):
                self.await_state("stalled", "database is locked")
        self.java = None
        with t.check("Tarn goes on when Java is gone", seconds=120):
            self.await_state("running")
        self.look("after Java")
        for n in range(4):
            with t.check(f"pyiceberg's SqlCatalog commits in between, {n + 1}", seconds=120):
                self.write_beside(n)
                self.produce(10)
                self.b.tarn("table", "flush", self.topic)
        self.look("beside pyiceberg")
        self.killed()
        self.kept()
        self.snippet()

    def others(self):
        if self.java:
            return load_catalog("others", type="rest", uri=f"http://127.0.0.1:{self.java}")
        return load_catalog("mine", type="sql", uri=f"sqlite:///{self.file}")


class Glue(Story):
    """Tables in moto's Glue and S3."""

    name = "glue"

    def __init__(self, t, stack, moto):
        super().__init__(t, stack)
        self.moto = moto
        self.between = Between(moto.port)
        stack.callback(self.between.stop)

    def flags(self):
        return ["--catalog.type", "glue", "--catalog.uri", self.between.uri, "--catalog.region", "us-east-1", "--catalog.namespace", NAMESPACE,
                "--warehouse", self.moto.warehouse("glue")]

    def checks(self):
        t = self.t
        with t.check("a topic"):
            self.start()
            self.produce()
        self.look("at first")
        with t.check("calls are as Glue wants them"):
            seen = []
            self.between.rule = lambda r: seen.append(r) if self.is_commit(r) else None
            self.produce()
            self.b.tarn("table", "flush", self.topic)
            self.between.rule = lambda _: None
            want(seen, "no UpdateTable")
            body = json.loads(seen[0].body)
            want(body["VersionId"] and body["SkipArchive"] is True, f"UpdateTable without the version that it follows: {body}")
            want("/us-east-1/glue/aws4_request" in seen[0].headers["Authorization"], "signed for something else")
        self.down()
        self.lost()
        self.after()
        self.killed()
        self.kept()
        self.snippet()

    def is_commit(self, request):
        return request.headers.get("X-Amz-Target") == "AWSGlue.UpdateTable"

    def others(self):
        return load_catalog("others", type="glue", **{"glue.endpoint": self.moto.uri, "glue.region": "us-east-1", "glue.access-key-id": "any",
                                                      "glue.secret-access-key": "any", **self.moto.files()})

    def after(self):
        """moto does not look at VersionId, so two that commit in the same moment
        would both succeed there: pyiceberg commits between commits of Tarn's."""
        for n in range(4):
            with self.t.check(f"pyiceberg's GlueCatalog commits in between, {n + 1}", seconds=120):
                self.b.tarn("table", "flush", self.topic)
                self.write_beside(n)
                self.produce(10)
                self.b.tarn("table", "flush", self.topic)
        self.look("beside pyiceberg")
        with self.t.check("what others put into the entry stays"):
            import boto3
            client = boto3.client("glue", endpoint_url=self.moto.uri, region_name="us-east-1")
            entry = client.get_table(DatabaseName=NAMESPACE, Name=self.topic)["Table"]
            client.update_table(DatabaseName=NAMESPACE, VersionId=entry["VersionId"], TableInput={
                "Name": self.topic, "TableType": entry["TableType"], "StorageDescriptor": entry["StorageDescriptor"],
                "Parameters": {**entry["Parameters"], "team": "lake"}, "Description": "of ours"})
            self.produce(10)
            self.b.tarn("table", "flush", self.topic)
            entry = client.get_table(DatabaseName=NAMESPACE, Name=self.topic)["Table"]
            equal((entry["Parameters"].get("team"), entry.get("Description")), ("lake", "of ours"), "what was put there")
            want("value" in [c["Name"] for c in entry["StorageDescriptor"]["Columns"]], "no columns to show")
