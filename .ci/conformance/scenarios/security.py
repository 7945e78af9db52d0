"""TLS, SASL, users and access rules, by librdkafka (confluent-kafka-python and
kcat) and by Confluent's registry client."""

import base64
import json
import ssl
import socket
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, NewTopic, ResourcePatternType, ResourceType,
    ScramCredentialInfo, ScramMechanism, UserScramCredentialDeletion, UserScramCredentialUpsertion)
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

import clients
from authority import Authority, Issuer
from harness import Failure, equal, run as run_program, want

N = 2000
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


def run(t):
    place = t.work / "security-files"
    place.mkdir()
    ca = Authority(place)
    ca.issue("server")
    issuer = Issuer(place / "keys.json")
    (place / "users.yaml").write_text("admin: {password: root-secret, super: true}\n")
    b = None
    with t.check("a broker with SASL_SSL, HTTPS and rules"):
        b = t.start("secure", extra=[
            "--kafka.tls.cert", place / "server.pem", "--kafka.tls.key", place / "server.key",
            "--http.tls.cert", place / "server.pem", "--http.tls.key", place / "server.key", "--http.auth",
            "--kafka.sasl.mechanisms", ",".join(MECHANISMS + ["OAUTHBEARER"]), "--kafka.sasl.max-reauth", "1s",
            "--auth.oauth.keys", issuer.path, "--auth.oauth.issuer", "conformance",
            "--auth.users-file", place / "users.yaml", "--auth.acl",
        ], env={"TARN_USER": "admin", "TARN_PASSWORD": "root-secret", "TARN_TLS_CA": str(ca.path)})
    if b is None:
        return
    with t.check("tarn user create, topic create"):
        b.tarn("user", "create", "alice", stdin=b"alice-secret\n")
        for name in ["t-plain", "t-oauth", "mine", "theirs", "txn"] + [f"t-{m}" for m in MECHANISMS]:
            b.tarn("topic", "create", name)
        b.tarn("acl", "create", "--principal", "alice", "--operation", "all", "--topic", "t-", "--prefix")
        b.tarn("acl", "create", "--principal", "alice", "--operation", "read", "--group", "g-", "--prefix")
    for m in MECHANISMS:
        with t.check(f"librdkafka {m} over TLS"):
            conf = login(b, ca, "alice", "alice-secret", m)
            round_trip(conf, f"t-{m}", f"g-{m}")
        with t.check(f"kcat {m} over TLS"):
            words = [w for k, v in conf.items() if k != "bootstrap.servers" for w in ("-X", f"{k}={v}")]
            # Its librdkafka does not sign in again, so it must end within a second.
            for last in (False, False, True):
                try:
                    text = run_program("kcat", "-q", "-b", b.kafka, "-u", "-f", clients.KCAT_FORMAT, *words,
                                       "-C", "-t", f"t-{m}", "-o", "beginning", "-e")
                    break
                except Failure as e:
                    if last or "brokers are down" not in str(e):
                        raise
            got = clients.parse_kcat(text)
            equal(sorted(g[4] for g in got), sorted(value(i) for i in range(N)), "values")
        with t.check(f"a wrong password and an unknown user with {m}"):
            for user in ("alice", "nobody"):
                refused(login(b, ca, user, "wrong", m), KafkaError._AUTHENTICATION)
        with t.check(f"kafkajs {m} over TLS"):
            def js(password, topic):
                return b.kafkajs("secure.js", ca.path, "alice", password, m.lower(), topic, f"g-js-{m}")
            b.tarn("topic", "create", f"t-js-{m}")
            equal(js("alice-secret", f"t-js-{m}"), [{"values": ["one", "two"]}], "what kafkajs says")
            for password, topic, why in (("wrong", f"t-js-{m}", "uthentication failed"), ("alice-secret", "theirs", "authorization failed")):
                said = js(password, topic)[0].get("error", "")
                want(why in said, f"kafkajs says {said!r}, want {why!r}")
    with t.check("OAUTHBEARER over TLS"):
        b.tarn("acl", "create", "--principal", "robot", "--operation", "all", "--topic", "t-oauth")
        b.tarn("acl", "create", "--principal", "robot", "--operation", "read", "--group", "*")
        round_trip(bearer(b, ca, lambda: issuer.token("robot", 60)), "t-oauth", "g-oauth")
    with t.check("a foreign token"):
        refused(bearer(b, ca, lambda: Issuer(place / "other.json").token("robot", 60)), KafkaError._AUTHENTICATION)
    with t.check("a client that trusts another authority"):
        (place / "other").mkdir()
        refused(login(b, Authority(place / "other"), "alice", "alice-secret"), KafkaError._SSL)
    reauthenticated(t, b, ca)
    rules(t, b, ca)
    users(t, b, ca)
    registry(t, b, ca)
    reload(t, b, ca)


