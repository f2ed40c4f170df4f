from __future__ import annotations

import json
from collections import namedtuple
from typing import Any

import pytest

import ipcpy as ipc
from ipcpy.codec.schema import parse_schema
from ipcpy.views import Seen, StructView, body_of, struct_views, viewer_for

Imu = namedtuple("Imu", "gx gy gz")


def packed(data: Any) -> bytes:
    body = ipc.MsgPack().encode(data)
    return b"".join(body) if isinstance(body, list) else body


def made_again(seen: Seen, library: ipc.MsgLibrary | None = None) -> bytes:
    struct = None
    if seen.kind == "struct":
        struct = next(StructView(spec) for spec in parse_schema(library.schema) if spec.id == seen.id)
    return body_of(b"".join(seen.views[-1].data), seen.rest, struct)


def test_struct_messages_are_cdr() -> None:
    library = ipc.MsgLibrary({23: ("<3f", Imu)})
    body = library.encode(Imu(1, 2, 3))
    seen = viewer_for("struct", library.schema).see(body, 0)
    assert [(view.part, view.schema.name) for view in seen.views] == [("", "ipcpy_msgs/msg/Imu")]
    assert (seen.kind, seen.id, seen.rest) == ("struct", 23, None)
    assert made_again(seen, library) == body


def test_several_messages_of_one_library_are_topics_of_their_own() -> None:
    library = ipc.MsgLibrary({1: ("<3f", Imu), 2: ("i", int), 3: ("h", int)})
    viewer = viewer_for("struct", library.schema)
    assert [
        viewer.see(library.pack(id, values), 0).views[0].part for id, values in [(1, (1, 2, 3)), (2, 4), (3, 5)]
    ] == [
        "/Imu",
        "/Int",
        "/Int2",
    ]


@pytest.mark.parametrize("body", [b"", b"\xff\xff\x17\0", b"anything", b"\xff\xff\x18\0\x13\0\0" + bytes(12)])
def test_what_is_no_such_message_is_kept_as_it_is(body: bytes) -> None:
    seen = viewer_for("struct", ipc.MsgLibrary({23: ("<3f", Imu)}).schema).see(body, 0)
    assert (seen.kind, seen.views[0].schema.message_encoding) == ("self", "struct")
    assert made_again(seen) == body


def test_a_damaged_message_is_shown_and_kept_as_it_came() -> None:
    library = ipc.MsgLibrary({23: ("<3f", Imu)})
    body = bytearray(library.encode(Imu(1, 2, 3)))
    body[6] ^= 1
    seen = viewer_for("struct", library.schema).see(bytes(body), 0)
    assert seen.kind == "struct" and seen.rest is not None
    assert made_again(seen, library) == body


@pytest.mark.parametrize("schema", [{}, {"messages": 5}, {"messages": [{"id": 1, "format": "@"}]}])
def test_a_schema_that_is_none_makes_no_views(schema: dict[str, Any]) -> None:
    assert viewer_for("struct", schema).see(b"x", 0).kind == "self"


@pytest.mark.parametrize("data", [{"a": 1, "b": [b"x", None]}, 5, "text", [1, 2], None, {}, {1: 2}])
def test_msgpack_is_json_with_the_body_beside(data: Any) -> None:
    body = packed(data)
    seen = viewer_for("msgpack", {}).see(body, 0)
    (view,) = seen.views
    assert (view.schema.message_encoding, view.schema.encoding, seen.kind) == ("json", "jsonschema", "beside")
    assert made_again(seen) == body
    assert json.loads(view.schema.text)["type"] == "object"


def test_a_schema_grows_with_what_comes_but_not_for_ever() -> None:
    viewer = viewer_for("msgpack", {})
    first = viewer.see(packed({"a": 1}), 0).views[0].schema
    assert viewer.see(packed({"a": 2}), 0).views[0].schema is first
    second = viewer.see(packed({"a": 2, "b": "x"}), 0).views[0].schema
    assert json.loads(second.text)["properties"] == {"a": {"type": "number"}, "b": {"type": "string"}}
    assert viewer.see(packed({"a": 1}), 0).views[0].schema is second
    schemas = {viewer.see(packed({f"k{n}": 1}), 0).views[0].schema for n in range(100)}
    assert len(schemas) < 20


def test_what_is_no_msgpack_is_kept_as_it_is() -> None:
    seen = viewer_for("msgpack", {}).see(b"\xc1\xc1", 0)
    assert (seen.kind, seen.views[0].schema.message_encoding) == ("self", "msgpack")
    assert made_again(seen) == b"\xc1\xc1"


def test_an_image_is_an_image_and_only_its_header_is_kept_beside() -> None:
    np = pytest.importorskip("numpy")
    body = packed(np.arange(48 * 64 * 3, dtype="u4").astype("u1").reshape(48, 64, 3))
    seen = viewer_for("msgpack", {}).see(body, 7)
    assert seen.views[-1].schema.name == "sensor_msgs/msg/Image"
    assert len(seen.rest.bytes) < 200
    assert made_again(seen) == body


def test_the_first_image_of_a_dict_is_an_image_of_its_own() -> None:
    np = pytest.importorskip("numpy")
    image, other = np.zeros((200, 300, 3), "u1"), np.ones((200, 300, 3), "u1")
    body = packed({"t": 1.5, "left": image, "right": other, "end": "x"})
    seen = viewer_for("msgpack", {}).see(body, 7)
    text, carried = seen.views
    assert (text.part, carried.part) == ("", "/left")
    shown = json.loads(b"".join(text.data))
    assert shown["left"] == {"dtype": "|u1", "shape": [200, 300, 3], "topic": "left"}
    assert shown["end"] == "x"
    assert b"".join(carried.data).endswith(image.tobytes())
    assert len(seen.rest.bytes) < other.nbytes + 1000
    assert made_again(seen) == body


