"""kafka-python."""

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from records import Record


class Producer:
    def __init__(self, address, topic, settings):
        self.topic = topic
        codec, acks, txn = settings.get("codec", "none"), settings.get("acks", "all"), settings.get("txn")
        self.p = KafkaProducer(
            bootstrap_servers=address, acks=acks if acks == "all" else int(acks), linger_ms=5,
            compression_type=None if codec == "none" else codec, transactional_id=txn,
            enable_idempotence=bool(txn) or settings.get("idempotent") == "true")
        if txn:
            self.p.init_transactions()

    def send(self, r):
        sent = self.p.send(self.topic, value=r.value, key=r.key, partition=r.partition, timestamp_ms=r.timestamp, headers=list(r.headers))

        def place():
            m = sent.get(10)
            return m.partition, m.offset
        return place

    def flush(self):
        self.p.flush(30)

    def begin(self):
        self.p.begin_transaction()

    def commit(self):
        self.p.commit_transaction()

    def abort(self):
        self.p.abort_transaction()

    def offsets(self, consumer, following):
        self.p.send_offsets_to_transaction(
            {TopicPartition(consumer.topic, p): OffsetAndMetadata(o, "", -1) for p, o in following.items()}, consumer.group)

    def close(self):
        self.p.close(30)


class Consumer:
    def __init__(self, address, topic, settings):
        self.topic, self.group = topic, settings["group"]
        self.c = KafkaConsumer(
            topic, bootstrap_servers=address, group_id=self.group, auto_offset_reset="earliest", enable_auto_commit=False,
            heartbeat_interval_ms=500, isolation_level=settings.get("isolation", "read_uncommitted"))

    def poll(self):
        got = self.c.poll(timeout_ms=200)
        return [Record(m.partition, m.offset, m.timestamp, m.key, m.value, tuple(m.headers)) for ms in got.values() for m in ms]

    def commit(self):
        self.c.commit()

    def seek(self, partition, offset):
        self.c.seek(TopicPartition(self.topic, partition), offset)

    def close(self):
        self.c.close()
