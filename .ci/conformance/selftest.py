"""Checks of the checks: comparisons that must fail do fail."""

import datetime as dt
import decimal
import random

import records
import rows
from clients import parse_kcat
from harness import Failure, equal
from scenarios.crash import once

UTC = dt.timezone.utc


def fails(what, f, *args):
    try:
        f(*args)
    except Failure:
        return
    raise Failure(f"{what} is not noticed")


def run(t):
    row = {"kafka_partition": 0, "kafka_offset": 7, "a": 1, "m": {"k": 1}, "s": {"x": None}, "d": decimal.Decimal("1.50"),
           "t": dt.datetime(2026, 1, 1, tzinfo=UTC), "l": [1, 2], "f": 0.5, "b": True, "n": None, "y": b"\x00"}
    with t.check("comparisons find what is wrong"):
        good = rows.keyed([row])
        rows.compare(good, good, "rows")
        # The forms that readers give the same value.
        rows.compare(rows.keyed([{**row, "m": [("k", 1)], "d": decimal.Decimal("1.5")}]), good, "rows")
        zoned = dt.datetime(2026, 1, 1, 5, 30, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))
        rows.compare(rows.keyed([{**row, "t": zoned}]), good, "rows")
        for column, value in {"a": 2, "m": {"k": 2}, "s": {"x": 0}, "d": decimal.Decimal("1.51"), "l": [2, 1], "f": 0.25,
                              "b": 1, "n": "", "y": b"", "t": dt.datetime(2026, 1, 1, 0, 0, 0, 1, UTC)}.items():
            fails(f"{column} = {value!r}", rows.compare, rows.keyed([{**row, column: value}]), good, "rows")
        fails("a missing row", rows.compare, {}, good, "rows")
        fails("an extra row", rows.compare, rows.keyed([row, {**row, "kafka_offset": 8}]), good, "rows")
        fails("a row twice", rows.keyed, [row, row])
        fails("a missing column", rows.compare, rows.keyed([{k: v for k, v in row.items() if k != "n"}]), good, "rows")
        acked = {(0, 1): "n-1", (0, 2): "n-2"}
        once({**acked, (0, 3): "n-3"}, acked, "log")
        fails("a lost record", once, {(0, 1): "n-1"}, acked, "log")
        fails("a record twice", once, {**acked, (0, 3): "n-1"}, acked, "log")
        fails("a record elsewhere", once, {(0, 1): "n-2", (0, 2): "n-1"}, acked, "log")
        log = rows.Produced()
        log.add(0, 1, 5, b"k", b"v", {})
        fails("an acknowledgement twice", log.add, 0, 1, 5, b"k", b"v", {})
        fails("a record consumed twice", log.check_raw, [(0, 1, 5, b"k", b"v")] * 2, "consumer")
        fails("another timestamp", log.check_raw, [(0, 1, 6, b"k", b"v")], "consumer")
        some = records.numbered(records.make(random.Random(1), 20, 2))
        equal(records.parse("".join(records.line(r) + "\n" for r in some).encode()), some, "records as lines and back")
        records.same("peer", some, some)
        for what, wrong in {"a record lost": some[:-1], "a record twice": some + some[-1:], "another order": some[2:] + some[:2],
                            "another timestamp": [some[0]._replace(timestamp=1), *some[1:]],
                            "other headers": [some[0]._replace(headers=(("z", None),)), *some[1:]],
                            "null for empty": [r._replace(key=r.key or None) for r in some]}.items():
            fails(what, records.same, "peer", wrong, some)
        equal(parse_kcat(b"@0 1 5 1 -1:k@2 3 4 -1 2:@0"), [(0, 1, 5, b"k", None), (2, 3, 4, None, b"@0")], "kcat's output")
