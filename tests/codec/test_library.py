from __future__ import annotations

import copy
import json
import math
import os
import pickle
import struct
import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tools
from ipcpy.codec import binding
from ipcpy.codec.library import MsgLibrary
from ipcpy.codec.stream import get_msg
from ipcpy.errors import ArgumentError, CodecError, SchemaError

Msg = namedtuple("Msg", "a b c")
Imu = namedtuple("Imu", "gx gy gz ax ay az mx my mz")
Mixed = namedtuple("Mixed", "a b c")
TYPES = {
    "int": int,
    "float": float,
    "bytes": bytes,
    "list": list,
    "tuple": tuple,
    "Msg": Msg,
    "Imu": Imu,
    "Mixed": Mixed,
}
GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "struct_messages.json").read_text())["messages"]


class Label(NamedTuple):
    id: int
    text: str
    tag: bytes


@dataclass
class Pose:
    x: float
    y: float
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    linear: float
    angular: float


@dataclass
class Single:
    value: int
    cache: dict[str, int] = field(default_factory=dict, init=False, compare=False)


@dataclass
class Positive:
    value: int

    def __post_init__(self) -> None:
        if self.value < 0:
            raise RuntimeError("negative")


class Ordered(namedtuple("Ordered", "low high")):
    def __new__(cls, low: int, high: int) -> Ordered:
        return super().__new__(cls, min(low, high), max(low, high))


LIBRARY = MsgLibrary(
    {
        1: ("i", int),
        2: ("d", float),
        3: ("?", bool),
        4: ("8s", str),
        5: ("8s", bytes),
        6: ("3h", list),
        7: ("hhf", tuple),
        8: ("iii", Msg),
        9: ("<9f", Imu),
        10: ("H8s4s", Label),
        11: ("dd16s", Pose),
        12: ("ff", Speed),
        13: ("i", Single),
        14: ("", namedtuple("Ping", "")),
        15: (">hI", namedtuple("Big", "a b")),
    }
)


Big = namedtuple("Big", "a b")
Wide = namedtuple("Wide", [f"f{n}" for n in range(40)])
Unknown = namedtuple("Unknown", "a")
EVERY = MsgLibrary(
    {
        1: ("9f", Imu),
        2: ("dd", Speed),
        3: ("q", Single),
        4: ("iif", list),
        5: ("i", int),
        6: ("d", float),
        7: (">hq", Big),
        8: ("i16s4s", Label),
        9: ("40q", Wide),
    }
)


def values_of(entry: dict[str, Any]) -> list[Any]:
    return [bytes.fromhex(value) if entry["type"] == "bytes" else value for value in entry["values"]]


# -- the bytes of 0.1.1 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda entry: f"{entry['id']}-{entry['values']!s:.20}")
def test_golden_messages(entry: dict[str, Any]) -> None:
    library = MsgLibrary({entry["id"]: (entry["format"], TYPES[entry["type"]])})
    message, values = bytes.fromhex(entry["message"]), values_of(entry)
    assert library.pack(entry["id"], values) == message
    assert library.get_size(entry["id"]) == entry["size"] == len(message)
    id, payload = get_msg(message)
    assert id == entry["id"]
    decoded = library.decode(message)
    assert decoded == library.unpack(entry["id"], payload)
    assert library.encode(decoded) == message


SEED_PROGRAM = """
import json, sys
from collections import namedtuple
from ipcpy.message import MsgLibrary, get_msg
types = {"int": int, "float": float, "list": list, "tuple": tuple, "Mixed": namedtuple("Mixed", "a b c")}
types |= {"Msg": namedtuple("Msg", "a b c"), "Imu": namedtuple("Imu", "gx gy gz ax ay az mx my mz")}
for line in sys.stdin:
    entry = json.loads(line)
    library = MsgLibrary({entry["id"]: (entry["format"], types[entry["type"]])})
    id, payload = get_msg(bytes.fromhex(entry["message"]))
    read = library.unpack(id, payload)
    print(json.dumps([id, type(read).__name__, read, library.pack(id, entry["values"]).hex()]))
"""


