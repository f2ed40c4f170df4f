"""sealing.challenges: only who is there now can repeat what we asked lately."""

from __future__ import annotations

from ipcpy.sealing.challenges import EPOCH, MOST, MOST_GREETINGS, Challenges

A, B = ("10.0.0.1", 17_770), ("10.0.0.2", 17_770)
COOKIE, ONE, OTHER = b"cookie 1", b"key1session 1...", b"key1session 2..."


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_challenge_counts_for_its_epoch_and_the_next():
    clock = Clock()
    challenges = Challenges(bytes(32), clock)
    mine = challenges.mine()
    assert mine and challenges.is_mine(mine)
    clock.now += EPOCH
    assert challenges.mine() != mine and challenges.is_mine(mine)
    clock.now += EPOCH
    assert not challenges.is_mine(mine)


def test_a_pause_of_many_epochs_makes_all_before_void():
    clock = Clock()
    challenges = Challenges(bytes(32), clock)
    mine = challenges.mine()
    clock.now += 7 * EPOCH
    assert not challenges.is_mine(mine) and challenges.is_mine(challenges.mine())


def test_each_life_has_its_own_and_zero_is_nobody_s():
    clock = Clock()
    one, other = Challenges(bytes(32), clock), Challenges(b"1" * 32, clock)
    assert one.mine() != other.mine() and not one.is_mine(other.mine())
    assert not one.is_mine(0)


def test_what_is_repeated_to_an_address_is_what_came_from_there_last():
    challenges = Challenges(bytes(32), Clock())
    assert challenges.yours(A) == 0
    challenges.note(A, 5)
    challenges.note(A, 6)
    assert (challenges.yours(A), challenges.yours(B), challenges.yours(None)) == (6, 0, 0)


def test_an_answer_repeats_what_came_with_its_question():
    challenges = Challenges(bytes(32), Clock())
    challenges.note(A, 5)
    challenges.note_greeting(COOKIE, ONE, 1, 7)
    assert challenges.yours(A, COOKIE) == 7
    assert challenges.yours(A, b"cookie 2") == 5
    assert challenges.yours(A) == 5
    assert challenges.yours(None, COOKIE) == 0


def test_an_older_greeting_of_the_same_life_changes_nothing():
    challenges = Challenges(bytes(32), Clock())
    challenges.note_greeting(COOKIE, ONE, 9, 7)
    challenges.note_greeting(COOKIE, ONE, 8, 3)
    challenges.note_greeting(COOKIE, ONE, 9, 3)
    assert challenges.yours(A, COOKIE) == 7
    challenges.note_greeting(COOKIE, ONE, 10, 4)
    assert challenges.yours(A, COOKIE) == 4
    challenges.note_greeting(COOKIE, OTHER, 1, 2)
    assert challenges.yours(A, COOKIE) == 2


def test_what_is_kept_is_bounded_and_the_oldest_goes():
    challenges = Challenges(bytes(32), Clock())
    for number in range(MOST + 1):
        challenges.note((f"10.0.{number >> 8}.{number & 255}", 1), number + 1)
    assert len(challenges._at) == MOST and challenges.yours(("10.0.0.0", 1)) == 0
    for number in range(MOST_GREETINGS + 1):
        challenges.note_greeting(number.to_bytes(8, "little"), ONE, number, number + 1)
    assert len(challenges._by_cookie) == MOST_GREETINGS and challenges.yours(B, bytes(8)) == 0
