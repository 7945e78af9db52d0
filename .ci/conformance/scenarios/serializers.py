"""Serializers of confluent-kafka-python in depth, against topics that check
keys and values whole: how they register, look up and refer, where the schema's
id travels, and rules that run in the client."""

import base64
import copy
import json
import uuid

from confluent_kafka import Consumer, KafkaError
from confluent_kafka.schema_registry import (
    AssociationCreateOrUpdateInfo, AssociationCreateOrUpdateRequest, Metadata, MetadataProperties, Rule, RuleKind, RuleMode, RuleSet, Schema, SchemaReference, SchemaRegistryError,
    header_schema_id_serializer, record_subject_name_strategy, topic_record_subject_name_strategy)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.schema_registry.rules.cel.cel_executor import CelExecutor
from confluent_kafka.schema_registry.rules.cel.cel_field_executor import CelFieldExecutor
from confluent_kafka.schema_registry.rules.jsonata.jsonata_executor import JsonataExecutor
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

import clients
import sales
from harness import Failure, equal, want

VALIDATED = ("-c", "tarn.value.schema.validation=payload", "-c", "tarn.key.schema.validation=payload")
PLAIN = {"use.deprecated.format": False}


def run(t):
    for executor in (CelExecutor, CelFieldExecutor, JsonataExecutor):
        executor.register()
    for language in (Avro(t), Json(t), Protobuf(t)):
        language.run()
    keys(t)


def messages(b, files, root):
    """The message types of .proto texts, by full name; each pool is its own."""
    [out] = b.peer("descriptors", stdin=json.dumps({"root": root, "files": files}).encode())
    wanted = descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(out["files"]))
    pool = descriptor_pool.DescriptorPool()
    for f in wanted.file:
        pool.Add(f)
    return message_factory.GetMessageClassesForFiles([f.name for f in wanted.file], pool)


def why(e):
    """The messages of an error and of what caused it."""
    out = []
    while e is not None:
        out.append(f"{type(e).__name__} {e}")
        e = e.__cause__ or e.__context__
    return "; ".join(out)