def test_both_ways_with_the_real_release() -> None:
    seed = os.environ.get("SEED_IPCPY_PATH")
    if not seed:
        raise tools.Unavailable(
            "SEED_IPCPY_PATH names no folder with ipcpy 0.1.1 (pip install --no-deps --target FOLDER ipcpy==0.1.1)"
        )
    entries = [entry for entry in GOLDEN if entry["type"] != "bytes"]
    ours = [MsgLibrary({entry["id"]: (entry["format"], TYPES[entry["type"]])}) for entry in entries]
    sent = [
        json.dumps(entry | {"message": library.pack(entry["id"], entry["values"]).hex()})
        for entry, library in zip(entries, ours, strict=True)
    ]
    run = subprocess.run(
        [sys.executable, "-c", SEED_PROGRAM],
        input="\n".join(sent),
        env={"PYTHONPATH": seed},
        cwd=seed,  # -c puts the working folder first, and that may be ours
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(answers) == len(entries)
    for entry, library, (id, type_name, read, message) in zip(entries, ours, answers, strict=True):
        assert (id, type_name) == (entry["id"], entry["type"])
        decoded = library.decode(bytes.fromhex(message))
        assert (list(decoded) if isinstance(decoded, tuple) else decoded) == read


# -- values and types --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        5,
        -1.5,
        True,
        "grün",
        "",
        b"12345678",
        [1, -2, 3],
        (1, 2, 0.5),
        Msg(1, 2, 3),
        Imu(*range(9)),
        Label(7, "näh", b"abcd"),
        Pose(1.0, -2.0, "arm"),
        Speed(linear=1.0, angular=0.5),
        Single(4),
    ],
    ids=repr,
)
def test_every_type_comes_back(data: Any) -> None:
    message = LIBRARY.encode(data)
    for body in (message, bytearray(message), memoryview(message), memoryview(bytearray(message))):
        decoded = LIBRARY.decode(body)
        assert decoded == data
        assert type(decoded) is type(data)
    id, payload = get_msg(message)
    assert id is not None
    assert LIBRARY.unpack(id, payload) == data
    assert LIBRARY.get_size(id) == len(message) == LIBRARY.sizes[id]


def test_message_without_values() -> None:
    assert LIBRARY.pack(14, []) == bytes.fromhex("ffff0e00070000")
    assert LIBRARY.decode(LIBRARY.pack(14, [])) == ()


@given(st.lists(st.floats(width=32), min_size=9, max_size=9))
def test_floats_keep_their_bits(values: list[float]) -> None:
    decoded = LIBRARY.decode(LIBRARY.encode(Imu(*values)))
    assert struct.pack("9f", *decoded) == struct.pack("9f", *values)


@given(st.integers(0, 0xFFFF), st.text(max_size=8), st.binary(min_size=4, max_size=4))
def test_text_comes_back_whole_or_not_at_all(id: int, text: str, tag: bytes) -> None:
    fits = len(text.encode()) <= 8 and "\0" not in text
    try:
        decoded = LIBRARY.decode(LIBRARY.encode(Label(id, text, tag)))
    except CodecError as error:
        assert not fits, error
        assert "field text" in str(error)
    else:
        assert fits
        assert decoded == (id, text, tag)


def test_what_0_1_1_took_for_values() -> None:
    five = bytes.fromhex("ffff01000b000505000000")
    assert LIBRARY.pack(1, [5]) == LIBRARY.pack(1, (5,)) == LIBRARY.pack(1, 5) == LIBRARY.pack(1, iter([5])) == five
    three = LIBRARY.pack(8, [1, 2, 3])
    for values in (Msg(1, 2, 3), (1, 2, 3), range(1, 4), {"c": 3, "a": 1, "b": 2}, bytes([1, 2, 3]), Mixed(1, 2, 3)):
        assert LIBRARY.pack(8, values) == LIBRARY.encode(values, id=8) == three
    assert LIBRARY.pack(5, [b"ab"]) == LIBRARY.pack(5, b"ab")
    assert LIBRARY.pack(4, ["ab"]) == LIBRARY.pack(4, "ab")
    assert LIBRARY.pack(11, [1, 2, "x"]) == LIBRARY.pack(11, Pose(1, 2, "x"))


