// Serializers and deserializers of @confluentinc/schemaregistry, over kafkajs:
//   node serdes.js HOST:PORT write|read REGISTRY TOPIC N
// The first line of standard input is the set-up, the others are values: see
// serdes.py.
const readline = require('readline');
const { Kafka, logLevel, CompressionCodecs, CompressionTypes } = require('kafkajs');
const sr = require('@confluentinc/schemaregistry');
const { createFileRegistry, createMutableRegistry, fromBinary, fromJson, toJson } = require('@bufbuild/protobuf');
const { FileDescriptorSetSchema } = require('@bufbuild/protobuf/wkt');

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');

const [address, act, url, topic, count] = process.argv.slice(2);
const kafka = new Kafka({ clientId: 'conformance', brokers: [address], logLevel: logLevel.ERROR });
const client = new sr.SchemaRegistryClient({ baseURLs: [url], cacheCapacity: 100, cacheLatestTtlSecs: 60 });

for (const rules of ['CelExecutor', 'CelFieldExecutor', 'JsonataExecutor']) sr[rules].register();

// The messages of a descriptor set.
function messages(setup) {
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(setup.files, 'base64')));
}

async function serializer(setup) {
  const conf = setup.latest ? { useLatestVersion: true } : { autoRegisterSchemas: setup.auto };
  if (setup.header) conf.schemaIdSerializer = sr.HeaderSchemaIdSerializer;
  const made = (S, more) => new S(client, sr.SerdeType.VALUE, { ...conf, ...more });
  if (setup.type !== 'PROTOBUF') {
    if (setup.auto) {
      const { schema, references } = setup;
      await client.register(`${topic}-value`, { schema, schemaType: setup.type, references });
      conf.autoRegisterSchemas = false;
      conf.useLatestVersion = true;
    }
    const s = made(setup.type === 'AVRO' ? sr.AvroSerializer : sr.JsonSerializer);
    return (value, headers) => s.serialize(topic, value, headers);
  }
  const all = messages(setup);
  const desc = all.getMessage(setup.message);
  const s = made(sr.ProtobufSerializer, { registry: createMutableRegistry(...all) });
  return (value, headers) => s.serialize(topic, fromJson(desc, value), headers);
}

function deserializer(setup) {
  const made = (D, more) => new D(client, sr.SerdeType.VALUE, { ...more });
  if (setup.type === 'PROTOBUF') {
    const desc = messages(setup).getMessage(setup.message);
    const d = made(sr.ProtobufDeserializer);
    return async (value, headers) => {
      const message = await d.deserialize(topic, value, headers);
      return toJson(desc, message);
    };
  }
  const d = made(setup.type === 'AVRO' ? sr.AvroDeserializer : sr.JsonDeserializer);
  return (value, headers) => d.deserialize(topic, value, headers);
}

async function write(setup, values) {
  const serialize = await serializer(setup);
  const records = [];
  for (const value of values) {
    const headers = {};
    records.push({ value: await serialize(value, headers), headers });
  }
  const producer = kafka.producer();
  await producer.connect();
  const [{ baseOffset }] = await producer.send({ topic, messages: records });
  await producer.disconnect();
  return records.map((_, i) => ({ offset: Number(baseOffset) + i }));
}

async function read(setup) {
  const deserialize = deserializer(setup);
  const consumer = kafka.consumer({ groupId: `serdes-${process.pid}-${Date.now()}`, maxWaitTimeInMs: 200 });
  const out = [];
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    consumer.run({
      eachMessage: async ({ message }) => {
        try {
          const value = await deserialize(message.value, message.headers);
          out.push({ offset: Number(message.offset), value });
        } catch (e) {
          reject(e);
        }
        if (out.length >= Number(count)) resolve();
      },
    });
  });
  await consumer.disconnect();
  return out;
}

async function main() {
  const lines = [];
  for await (const line of readline.createInterface({ input: process.stdin })) lines.push(JSON.parse(line));
  const [setup, ...values] = lines;
  const out = act === 'write' ? await write(setup, values) : await read(setup);
  // A safe integer stands in for what plain JSON has.
  const plain = (_, v) => (typeof v === 'bigint' ? Number(v) : v);
  process.stdout.write(out.map((l) => `${JSON.stringify(l, plain)}\n`).join(''));
}

main().then(() => process.exit(0), (e) => {
  console.error(e);
  console.error(`${e.message}; ${e.cause && e.cause.message}`); // the end of it is shown
  process.exit(1);
});
