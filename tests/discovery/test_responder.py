"""discovery.responder: which questions it asks and when, over real multicast on loopback."""

from __future__ import annotations

import errno
import itertools
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

import mdnsnet
from ipcpy.discovery import responder as module
from ipcpy.discovery.advert import SERVICE_TYPE, Advert, instance_name
from ipcpy.discovery.channel import Channel
from ipcpy.discovery.responder import Presence, Responder
from lan_process import wait_until

zeroconf = pytest.importorskip("zeroconf")

NODE = "0000000000a5ce11"
NAME = instance_name("asker", NODE)
ADVERT = Advert(NODE, "asker", "host", "test", 4711, "1", ("imu",))

Make = Callable[..., Responder]


@pytest.fixture
def make() -> Iterator[Make]:
    running: list[tuple[Responder, threading.Thread]] = []

    def make(
        on_found: Callable[[str, int, str], None] = lambda *what: None, known: Callable[[], Iterable[str]] = tuple
    ) -> Responder:
        responder = Responder(Presence(ADVERT, ("127.0.0.1",), on_found, known))
        running.append((responder, threading.Thread(target=responder.run, daemon=True)))
        running[-1][1].start()
        return responder

    yield make
    for responder, thread in running:
        responder.stop()
        thread.join(20)
        assert not thread.is_alive()


def known_in(data: bytes) -> list[str]:
    """Return whom our question for nodes names as known; nothing if this is none of ours."""
    message = zeroconf.DNSIncoming(data)
    if not mdnsnet.is_query(data) or [each.name for each in message.questions] != [SERVICE_TYPE]:
        return []
    known = [record.alias for record in message.answers()]
    return known if NAME in known else []


def questions(ear: Any, count: int) -> list[list[str]]:
    """Return whom the next questions for nodes name as known."""
    packets = itertools.chain.from_iterable(mdnsnet.heard(ear, known_in, 10) for _ in range(count))
    return [known for known in map(known_in, packets) if known]