def test_strings() -> None:
    assert LIBRARY.decode(LIBRARY.encode(b"ab")) == b"ab" + bytes(6)  # bytes keep the NULs, as in 0.1.1
    c_string = LIBRARY.pack(5, b"ab\0rest!")
    assert LIBRARY.unpack(4, c_string[7:]) == "ab"  # text ends where it ends in C
    with pytest.raises(CodecError, match="message 4 .*utf-8"):
        LIBRARY.unpack(4, b"\xff\xfe......")


def test_numpy_values() -> None:
    numpy = pytest.importorskip("numpy")
    assert LIBRARY.decode(LIBRARY.pack(9, numpy.arange(9, dtype="f4"))) == Imu(*range(9))
    assert LIBRARY.pack(1, numpy.array([5])) == LIBRARY.pack(1, numpy.int16(5)) == LIBRARY.pack(1, 5)
    assert LIBRARY.encode(numpy.float64(0.5)) == LIBRARY.encode(0.5)


def test_types_with_a_mind_of_their_own() -> None:
    library = MsgLibrary({1: ("ii", Ordered), 2: ("i", Positive)})
    assert library.unpack(1, struct.pack("<ii", 9, 2)) == (2, 9)
    with pytest.raises(CodecError, match="message 2 .*does not take.*negative"):
        library.unpack(2, struct.pack("<i", -1))
    with pytest.raises(CodecError, match="does not take"):
        library.decode(library.pack(2, [-1]))


def test_big_endian_is_said_and_done() -> None:
    assert LIBRARY.pack(15, [1, 2])[7:] == bytes.fromhex("0001 00000002")


def test_instances_share_nothing() -> None:
    one, other = MsgLibrary({1: ("i", int)}), MsgLibrary({2: ("i", int)})
    assert (list(one.sizes), list(other.sizes)) == ([1], [2])


# -- which ID ----------------------------------------------------------------------------------------------------------


def test_id_by_type() -> None:
    library = MsgLibrary({1: ("i", int), 2: ("iii", Msg), 3: ("h", int), 4: ("ff", tuple)})
    with pytest.raises(ArgumentError, match="int is the type of the messages 1, 3: say which by id="):
        library.encode(5)
    assert get_msg(library.encode(5, id=3)) == (3, b"\x05\x00")
    with pytest.raises(CodecError, match="no message has the type dict; the types here: Msg, int, tuple"):
        library.encode({})


def test_subclasses() -> None:
    class Tagged(Msg):
        pass

    @dataclass
    class Pose3(Pose):
        z: float = 0.0

    @dataclass
    class Goal(Pose):
        pass

    assert LIBRARY.encode(Tagged(1, 2, 3)) == LIBRARY.encode(Msg(1, 2, 3))
    assert LIBRARY.encode(Goal(1, 2, "x")) == LIBRARY.encode(Pose(1, 2, "x"))
    with pytest.raises(CodecError, match="no message has the type Pose3"):
        LIBRARY.encode(Pose3(1, 2, "x", 3))  # z would be lost
    with pytest.raises(CodecError, match="no message has the type Two"):
        LIBRARY.encode(namedtuple("Two", "a b")(1, 2))  # a tuple, but not one that says so
    assert MsgLibrary({1: ("i", int)}).encode(True) == MsgLibrary({1: ("i", int)}).encode(1)


