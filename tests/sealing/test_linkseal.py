"""sealing.linkseal: who has shown that he is there, and what is taken of who has not."""

from __future__ import annotations

import pytest

from ipcpy.protocol.link.greeting import GREETING_SIZE
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.sealing.challenges import EPOCH
from ipcpy.sealing.datagram import HEAD_SIZE, OVERHEAD, PROOF, TICK
from ipcpy.sealing.linkseal import LinkSeal
from ipcpy.sealing.seal import AHEAD, SHOWN, Seal
from ipcpy.sealing.sessions import HELD, LAPSE, STRANGERS
from ipcpy.transport.group import GROUP_PORT
from sealing import keyring

A, B = ("10.0.0.1", 17_770), ("10.0.0.2", 17_771)
COOKIE_A, COOKIE_B = 0xAAAA, 0xBBBB
ALIVE = pack_frame(Kind.ALIVE, 1, 0, 0, bytes(17))


def greeting(kind: Kind, answered: int, cookie: int) -> bytes:
    return pack_frame(kind, 1, answered, 0, bytes(8) + cookie.to_bytes(8, "little"))


HELLO = greeting(Kind.HELLO, 0, COOKIE_A)
WELCOME = greeting(Kind.WELCOME, COOKIE_A, COOKIE_B)
CONFIRM = greeting(Kind.CONFIRM, COOKIE_B, COOKIE_A)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Life:
    """A life of a node: its seal, and what seals and opens for its link."""

    def __init__(self, clock: Clock, keys=None) -> None:
        self.seal = Seal(keys or keyring(), clock)
        self.link = self.seal.link()
        self.group = self.seal.greetings()
        self.refused = self.seal.refused


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def a(clock) -> Life:
    return Life(clock)


@pytest.fixture
def b(clock) -> Life:
    return Life(clock)


def meet(a: Life, b: Life) -> None:
    assert b.group.open(a.link.seal(HELLO, None), A) == HELLO
    assert a.link.open(b.link.seal(WELCOME, A), B) == WELCOME
    assert b.link.open(a.link.seal(CONFIRM, B), A) == CONFIRM


def test_a_greeting_is_taken_of_anybody_with_the_key_and_nothing_else_is(a, b):
    assert b.link.open(a.link.seal(HELLO, B), A) == HELLO
    assert b.link.open(a.link.seal(ALIVE, B), A) == b"" and b.refused == {"unproven": 1}
    assert b.link.open(a.link.seal(HELLO + ALIVE, B), A) == b"" and b.refused == {"unproven": 2}
    for kind in (Kind.ECHO, Kind.TABLE, Kind.BYE):
        assert b.link.open(a.link.seal(pack_frame(kind, 1, 0, 0, bytes(16)), B), A) == b""


def test_three_greetings_make_both_believe(a, b):
    meet(a, b)
    assert b.link.open(a.link.seal(ALIVE, B), A) == ALIVE
    assert a.link.open(b.link.seal(ALIVE, A), B) == ALIVE
    assert not a.refused and not b.refused


def test_a_confirm_that_is_lost_is_made_good_by_any_word(a, b):
    b.group.open(a.link.seal(HELLO, None), A)
    a.link.open(b.link.seal(WELCOME, A), B)
    assert b.link.open(a.link.seal(ALIVE, B), A) == ALIVE


def test_greetings_have_one_size(a, b):
    sizes = {len(a.link.seal(each, B)) for each in (HELLO, WELCOME, CONFIRM)} | {len(a.link.seal(HELLO, None))}
    assert sizes == {GREETING_SIZE + PROOF.size + OVERHEAD}


def test_who_is_not_believed_is_shown_a_challenge_no_longer_than_what_came(a, b):
    sealed = a.link.seal(ALIVE, B)
    assert b.link.open(sealed, A) == b""
    answer = b.link.answer
    assert answer is not None and len(answer) == OVERHEAD + PROOF.size < len(sealed)
    assert a.link.open(answer, B) == b"" and a.link.answer is None and not a.refused
    assert b.link.open(a.link.seal(ALIVE, B), A) == ALIVE and b.link.answer is None
    assert a.link.open(b.link.seal(ALIVE, A), B) == ALIVE


