"""Kafka's Java clients and tools over TLS with every way of signing in: SCRAM,
PLAIN, tokens from an OAuth endpoint, certificates. Each way is a user of its
own, who may do nothing until a rule says so."""

import base64
import hashlib
import http.server
import json
import threading

import exercise
from authority import Authority, Issuer
from harness import equal, free_port, run as run_program, want
from peers import JAVA_NEW, java, tool
from scenarios.tools import GROUPS, fields

STORE = "changeit"  # Java wants a password for a file of public certificates
ADMIN = ("SCRAM-SHA-512", "admin", "root-secret")
LOGIN = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


def run(t):
    place = t.work / "java-security-files"
    place.mkdir()
    files = Files(place)
    (place / "users.yaml").write_text("admin: {password: root-secret, super: true}\n")
    with tokens(files.issuer) as endpoint:
        files.endpoint = endpoint
        exercises(t, files)
        rules(t, files)


class Files:
    """Certificates, stores and settings, as Java reads them."""

    def __init__(self, place):
        self.place, self.endpoint = place, None
        self.ca = Authority(place)
        self.issuer = Issuer(place / "keys.json")
        self.trust = place / "trust.p12"
        run_program("keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", self.ca.path,
                    "-keystore", self.trust, "-storetype", "PKCS12", "-storepass", STORE)
        for name in ("server", "java"):
            self.ca.issue(name)
        self.secret = place / "token-secret"
        self.secret.write_text("a secret of the broker\n")
        self.keys = place / "java.p12"
        run_program("openssl", "pkcs12", "-export", "-in", place / "java.pem", "-inkey", place / "java.key",
                    "-out", self.keys, "-passout", f"pass:{STORE}", "-name", "java")

    def server(self):
        """Flags of a broker that offers all of it."""
        flags = {"kafka.tls.cert": "server.pem", "kafka.tls.key": "server.key", "kafka.tls.client-ca": "ca.pem",
                 "auth.users-file": "users.yaml", "auth.oauth.keys": "keys.json"}
        return [w for flag, file in flags.items() for w in (f"--{flag}", self.place / file)] + [
            "--kafka.tls.client-auth", "requested", "--auth.oauth.issuer", "conformance",
            "--kafka.sasl.mechanisms", ",".join([*LOGIN, "OAUTHBEARER"]), "--auth.token.secret-file", self.secret]

    def client(self, way, user="", password=""):
        """The file of settings with which a client signs in."""
        path = self.place / f"{way}-{user}-{hashlib.sha256(password.encode()).hexdigest()[:12]}.properties"
        settings = {"security.protocol": "SASL_SSL", "ssl.truststore.location": self.trust, "ssl.truststore.type": "PKCS12",
                    "ssl.truststore.password": STORE}
        if way == "SSL":
            settings["security.protocol"] = "SSL"
            if user:
                settings |= {"ssl.keystore.location": self.keys, "ssl.keystore.type": "PKCS12",
                             "ssl.keystore.password": STORE, "ssl.key.password": STORE}
        elif way == "OAUTHBEARER":
            settings |= {
                "sasl.mechanism": way, "sasl.oauthbearer.token.endpoint.url": self.endpoint,
                "sasl.login.callback.handler.class": "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler",
                "sasl.jaas.config": "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
                                    f'clientId="{user}" clientSecret="{password}";'}
        else:
            settings |= {"sasl.mechanism": way,
                         "sasl.jaas.config": f'{LOGIN[way]} required username="{user}" password="{password}";'}
        path.write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
        return path


