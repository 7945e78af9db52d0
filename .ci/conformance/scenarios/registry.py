"""The registry's API by its clients: confluent-kafka-python and
@confluentinc/schemaregistry. What serializers need is in serializers and serdes."""

import json

from confluent_kafka.schema_registry import (
    Metadata, MetadataProperties, Rule, RuleKind, RuleMode, RuleParams, RuleSet, Schema, SchemaReference, SchemaRegistryClient, SchemaRegistryError)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.common.schema_registry_client import ConfigCompatibilityLevel, ServerConfig
from confluent_kafka.schema_registry.rules.encryption.dek_registry.dek_registry_client import DekAlgorithm, DekRegistryClient
from confluent_kafka.schema_registry.rules.encryption.encrypt_executor import FieldEncryptionExecutor
from confluent_kafka.schema_registry.rules.encryption.localkms.local_driver import LocalKmsDriver
from confluent_kafka.serialization import MessageField, SerializationContext

from harness import Failure, HERE, CACHE, equal, lines, run as program, want

SECRET = "the secret of the local KMS"
USER_V1 = {"type": "record", "name": "User", "namespace": "shop", "fields": [{"name": "id", "type": "long"}]}
USER_V2 = {**USER_V1, "fields": [*USER_V1["fields"], {"name": "note", "type": "string", "default": ""}]}
USER_BAD = {**USER_V1, "fields": [{"name": "id", "type": "string"}]}
PERSON = {"type": "record", "name": "Person", "fields": [
    {"name": "id", "type": "long"}, {"name": "mail", "type": "string", "confluent:tags": ["PII"]}]}


def run(t):
    secret = t.work / "secret"
    secret.write_text(SECRET + "\n")
    b = t.start("registry", extra=("--registry.kms.secret-file", secret))
    LocalKmsDriver.register()
    api(t, b)
    refusals(t, b)
    contexts(t, b)
    contracts(t, b)
    keys(t, b)
    encryption(t, b)
    javascript(t, b)


def client(b):
    return SchemaRegistryClient({"url": b.http})


def avro(schema, references=None, **more):
    return Schema(json.dumps(schema), "AVRO", references or [], **more)


def refused(code, act):
    """Runs act, which must be refused with an error code."""
    try:
        got = act()
    except SchemaRegistryError as e:
        equal(e.error_code, code, f"code of {e}")
    else:
        raise Failure(f"not refused with {code}: {got}")


def api(t, b):
    with t.check("confluent-kafka-python: versions, ids and GUIDs"):
        c = client(b)
        first = c.register_schema("users", avro(USER_V1))
        equal(c.register_schema("users", avro(USER_V1)), first, "id, registered again")
        second = c.register_schema_full_response("users", avro(USER_V2))
        want(second.schema_id > first, "ids do not rise")
        equal(client(b).get_versions("users"), [1, 2], "versions")
        latest = client(b).get_latest_version("users")
        equal((latest.version, latest.schema_id, json.loads(latest.schema.schema_str)), (2, second.schema_id, USER_V2), "latest")
        equal(json.loads(client(b).get_schema(first).schema_str), USER_V1, "schema by id")
        equal(json.loads(client(b).get_schema_by_guid(latest.guid).schema_str), USER_V2, "schema by GUID")
        found = client(b).lookup_schema("users", avro(USER_V1))
        equal((found.version, found.schema_id), (1, first), "look-up")
        equal(client(b).get_subjects_by_schema_id(first), ["users"], "subjects of an id")
        equal([(v.subject, v.version) for v in client(b).get_schema_versions(first)], [("users", 1)], "versions of an id")
        equal(sorted(client(b).get_schema_types()), ["AVRO", "JSON", "PROTOBUF"], "languages")
    with t.check("confluent-kafka-python: references, and formats of them"):
        c = client(b)
        ref = SchemaReference("shop.User", "users", 1)
        id = c.register_schema("user-list", avro({"type": "array", "items": "shop.User"}, [ref]))
        equal(client(b).get_referenced_by("users", 1), [id], "ids that refer")
        resolved = client(b).get_version("user-list", 1, fmt="resolved").schema.schema_str
        equal(json.loads(resolved), {"type": "array", "items": USER_V1}, "resolved")
        refused(42206, lambda: client(b).delete_subject("users"))
        equal(client(b).lookup_schema("user-list", avro({"type": "array", "items": USER_V1})).version, 1, "look-up, written out")
    with t.check("confluent-kafka-python: levels, comparison, settings and modes"):
        c = client(b)
        equal(c.get_compatibility(), "BACKWARD", "level of the registry")
        equal(c.set_compatibility("users", "FULL"), {"compatibility": "FULL"}, "answer to a new level")
        equal(client(b).get_compatibility("users"), "FULL", "level of the subject")
        equal(c.test_compatibility("users", avro(USER_BAD)), False, "an incompatible schema")
        equal(c.test_compatibility_all_versions("users", avro(USER_V2)), True, "a compatible schema")
        c.delete_config("users")
        equal(c.get_mode("users") if has_mode(c, "users") else None, None, "mode of its own")
        c.update_mode("users", "READONLY")
        equal(client(b).get_mode("users"), "READONLY", "mode")
        refused(42205, lambda: c.register_schema("users", avro({**USER_V2, "doc": "x"})))
        c.delete_mode("users")
        equal(c.get_global_mode(), "READWRITE", "mode of the registry")
    with t.check("confluent-kafka-python: deletion in two steps"):
        c = client(b)
        c.register_schema("gone", avro({"type": "enum", "name": "Gone", "symbols": ["A"]}))
        equal(c.delete_subject("gone"), [1], "deleted versions")
        want("gone" not in client(b).get_subjects(), "a deleted subject is listed")
        want("gone" in client(b).get_subjects(deleted=True), "a deleted subject is not listed with deleted")
        equal(c.delete_subject("gone", permanent=True), [1], "versions deleted for good")
        want("gone" not in client(b).get_subjects(deleted=True), "it is listed for ever")


