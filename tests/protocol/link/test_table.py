"""Topic tables and their mirrors."""

from __future__ import annotations

from random import Random

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.link import table as module
from ipcpy.protocol.link.table import Change, Mirror, Pool, Table
from ipcpy.protocol.wire import Malformed


def sync(table: Table, mirror: Mirror) -> list[Change]:
    made = []
    for _, body in table.frames_after(mirror.version):
        made += mirror.apply(body)
    assert mirror.version == table.version
    return made


def full(entries: int = 300) -> Table:
    table = Table()
    for at in range(entries):
        table.put(at, b"x" * 100)
    return table


def test_a_newcomer_is_sent_what_exists():
    table, mirror = Table(), Mirror()
    for at in range(100):
        table.put(at, bytes(at))
    table.remove(3)
    sync(table, mirror)
    assert mirror.entries == table.entries
    assert list(table.frames_after(mirror.version)) == []


def test_a_change_and_a_removal_are_told_alone():
    table, mirror = Table(), Mirror()
    for at in range(100):
        table.put(at, b"x")
    sync(table, mirror)
    table.put(5, b"y")
    table.remove(6)
    assert sync(table, mirror) == [Change(5, b"y"), Change(6, None)]


def test_what_changes_nothing_is_not_told():
    table = Table()
    table.put(1, b"x")
    table.put(1, b"x")
    table.remove(2)
    assert table.version == 1
    table.remove(1)
    table.remove(1)
    assert table.version == 2


LARGE = bytes(range(256)) * 20


@pytest.mark.parametrize("split", [True, False])
def test_frames_are_small_but_for_a_large_entry_to_who_takes_no_parts(split):
    table = Table()
    table.version = 1 << 62  # so that numbers take as much room as they can
    for at in range(200):
        table.put((at << 56) + (1 << 55), b"x" * 100)
    table.put(1 << 63, b"y" * 60_000)
    for size in range(module.PART - 2, module.PART + 3):
        table.put(size << 51, b"z" * size)
    sizes = sorted(len(body) for _, body in table.frames_after(0, split=split))
    if not split:
        assert 60_000 < sizes.pop() < 60_100
    assert sizes[-1] <= 1_200 - 36  # bytes of a frame beside its body


def test_who_takes_no_parts_is_sent_the_form_that_there_always_was():
    table = Table()
    table.put(1, b"x")
    table.put(2, LARGE)
    table.put(3, b"y")
    bodies = [msgpack.unpackb(body) for _, body in table.frames_after(0, split=False)]
    assert [part for body in bodies for part in body[2]] == [1, b"x", 2, LARGE, 3, b"y"]
    assert [len(body) for body in bodies] == [3, 3, 4]
    mirror = Mirror()
    for _, body in table.frames_after(0, split=False):
        mirror.apply(body)
    assert (mirror.version, mirror.entries) == (table.version, table.entries)


def test_a_large_entry_comes_in_parts_and_is_there_when_all_have_come():
    table, mirror = Table(), Mirror()
    table.put(1, b"x")
    table.put(2, LARGE)
    table.put(3, b"y")
    made = [mirror.apply(body) for _, body in table.frames_after(0)]
    parts = -(-len(LARGE) // module.PART)
    assert table.version == 2 + parts
    assert made == [[Change(1, b"x")], *[[]] * (parts - 1), [Change(2, LARGE)], [Change(3, b"y")]]
    assert mirror.size == sum(len(data) + module.ENTRY_COST for data in mirror.entries.values())


def test_one_that_changed_while_its_parts_came_is_sent_anew_and_nothing_of_the_old_one_stays():
    table, mirror = Table(), Mirror()
    table.put(1, LARGE)
    frames = table.frames_after(0)
    mirror.apply(next(frames)[1])
    mirror.apply(next(frames)[1])
    table.put(1, LARGE[::-1])
    table.put(2, b"x")
    sync(table, mirror)
    assert mirror.entries == table.entries == {1: LARGE[::-1], 2: b"x"}
    mirror.apply(next(Table().frames_after(0), (0, msgpack.packb([mirror.version, 0, []])))[1])
    table.put(1, LARGE)
    mirror.apply(next(table.frames_after(0))[1])
    table.remove(1)
    sync(table, mirror)
    assert mirror.entries == {2: b"x"}
    assert mirror.size == 1 + module.ENTRY_COST


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.none() | st.sampled_from([1, 1_104, 1_105, 5_000]), st.integers(0, 4)),
        max_size=12,
    ),
    st.booleans(),
)
def test_whatever_changes_between_parts_a_mirror_becomes_equal(steps, split):
    table, mirror = Table(), Mirror()
    for number, (id, size, some) in enumerate(steps):
        table.remove(id) if size is None else table.put(id, bytes([number]) * size)
        for _, (_, body) in zip(range(some), table.frames_after(mirror.version, split=split), strict=False):
            mirror.apply(body)
    sync(table, mirror)
    assert mirror.entries == table.entries
    assert mirror.size == sum(len(data) + module.ENTRY_COST for data in mirror.entries.values())


