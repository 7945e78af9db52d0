"""@platformatic/kafka; kafkajs is among the clients of acks."""

import exercise
import peers


def run(t):
    b = t.broker
    p = peers.platformatic()
    exercise.produce(t, b, p)
    exercise.consume(t, b, p)
    exercise.consume(t, b, p, protocol="consumer")
    # It remembers one aborted transaction of a producer in an answer, so others read.
    exercise.transact(t, b, p, reads=False)
    exercise.share(t, b, p)