class Language:
    """One schema language. A subclass gives its serializers:

    text, following     the schema, and the version after it
    serializer(schema, conf), deserializer(conf)
    refer(topic)        registers the schema in parts, returns a serializer of it
    """

    name = type = ""
    record = ""  # the name of the record

    def __init__(self, t):
        self.t, self.b = t, t.broker
        self.registry = clients.registry(t.broker)

    # -- a topic, values there and back

    def topic(self, name, *configs):
        topic = f"ser-{self.name}-{name}"
        self.b.tarn("topic", "create", topic, *VALIDATED, *[w for c in configs for w in ("-c", c)])
        return topic

    def schema(self, text, **more):
        return Schema(text, self.type, **more)

    def write(self, topic, serialize, values):
        """Produces values; returns them raw, with their headers."""
        records = []
        for i, v in enumerate(values):
            headers = []
            ctx = SerializationContext(topic, MessageField.VALUE, headers)
            records.append({"value": serialize(self.outward(copy.deepcopy(v)), ctx), "headers": headers})
        for m in clients.delivered(clients.deliver(clients.producer(self.b), topic, records)):
            equal(m.partition(), 0, "partition")
        return records

    def read(self, topic, deserialize, n):
        """Consumes n records and returns what the deserializer makes of them."""
        c = Consumer({"bootstrap.servers": self.b.kafka, "group.id": f"g-{uuid.uuid4()}", "auto.offset.reset": "earliest", "log_level": 2})
        try:
            c.subscribe([topic])
            out = []
            while len(out) < n:
                for m in c.consume(n - len(out), 1):
                    want(not m.error(), m.error())
                    ctx = SerializationContext(topic, MessageField.VALUE, m.headers())
                    out.append(self.inward(deserialize(m.value(), ctx)))
            return out
        finally:
            c.close()

    def there_and_back(self, topic, serialize, deserialize, n=20):
        values = [sales.make(self.t.random, i) for i in range(n)]
        records = self.write(topic, serialize, values)
        equal(self.read(topic, deserialize, n), values, "values")
        self.cli(topic, n)
        return records

    def cli(self, topic, n):
        """What tarn consume makes of them, by the same schemas."""
        got = [json.loads(line) for line in self.b.tarn("consume", topic).splitlines()]
        equal(len(got), n, "records by tarn consume")
        for i, r in enumerate(got):
            want(isinstance(r["value"], dict) and r["value"]["id"] == f"sale-{i}", f"tarn consume shows {r['value']!r}")

    def outward(self, value):
        return value

    def inward(self, value):
        return value

    def register(self, topic, text, normalize=False, **more):
        # A client of its own: it remembers the text that it is answered with,
        # where serializers of Protobuf want descriptors.
        return clients.registry(self.b).register_schema(f"{topic}-value", self.schema(text, **more), normalize)

    def refused(self, topic, value, headers=()):
        [(err, _)] = clients.deliver(clients.producer(self.b), topic, [{"value": value, "headers": list(headers)}])
        equal(err and err.code(), KafkaError.INVALID_RECORD, "error code")

    # -- the checks

    def run(self):
        t = self.t
        for what, check in (
                ("registers by itself", self.auto), ("looks up what is registered", self.looked_up),
                ("takes the latest version", self.latest), ("takes the latest with some metadata", self.with_metadata),
                ("takes an id", self.by_id), ("refers to other schemas", self.references),
                ("id in a header", self.header), ("id in a header, schema in parts", self.header_references),
                ("subjects named after the record", self.record_name), ("subjects of topic and record", self.topic_record_name),
                ("an associated subject", self.associated),
                ("a condition in the client", self.condition), ("a change of fields in the client", self.fields),
                ("rules between versions in the client", self.migration), ("an incompatible schema", self.incompatible)):
            with t.check(f"{self.name}: {what}"):
                check()

    def auto(self):
        topic = self.topic("auto")
        for _ in range(2):  # a second serializer finds it
            serialize = self.serializer(self.text, {"auto.register.schemas": True})
            serialize(self.outward(sales.make(self.t.random, 0)), SerializationContext(topic, MessageField.VALUE))
        equal(self.registry.get_versions(f"{topic}-value"), [1], "versions")
        records = self.there_and_back(topic, serialize, self.deserializer({}))
        self.refused(topic, records[0]["value"] + b"\x01")

    def looked_up(self):
        topic = self.topic("lookup")
        serialize = self.serializer(self.text, {"auto.register.schemas": False})
        try:
            serialize(self.outward(sales.make(self.t.random, 0)), SerializationContext(topic, MessageField.VALUE))
            raise Failure("a schema was found that nobody registered")
        except (SchemaRegistryError, SerializationError) as e:
            e = e if isinstance(e, SchemaRegistryError) else e.__cause__
            equal(getattr(e, "error_code", e), 40401, "error code")
        self.register(topic, self.text, normalize=True)
        self.there_and_back(topic, self.serializer(self.text, {"auto.register.schemas": False, "normalize.schemas": True}),
                            self.deserializer({}))

    def latest(self):
        topic = self.topic("latest")
        first, second = self.register(topic, self.text), self.register(topic, self.following)
        want(first != second, "two versions with one id")
        serialize = self.serializer(self.text, {"auto.register.schemas": False, "use.latest.version": True})
        records = self.there_and_back(topic, serialize, self.deserializer({"use.latest.version": True}))
        equal(int.from_bytes(records[0]["value"][1:5], "big"), second, "schema id of the records")

    def with_metadata(self):
        topic = self.topic("metadata")
        ids = [self.register(topic, text, metadata=Metadata(None, MetadataProperties({"major": str(i)}), None))
               for i, text in enumerate((self.text, self.following))]
        conf = {"auto.register.schemas": False, "use.latest.with.metadata": {"major": "0"}}
        records = self.there_and_back(topic, self.serializer(self.text, conf), self.deserializer({}))
        equal(int.from_bytes(records[0]["value"][1:5], "big"), ids[0], "schema id of the records")

    def by_id(self):
        topic = self.topic("id")
        first, _ = self.register(topic, self.text), self.register(topic, self.following)
        conf = {"auto.register.schemas": False, "use.schema.id": first}
        records = self.there_and_back(topic, self.serializer(self.text, conf), self.deserializer({}))
        equal(int.from_bytes(records[0]["value"][1:5], "big"), first, "schema id of the records")

    def references(self):
        topic = self.topic("parts")
        serialize = self.refer(topic, {})
        self.there_and_back(topic, serialize, self.referring_deserializer())
        latest = self.registry.get_latest_version(f"{topic}-value")
        equal(len(latest.schema.references), 1, "references of the schema")
        [ref] = latest.schema.references
        equal(len(self.registry.get_version(ref.subject, ref.version).schema.references), 1, "references of what it refers to")

    def header(self):
        topic = self.topic("header")
        serialize = self.serializer(self.text, {"schema.id.serializer": header_schema_id_serializer})
        records = self.there_and_back(topic, serialize, self.deserializer({}))
        [(name, guid)] = records[0]["headers"]
        equal((name, guid[0]), ("__value_schema_id", 1), "header")
        latest = self.registry.get_latest_version(f"{topic}-value")
        equal(str(uuid.UUID(bytes=guid[1:17])), latest.guid, "GUID of the header")
        self.refused(topic, records[0]["value"] + b"\x01", records[0]["headers"])
        self.refused(topic, records[0]["value"], [("__value_schema_id", b"\x01" + bytes(16) + guid[17:])])

    def header_references(self):
        topic = self.topic("header-parts")
        serialize = self.refer(topic, {"schema.id.serializer": header_schema_id_serializer})
        self.there_and_back(topic, serialize, self.referring_deserializer())

    def record_name(self):
        topic = self.topic("record", "tarn.value.subject.name.strategy=record")
        conf = {"subject.name.strategy": lambda ctx, _: record_subject_name_strategy(ctx, self.record)}
        self.there_and_back(topic, self.serializer(self.text, conf), self.deserializer({}))
        want(self.record in self.registry.get_subjects(), f"no subject {self.record}")

    def topic_record_name(self):
        topic = self.topic("topic-record", "confluent.value.subject.name.strategy=io.confluent.kafka.serializers.subject.TopicRecordNameStrategy")
        conf = {"subject.name.strategy": lambda ctx, _: topic_record_subject_name_strategy(ctx, self.record)}
        self.there_and_back(topic, self.serializer(self.text, conf), self.deserializer({}))
        want(f"{topic}-{self.record}" in self.registry.get_subjects(), f"no subject {topic}-{self.record}")

    def associated(self):
        topic = self.topic("associated")
        subject = f"elsewhere-{self.name}"
        clients.registry(self.b).register_schema(subject, self.schema(self.text))
        self.registry.create_association(AssociationCreateOrUpdateRequest(
            resource_name=topic, resource_namespace="-", resource_id=f"id-{topic}", resource_type="topic",
            associations=[AssociationCreateOrUpdateInfo(subject=subject, association_type="value", lifecycle="WEAK")]))
        records = self.there_and_back(topic, self.serializer(self.text, {}), self.deserializer({}))
        want(f"{topic}-value" not in self.registry.get_subjects(), "the topic's own subject came into being")
        self.refused(topic, records[0]["value"] + b"\x01")

    # -- rules

    def rules(self, topic, text, domain=(), migration=()):
        return self.register(topic, text, rule_set=RuleSet(list(migration), list(domain)))

    def condition(self):
        topic = self.topic("condition")
        self.rules(topic, self.text, [Rule("priced", None, RuleKind.CONDITION, RuleMode.WRITE, "CEL", None, None,
                                           "message.total >= 0.0", None, None, False)])
        serialize = self.serializer(self.text, {"auto.register.schemas": False, "use.latest.version": True})
        good = {**sales.make(self.t.random, 0), "total": 1.5}
        self.write(topic, serialize, [good])
        try:
            self.write(topic, serialize, [{**good, "total": -1.0}])
            raise Failure("the client let a record pass that its rule refuses")
        except SerializationError as e:
            want("priced" in why(e) or "total >= 0" in why(e), f"the error does not name the rule: {why(e)}")
        equal(self.read(topic, self.deserializer({}), 1), [good], "values")

    def fields(self):
        topic = self.topic("fields")
        self.rules(topic, self.text, [Rule("loud", None, RuleKind.TRANSFORM, RuleMode.WRITE, "CEL_FIELD", None, None,
                                           "name == 'id' ; value + '!'", None, None, False)])
        serialize = self.serializer(self.text, {"auto.register.schemas": False, "use.latest.version": True})
        value = sales.make(self.t.random, 0)
        self.write(topic, serialize, [value])
        equal(self.read(topic, self.deserializer({}), 1), [{**value, "id": value["id"] + "!"}], "values")

    def migration(self):
        """Version 2 is read from what version 1 wrote, and the other way."""
        topic = self.topic("migration")
        self.register(topic, self.text, metadata=Metadata(None, MetadataProperties({"major": "1"}), None))
        up, down = "$merge([$sift($, function($v, $k) {$k != 'id'}), {'id': $.id & '+'}])", "$"
        self.register(topic, self.following, metadata=Metadata(None, MetadataProperties({"major": "2"}), None), rule_set=RuleSet([
            Rule("up", None, RuleKind.TRANSFORM, RuleMode.UPGRADE, "JSONATA", None, None, up, None, None, False),
            Rule("down", None, RuleKind.TRANSFORM, RuleMode.DOWNGRADE, "JSONATA", None, None, down, None, None, False)], []))
        value = sales.make(self.t.random, 0)
        self.write(topic, self.serializer(self.text, {"auto.register.schemas": False, "use.latest.with.metadata": {"major": "1"}}), [value])
        [got] = self.read(topic, self.migrating({"use.latest.with.metadata": {"major": "2"}}), 1)
        equal(got["id"], value["id"] + "+", "id that the rule changed")
        [got] = self.read(topic, self.migrating({"use.latest.with.metadata": {"major": "1"}}), 1)
        equal(got, value, "value without a rule")

    def migrating(self, conf):
        return self.deserializer(conf)

    def incompatible(self):
        topic = self.topic("incompatible")
        self.register(topic, self.text)
        try:
            self.serializer(self.broken, {})(self.outward(sales.make(self.t.random, 0)), SerializationContext(topic, MessageField.VALUE))
            raise Failure("an incompatible schema was registered")
        except (SchemaRegistryError, SerializationError, ValueError) as e:
            e = e if isinstance(e, SchemaRegistryError) else e.__cause__
            equal(getattr(e, "http_status_code", e), 409, "HTTP status")


