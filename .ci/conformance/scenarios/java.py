"""Kafka's Java client, from 2017's to the newest."""

import exercise
import peers


def run(t):
    b = t.broker
    for version in (*peers.JAVA_OLD, peers.JAVA_NEW):
        p = peers.java(version)
        exercise.produce(t, b, p)
        exercise.consume(t, b, p)
        exercise.transact(t, b, p)
        exercise.transform(t, b, p)
    new = peers.java(peers.JAVA_NEW)
    exercise.share(t, b, new)
    exercise.share(t, b, new, assignor="CooperativeStickyAssignor")
    exercise.share(t, b, peers.java("2.0.1"), new, assignor="RoundRobinAssignor")