# -- what is refused, and how ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id", "values", "reason"),
    [
        (8, [1, 2], r"message 8 \(Msg\) takes 3 values \(a, b, c\), got 2"),
        (8, [1, 2.5, 3], r"message 8 \(Msg\), field b: expected int32, got float 2.5"),
        (8, [1, 2, 2**31], r"field c: expected int32 \(-2147483648 to 2147483647\), got int 2147483648"),
        (8, [1, 2, "3"], r"field c: expected int32, got str '3'"),
        (8, {"a": 1, "x": 2}, r"missing: \['b', 'c'\], unknown: \['x'\]"),
        (8, 5, r"message 8: expected Msg or its 3 values in a list or tuple, got int 5"),
        (8, {1, 2, 3}, "got set"),
        (8, "123", "got str"),
        (8, None, "got NoneType"),
        (1, 2**40, r"message 1 \(int\), value 1 of 1: expected int32"),
        (1, [1, 2], "takes 1 values, got 2"),
        (1, "5", "expected int32, got str"),
        (10, [-1, "", b""], r"field id: expected uint16 \(0 to 65535\), got int -1"),
        (10, [1, b"", b""], r"field text: expected str, got bytes"),
        (10, [1, "ä" * 5, b""], r"field text: expected at most 8 bytes of UTF-8, got 10"),
        (10, [1, "a\0b", b""], r"field text: text ends at its first NUL"),
        (10, [1, "\ud800", b""], r"field text: .*surrogates"),
        (10, [1, "", b"12345"], r"field tag: expected at most 4 bytes, got 5"),
        (10, [1, "", "abc"], r"field tag: expected bytes, got str 'abc'; annotate the field as str"),
        (10, [1], r"takes 3 values"),
        (9, [1e39] * 9, r"field gx: float 1e\+39 is out of the range of float32"),
        (9, [0.0] * 8 + ["x"], r"field mz: expected float32, got str"),
        (3, "yes", r"value 1 of 1: expected bool, got str 'yes'"),
        (15, [1, -1], r"field b: expected uint32 \(0 to 4294967295\), got int -1"),
    ],
)
def test_wrong_values_are_named(id: int, values: object, reason: str) -> None:
    with pytest.raises(CodecError, match=reason):
        LIBRARY.pack(id, values)
    with pytest.raises(CodecError, match=reason):
        LIBRARY.encode(values, id=id)


def test_unknown_ids() -> None:
    for call in (LIBRARY.get_size, lambda id: LIBRARY.pack(id, []), lambda id: LIBRARY.encode([], id=id)):
        with pytest.raises(ArgumentError, match="unknown message ID 99; this library has 1, 2, 3"):
            call(99)
    with pytest.raises(CodecError, match="unknown message ID 99"):
        LIBRARY.unpack(99, b"")


@pytest.mark.parametrize("payload", [b"", bytes(11), bytes(13), None, "text"])
def test_payload_of_wrong_length(payload: Any) -> None:
    with pytest.raises(CodecError, match=r"message 8 \(Msg\) has a payload of 12 bytes, got"):
        LIBRARY.unpack(8, payload)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not a struct message: 0 bytes"),
        (bytes(11), "begin with 00 00"),
        (bytes.fromhex("ffff63000b000505000000"), "unknown message ID 99"),
        (bytes.fromhex("ffff01000c000505000000"), r"message 1 \(int\) takes 11 bytes, its header says 12"),
        (bytes.fromhex("ffff01000b0005050000"), r"message 1 \(int\) takes 11 bytes, got 10"),
        (bytes.fromhex("ffff01000b00050500000000"), "got 12"),
        (bytes.fromhex("ffff01000b000405000000"), "bad checksum"),
        ("text", "got str"),
        (None, "got NoneType"),
    ],
)
def test_wrong_bodies_are_named(body: Any, reason: str) -> None:
    with pytest.raises(CodecError, match=reason):
        LIBRARY.decode(body)


def test_every_flipped_bit_of_a_body_is_refused() -> None:
    message = LIBRARY.encode(Msg(1, -2, 3))
    for bit in range(len(message) * 8):
        flipped = bytearray(message)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError):
            LIBRARY.decode(bytes(flipped))


@given(
    st.binary(max_size=60), st.sampled_from([b"", b"\xff\xff", *(bytes.fromhex(e["message"])[:6] for e in GOLDEN[:12])])
)
def test_only_codec_errors_come_out_of_decode(noise: bytes, start: bytes) -> None:
    try:
        LIBRARY.decode(start + noise)
    except CodecError:
        pass


