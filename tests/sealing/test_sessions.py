"""sealing.sessions: who is believed, under which keys, and what is kept of whom."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag

from ipcpy.sealing import sessions as module
from ipcpy.sealing.keys import Key, Keyring
from ipcpy.sealing.sessions import DERIVED, LAPSE, STRANGERS, SWEEP, Session, Sessions
from sealing import SECRET, keyring

OWN, OTHER = b"own session.", b"the other's."
KEY, NEXT = keyring(), keyring(bytes(range(1, 33)))
BOTH = Keyring((*KEY.keys, *NEXT.keys))


def name(id: bytes = OTHER, ring: Keyring = KEY) -> bytes:
    return ring.first.id + id


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(OWN, KEY, InvalidTag, 0.0)


def believe(sessions: Sessions, which: bytes, age: int = 0, now: float = 0.0) -> Session:
    session = sessions.any(which, now)
    assert isinstance(session, Session) and sessions.prove(session, age, now)
    return session


def test_nobody_is_believed_but_ourselves(sessions):
    assert isinstance(sessions.believed(name(OWN)), Session)
    assert sessions.believed(name()) == "unproven"
    assert sessions.believed(b"????" + OTHER) == "key"
    assert sessions.any(b"????" + OTHER, 0.0) == "key"


def test_a_session_is_believed_once_it_was_proven(sessions):
    session = believe(sessions, name(), 7)
    assert sessions.believed(name()) is session is sessions.known[name()] is sessions.any(name(), 0.0)
    assert session.floor == 7
    assert sessions.prove(session, 9, 1.0) and session.floor == 7


def test_asking_for_a_session_keeps_nothing_of_it(sessions):
    first = sessions.any(name(), 0.0)
    assert sessions.any(name(), 0.0) is not first
    assert not sessions._strangers


def test_what_came_of_a_stranger_still_counts_when_it_is_believed(sessions):
    stranger = sessions.any(name(), 0.0)
    assert stranger.take(stranger.windows, 5, early=0)
    sessions.keep_stranger(stranger)
    assert sessions.any(name(), 0.0) is stranger
    assert believe(sessions, name()) is stranger
    assert not stranger.take(stranger.windows, 5) and not stranger.take(stranger.windows, 4)


def test_strangers_are_few_and_the_oldest_goes(sessions):
    for number in range(STRANGERS + 1):
        stranger = sessions.any(name(number.to_bytes(12, "big")), 0.0)
        sessions.keep_stranger(stranger)
    assert len(sessions._strangers) == STRANGERS and name(bytes(12)) not in sessions._strangers


def test_a_flood_of_sessions_costs_so_many_ciphers_a_second(sessions, monkeypatch):
    made = []
    monkeypatch.setattr(Key, "session_cipher", lambda self, id: made.append(id) or Fake())
    said = [sessions.any(name(number.to_bytes(12, "big")), 0.0) for number in range(DERIVED + 10)]
    assert len(made) == DERIVED and said[-10:] == ["crowded"] * 10
    assert isinstance(sessions.any(name(), 1.0), Session)


def test_who_is_known_is_heard_in_any_flood(sessions):
    session = believe(sessions, name())
    for number in range(DERIVED + 10):
        sessions.any(name(number.to_bytes(12, "big")), 0.0)
    assert sessions.any(name(), 0.0) is session


class Fake:
    def decrypt(self, *_: object) -> bytes:
        raise InvalidTag


def test_belief_lapses_unless_it_is_shown_again(sessions):
    session = believe(sessions, name())
    believe(sessions, name(b"who goes on."))
    sessions.prove(sessions.known[name(b"who goes on.")], 0, LAPSE)
    sessions.sweep(LAPSE + 1)
    assert sessions.believed(name()) == "unproven"
    assert isinstance(sessions.believed(name(b"who goes on.")), Session)
    assert isinstance(sessions.believed(name(OWN)), Session)
    again = believe(sessions, name(), 80, LAPSE + 2)
    assert again is not session and again.floor == 80  # what it sent before is not taken again


def test_one_sweep_in_so_many_seconds(sessions):
    session = believe(sessions, name())
    session.proven = -LAPSE
    sessions.sweep(SWEEP - 0.1)
    assert name() in sessions.known
    sessions.sweep(SWEEP)
    assert name() not in sessions.known


def test_too_many_that_are_believed_are_refused(sessions, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    believe(sessions, name())
    other = sessions.any(name(b"one too many"), 0.0)
    assert not sessions.prove(other, 0, 0.0) and sessions.believed(other.name) == "unproven"


def test_what_came_under_one_key_counts_for_no_other(sessions):
    session = believe(sessions, name())
    sessions.replace(BOTH, 0)
    assert sessions.believed(name()) is session
    assert sessions.believed(name(ring=NEXT)) == "unproven"
    assert believe(sessions, name(ring=NEXT)) is not session
    sessions.replace(NEXT, 0)
    assert sessions.believed(name()) == "key" and isinstance(sessions.believed(name(ring=NEXT)), Session)


def test_a_key_that_comes_back_has_to_be_proven_again(sessions):
    believe(sessions, name())
    sessions.replace(NEXT, 3)
    sessions.replace(BOTH, 4)
    assert sessions.believed(name()) == "unproven"
    assert [sessions.known[name(OWN, ring)].floor for ring in (KEY, NEXT)] == [4, 3]


def test_a_key_that_went_meanwhile_proves_nothing(sessions):
    session = sessions.any(name(), 0.0)
    sessions.replace(NEXT, 0)
    sessions.keep_stranger(session)
    assert not sessions.prove(session, 0, 0.0) and not sessions._strangers


def test_two_keys_of_one_id_are_both_tried(monkeypatch):
    monkeypatch.setattr(Key, "id", b"same")
    first, second = Key("aes-256-gcm", SECRET), Key("chacha20-poly1305", SECRET)
    sessions = Sessions(OWN, Keyring((first, second)), InvalidTag, 0.0)
    session = sessions.any(b"same" + OTHER, 0.0)
    for key in (first, second):
        sealed = key.session_cipher(OTHER).encrypt(bytes(12), b"text", b"head")
        assert session.decrypt(bytes(12), sealed, b"head") == b"text"
    with pytest.raises(InvalidTag):
        session.decrypt(bytes(12), bytes(20), b"head")


def test_each_stream_has_a_window_and_there_are_only_so_many(monkeypatch):
    monkeypatch.setattr(module, "MOST_STREAMS", 2)
    session = Session(name(), Fake().decrypt)
    stream = 1 << 40
    assert session.take(session.windows, 70) and session.take(session.windows, stream | 1)
    assert not session.take(session.windows, 2 * stream | 1)
    assert session.take(session.windows, 6) and not session.take(session.windows, 5)  # 64 before the first
    assert session.take({}, 70)  # another socket's


def test_before_the_first_number_of_a_stream_there_is_none():
    session = Session(name(), Fake().decrypt)
    assert session.take(session.windows, 1 << 40 | 3)
    assert [session.take(session.windows, 1 << 40 | count) for count in (2, 1, 0)] == [True, True, False]
