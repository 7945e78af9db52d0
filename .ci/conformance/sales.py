"""What serializers are put through: one record in the three languages, whole
and in files that refer to each other, and its values."""

import json

# A reference's text, by the name that others call it by, in order.
AVRO_PARTS = {
    "shop.Money": {"type": "record", "name": "Money", "namespace": "shop", "fields": [
        {"name": "units", "type": "long"}, {"name": "currency", "type": "string"}]},
    "shop.Line": {"type": "record", "name": "Line", "namespace": "shop", "fields": [
        {"name": "sku", "type": "string"}, {"name": "price", "type": "shop.Money"}]},
}


def avro(line="shop.Line", more=()):
    return {"type": "record", "name": "Sale", "namespace": "shop", "fields": [
        {"name": "id", "type": "string"},
        {"name": "lines", "type": {"type": "array", "items": line}},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "status", "type": {"type": "enum", "name": "Status", "symbols": ["OPEN", "PAID"]}},
        {"name": "total", "type": "double"},
        *more]}


AVRO_REFERRING = json.dumps(avro())
_line = json.loads(json.dumps(AVRO_PARTS["shop.Line"]))
_line["fields"][1]["type"] = AVRO_PARTS["shop.Money"]
AVRO = json.dumps(avro(_line))
AVRO_NEXT = json.dumps(avro(_line, [{"name": "shop_no", "type": "int", "default": 7}]))

JSON_PARTS = {
    "money.json": {"$id": "money.json", "type": "object", "required": ["units", "currency"], "additionalProperties": False,
                   "properties": {"units": {"type": "integer"}, "currency": {"type": "string"}}},
    "line.json": {"$id": "line.json", "type": "object", "required": ["sku", "price"], "additionalProperties": False,
                  "properties": {"sku": {"type": "string"}, "price": {"$ref": "money.json"}}},
}


def json_schema(line, more=(), **top):
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Sale", "type": "object",
            "required": ["id", "lines", "status", "total"], "additionalProperties": False, **top,
            "properties": {
                "id": {"type": "string"}, "lines": {"type": "array", "items": line}, "note": {"type": ["string", "null"]},
                "status": {"enum": ["OPEN", "PAID"]}, "total": {"type": "number"}, **dict(more)}}


JSON_REFERRING = json.dumps(json_schema({"$ref": "line.json"}))
_part = {k: {f: v for f, v in p.items() if f != "$id"} for k, p in JSON_PARTS.items()}
_whole = json.loads(json.dumps(_part["line.json"]))
_whole["properties"]["price"] = _part["money.json"]
JSON = json.dumps(json_schema(_whole))
JSON_NEXT = json.dumps(json_schema(_whole, {"shop_no": {"type": "integer"}}))

_SALE = """
message Sale {
  string id = 1;
  repeated Line lines = 2;
  optional string note = 3;
  Status status = 4;
  double total = 5;%s
  message Void { string why = 1; }
}
enum Status { OPEN = 0; PAID = 1; }
"""
_MONEY = "message Money { int64 units = 1; string currency = 2; }\n"
_LINE = "message Line { string sku = 1; Money price = 2; }\n"
_HEAD = 'syntax = "proto3";\npackage %s;\n'
PROTO = _HEAD % "sales" + _SALE % "" + _LINE + _MONEY
PROTO_NEXT = _HEAD % "sales" + _SALE % "\n  int32 shop_no = 6;" + _LINE + _MONEY
# In a package of its own: one process may know both.
PROTO_FILES = {
    "split/money.proto": _HEAD % "split" + _MONEY,
    "split/line.proto": _HEAD % "split" + 'import "split/money.proto";\n' + _LINE,
    "split/sale.proto": _HEAD % "split" + 'import "split/line.proto";\n' + _SALE % "",
}
# One step of references only, for those who get no further.
PROTO_PAIR = {
    "split/line.proto": _HEAD % "split" + _MONEY + _LINE,
    "split/sale.proto": PROTO_FILES["split/sale.proto"],
}


def make(random, i):
    """The i-th sale, as plain JSON."""
    lines = [{"sku": f"s{j}", "price": {"units": random.choice([0, -1, 2**52, 1999]), "currency": random.choice(["EUR", "₺"])}}
             for j in range(random.randrange(3))]
    return {"id": f"sale-{i}", "lines": lines, "note": random.choice([None, "", "Grüße 🚚"]),
            "status": random.choice(["OPEN", "PAID"]), "total": random.choice([0.0, -0.5, 12.25, 1e300])}


def to_avro_json(sale):
    """The same in Avro's JSON encoding, where a branch of a union is named."""
    return {**sale, "note": sale["note"] if sale["note"] is None else {"string": sale["note"]}}


def from_avro_json(sale):
    note = sale.get("note")
    return {**sale, "note": note["string"] if isinstance(note, dict) else note, "total": float(sale["total"])}


def to_proto_json(sale):
    """The same as Protobuf's JSON has it: absent fields, 64 bits as text."""
    out = {**sale, "lines": [{**l, "price": {**l["price"], "units": str(l["price"]["units"])}} for l in sale["lines"]]}
    if sale["note"] is None:
        del out["note"]
    return out


def from_proto_json(sale):
    """Fields that hold their default may be missing."""
    lines = [{"sku": l.get("sku", ""), "price": {"units": int(l["price"].get("units", 0)), "currency": l["price"].get("currency", "")}}
             for l in sale.get("lines", [])]
    return {"id": sale.get("id", ""), "lines": lines, "note": sale.get("note"),
            "status": sale.get("status", "OPEN"), "total": float(sale.get("total", 0))}