@pytest.mark.parametrize(
    ("messages", "error", "reason"),
    [
        ({-1: ("i", int)}, ArgumentError, "0 to 65535, got -1"),
        ({65536: ("i", int)}, ArgumentError, "0 to 65535"),
        ({1.0: ("i", int)}, ArgumentError, "got 1.0"),
        ({True: ("i", int)}, ArgumentError, "got True"),
        ({"1": ("i", int)}, ArgumentError, "got '1'"),
        ([(1, ("i", int)), (1, ("h", int))], ArgumentError, "message 1 is there twice"),
        (5, ArgumentError, "expected {id"),
        ({1: "i"}, SchemaError, "message 1: expected"),
        ({1: ("i",)}, SchemaError, "message 1: expected"),
        ({1: ("k", int)}, SchemaError, "message 1: format 'k'"),
        ({1: ("65529B", list)}, SchemaError, "message 1: .*at most 65528"),
        ({1: ("ii", int)}, SchemaError, "message 1: int is one value, format '<ii' has 2"),
        ({1: ("f", int)}, SchemaError, "int does not fit format '<f', which is float32"),
        ({1: ("i", float)}, SchemaError, "float does not fit"),
        ({1: ("i", str)}, SchemaError, "str does not fit"),
        ({1: ("ii", Msg)}, SchemaError, r"Msg has 3 fields \(a, b, c\), format '<ii' has 2 values"),
        ({1: ("dd", Pose)}, SchemaError, "Pose has 3 fields"),
        ({1: ("ddd", Pose)}, SchemaError, "field name is annotated str, format '<ddd' has float64 there"),
        ({1: ("i", dict)}, SchemaError, "dict is none of the types"),
        ({1: ("i", 5)}, SchemaError, "expected a type"),
        ({1: ("i", list[int])}, SchemaError, "expected a type"),
    ],
)
def test_wrong_libraries(messages: Any, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        MsgLibrary(messages)


def test_pairs_and_empty() -> None:
    assert MsgLibrary([(1, ("i", int))]).pack(1, 5) == MsgLibrary({1: ("i", int)}).pack(1, 5)
    assert MsgLibrary({}).schema == {"messages": []}
    assert repr(MsgLibrary({1: ("i", int)})) == "MsgLibrary({1: ('<i', int)})"


def test_nan_and_infinity_pass() -> None:
    decoded = LIBRARY.decode(LIBRARY.encode(math.inf))
    assert decoded == math.inf
    assert math.isnan(LIBRARY.decode(LIBRARY.encode(math.nan)))


# -- many at once ------------------------------------------------------------------------------------------------------

MANY = binding.MANY_ROWS


@pytest.mark.parametrize(
    "make",
    [
        lambda n: Imu(*(n + k / 8 for k in range(9))),
        lambda n: Speed(linear=n, angular=-n),
        lambda n: Single(n),
        lambda n: [n, -n, 0.5],
        lambda n: n,
        lambda n: float(n),
        lambda n: Big(n, -n),
    ],
    ids=["namedtuple", "dataclass", "one field", "list", "int", "float", "big-endian"],
)
@pytest.mark.parametrize("count", [MANY, MANY + 1, 1000])
def test_many_have_the_bytes_of_each(make: Any, count: int) -> None:
    messages = [make(n) for n in range(count)]
    encoded = EVERY.encode_many(messages)
    assert encoded is not None
    data, size = encoded
    assert bytes(data) == b"".join(map(EVERY.encode, messages))
    assert size == len(EVERY.encode(messages[0]))
    decoded = EVERY.decode_many(bytes(data), size)
    assert decoded == messages
    assert {type(one) for one in decoded} == {type(messages[0])}


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [5] * (MANY - 1),
        [*[5] * MANY, 5.0],  # two kinds
        [*[5] * MANY, 1 << 40],  # out of range
        [[1, 2, 3.0]] * MANY + [[1, 2]],  # too few values
        [Label(1, "text", b"tag")] * MANY,  # strings are looked at one by one
        [Wide(*range(40))] * MANY,  # more bytes than it pays for
        [Unknown(1)] * MANY,
        [{"a": 1}] * MANY,
    ],
    ids=["none", "few", "kinds", "range", "count", "text", "wide", "unknown", "mapping"],
)
def test_many_that_go_one_by_one(messages: list[Any]) -> None:
    assert EVERY.encode_many(messages) is None


