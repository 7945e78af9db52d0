"""Tables in a bucket of Google Cloud Storage and in a container of Azure's, both
on servers that stand in for them: a broker is killed while it commits, files are
merged, and deltalake and pyiceberg read what was acknowledged."""

import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import json
import os
import subprocess
import time
import urllib.error
import urllib.request

import deltalake
from pyiceberg.catalog.rest import RestCatalog

import clients
from harness import CACHE, ROOT, TARN, Failure, die_with_parent, equal, free_port, run as program, want

TOPIC = "clouded"
# Azurite's own account and key, which are public.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def run(t):
    Google(t).run()
    Azure(t).run()


class Cloud:
    def __init__(self, t):
        self.t, self.made, self.rows = t, 0, {}
        self.port = free_port()

    def run(self):
        t, name = self.t, self.name
        log = open(t.work / f"{name}.log", "wb")
        server = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=t.work, preexec_fn=die_with_parent)
        log.close()
        with contextlib.ExitStack() as stack:
            stack.callback(server.wait)
            stack.callback(server.kill)
            for key, value in self.env.items():
                before = os.environ.get(key)
                os.environ[key] = value
                stack.callback(lambda k=key, v=before: os.environ.pop(k) if v is None else os.environ.__setitem__(k, v))
            self.checks()
            if self.b:
                self.b.stop()

    def checks(self):
        t, name, self.b = self.t, self.name, None
        with t.check(f"{name}: the server answers"):
            self.await_server()
        with t.check(f"{name}: a bucket that is not there ends the start"):
            args = ["serve", "--data", t.work / f"{name}-none", "--kafka.listen", "127.0.0.1:0", "--http.listen", "127.0.0.1:0"]
            try:
                program(TARN, *args, "--warehouse", self.warehouse("none"))
            except Failure as e:
                want("no such bucket" in str(e), f"it says {e}")
            else:
                raise Failure("it starts")
        with t.check(f"{name}: the suite of stores", seconds=300):
            self.make_bucket()
            env = {**self.env, self.suite: self.warehouse("lake").replace("/tables?", "/suite?"), "CGO_ENABLED": "0"}
            said = program("go", "test", "-count=1", "-v", "-run", f"TestServer/{self.suite}", "./tables/blob/cloud", seconds=300, cwd=ROOT, env=env)
            want(f"--- PASS: TestServer/{self.suite}/Race" in said.decode(), "the suite was not run")
        with t.check(f"{name}: topic"):
            self.b = t.start(name, fixed_ports=True, extra=("--warehouse", self.warehouse("lake")))
            self.b.tarn("topic", "create", TOPIC, "--partitions", 2, "-c", "tarn.table.formats=iceberg,delta,parquet",
                        "-c", "tarn.table.value.as=json", "-c", "tarn.table.commit.interval.ms=200")
        with t.check(f"{name}: SIGKILL while tables are committed", seconds=120):
            for _ in range(6):
                self.produce(50)
                time.sleep(t.random.uniform(0.1, 0.6))
                self.b.kill()
                self.b.start()
            self.produce(50)
        self.look("after kills")
        with t.check(f"{name}: tarn table compact and expire"):
            self.b.tarn("table", "compact", TOPIC)
            self.b.tarn("table", "expire", TOPIC)
        self.look("after compaction")

    def produce(self, n):
        values = [json.dumps({"n": self.made + i}) for i in range(n)]
        self.made += n
        records = [{"key": b"k%d" % i, "value": v.encode()} for i, v in enumerate(values)]
        for (err, msg), value in zip(clients.deliver(clients.producer(self.b, enable_idempotence=True), TOPIC, records), values):
            want(err is None, f"not acknowledged: {err}")
            self.rows[msg.partition(), msg.offset()] = value

    def look(self, when):
        t, name, columns = self.t, self.name, ["kafka_partition", "kafka_offset", "value"]
        with t.check(f"{name}: {when}: tarn table verify"):
            self.b.tarn("table", "flush", TOPIC)
            self.b.tarn("table", "verify", TOPIC)
        with t.check(f"{name}: {when}: deltalake"):
            table = deltalake.DeltaTable(self.warehouse("lake").split("?")[0] + f"/default/{TOPIC}/delta", storage_options=self.options())
            self.same(table.to_pyarrow_table(columns=columns))
        self.iceberg(when, columns)

    def iceberg(self, when, columns):
        """pyiceberg reads Google's; of Azure's own addresses it makes wrong ones
        with PyArrow, and its other way there, adlfs, is not installed."""

    def same(self, table):
        got = [((r["kafka_partition"], r["kafka_offset"]), r["value"]) for r in table.to_pylist()]
        equal(len(got), len(self.rows), "rows")
        equal(dict(got) == self.rows, True, "the rows that were acknowledged")

    def await_server(self):
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/").close()
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise Failure("it does not")


class Google(Cloud):
    name, env, suite = "gcs", {}, "TARN_TEST_GCS"

    def command(self):
        return [CACHE / "fake-gcs-server", "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port),
                "-public-host", f"127.0.0.1:{self.port}", "-log-level", "warn"]

    def warehouse(self, bucket):
        return f"gs://{bucket}/tables?endpoint=http://127.0.0.1:{self.port}"

    def make_bucket(self):
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.port}/storage/v1/b?project=p", b'{"name": "lake"}',
                                                      {"Content-Type": "application/json"})).close()

    def options(self):
        account = json.dumps({"gcs_base_url": f"http://127.0.0.1:{self.port}", "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""})
        return {"google_service_account_key": account, "allow_http": "true"}

    def iceberg(self, when, columns):
        with self.t.check(f"{self.name}: {when}: pyiceberg"):
            later = dt.datetime.now() + dt.timedelta(days=1)
            catalog = RestCatalog("tarn", uri=f"{self.b.http}/iceberg",
                                  **{"gcs.oauth2.token": "any", "gcs.oauth2.token-expires-at": str(int(later.timestamp() * 1000))})
            self.same(catalog.load_table(("default", TOPIC)).scan(selected_fields=tuple(columns)).to_arrow())


class Azure(Cloud):
    name, env, suite = "azure", {"AZURE_STORAGE_KEY": KEY}, "TARN_TEST_AZURE"

    def command(self):
        return ["node", CACHE / "azurite" / "node_modules" / ".bin" / "azurite-blob", "--blobHost", "127.0.0.1", "--blobPort", str(self.port),
                "--inMemoryPersistence", "--silent", "--skipApiVersionCheck"]

    def warehouse(self, container):
        return f"abfss://{container}@{ACCOUNT}.dfs.core.windows.net/tables?endpoint=http://127.0.0.1:{self.port}/{ACCOUNT}"

    def make_bucket(self):
        date = dt.datetime.now(dt.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
        text = f"PUT{12 * chr(10)}x-ms-date:{date}\nx-ms-version:2019-12-12\n/{ACCOUNT}/{ACCOUNT}/lake\nrestype:container"
        sign = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
        urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{ACCOUNT}/lake?restype=container", method="PUT",
            headers={"x-ms-date": date, "x-ms-version": "2019-12-12", "Authorization": f"SharedKey {ACCOUNT}:{sign}"})).close()

    def options(self):
        return {"azure_storage_account_name": ACCOUNT, "azure_storage_account_key": KEY, "allow_http": "true",
                "azure_endpoint": f"http://127.0.0.1:{self.port}/{ACCOUNT}"}
