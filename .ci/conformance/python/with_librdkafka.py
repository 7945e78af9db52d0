"""librdkafka of any version, by its C interface: the library is the file that
LIBRDKAFKA names. Only what 0.11 has, and transactions where there are any."""

import ctypes as c
import os

from records import Record

L = c.CDLL(os.environ["LIBRDKAFKA"])
MESSAGE_ERROR, PARTITION_EOF, NO_OFFSET, QUEUE_FULL, ASSIGN = -1, -191, -168, -184, -175


class Message(c.Structure):
    _fields_ = [("err", c.c_int), ("rkt", c.c_void_p), ("partition", c.c_int32), ("payload", c.c_void_p), ("len", c.c_size_t),
                ("key", c.c_void_p), ("key_len", c.c_size_t), ("offset", c.c_int64), ("private", c.c_void_p)]


DELIVERED = c.CFUNCTYPE(None, c.c_void_p, c.POINTER(Message), c.c_void_p)
REBALANCED = c.CFUNCTYPE(None, c.c_void_p, c.c_int, c.c_void_p, c.c_void_p)
for name, result, *args in (
        ("rd_kafka_conf_new", c.c_void_p), ("rd_kafka_new", c.c_void_p, c.c_int, c.c_void_p, c.c_char_p, c.c_size_t),
        ("rd_kafka_conf_set", c.c_int, c.c_void_p, c.c_char_p, c.c_char_p, c.c_char_p, c.c_size_t),
        ("rd_kafka_conf_set_dr_msg_cb", None, c.c_void_p, DELIVERED), ("rd_kafka_err2str", c.c_char_p, c.c_int),
        ("rd_kafka_conf_set_rebalance_cb", None, c.c_void_p, REBALANCED), ("rd_kafka_assign", c.c_int, c.c_void_p, c.c_void_p),
        ("rd_kafka_topic_partition_list_find", c.c_void_p, c.c_void_p, c.c_char_p, c.c_int32),
        ("rd_kafka_poll", c.c_int, c.c_void_p, c.c_int), ("rd_kafka_flush", c.c_int, c.c_void_p, c.c_int),
        ("rd_kafka_destroy", None, c.c_void_p), ("rd_kafka_headers_new", c.c_void_p, c.c_size_t),
        ("rd_kafka_header_add", c.c_int, c.c_void_p, c.c_char_p, c.c_ssize_t, c.c_char_p, c.c_ssize_t),
        ("rd_kafka_topic_partition_list_new", c.c_void_p, c.c_int),
        ("rd_kafka_topic_partition_list_add", c.c_void_p, c.c_void_p, c.c_char_p, c.c_int32),
        ("rd_kafka_topic_partition_list_destroy", None, c.c_void_p), ("rd_kafka_subscribe", c.c_int, c.c_void_p, c.c_void_p),
        ("rd_kafka_poll_set_consumer", c.c_int, c.c_void_p),
        ("rd_kafka_consumer_poll", c.POINTER(Message), c.c_void_p, c.c_int), ("rd_kafka_consumer_close", c.c_int, c.c_void_p),
        ("rd_kafka_message_destroy", None, c.POINTER(Message)),
        ("rd_kafka_message_timestamp", c.c_int64, c.POINTER(Message), c.POINTER(c.c_int)),
        ("rd_kafka_message_headers", c.c_int, c.POINTER(Message), c.POINTER(c.c_void_p)),
        ("rd_kafka_header_get_all", c.c_int, c.c_void_p, c.c_size_t, c.POINTER(c.c_char_p), c.POINTER(c.c_void_p), c.POINTER(c.c_size_t)),
        ("rd_kafka_commit", c.c_int, c.c_void_p, c.c_void_p, c.c_int)):
    f = getattr(L, name)
    f.restype, f.argtypes = result, args


def check(code, what):
    if code:
        raise RuntimeError(f"{what}: {L.rd_kafka_err2str(code).decode()}")


def handle(kind, settings, on_delivery=None, on_rebalance=None):
    conf, err = L.rd_kafka_conf_new(), c.create_string_buffer(512)
    for k, v in settings.items():
        if L.rd_kafka_conf_set(conf, k.encode(), str(v).encode(), err, 512):
            raise RuntimeError(err.value.decode())
    if on_delivery:
        L.rd_kafka_conf_set_dr_msg_cb(conf, on_delivery)
    if on_rebalance:
        L.rd_kafka_conf_set_rebalance_cb(conf, on_rebalance)
    rk = L.rd_kafka_new(kind, conf, err, 512)
    if not rk:
        raise RuntimeError(err.value.decode())
    return rk


def taken(pointer, n):
    return None if not pointer else c.string_at(pointer, n)


