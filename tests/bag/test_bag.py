"""Bag: what was published comes back, whole, in order, and as it was; what is asked for wrongly is refused."""

from __future__ import annotations

from collections import namedtuple
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

import tapes
from ipcpy.bag.bag import Bag
from ipcpy.codec import MsgLibrary, MsgPack, Raw
from ipcpy.errors import ArgumentError, ClosedError, CodecError
from tapes import MS, START

np = pytest.importorskip("numpy", reason="needs ipcpy[numpy]")

Imu = namedtuple("Imu", "gx gy gz")
Odd = namedtuple("Odd", "flag value note")
IMU = MsgLibrary({23: ("<3f", Imu)})
ODD = MsgLibrary({7: ("<bd8s", Odd)})


@pytest.fixture
def drive(tmp_path):
    """A recording of three topics over ten seconds."""
    path = tmp_path / "drive.mcap"
    with tapes.tape(path, chunk_size=2000) as tape:
        for n in range(1000):
            tape.add("imu", Imu(n, n / 2, -n), n / 100, IMU, node="driver", host="robot7")
            if n % 100 == 0:
                tape.add("state", {"n": n, "pose": [1.5, 2.5]}, n / 100 + 0.001)
                tape.add("blob", bytes([n % 256]) * 10, n / 100 + 0.002, Raw())
    return path


def test_topics_say_what_is_recorded(drive):
    with Bag(drive) as bag:
        blob, imu, state = bag.topics()
    assert (blob.name, imu.name, state.name) == ("blob", "imu", "state")
    assert (blob.messages, imu.messages, state.messages) == (10, 1000, 10)
    assert (blob.codec, imu.codec, state.codec) == ("raw", "struct", "msgpack")
    assert imu.schema == IMU.schema
    assert imu.type == "ipcpy_msgs/msg/Imu"
    assert imu.publishers[0][1:] == ("driver", "robot7")
    assert len(bag) == 1020


def test_the_latest_time_that_a_file_can_hold_is_in_it(tmp_path):
    from mcap.writer import Writer

    path = tmp_path / "last.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        channel = writer.register_channel("b", "json", 0)
        writer.add_message(channel, log_time=2**64 - 1, publish_time=0, data=b"1")
        writer.finish()
    with Bag(path) as bag:
        assert [message.data for message in bag.messages()] == [1]


def test_messages_come_as_they_came(drive):
    with Bag(drive) as bag:
        messages = list(bag.messages("imu"))
    assert len(messages) == 1000
    assert [message.data for message in messages] == [Imu(n, n / 2, -n) for n in range(1000)]
    assert [message.seq for message in messages] == list(range(1, 1001))
    assert messages[7].received_ns == START + 70 * MS
    assert messages[7].sent_ns == START + 70 * MS - 50_000
    assert messages[7].topic == "imu"


def test_messages_of_all_topics_come_in_the_order_of_their_recording(drive):
    with Bag(drive) as bag:
        times = [message.received_ns for message in bag.messages()]
    assert len(times) == 1020
    assert times == sorted(times)


def test_a_pattern_and_a_list_choose_topics(drive):
    with Bag(drive) as bag:
        assert {message.topic for message in bag.messages("*")} == {"blob", "imu", "state"}
        assert {message.topic for message in bag.messages(["state", "blob"])} == {"blob", "state"}


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (2, 3, range(200, 300)),
        (None, 0.05, range(5)),
        (9.9, None, range(990, 1000)),
        (-0.095, None, range(990, 1000)),
        (START + 2_000 * MS, START + 2_010 * MS, range(200, 201)),
        (datetime.fromtimestamp(START / 1e9, UTC) + timedelta(seconds=5), 5.02, range(500, 502)),
        (3, 3, range(0)),
    ],
)
def test_moments_are_seconds_or_times(drive, start, end, expected):
    with Bag(drive) as bag:
        assert [int(message.data.gx) for message in bag.messages("imu", start=start, end=end)] == list(expected)


def test_an_array_has_the_fields_and_the_times(drive):
    with Bag(drive) as bag:
        array = bag.array("imu", start=1, end=2)
    assert array.dtype.names == ("gx", "gy", "gz", "sent_ns", "received_ns")
    assert array["gz"].tolist() == [-float(n) for n in range(100, 200)]
    assert array["received_ns"][0] == START + 1000 * MS
    assert array["sent_ns"][0] == START + 1000 * MS - 50_000
    array["gx"][0] = 5  # it is the caller's


def test_an_array_of_dicts_has_their_keys(drive):
    with Bag(drive) as bag:
        array = bag.array("state")
    assert array["n"].tolist() == list(range(0, 1000, 100))
    assert array["pose"].shape == (10, 2)


def test_bytes_that_lie_unaligned_come_back_bit_for_bit(tmp_path):
    values = [Odd(n - 5, n / 3, f"n{n}".encode()) for n in range(10)]
    with tapes.tape(tmp_path / "odd.mcap") as tape:
        for n, value in enumerate(values):
            tape.add("odd", value, n, ODD)
    with Bag(tmp_path / "odd.mcap") as bag:
        assert [message.data[:2] for message in bag.messages()] == [value[:2] for value in values]
        assert [message.data.note for message in bag.messages()] == [value.note.ljust(8, b"\0") for value in values]
        assert bag.array("odd")["note"].tolist() == [value.note for value in values]


