"""Share groups (KIP-932) with Kafka's own share consumer and tools."""

import collections

import exercise
import records
from harness import equal, want
from peers import background, tool
from records import until
from scenarios.tools import fields

SHARES = "consumer.group.ShareGroupCommand"


def run(t):
    b = t.broker
    together(t, b)
    acknowledged(t, b)
    held(t, b)
    tools(t, b)


def begin(b, name, group, partitions, **configs):
    exercise.topic(b, name, partitions)
    given = {"share.auto.offset.reset": "earliest", **{k.replace("_", "."): v for k, v in configs.items()}}
    tool(b, "ConfigCommand", "--alter", "--entity-type", "groups", "--entity-name", group,
         "--add-config", ",".join(f"{k}={v}" for k, v in given.items()), package="kafka.admin.")


def member(b, name, group, what=""):
    return background("ShareMember", b.kafka, name, group, what)


def did(m):
    """(partition, offset): [(delivery count, what was done)] of a member."""
    out = collections.defaultdict(list)
    for r in m.records:
        [(count, what)] = r.headers
        out[r.partition, r.offset].append((int(count), what.decode()))
    return out


def lost(m):
    """What a member had and could not acknowledge, since its partition was given
    to another: (partition, offset): how often."""
    return collections.Counter({at: n for at, seen in did(m).items() if (n := sum(what == "lost" for _, what in seen))})


def bare(r):
    return r._replace(headers=())


def together(t, b):
    with t.check("three members share two partitions, each record goes to one", seconds=400):
        name, group = "shared-out", "s-together"
        begin(b, name, group, 2)
        made = exercise.write(b, name, records.make(t.random, 400, 2, headers=False))
        members = [member(b, name, group) for _ in range(3)]
        try:
            def taken():
                return sum(len(m.records) - lost(m).total() for m in members)

            def all_of_them():
                nonlocal made
                made += exercise.write(b, name, records.make(t.random, 100, 2, start=len(made), headers=False))
                until(lambda: taken() >= len(made), 120, lambda: f"{taken()} of {len(made)}: {[m.said[-300:] for m in members]}")
                return all(m.records for m in members)
            until(all_of_them, 120, lambda: "records, exit code and last words of each member: "
                  + str([(len(m.records), m.process.poll(), m.said[-300:]) for m in members]))
            for m in members:
                m.leave()
        finally:
            for m in members:
                m.kill()
        got = [r for m in members for r in m.records if r.headers[0][1] != b"lost"]
        records.same("all together", sorted(map(bare, got), key=lambda r: (r.partition, r.offset)), made)
        before = sum(map(lost, members), collections.Counter())
        equal({(r.partition, r.offset): int(r.headers[0][0]) for r in got if int(r.headers[0][0]) > 1},
              {at: n + 1 for at, n in before.items()}, "delivery counts above 1, by what members lost")


def acknowledged(t, b):
    with t.check("what is given back comes again, what is rejected does not", seconds=400):
        for what in ("release", "reject"):
            name, group = f"shared-{what}", f"s-{what}"
            begin(b, name, group, 1)
            made = exercise.write(b, name, records.make(t.random, 90, 1, headers=False))
            m = member(b, name, group, what)
            try:
                wanted = 120 if what == "release" else 90
                until(lambda: len(m.records) >= wanted, 120, lambda: f"{len(m.records)} of {wanted}: {m.said[-300:]}")
                m.leave()
            finally:
                m.kill()
            seen = did(m)
            again = [(1, "release"), (2, "accept")] if what == "release" else [(1, "reject")]
            equal(seen, {(0, o): again if o % 3 == 0 else [(1, "accept")] for o in range(90)}, f"deliveries, {what}")
            once = {r.offset: bare(r) for r in m.records}
            records.same("member", [once[o] for o in sorted(once)], made)
            after = member(b, name, group)
            try:
                more = exercise.write(b, name, records.make(t.random, 1, 1, start=90, headers=False))
                until(lambda: after.records, 120, lambda: after.said[-300:])
                after.leave()
            finally:
                after.kill()
            equal([bare(r) for r in after.records], more, "what the next member gets")


def held(t, b):
    with t.check("a member that dies with records gives them to others when the lock ends", seconds=400):
        name, group = "shared-held", "s-held"
        begin(b, name, group, 1, share_record_lock_duration_ms="15000")
        made = exercise.write(b, name, records.make(t.random, 10, 1, headers=False))
        m = member(b, name, group, "hold")
        try:
            until(lambda: len(m.records) == 10, 120, lambda: f"{len(m.records)}: {m.said[-300:]}")
        finally:
            m.kill()
        after = member(b, name, group)
        try:
            until(lambda: len(after.records) >= 10, 120, lambda: f"{len(after.records)}: {after.said[-300:]}")
            after.leave()
        finally:
            after.kill()
        equal(did(after), {(0, o): [(2, "accept")] for o in range(10)}, "deliveries afterwards")
        records.same("the next member", [bare(r) for r in sorted(after.records)], made)


def tools(t, b):
    with t.check("ConsoleShareConsumer, VerifiableShareConsumer, ShareGroupCommand", seconds=400):
        name, group = "shared-tools", "s-tools"
        begin(b, name, group, 2)
        made = exercise.write(b, name, [r._replace(value=f"v-{i}".encode())
                                        for i, r in enumerate(records.make(t.random, 100, 2, headers=False))])
        got = tool(b, "consumer.ConsoleShareConsumer", "--topic", name, "--group", group, "--max-messages", "100",
                   "--timeout-ms", "30000", "--formatter-property", "print.delivery=true")
        got = sorted(l.split("\t")[-1] for l in got if "v-" in l)
        equal(got, sorted(r.value.decode() for r in made), "what ConsoleShareConsumer wrote")
        want(group in " ".join(tool(b, SHARES, "--list")), "the group is not listed")
        rows = fields(tool(b, SHARES, "--describe", "--group", group), "GROUP")
        equal({(r["PARTITION"], r["START-OFFSET"]) for r in rows}, {("0", "50"), ("1", "50")}, "start offsets")
        equal([r["STATE"] for r in fields(tool(b, SHARES, "--describe", "--group", group, "--state"), "GROUP")], ["Empty"], "state")
        tool(b, SHARES, "--reset-offsets", "--group", group, "--topic", name, "--to-earliest", "--execute")
        said = tool(b, "VerifiableShareConsumer", "--topic", name, "--group-id", group, "--max-messages", "100",
                    "--offset-reset-strategy", "earliest", seconds=60)
        acked = sum(int(l.split('"count":')[1].split(",")[0]) for l in said if '"name":"offsets_acknowledged"' in l)
        equal(acked, 100, f"records that VerifiableShareConsumer acknowledged, by {said[-3:]}")
        tool(b, SHARES, "--delete-offsets", "--group", group, "--topic", name)
        tool(b, SHARES, "--delete", "--group", group)
        want(group not in " ".join(tool(b, SHARES, "--list")), "the group is still listed")
