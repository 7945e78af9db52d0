"""Kafka Streams as a streams group (KIP-1071), and Kafka's tool for those."""

import collections

import clients
import exercise
from harness import equal, want
from peers import background, tool
from records import BASE, Record, until
from scenarios.streams import WORDS, committed_records, last, progress

GROUPS = "streams.StreamsGroupCommand"


def run(t):
    b = t.broker
    word_count(t, b)


def described(b, group):
    """State and members of a group, as the tool says them."""
    lines = tool(b, GROUPS, "--describe", "--group", group, "--state")
    row = next(l for l in lines if l.startswith(group + " ")).split()
    return row[3], int(row[-1])


def word_count(t, b):
    group, source, to = "streams-group", "streams-group-lines", "streams-group-counts"
    counts = collections.Counter()
    apps = []

    def write(n):
        made = []
        for i in range(n):
            words = [t.random.choice(WORDS) for _ in range(4)]
            counts.update(words)
            made.append(Record(i % 3, None, BASE + i, None, " ".join(words).encode(), ()))
        exercise.write(b, source, made)

    def start(state):
        apps.append(background("WordCount", b.kafka, source, to, group, str(t.work / state), "streams"))

    def alive():
        return all(a.process.poll() is None for a in apps)

    def counted():
        until(lambda: last(b, to) == counts or not alive(), 150,
              lambda: f"counts are {dict(last(b, to))}, want {dict(counts)}: {[a.said[-400:] for a in apps]}")

    def settled(members):
        until(lambda: described(b, group) == ("Stable", members), 150, lambda: f"the group is {described(b, group)}: {[a.said[-400:] for a in apps]}")
    try:
        with t.check("a streams group: two instances count words exactly once", seconds=400):
            exercise.topic(b, source, 3), exercise.topic(b, to, 2)
            tool(b, "ConfigCommand", "--alter", "--entity-type", "groups", "--entity-name", group,
                 "--add-config", "streams.num.standby.replicas=1", package="kafka.admin.")
            start("streams-one")
            write(300)
            counted()
            start("streams-two")
            write(300)
            settled(4)
            write(300)
            counted()
        with t.check("the group is listed and described, its internal topics are there", seconds=180):
            listed = tool(b, GROUPS, "--list", "--state")
            want(any(l.split() == [group, "Stable"] for l in listed), f"listed: {listed}")
            members = tool(b, GROUPS, "--describe", "--group", group, "--members", "--verbose")
            assigned = [l.split("ACTIVE:", 1)[1].split("TARGET", 1)[0] for l in members if "ACTIVE:" in l]
            equal(len(assigned), 4, f"members of {members}")
            want(sum("STANDBY:" in a for a in assigned) >= 2, f"standbys of {members}")
            made = {n: len(clients.ends(b, n)) for n in tool(b, "TopicCommand", "--list") if n.startswith(group + "-counts-")}
            equal(made, {f"{group}-counts-repartition": 3, f"{group}-counts-changelog": 3}, "internal topics")
        with t.check("an instance is killed, and the other goes on exactly once", seconds=400):
            write(300)
            apps.pop(0).kill()
            write(300)
            settled(2)  # after a session of 45 s
            counted()
            seen = collections.defaultdict(list)
            for r in committed_records(b, to):
                seen[r.key.decode()].append(int(r.value))
            equal({w: v == list(range(1, counts[w] + 1)) for w, v in seen.items()}, {w: True for w in counts}, "each count from 1 to its last")
            want(progress(b, to) > sum(counts.values()), "no transaction left a marker")
        with t.check("the last instance leaves, and the group is deleted", seconds=180):
            apps.pop().leave()
            until(lambda: described(b, group) == ("Empty", 0), 120, lambda: f"the group is {described(b, group)}")
            out = tool(b, GROUPS, "--delete", "--group", group)
            want(any("successful" in l for l in out), f"deletion: {out}")
            want(not any(group in l.split() for l in tool(b, GROUPS, "--list")), "it is still there")
    finally:
        for a in apps:
            a.kill()