def test_many_of_a_type_with_two_ids() -> None:
    assert MsgLibrary({1: ("i", int), 2: ("q", int)}).encode_many([1] * MANY) is None


def test_many_of_other_kinds_are_refused() -> None:
    data, size = EVERY.encode_many([5] * MANY) or (b"", 0)
    for place in range(6):  # of the header: start bytes, ID, size
        spoiled = bytearray(data)
        spoiled[size * 7 + place] ^= 1
        with pytest.raises(CodecError):
            EVERY.decode_many(bytes(spoiled), size)
    for wrong in (bytes(data[:-1]), bytes(size * 2), b"\xff\xff"):
        with pytest.raises(CodecError):
            EVERY.decode_many(wrong, size)


def test_many_of_a_schema() -> None:
    data, size = EVERY.encode_many([Imu(*range(9))] * MANY) or (b"", 0)
    other = MsgLibrary.from_schema(EVERY.schema)
    with pytest.raises(CodecError):  # bound when the first is decoded
        other.decode_many(bytes(data), size)
    assert other.decode(data[:size]) == tuple(range(9))
    assert other.decode_many(bytes(data), size)[-1]._fields == Imu._fields


def test_each_value_of_a_message_has_a_name_and_a_type_in_words():
    library = MsgLibrary({1: (">I16s4s", Label), 2: ("<2fx?", tuple), 3: ("<2f", namedtuple("Pair", "a b"))})
    assert library.fields(1) == (("id", "big-endian uint32"), ("text", "text[16]"), ("tag", "bytes[4]"))
    assert library.fields(2) == (("", "float32"), ("", "float32"), ("", "bool"))
    assert library.fields(3) == (("a", "float32"), ("b", "float32"))


def test_a_text_that_is_the_whole_message_reads_as_text_and_bytes_as_bytes():
    library = MsgLibrary({1: ("16s", str), 2: ("16s", bytes), 3: ("8p", str), 4: ("8p", bytes), 5: ("", tuple)})
    assert [library.fields(id) for id in library.sizes] == [
        (("", "text[16]"),),
        (("", "bytes[16]"),),
        (("", "text[8]"),),
        (("", "pascal[8]"),),
        (),
    ]


@pytest.mark.parametrize("code", "bBhHiIlLqQefd?c")
@pytest.mark.parametrize("order", "<>")
def test_the_type_of_every_code_tells_its_kind_size_and_byte_order(order, code):
    ((_, words),) = MsgLibrary({1: (order + code, tuple)}).fields(1)
    size = struct.calcsize("<" + code)
    kind = {"?": "bool", "c": "char"}.get(code) or f"{'float' if code in 'efd' else 'int'}{8 * size}"
    kind = f"u{kind}" if code.isupper() else kind
    assert words == (f"big-endian {kind}" if order == ">" and size > 1 else kind)


@given(
    st.dictionaries(st.sampled_from(["ax", "ay", "az", "note", "tag"]), st.sampled_from(["i", "H", "3s", "d", "?"])),
    st.sampled_from("<>"),
)
def test_fields_are_the_same_on_both_sides_of_the_network(fields, order):
    type_ = NamedTuple("Made", [(name, str if code == "3s" else int) for name, code in fields.items()])  # type: ignore[misc]
    library = MsgLibrary({7: (order + "".join(fields.values()), type_)})
    there = MsgLibrary.from_schema(json.loads(json.dumps(library.schema)))
    assert there.fields(7) == library.fields(7)
    assert [name for name, _ in there.fields(7)] == list(fields)


