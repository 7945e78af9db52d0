// Signs in over TLS, writes two records and reads them back in a group, or says
// why it may not: secure.js BROKER CA USER PASSWORD MECHANISM TOPIC GROUP
const fs = require('fs')
const { Kafka, logLevel } = require('kafkajs')
const [broker, ca, username, password, mechanism, topic, groupId] = process.argv.slice(2)

async function main() {
  const kafka = new Kafka({
    clientId: 'secure', brokers: [broker], logLevel: logLevel.NOTHING, ssl: { ca: [fs.readFileSync(ca)] },
    sasl: { mechanism, username, password }, retry: { retries: 2 },
  })
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic, messages: [{ value: 'one' }, { value: 'two' }] })
  await producer.disconnect()
  const consumer = kafka.consumer({ groupId })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const values = []
  await new Promise((done) => consumer.run({
    eachMessage: async ({ message }) => { if (values.push(message.value.toString()) === 2) done() },
  }))
  await consumer.disconnect()
  return { values }
}

main().then((out) => out, (e) => ({ error: e.message })).then((out) => {
  console.log(JSON.stringify(out))
  process.exit(0)
})
