// @platformatic/kafka as a peer; records.py says what peers read and write.
//   node platformatic.js ADDRESS produce|consume|member TOPIC [setting=value ...]
const { Producer, Consumer } = require('@platformatic/kafka');

const [address, command, topic, ...words] = process.argv.slice(2);
const settings = parse(words);
const base = { clientId: 'conformance', bootstrapBrokers: [address] };
const SILENT_MS = 60000;

function parse(list) {
  return Object.fromEntries(list.map((w) => [w.slice(0, w.indexOf('=')), w.slice(w.indexOf('=') + 1)]));
}

const bytes = (s) => (s === '-' ? undefined : Buffer.from(s, 'base64'));
const text = (b) => (b === undefined || b === null ? '-' : b.toString('base64'));

function message(line) {
  const [partition, , timestamp, key, value, headers] = line.split('\t');
  return {
    topic,
    partition: Number(partition),
    timestamp: BigInt(timestamp),
    key: bytes(key),
    value: bytes(value),
    headers: new Map(headers.split(',').filter(Boolean).map((h) => h.split(':').map(bytes))),
  };
}

function show(m) {
  const headers = [...m.headers].map(([k, v]) => `${text(k)}:${text(v)}`).join(',');
  process.stdout.write(`${[m.partition, m.offset, m.timestamp, text(m.key), text(m.value), headers].join('\t')}\n`);
}

async function produce() {
  const chunks = [];
  for await (const c of process.stdin) chunks.push(c);
  let producer;
  let transaction;
  let options = {};
  let waiting = [];
  const out = [];
  // One request for what was sent since the last command; it tells the first
  // offset of each partition.
  async function flush() {
    if (waiting.length === 0) return;
    const { offsets } = await (transaction || producer).send({ messages: waiting, ...(transaction ? {} : options) });
    const next = new Map(offsets.map((o) => [o.partition, o.offset]));
    for (const m of waiting) {
      out.push(`${m.partition}\t${next.get(m.partition)}`);
      next.set(m.partition, next.get(m.partition) + 1n);
    }
    waiting = [];
  }
  for (const line of Buffer.concat(chunks).toString().split('\n').filter(Boolean)) {
    const [word, ...rest] = line.split(' ');
    if (!word.startsWith('!')) {
      waiting.push(message(line));
      continue;
    }
    await flush();
    if (word === '!open') {
      if (producer) await producer.close();
      const s = parse(rest);
      const exact = s.idempotent === 'true' || s.txn !== undefined;
      options = { acks: s.acks === '1' ? 1 : -1, compression: s.codec || 'none', idempotent: exact };
      producer = new Producer({ ...base, ...options, ...(s.txn ? { transactionalId: s.txn } : {}) });
    } else if (word === '!begin') {
      transaction = await producer.beginTransaction();
    } else if (word === '!commit' || word === '!abort') {
      await transaction[word.slice(1)]();
      transaction = undefined;
    }
  }
  await flush();
  await producer.close();
  process.stdout.write(out.map((l) => `${l}\n`).join(''));
}

async function consume(wanted) {
  const consumer = new Consumer({
    ...base,
    groupId: settings.group,
    ...(settings.protocol ? { groupProtocol: settings.protocol } : {}),
  });
  const stream = await consumer.consume({
    topics: [topic],
    autocommit: false,
    mode: 'committed',
    fallbackMode: 'earliest',
    maxWaitTime: 200,
    isolationLevel: settings.isolation === 'read_committed' ? 1 : 0,
    ...(settings.protocol ? {} : { sessionTimeout: 10000, heartbeatInterval: 500 }),
  });
  let got = 0;
  let ended = false;
  const end = async () => {
    if (ended) return;
    ended = true;
    await consumer.close(true);
    process.exit(0);
  };
  if (wanted === undefined) process.stdin.resume().on('end', end);
  let quiet = setTimeout(silent, SILENT_MS);
  function silent() {
    if (wanted === undefined) return;
    console.error(`${got} of ${wanted} records, then silence`);
    process.exit(1);
  }
  for await (const m of stream) {
    if (ended) break;
    clearTimeout(quiet);
    quiet = setTimeout(silent, SILENT_MS);
    await m.commit();
    show(m);
    got += 1;
    if (got === wanted) await end();
  }
}

const commands = { produce, consume: () => consume(Number(settings.n)), member: () => consume() };
commands[command]().catch((e) => {
  console.error(e);
  process.exit(1);
});
