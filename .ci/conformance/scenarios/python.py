"""aiokafka, kafka-python, and librdkafkas of old."""

import exercise
import peers


def run(t):
    b = t.broker
    for client in ("aiokafka", "kafka-python"):
        p = peers.python(client)
        exercise.produce(t, b, p)
        exercise.consume(t, b, p)
        exercise.transact(t, b, p)
        exercise.transform(t, b, p)
        exercise.share(t, b, p)
    for version in ("0.11.6", "1.0.1", "1.4.2"):
        p = peers.librdkafka(version)
        exercise.produce(t, b, p, idempotent=version >= "1")
        exercise.consume(t, b, p)
        if version >= "1.4":
            # Before 1.6 it showed compressed records of aborted transactions.
            p.codecs = ("none",)
            exercise.transact(t, b, p)
        exercise.share(t, b, p)
