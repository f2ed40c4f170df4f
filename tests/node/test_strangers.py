"""Who is here and shares no key: counted by key, said in words, and only a hint."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from ipcpy.graph import Stranger
from ipcpy.node.strangers import ANSWERS, Strangers
from ipcpy.sealing.foreign import AGE, Foreign
from ipcpy.sealing.keys import ALGORITHMS, Key, Keyring
from ipcpy.sealing.seal import Seal

KEY = Key(ALGORITHMS[0], bytes(range(32)))


def sealed():
    """A sealed datagram of a new node."""
    return Seal(Keyring((KEY,))).link().seal(b"x" * 52, None)


@pytest.fixture
def deaf():
    """What a node without a key takes note of, and its link."""
    link = SimpleNamespace()
    return Strangers(link, None), link


def test_nobody_is_no_stranger(deaf):
    assert deaf[0].found() == ()


def test_a_node_without_a_key_counts_the_nodes_behind_sealed_datagrams(deaf):
    strangers, link = deaf
    first = sealed()
    assert [link.on_sealed(data) for data in (first, first, sealed(), sealed())] == [True, False, True, True]
    assert strangers.found() == (Stranger(3, KEY.fingerprint),)


@pytest.mark.parametrize("data", [b"", b"x" * 200, bytes(52), sealed()[:40]], ids=len)
def test_what_is_not_sealed_is_not_counted(deaf, data):
    assert not deaf[1].on_sealed(data)
    assert deaf[0].found() == ()


def test_what_is_no_greeting_is_counted_and_not_answered(deaf):
    """So two nodes of which one has a key never answer one another's answers."""
    bare = Seal(Keyring((KEY,))).sealer().seal(b"")
    assert not deaf[1].on_sealed(bare)
    assert len(deaf[0].found()) == 1


def test_not_more_are_answered_than_a_few_a_second(deaf, monkeypatch):
    """Anybody can forge greetings of nodes that are new."""
    monkeypatch.setattr("ipcpy.node.strangers.time.monotonic", lambda: 0.0)
    strangers = Strangers(link := SimpleNamespace(), None)
    forged = bytearray(sealed())
    answered = []
    for number in range(100):
        forged[20] = number
        answered.append(link.on_sealed(bytes(forged)))
    assert sum(answered) == ANSWERS
    assert strangers.found()[0].nodes == 100


def test_a_node_with_a_key_tells_what_its_seal_noted_most_nodes_first():
    foreign, link = Foreign(time.monotonic), SimpleNamespace()
    strangers = Strangers(link, SimpleNamespace(foreign=foreign))
    assert not hasattr(link, "on_sealed")
    for who, key in ((b"a", None), (b"b", None), (b"c", KEY.id)):
        foreign.note(who, key)
    assert strangers.found() == (Stranger(2, ""), Stranger(1, KEY.fingerprint))


def test_who_is_silent_is_forgotten():
    now = [5.0]
    foreign = Foreign(lambda: now[0])
    foreign.note(b"a", None)
    now[0] += AGE + 1
    assert Strangers(SimpleNamespace(), SimpleNamespace(foreign=foreign)).found() == ()


def test_strangers_in_words():
    assert Stranger(3, "a b c d").text == "3 nodes here use a key you do not have (fingerprint: a b c d)"
    assert Stranger(1, "a b c d").text == "1 node here uses a key you do not have (fingerprint: a b c d)"
    assert Stranger(2, "").text == "2 nodes here use none, and this program has a key"