def test_a_newcomer_asks_several_times_and_names_itself(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUESTIONS_AFTER", (0.01, 0.02, 0.03))
    monkeypatch.setattr(module, "ASK_EVERY", 0.05)
    with mdnsnet.listening() as ear:
        make()
        assert questions(ear, 3) == [[NAME]] * 3


def test_a_question_names_those_who_need_not_answer(make: Make) -> None:
    """Those whom the link knows, and those who were heard just now."""
    friend, heard = instance_name("friend", "1" * 16), instance_name("forged", "2" * 16)
    found: list[tuple[str, int, str]] = []
    with mdnsnet.listening() as ear:
        responder = make(on_found=lambda *what: found.append(what), known=lambda: [friend])
        wait_until(lambda: responder.reports.counters["own"])
        mdnsnet.send(mdnsnet.packet(*mdnsnet.instance("2" * 16, "127.0.0.1")))
        wait_until(lambda: found)
        asked: list[str] = []
        while heard not in asked:  # the first question may have been under way
            (asked,) = questions(ear, 1)
        assert asked == [NAME, friend, heard]


def test_who_knows_a_crowd_asks_no_more_at_the_start(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUESTIONS_AFTER", (0.01, 0.02, 0.03))
    monkeypatch.setattr(module, "QUESTION_EVERY", 0.04)
    monkeypatch.setattr(module, "ASK_EVERY", 0.05)
    times = itertools.count(1)

    def crowd() -> list[str]:
        time = next(times)
        return [instance_name(f"time-{time}", f"{number:016x}") for number in range(module.ENOUGH)]

    with mdnsnet.listening() as ear:
        make(known=crowd)
        (asked,) = questions(ear, 1)
    assert asked[1].startswith("time-4-"), "the first three were not sent, only that of the long run"


def instances(ear: Any, count: int, *, goodbye: bool = False) -> set[str]:
    """Return which services are announced, or said goodbye to, until there are so many."""
    found: set[str] = set()

    def is_last(data: bytes) -> bool:
        if not mdnsnet.is_query(data):
            records = zeroconf.DNSIncoming(data).answers()
            found.update(each.alias for each in records if each.type == mdnsnet.PTR and (each.ttl == 0) == goodbye)
        return len(found) >= count

    mdnsnet.heard(ear, is_last, 20)
    return found


def test_others_of_its_host_are_announced_too_and_are_not_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UPDATE_EVERY", 0.01)
    others = [Advert(f"{number:016x}", "other", "host", "test", 5_000 + number, "1") for number in (1, 2, 3)]
    found: list[tuple[str, int, str]] = []
    known = {others[1].instance}
    with mdnsnet.listening() as ear:
        responder = make(on_found=lambda *what: found.append(what), known=lambda: known)
        responder._presence.others = tuple(others)
        responder.update()
        assert instances(ear, 4) == {NAME, *(each.instance for each in others)}
        wait_until(lambda: responder.reports.counters["own"] >= 4)
    with mdnsnet.listening() as ear:
        responder._presence.others = (others[2],)  # the first ended; the second has another announce it
        responder.update()
        assert instances(ear, 1, goodbye=True) == {others[0].instance}
        responder._presence.others = ()
        responder.update()
        assert instances(ear, 1, goodbye=True) >= {others[2].instance}
    with mdnsnet.listening() as ear:  # on new sockets all is announced anew
        responder._presence.others = (others[1],)
        responder.reopen()
        assert instances(ear, 2) == {NAME, others[1].instance}
    assert found == []


def test_one_that_zeroconf_does_not_like_takes_no_others_along(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UPDATE_EVERY", 0.01)
    announce, withdraw, bad = Channel.announce, Channel.withdraw, f"{1:016x}"

    async def fail_to_announce(channel: Channel, info: Any) -> None:
        if bad in info.name:
            raise ValueError("too long")
        await announce(channel, info)

    async def fail_to_withdraw(channel: Channel, name: str, *, goodbye: bool) -> None:
        if f"{2:016x}" in name:
            raise ValueError("not there")
        await withdraw(channel, name, goodbye=goodbye)

    monkeypatch.setattr(Channel, "announce", fail_to_announce)
    monkeypatch.setattr(Channel, "withdraw", fail_to_withdraw)
    others = [Advert(f"{number:016x}", "other", "host", "test", 5_000 + number, "1") for number in (1, 2, 3, 4)]
    with mdnsnet.listening() as ear:
        responder = make()
        responder._presence.others = tuple(others[:3])
        responder.update()
        assert instances(ear, 3) == {NAME, others[1].instance, others[2].instance}
        assert responder.reports.counters["internal"] >= 1
        bad = "nobody"
        responder._presence.others = (others[0], others[3])
        responder.update()
        assert instances(ear, 2) >= {others[0].instance, others[3].instance}, "it is tried again"


def test_it_says_when_it_works_no_more_and_when_it_does_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> list[str]:
        raise OSError(errno.EADDRINUSE, "in use")

    errors: list[str | None] = []
    presence = Presence(ADVERT, ("127.0.0.1",), lambda *what: None, tuple)
    presence.on_state = lambda: errors.append(responder.reports.error)
    responder = Responder(presence)
    thread = threading.Thread(target=responder.run, daemon=True)
    with monkeypatch.context() as patch:
        patch.setattr(Channel, "join", fail)
        thread.start()
        wait_until(lambda: errors)
    responder.reopen()
    wait_until(lambda: len(errors) == 2)
    responder.stop()
    thread.join(20)
    assert errors == ["UDP port 5353 is taken by a program that does not share it", None]


def test_what_did_not_come_along_is_asked_for_and_then_told(make: Make) -> None:
    node_id = "00000000deadbeef"
    pointer, service, text, address = mdnsnet.instance(node_id, "127.0.0.1", 7777)
    found: list[tuple[str, int, str]] = []
    with mdnsnet.listening() as ear:
        responder = make(on_found=lambda *what: found.append(what))
        wait_until(lambda: responder.reports.counters["own"])
        mdnsnet.send(mdnsnet.packet(pointer))
        name = instance_name("forged", node_id)
        (*_, question) = mdnsnet.heard(
            ear, lambda data: mdnsnet.is_query(data) and node_id.encode() in data and not known_in(data)
        )
    asked = {(each.name, each.type) for each in zeroconf.DNSIncoming(question).questions}
    assert asked == {(name, mdnsnet.SRV), (name, mdnsnet.TXT)}
    assert not found
    mdnsnet.send(mdnsnet.packet(service, text, address))
    wait_until(lambda: found == [("127.0.0.1", 7777, node_id)])


def test_after_a_flood_it_asks_who_was_not_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUESTIONS_AFTER", (0.01,))
    monkeypatch.setattr(module, "AFTER_FLOOD", 0.01)
    monkeypatch.setattr(module, "ASK_EVERY", 0.05)
    with mdnsnet.listening() as ear:
        responder = make()
        questions(ear, 1)  # the next one is a minute away

    def flooded() -> bool:
        for number in range(50):
            mdnsnet.send(mdnsnet.packet(*mdnsnet.instance(f"{number:016x}", "127.0.0.1", 1 + next(ports))))
        return responder.reports.counters["flood"] > 0

    ports = itertools.count()
    with mdnsnet.listening() as ear:
        wait_until(flooded, 10)
        assert questions(ear, 1)


def test_a_callback_that_fails_is_counted_and_others_are_still_told(make: Make) -> None:
    told: list[str] = []

    def fail(address: str, port: int, node_id: str) -> None:
        told.append(node_id)
        raise ZeroDivisionError

    responder = make(on_found=fail)
    wait_until(lambda: responder.reports.counters["own"])
    both = [f"{number:016x}" for number in (1, 2)]
    for node_id in both:
        mdnsnet.send(mdnsnet.packet(*mdnsnet.instance(node_id, "127.0.0.1")))
    wait_until(lambda: responder.reports.counters["callback"] == 2)
    assert told == both


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EADDRINUSE, "in use"), "UDP port 5353 is taken by a program that does not share it"),
        (OSError(errno.EACCES, "denied"), "UDP port 5353 may not be opened here"),
        (OSError(errno.EPERM, "denied"), "UDP port 5353 may not be opened here"),
        (RuntimeError("something else"), "RuntimeError: something else"),
    ],
)
def test_why_the_sockets_cannot_be_opened_is_said_and_tried_again_when_told(
    make: Make, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    async def fail(*_: object) -> list[str]:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Channel, "join", fail)
        responder = make()
        wait_until(lambda: responder.reports.error == said)
    responder.reopen()
    wait_until(lambda: responder.reports.error is None and responder.reports.counters["own"])


def test_an_error_inside_is_counted_and_costs_one_question(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUESTIONS_AFTER", (0.01,))
    monkeypatch.setattr(module, "QUESTION_EVERY", 0.01)
    monkeypatch.setattr(module, "ASK_EVERY", 0.05)
    times = itertools.count()

    def fail_at_first() -> list[str]:
        if not next(times):
            raise ZeroDivisionError
        return []

    with mdnsnet.listening() as ear:
        responder = make(known=fail_at_first)
        wait_until(lambda: responder.reports.counters["internal"] == 1)
        assert questions(ear, 2)


def test_a_zeroconf_that_is_broken_is_a_reason_and_no_traceback(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "zeroconf":
                raise SystemError("initialization failed")

    monkeypatch.delitem(sys.modules, "zeroconf")
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    responder = make()
    wait_until(lambda: responder.reports.error == "python-zeroconf cannot be imported (initialization failed)")
