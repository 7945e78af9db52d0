"""A JSON Schema topic: JSONSerializer, its schema and its tables."""

import datetime as dt
import json
import struct

from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer

import clients
from harness import equal
from typed import Typed

SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Visit",
    "type": "object",
    "properties": {
        "visit_id": {"type": "string", "maxLength": 40},
        "pages": {"type": "integer", "minimum": 0},
        "seconds": {"type": "number"},
        "bounced": {"type": "boolean"},
        "began_at": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "device": {"enum": ["phone", "desktop", "tablet"]},
        "referrer": {"type": "string"},
        "clicks": {"type": "array", "items": {"type": "integer"}},
        "user": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": ["integer", "null"]}},
            "required": ["name"],
            "additionalProperties": False,
        },
        "scores": {"type": "object", "additionalProperties": {"type": "number"}},
        "steps": {"type": "array", "items": {
            "type": "object",
            "properties": {"path": {"type": "string"}, "ms": {"type": "integer"}},
            "required": ["path"],
            "additionalProperties": False,
        }},
    },
    "required": ["visit_id", "pages", "seconds", "bounced", "began_at", "clicks"],
}


def run(t):
    Visits(t).run()


class Visits(Typed):
    topic = "web.visits"
    configs = ("tarn.table.json.extra=true", "tarn.table.name=visits")
    table = "visits"
    struct_lists = ("steps",)

    def make(self, i):
        r = self.t.random
        v = {
            "visit_id": f"v-{i}", "pages": r.choice([0, 2**53, 2**63 - 1, r.randrange(100)]),
            "seconds": r.choice([0.5, -1.25e-7, 1e300, r.random()]), "bounced": r.random() < 0.5,
            "began_at": r.choice(["2026-01-31T23:59:59.123456Z", "2026-02-01T00:00:00+05:30", "1969-12-31T23:59:59Z"]),
            "clicks": [r.randrange(9) for _ in range(r.randrange(4))],
        }
        optional = {
            "day": "2026-02-28", "device": r.choice(["phone", "desktop", "tablet"]), "referrer": r.choice(["", "шь \"x\" 🚚"]),
            "user": r.choice([{"name": "Ana", "age": 31}, {"name": "Bo", "age": None}, {"name": ""}]),
            "scores": {f"s{j}": j / 4 for j in range(r.randrange(3))},
            "steps": [{"path": f"/{j}", "ms": j} if j % 2 else {"path": "/"} for j in range(r.randrange(4))],
            "campaign": r.choice(["spring", 7, None, {"id": [1, 2]}]),
        }
        return v | {k: x for k, x in optional.items() if r.random() < 0.6}

    def columns(self, v):
        user = v.get("user")
        extra = {f"/{k}": json.dumps(x, separators=(",", ":")) for k, x in v.items() if k not in SCHEMA["properties"]}
        return {
            "visit_id": v["visit_id"], "pages": v["pages"], "seconds": v["seconds"], "bounced": v["bounced"],
            "began_at": dt.datetime.fromisoformat(v["began_at"].replace("Z", "+00:00")), "clicks": v["clicks"],
            "day": dt.date.fromisoformat(v["day"]) if "day" in v else None,
            "device": v.get("device"), "referrer": v.get("referrer"),
            "user": user and {"name": user["name"], "age": user.get("age")},
            "scores": v.get("scores"),
            "steps": [{"path": s["path"], "ms": s.get("ms")} for s in v["steps"]] if "steps" in v else None,
            "kafka_extra": extra or None,
        }

    def serializer(self):
        return JSONSerializer(json.dumps(SCHEMA), clients.registry(self.b))

    def deserializer(self):
        return JSONDeserializer(json.dumps(SCHEMA))

    def same_value(self, got, value):
        equal(got, value, "value")

    def bad_values(self):
        head = self.good[:5]
        base = {"visit_id": "x", "pages": 1, "seconds": 1, "bounced": True, "began_at": "2026-01-01T00:00:00Z", "clicks": []}

        def but(**changed):
            return head + json.dumps({k: v for k, v in {**base, **changed}.items() if v is not ...}).encode()

        return {
            "wrong type": (but(pages="many"), ["$.pages"]),
            "below the minimum": (but(pages=-1), ["$.pages"]),
            "missing property": (but(seconds=...), ["seconds"]),
            "wrong item": (but(clicks=[1, "two"]), ["$.clicks[1]"]),
            "not in the enum": (but(device="watch"), ["$.device"]),
            "property not allowed": (but(user={"name": "a", "shoe": 43}), ["shoe"]),
            "no date-time": (but(began_at="yesterday"), ["$.began_at"]),
            "not JSON": (head + b"{\"visit_id\": ", []),
            "bytes behind the value": (but() + b" x", []),
            "unknown schema id": (struct.pack(">bI", 0, 99999) + but()[5:], ["99999"]),
            "bare garbage": (b"\xffgarbage", []),
        }


