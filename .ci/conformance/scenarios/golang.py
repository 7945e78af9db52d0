"""sarama and kafka-go; franz-go has scenarios of its own."""

import exercise
import peers


def run(t):
    b = t.broker
    new = peers.golang("sarama")
    exercise.produce(t, b, new)
    exercise.consume(t, b, new)
    exercise.transact(t, b, new)
    exercise.transform(t, b, new)
    exercise.share(t, b, new)
    # What it speaks to brokers of 0.11, and when nobody tells it a version.
    for version in ("0.11.0.0", "2.1.0", "2.8.0"):
        old = peers.golang("sarama", version)
        exercise.produce(t, b, old)
        exercise.consume(t, b, old, version=version)
    kafka_go = peers.golang("kafka-go")
    exercise.produce(t, b, kafka_go, idempotent=False)
    exercise.consume(t, b, kafka_go)
    exercise.share(t, b, kafka_go)
    exercise.share(t, b, new, kafka_go)