class tokens:
    """An endpoint that gives tokens to clients with their secret (RFC 6749, 4.4)."""

    def __init__(self, issuer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kind, _, word = self.headers.get("Authorization", "").partition(" ")
                client, _, secret = base64.b64decode(word).decode().partition(":")
                ok = kind == "Basic" and secret == f"{client}-secret"
                body = {"access_token": issuer.token(client, 300), "token_type": "Bearer", "expires_in": 300} if ok else {"error": "invalid_client"}
                out = json.dumps(body).encode()
                self.send_response(200 if ok else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/token"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def rules(t, files):
    """What each way may do with Kafka's tools, without and with rules."""
    tls = f"127.0.0.1:{free_port()}"
    b = None
    with t.check("a broker with TLS, every mechanism and rules"):
        b = t.start("java-security", listen=f"SASL_SSL://127.0.0.1:0,SSL://{tls}", extra=[*files.server(), "--auth.acl"])
    if b is None:
        return
    root = files.client(*ADMIN)

    def command(name, *args, config=root, address=None, **more):
        return tool(b, name, "--command-config", config, *args, address=address,
                    jvm=[f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={files.endpoint}"], **more)
    with t.check("ConfigCommand makes users, TopicCommand topics", seconds=90):
        for way in LOGIN:
            mechanism = way if way.startswith("SCRAM") else "SCRAM-SHA-256"
            command("ConfigCommand", "--alter", "--entity-type", "users", "--entity-name", f"u-{way.lower()}",
                    "--add-config", f"{mechanism}=[password=secret of {way}]", package="kafka.admin.")
        for way in (*LOGIN, "OAUTHBEARER", "SSL"):
            command("TopicCommand", "--create", "--topic", f"t-{way.lower()}", "--partitions", "2")
    for way in LOGIN:
        user = f"u-{way.lower()}"
        through(t, b, command, way, f"User:{user}", files.client(way, user, f"secret of {way}"), files.client(way, user, "wrong"))
    through(t, b, command, "OAUTHBEARER", "User:robot", files.client("OAUTHBEARER", "robot", "robot-secret"),
            files.client("OAUTHBEARER", "robot", "wrong"))
    through(t, b, command, "SSL", "User:CN=java", files.client("SSL", "java"), files.client("SSL"), tls)
    delegation(t, files, command)


def through(t, b, command, way, principal, mine, wrong, address=None):
    """One user: kept out, then let in by AclCommand, with tools of many kinds."""
    topic, group = f"t-{way.lower()}", f"g-{way.lower()}"
    made = [f"{way} {i}" for i in range(200)]

    def produce(config, lines, ok=(0,)):
        command("ConsoleProducer", "--topic", topic, "--command-property", "max.block.ms=15000", config=config, address=address,
                stdin="".join(f"{l}\n" for l in lines).encode(), ok=ok)

    with t.check(f"{way}: nothing without a rule, nothing with a wrong secret", seconds=120):
        for config in (mine, wrong):
            produce(config, ["refused"], ok=(0, 1))
            seen = command("TopicCommand", "--list", config=config, address=address, ok=(0, 1), seconds=100)
            want(not any(l.startswith("t-") for l in seen), f"it lists {seen}")
        equal(ends(command, topic), [0, 0], "ends of the partitions")
    with t.check(f"{way}: AclCommand lets it produce and consume in a group", seconds=150):
        command("AclCommand", "--add", "--allow-principal", principal, "--producer", "--consumer", "--topic", topic, "--group", group)
        listed = " ".join(command("AclCommand", "--list", "--principal", principal))
        for operation in ("WRITE", "READ", "DESCRIBE", "CREATE"):
            want(f"(principal={principal}, host=*, operation={operation}, permissionType=ALLOW)" in listed, f"listed are {listed}")
        produce(mine, made)
        got = command("consumer.ConsoleConsumer", "--topic", topic, "--group", group, "--from-beginning", "--max-messages", str(len(made)),
                      "--timeout-ms", "30000", config=mine, address=address)
        equal(sorted(l for l in got if l.startswith(way)), sorted(made), "what it consumes")
        equal(sorted(l for l in logged(command, topic, len(made)) if l.startswith(way)), sorted(made), "what the administrator sees in the log")
    with t.check(f"{way}: it sees its topic and its group, and no other", seconds=120):
        equal([l for l in command("TopicCommand", "--list", config=mine, address=address) if l], [topic], "topics")
        rows = fields(command(GROUPS, "--describe", "--group", group, config=mine, address=address), "GROUP")
        equal(sum(int(r["CURRENT-OFFSET"]) for r in rows if r["CURRENT-OFFSET"] != "-"), len(made), "its offsets")
        shown = {r["GROUP"] for r in fields(command("GroupsCommand", "--list", config=mine, address=address), "GROUP")}
        equal(shown, {group}, "groups")
    with t.check(f"{way}: configs are shown and set by rules of their own", seconds=150):
        def config(*args, ok=(0,)):
            return " ".join(command("ConfigCommand", "--entity-type", "topics", "--entity-name", topic, *args, config=mine, address=address,
                                    package="kafka.admin.", ok=ok))
        alter = ("--alter", "--add-config", "retention.ms=123456789")
        config(*alter, ok=(1,))
        want("retention.ms" not in config("--describe", ok=(0, 1)), "it is shown configs")
        command("AclCommand", "--add", "--allow-principal", principal, "--operation", "AlterConfigs", "--operation", "DescribeConfigs",
                "--topic", topic)
        config(*alter)
        want("retention.ms=123456789" in config("--describe"), "the config is not there")
    with t.check(f"{way}: AclCommand takes the rules away", seconds=90):
        command("AclCommand", "--remove", "--force", "--allow-principal", principal, "--producer", "--topic", topic)
        produce(mine, ["refused"], ok=(0, 1))
        equal(sum(ends(command, topic)), len(made), "records in the log")


def delegation(t, files, command):
    """A delegation token (KIP-48) made, used, renewed and ended by Kafka's tools."""
    topic, owner = "t-scram-sha-512", files.client("SCRAM-SHA-512", "u-scram-sha-512", "secret of SCRAM-SHA-512")

    def token(*args, config=owner, ok=(0,)):
        return command("DelegationTokenCommand", *args, config=config, ok=ok)

    def produce(config, value, ok=(0,)):
        command("ConsoleProducer", "--topic", topic, "--command-property", "max.block.ms=15000", config=config, stdin=f"{value}\n".encode(), ok=ok)
    with t.check("DelegationTokenCommand: a token works in its owner's name until it is ended", seconds=240):
        command("AclCommand", "--add", "--allow-principal", "User:u-scram-sha-512", "--producer", "--topic", topic)
        [row] = fields(token("--create", "--max-life-time-period", "-1", "--renewer-principal", "User:robot"), "TOKENID")
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            mine = files.client(mechanism, row["TOKENID"], row["HMAC"])
            mine.write_text(mine.read_text().replace('";\n', '" tokenauth="true";\n'))
            produce(mine, f"by a token, {mechanism}")
        token("--create", "--max-life-time-period", "-1", config=mine, ok=(1,))
        token("--renew", "--renew-time-period", "60000", "--hmac", row["HMAC"], config=files.client("OAUTHBEARER", "robot", "robot-secret"))
        token("--expire", "--expiry-time-period", "-1", "--hmac", row["HMAC"])
        produce(mine, "by a token that has ended", ok=(0, 1))
        got = [l for l in logged(command, topic, sum(ends(command, topic))) if l.startswith("by a token")]
        equal(sorted(got), [f"by a token, SCRAM-SHA-{n}" for n in (256, 512)], "records that a token brought")


def logged(command, topic, n):
    """The topic's n records, as an administrator's consumer sees them."""
    out = command("consumer.ConsoleConsumer", "--topic", topic, "--from-beginning", "--max-messages", str(n), "--timeout-ms", "40000")
    return [l for l in out if l]


def ends(command, topic):
    return [int(l.rsplit(":", 1)[1]) for l in command("GetOffsetShell", "--topic", topic)]


def exercises(t, files):
    """The Java clients of several versions, put through everything that they
    are without TLS; they sign in again every few seconds (KIP-368)."""
    sasl, tls = (f"127.0.0.1:{free_port()}" for _ in range(2))
    b = None
    with t.check("a broker with TLS and every mechanism"):
        b = t.start("java-sasl", listen=f"PLAINTEXT://127.0.0.1:0,SASL_SSL://{sasl},SSL://{tls}",
                    extra=[*files.server(), "--kafka.sasl.max-reauth", "3s"])
    if b is None:
        return
    ways = [(version, *ADMIN) for version in ("0.11.0.3", "2.0.1", "2.8.2", JAVA_NEW)] + [(JAVA_NEW, "PLAIN", *ADMIN[1:]), (JAVA_NEW, "SSL", "java", "")]
    for version, way, *who in ways:
        peer = java(version, files.client(way, *who), way, tls if way == "SSL" else sasl)
        exercise.produce(t, b, peer)
        exercise.consume(t, b, peer)
        exercise.transact(t, b, peer)
        exercise.transform(t, b, peer)
        exercise.share(t, b, peer)
    new = java(JAVA_NEW, files.client(*ADMIN), "SCRAM-SHA-512", sasl)
    exercise.share(t, b, new, protocol="consumer")