def test_a_challenge_alone_is_not_answered(a, b):
    b.link.open(a.link.seal(ALIVE, B), A)
    answer = b.link.answer
    a.seal.challenges._secret = b"another life"
    a.seal.challenges._epoch = None
    assert a.link.open(answer, B) == b"" and a.refused == {"unproven": 1} and a.link.answer is None


def test_a_recording_of_a_whole_life_meets_nobody(clock, a, b):
    recorded = [a.link.seal(HELLO, None)]
    b.group.open(recorded[0], A)
    a.link.open(b.link.seal(WELCOME, A), B)
    recorded_to_b = [a.link.seal(each, B) for each in (CONFIRM, ALIVE, ALIVE, pack_frame(Kind.BYE, 1, 0, 0))]
    for jump in (0, 5, 100, 1e6):
        clock.now += jump
        fresh = Life(clock)
        assert fresh.group.open(recorded[0], A) == HELLO
        fresh.link.seal(WELCOME, A)
        assert [fresh.link.open(each, A) for each in recorded_to_b] == [CONFIRM, b"", b"", b""]
        assert fresh.seal.sessions.believed(a.seal.keyring.first.id + a.seal.session) == "unproven"
        assert fresh.refused == {"unproven": 3}


def test_a_word_that_was_held_back_proves_nothing(clock, a, b):
    b.group.open(a.link.seal(HELLO, None), A)
    a.link.open(b.link.seal(WELCOME, A), B)
    held = a.link.seal(CONFIRM, B)
    clock.now += 2 * EPOCH
    assert b.link.open(held, A) == CONFIRM and b.link.open(a.link.seal(ALIVE, B), A) == b""


def test_what_came_comes_no_more(a, b):
    meet(a, b)
    for each in (HELLO, ALIVE):
        sealed = a.link.seal(each, B)
        assert b.link.open(sealed, A) == each
        assert b.link.open(sealed, A) == b""
    assert b.refused == {"replayed": 2}


def test_a_greeting_of_who_is_not_believed_comes_once_too(a, b):
    sealed = a.link.seal(HELLO, B)
    assert b.link.open(sealed, A) == HELLO
    assert b.link.open(sealed, A) == b"" and b.refused == {"replayed": 1}


def test_what_others_replay_from_an_address_does_not_change_what_is_repeated_there(clock, a, b):
    recorded = Life(clock).link.seal(greeting(Kind.HELLO, 0, 0xCCCC), B)
    hello = a.link.seal(HELLO, B)
    assert b.link.open(hello, A) and b.link.open(recorded, A)
    assert a.link.open(b.link.seal(WELCOME, A), B) == WELCOME
    assert a.seal.sessions.known.keys() >= {b.seal.keyring.first.id + b.seal.session}
    assert b.link.open(a.link.seal(CONFIRM, B), A)
    other = Life(clock).link.seal(greeting(Kind.HELLO, 0, 0xDDDD), B)
    assert b.link.open(other, A)
    clock.now += 2 * EPOCH  # so that only what is repeated now can prove anything
    assert a.link.open(b.link.seal(ALIVE, A), B) == ALIVE
    assert b.link.open(a.link.seal(ALIVE, B), A) == ALIVE


def test_an_old_greeting_of_a_life_that_goes_on_does_not_keep_it_from_being_answered(clock, a, b):
    old = a.link.seal(HELLO, B)
    clock.now += 3 * EPOCH
    assert b.link.open(a.link.seal(HELLO, B), A) == HELLO
    for _ in range(STRANGERS):
        b.link.open(Life(clock).link.seal(greeting(Kind.HELLO, 0, 1), B), A)
    b.link.open(old, A)
    a.link.open(b.link.seal(WELCOME, A), B)
    assert a.seal.sessions.known.keys() >= {b.seal.keyring.first.id + b.seal.session}


