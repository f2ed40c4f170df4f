from __future__ import annotations

import threading

import pytest

import ipcpy as ipc
from ipcpy.bridges.adapter import Unsent
from ipcpy.bridges.exports import Export, Lane
from ipcpy.bridges.offers import Offer, Parcel
from ipcpy.bridges.rules import Limits
from sites import wait_until


def offer(publisher: str, **more) -> Offer:
    return Offer(publisher, "imu", "raw", path=("cd" * 8,), **more)


def message(seq: int, body: bytes = b"x") -> ipc.Message:
    return ipc.Message(body, "imu", seq, 7, 8, "ab" * 8)


class Engine:
    """An adapter that keeps what it is sent."""

    engine = "test"

    def __init__(self) -> None:
        self.sent: list[Parcel] = []
        self.open = threading.Event()
        self.open.set()
        self.fails = ""

    def room(self, key, timeout: float) -> bool:
        return self.open.wait(timeout)

    def send(self, key, parcel: Parcel) -> None:
        self.open.wait(30)
        if self.fails:
            raise Unsent(self.fails)
        self.sent.append(parcel)


def test_a_parcel_says_how_many_were_left_out_before_it() -> None:
    export = Export(offer("ab" * 8), "imu")
    assert export.begin(5).seq == 5
    assert (export.begun, export.beginning().seq) == (True, 5)
    first = export.parcel(message(7))
    assert first.skipped == 2
    export.went(first, 1)
    assert export.parcel(message(8)).skipped == 0


def test_a_latched_publisher_keeps_its_last_messages_until_nobody_wants_it() -> None:
    export = Export(offer("ab" * 8, keep=2), "imu")
    export.begin(1)
    for seq in (1, 2, 3):
        export.parcel(message(seq, bytes([seq])))
    kept = export.beginning()
    assert (kept.seq, [(each.seq, each.body) for each in kept.kept]) == (4, [(2, b"\2"), (3, b"\3")])
    export.rest()
    assert (export.beginning().seq, export.beginning().kept, export.begun) == (0, (), False)


@pytest.fixture
def lane():
    """What makes a lane with an engine, and a publisher whose messages it takes."""
    made = []
    with ipc.Node("pub", interfaces="lo") as here, ipc.Node("bridge", interfaces="lo") as there:

        def make(*, reliable: bool = False, limits: Limits = Limits()):  # noqa: B008
            pub, engine = ipc.Publisher("imu", ipc.Raw(), reliable=reliable, node=here), Engine()
            export = Export(offer(pub.id, reliable=reliable), "imu")
            made.append(Lane(export, limits=limits, adapter=engine, node=there))
            pub.wait_for_subscribers(timeout=20)
            return pub, engine, export

        yield make
        for each in made:
            each.close()


def test_it_begins_with_the_number_of_the_first_message_and_then_all_follow(lane) -> None:
    pub, engine, export = lane()
    wait_until(lambda: engine.sent)
    assert (engine.sent[0].body, engine.sent[0].seq) == (None, 1)
    for n in range(5):
        pub.publish(bytes([n]))
    wait_until(lambda: len(engine.sent) == 6)
    assert [(each.seq, bytes(each.body)) for each in engine.sent[1:]] == [(n + 1, bytes([n])) for n in range(5)]
    assert (export.stats({}).sent, export.stats({}).bytes) == (5, 5)


def test_what_does_not_go_out_is_counted_by_its_cause(lane) -> None:
    pub, engine, export = lane()
    wait_until(lambda: engine.sent)
    engine.fails = "too large"
    pub.publish(b"1")
    wait_until(lambda: export.stats({}).left_out == {"too large": 1})
    engine.fails = ""
    pub.publish(b"2")
    wait_until(lambda: len(engine.sent) == 2)
    assert engine.sent[1].skipped == 1


def test_what_did_not_even_reach_the_bridge_is_in_its_books(lane) -> None:
    pub, engine, export = lane()
    wait_until(lambda: engine.sent)
    engine.fails = "too large"
    pub.publish(b"1")
    wait_until(lambda: export.stats({}).left_out)
    assert export.stats({"network": 2}).left_out == {"network": 2, "too large": 1}


def test_a_reliable_topic_waits_for_the_engine_and_nobody_waits_who_publishes(lane) -> None:
    pub, engine, export = lane(reliable=True)
    wait_until(lambda: engine.sent)
    engine.open.clear()
    for n in range(200):
        pub.publish(bytes([n]))
    engine.open.set()
    wait_until(lambda: len(engine.sent) == 201, timeout=20)
    assert [each.seq for each in engine.sent[1:]] == list(range(1, 201))
    assert export.stats({}).left_out == {}