def test_a_body_in_shared_memory_is_seen_like_any_other_and_its_image_is_not_copied() -> None:
    np = pytest.importorskip("numpy")
    library = ipc.MsgLibrary({1: ("<3f", Imu), 2: ("16s", str)})
    image = np.arange(200 * 300 * 3, dtype="u4").astype("u1").reshape(200, 300, 3)
    bodies = [(library, library.pack(1, (1, 2, 3))), (library, library.pack(2, "x")), (ipc.Raw(), bytes(50_000))]
    bodies += [(ipc.MsgPack(), packed(data)) for data in (image, {"n": 1, "image": image}, {"b": bytes(50_000)}, "x")]
    for codec, body in bodies:
        shared = memoryview(bytearray(body)).toreadonly()
        one, other = viewer_for(codec.name, codec.schema), viewer_for(codec.name, codec.schema)
        seen = one.see(shared, 7)
        assert seen == other.see(body, 7)
        assert one.again(shared) == other.again(body)
        assert made_again(seen, library) == body
        if b"sensor_msgs" in seen.views[-1].schema.name.encode():
            assert seen.views[-1].data[-1].obj is shared.obj


@pytest.mark.parametrize("codec", ["raw", "protobuf"])
def test_other_codecs_are_kept_as_they_are(codec: str) -> None:
    seen = viewer_for(codec, {"any": 1}).see(b"\0\1", 0)
    assert (seen.kind, seen.views[0].schema, seen.rest) == ("self", (codec, "", "", ""), None)
    assert made_again(seen) == b"\0\1"


def test_a_message_like_the_last_one_is_seen_again_in_a_hurry() -> None:
    library = ipc.MsgLibrary({1: ("<3f", Imu), 2: ("<Bd", tuple), 3: ("<i8s", tuple), 4: ("8s", str)})
    viewer = viewer_for("struct", library.schema)
    one, two, text = library.pack(1, (1, 2, 3)), library.pack(2, (4, 5)), library.pack(4, "x")
    assert viewer.again(one) is None
    (view,) = viewer.see(one, 0).views
    assert viewer.again(library.pack(1, (9, 9, 9))) == (
        viewer.see(library.pack(1, (9, 9, 9)), 0).views[0].data[0],
        None,
    )
    assert viewer.again(two) is None
    viewer.see(two, 0)
    assert viewer.again(two) == (viewer.see(two, 0).views[0].data[0], None)
    damaged = bytearray(two)
    damaged[6] ^= 1
    assert viewer.again(damaged) is None
    viewer.see(text, 0)
    assert viewer.again(text) is None
    viewer.see(b"no message", 0)
    assert viewer.again(b"no message") is None
    assert viewer_for("raw", {}).again(b"\x01") == (b"\x01", None)


def test_so_is_a_document_but_no_image_and_nothing_new() -> None:
    viewer = viewer_for("msgpack", {})
    one, other = packed({"a": 1}), packed({"b": 1})
    assert viewer.again(one) is None
    viewer.see(one, 0)
    assert viewer.again(packed({"a": 2})) == (b'{"a":2}', packed({"a": 2}))
    assert viewer.again(other) is None
    assert [viewer.again(body) for body in (b"\xc1", b"")] == [None, None]
    viewer.see(b"\xc1", 0)
    assert viewer.again(one) is None
    viewer.see(one, 0)
    np = pytest.importorskip("numpy")
    image = packed(np.zeros((100, 100), "u1"))
    assert viewer.again(image) is None
    viewer.see(image, 0)
    assert viewer.again(one) is None


def test_a_publisher_of_ever_new_mixtures_of_types_costs_no_memory() -> None:
    viewer = viewer_for("msgpack", {})
    for number in range(3000):
        data = {f"k{bit}": 1 if number >> bit & 1 else 0.5 for bit in range(12)}
        body = packed(data)
        assert json.loads(viewer.see(body, 0).views[0].data[0]) == data
    assert len(viewer._signatures) <= 1000


def test_what_a_struct_publisher_will_show_is_known_before_its_first_message() -> None:
    library = ipc.MsgLibrary({1: ("<3f", Imu), 2: ("i", int)})
    viewer = viewer_for("struct", library.schema)
    known = viewer.known()
    assert [(part, schema.name) for part, schema in known] == [
        ("/Imu", "ipcpy_msgs/msg/Imu"),
        ("/Int", "ipcpy_msgs/msg/Int"),
    ]
    shown = [viewer.see(library.pack(1, (1, 2, 3)), 0), viewer.see(library.pack(2, 4), 0)]
    assert [(seen.views[0].part, seen.views[0].schema) for seen in shown] == list(known)


def test_what_a_publisher_of_msgpack_will_show_is_not_known_and_of_bytes_it_is() -> None:
    assert viewer_for("msgpack", {}).known() == ()
    assert [schema.message_encoding for _, schema in viewer_for("raw", {}).known()] == ["raw"]


def test_each_message_of_a_library_has_its_own_view() -> None:
    library = ipc.MsgLibrary({1: ("<3f", Imu), 2: ("i", int)})
    assert [(view.id, view.schema.name) for view in struct_views(library.schema)] == [
        (1, "ipcpy_msgs/msg/Imu"),
        (2, "ipcpy_msgs/msg/Int"),
    ]
    with pytest.raises(ipc.SchemaError):
        struct_views({"messages": 5})