def value(i):
    return f"value {i}".encode()


def login(b, ca, user, password, mechanism="SCRAM-SHA-512"):
    return {"bootstrap.servers": b.kafka, "security.protocol": "SASL_SSL", "ssl.ca.location": str(ca.path),
            "sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password, "log_level": 0}


def bearer(b, ca, token):
    def fresh(_):
        text = token()
        claims = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
        return text, claims["exp"]
    return {"bootstrap.servers": b.kafka, "security.protocol": "SASL_SSL", "ssl.ca.location": str(ca.path),
            "sasl.mechanism": "OAUTHBEARER", "oauth_cb": fresh, "log_level": 0}


def produce(conf, topic, n=N, **more):
    p = Producer({**conf, "linger.ms": 5, **more})
    return clients.delivered(clients.deliver(p, topic, [{"value": value(i)} for i in range(n)]))


def round_trip(conf, topic, group):
    """Writes N records, idempotently, and reads them in a group."""
    produce(conf, topic, **{"enable.idempotence": True})
    c = Consumer({**conf, "group.id": group, "auto.offset.reset": "earliest"})
    try:
        c.subscribe([topic])
        got, end = [], time.monotonic() + 30
        while len(got) < N:
            if time.monotonic() > end:
                raise Failure(f"{len(got)} of {N} records")
            for m in c.consume(500, 0.5):
                if m.error():
                    raise Failure(m.error().str())
                got.append(m.value())
        equal(sorted(got), sorted(value(i) for i in range(N)), "values")
        c.commit(asynchronous=False)
    finally:
        c.close()


def refused(conf, code):
    """Waits until librdkafka says why it has no broker."""
    seen = []
    p = Producer({**conf, "error_cb": lambda e: seen.append(e)})
    end = time.monotonic() + 20
    while not any(e.code() == code for e in seen):
        if time.monotonic() > end:
            raise Failure(f"no error {code}, but {[e.name() for e in seen]}")
        p.poll(0.1)


def reauthenticated(t, b, ca):
    with t.check("five seconds of records while authentication lasts one"):
        p = Producer({**login(b, ca, "alice", "alice-secret"), "linger.ms": 5})
        errors, sent, begun = [], 0, time.monotonic()
        while time.monotonic() - begun < 5:
            p.produce("t-plain", value(sent), on_delivery=lambda e, _: e and errors.append(e.name()))
            sent += 1
            p.poll(0.01)
        equal(p.flush(20), 0, "records without outcome")
        equal(errors[:3], [], "errors")
        want(sent > 100, f"only {sent} records in five seconds")


def rules(t, b, ca):
    admin = AdminClient(login(b, ca, "admin", "root-secret"))
    with t.check("a user without rules"):
        b.tarn("user", "create", "bob", stdin=b"bob-secret\n")
        conf = login(b, ca, "bob", "bob-secret")
        failed(lambda: produce(conf, "mine", 1), "TOPIC_AUTHORIZATION_FAILED")
        his = AdminClient(conf)
        failed(lambda: his.create_topics([NewTopic("new", 1)])["new"].result(20), "TOPIC_AUTHORIZATION_FAILED")
        equal(list(his.list_topics(timeout=20).topics), [], "topics that are listed")
        mine = binding(ResourceType.TOPIC, "mine", AclOperation.READ)
        failed(lambda: his.create_acls([mine])[mine].result(20), "CLUSTER_AUTHORIZATION_FAILED")
    with t.check("rules by librdkafka's admin client"):
        mine = [
            binding(ResourceType.TOPIC, "mine", AclOperation.WRITE), binding(ResourceType.TOPIC, "mine", AclOperation.READ),
            binding(ResourceType.GROUP, "bob-", AclOperation.READ, ResourcePatternType.PREFIXED),
            binding(ResourceType.TRANSACTIONAL_ID, "bob-tx", AclOperation.WRITE),
        ]
        for f in admin.create_acls(mine).values():
            f.result(20)
        found = admin.describe_acls(every("User:bob")).result(20)
        equal({str(x) for x in found}, {str(x) for x in mine}, "rules of bob")
    with t.check("with rules, what they allow"):
        round_trip(conf, "mine", "bob-group")
        equal(list(his.list_topics(timeout=20).topics), ["mine"], "topics that are listed")
        failed(lambda: produce(conf, "theirs", 1), "TOPIC_AUTHORIZATION_FAILED")
        failed(lambda: join(conf, "other-group"), "GROUP_AUTHORIZATION_FAILED")
    with t.check("a transaction, and one with another's id"):
        transaction(conf, "bob-tx")
        failed(lambda: transaction(conf, "alice-tx"), "TRANSACTIONAL_ID_AUTHORIZATION_FAILED")
    with t.check("denying wins, and ends with its rule"):
        deny = binding(ResourceType.TOPIC, "mine", AclOperation.WRITE, permission=AclPermissionType.DENY)
        admin.create_acls([deny])[deny].result(20)
        failed(lambda: produce(conf, "mine", 1), "TOPIC_AUTHORIZATION_FAILED")
        chosen = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, "User:bob", None, AclOperation.ANY, AclPermissionType.DENY)
        equal(len(admin.delete_acls([chosen])[chosen].result(20)), 1, "rules that are deleted")
        produce(conf, "mine", 1)


