"""The orders of the scenarios: schema, made-up records, their forms."""

import datetime as dt
import decimal
import json

FIELDS = [
    {"name": "order_id", "type": "string"},
    {"name": "quantity", "type": "int"},
    {"name": "amount", "type": "long"},
    {"name": "weight", "type": "double"},
    {"name": "placed_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "customer", "type": {"type": "record", "name": "Customer", "fields": [
        {"name": "name", "type": "string"},
        {"name": "vip", "type": "boolean"},
        {"name": "address", "type": ["null", {"type": "record", "name": "Address", "fields": [
            {"name": "street", "type": "string"},
            {"name": "zip", "type": ["null", "int"], "default": None},
        ]}], "default": None},
    ]}},
    {"name": "note", "type": ["null", "string"], "default": None},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
    {"name": "attrs", "type": {"type": "map", "values": "long"}},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
    {"name": "status", "type": {"type": "enum", "name": "Status",
                                "symbols": ["NEW", "PAID", "SHIPPED", "LOST"]}},
    {"name": "paid", "type": "boolean"},
    {"name": "due", "type": {"type": "int", "logicalType": "date"}},
]
# Version 2 adds this field.
COUPON = {"name": "coupon", "type": ["null", "string"], "default": None}

# A broken payload whose fault is known: the same fields, but the enum is
# written as a plain int, so that an index without a symbol can be sent.
BROKEN_STATUS = [f if f["name"] != "status" else {"name": "status", "type": "int"} for f in FIELDS]

COLUMNS = [f["name"] for f in FIELDS]


def schema(fields=FIELDS):
    return {"type": "record", "name": "Order", "namespace": "shop", "fields": fields}


def schema_text(fields=FIELDS):
    return json.dumps(schema(fields))


def make(random, n):
    """The n-th order. Awkward values come up often: empty, least, greatest."""
    pick = random.choice
    address = None
    if random.random() < 0.6:
        address = {"street": pick(["Rua Á", "主街 1", ""]), "zip": pick([None, 0, 2**31 - 1, random.randrange(99999)])}
    placed = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(milliseconds=random.randrange(3 * 10**10))
    return {
        "order_id": f"o-{n}",
        "quantity": pick([0, 1, -1, 2**31 - 1, -(2**31), random.randrange(1000)]),
        "amount": pick([0, -1, 2**63 - 1, -(2**63), random.randrange(10**12)]),
        "weight": pick([0.0, -0.5, 1e-300, 1.7976931348623157e308, random.random() * 100]),
        "placed_at": pick([placed, dt.datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=dt.timezone.utc)]),
        "customer": {"name": pick(["Ana", "Zoë 🚚", "", "x" * 300]), "vip": random.random() < 0.5, "address": address},
        "note": pick([None, "", "fragile", "многие слова"]),
        "tags": [f"t{i}" for i in range(random.randrange(5))],
        "attrs": {f"k{i}": random.randrange(-(10**9), 10**9) for i in range(random.randrange(4))},
        "price": decimal.Decimal(random.randrange(-(10**12) + 1, 10**12)).scaleb(-2),
        "status": pick(["NEW", "PAID", "SHIPPED", "LOST"]),
        "paid": random.random() < 0.5,
        "due": dt.date(2026, 1, 1) + dt.timedelta(days=random.randrange(-30000, 3000)),
    }


def to_json(order):
    """The form in which orders go to and come from the Go peer."""
    return {**order,
            "placed_at": round(order["placed_at"].timestamp() * 1000),
            "price": f"{order['price']:.2f}",
            "due": order["due"].isoformat()}


def from_json(o):
    # Go writes 0 for 0.0.
    return {**o, "weight": float(o["weight"]),
            "placed_at": dt.datetime.fromtimestamp(0, dt.timezone.utc) + dt.timedelta(milliseconds=o["placed_at"]),
            "price": decimal.Decimal(o["price"]),
            "due": dt.date.fromisoformat(o["due"])}