class Avro(Language):
    name, type, record = "avro", "AVRO", "shop.Sale"
    text, following = sales.AVRO, sales.AVRO_NEXT
    broken = json.dumps(sales.avro(json.loads(sales.AVRO)["fields"][1]["type"]["items"], [{"name": "must", "type": "int"}]))

    def serializer(self, schema, conf):
        return AvroSerializer(self.registry, schema, conf=conf)

    def deserializer(self, conf):
        return AvroDeserializer(self.registry, conf=conf)

    def inward(self, value):
        return {k: v for k, v in value.items() if k != "shop_no"}

    def refer(self, topic, conf):
        refs = []
        for name, part in sales.AVRO_PARTS.items():
            self.registry.register_schema(f"{topic}-{name}", Schema(json.dumps(part), "AVRO", refs))
            refs = [SchemaReference(name, f"{topic}-{name}", 1)]
        return self.serializer(Schema(sales.AVRO_REFERRING, "AVRO", refs), conf)

    def referring_deserializer(self):
        return self.deserializer({})


class Json(Language):
    name, type, record = "json", "JSON", "Sale"  # the title
    text, following = sales.JSON, sales.JSON_NEXT
    broken = json.dumps(sales.json_schema({"type": "integer"}))

    def serializer(self, schema, conf):
        return JSONSerializer(schema, self.registry, conf={**conf})

    def deserializer(self, conf):
        return JSONDeserializer(None, schema_registry_client=self.registry, conf=conf)

    def refer(self, topic, conf):
        refs = []
        for name, part in sales.JSON_PARTS.items():
            self.registry.register_schema(f"{topic}-{name}", Schema(json.dumps(part), "JSON", refs))
            refs = [SchemaReference(name, f"{topic}-{name}", 1)]
        return self.serializer(Schema(sales.JSON_REFERRING, "JSON", refs), conf)

    def referring_deserializer(self):
        return self.deserializer({})


