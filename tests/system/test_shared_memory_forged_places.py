"""Whoever lies about where a message lies is refused and counted; no byte is read that was not offered."""

from __future__ import annotations

import itertools
import os
import random
import socket
import sys
import threading
import time

import msgpack
import pytest

import ipcpy as ipc
from attacking import without_key
from forged import ENTRIES, PLACE, PLACED, TABLE, Scene, Segment
from ipcpy.protocol.wire import pack_frame
from lan_process import wait_until
from large import all_let_go

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="shared memory is for Linux only"),
    pytest.mark.timeout(120),
    without_key,
]
SIZE = 1 << 20
TOP = 1 << 64
BOMBS = (b"\xdd" + b"\xff" * 7, b"\xc6\xff\xff\xff\xff000", bytes(8))  # msgpack: of endless length, or nothing


@pytest.fixture
def scene(spawn):
    scene = Scene(spawn)
    scene.segment = Segment(scene.forger, SIZE)
    yield scene
    scene.segment.close()
    scene.close()


def received(scene):
    books = scene.victim.stats()
    return books["topics"].get("t/forged", [0])[0]


def dropped(scene):
    causes = scene.victim.stats()["dropped"]
    return causes.get("memory", 0) + causes.get("malformed", 0)


def says_something_right(scene):
    before = received(scene)
    place = scene.forger.seq % 20  # the victim holds the last two messages: not the same entry and bytes again
    scene.segment.say(100 + place, TABLE + 100_000 + 40_000 * place)
    wait_until(lambda: received(scene) == before + 1)


