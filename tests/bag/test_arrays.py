"""The messages of a topic as an array: by their bytes where they lie right, else by their data."""

from __future__ import annotations

from collections import namedtuple
from typing import NamedTuple

import pytest

import tapes
from ipcpy.bag.bag import Bag
from ipcpy.codec import MsgLibrary

pytest.importorskip("numpy", reason="needs ipcpy[numpy]")

Imu = namedtuple("Imu", "gx gy")
IMU = MsgLibrary({23: ("<2f", Imu)})


class Named(NamedTuple):
    n: int
    name: str


def write(path, *messages):
    with tapes.tape(path) as tape:
        for n, (data, codec, *options) in enumerate(messages):
            tape.add("x", data, n, codec, **dict(*options))
    return Bag(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.mcap"


def test_messages_of_two_publishers_of_one_type_are_one_array(path):
    with write(path, (Imu(1, 2), IMU, {"publisher": "1" * 16}), (Imu(3, 4), IMU, {"publisher": "2" * 16})) as bag:
        assert bag.array("x")["gx"].tolist() == [1, 3]


def test_messages_of_two_types_are_read_by_their_data(path):
    other = MsgLibrary({23: ("<2d", Imu)})
    with write(path, (Imu(1, 2), IMU, {"publisher": "1" * 16}), (Imu(3, 4), other, {"publisher": "2" * 16})) as bag:
        assert bag.array("x")["gy"].tolist() == [2, 4]


def test_texts_are_texts(path):
    library = MsgLibrary({1: ("<i8s", Named)})
    with write(path, (Named(1, "é"), library), (Named(2, "b"), library)) as bag:
        assert bag.array("x")["name"].tolist() == ["é", "b"]


def test_messages_with_something_beside_are_in_it_too(path):
    body = IMU.encode(Imu(5, 6))
    with tapes.tape(path) as tape:
        tape.add("x", Imu(1, 2), 0, IMU)
        tape.add_body("x", body[:6] + bytes([body[6] ^ 1]) + body[7:], 1, IMU)
    with Bag(path) as bag:
        assert bag.array("x")["gx"].tolist() == [1, 5]


def test_a_topic_without_messages_in_the_span_is_an_empty_array(path):
    with write(path, (Imu(1, 2), IMU)) as bag:
        array = bag.array("x", start=1)
    assert array.shape == (0,)
    assert array.dtype.names == ("gx", "gy", "sent_ns", "received_ns")
