"""Kafka's own command line tools, and what they did checked by other clients."""

import datetime
import json
import re
import time

import clients
import exercise
import records
from harness import equal, want
from peers import JAVA_NEW, java, tool
from records import same, until

GROUPS = "consumer.group.ConsumerGroupCommand"


def run(t):
    b = t.broker
    topics(t, b)
    configs(t, b)
    console(t, b)
    offsets(t, b)
    performance(t, b)
    groups(t, b)
    verifiable(t, b)
    transactions(t, b)
    cluster(t, b)
    limits(t, b)
    one_broker(t, b)
    connections(t, b)
    smaller(t, b)
    telemetry(t, b)


def fields(lines, first):
    """The rows of a table as dicts; first is how its head begins."""
    i = next((i for i, l in enumerate(lines) if l.strip().startswith(first)), None)
    want(i is not None, f"no table {first} … in {lines}")
    head, *rows = [l.split("\t") if "\t" in l else l.split() for l in lines[i:] if l.strip()]
    return [dict(zip([h.strip() for h in head], [c.strip() for c in r])) for r in rows]


def topics(t, b):
    with t.check("TopicCommand creates, describes, lists, adds partitions, deletes", seconds=90):
        tool(b, "TopicCommand", "--create", "--topic", "tools", "--partitions", "3", "--replication-factor", "1",
             "--config", "retention.ms=100000000")
        tool(b, "TopicCommand", "--create", "--topic", "tools-placed", "--replica-assignment", "1,1")
        said = tool(b, "TopicCommand", "--create", "--topic", "tools", ok=(1,))
        want("exists" in " ".join(said), f"creating it twice says {said}")
        listed = tool(b, "TopicCommand", "--list")
        want({"tools", "tools-placed"} <= set(listed), f"listed are {listed}")
        tool(b, "TopicCommand", "--alter", "--topic", "tools", "--partitions", "5")
        head, *parts = tool(b, "TopicCommand", "--describe", "--topic", "tools")
        for said in ("PartitionCount: 5", "ReplicationFactor: 1", "retention.ms=100000000"):
            want(said in head, f"no {said} in {head}")
        equal([re.findall(r"Partition: (\d+)\tLeader: (\d+)\tReplicas: (\d+)\tIsr: (\d+)", l) for l in parts],
              [[(str(i), "1", "1", "1")] for i in range(5)], "its partitions")
        equal(tool(b, "TopicCommand", "--describe", "--unavailable-partitions"), [], "unavailable partitions")
        equal(len(clients.ends(b, "tools-placed")), 2, "partitions of the one that was placed by hand")
        tool(b, "TopicCommand", "--delete", "--topic", "tools-placed")
        want("tools-placed" not in tool(b, "TopicCommand", "--list"), "it is still listed")


def configs(t, b):
    def config(*args, ok=(0,)):
        return tool(b, "ConfigCommand", *args, package="kafka.admin.", ok=ok)

    def described():
        return dict(re.findall(r"^\s+(\S+?)=(\S*) sensitive=", "\n".join(
            config("--describe", "--entity-type", "topics", "--entity-name", "tools")), re.M))
    with t.check("ConfigCommand sets, adds, takes away and describes", seconds=120):
        config("--alter", "--entity-type", "topics", "--entity-name", "tools",
               "--add-config", "max.message.bytes=2000000,cleanup.policy=[compact,delete]", "--delete-config", "retention.ms")
        got = described()
        equal((got.get("max.message.bytes"), got.get("cleanup.policy"), got.get("retention.ms")),
              ("2000000", "compact,delete", None), "configs")
        config("--alter", "--entity-type", "topics", "--entity-name", "tools", "--delete-config", "cleanup.policy")
        want("cleanup.policy" not in described(), "cleanup.policy is still there")
        config("--alter", "--entity-type", "topics", "--entity-name", "tools", "--add-config", "no.such.key=1", ok=(1,))
        want("no.such.key" not in described(), "an unknown key is there")
        all_of_it = config("--describe", "--all", "--entity-type", "topics", "--entity-name", "tools")
        want(any("retention.ms=604800000" in l for l in all_of_it), f"no default of retention.ms in {all_of_it}")
        broker = config("--describe", "--all", "--entity-type", "brokers", "--entity-name", "1")
        want(any(f"log.dirs={b.data} " in l for l in broker), f"the broker's directory is not in {broker}")


