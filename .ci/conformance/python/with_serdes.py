"""Serializers of an older confluent-kafka, as Debian has it:
  with_serdes.py HOST:PORT write|read REGISTRY TOPIC N
The first line of standard input is the set-up, the others are values: see
serdes.py. With "legacy" in the set-up it is AvroProducer and AvroConsumer."""

import base64
import copy
import json
import sys

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

ADDRESS, ACT, REGISTRY, TOPIC, COUNT = sys.argv[1:6]
GROUP = {"bootstrap.servers": ADDRESS, "group.id": f"old-{TOPIC}", "auto.offset.reset": "earliest", "enable.auto.commit": False}


def message_class(setup):
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    pool = descriptor_pool.Default()
    for f in descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(setup["files"])).file:
        pool.Add(f)
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName(setup["message"]))


def serializer(setup):
    registry = SchemaRegistryClient({"url": REGISTRY})
    if setup["type"] == "AVRO":
        return AvroSerializer(registry, setup["schema"])
    if setup["type"] == "JSON":
        return JSONSerializer(setup["schema"], registry)
    from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
    from google.protobuf import json_format
    message = message_class(setup)
    serialize = ProtobufSerializer(message, registry)
    return lambda value, ctx: serialize(json_format.ParseDict(value, message()), ctx)


def deserializer(setup):
    if setup["type"] == "AVRO":
        return AvroDeserializer(SchemaRegistryClient({"url": REGISTRY}))
    if setup["type"] == "JSON":
        return JSONDeserializer(setup["schema"])
    from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
    from google.protobuf import json_format
    decode = ProtobufDeserializer(message_class(setup))
    return lambda b, ctx: json_format.MessageToDict(decode(b, ctx), preserving_proto_field_name=True)


def write(setup, values):
    out, wrong = [], []

    def delivered(err, m):
        if err:
            wrong.append(str(err))
        else:
            out.append({"offset": m.offset()})

    if setup.get("legacy"):
        from confluent_kafka.avro import AvroProducer, loads
        p = AvroProducer({"bootstrap.servers": ADDRESS, "schema.registry.url": REGISTRY}, default_value_schema=loads(setup["schema"]))
        for v in values:
            p.produce(topic=TOPIC, value=v, on_delivery=delivered)
    else:
        p, serialize = Producer({"bootstrap.servers": ADDRESS}), serializer(setup)
        for v in values:
            p.produce(TOPIC, serialize(copy.deepcopy(v), SerializationContext(TOPIC, MessageField.VALUE)), on_delivery=delivered)
    p.flush()
    if wrong:
        sys.exit(wrong[0])
    return out


def read(setup):
    out, decode = [], None
    if setup.get("legacy"):
        from confluent_kafka.avro import AvroConsumer
        c = AvroConsumer({**GROUP, "group.id": f"legacy-{TOPIC}", "schema.registry.url": REGISTRY})
    else:
        c, decode = Consumer(GROUP), deserializer(setup)
    c.subscribe([TOPIC])
    while len(out) < int(COUNT):
        m = c.poll(1)
        if m is None:
            continue
        if m.error():
            sys.exit(str(m.error()))
        value = m.value()
        if decode:
            value = decode(value, SerializationContext(TOPIC, MessageField.VALUE))
        out.append({"offset": m.offset(), "value": value})
    c.close()
    return out


setup, *values = [json.loads(line) for line in sys.stdin]
for line in write(setup, values) if ACT == "write" else read(setup):
    print(json.dumps(line))
