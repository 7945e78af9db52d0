"""Engines with programs of their own on the catalog (python/with_*.py): their
steps are judged here."""

from harness import equal, lines, run, want


def fill(t, topic, rounds=3):
    """Makes a topic whose Iceberg table has several files; returns what readers
    find: the partition, its count, first and last offset."""
    b = t.broker
    b.tarn("topic", "create", topic, "-c", "tarn.table.formats=iceberg", "-c", "tarn.table.value.as=string")
    for i in range(rounds):
        b.tarn("produce", topic, stdin="".join(f'"{i} {j}"\n' for j in range(30)).encode())
        b.tarn("table", "flush", topic)
    return [[0, 30 * rounds, 0, 30 * rounds - 1]]


def judge(t, wanted, *command, seconds, env=None):
    """Runs a program and holds each of its steps to what is wanted: rows, None
    for any, or words of a refusal."""
    said = {}
    with t.check("the program runs", seconds=seconds):
        out = run(*command, seconds=seconds, env=env)
        said = {s["step"]: s for s in lines(b"\n".join(x for x in out.splitlines() if x.startswith(b'{"step"')))}
        want(said, "it said nothing")
    for step, rows in wanted.items():
        with t.check(step):
            want(step in said, "it was not done")
            got = said[step]
            if isinstance(rows, str):
                want(rows in got.get("error", ""), f"refusal with {rows!r}: {got}")
                continue
            want("error" not in got, got.get("error"))
            if rows is not None:
                equal(got["got"], rows, "rows")
