// Consumes N records of a topic in a group and writes each as a JSON line:
//   node consume.js HOST:PORT TOPIC N GROUP message|batch
const { Kafka, logLevel, CompressionCodecs, CompressionTypes } = require('kafkajs');

// kafkajs itself knows gzip only; users add the others like this.
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');

const [address, topic, count, group, mode] = process.argv.slice(2);
const kafka = new Kafka({ clientId: 'conformance', brokers: [address], logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: group, maxWaitTimeInMs: 500 });
const wanted = Number(count);
const lines = [];
let finish;
const finished = new Promise((resolve) => { finish = resolve; });

function keep(partition, m) {
  lines.push(JSON.stringify({
    partition,
    offset: Number(m.offset),
    timestamp: Number(m.timestamp),
    key: m.key && m.key.toString('base64'),
    value: m.value && m.value.toString('base64'),
  }));
  if (lines.length >= wanted) finish();
}

async function main() {
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    console.error(payload.error);
    process.exit(1);
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run(mode === 'message'
    ? { eachMessage: async ({ partition, message }) => keep(partition, message) }
    : {
      eachBatch: async ({ batch, resolveOffset, heartbeat }) => {
        for (const m of batch.messages) {
          keep(batch.partition, m);
          resolveOffset(m.offset);
        }
        await heartbeat();
      },
    });
  await finished;
  await consumer.disconnect(); // commits what was resolved
  process.stdout.write(`${lines.join('\n')}\n`);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