def test_an_image_within_a_dict_comes_back_once(tmp_path):
    image = np.arange(200 * 200 * 3, dtype=np.uint8).reshape(200, 200, 3)
    with tapes.tape(tmp_path / "camera.mcap") as tape:
        for n in range(3):
            tape.add("camera", {"n": n, "image": image}, n)
    with Bag(tmp_path / "camera.mcap") as bag:
        messages = list(bag.messages())
        assert [topic.name for topic in bag.topics()] == ["camera"]
        assert len(bag) == 3
    assert [message.data["n"] for message in messages] == [0, 1, 2]
    assert (messages[1].data["image"] == image).all()


def test_the_upper_half_of_a_number_is_kept(tmp_path):
    with tapes.tape(tmp_path / "long.mcap") as tape:
        for seq in ((1 << 32) - 1, 1 << 32, (5 << 32) + 3):
            tape.add("x", seq, seq / 1e10, seq=seq)
    with Bag(tmp_path / "long.mcap") as bag:
        assert [message.seq for message in bag.messages()] == [(1 << 32) - 1, 1 << 32, (5 << 32) + 3]


def test_several_files_are_read_as_one(tmp_path):
    paths = [tmp_path / f"part{n}.mcap" for n in range(3)]
    for n, path in enumerate(paths):
        with tapes.tape(path) as tape:
            for m in range(10):
                tape.add("imu", Imu(n, m, 0), m * 0.1 + n * 0.01, IMU)
    with Bag(*reversed(paths)) as bag:
        assert [tuple(message.data) for message in bag.messages()] == [(n, m, 0) for m in range(10) for n in range(3)]
        assert len(bag) == 30
        assert len(bag.topics()) == 1


def test_times_that_go_backwards_are_put_in_order(tmp_path):
    with tapes.tape(tmp_path / "back.mcap", chunk_size=500) as tape:
        for n in range(100):
            tape.add("x", n, (n % 50) / 10 + n / 1000)
    with Bag(tmp_path / "back.mcap") as bag:
        messages = list(bag.messages())
    assert sorted(message.data for message in messages) == list(range(100))
    times = [message.received_ns for message in messages]
    assert times == sorted(times)


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_an_unknown_topic_is_refused_with_what_may_be_meant(drive):
    with Bag(drive) as bag:
        with pytest.raises(ArgumentError, match=r"no topic 'imuu'; did you mean 'imu'\?"):
            bag.messages("imuu")
        with pytest.raises(ArgumentError, match="a topic is a str"):
            bag.messages(5)
        with pytest.raises(ArgumentError, match="messages of one topic"):
            bag.array("*")


def test_wrong_moments_are_refused(drive):
    with Bag(drive) as bag:
        with pytest.raises(ArgumentError, match="the end is before the start"):
            bag.messages(start=5, end=4)
        with pytest.raises(ArgumentError, match="a moment is seconds"):
            bag.messages(start="5")
        with pytest.raises(ArgumentError, match="a moment is seconds"):
            bag.messages(end=float("nan"))


def test_a_closed_bag_is_refused(drive):
    bag = Bag(drive)
    bag.close()
    bag.close()
    with pytest.raises(ClosedError, match="is closed"):
        bag.messages()
    with pytest.raises(ClosedError, match="is closed"):
        bag.topics()
    assert "closed" in repr(bag)


def test_no_path_and_no_file_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match="got none"):
        Bag()
    with pytest.raises(ArgumentError, match="the path of an MCAP file, got 5"):
        Bag(5)
    with pytest.raises(FileNotFoundError):
        Bag(tmp_path / "nothing.mcap")


def test_messages_of_two_shapes_make_no_array(tmp_path):
    with tapes.tape(tmp_path / "two.mcap") as tape:
        tape.add("x", {"a": [1, 2]}, 0)
        tape.add("x", {"a": [1, 2, 3]}, 1)
    with (
        Bag(tmp_path / "two.mcap") as bag,
        pytest.raises(CodecError, match=r"field a: not all have one type and shape"),
    ):
        bag.array("x")


def test_a_message_that_cannot_be_decoded_is_left_out_and_told(tmp_path, caplog):
    with tapes.tape(tmp_path / "bad.mcap") as tape:
        tape.add("x", 1, 0)
        tape.add_body("x", b"\xc1", 1, MsgPack())
        tape.add("x", 3, 2)
    with Bag(tmp_path / "bad.mcap") as bag:
        assert [message.data for message in bag.messages()] == [1, 3]
        assert len(bag.damage) == 1
        assert "a message of 'x' was left out" in bag.damage[0]
    assert "was left out" in caplog.text


def test_whatever_happened_to_the_bytes_every_question_has_an_answer_or_a_sentence(tmp_path):
    """The chunks have no checks, so that damage reaches schemas, metadata, views and originals."""
    path, broken = tmp_path / "x.mcap", tmp_path / "broken.mcap"
    with tapes.tape(path, compression="none", chunk_size=1500, enable_crcs=False) as tape:
        for n in range(20):
            tape.add("imu", Imu(n, n, n), n, IMU)
            tape.add("odd", Odd(n, n / 3, b"ab"), n, ODD)
            tape.add("state", {"n": n, "x": [1, 2.5]}, n)
            tape.add("raw", b"abc", n, Raw())
    data, dice = path.read_bytes(), Random(14)
    for _ in range(150):
        changed = bytearray(data)
        for _ in range(dice.choice((1, 3, 30))):
            at = dice.randrange(len(changed))
            changed[at : at + dice.choice((0, 1, 1, 8))] = dice.randbytes(dice.choice((1, 1, 8)))
        broken.write_bytes(changed)
        with suppress(CodecError), Bag(broken) as bag:
            assert all(isinstance(message.topic, str) for message in bag.messages())
            for topic in bag.topics():
                with suppress(CodecError):
                    assert len(bag.array(topic.name)) <= 200
            bag.save(tmp_path / "new.mcap", force=True)
