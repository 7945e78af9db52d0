"""Groups of KIP-848, where the broker assigns: Java's client, librdkafka, both
together, and classic members that give way to them."""

import clients
import exercise
import peers
import records
from harness import equal, want
from peers import tool
from records import same, until
from scenarios.tools import GROUPS, fields


def run(t):
    b = t.broker
    new = peers.java(peers.JAVA_NEW)
    exercise.consume(t, b, new, protocol="consumer")
    exercise.share(t, b, new, protocol="consumer")
    exercise.share(t, b, new, protocol="consumer", remote="range")
    exercise.transform(t, b, new, protocol="consumer")
    migrate(t, b, new)
    killed(t, b, new)
    librdkafka(t, b)


def described(b, group, *what):
    return fields(tool(b, GROUPS, "--describe", "--group", group, *what), "GROUP")


def migrate(t, b, new):
    with t.check("classic members of 2.8 give way to members of 4, none the wiser", seconds=400):
        name = exercise.topic(b, "migrated", 6)
        group = "g-migrated"
        made = exercise.write(b, name, records.make(t.random, 60, 6))
        old = peers.java("2.8.2")
        members = [old.member(b, name, group)]
        try:
            def rest():
                until(lambda: sum(len(m.records) for m in members) >= len(made), 120,
                      lambda: f"{[len(m.records) for m in members]} of {len(made)} records: {[m.said[-300:] for m in members]}")

            def more():
                nonlocal made
                made += exercise.write(b, name, records.make(t.random, 60, 6, start=len(made)))
                rest()
            rest()
            equal([r["STATE"] for r in described(b, group, "--state")], ["Stable"], "state with a classic member")
            members.append(new.member(b, name, group, protocol="consumer"))

            def both():
                marks = [len(m.records) for m in members]
                more()
                shares = [m.partitions(k) for m, k in zip(members, marks)]
                return [len(s) for s in shares] == [3, 3] and not shares[0] & shares[1]
            until(both, 120, "three partitions to the old, three to the new member")
            want(len(described(b, group, "--members")) == 2, "not two members")
            members[0].leave()
            mark = len(members[1].records)
            more()
            equal(members[1].partitions(mark), set(range(6)), "partitions of the new member")
            members[1].leave()
        finally:
            for m in members:
                m.kill()
        got = members[0].records + members[1].records
        same("both together", sorted(got, key=lambda r: (r.partition, r.offset)), made)
        equal(exercise.committed(b, group, name), clients.ends(b, name), "committed offsets")


def killed(t, b, new):
    with t.check("a member that is killed is put out, its partitions go on", seconds=400):
        name = exercise.topic(b, "killed-848", 4)
        group = "g-killed-848"
        # The least that a group may have, so that nobody waits for long.
        tool(b, "ConfigCommand", "--alter", "--entity-type", "groups", "--entity-name", group,
             "--add-config", "consumer.session.timeout.ms=45000", package="kafka.admin.")
        x, y = new.member(b, name, group, protocol="consumer"), new.member(b, name, group, protocol="consumer")
        made = []
        try:
            def both():
                nonlocal made
                made += exercise.write(b, name, records.make(t.random, 40, 4, start=len(made)))
                until(lambda: len(x.records) + len(y.records) >= len(made), 120, lambda: f"{x.said[-300:]} {y.said[-300:]}")
                return len(y.records) > 0 and len(described(b, group, "--members")) == 2
            until(both, 120, "records to both")
            y.kill()
            made += exercise.write(b, name, records.make(t.random, 40, 4, start=len(made)))
            until(lambda: len(x.records) + len(y.records) >= len(made), 120, lambda: f"{len(x.records)} {len(y.records)} {len(made)}")
            [row] = described(b, group, "--state")
            equal((row["STATE"], row["#MEMBERS"]), ("Stable", "1"), "state afterwards")
            x.leave()
        finally:
            x.kill()
            y.kill()
        same("both together", sorted(x.records + y.records, key=lambda r: (r.partition, r.offset)), made)


def librdkafka(t, b):
    with t.check("librdkafka in a group of KIP-848, and Java's client with it", seconds=240):
        name = exercise.topic(b, "librdkafka-848", 6)
        made = exercise.write(b, name, records.make(t.random, 120, 6))
        got = clients.confluent(b, name, 120, group="g-librdkafka-848", group_protocol="consumer")
        equal(sorted(g[:2] for g in got), sorted((r.partition, r.offset) for r in made), "what it consumed")
        kind = [r["TYPE"] for r in fields(tool(b, "GroupsCommand", "--list"), "GROUP") if r["GROUP"] == "g-librdkafka-848"]
        equal(kind, ["Consumer"], "type of the group")
        more = exercise.write(b, name, records.make(t.random, 60, 6, start=120))
        same("Java's client going on", peers.java(peers.JAVA_NEW).consume(b, name, "g-librdkafka-848", 60, protocol="consumer"), more)
