"""Messages of ROS: what another program wrote is read as named tuples where a type has one size, else as dicts."""

from __future__ import annotations

from io import BytesIO

import pytest

pytest.importorskip("rosbags", reason="takes the package rosbags: pip install 'ipcpy[ros]'")
pytest.importorskip("mcap_ros2", reason="takes the package mcap-ros2-support")

from mcap.reader import make_reader
from mcap_ros2.writer import Writer
from rosbags.typesys import Stores, get_typestore

from ipcpy.bag.records import Entry
from ipcpy.bag.ros import read_ros
from ipcpy.errors import CodecError

RULE = "=" * 80
VECTOR = f"{RULE}\nMSG: geometry_msgs/Vector3\nfloat64 x\nfloat64 y\nfloat64 z\n"
TWIST = f"geometry_msgs/Vector3 linear\ngeometry_msgs/Vector3 angular\n{VECTOR}"
HEADER = f"{RULE}\nMSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n"
TIME = f"{RULE}\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"


def entry(data):
    return Entry(1, 1, 1, 1, memoryview(data))


def written(name, definition, message):
    """Return the CDR that mcap-ros2-support makes of a message."""
    file = BytesIO()
    writer = Writer(file)
    writer.write_message("x", writer.register_msgdef(name, definition), message, 1, 1, 1)
    writer.finish()
    return next(make_reader(BytesIO(file.getvalue())).iter_messages())[2].data


def read(name, definition, message):
    reading = read_ros("cdr", name, "ros2msg", definition.encode())
    return reading, entry(written(name, definition, message))


def test_a_type_of_one_size_becomes_named_tuples():
    message = {"linear": {"x": 1.0, "y": 2.0, "z": 3.0}, "angular": {"x": 4.0, "y": 5.0, "z": -6.0}}
    reading, found = read("geometry_msgs/msg/Twist", TWIST, message)
    data = reading.data(found)
    assert (data.linear.x, data.angular.z) == (1.0, -6.0)
    assert type(data).__name__ == "Twist"
    assert reading.codec.name == "struct"
    assert reading.codec.decode(reading.body(found)) == data
    assert reading.payload(found) == reading.body(found)[7:]


def test_every_number_has_its_size_and_arrays_their_length():
    codes = "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float32 float64 byte char".split()
    definition = "".join(f"{code} a_{code}\n{code}[3] b_{code}\n" for code in codes)
    message = {}
    for n, code in enumerate(codes):
        one = True if code == "bool" else n + 0.5 if "float" in code else n
        message |= {f"a_{code}": one, f"b_{code}": [one] * 3}
    message["b_byte"] = message["b_char"] = message["b_uint8"] = bytes([1, 2, 3])
    message["b_char"] = [1, 2, 3]
    reading, found = read("a/msg/All", definition, message)
    data = reading.data(found)
    assert data.a_float32 == 9.5
    assert data.b_int64 == (7, 7, 7)
    assert data.b_bool == (True, True, True)
    assert data.b_uint8 == (1, 2, 3)


def test_any_other_becomes_a_dict():
    definition = (
        "std_msgs/Header header\nuint8[] data\nfloat32[] ranges\nbool[] flags\nstring[] names\n"
        f"geometry_msgs/Vector3[] points\n{HEADER}{TIME}{VECTOR}"
    )
    message = {
        "header": {"stamp": {"sec": 5, "nanosec": 6}, "frame_id": "base"},
        "data": b"\1\2\3",
        "ranges": [0.5, 1.5],
        "flags": [True, False],
        "names": ["a", "é"],
        "points": [{"x": 1.0, "y": 2.0, "z": 3.0}],
    }
    reading, found = read("my/msg/Scan", definition, message)
    data = reading.data(found)
    assert data["ranges"].tolist() == [0.5, 1.5]
    assert data["ranges"].dtype == "float32"
    assert {**data, "ranges": [0.5, 1.5]} == message
    assert reading.codec.name == "msgpack"
    body = reading.body(found)
    assert reading.codec.decode(b"".join(body) if isinstance(body, list) else body)["names"] == ["a", "é"]