def has_mode(c, subject):
    try:
        c.get_mode(subject)
    except SchemaRegistryError as e:
        equal(e.error_code, 40409, "code without a mode")
        return False
    return True


def refusals(t, b):
    with t.check("confluent-kafka-python: codes of refusals"):
        refused(40401, lambda: client(b).get_latest_version("nothing"))
        refused(40402, lambda: client(b).get_version("users", 99))
        refused(40403, lambda: client(b).get_schema(99999))
        refused(40403, lambda: client(b).lookup_schema("users", avro(USER_BAD)))
        refused(42201, lambda: client(b).register_schema("bad", Schema('{"type":"recrod"}', "AVRO")))
        refused(40901, lambda: client(b).register_schema("users", avro(USER_BAD)))
        refused(40407, lambda: client(b).delete_version("users", 2, permanent=True))
        refused(40405, lambda: client(b).delete_subject("users", permanent=True))


def contexts(t, b):
    with t.check("confluent-kafka-python: contexts by subject and by path"):
        c = client(b)
        id = c.register_schema(":.lab:users", avro(USER_V1))
        equal(id, 1, "first id of a context")
        within = SchemaRegistryClient({"url": b.http + "/contexts/.lab"})
        equal(within.get_latest_version("users").subject, ":.lab:users", "subject by path")
        equal(within.get_subjects(), [":.lab:users"], "subjects of the context")
        want(".lab" in c.get_contexts(), "the context is not listed")
        equal(json.loads(c.get_schema(1, subject_name=":.lab:users").schema_str), USER_V1, "schema by id and subject")


def contracts(t, b):
    with t.check("confluent-kafka-python: metadata and rules, defaults and overrides"):
        c = client(b)
        rule = Rule("positive", "ids are", RuleKind.CONDITION, RuleMode.WRITE, "CEL", ["T"], RuleParams({"a": "b"}), "message.id > 0", None, "ERROR", False)
        c.set_config("contract", ServerConfig(
            compatibility=ConfigCompatibilityLevel.BACKWARD, compatibility_group="major",
            default_metadata=Metadata(None, MetadataProperties({"team": "a"}), None),
            override_metadata=Metadata(None, MetadataProperties({"zone": "eu"}), None),
            default_rule_set=RuleSet([], [rule])))
        meta = Metadata(None, MetadataProperties({"major": "1", "zone": "us"}), ["team"])
        c.register_schema("contract", avro(USER_V1, metadata=meta))
        c.register_schema("contract", avro(USER_BAD, metadata=Metadata(None, MetadataProperties({"major": "2"}), None)))
        one = client(b).get_latest_with_metadata("contract", {"major": "1"})
        equal(one.version, 1, "version by metadata")
        equal(one.schema.metadata.properties.properties, {"major": "1", "team": "a", "zone": "eu"}, "merged properties")
        equal(one.schema.metadata.sensitive, ["team"], "sensitive names")
        equal([r.name for r in one.schema.rule_set.domain_rules], ["positive"], "rules")
        equal(one.schema.rule_set.domain_rules[0].params.params, {"a": "b"}, "parameters of a rule")
        equal(client(b).get_config("contract").compatibility_group, "major", "group")
        refused(42210, lambda: c.register_schema("contract", avro(USER_V1, rule_set=RuleSet([], [
            Rule("1 bad name", None, RuleKind.CONDITION, RuleMode.WRITE, "CEL", None, None, "true", None, None, False)]))))


