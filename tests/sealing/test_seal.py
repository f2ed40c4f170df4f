"""sealing.seal: one life of a node; its age, its keys, and its end in a forked child."""

from __future__ import annotations

import os
import random
import threading
import time

import pytest

from ipcpy.sealing import seal as module
from ipcpy.sealing.datagram import HEAD, TICK
from ipcpy.sealing.seal import AHEAD, MAKE_UP, Seal, uptime
from sealing import keyring, two_lives

OTHER = b"another key, of thirty-two bytes"


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def age_of(datagram: bytes) -> int:
    return HEAD.unpack_from(datagram)[4]


def test_each_life_has_a_session_of_its_own():
    assert len({Seal(keyring()).session for _ in range(100)}) == 100


def test_what_is_random_can_be_given():
    dice = random.Random(7)
    one, other = Seal(keyring(), Clock(), dice.randbytes), Seal(keyring(), Clock(), random.Random(7).randbytes)
    assert one.session == other.session and one.challenges.mine() == other.challenges.mine()
    assert one.sealer(5).seal(b"x") == other.sealer(5).seal(b"x")


def test_it_says_how_old_it_is_once_the_link_has_said_a_word():
    clock = Clock()
    seal = Seal(keyring(), clock)
    sealer, link = seal.sealer(), seal.link()
    clock.now += 3 * TICK
    assert age_of(sealer.seal(b"")) == 0
    assert age_of(link.seal(b"", None)) == 3 == age_of(sealer.seal(b""))
    clock.now += TICK - 0.1
    assert age_of(link.seal(b"", None)) == 3


def test_after_a_long_pause_it_ages_in_steps_so_that_what_is_on_its_way_is_not_too_old():
    clock = Clock()
    seal = Seal(keyring(), clock)
    link = seal.link()
    clock.now += 20 * TICK
    assert [age_of(link.seal(b"", None)) for _ in range(4)] == [MAKE_UP, 2 * MAKE_UP, 20, 20]


def test_the_clock_goes_on_while_the_computer_sleeps_where_there_is_one(monkeypatch):
    before = uptime()
    assert before <= uptime()
    monkeypatch.setattr(module, "_CLOCK", None)
    before = time.monotonic()
    assert before <= uptime() <= time.monotonic()


def test_keys_that_are_replaced_seal_and_open_at_once_where_the_old_one_is_gone():
    seal = Seal(keyring(), Clock())
    sealer, opener = seal.sealer(9), seal.opener(9)
    held = sealer.seal(b"old")
    seal.keyring = keyring(OTHER)
    assert seal.keyring == keyring(OTHER)
    sealed = sealer.seal(b"new")
    assert sealed[16:20] == keyring(OTHER).first.id
    assert opener.open(sealed) == b"new" and opener.open(held) == b""
    assert seal.refused == {"key": 1}


def test_keys_in_another_order_change_nothing_for_who_has_both():
    clock = Clock()
    keys = keyring(), keyring(OTHER)
    seal = Seal(keys[0], clock)
    sealer, link = seal.sealer(9), seal.link()
    seal.keyring = keyring(keys[0].first.secret, OTHER)
    clock.now += 2 * AHEAD
    link.seal(b"", None)
    assert sealer.seal(b"")[16:20] == keys[0].first.id
    seal.keyring = keyring(OTHER, keys[0].first.secret)
    seal.keyring = keyring(keys[0].first.secret, OTHER)  # back again before it went over
    clock.now += 2 * AHEAD
    assert link.seal(b"", None)[16:20] == sealer.seal(b"")[16:20] == keys[0].first.id


def test_numbers_go_on_under_another_key():
    seal = Seal(keyring())
    sealer = seal.sealer()
    numbers = [HEAD.unpack_from(sealer.seal(b""))[2]]
    seal.keyring = keyring(OTHER)
    numbers.append(HEAD.unpack_from(sealer.seal(b""))[2])
    assert numbers[1] == numbers[0] + 1


def test_what_has_ended_seals_nothing():
    one, other = two_lives()
    sealer, link = one.sealer(5), one.link()
    opened = other.sealer(5).seal(b"text")
    one.end()
    for seal in (lambda: sealer.seal(b""), lambda: sealer.seal_to(b"", 5), lambda: link.seal(b"", None)):
        with pytest.raises(OSError, match="forked process"):
            seal()
    one.keyring = keyring(OTHER)
    one.grow_older()
    with pytest.raises(OSError, match="forked process"):
        sealer.seal(b"")
    assert other.opener(5) and one.opener(5).open(opened) == b""  # its key is gone


def test_a_fork_that_python_does_not_see_ends_it_at_the_link_s_next_word(monkeypatch):
    seal = Seal(keyring())
    sealer, link = seal.sealer(), seal.link()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(OSError, match="forked process"):
        seal.sealer()
    with pytest.raises(OSError, match="forked process"):
        link.seal(b"", None)
    with pytest.raises(OSError, match="forked process"):
        sealer.seal(b"")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_in_forked_children_nothing_is_sealed_while_the_parent_goes_on():
    seal = Seal(keyring())
    sealer, sent, stop = seal.sealer(), [], threading.Event()

    def send() -> None:
        while not stop.is_set() and len(sent) < 200_000:
            sent.append(sealer.seal(b"parent"))

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        codes = []
        for _ in range(20):
            child = os.fork()
            if child == 0:
                try:
                    sealer.seal(b"child")
                    os._exit(1)
                except OSError:
                    os._exit(7)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert codes == [7] * 20
    assert len({HEAD.unpack_from(each)[2] for each in sent}) == len(sent) > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_a_life_that_begins_in_a_forked_child_seals():
    Seal(keyring())
    child = os.fork()
    if child == 0:
        try:
            sealed = Seal(keyring()).sealer().seal(b"child")
            os._exit(7 if sealed else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