class Protobuf(Language):
    name, type, record = "protobuf", "PROTOBUF", "sales.Sale"

    def __init__(self, t):
        super().__init__(t)
        one = messages(self.b, {"sale.proto": sales.PROTO}, "sale.proto")
        self.Sale = one["sales.Sale"]
        self.Next = messages(self.b, {"sale.proto": sales.PROTO_NEXT}, "sale.proto")["sales.Sale"]
        self.Split = messages(self.b, sales.PROTO_FILES, "split/sale.proto")["split.Sale"]
        self.message = self.Sale
        self.text, self.following, self.broken = self.of(self.Sale), self.of(self.Next), "broken"

    @staticmethod
    def of(message):
        """The schema as its serializer registers it."""
        return base64.b64encode(message.DESCRIPTOR.file.serialized_pb).decode()

    def serializer(self, schema, conf):
        self.message = self.Sale
        if schema == "broken":
            text = sales.PROTO.replace("string id = 1", "double id = 1")
            self.message = messages(self.b, {"sale.proto": text}, "sale.proto")["sales.Sale"]
        return ProtobufSerializer(self.message, self.registry, {**PLAIN, **conf})

    def deserializer(self, conf):
        return ProtobufDeserializer(self.message, {**PLAIN, **conf}, self.registry)

    def migrating(self, conf):
        self.message = self.Sale if conf["use.latest.with.metadata"]["major"] == "1" else self.Next
        out = self.deserializer(conf)
        self.message = self.Sale
        return out

    def outward(self, value):
        raw = sales.to_proto_json(value)
        if self.message.DESCRIPTOR.fields_by_name["id"].cpp_type != 9:
            raw["id"] = 1.0
        return json_format.ParseDict(raw, self.message())

    def inward(self, value):
        return sales.from_proto_json(json_format.MessageToDict(value, preserving_proto_field_name=True))

    def refer(self, topic, conf):
        self.message = self.Split
        return ProtobufSerializer(self.Split, self.registry, {**PLAIN, **conf})

    def referring_deserializer(self):
        return ProtobufDeserializer(self.Split, PLAIN, self.registry)


def keys(t):
    """A key and a value with schemas of their own, both in headers."""
    b, topic = t.broker, "ser-keys"
    with t.check("keys and values, both in headers"):
        b.tarn("topic", "create", topic, *VALIDATED)
        registry = clients.registry(b)
        conf = {"schema.id.serializer": header_schema_id_serializer}
        key = AvroSerializer(registry, '"string"', conf=conf)
        value = JSONSerializer(sales.JSON, registry, conf=conf)
        sale, headers = sales.make(t.random, 0), []
        record = {"key": key("k-1", SerializationContext(topic, MessageField.KEY, headers)),
                  "value": value(sale, SerializationContext(topic, MessageField.VALUE, headers)), "headers": headers}
        equal([n for n, _ in headers], ["__key_schema_id", "__value_schema_id"], "headers")
        clients.delivered(clients.deliver(clients.producer(b), topic, [record]))
        [line] = b.tarn("consume", topic).splitlines()
        got = json.loads(line)
        equal((got["key"], got["value"]), ("k-1", sale), "key and value by tarn consume")
        [(err, _)] = clients.deliver(clients.producer(b), topic, [{**record, "key": b"\x06a"}])
        equal(err and err.code(), KafkaError.INVALID_RECORD, "error code of a bad key")