def part(version, id, data, offset, total, count=None):
    return msgpack.packb([version, version + 1, [id, data], count, offset, total])


@pytest.mark.parametrize(
    "body",
    [
        part(0, 1, b"", 0, 5),
        part(0, 1, None, 0, 5),
        part(0, 1, b"x" * 6, 0, 5),
        part(0, 1, b"xx", 4, 5),
        part(0, 1, b"x", 0, module.MAX_WHOLE + 1),
        part(0, 1, b"x", 0, 1 << 63),
        part(0, 1, b"x", -1, 5),
        part(0, 1, b"x", 0, True),
        part(0, 1, b"x", None, 5),
        part(0, 1, b"x", 0, None),
        msgpack.packb([0, 1, [1, b"x", 2, b"y"], None, 0, 5]),
        msgpack.packb([0, 1, [], None, 0, 5]),
        msgpack.packb([0, 1, [1, b"x"], None, 0]),
        msgpack.packb([0, 1, [1, b"x"], None, 0, 5, 6]),
    ],
)
def test_what_is_no_part_is_malformed(body):
    mirror = Mirror()
    with pytest.raises(Malformed):
        mirror.apply(body)
    assert (mirror.version, mirror.entries, mirror.size) == (0, {}, 0)


@pytest.mark.parametrize(
    "second",
    [
        part(1, 2, b"yy", 2, 5),  # of another entry
        part(1, 1, b"yy", 3, 5),  # with a gap before it
        part(1, 1, b"yy", 1, 5),  # over what is there
        part(1, 1, b"yy", 2, 6),  # of an entry of another size
    ],
)
def test_a_part_that_does_not_follow_on_the_one_before_has_the_mirror_begin_anew(second):
    mirror = Mirror()
    assert mirror.apply(part(0, 1, b"xx", 0, 5)) == []
    assert mirror.apply(second) == []
    assert (mirror.version, mirror.entries, mirror.size) == (0, {}, 0)
    table = Table()
    table.put(1, LARGE)
    assert sync(table, mirror) == [Change(1, LARGE)]


def test_parts_that_are_never_completed_cost_no_more_than_one_entry():
    pool = Pool()
    mirror = Mirror(pool)
    for version in range(3_000):
        mirror.apply(part(version, version, b"x" * 1_000, 0, module.MAX_WHOLE))
        assert mirror.size == 1_000 + module.ENTRY_COST
    for at in range(59):
        version = mirror.version
        mirror.apply(part(version, 7, b"x" * 1_000, at * 1_000, module.MAX_WHOLE))
    assert mirror.size == 59_000 + module.ENTRY_COST
    mirror.apply(msgpack.packb([mirror.version, mirror.version + 1, []]))
    assert mirror.size == 0
    mirror.clear()
    assert pool.free == module.POOL_BYTES


def test_doubles_gaps_and_disorder_change_nothing():
    table, mirror = Table(), Mirror()
    for at in range(100):
        table.put(at, b"x" * 100)
    bodies = [body for _, body in table.frames_after(0)]
    assert mirror.apply(bodies[1]) == []
    assert len(mirror.apply(bodies[0])) > 5
    assert mirror.apply(bodies[0]) == []
    assert mirror.apply(bodies[2]) == []


def test_who_comes_back_from_before_a_forgotten_removal_begins_anew():
    table, mirror = Table(), Mirror()
    for at in range(5):
        table.put(at, b"x")
    sync(table, mirror)
    table.remove(2)
    table.put(7, b"y")
    table.forget(table.version)
    made = sync(table, mirror)
    assert Change(2, None) in made
    assert mirror.entries == table.entries
    assert 2 not in mirror.entries


def test_removals_are_bounded():
    table, mirror = Table(), Mirror()
    table.put(0, b"x")
    sync(table, mirror)
    for at in range(1, 2 * module.MAX_REMOVED):
        table.put(at, b"x")
        table.remove(at)
    assert table.removals == module.MAX_REMOVED
    sync(table, mirror)
    assert mirror.entries == {0: b"x"}


@given(st.lists(st.tuples(st.integers(0, 5), st.none() | st.binary(max_size=3), st.sampled_from("nsf"))))
def test_a_mirror_that_syncs_now_and_then_is_equal(steps):
    table, mirror, early = Table(), Mirror(), Mirror()
    for id, data, then in steps:
        table.remove(id) if data is None else table.put(id, data)
        if then != "n":
            sync(table, mirror)
        if then == "f":
            table.forget(mirror.version)
    for each in (mirror, early):
        sync(table, each)
        assert each.entries == table.entries
        assert each.size == sum(len(data) + module.ENTRY_COST for data in each.entries.values())


