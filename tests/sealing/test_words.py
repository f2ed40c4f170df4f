"""The words of fingerprints: one for each byte, and none that could be taken for another."""

from __future__ import annotations

from ipcpy.sealing.words import WORDS, spell


def test_every_byte_has_a_word_of_its_own():
    assert len(set(WORDS)) == 256
    assert {spell(bytes([value])) for value in range(256)} == set(WORDS)


def test_words_are_short_plain_and_told_apart_by_their_beginning():
    assert all(word.isascii() and word.islower() and word.isalpha() and 3 <= len(word) <= 7 for word in WORDS)
    assert len({word[:4] for word in WORDS}) == 256


def test_the_order_of_the_words_does_not_change():
    """Who compares fingerprints may have two versions of ipcpy."""
    from hashlib import sha256

    assert (
        sha256(" ".join(WORDS).encode()).hexdigest()
        == "d4cb279206ba30635c5bb497a393f5f62f332fe4be5311933ff6b25fb74ecf54"
    )
