"""The first message of each type is encoded, though nobody is there."""

from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.publishing import trial
from ipcpy.publishing.trial import Trial


@pytest.fixture
def encoded():
    return []


@pytest.fixture
def attempt(encoded):
    def encode(data, id=0):
        encoded.append((data, id))
        return b"x"

    return Trial(encode)


def test_one_message_of_each_type_and_id_is_encoded(attempt, encoded):
    for data, id in [(1, None), (2, None), (2.5, None), (3, None), (4, 7), (5, 7), (6.5, 7), (7, None)]:
        attempt.look_at(data, id)
        assert (attempt.type, attempt.id) == (type(data), id)
    assert encoded == [(1, 0), (2.5, 0), (4, 7), (6.5, 7)]


def test_so_many_types_are_remembered_at_most(attempt, encoded, monkeypatch):
    monkeypatch.setattr(trial, "MAX_KINDS", 2)
    for data in (1, 2.5, "a", "b", 3):
        attempt.look_at(data, None)
    assert [data for data, _ in encoded] == [1, 2.5, "a", "b"]


def test_what_is_refused_is_refused_each_time():
    refusing = Trial(ipc.MsgPack().encode)
    for _ in range(2):
        with pytest.raises(ipc.CodecError):
            refusing.look_at(object(), None)
    too_large = Trial(lambda data: bytes((64 << 20) + 1))
    for _ in range(2):
        with pytest.raises(ipc.ArgumentError, match="67108864"):
            too_large.look_at(1, None)
