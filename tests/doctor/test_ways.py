"""What passes to a host: nodes made up on loopback, of which each drops something else."""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import pytest

from ipcpy.addresses import NOWHERE
from ipcpy.doctor import ways
from ipcpy.doctor.ways import probe, sizes_to_try
from ipcpy.facts import PeerFacts
from ipcpy.protocol.link.echo import Question, is_echo, pack_echoed, unpack_echo
from ipcpy.protocol.link.greeting import GREETINGS, Greeter, domain_number
from ipcpy.protocol.wire import frames
from ipcpy.settings import LINK_PORTS
from ipcpy.transport.link import LinkSocket

DOMAIN = "ways"
SMALL = 1_300  # bytes that pass where larger datagrams do not
PATIENCE = 3.0  # seconds in which the made-up nodes must have had their turn


class MadeUp:
    """A node at an address of loopback, with a link port and a second port.

    Args:
        ip: its address.
        drops: tells of a question, and whether it came to the second port, that it is not answered.
        clock: seconds that its clock is ahead.
        second: whether it has a second port.
        source: another address, from which its answers come.
        greets: whether it answers greetings.
        hears: tells of a port here whether its answers come through.
    """

    def __init__(
        self,
        ip: str,
        *,
        drops: Callable[[bytes, Question, bool], bool] = lambda data, question, at_second: False,
        clock: float = 0.0,
        second: bool = True,
        source: str | None = None,
        greets: bool = False,
        hears: Callable[[int], bool] = lambda port: True,
    ) -> None:
        self.ip = ip
        self._drops = drops
        self._hears = hears
        self._clock_ns = int(clock * 1e9)
        self._greeter = Greeter(7, DOMAIN, os.urandom(32)) if greets else None
        self._link = LinkSocket(ip, ())
        self._second = LinkSocket(ip, ()) if second else None
        self._answers = LinkSocket(source, ()) if source else self._link
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def facts(self) -> PeerFacts:
        """What is known of it before it is asked."""
        return PeerFacts(self.ip, self.ip, ports=(self._link.port, self._link.port ^ 1))

    @property
    def port(self) -> int:
        return self._link.port

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for source in filter(None, (self._link, self._second)):
                selector.register(source, selectors.EVENT_READ)
            while not self._ended:
                for key, _ in selector.select(0.05):
                    while (received := key.fileobj.poll()) is not None:
                        self._receive(*received, key.fileobj is self._second)

    def _receive(self, data, address, at_second) -> None:
        if not is_echo(data):
            self._receive_greeting(data, address)
            return
        question = unpack_echo(data, domain_number(DOMAIN))
        if self._hears(address[1]) and not self._drops(data, question, at_second):
            port = self._second.port if self._second is not None else 0
            answer = pack_echoed(question, 7, domain_number(DOMAIN), time.time_ns() + self._clock_ns, port)
            aside = self._second if question.aside else None
            (aside or self._answers).sendto(answer, address)

    def _receive_greeting(self, data, address) -> None:
        for frame in frames(data) if self._greeter is not None else ():
            if frame.kind in GREETINGS:
                reply = self._greeter.answer(frame, address, known=False).reply
                if reply is not None:
                    self._link.sendto(reply, address)

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        for file in {self._link, self._second, self._answers} - {None}:
            file.close()


class Lossy:
    """Drops one question of so many, in turn."""

    def __init__(self, every: int) -> None:
        self._count, self._every = 0, every

    def __call__(self, data: bytes, question: Question, at_second: bool) -> bool:
        self._count += 1
        return self._count % self._every == 0


@pytest.fixture(scope="module")
def robots():
    with ExitStack() as stack:
        made = {
            "healthy": MadeUp("127.0.0.11"),
            "early": MadeUp("127.0.0.12", clock=90.0),
            "no out": MadeUp("127.0.0.13", drops=lambda data, question, at_second: at_second),
            "no in": MadeUp("127.0.0.14", drops=lambda data, question, at_second: question.aside),
            "no second": MadeUp("127.0.0.15", second=False, drops=lambda data, question, at_second: question.aside),
            "narrow there": MadeUp("127.0.0.16", drops=lambda data, question, at_second: len(data) > SMALL),
            "narrow back": MadeUp("127.0.0.17", drops=lambda data, question, at_second: question.size > SMALL),
            "old": MadeUp("127.0.0.18", greets=True, drops=lambda data, question, at_second: True),
            "forged": MadeUp("127.0.0.19", source="127.0.0.20"),
            "stateless": MadeUp("127.0.0.22", hears=lambda port: port in LINK_PORTS),
            "lossy": MadeUp("127.0.0.23", drops=Lossy(10)),
        }
        for each in made.values():
            stack.callback(each.close)
        yield made