def test_types_that_everybody_has_may_be_left_out():
    definition = "std_msgs/Header header\nfloat64 temperature\nfloat64 variance\n"
    store = get_typestore(Stores.LATEST)
    types = store.types
    stamp = types["builtin_interfaces/msg/Time"](1, 2)
    message = types["sensor_msgs/msg/Temperature"](types["std_msgs/msg/Header"](stamp, "imu"), 20.5, 0.1)
    data = bytes(store.serialize_cdr(message, "sensor_msgs/msg/Temperature"))
    reading = read_ros("cdr", "sensor_msgs/msg/Temperature", "ros2msg", definition.encode())
    assert reading.data(entry(data)) == {
        "header": {"stamp": {"sec": 1, "nanosec": 2}, "frame_id": "imu"},
        "temperature": 20.5,
        "variance": 0.1,
    }


def test_ros_1_is_read_too():
    store = get_typestore(Stores.ROS1_NOETIC)
    message = store.types["std_msgs/msg/Header"](7, store.types["builtin_interfaces/msg/Time"](1, 2), "map")
    data = bytes(store.serialize_ros1(message, "std_msgs/msg/Header"))
    reading = read_ros("ros1", "std_msgs/Header", "ros1msg", b"uint32 seq\ntime stamp\nstring frame_id\n")
    assert reading.data(entry(data)) == {"seq": 7, "stamp": {"sec": 1, "nanosec": 2}, "frame_id": "map"}


def test_idl_is_read_too():
    definition = "module a { module msg { struct Point { double x; double y; }; }; };"
    data = written("a/msg/Point", "float64 x\nfloat64 y\n", {"x": 1.0, "y": 2.0})
    reading = read_ros("cdr", "a/msg/Point", "ros2idl", definition.encode())
    assert tuple(reading.data(entry(data))) == (1.0, 2.0)


def test_a_field_that_is_called_as_no_named_tuple_can_makes_a_dict():
    reading, found = read("a/msg/Odd", "int32 class\nint32 other\n", {"class": 1, "other": 2})
    assert reading.data(found) == {"class": 1, "other": 2}


# -- what lies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "definition", "problem"),
    [
        ("no name", "int32 a\n", "no name of a type of ROS"),
        ("a/msg/B'; import os", "int32 a\n", "no name of a type of ROS"),
        ("a/msg/B", "%%%\n", "cannot be read"),
        ("a/msg/B", "c/D x\n", "names 'c/msg/D', and does not say what it is"),
        ("a/msg/B", "a/B x\n", "holds itself"),
        ("a/msg/B", f"C x\n{RULE}\nMSG: a/C\nB y\n", "holds itself"),
        ("a/msg/B", f"C[100000] x\n{RULE}\nMSG: a/C\nint32 y\n", "more than 65,536 values"),
        ("a/msg/B", "int32 a\n" * 200_000, "has 1,600,000 bytes"),
    ],
)
def test_definitions_that_lie_are_refused(name, definition, problem):
    with pytest.raises(CodecError, match=problem):
        read_ros("cdr", name, "ros2msg", definition.encode())


def test_a_definition_that_doubles_at_each_level_is_refused():
    bomb = "T1 a\nT1 b\n" + "".join(f"{RULE}\nMSG: a/T{n}\nT{n + 1} a\nT{n + 1} b\n" for n in range(1, 29))
    bomb += f"{RULE}\nMSG: a/T29\nint32 x\n"
    with pytest.raises(CodecError, match="more than 65,536 values"):
        read_ros("cdr", "a/msg/T0", "ros2msg", bomb.encode())


def test_names_that_are_none_are_refused_though_the_reader_of_definitions_takes_them(monkeypatch):
    """It writes Python of them, and runs it."""
    import rosbags.typesys

    for name, field in (("a/msg/B\nimport os", "x"), ("a/msg/B", "x\nimport os")):
        read = {name: ([], [(field, (1, ("int32", 0)))]), "a/msg/B": ([], [(field, (1, ("int32", 0)))])}
        monkeypatch.setattr(rosbags.typesys, "get_types_from_msg", lambda text, name, read=read: read)
        with pytest.raises(CodecError, match="has a name that is none"):
            read_ros("cdr", "a/msg/B", "ros2msg", f"int32 {field!r}".encode())


@pytest.mark.parametrize("size", range(0, 52, 3))
def test_bytes_that_are_cut_off_are_told(size):
    message = {"linear": {"x": 1.0, "y": 2.0, "z": 3.0}, "angular": {"x": 4.0, "y": 5.0, "z": -6.0}}
    reading, found = read("geometry_msgs/msg/Twist", TWIST, message)
    with pytest.raises(CodecError, match="the bytes are no geometry_msgs/msg/Twist"):
        reading.data(entry(bytes(found.data)[:size]))
