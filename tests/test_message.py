"""Message: a tuple with names, which can be unpacked, compared and pickled."""

from __future__ import annotations

import copy
import pickle

import pytest

from ipcpy.message import Message

MESSAGE = Message({"gz": 0.5}, "imu", 3, 1_000, 2_000, "f" * 16)


def test_its_fields_have_names_and_the_promised_order():
    assert Message._fields == ("data", "topic", "seq", "sent_ns", "received_ns", "publisher")
    data, topic, *_ = MESSAGE
    assert data is MESSAGE.data and topic == MESSAGE.topic == "imu"


def test_it_can_be_handed_to_another_process():
    assert pickle.loads(pickle.dumps(MESSAGE)) == MESSAGE


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_bytes_that_are_a_view_of_what_was_received_are_handed_on_as_bytes(protocol):
    message = MESSAGE._replace(data=memoryview(bytearray(b"large")))
    assert pickle.loads(pickle.dumps(message, protocol)) == MESSAGE._replace(data=b"large")
    assert copy.copy(message) == copy.deepcopy(message) == message


def test_it_does_not_change():
    with pytest.raises(AttributeError):
        MESSAGE.seq = 4
