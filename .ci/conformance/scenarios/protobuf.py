"""A Protobuf topic: ProtobufSerializer, its schema and its tables."""

import base64
import datetime as dt
import decimal
import struct

from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from google.protobuf import descriptor_pool, message_factory
from google.protobuf import timestamp_pb2, wrappers_pb2  # noqa: F401: they enter the pool

import clients
from harness import HERE, equal
from typed import Typed


def run(t):
    Payments(t).run()


class Payments(Typed):
    topic = "payments"

    def __init__(self, t):
        super().__init__(t)
        text = (HERE / "payments.proto").read_bytes()
        [out] = self.b.peer("descriptors", "-topic", "payments", stdin=text)
        pool = descriptor_pool.Default()
        pool.AddSerializedFile(base64.b64decode(out["file"]))
        self.Payment = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Payment"))

    def make(self, i):
        r = self.t.random
        m = self.Payment(
            payment_id=f"p-{i}", parts=r.choice([0, -1, 2**31 - 1, -(2**31)]),
            balance=r.choice([0, -(2**63), 2**63 - 1, r.randrange(10**6)]),
            total=r.choice([0, 2**64 - 1, r.randrange(10**6)]), terminal=r.choice([0, 2**32 - 1]),
            rate=r.random() * 100, tip=r.choice([0.0, 0.5, -2.25]), final=r.random() < 0.5,
            proof=r.choice([b"", b"\x00\xff", bytes(range(256))]), kind=r.randrange(3),
            labels=[f"l{j}" for j in range(r.randrange(4))], counts=[r.randrange(-5, 5) for _ in range(r.randrange(4))],
            fees={f"f{j}": j - 1 for j in range(r.randrange(3))})
        if r.random() < 0.7:
            m.paid_at.FromMicroseconds(r.choice([0, -1, 1767225600123456, r.randrange(2 * 10**15)]))
        if r.random() < 0.7:
            m.payer.name = r.choice(["Ana", "", "Zoë"])
            for j in range(r.randrange(3)):
                m.payer.phones.add(number=f"+{j}")
        if r.random() < 0.5:
            m.note = r.choice(["", "noted"])
        pick = r.randrange(3)
        if pick == 1:
            m.card.number, m.card.month = "4111", r.randrange(13)
        elif pick == 2:
            m.voucher = r.choice(["", "V-1"])
        if r.random() < 0.5:
            m.comment.value = r.choice(["", "ok"])
        return m

    def columns(self, m):
        def has(name, value):
            return value() if m.HasField(name) else None
        paid_at = None
        if m.HasField("paid_at"):
            epoch = dt.datetime.fromtimestamp(0, dt.timezone.utc)
            paid_at = epoch + dt.timedelta(microseconds=m.paid_at.ToMicroseconds())
        return {
            "payment_id": m.payment_id, "parts": m.parts, "balance": m.balance, "total": decimal.Decimal(m.total),
            "terminal": m.terminal, "rate": m.rate, "tip": m.tip, "final": m.final, "proof": m.proof,
            "kind": ["UNKNOWN", "FULL", "PARTIAL"][m.kind], "paid_at": paid_at,
            "payer": has("payer", lambda: {"name": m.payer.name, "phones": [{"number": p.number} for p in m.payer.phones]}),
            "labels": list(m.labels), "counts": list(m.counts), "fees": dict(m.fees), "note": has("note", lambda: m.note),
            "card": has("card", lambda: {"number": m.card.number, "month": m.card.month}),
            "voucher": has("voucher", lambda: m.voucher), "comment": has("comment", lambda: m.comment.value),
        }

    def serializer(self):
        return ProtobufSerializer(self.Payment, clients.registry(self.b), {"use.deprecated.format": False})

    def deserializer(self):
        return ProtobufDeserializer(self.Payment, {"use.deprecated.format": False})

    def same_value(self, got, value):
        equal(got, value, "message")

    def bad_values(self):
        head = self.good[:6]  # 0, id, message index 0
        unknown = struct.pack(">bI", 0, 99999)
        return {
            "payload cut off": (self.good[:-1], ["$"]),
            "text that is not UTF-8": (head + b"\x0a\x02\xff\xfe", ["$.payment_id"]),
            "length beyond the payload": (head + b"\x0a\x7fx", ["$.payment_id", "127"]),
            "no such message": (self.good[:5] + b"\x02\x0e" + self.good[6:], []),
            "unknown schema id": (unknown + self.good[5:], ["99999"]),
            "bare garbage": (b"\xffgarbage", []),
        }