def console(t, b):
    with t.check("ConsoleProducer and ConsoleConsumer: keys, headers, nulls, timestamps"):
        name = exercise.topic(b, "console", 1)
        lines = ["h1:x,h2:\tkey\tvälue 1", "NULL\tNULL\tvalue 2", "h:ü\t\tNULL"]
        before = time.time() * 1000
        tool(b, "ConsoleProducer", "--topic", name, "--compression-codec=zstd", "--reader-property", "parse.key=true",
             "--reader-property", "parse.headers=true", "--reader-property", "null.marker=NULL",
             stdin="".join(l + "\n" for l in lines).encode())
        log = exercise.read(b, name, 3)
        equal([(r.offset, r.key, r.value, r.headers) for r in log],
              [(0, b"key", "välue 1".encode(), (("h1", b"x"), ("h2", b""))), (1, None, b"value 2", ()),
               (2, b"", None, (("h", "ü".encode()),))], "what came to lie in the log")
        show = [w for p in ("partition", "offset", "timestamp", "key", "headers") for w in ("--formatter-property", f"print.{p}=true")]
        got = [l for l in tool(b, "consumer.ConsoleConsumer", "--topic", name, "--from-beginning", "--max-messages", "3",
                               "--timeout-ms", "20000", *show) if l.startswith("CreateTime")]
        equal([l.split("\t") for l in got], [
            [f"CreateTime:{r.timestamp}", "Partition:0", f"Offset:{i}", h, k, v]
            for i, (r, (h, k, v)) in enumerate(zip(log, (("h1:x,h2:", "key", "välue 1"), ("NO_HEADERS", "null", "value 2"), ("h:ü", "", "null"))))
        ], "what ConsoleConsumer shows")
        want(all(before - 1000 <= r.timestamp <= time.time() * 1000 for r in log), f"timestamps {[r.timestamp for r in log]}")


def offsets(t, b):
    name = "tools-offsets"
    with t.check("GetOffsetShell by end, start, time and greatest timestamp", seconds=90):
        exercise.topic(b, name, 2)
        exercise.write(b, name, records.make(t.random, 20, 2))

        def shell(*args):
            return [tuple(map(int, l.rsplit(":", 2)[1:])) for l in tool(b, "GetOffsetShell", "--topic", name, *args)]
        equal(shell(), [(0, 10), (1, 10)], "ends")
        equal(shell("--time", "earliest"), [(0, 0), (1, 0)], "starts")
        equal(shell("--time", "max-timestamp"), [(0, 9), (1, 9)], "greatest timestamps")
        # Record i has a timestamp within the second i, and lies in partition i % 2.
        equal(shell("--time", str(records.BASE + 7000)), [(0, 4), (1, 3)], "by time")
        equal(shell("--partitions", "1", "--time", "latest"), [(1, 10)], "one partition")
    with t.check("DeleteRecordsCommand moves the start"):
        wish = t.work / "delete.json"
        wish.write_text(json.dumps({"version": 1, "partitions": [
            {"topic": name, "partition": 0, "offset": 4}, {"topic": name, "partition": 1, "offset": -1}]}))
        said = tool(b, "DeleteRecordsCommand", "--offset-json-file", str(wish))
        equal(sorted(l for l in said if "low_watermark" in l),
              [f"partition: {name}-0\tlow_watermark: 4", f"partition: {name}-1\tlow_watermark: 10"], "low watermarks")
        equal([(r.partition, r.offset) for r in exercise.read(b, name, 6)], [(0, i) for i in range(4, 10)], "what is left")
        wish.write_text(json.dumps({"version": 1, "partitions": [{"topic": name, "partition": 0, "offset": 11}]}))
        said = " ".join(tool(b, "DeleteRecordsCommand", "--offset-json-file", str(wish), ok=(0, 1)))
        want("OffsetOutOfRange" in said, f"an offset beyond the end: {said}")


def performance(t, b):
    n = 20000
    with t.check(f"ProducerPerformance and ConsumerPerformance: {n} records each", seconds=120):
        name = exercise.topic(b, "performance", 4)
        said = tool(b, "ProducerPerformance", "--topic", name, "--num-records", str(n), "--record-size", "200",
                    "--throughput", "-1", "--command-property", "compression.type=lz4")
        want(any(l.startswith(f"{n} records sent") for l in said), f"it says {said}")
        said = tool(b, "ProducerPerformance", "--topic", name, "--num-records", str(n), "--record-size", "200",
                    "--throughput", "-1", "--transactional-id", "performance", "--transaction-duration-ms", "50")
        want(any(l.startswith(f"{n} records sent") for l in said), f"in transactions it says {said}")
        log = exercise.read(b, name, 2 * n, "read_committed")
        want(all(len(r.value) == 200 for r in log), "a record is not of 200 bytes")
        head, row = [l.split(", ") for l in tool(b, "ConsumerPerformance", "--topic", name, "--num-records", str(2 * n))
                     if l.count(", ") > 5]
        # It counts whole polls.
        equal(dict(zip(head, row))["data.consumed.in.nMsg"], str(2 * n), "records consumed")