class Producer:
    def __init__(self, address, topic, settings):
        self.topic, self.places, self.sent = topic, {}, 0
        self.callback = DELIVERED(self.delivered)
        want = {"bootstrap.servers": address, "queue.buffering.max.ms": 5, "produce.offset.report": "true",
                "compression.codec": settings.get("codec", "none"),
                "request.required.acks": {"all": "-1"}.get(settings.get("acks", "all"), settings.get("acks"))}
        if settings.get("idempotent") == "true":
            want["enable.idempotence"] = "true"
        if "txn" in settings:
            want["transactional.id"] = settings["txn"]
        self.rk = handle(0, want, self.callback)
        if "txn" in settings:
            self.transaction("init_transactions", 30000)

    def transaction(self, what, *args):
        f = getattr(L, f"rd_kafka_{what}")
        f.restype, f.argtypes = c.c_void_p, [c.c_void_p, *[c.c_int] * len(args)]
        error = f(self.rk, *args)
        if error:
            L.rd_kafka_error_string.restype, L.rd_kafka_error_string.argtypes = c.c_char_p, [c.c_void_p]
            raise RuntimeError(f"{what}: {L.rd_kafka_error_string(error).decode()}")

    def delivered(self, _, message, __):
        m = message.contents
        self.places[m.private] = RuntimeError(L.rd_kafka_err2str(m.err).decode()) if m.err else (m.partition, m.offset)

    def send(self, r):
        self.sent += 1
        number = self.sent
        headers = L.rd_kafka_headers_new(8)
        for k, v in r.headers:
            L.rd_kafka_header_add(headers, k.encode(), -1, v, len(v))
        # rd_kafka_producev: pairs of tag and arguments, ended by 0.
        words = [c.c_int(1), c.c_char_p(self.topic.encode()), c.c_int(3), c.c_int(r.partition),
                 c.c_int(4), c.c_char_p(r.value), c.c_size_t(len(r.value or b"")), c.c_int(5), c.c_char_p(r.key), c.c_size_t(len(r.key or b"")),
                 c.c_int(6), c.c_void_p(number), c.c_int(7), c.c_int(2), c.c_int(8), c.c_int64(r.timestamp),
                 c.c_int(10), c.c_void_p(headers), c.c_int(0)]
        while True:
            code = L.rd_kafka_producev(c.c_void_p(self.rk), *words)
            if code != QUEUE_FULL:
                break
            L.rd_kafka_poll(self.rk, 100)
        check(code, "produce")

        def place():
            got = self.places[number]
            if isinstance(got, Exception):
                raise got
            return got
        return place

    def flush(self):
        check(L.rd_kafka_flush(self.rk, 30000), "flush")

    def begin(self):
        self.transaction("begin_transaction")

    def commit(self):
        self.transaction("commit_transaction", 30000)

    def abort(self):
        self.transaction("abort_transaction", 30000)

    def close(self):
        self.flush()
        L.rd_kafka_destroy(self.rk)


class Consumer:
    def __init__(self, address, topic, settings):
        self.topic, self.held, self.callback = topic, [], REBALANCED(self.rebalanced)
        self.rk = handle(1, {
            "bootstrap.servers": address, "group.id": settings["group"], "enable.auto.commit": "false", "auto.offset.reset": "earliest",
            "heartbeat.interval.ms": 500, "session.timeout.ms": 6000,
            # The isolation of consumers came with 1.0; before, all was read.
            **({"isolation.level": settings["isolation"]} if "isolation" in settings else {})}, on_rebalance=self.callback)
        L.rd_kafka_poll_set_consumer(self.rk)
        topics = L.rd_kafka_topic_partition_list_new(1)
        L.rd_kafka_topic_partition_list_add(topics, topic.encode(), -1)
        check(L.rd_kafka_subscribe(self.rk, topics), "subscribe")
        L.rd_kafka_topic_partition_list_destroy(topics)

    def rebalanced(self, rk, what, partitions, _):
        """Runs inside poll and close only, so nothing is taken from this member
        between poll and commit. What it has polled of partitions that it loses
        whoever has them next reads."""
        if what == ASSIGN:
            check(L.rd_kafka_assign(rk, partitions), "assign")
            return
        self.held = [r for r in self.held if not L.rd_kafka_topic_partition_list_find(partitions, self.topic.encode(), r.partition)]
        check(L.rd_kafka_assign(rk, None), "unassign")

    def poll(self):
        self.held = []
        while len(self.held) < 100:
            p = L.rd_kafka_consumer_poll(self.rk, 0 if self.held else 200)
            if not p:
                break
            m = p.contents
            if m.err == 0:
                self.held.append(Record(m.partition, m.offset, L.rd_kafka_message_timestamp(p, None), taken(m.key, m.key_len),
                                        taken(m.payload, m.len), tuple(self.headers(p))))
            elif m.err != PARTITION_EOF:
                check(m.err, "consume")
            L.rd_kafka_message_destroy(p)
        return self.held

    @staticmethod
    def headers(p):
        hs, name, value, size = c.c_void_p(), c.c_char_p(), c.c_void_p(), c.c_size_t()
        if L.rd_kafka_message_headers(p, c.byref(hs)):
            return
        i = 0
        while not L.rd_kafka_header_get_all(hs, i, c.byref(name), c.byref(value), c.byref(size)):
            yield name.value.decode(), taken(value.value, size.value)
            i += 1

    def commit(self):
        code = L.rd_kafka_commit(self.rk, None, 0)
        if code != NO_OFFSET:  # nothing was read since the last one
            check(code, "commit")

    def close(self):
        check(L.rd_kafka_consumer_close(self.rk), "close")
        L.rd_kafka_destroy(self.rk)