@pytest.fixture(scope="module")
def found(robots):
    """What is found out of each of them, all asked at the same time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ways, "LAST", PATIENCE)
        results = probe([each.facts for each in robots.values()], DOMAIN, only_loopback=True)
    return dict(zip(robots, results, strict=True))


def test_results_come_in_the_order_of_the_hosts(robots, found):
    assert [each.address for each in found.values()] == [each.ip for each in robots.values()]


def test_everything_passes_to_a_healthy_node(robots, found):
    facts = found["healthy"]
    assert facts.answered and facts.out and facts.in_
    assert facts.port == robots["healthy"].port
    assert facts.sizes == {1_252: (True, True), 1_472: (True, True)}
    assert len(facts.rtt) >= ways.SAMPLES
    assert all(0 < trip < PATIENCE for trip in facts.rtt)


def test_clocks_are_compared_within_the_error_that_is_given(found):
    assert abs(found["healthy"].clock) <= found["healthy"].clock_error + 1e-6
    assert abs(found["early"].clock - 90) <= found["early"].clock_error + 1e-6


def test_it_is_told_which_way_data_is_dropped(found):
    assert (found["no out"].out, found["no out"].in_) == (False, True)
    assert (found["no in"].out, found["no in"].in_) == (True, False)


def test_without_a_second_port_it_is_not_known_what_passes(found):
    assert found["no second"].answered
    assert (found["no second"].out, found["no second"].in_) == (None, None)


def test_it_is_told_which_way_large_datagrams_are_dropped(found):
    assert found["narrow there"].sizes == {1_252: (True, True), 1_472: (False, False)}
    assert found["narrow back"].sizes == {1_252: (True, True), 1_472: (True, False)}


def test_a_node_that_knows_greetings_only_is_seen_all_the_same(robots, found):
    facts = found["old"]
    assert facts.greeted and not facts.answered
    assert facts.port == robots["old"].port
    assert (facts.rtt, facts.clock, facts.sizes) == ((), None, {})


def test_an_answer_from_another_address_is_none(found):
    assert not found["forged"].answered and found["forged"].rtt == ()


def test_a_firewall_here_that_drops_answers_to_other_ports_is_seen_through(robots, found):
    facts = found["stateless"]
    assert facts.answered and facts.usual_only
    assert (facts.out, facts.in_) == (True, False)
    assert facts.sizes == {1_252: (True, True), 1_472: (True, True)}
    assert facts.port == robots["stateless"].port
    assert not any(each.usual_only for name, each in found.items() if name != "stateless")


def test_questions_that_get_lost_are_counted(found):
    lossy = found["lossy"]
    assert lossy.asked == ways.SERIES_OF_ALL // len(found)
    tenth = lossy.asked // 10  # of all questions: among the dropped there may be two that are not of the series
    assert tenth - 2 <= lossy.lost <= tenth + 1
    assert (lossy.out, lossy.in_) == (True, True)  # what got lost is asked again
    assert (found["healthy"].asked, found["healthy"].lost) == (lossy.asked, 0)
    assert (found["old"].asked, found["old"].lost) == (0, 0)


def test_this_host_is_asked_no_series(robots):
    healthy = robots["healthy"]
    (facts,) = probe([replace(healthy.facts, local=True)], DOMAIN, only_loopback=True)
    assert facts.answered and facts.asked == 0


def test_what_was_known_before_is_kept(robots):
    known = PeerFacts("arm on robot", "127.0.0.11", ports=(robots["healthy"].port,), asked_for=True, version="1.2.3")
    (facts,) = probe([known], DOMAIN, only_loopback=True)
    assert (facts.name, facts.asked_for, facts.version) == ("arm on robot", True, "1.2.3")


def test_a_host_that_lives_without_a_program_says_so():
    free = LinkSocket("127.0.0.21", ())
    port = free.port
    free.close()
    (facts,) = probe([PeerFacts("x", "127.0.0.21", ports=(port,))], DOMAIN, only_loopback=True)
    assert facts.refused == {port} and facts.alive
    assert not facts.answered and not facts.greeted


def test_a_port_that_is_known_to_be_refused_is_not_asked(robots):
    healthy = robots["healthy"]
    known = PeerFacts("x", healthy.ip, ports=(healthy.port,), refused=frozenset({healthy.port}))
    (facts,) = probe([known], DOMAIN, only_loopback=True)
    assert not facts.answered and facts.refused == {healthy.port}


def test_sizes_fit_the_mtu_of_the_way():
    def sizes(mtu, local=False):
        return sizes_to_try(PeerFacts("x", "10.0.0.2", mtu=mtu, local=local))

    assert sizes(9_000) == (1_252, 1_472, 8_972)
    assert sizes(1_500) == (1_252, 1_472)
    assert sizes(600) == (572,)
    assert sizes(65_536, local=True) == ()


def test_questions_leave_by_the_way_that_the_settings_say() -> None:
    asked: list[str] = []
    known = PeerFacts("x", "127.0.0.22", ports=(17_770,))
    (facts,) = probe([known], DOMAIN, only_loopback=True, way_to=lambda ip: asked.append(ip) or NOWHERE)
    assert set(asked) == {"127.0.0.22"} and facts.unreachable and not facts.refused
