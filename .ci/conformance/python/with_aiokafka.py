"""aiokafka, whose loop runs whenever it is asked for something."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from records import Record

LOOP = asyncio.new_event_loop()


def wait(coroutine):
    return LOOP.run_until_complete(coroutine)


class Producer:
    def __init__(self, address, topic, settings):
        self.topic = topic
        codec = settings.get("codec", "none")
        acks = settings.get("acks", "all")
        self.txn = settings.get("txn")

        async def make():
            self.p = AIOKafkaProducer(
                bootstrap_servers=address, acks=acks if acks == "all" else int(acks), linger_ms=5,
                compression_type=None if codec == "none" else codec, transactional_id=self.txn,
                enable_idempotence=bool(self.txn) or settings.get("idempotent") == "true")
            await self.p.start()
        wait(make())

    def send(self, r):
        sent = wait(self.p.send(self.topic, value=r.value, key=r.key, partition=r.partition, timestamp_ms=r.timestamp,
                                headers=list(r.headers)))

        def place():
            m = sent.result()
            return m.partition, m.offset
        return place

    def flush(self):
        wait(self.p.flush())

    def begin(self):
        wait(self.p.begin_transaction())

    def commit(self):
        wait(self.p.commit_transaction())

    def abort(self):
        wait(self.p.abort_transaction())

    def offsets(self, consumer, following):
        wait(self.p.send_offsets_to_transaction(
            {TopicPartition(consumer.topic, p): o for p, o in following.items()}, consumer.group))

    def close(self):
        wait(self.p.stop())


class Consumer:
    def __init__(self, address, topic, settings):
        self.topic, self.group = topic, settings["group"]

        async def make():
            self.c = AIOKafkaConsumer(
                topic, bootstrap_servers=address, group_id=self.group, auto_offset_reset="earliest", enable_auto_commit=False,
                heartbeat_interval_ms=500, isolation_level=settings.get("isolation", "read_uncommitted"))
            await self.c.start()
        wait(make())

    def poll(self):
        got = wait(self.c.getmany(timeout_ms=200))
        return [Record(m.partition, m.offset, m.timestamp, m.key, m.value, tuple(m.headers)) for ms in got.values() for m in ms]

    def commit(self):
        wait(self.c.commit())

    def seek(self, partition, offset):
        self.c.seek(TopicPartition(self.topic, partition), offset)

    def close(self):
        wait(self.c.stop())
