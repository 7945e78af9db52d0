"""The wire itself: many requests at once, versions, and what no client sends."""

import json

import clients
from harness import equal, want
from scenarios.acks import topic

# Kafka's keys that the issue names, and the least of their versions.
SERVED = {
    "Produce": (0, 13), "Fetch": (0, 18), "ListOffsets": (0, 10), "Metadata": (0, 13), "OffsetCommit": (0, 9),
    "OffsetFetch": (0, 9), "FindCoordinator": (0, 6), "JoinGroup": (0, 9), "Heartbeat": (0, 4), "LeaveGroup": (0, 5),
    "SyncGroup": (0, 5), "DescribeGroups": (0, 6), "ListGroups": (0, 5), "ApiVersions": (0, 4),
    "CreateTopics": (0, 7), "DeleteTopics": (0, 6), "DeleteRecords": (0, 2), "InitProducerID": (0, 5),
    "OffsetForLeaderEpoch": (0, 4), "DescribeConfigs": (0, 4), "AlterConfigs": (0, 2), "CreatePartitions": (0, 3),
    "DeleteGroups": (0, 2), "IncrementalAlterConfigs": (0, 1), "DescribeCluster": (0, 2),
}


def run(t):
    b = t.broker
    with t.check("versions served"):
        served = {v["name"]: (v["min"], v["max"]) for v in b.peer("versions")}
        for name, (least, most) in SERVED.items():
            want(name in served, f"{name} is not served; there are {sorted(served)}")
            have = served[name]
            want(have[0] <= least and have[1] >= most, f"{name} is served from {have[0]} to {have[1]}, want {least} to {most}")
    with t.check("pipelined requests are answered in order"):
        topic(b, "pipelined")
        [got] = b.peer("pipelined", "-topic", "pipelined", "-n", "300")
        equal(clients.ends(b, "pipelined"), {0: got["produced"]}, "log end")
    with t.check("spoilt checksum is refused"):
        topic(b, "spoilt")
        request = {"version": 9, "acks": -1, "spoil_crc": True, "records": [{"value": "YQ=="}]}
        [a] = b.peer("raw", "-topic", "spoilt", stdin=json.dumps(request).encode())
        equal(a["code"], 2, "error code")
        equal(clients.ends(b, "spoilt"), {0: 0}, "log end")
    with t.check("acks that do not exist are refused"):
        request = {"version": 9, "acks": 2, "records": [{"value": "YQ=="}]}
        [a] = b.peer("raw", "-topic", "spoilt", stdin=json.dumps(request).encode())
        equal(a["code"], 21, "error code")
    with t.check("frames that no client sends"):
        got = b.peer("hostile", seconds=60)
        want(len(got) >= 10, f"only {len(got)} frames were sent")