def test_two_mirrors_of_one_table_share_what_they_hold():
    mine = Table()
    for number in range(3):
        mine.put(number, b"something")
    ((_, body),) = mine.frames_after(0)
    one, other = Mirror(), Mirror()
    one.apply(memoryview(body))
    other.apply(memoryview(bytes(bytearray(body))))
    assert one.entries
    assert all(one.entries[id] is other.entries[id] for id in one.entries)


def test_large_frames_are_not_remembered():
    before = module._unpack_known.cache_info().currsize
    Mirror().apply(msgpack.packb([0, 1, [1, bytes(module.KNOWN)]]))
    assert module._unpack_known.cache_info().currsize == before


def test_what_is_too_much_changes_nothing():
    pool = Pool()
    mirror = Mirror(pool)
    version = 0
    with pytest.raises(Malformed, match="table full"):
        while True:
            mirror.apply(msgpack.packb([version, version + 1, [version, b"x" * 50_000, version + 1000, b"y"]]))
            version += 1
    before = (mirror.version, dict(mirror.entries), mirror.size, pool.free)
    assert mirror.size <= module.MAX_BYTES
    with pytest.raises(Malformed):
        mirror.apply(msgpack.packb([version, version + 1, [version, b"x" * 50_000]]))
    assert before == (mirror.version, mirror.entries, mirror.size, pool.free)
    mirror.apply(msgpack.packb([version, version + 1, [at for n in range(version) for at in (n, None)]]))
    mirror.clear()
    assert pool.free == module.POOL_BYTES


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgpack.packb(7),
        msgpack.packb([0, 1]),
        msgpack.packb([0, 1, [1]]),
        msgpack.packb([0, 1, [1, "text"]]),
        msgpack.packb([0, 1, ["1", b""]]),
        msgpack.packb([0, 1, [-1, b""]]),
        msgpack.packb([0, True, [1, b""]]),
        msgpack.packb([0, 1.0, []]),
        msgpack.packb([0, 1, None]),
        msgpack.packb([0, 1, {}]),
        msgpack.packb([0, 1, [1, b""], 1, 4]),
        msgpack.packb([0, 1, [1, b"x"], "1", 0, 5]),
        msgpack.packb([0, 1, [1, b""], True]),
        msgpack.packb([0, 1, [[1], b""]]),
        b"\x93\x00\x01\xdd\xff\xff\xff\xff",
        b"\x91" * 5000,
    ],
)
def test_what_is_no_table_is_malformed(body):
    mirror = Mirror()
    with pytest.raises(Malformed):
        mirror.apply(body)
    assert (mirror.version, mirror.entries) == (0, {})


def test_fuzz_of_mirrors_raises_malformed_only():
    random, table = Random(3), Table()
    for at in range(8):
        table.put(at * 99, bytes(at))
    table.remove(99)
    ((_, good),) = table.frames_after(0)
    for number in range(20_000):
        body = bytearray(good if number % 2 else part(0, 1, b"xx", 0, 5, 3))
        for _ in range(random.randrange(1, 4)):
            body[random.randrange(len(body))] = random.randrange(256)
        mirror = Mirror()
        try:
            mirror.apply(bytes(body))
        except Malformed:
            assert mirror.entries == {}


def test_golden():
    table = Table()
    table.put(0, b"node")
    table.put(1 << 63, b"\x00\xff")
    table.put(5, b"gone")
    table.remove(5)
    ((to, body),) = table.frames_after(0)
    assert to == 4
    assert body.hex() == "94000496" + "00c4046e6f6465" + "cf8000000000000000c40200ff" + "05c0" + "02"
    assert Mirror().apply(bytes.fromhex("9300019200c40178")) == [Change(0, b"x")]


def test_a_mirror_that_began_from_something_else_begins_anew():
    table, mirror = full(), Mirror()
    sync(table, mirror)
    stale = Mirror()
    stale.version, stale.entries = mirror.version, {**mirror.entries, 9_999: b"removed, and forgotten"}
    table.put(1, b"news")
    ((to, body),) = table.frames_after(mirror.version)
    made = stale.apply(body)
    assert (stale.version, stale.entries, stale.size) == (0, {}, 0)
    assert Change(9_999, None) in made
    assert mirror.apply(body) == [Change(1, b"news")] and mirror.version == to
    sync(table, stale)
    assert stale.entries == mirror.entries == table.entries


def test_the_last_frame_says_how_many_entries_there_are():
    table = full()
    table.remove(3)
    *before, (_, last) = table.frames_after(0)
    assert [len(msgpack.unpackb(body)) for _, body in before] == [3] * len(before)
    assert msgpack.unpackb(last)[3] == len(table.entries)