LIES = {
    "a segment that was never offered": lambda generation: (1, 0, generation, TABLE, 40_000),
    "the last segment that there can be": lambda generation: ((1 << 32) - 1, 0, generation, TABLE, 40_000),
    "an entry beyond the table": lambda generation: (0, ENTRIES, generation, TABLE, 40_000),
    "the last entry that there can be": lambda generation: (0, (1 << 32) - 1, generation, TABLE, 40_000),
    "generation 0": lambda generation: (0, 1, 0, TABLE, 40_000),
    "a generation that the ledger cannot note": lambda generation: (0, 0, TOP // 2, TABLE, 40_000),
    "the last generation that there can be": lambda generation: (0, 0, TOP - 1, TABLE, 40_000),
    "the end of the segment": lambda generation: (0, 0, generation, SIZE, 40_000),
    "one byte too many": lambda generation: (0, 0, generation, SIZE - 40_000, 40_001),
    "beyond the segment": lambda generation: (0, 0, generation, 10 * SIZE, 40_000),
    "a size that comes round to the beginning": lambda generation: (0, 0, generation, TABLE, TOP - TABLE + 1),
    "an offset that comes round to the beginning": lambda generation: (0, 0, generation, TOP - 40_000, 40_000 + TABLE),
    "all that there can be": lambda generation: (0, 0, generation, TOP - 1, TOP - 1),
    "more than a message may have": lambda generation: (0, 0, generation, TABLE, (64 << 20) + 1),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_counted_and_delivers_nothing(scene, lie):
    says_something_right(scene)
    before = received(scene)
    for number in range(1, 4):
        generation = scene.segment.write(0, TABLE, 40_000, scene.forger.seq + 1)
        scene.forger.place(*LIES[lie](generation))
        wait_until(lambda number=number: dropped(scene) == number)
    assert received(scene) == before
    says_something_right(scene)
    scene.goes_on()


def test_frames_of_another_shape_are_malformed(scene):
    for number, size in enumerate((0, 31, 33, 1_000), 1):
        scene.forger.place(body=bytes(size))
        wait_until(lambda number=number: scene.victim.stats()["dropped"].get("malformed") == number)
    generation = scene.segment.write(0, TABLE, 40_000, scene.forger.seq + 1)
    scene.forger.place(0, 0, generation, TABLE, 40_000, codec=2)
    wait_until(lambda: scene.victim.stats()["dropped"].get("malformed") == 5)
    assert received(scene) == 0
    scene.goes_on()


def test_what_lies_there_no_more_is_lost(scene):
    says_something_right(scene)
    before = scene.victim.stats()["topics"]["t/forged"][1]
    generation = scene.segment.write(0, TABLE, 40_000, scene.forger.seq + 1)
    scene.segment.table[0] = 0
    scene.forger.place(0, 0, generation, TABLE, 40_000)
    generation = scene.segment.write(0, TABLE, 40_000, scene.forger.seq + 1)
    scene.segment.table[0] = generation + 1
    scene.forger.place(0, 0, generation, TABLE, 40_000)
    says_something_right(scene)
    wait_until(lambda: scene.victim.stats()["topics"]["t/forged"][:2] == [2, before + 2])
    assert scene.segment.ledger[0] % 2 == 0, "it holds nothing there"


def test_a_place_said_again_is_not_taken_again(scene):
    generation = scene.segment.say()
    wait_until(lambda: received(scene) == 1)
    seq = scene.forger.seq
    for _ in range(10):
        scene.forger.place(0, 0, generation, TABLE, 40_000, seq=seq)  # a copy
        scene.forger.place(0, 0, generation, TABLE, 40_000)  # or said to be another message
    for _ in range(3):
        says_something_right(scene)  # its window of two held messages moves on
    scene.forger.place(0, 0, generation, TABLE, 40_000)
    says_something_right(scene)
    assert received(scene) == 5
    scene.goes_on()


def test_an_entry_whose_message_is_held_is_not_taken_over(scene):
    scene.victim.ask("hold", "all")
    first = scene.segment.say(3, TABLE)
    wait_until(lambda: received(scene) == 1)
    scene.segment.say(3, TABLE + 50_000)  # an honest publisher would have waited
    says_something_right(scene)
    assert received(scene) == 2
    assert scene.segment.ledger[3] == 2 * first + 1
    scene.victim.ask("hold", 0)
    wait_until(lambda: scene.segment.ledger[3] == 2 * first)
    scene.segment.say(3, TABLE)
    wait_until(lambda: received(scene) == 3)


def test_messages_that_overlap_one_another_or_the_table_harm_the_liar_alone(scene):
    scene.victim.ask("hold", 5)
    for entry in range(20):
        scene.segment.say(entry, TABLE + 1_000 * entry)
    generation = scene.segment.write(30, TABLE, 40_000, scene.forger.seq + 1)
    scene.forger.place(0, 30, generation, 0, 40_000)  # the table itself
    scene.forger.place(0, 31, generation, 0, SIZE)
    wait_until(lambda: received(scene) >= 20)
    books = scene.victim.stats()["topics"]["t/honest"]
    scene.honest.ask("publish", 3, answer="published")
    wait_until(lambda: scene.victim.stats()["topics"]["t/honest"] == [books[0] + 3, 0, books[2] + 3])


def test_frames_from_elsewhere_count_for_nothing(scene):
    generation = scene.segment.write(0, TABLE, 40_000, scene.forger.seq + 1)
    place = PLACE.pack(0, 0, generation, TABLE, 40_000)
    frame = pack_frame(PLACED, scene.forger.number, scene.forger.seq + 1, 5, place)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(frame, scene.forger.socket.getpeername())
    wait_until(lambda: scene.victim.stats()["dropped"].get("source", 0) >= 1)
    assert received(scene) == 0
    says_something_right(scene)


def test_any_fields_at_all(scene):
    dice = random.Random(5)
    edges = [0, 1, 2, TABLE - 1, TABLE, TABLE + 1, SIZE - 1, SIZE, SIZE + 1, 1 << 31, 1 << 32, TOP // 2, TOP - 1]

    def anything(most):
        return min(dice.choice([*edges, dice.randrange(most), dice.randrange(SIZE), scene.forger.generation]), most)

    for number in range(3_000):
        if number % 3 == 0:
            scene.segment.table[dice.randrange(ENTRIES)] = anything(TOP - 1)
        where = (dice.choice((0, 0, 0, 1, anything((1 << 32) - 1))), anything((1 << 32) - 1))
        scene.forger.place(*where, anything(TOP - 1), anything(TOP - 1), anything(TOP - 1))
        if number % 500 == 0:
            wait_until(lambda: scene.victim.stats()["taken"] >= 0)  # it answers
    assert scene.victim.process.running
    before = scene.victim.stats()["topics"]["t/honest"]
    scene.honest.ask("publish", 3, answer="published")
    wait_until(lambda: scene.victim.stats()["topics"]["t/honest"] == [before[0] + 3, 0, before[2] + 3])
    scene.victim.ask("hold", 0)
    scene.node.close()
    all_let_go(scene.victim.pid, scene.before, more=1)


def test_what_is_written_to_while_it_is_decoded_kills_nobody(spawn):
    numpy = pytest.importorskip("numpy")
    scene = Scene(spawn, ipc.MsgPack())
    segment = Segment(scene.forger, 4 << 20)
    over = threading.Event()
    bodies = [
        msgpack.packb([{"n": number, "text": "tëxt" * 5, "x": [1.5] * 3} for number in range(1_500)]),
        ipc.MsgPack().encode(numpy.arange(50_000.0)),
        msgpack.packb({f"key {number}": "ü" * 40 for number in range(800)}),
    ]
    bodies = [b"".join(bytes(part) for part in body) if isinstance(body, list) else bytes(body) for body in bodies]

    def scribble():
        dice = random.Random(3)
        while not over.is_set():
            at = TABLE + dice.randrange(100_000)
            segment.memory[at : at + 8] = dice.choice(BOMBS)

    scribbler = threading.Thread(target=scribble)
    scribbler.start()
    try:
        end = time.monotonic() + 20
        for number in itertools.count():
            if time.monotonic() > end:
                break
            body = bodies[number % 3] + bytes(40_000)
            scene.forger.generation += 1
            segment.memory[TABLE : TABLE + len(body)] = body
            segment.table[number % ENTRIES] = scene.forger.generation
            scene.forger.place(0, number % ENTRIES, scene.forger.generation, TABLE, len(bodies[number % 3]))
            time.sleep(0.001)
    finally:
        over.set()
        scribbler.join()
    books = scene.victim.stats()["topics"]
    assert sum(books["t/forged"][:2]) > 100
    before = books["t/honest"]
    scene.honest.ask("publish", 3, answer="published")
    wait_until(lambda: scene.victim.stats()["topics"]["t/honest"] == [before[0] + 3, 0, before[2] + 3])
    segment.close()
    scene.node.close()
    scene.forger.close()
    scene.victim.process.send_line("end")
    scene.victim.process.succeed()
    assert "cannot be decoded" in scene.victim.process.stderr and "Traceback" not in scene.victim.process.stderr


def test_nobody_can_take_the_memory_away_again(scene):
    """The kernel keeps what was sealed; and what was closed stays mapped for who reads it."""
    scene.victim.ask("hold", "all")
    scene.segment.say()
    wait_until(lambda: received(scene) == 1)
    with pytest.raises(PermissionError):
        os.ftruncate(scene.segment.descriptor, 0)
    scene.segment.connection.close()
    assert scene.victim.ask("look")[1] == "[]"
    scene.goes_on()
