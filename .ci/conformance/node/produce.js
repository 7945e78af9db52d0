// Produces N records with kafkajs, one send per codec given, and writes where
// each came to lie:
//   node produce.js HOST:PORT TOPIC N none|gzip ACKS idempotent|plain
const { Kafka, logLevel, CompressionTypes } = require('kafkajs');

const [address, topic, count, codec, acks, kind] = process.argv.slice(2);
const kafka = new Kafka({ clientId: 'conformance', brokers: [address], logLevel: logLevel.ERROR });
const producer = kafka.producer({ idempotent: kind === 'idempotent' });

async function main() {
  await producer.connect();
  const messages = Array.from({ length: Number(count) }, (_, i) => ({
    partition: 0, key: `js-${i}`, value: `${codec} value ${i} ${'x'.repeat(i % 50)}`,
  }));
  const [answer] = await producer.send({
    topic,
    acks: Number(acks),
    compression: codec === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None,
    messages,
  });
  await producer.disconnect();
  process.stdout.write(`${JSON.stringify(answer || {})}\n`);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