def test_fields_of_an_unknown_message_are_an_error_that_names_the_known_ones():
    with pytest.raises(ArgumentError, match="unknown message ID 8; this library has 7"):
        MsgLibrary({7: ("i", int)}).fields(8)


class Own(MsgLibrary):
    """A library with something of its own."""

    def __init__(self, messages):
        super().__init__(messages)
        self.robot = "r7"


Pair = namedtuple("Pair", "a b")


def test_a_library_is_pickled_and_copied_with_the_types_it_has():
    """A process that is started by ``spawn`` is given its arguments so."""
    library = MsgLibrary({1: ("<2h", Pair), 2: ("<i", int), 3: ("<8s", str)})
    for again in (pickle.loads(pickle.dumps(library)), copy.copy(library), copy.deepcopy(library)):
        assert again.schema == library.schema
        assert again.encode(Pair(1, 2)) == library.encode(Pair(1, 2))
        assert type(again.decode(library.encode(Pair(1, 2)))) is Pair
        assert again.decode(again.encode("abc")) == "abc"
    own = pickle.loads(pickle.dumps(Own({1: ("<2h", Pair)})))
    assert (type(own), own.robot, own.decode(own.encode(Pair(1, 2)))) == (Own, "r7", (1, 2))


def test_a_library_of_a_schema_is_pickled_before_and_after_its_types_were_made():
    theirs = MsgLibrary({1: ("<2h", Pair), 2: ("<8s", str)})
    library = MsgLibrary.from_schema(theirs.schema)
    assert pickle.loads(pickle.dumps(library)).decode(theirs.encode(Pair(1, 2))) == (1, 2)
    library.decode(theirs.encode(Pair(1, 2)))
    again = pickle.loads(pickle.dumps(library))
    assert again.schema == theirs.schema
    assert type(again.decode(theirs.encode(Pair(3, 4)))) is type(library.decode(theirs.encode(Pair(3, 4))))


def test_what_was_received_can_be_published_with_its_publishers_schema():
    theirs = MsgLibrary({1: ("<2h", Pair), 2: ("<8s", str)})
    received = MsgLibrary.from_schema(theirs.schema).decode(theirs.encode(Pair(1, 2)))
    relay = MsgLibrary.from_schema(theirs.schema)
    assert relay.encode(received) == theirs.encode(Pair(1, 2))
    assert relay.encode("abc") == theirs.encode("abc")


def test_another_class_of_the_same_name_is_said_to_be_one():
    """As after importlib.reload, or a cell of a notebook that was run twice."""
    library = MsgLibrary({1: ("<2h", Pair)})
    again = namedtuple("Pair", "a b")
    with pytest.raises(CodecError, match=r"has another class of that name, of .*\. Was it reloaded or defined twice\?"):
        library.encode(again(1, 2))
    assert library.encode(again(1, 2), id=1) == library.encode(Pair(1, 2))
    same_fields = make_dataclass("Pair", ["a", "b"])
    with pytest.raises(CodecError, match="has another class of that name"):
        library.encode(same_fields(1, 2))
    assert library.encode(same_fields(1, 2), id=1) == library.encode(Pair(1, 2))


def test_numbers_of_numpy_stand_for_those_of_python():
    np = pytest.importorskip("numpy")
    library = MsgLibrary({1: ("<d", float), 2: ("<i", int), 3: ("<?", bool), 4: ("<4s", bytes), 5: ("<4s", str)})
    for value, data in (
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.uint8(7), 7),
        (np.int64(-7), -7),
        (np.bool_(True), True),
        (np.bytes_(b"abcd"), b"abcd"),
        (np.str_("abc"), "abc"),
    ):
        decoded = library.decode(library.encode(value))
        assert (type(decoded), decoded) == (type(data), data)
        id = library.encode(data)[2]
        assert library.encode(value, id=id) == library.encode(data)
    for value in (np.datetime64(1, "ns"), np.timedelta64(1, "ns"), np.complex64(1)):
        with pytest.raises(CodecError, match="no message has the type"):
            library.encode(value)
