"""What multicast does on an interface: tried on loopback, where it comes back, and others are heard."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

import ipcpy as ipc
from ipcpy.doctor import multicast
from ipcpy.doctor.multicast import MulticastCheck
from ipcpy.protocol.link.greeting import Greeter, domain_number
from ipcpy.sealing.keys import ALGORITHMS, Key, Keyring
from ipcpy.transport.interfaces import list_interfaces
from ipcpy.transport.link import LinkSocket

(LO, *_) = [each for each in list_interfaces(("lo", "127.0.0.1")) if each.loopback]
TURN = 0.05  # seconds for which a check runs before another has its turn


@pytest.fixture
def domain():
    """A domain that no other test is in."""
    return f"doctor-{uuid.uuid4().hex}"


@pytest.fixture
def run(wait_until):
    """``run(condition, *checks)`` lets checks greet and listen in turns until a condition holds."""

    def run(condition: Callable[[], object], *checks: MulticastCheck) -> None:
        def turn() -> object:
            for check in checks:
                check.run(time.monotonic() + TURN)
            return condition()

        wait_until(turn, timeout=20.0)

    return run


def results(check):
    return [trial.result for pair in check.trials().values() for trial in pair]


def test_multicast_on_loopback_comes_back(run, domain):
    with closing(MulticastCheck([LO], domain)) as check:
        run(lambda: results(check) == ["works", "works"], check)
        assert list(check.trials()) == [LO.index]


def test_nobody_takes_its_own_greeting_for_anothers(run, domain):
    with closing(MulticastCheck([LO], domain)) as check:
        run(lambda: results(check) == ["works", "works"], check)
        assert check.fellows() == set()


def test_another_of_the_same_domain_is_heard(run, domain):
    with closing(MulticastCheck([LO], domain)) as one, closing(MulticastCheck([LO], domain)) as other:
        run(lambda: one.fellows() and other.fellows(), one, other)
        (heard,) = one.fellows()
        assert heard in one.heard and heard.address[0] == LO.addresses[0]
        assert all(each.domain != domain_number(domain) for each in one.strangers())


def test_with_a_key_those_who_share_it_are_heard_and_nobody_else(run, domain):
    ring, foreign = (Keyring((Key(ALGORITHMS[0], bytes(range(first, first + 32))),)) for first in (0, 32))
    with (
        closing(MulticastCheck([LO], domain, ring)) as one,
        closing(MulticastCheck([LO], domain, ring)) as other,
        closing(MulticastCheck([LO], domain, foreign)) as stranger,
        closing(MulticastCheck([LO], domain)) as plain,
    ):
        run(lambda: one.fellows() and other.fellows() and results(stranger)[0] == "works", one, other, stranger, plain)
        assert results(one)[0] == results(plain)[0] == "works"
        assert len(one.fellows()) == len(other.fellows()) == 1
        assert stranger.fellows() == plain.fellows() == set()


def test_a_node_with_the_key_answers_a_greeting(run, domain, tmp_path):
    made = ipc.new_key(tmp_path / "key")
    with ipc.Node("sealed", domain=domain, key=made.path), closing(MulticastCheck([LO], domain, made.keyring)) as check:
        run(lambda: check.answered, check)


def test_another_domain_is_a_stranger(run, domain):
    foreign = f"{domain}-2"
    with closing(MulticastCheck([LO], domain)) as one, closing(MulticastCheck([LO], foreign)) as other:
        run(lambda: domain_number(foreign) in {each.domain for each in one.strangers()}, one, other)
        assert one.fellows() == set()


def test_a_node_that_is_there_answers(run, domain):
    with ipc.Node("arm", domain=domain, interfaces="lo", peers=()) as node:
        with closing(MulticastCheck([LO], domain)) as check:
            run(lambda: check.answered, check)
            (answer,) = {each.id for each in check.answered}
            assert answer == int(node.id, 16)


def test_an_interface_that_is_down_or_has_no_address_is_left_out(domain):
    down, bare = replace(LO, up=False), replace(LO, addresses=(), networks=())
    with closing(MulticastCheck([down, bare], domain)) as check:
        assert check.trials() == {}


def test_a_flood_of_greetings_and_of_nonsense_takes_bounded_memory(run, domain, monkeypatch):
    monkeypatch.setattr(multicast, "MAX_GREETED", 3)
    sender = LinkSocket("127.0.0.1", ())
    with closing(sender), closing(MulticastCheck([LO], domain)) as check:
        for id in range(1, 10):
            hello = Greeter(id, domain, os.urandom(32)).hello(None)
            for data in (hello, hello[:-1], hello[:20], b"\0" * 60, b""):
                assert sender.multicast(data, LO.index, LO.addresses[0])
        run(lambda: len(check.heard) >= 3 and results(check)[0] == "works", check)
        assert len(check.heard) == 3


def test_greetings_that_do_not_come_back_are_not_heard(run, domain, monkeypatch):
    monkeypatch.setattr(multicast.Multicast, "read", lambda self: ([], []))
    with closing(MulticastCheck([LO], domain)) as check:
        assert results(check) == [None, None]
        run(lambda: results(check) == ["not heard", "not heard"], check)
