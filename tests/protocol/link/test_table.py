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


def test_frames_are_small_but_for_one_large_entry():
    table = Table()
    for at in range(200):
        table.put(at << 56, b"x" * 100)
    table.put(500, b"y" * 60_000)
    sizes = sorted(len(body) for _, body in table.frames_after(0))
    assert sizes[-2] < 1_300
    assert 60_000 < sizes[-1] < 60_100


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
    for _ in range(20_000):
        body = bytearray(good)
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
