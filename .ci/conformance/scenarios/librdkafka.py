"""librdkafka through C, Debian's and a newer one, and through its Go binding;
acks, python and security have it through Python, and through kcat."""

import exercise
import peers


def run(t):
    b = t.broker
    for p in (peers.c("debian"), peers.c("vendored"), peers.golang("confluent-kafka-go")):
        exercise.produce(t, b, p)
        exercise.consume(t, b, p)
        exercise.transact(t, b, p)
        exercise.transform(t, b, p)
        exercise.share(t, b, p)
    # Debian's knows classic groups only.
    for p in (peers.c("vendored"), peers.golang("confluent-kafka-go")):
        exercise.consume(t, b, p, protocol="consumer")
        exercise.share(t, b, p, protocol="consumer")
    exercise.share(t, b, peers.c("debian"), peers.c("vendored"))
