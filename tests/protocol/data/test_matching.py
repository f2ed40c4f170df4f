"""The handshake of a publisher and a subscriber: lost frames, refusals, forgeries, no amplification."""

from __future__ import annotations

import random

import pytest

from ipcpy.protocol.data import matching
from ipcpy.protocol.data.matching import MAX_CHALLENGES, MAX_PAUSE, REFUSED_PAUSE, Match, State
from ipcpy.protocol.wire import Frame, Kind, frames
from ipcpy.timeouts import NEVER

PUBLISHER, SUBSCRIBER, NONCE = 11, 22, 33
ADDRESS = ("127.0.0.1", 4_000)
SECRET = b"a secret of sixteen bytes"
TOKEN = matching.token_for(ADDRESS, PUBLISHER, SECRET)


def parse(data: bytes | None) -> Frame:
    assert data is not None
    (frame,) = frames(data)
    return frame


def answered(match: Match, now: float, verdict: int = matching.TAKES_IT) -> bool:
    match.state = State.PROBING if match.state is State.REFUSED else match.state
    probe = parse(match.probe_frame())
    return match.answered(parse(matching.answer(probe, SUBSCRIBER, verdict, 212_992, TOKEN)), now)


def matched() -> Match:
    match = Match(PUBLISHER, SUBSCRIBER, NONCE, 0.0)
    assert answered(match, 0.0)
    match.started(parse(matching.started(parse(match.start_frame()), TOKEN)))
    return match


def test_a_match() -> None:
    match = Match(PUBLISHER, SUBSCRIBER, NONCE, 1.0)
    probe = parse(match.handle_timer(1.0))
    assert (probe.kind, probe.source, probe.seq, probe.sent_ns) == (Kind.PROBE, PUBLISHER, SUBSCRIBER, NONCE)
    assert not match.open
    answer = parse(matching.answer(probe, SUBSCRIBER, matching.TAKES_IT, 212_992, TOKEN))
    assert match.answered(answer, 1.01)
    match.first = 77
    assert match.open and not match.confirmed and match.window == 212_992
    start = parse(match.handle_timer(1.01))
    assert (start.kind, start.seq, start.sent_ns) == (Kind.START, 77, SUBSCRIBER)
    match.started(parse(matching.started(start, TOKEN)))
    assert match.confirmed and match.next_timer() == NEVER
    assert match.handle_timer(99.0) is None


def test_no_answer_is_longer_than_its_question() -> None:
    match = Match(PUBLISHER, SUBSCRIBER, NONCE, 0.0)
    probe = match.probe_frame()
    answer = matching.answer(parse(probe), SUBSCRIBER, matching.TAKES_IT, 212_992, TOKEN)
    assert match.answered(parse(answer), 0.0)
    start = match.start_frame()
    reply = matching.started(parse(start), TOKEN)
    assert reply is not None
    assert len(probe) >= len(answer) >= len(start) >= len(reply)


def test_frames_are_repeated_ever_more_seldom() -> None:
    match = Match(PUBLISHER, SUBSCRIBER, NONCE, 0.0)
    times = []
    while len(times) < 12:
        times.append(match.next_timer())
        assert match.handle_timer(times[-1] - 0.001) is None
        assert match.handle_timer(times[-1]) is not None
    assert times[-1] - times[-2] == pytest.approx(MAX_PAUSE)


@pytest.mark.parametrize("loss", [0.0, 0.3, 0.6])
def test_a_match_comes_about_through_loss(loss: float) -> None:
    random_ = random.Random(4)
    for _ in range(100):
        match = Match(PUBLISHER, SUBSCRIBER, NONCE, 0.0)
        while match.state is not State.MATCHED:
            now = match.next_timer()
            assert now < 60
            frame = parse(match.handle_timer(now))
            if random_.random() < loss or random_.random() < loss:
                continue
            if frame.kind == Kind.PROBE:
                match.answered(parse(matching.answer(frame, SUBSCRIBER, matching.TAKES_IT, 1, TOKEN)), now)
            else:
                match.started(parse(matching.started(frame, TOKEN)))


