"""Python clients as peers; records.py says what peers read and write.

    peer.py aiokafka|kafka-python|librdkafka ADDRESS COMMAND TOPIC [setting=value ...]

A client is a module here with Producer(address, topic, settings) and
Consumer(address, topic, settings).
"""

import importlib
import sys
import threading
import time

import records

SILENCE = 60


def parse_settings(words):
    return dict(w.split("=", 1) for w in words)


def produce(client, address, topic):
    producer, places = None, []
    for l in sys.stdin.read().splitlines():
        word, *rest = l.split(" ")
        if word == "!open":
            if producer:
                producer.close()
            producer = client.Producer(address, topic, parse_settings(rest))
        elif word == "!begin":
            producer.begin()
        elif word == "!flush":
            producer.flush()
        elif word == "!commit":
            producer.commit()
        elif word == "!abort":
            producer.flush()
            producer.abort()
        else:
            [r] = records.parse((l + "\n").encode())
            places.append(producer.send(r))
    producer.close()
    for place in places:
        print(*place(), sep="\t")


def show(got):
    for r in got:
        print(records.line(r))
    sys.stdout.flush()


def consume(client, address, topic, settings):
    c = client.Consumer(address, topic, settings)
    left, end = int(settings["n"]), time.monotonic() + SILENCE
    while left > 0:
        got = c.poll()
        show(got)
        left -= len(got)
        if got:
            end = time.monotonic() + SILENCE
        elif time.monotonic() > end:
            sys.exit(f"{left} records are missing, then silence")
    c.commit()
    c.close()


def member(client, address, topic, settings):
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    c = client.Consumer(address, topic, settings)
    while not ended.is_set():
        got = c.poll()
        if got:
            c.commit()
            show(got)
    c.close()


def transform(client, address, topic, settings):
    c = client.Consumer(address, topic, {**settings, "isolation": "read_committed"})
    p = client.Producer(address, settings["to"], settings)
    left, rounds, end = int(settings["n"]), 0, time.monotonic() + SILENCE
    while left > 0:
        got = c.poll()
        if not got:
            if time.monotonic() > end:
                sys.exit(f"{left} records are missing, then silence")
            continue
        p.begin()
        first, following = {}, {}
        for r in got:
            p.send(r)
            first.setdefault(r.partition, r.offset)
            following[r.partition] = r.offset + 1
        p.offsets(c, following)
        if rounds % 2 == 0:
            p.flush()
            p.abort()
            for partition, offset in first.items():
                c.seek(partition, offset)
        else:
            p.commit()
            left -= len(got)
            end = time.monotonic() + SILENCE
        rounds += 1
    p.close()
    c.close()


def main():
    name, address, command, topic, *words = sys.argv[1:]
    client = importlib.import_module("with_" + name.replace("-", "_"))
    if command == "produce":
        produce(client, address, topic)
    else:
        {"consume": consume, "member": member, "transform": transform}[command](client, address, topic, parse_settings(words))


main()
