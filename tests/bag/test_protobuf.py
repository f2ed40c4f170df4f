"""Messages of Protocol Buffers: dicts of their fields, by the descriptors beside them."""

from __future__ import annotations

import pytest

pytest.importorskip("mcap_protobuf", reason="takes mcap-protobuf-support: pip install 'ipcpy[protobuf]'")

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from ipcpy.bag.protobuf import read_protobuf
from ipcpy.bag.records import Entry
from ipcpy.errors import CodecError

F = FieldDescriptorProto


def described():
    """Return the descriptors of a Pose with all that a message may have."""
    file = FileDescriptorProto(name="pose.proto", package="demo", syntax="proto3")
    point = file.message_type.add(name="Point")
    for n, name in enumerate("xy", 1):
        point.field.add(name=name, number=n, type=F.TYPE_DOUBLE, label=F.LABEL_OPTIONAL)
    mode = file.enum_type.add(name="Mode")
    mode.value.add(name="IDLE", number=0)
    mode.value.add(name="MOVE", number=1)
    pose = file.message_type.add(name="Pose")
    of_point, of_mode = {"type": F.TYPE_MESSAGE, "type_name": ".demo.Point"}, {"type": F.TYPE_ENUM}
    pose.field.add(name="frame", number=1, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
    pose.field.add(name="at", number=2, label=F.LABEL_OPTIONAL, **of_point)
    pose.field.add(name="path", number=3, label=F.LABEL_REPEATED, **of_point)
    pose.field.add(name="raw", number=4, type=F.TYPE_BYTES, label=F.LABEL_OPTIONAL)
    pose.field.add(name="mode", number=5, label=F.LABEL_OPTIONAL, type_name=".demo.Mode", **of_mode)
    pose.field.add(name="seq", number=6, type=F.TYPE_UINT64, label=F.LABEL_OPTIONAL)
    entry = pose.nested_type.add(name="TagsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=F.TYPE_INT32, label=F.LABEL_OPTIONAL)
    tags = {"type": F.TYPE_MESSAGE, "type_name": ".demo.Pose.TagsEntry"}
    pose.field.add(name="tags", number=7, label=F.LABEL_REPEATED, **tags)
    return file


@pytest.fixture
def pose():
    pool = DescriptorPool()
    pool.Add(described())
    return GetMessageClass(pool.FindMessageTypeByName("demo.Pose"))()


@pytest.fixture
def reading():
    return read_protobuf("demo.Pose", FileDescriptorSet(file=[described()]).SerializeToString())


def entry(message):
    return Entry(1, 1, 1, 1, memoryview(message.SerializeToString()))


def test_a_message_is_a_dict_of_its_fields(pose, reading):
    pose.frame, pose.raw, pose.mode, pose.seq = "map", b"\0\1", 1, (1 << 64) - 1
    pose.at.x = 1.5
    pose.path.add(x=1, y=2)
    pose.path.add()
    pose.tags["a"] = -5
    expected = {
        "frame": "map",
        "at": {"x": 1.5, "y": 0.0},
        "path": [{"x": 1.0, "y": 2.0}, {"x": 0.0, "y": 0.0}],
        "raw": b"\0\1",
        "mode": "MOVE",
        "seq": (1 << 64) - 1,
        "tags": {"a": -5},
    }
    assert reading.data(entry(pose)) == expected
    assert reading.codec.decode(reading.body(entry(pose))) == expected


def test_what_was_not_set_is_absent_if_it_may_be(pose, reading):
    assert reading.data(entry(pose)) == {"frame": "", "path": [], "raw": b"", "mode": "IDLE", "seq": 0, "tags": {}}


def test_an_enum_without_a_name_is_its_number(pose, reading):
    pose.mode = 77
    assert reading.data(entry(pose))["mode"] == 77


def test_bytes_that_are_none_are_told(reading):
    with pytest.raises(CodecError, match=r"the bytes are no demo\.Pose"):
        reading.data(Entry(1, 1, 1, 1, memoryview(b"\x0a\xff")))


@pytest.mark.parametrize(("name", "data"), [("demo.Pose", b"\xff\xff"), ("demo.Nothing", None), ("demo.Pose", b"")])
def test_descriptors_that_are_none_are_told(name, data):
    data = FileDescriptorSet(file=[described()]).SerializeToString() if data is None else data
    with pytest.raises(CodecError, match="the descriptors of demo"):
        read_protobuf(name, data)
