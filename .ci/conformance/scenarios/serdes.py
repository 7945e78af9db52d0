"""Serializers of several clients write to one topic, and each reads what all
have written; the topic checks every value whole."""

import json

from confluent_kafka.schema_registry import Rule, RuleKind, RuleMode, RuleSet, Schema, SchemaReference

import clients
import sales
import serdes
from harness import Failure, equal, want
from scenarios import serializers

RECORDS = 8


def run(t):
    js, old = serdes.javascript(), serdes.debian()
    all = [serdes.sr(), js, old, serdes.debian(legacy=True), serdes.java("confluent", ("AVRO",)),
           serdes.java("apicurio", ("AVRO", "JSON", "PROTOBUF"), reads=("AVRO", "JSON"))]
    for language in (serializers.Avro(t), serializers.Json(t), serializers.Protobuf(t)):
        clients_ = [c for c in all if language.type in c.types]
        if language.type == "PROTOBUF":  # what others write it cannot read: the README says why
            clients_.remove(old)
            Shared(t, language, [old], "old").run()
        Shared(t, language, clients_, "all").run()
        InParts(t, language, [js], "parts").run()
        header(t, language, js)
        if language.type != "PROTOBUF":  # the README says why
            rules(t, language, js)


class Shared:
    """One topic and one schema, which whoever comes first registers."""

    def __init__(self, t, language, clients_, name):
        self.t, self.b, self.language, self.clients = t, t.broker, language, clients_
        self.topic = f"serdes-{language.name}-{name}"
        self.wanted, self.setup = {}, None

    def run(self):
        t = self.t
        with t.check(f"{self.topic}: topic and schema"):
            self.b.tarn("topic", "create", self.topic, "-c", "tarn.value.schema.validation=payload")
            self.prepare()
        for c in self.clients:
            with t.check(f"{self.topic}: written by {c.id}"):
                values = [sales.make(t.random, i) for i in range(RECORDS)]
                offsets = c.write(self.b, self.topic, self.setup, values)
                self.wanted |= dict(zip(offsets, values))
        with t.check(f"{self.topic}: written and read by confluent-kafka-python"):
            values = [sales.make(t.random, i) for i in range(RECORDS)]
            serialize, deserialize = self.serdes()
            first = len(self.wanted)
            self.language.write(self.topic, serialize, values)
            self.wanted |= {first + i: v for i, v in enumerate(values)}
            got = self.language.read(self.topic, deserialize, len(self.wanted))
            equal(got, [v for _, v in sorted(self.wanted.items())], "values")
        with t.check(f"{self.topic}: one schema"):
            got = clients.registry(self.b).get_versions(f"{self.topic}-value")
            equal(got, [1], "versions")
        for c in [c for c in self.clients if self.language.type in c.reads]:
            with t.check(f"{self.topic}: read by {c.id}"):
                got = c.read(self.b, self.topic, self.setup, len(self.wanted))
                equal(got, self.wanted, "values by offset")

    def prepare(self):
        self.setup = serdes.setup(self.b, self.language.type)
        registry, subject = clients.registry(self.b), f"{self.topic}-value"
        registry.register_schema(subject, Schema(self.language.text, self.setup["type"]))
        # Of Protobuf a descriptor was registered; others send the text it is read as.
        self.setup["schema"] = clients.registry(self.b).get_latest_version(subject).schema.schema_str

    def serdes(self):
        conf = {"auto.register.schemas": False, "use.latest.version": True}
        return self.language.serializer(self.language.text, conf), self.language.deserializer({})


class InParts(Shared):
    """The same with a schema that refers to others."""

    def prepare(self):
        if self.language.type == "PROTOBUF":
            # Its serializers register the files that it is made of by themselves.
            self.setup = serdes.setup(self.b, "PROTOBUF", sales.PROTO_PAIR, "split.Sale", "split/sale.proto")
            return
        parts, text = {"AVRO": (sales.AVRO_PARTS, sales.AVRO_REFERRING), "JSON": (sales.JSON_PARTS, sales.JSON_REFERRING)}[self.language.type]
        registry, refs = clients.registry(self.b), []
        for name, part in parts.items():
            registry.register_schema(f"{self.topic}-{name}", Schema(json.dumps(part), self.language.type, refs[-1:]))
            # The JavaScript client needs all of them named in their order.
            refs = [*refs, SchemaReference(name, f"{self.topic}-{name}", 1)]
        registry.register_schema(f"{self.topic}-value", Schema(text, self.language.type, refs))
        self.setup = {"type": self.language.type, "latest": True}

    def serdes(self):
        if self.language.type == "PROTOBUF":
            self.language.Split = serializers.messages(self.b, sales.PROTO_PAIR, "split/sale.proto")["split.Sale"]
            return self.language.refer(self.topic, {}), self.language.referring_deserializer()
        return super().serdes()


def header(t, language, c):
    topic = f"serdes-{language.name}-header"
    with t.check(f"{topic}: written by {c.id}, read by it and by confluent-kafka-python"):
        t.broker.tarn("topic", "create", topic, "-c", "tarn.value.schema.validation=payload")
        setup = {**serdes.setup(t.broker, language.type), "header": True}
        values = [sales.make(t.random, i) for i in range(RECORDS)]
        offsets = c.write(t.broker, topic, setup, values)
        equal(c.read(t.broker, topic, setup, RECORDS), dict(zip(offsets, values)), "values by offset")
        if language.type == "PROTOBUF":
            language.message = language.Sale
        equal(language.read(topic, language.deserializer({}), RECORDS), values, "values by confluent-kafka-python")
        language.cli(topic, RECORDS)


def rules(t, language, c):
    """A condition that the client holds values to."""
    topic = f"serdes-{language.name}-rules"
    with t.check(f"{topic}: a condition in {c.id}"):
        t.broker.tarn("topic", "create", topic, "-c", "tarn.value.schema.validation=payload")
        setup = {**serdes.setup(t.broker, language.type), "auto": False, "latest": True}
        clients.registry(t.broker).register_schema(f"{topic}-value", Schema(setup["schema"], language.type, rule_set=RuleSet([], [
            Rule("priced", None, RuleKind.CONDITION, RuleMode.WRITE, "CEL", None, None, "message.total >= 0.0", None, None, False)])))
        good = {**sales.make(t.random, 0), "total": 1.5}
        c.write(t.broker, topic, setup, [good])
        try:
            c.write(t.broker, topic, setup, [{**good, "total": -1.5}])
        except Failure as e:
            want("message.total" in str(e) or "priced" in str(e), f"the error does not name the rule: {e}")
        else:
            raise Failure("the client let a record pass that its rule refuses")
        equal(c.read(t.broker, topic, setup, 1), {0: good}, "values")