def groups(t, b):
    name, group = "tools-groups", "g-tools"

    def command(*args, ok=(0,)):
        return tool(b, GROUPS, *args, ok=ok)

    def lag():
        return {(int(r["PARTITION"]), int(r["CURRENT-OFFSET"]), int(r["LOG-END-OFFSET"]), int(r["LAG"]))
                for r in fields(command("--describe", "--group", group), "GROUP")}
    with t.check("ConsumerGroupCommand describes a group with a member, and one without", seconds=90):
        exercise.topic(b, name, 3)
        made = exercise.write(b, name, records.make(t.random, 30, 3))
        m = java(JAVA_NEW).member(b, name, group)
        try:
            until(lambda: len(m.records) == 30, 30, lambda: m.said[-300:])
            [row] = fields(command("--describe", "--group", group, "--members", "--verbose"), "GROUP")
            equal((row["HOST"], row["#PARTITIONS"]), ("/127.0.0.1", "3"), "its member")
            [row] = fields(command("--describe", "--group", group, "--state"), "GROUP")
            equal((row["STATE"], row["#MEMBERS"], row["ASSIGNMENT-STRATEGY"]), ("Stable", "1", "range"), "its state")
            equal(lag(), {(p, 10, 10, 0) for p in range(3)}, "offsets and lag")
            command("--reset-offsets", "--group", group, "--topic", name, "--to-earliest", "--execute", ok=(0, 1))
            equal(lag(), {(p, 10, 10, 0) for p in range(3)}, "offsets after a reset under a member")
            m.leave()
        finally:
            m.kill()
        same("its member", sorted(m.records, key=lambda r: (r.partition, r.offset)), made)
        listed = {r["GROUP"]: r["STATE"] for r in fields(command("--list", "--state"), "GROUP")}
        equal(listed.get(group), "Empty", "state in the list")
    with t.check("ConsumerGroupCommand resets offsets, deletes some and the group", seconds=90):
        reset = ("--reset-offsets", "--group", group, "--execute")
        command(*reset, "--topic", name, "--to-earliest")
        equal(lag(), {(p, 0, 10, 10) for p in range(3)}, "to the start")
        command(*reset, "--topic", f"{name}:1", "--shift-by", "4")
        command(*reset, "--topic", f"{name}:2", "--to-datetime",
                datetime.datetime.fromtimestamp(records.BASE / 1000 + 6, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000"))
        equal(lag(), {(0, 0, 10, 10), (1, 4, 10, 6), (2, 2, 10, 8)}, "by steps and by time")
        got = java(JAVA_NEW).consume(b, name, group, 24)
        equal(sorted((r.partition, r.offset) for r in got),
              [(0, i) for i in range(10)] + [(1, i) for i in range(4, 10)] + [(2, i) for i in range(2, 10)], "what is consumed then")
        command("--delete-offsets", "--group", group, "--topic", f"{name}:0")
        equal(exercise.committed(b, group, name), {0: -1001, 1: 10, 2: 10}, "offsets without those that were deleted")
        command("--delete", "--group", group)
        want(group not in command("--list"), "the group is still listed")


def verifiable(t, b):
    with t.check("VerifiableProducer and VerifiableConsumer agree with the log", seconds=90):
        name = exercise.topic(b, "verifiable", 3)
        events = [json.loads(l) for l in tool(b, "VerifiableProducer", "--topic", name, "--max-messages", "500",
                                              "--value-prefix", "7", "--repeating-keys", "5")]
        acked = {(e["partition"], e["offset"]): (e["key"], e["value"]) for e in events if e["name"] == "producer_send_success"}
        equal(len(acked), 500, "records acknowledged")
        log = {(r.partition, r.offset): (r.key.decode(), r.value.decode()) for r in exercise.read(b, name, 500)}
        equal(log, acked, "the log")
        equal(sorted(v for _, v in log.values()), sorted(f"7.{i}" for i in range(500)), "values")
        for protocol in ("classic", "consumer"):
            group = f"verifiable-{protocol}"
            events = [json.loads(l) for l in tool(b, "VerifiableConsumer", "--topic", name, "--group-id", group,
                                                  "--group-protocol", protocol, "--max-messages", "500", "--verbose", seconds=40)]
            got = [(e["partition"], e["offset"], e["value"]) for e in events if e["name"] == "record_data"]
            equal(sorted(got), sorted((p, o, v) for (p, o), (_, v) in log.items()), f"what it consumed, {protocol}")
            equal(exercise.committed(b, group, name), clients.ends(b, name), f"committed offsets, {protocol}")


def transactions(t, b):
    with t.check("TransactionalMessageCopier copies exactly once, aborting now and then", seconds=90):
        source, to = exercise.topic(b, "copier-source", 1), exercise.topic(b, "copier-target", 1)
        # It takes texts, and no headers.
        made = exercise.write(b, source, [r._replace(value=f"value {i}".encode())
                                          for i, r in enumerate(records.make(t.random, 500, 1, headers=False))])
        tool(b, "TransactionalMessageCopier", "--input-topic", source, "--input-partition", "0", "--output-topic", to,
             "--max-messages", "500", "--consumer-group", "copier", "--transactional-id", "copier",
             "--transaction-size", "37", "--enable-random-aborts", at="--broker-list")
        got = exercise.read(b, to, 500, "read_committed")
        equal([(r.key, r.value) for r in got], [(r.key, r.value) for r in made], "records of the copy")
        equal(exercise.committed(b, "copier", source), {0: 500}, "committed offsets")
    with t.check("TransactionsCommand lists, describes and aborts what hangs", seconds=120):
        hanging(t, b)


def hanging(t, b):
    """A producer dies in its transaction; the tool shows and ends it."""
    name = exercise.topic(b, "hanging", 1)
    made = records.make(t.random, 10, 1)
    script = "".join((s if isinstance(s, str) else records.line(s)) + "\n" for s in ("!open txn=hanging", "!begin", *made, "!flush"))
    m = records.Member([*java(JAVA_NEW).command, b.kafka, "produce", name], None)
    try:
        m.process.stdin.write(script.encode())
        m.process.stdin.flush()
        until(lambda: clients.ends(b, name) == {0: 10} or m.process.poll() is not None, 30, lambda: m.said[-300:])
    finally:
        m.kill()
    rows = {r["TransactionalId"]: r for r in fields(tool(b, "TransactionsCommand", "list"), "TransactionalId")}
    want("hanging" in rows, f"listed are {sorted(rows)}")
    equal(rows["hanging"]["TransactionState"], "Ongoing", "its state in the list")
    [row] = fields(tool(b, "TransactionsCommand", "describe", "--transactional-id", "hanging"), "CoordinatorId")
    equal((row["TransactionState"], row["TopicPartitions"]), ("Ongoing", "hanging-0"), "as described")
    [row] = fields(tool(b, "TransactionsCommand", "describe-producers", "--topic", name, "--partition", "0"), "ProducerId")
    equal((row["CurrentTransactionStartOffset"], row["LastSequence"]), ("0", "9"), "its producer")
    equal(exercise.read(b, name, 0, "read_committed"), [], "committed records while it hangs")
    tool(b, "TransactionsCommand", "abort", "--topic", name, "--partition", "0", "--start-offset", "0")
    [row] = fields(tool(b, "TransactionsCommand", "describe-producers", "--topic", name, "--partition", "0"), "ProducerId")
    equal(row["CurrentTransactionStartOffset"], "None", "its producer afterwards")
    more = exercise.write(b, name, records.make(t.random, 5, 1))
    same("read_committed afterwards", exercise.read(b, name, 5, "read_committed"), more)


def cluster(t, b):
    with t.check("ClientCompatibilityTest", seconds=90):
        tool(b, "ClientCompatibilityTest", "--topic", exercise.topic(b, "compatible", 1), "--num-cluster-nodes", "1",
             *[w for flag in ("offsets-for-times-supported", "cluster-id-supported", "create-topics-supported",
                              "describe-configs-supported", "describe-acls-supported", "idempotent-producer-supported") for w in (f"--{flag}", "true")],
             "--expect-record-too-large-exception", "false")
    with t.check("BrokerApiVersionsCommand, ClusterTool, FeatureCommand"):
        said = " ".join(tool(b, "BrokerApiVersionsCommand"))
        want("Produce(0): 0 to 13 [usable: 13]" in said, f"it says {said[:300]}")
        [line] = tool(b, "ClusterTool cluster-id")
        want(re.fullmatch(r"Cluster ID: \S{22}", line), f"it says {line}")
        said = " ".join(tool(b, "FeatureCommand", "describe"))
        want("transaction.version" in said, f"features are {said}")


def limits(t, b):
    def config(*args):
        return tool(b, "ConfigCommand", *args, package="kafka.admin.")

    with t.check("ConfigCommand sets quotas of clients, users, addresses; a producer keeps to its own", seconds=120):
        slow = ("--entity-type", "clients", "--entity-name", "slow")
        config("--alter", *slow, "--add-config", "producer_byte_rate=200000")
        config("--alter", "--entity-type", "users", "--entity-name", "alice", "--entity-type", "clients", "--entity-default",
               "--add-config", "consumer_byte_rate=2048")
        config("--alter", "--entity-type", "ips", "--entity-default", "--add-config", "connection_creation_rate=500")
        said = " ".join(config("--describe", *slow))
        want("producer_byte_rate=200000" in said, f"quotas of the client are {said}")
        said = " ".join(config("--describe", "--entity-type", "users", "--entity-name", "alice", "--entity-type", "clients"))
        want("consumer_byte_rate=2048" in said, f"quotas of the user are {said}")
        said = " ".join(config("--describe", "--entity-type", "ips"))
        want("connection_creation_rate=500" in said, f"quotas of addresses are {said}")
        name = exercise.topic(b, "limited", 1)
        # 3 MB: the first 2 MB are ten seconds' worth at once.
        seconds = timed_produce(b, name, 300, "slow")
        want(seconds > 4, f"3 MB at 200 kB a second took {seconds:.1f} s")
        config("--alter", *slow, "--delete-config", "producer_byte_rate")
        config("--alter", "--entity-type", "users", "--entity-name", "alice", "--entity-type", "clients", "--entity-default",
               "--delete-config", "consumer_byte_rate")
        config("--alter", "--entity-type", "ips", "--entity-default", "--delete-config", "connection_creation_rate")
        equal(" ".join(config("--describe", *slow)).count("producer_byte_rate"), 0, "quotas left")
        equal(len(exercise.read(b, name, 300)), 300, "records of the slow producer")


def timed_produce(b, name, n, client):
    """Seconds that ProducerPerformance says it took for n records of 10 kB."""
    said = tool(b, "ProducerPerformance", "--topic", name, "--num-records", str(n), "--record-size", "10000",
                "--throughput", "-1", "--command-property", f"client.id={client}")
    last = [l for l in said if l.startswith(f"{n} records sent")][-1]
    return n / float(re.search(r", ([\d.]+) records/sec", last)[1])


def one_broker(t, b):
    with t.check("LeaderElectionCommand, ReassignPartitionsCommand and FeatureCommand with one broker", seconds=120):
        name = exercise.topic(b, "placed", 2)
        tool(b, "LeaderElectionCommand", "--election-type", "preferred", "--all-topic-partitions")
        said = " ".join(tool(b, "LeaderElectionCommand", "--election-type", "preferred", "--topic", name, "--partition", "1"))
        want("already elected" in said, f"an election says {said}")
        plan = t.work / "reassign.json"
        plan.write_text(json.dumps({"version": 1, "partitions": [{"topic": name, "partition": 0, "replicas": [1]}]}))
        said = " ".join(tool(b, "reassign.ReassignPartitionsCommand", "--reassignment-json-file", str(plan), "--execute"))
        want("Successfully started" in said, f"it says {said}")
        said = " ".join(tool(b, "reassign.ReassignPartitionsCommand", "--reassignment-json-file", str(plan), "--verify"))
        want("is completed" in said, f"it says {said}")
        said = " ".join(tool(b, "reassign.ReassignPartitionsCommand", "--list"))
        want("No partition reassignments" in said, f"it says {said}")
        tool(b, "FeatureCommand", "upgrade", "--feature", "transaction.version=2")
        said = " ".join(tool(b, "FeatureCommand", "downgrade", "--feature", "transaction.version=1", ok=(1,)))
        want("Could not downgrade" in said, f"it says {said}")


def connections(t, b):
    def config(*args, ok=(0,)):
        return " ".join(tool(b, "ConfigCommand", "--entity-type", "brokers", *args, package="kafka.admin.", ok=ok))

    with t.check("ConfigCommand limits connections while the broker runs, and takes it back", seconds=120):
        everybody, one = ("--entity-default",), ("--entity-name", "1")
        config("--alter", *everybody, "--add-config", "max.connections=400")
        config("--alter", *one, "--add-config", "max.connections=300,max.connections.per.ip.overrides=[10.9.8.7:5,10.9.8.6:6]")
        want("max.connections=400" in config("--describe", *everybody), "what is set for all is not shown")
        said = config("--describe", *one)
        for part in ("max.connections=300 ", "max.connections.per.ip.overrides=10.9.8.7:5,10.9.8.6:6 ",
                     "DYNAMIC_BROKER_CONFIG:max.connections=300, DYNAMIC_DEFAULT_BROKER_CONFIG:max.connections=400"):
            want(part in said, f"{part} is not in {said}")
        said = config("--alter", *one, "--add-config", "max.connections=none", ok=(1,))
        config("--alter", *one, "--delete-config", "max.connections,max.connections.per.ip.overrides")
        config("--alter", *everybody, "--delete-config", "max.connections")
        want("max.connections" not in config("--describe", *one), "limits are left")


def smaller(t, b):
    with t.check("LogDirsCommand, ClusterTool, EndToEndLatency, StreamsResetter", seconds=120):
        name = exercise.topic(b, "smaller", 2)
        said = tool(b, "EndToEndLatency", "--topic", name, "--num-records", "200", "--producer-acks", "all", "--record-size", "100")
        want(any(l.startswith("Avg latency:") for l in said), f"it says {said}")
        equal(len(exercise.read(b, name, 200)), 200, "records of EndToEndLatency")
        [line] = [l for l in tool(b, "LogDirsCommand", "--describe", "--topic-list", name) if l.startswith("{")]
        [place] = json.loads(line)["brokers"][0]["logDirs"]
        sizes = {p["partition"]: p["size"] for p in place["partitions"]}
        equal(sorted(sizes), [f"{name}-0", f"{name}-1"], "partitions in the directory")
        want(sum(sizes.values()) > 200 * 100, f"sizes are {sizes}")
        want(" unfenced " in " ".join(tool(b, "ClusterTool list-endpoints")), "no broker is listed")
        said = " ".join(tool(b, "StreamsResetter", "--application-id", "never-ran", "--input-topics", name))
        want(f"Topic: {name} Partition: 0 Offset: 0" in said and "Done." in said, f"it says {said}")


def telemetry(t, b):
    def command(*args):
        return " ".join(tool(b, "ClientMetricsCommand", *args))

    def pushed(client):
        return [r for r in json.loads(b.tarn("client", "metrics", "--client", client, "--output", "json"))["items"] if r["value"] != "-"]
    with t.check("ClientMetricsCommand subscribes; Java's producer and librdkafka push what they are asked for", seconds=120):
        command("--alter", "--name", "own", "--metrics", "org.apache.kafka.producer.", "--interval", "500", "--match", "client_id=told-.*")
        said = command("--describe", "--name", "own")
        want("metrics=org.apache.kafka.producer." in said and "match=client_id=told-.*" in said, f"it is {said}")
        name = exercise.topic(b, "pushed", 1)
        for client in ("told-java", "untold-java"):
            tool(b, "ProducerPerformance", "--topic", name, "--num-records", "300", "--record-size", "100", "--throughput", "100",
                 "--command-property", f"client.id={client}")
        p = clients.producer(b, client_id="told-rdkafka")
        clients.deliver(p, name, [{"value": b"x"}] * 10)
        until(lambda: pushed("told-rdkafka"), 60, "librdkafka has not pushed")
        for client, software in (("told-java", "apache-kafka-java"), ("told-rdkafka", "rdkafka")):
            got = pushed(client)
            want(got and all(software in r["software"] and r["metric"].startswith("org.apache.kafka.producer.") for r in got),
                 f"{client} pushed {got}")
        total = [r["value"] for r in pushed("told-java") if r["metric"].endswith("producer.record.send.total")]
        # The push at the end is sent as the producer closes, and may not get through.
        want(total and 0 < float(total[0]) <= 300, f"records sent, as the producer says, are {total}")
        equal(pushed("untold-java"), [], "what was pushed without a subscription")
        command("--delete", "--name", "own")
        want("own" not in command("--list"), "the subscription is still listed")