def test_who_began_anew_at_the_same_address_is_met_again(clock, a, b):
    meet(a, b)
    again = Life(clock)
    assert again.link.open(a.link.seal(ALIVE, B), A) == b""
    assert a.link.open(again.link.answer, B) == b""
    assert again.link.open(a.link.seal(ALIVE, B), A) == ALIVE


def test_our_own_words_do_not_come_back_but_the_greeting_to_all(a):
    assert a.link.open(a.link.seal(ALIVE, B), B) == b"" and a.refused == {"reflected": 1}
    assert a.link.open(a.link.seal(HELLO, B), B) == b"" and a.refused == {"reflected": 2}
    assert a.group.open(a.link.seal(HELLO, None), A) == HELLO
    assert a.seal.challenges.yours(A) == a.seal.challenges.yours(B) == 0


def test_a_word_to_all_is_none_to_one_and_the_other_way_round(a, b):
    meet(a, b)
    assert b.link.open(a.link.seal(HELLO, None), A) == b"" and b.refused == {"misdirected": 1}
    assert b.group.open(a.link.seal(HELLO, B), A) == b"" and b.refused == {"misdirected": 2}


def test_what_is_sealed_for_data_is_none_of_the_link_s(a, b):
    meet(a, b)
    assert b.link.open(a.seal.sealer(B[1]).seal(bytes(16) + ALIVE), A) == b"" and b.refused == {"misdirected": 1}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda data: b"", None),
        (lambda data: data[:30], "malformed"),
        (lambda data: data[:-1], "malformed"),
        (lambda data: data + b"\0", "malformed"),
        (lambda data: data[:-1] + bytes((data[-1] ^ 1,)), "forged"),
        (lambda data: data[:HEAD_SIZE] + bytes((data[HEAD_SIZE] ^ 1,)) + data[HEAD_SIZE + 1 :], "forged"),
        (lambda data: data[:32] + b"\1" + data[33:], "forged"),
        (lambda data: data[:16] + b"none" + data[20:], "key"),
        (lambda data: ALIVE, "unsealed"),
        (lambda data: HELLO, "unsealed"),
        (lambda data: data[:4] + b"\1" + data[5:], "malformed"),
    ],
)
def test_what_is_refused_is_counted_by_its_cause(a, b, change, cause):
    meet(a, b)
    assert b.link.open(change(a.link.seal(ALIVE, B)), A) == b""
    assert b.refused == ({cause: 1} if cause else {})
    assert b.link.open(a.link.seal(ALIVE, B), A) == ALIVE


def test_no_bit_can_be_changed(a, b):
    meet(a, b)
    sealed = a.link.seal(ALIVE, B)
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        assert b.link.open(bytes(changed), A) == b""
    assert b.link.open(sealed, A) == ALIVE


def test_who_has_another_key_or_none_is_seen(clock, b):
    stranger = Life(clock, keyring(b"another key, of thirty-two bytes"))
    b.group.open(stranger.link.seal(HELLO, None), A)
    b.group.open(HELLO, A)
    b.link.open(ALIVE, A)  # no greeting, so it is not counted as a node
    assert b.seal.foreign.by_key() == {stranger.seal.keyring.first.id: 1, None: 1}


def test_what_is_too_short_for_a_word_says_nothing(a, b):
    sealed = a.seal.sealer(0).seal_by(a.seal.linking, b"short")
    assert b.link.open(sealed, A) == b"" and b.refused == {"malformed": 1}