def binding(kind, name, op, pattern=ResourcePatternType.LITERAL, permission=AclPermissionType.ALLOW):
    return AclBinding(kind, name, pattern, "User:bob", "*", op, permission)


def every(principal=None):
    return AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, principal, None, AclOperation.ANY, AclPermissionType.ANY)


def failed(what, code):
    """what must fail with Kafka's error of this name."""
    try:
        what()
    except KafkaException as e:
        equal(e.args[0].name(), code, "error")
    except Failure as e:
        want(code in str(e), f"got {e}, want {code}")
    else:
        raise Failure(f"succeeded, want {code}")


def join(conf, group):
    """Joins a group until something comes, if only an error."""
    c = Consumer({**conf, "group.id": group, "auto.offset.reset": "earliest"})
    try:
        c.subscribe(["mine"])
        m = c.poll(20)
        if m is not None and m.error():
            raise KafkaException(m.error())
    finally:
        c.close()


def transaction(conf, name):
    p = Producer({**conf, "transactional.id": name})
    p.init_transactions(20)
    p.begin_transaction()
    p.produce("mine", b"in a transaction")
    p.commit_transaction(20)


def users(t, b, ca):
    with t.check("users by librdkafka's admin client"):
        admin = AdminClient(login(b, ca, "admin", "root-secret"))
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 8192)
        admin.alter_user_scram_credentials([UserScramCredentialUpsertion("carol", info, b"carol-secret")])["carol"].result(20)
        got = admin.describe_user_scram_credentials(["carol"])["carol"].result(20)
        equal([(c.mechanism, c.iterations) for c in got.scram_credential_infos], [(ScramMechanism.SCRAM_SHA_256, 8192)], "credentials")
        conf = login(b, ca, "carol", "carol-secret", "SCRAM-SHA-256")
        AdminClient(conf).list_topics(timeout=20)
        gone = UserScramCredentialDeletion("carol", ScramMechanism.SCRAM_SHA_256)
        admin.alter_user_scram_credentials([gone])["carol"].result(20)
        refused(conf, KafkaError._AUTHENTICATION)


def registry(t, b, ca):
    with t.check("the registry over HTTPS, by rules about subjects"):
        def client(user, password):
            return SchemaRegistryClient({"url": b.http, "ssl.ca.location": str(ca.path), "basic.auth.user.info": f"{user}:{password}"})
        schema = Schema('{"type":"record","name":"r","fields":[{"name":"x","type":"long"}]}', "AVRO")
        number = client("admin", "root-secret").register_schema("mine-value", schema)
        equal(client("bob", "bob-secret").get_subjects(), [], "subjects that bob sees")
        for user, password, code in (("bob", "bob-secret", 403), ("bob", "wrong", 401)):
            try:
                client(user, password).get_latest_version("mine-value")
            except Exception as e:
                equal(getattr(e, "http_status_code", None), code, f"status for {user}")
            else:
                raise Failure(f"{user} reads a schema")
        b.tarn("acl", "create", "--principal", "bob", "--operation", "read", "--subject", "mine-", "--prefix")
        equal(client("bob", "bob-secret").get_latest_version("mine-value").schema_id, number, "id of the schema")


def reload(t, b, ca):
    with t.check("a new certificate, while an old connection goes on"):
        before = shown(b, ca)
        p = Producer(login(b, ca, "alice", "alice-secret"))
        clients.delivered(clients.deliver(p, "t-plain", [{"value": b"before"}]))
        ca.issue("server")
        end = time.monotonic() + 20
        while shown(b, ca) == before:
            want(time.monotonic() < end, "the old certificate is still shown after 20 s")
            time.sleep(0.2)
        clients.delivered(clients.deliver(p, "t-plain", [{"value": b"after"}]))


def shown(b, ca):
    """The certificate that a new connection is shown."""
    host, port = b.kafka.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as s:
        with ssl.create_default_context(cafile=ca.path).wrap_socket(s, server_hostname=host) as tls:
            return tls.getpeercert(binary_form=True)