def keys(t, b):
    with t.check("confluent-kafka-python: DEK registry client"):
        c = DekRegistryClient({"url": b.http})
        kek = c.register_kek("api", "local-kms", "key-1", shared=True, kms_props={"p": "q"}, doc="d")
        equal((kek.name, kek.kms_type, kek.shared, kek.kms_props.properties), ("api", "local-kms", True, {"p": "q"}), "KEK")
        for algorithm in DekAlgorithm:
            dek = c.register_dek("api", "a/b", None, algorithm)
            want(dek.key_material and dek.encrypted_key_material, f"no key: {dek}")
            again = DekRegistryClient({"url": b.http}).get_dek("api", "a/b", algorithm, version=-1)
            equal((again.version, again.key_material), (1, dek.key_material), f"{algorithm} by version -1")
        refused(40470, lambda: c.get_kek("nothing"))
        refused(40470, lambda: c.get_dek("api", "nothing"))
        refused(40971, lambda: DekRegistryClient({"url": b.http}).register_kek("api", "local-kms", "key-2"))
        refused(42271, lambda: DekRegistryClient({"url": b.http}).register_kek("1", "local-kms", "key-1"))


def encrypted(name, kek, algorithm, **params):
    """A rule set that encrypts what is tagged."""
    p = {"encrypt.kek.name": kek, "encrypt.kms.type": "local-kms", "encrypt.kms.key.id": "key-1", "encrypt.dek.algorithm": algorithm, **params}
    return RuleSet([], [Rule(name, None, RuleKind.TRANSFORM, RuleMode.WRITEREAD, "ENCRYPT", ["PII"], RuleParams(p), None, None, "ERROR,ERROR", False)])


def encryption(t, b):
    """Fields are encrypted by the client's executor, with a KEK that it makes and
    with one that is shared: then a client without the secret reads them too."""
    # Shared ones first: no KMS client is in this process yet, so the key comes from
    # the registry.
    for shared in (True, False):
        for algorithm in ("AES128_GCM", "AES256_GCM", "AES256_SIV"):
            for days in ("", "30"):
                name = f"{algorithm.lower().replace('_', '-')}-{'shared' if shared else 'own'}{'-rotated' if days else ''}"
                with t.check(f"confluent-kafka-python: a field encrypted, {name}"):
                    cipher(b, name, algorithm, shared, {"encrypt.dek.expiry.days": days} if days else {})


def cipher(b, name, algorithm, shared, params):
    topic, kek = f"people-{name}", f"kek-{name}"
    if shared:
        DekRegistryClient({"url": b.http}).register_kek(kek, "local-kms", "key-1", shared=True)
    client(b).register_schema(f"{topic}-value", avro(PERSON, rule_set=encrypted("enc", kek, algorithm, **params)))
    # A shared KEK needs no secret in the client; another one does.
    conf = {} if shared else {"secret": SECRET}
    value = {"id": 7, "mail": "ada@example.org"}
    ctx = SerializationContext(topic, MessageField.VALUE)
    writer, reader = client(b), client(b)
    serialize = AvroSerializer(writer, None, conf={"auto.register.schemas": False, "use.latest.version": True}, rule_conf=conf, rule_registry=rules())
    payload = serialize(dict(value), ctx)
    want(b"ada@" not in payload, f"the field is not encrypted: {payload}")
    deserialize = AvroDeserializer(reader, None, rule_conf=conf, rule_registry=rules())
    equal(deserialize(payload, ctx), value, "value")
    dek = DekRegistryClient({"url": b.http}).get_dek(kek, f"{topic}-value", DekAlgorithm(algorithm), version=-1)
    equal(bool(dek.key_material), shared, "the registry opens the key")
    if algorithm == "AES256_SIV":
        equal(serialize(dict(value), ctx), payload, "deterministic encryption")


def rules():
    """Executors of their own: one takes one configuration."""
    from confluent_kafka.schema_registry.rule_registry import RuleRegistry
    registry = RuleRegistry()
    registry.register_executor(FieldEncryptionExecutor())
    return registry


def javascript(t, b):
    with t.check("@confluentinc/schemaregistry: versions, settings, contexts, metadata and keys"):
        out = lines(program("node", HERE / "node" / "registry.js", b.http, seconds=60,
                            env={"NODE_PATH": str(CACHE / "node" / "node_modules"), "LOCAL_SECRET": SECRET}))
        failed = [l for l in out if not l["ok"]]
        equal(failed, [], "what did not hold")
        want(len(out) >= 20, f"only {len(out)} checks ran")