def test_what_was_held_back_is_not_taken_later(clock, a, b):
    meet(a, b)
    held = a.link.seal(ALIVE, B)
    clock.now += 4 * TICK
    assert b.link.open(a.link.seal(ALIVE, B), A) == ALIVE
    late = a.link.seal(ALIVE, B)
    for _ in range(HELD + 1):
        clock.now += TICK
        a.link.open(b.link.seal(ALIVE, A), B)
        assert b.link.open(a.link.seal(ALIVE, B), A) == ALIVE
    assert b.link.open(held, A) == b"" and b.refused == {"stale": 1}
    assert b.link.open(late, A) == b"" and b.refused == {"stale": 2}


def test_who_is_silent_for_long_is_believed_no_more_until_he_shows_himself_again(clock, a, b):
    meet(a, b)
    held = a.link.seal(ALIVE, B)
    clock.now += LAPSE + EPOCH
    b.link.seal(HELLO, None)
    assert b.link.open(held, A) == b"" and b.refused == {"unproven": 1}
    assert a.link.open(b.link.answer, B) == b""
    assert b.link.open(a.link.seal(ALIVE, B), A) == ALIVE
    assert b.link.open(held, A) == b""


def test_the_link_uses_a_new_key_at_once_and_the_data_some_seconds_later(clock, a, b):
    old, new = keyring().keys[0], keyring(b"another key, of thirty-two bytes").keys[0]
    both, turned = keyring(old.secret, new.secret), keyring(new.secret, old.secret)
    meet(a, b)
    a.seal.keyring = b.seal.keyring = both
    sealer, opener = a.seal.sealer(9), b.seal.opener(9)
    a.seal.keyring = turned
    for wait in (0, AHEAD / 2, AHEAD):
        clock.now += wait
        alive, data = a.link.seal(ALIVE, B), sealer.seal(b"data")
        assert alive[16:20] == new.id and data[16:20] == (new.id if wait == AHEAD else old.id)
        a.link.open(b.link.seal(ALIVE, A), B)
        assert b.link.open(alive, A) == ALIVE and opener.open(data) == b"data"
    a.seal.keyring = b.seal.keyring = keyring(new.secret)
    assert opener.open(sealer.seal(b"data")) == b"data" and not b.refused


def test_its_own_answers_are_sealed_for_the_port_of_no_data_socket(a, b):
    b.link.open(a.link.seal(ALIVE, B), A)
    assert b.link.answer[6:8] == bytes(2)
    assert a.link.seal(HELLO, None)[6:8] == GROUP_PORT.to_bytes(2, "little")


def test_a_closed_link_gives_its_streams_back(a):
    before = a.seal.streams._next
    for _ in range(5):
        link = a.seal.link()
        assert isinstance(link, LinkSeal)
        link.close()
        with pytest.raises(OSError, match="closed"):
            link.seal(HELLO, None)
    assert a.seal.streams._next == before + 2


def test_who_is_new_and_cannot_understand_us_is_shown_our_key_once(clock, a):
    shown = []
    a.seal.speak = shown.append
    stranger = Life(clock, keyring(b"another key, of thirty-two bytes"))
    for _ in range(2):
        a.group.open(stranger.link.seal(HELLO, None), B)
        a.link.open(HELLO, A)
    assert shown == [B, A]
    a.link.open(greeting(Kind.WELCOME, 1, 2)[:8] + b"\2" * 8 + HELLO[16:], A)
    assert shown == [B, A]
    empty = stranger.link.empty()
    assert len(empty) == OVERHEAD == GREETING_SIZE
    a.seal.foreign._seen.clear()
    assert a.link.open(empty, B) == b"" and shown == [B, A] and len(a.seal.foreign.by_key()) == 1
    assert stranger.link.open(stranger.seal.link().empty(), B) == b"" and stranger.refused == {"reflected": 1}


def test_a_flood_of_strangers_is_shown_our_key_now_and_then(clock, a):
    shown = []
    a.seal.speak = shown.append
    for number in range(1_000):
        a.link.open(HELLO[:8] + number.to_bytes(8, "little") + HELLO[16:], A)
    assert len(shown) == SHOWN