def test_a_refusal_is_asked_about_again_much_later() -> None:
    match = Match(PUBLISHER, SUBSCRIBER, NONCE, 0.0)
    assert not answered(match, 1.0, matching.TYPES_DIFFER)
    assert match.state is State.REFUSED and not match.open
    assert match.next_timer() == 1.0 + REFUSED_PAUSE
    assert parse(match.handle_timer(6.0)).kind == Kind.PROBE
    assert answered(match, 6.1)


@pytest.mark.parametrize("change", ["nonce", "body"])
def test_a_forged_answer_opens_nothing(change: str) -> None:
    match = Match(PUBLISHER, SUBSCRIBER, NONCE, 0.0)
    answer = parse(matching.answer(parse(match.probe_frame()), SUBSCRIBER, matching.TAKES_IT, 1, TOKEN))
    forged = answer._replace(sent_ns=NONCE + 1) if change == "nonce" else answer._replace(body=answer.body[:-1])
    assert not match.answered(forged, 0.0)
    assert not match.open


def test_a_start_needs_the_token_of_the_address_it_comes_from() -> None:
    match = matched()
    start = parse(match.start_frame())
    other = matching.token_for(("127.0.0.1", 4_001), PUBLISHER, SECRET)
    assert other != TOKEN != matching.token_for(ADDRESS, PUBLISHER + 1, SECRET)
    assert matching.started(start, other) is None
    assert matching.started(start._replace(body=start.body[:8]), TOKEN) is None
    assert matching.started(start, TOKEN) is not None


def test_a_started_of_another_match_changes_nothing() -> None:
    match = Match(PUBLISHER, SUBSCRIBER, NONCE, 0.0)
    answered(match, 0.0)
    reply = parse(matching.started(parse(match.start_frame()), TOKEN))
    match.started(reply._replace(sent_ns=NONCE + 1))
    assert not match.confirmed


def test_a_challenge_while_data_flows() -> None:
    match = matched()
    match.verify(10.0)
    assert match.open
    assert parse(match.handle_timer(10.0)).kind == Kind.PROBE
    assert not answered(match, 10.01), "it was open all the time"
    assert match.state is State.MATCHED and match.next_timer() == NEVER


def test_a_challenge_that_is_not_answered_stops_the_data() -> None:
    match = matched()
    match.verify(10.0)
    for _ in range(MAX_CHALLENGES + 1):
        assert match.open
        assert parse(match.handle_timer(match.next_timer())).kind == Kind.PROBE
    assert not match.open and match.next_timer() < 11.0


def test_who_has_forgotten_us_gets_nothing_until_it_answers_anew() -> None:
    match = matched()
    match.verify(10.0, forgotten=True)
    assert match.next_timer() == 10.0
    assert parse(match.handle_timer(10.0)).kind == Kind.PROBE
    assert not match.open
    assert answered(match, 10.01), "it has to be begun anew"
    assert parse(match.handle_timer(10.01)).kind == Kind.START


def test_a_challenge_before_the_start_was_confirmed_does_not_confirm_it() -> None:
    match = Match(PUBLISHER, SUBSCRIBER, NONCE, 0.0)
    answered(match, 0.0)
    match.verify(1.0)
    answered(match, 1.0)
    assert match.open and not match.confirmed
    assert parse(match.handle_timer(1.0)).kind == Kind.START


@pytest.mark.parametrize("state", [State.PROBING, State.REFUSED])
def test_only_those_who_take_data_are_challenged_again(state: State) -> None:
    match = Match(PUBLISHER, SUBSCRIBER, NONCE, 0.0)
    match.state = state
    match.verify(0.0)
    assert match.state is state and not match.open
