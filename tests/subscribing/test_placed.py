"""The compiled part takes what lies in shared memory as its twin does, whatever a publisher says of where it lies.

Where it was not compiled, both ways are one, and these tests are true of that.
"""

from __future__ import annotations

import contextlib
from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways import BothWays, state_of
from ipcpy.checksum import crc32
from ipcpy.codec import MsgLibrary
from ipcpy.fast import COMPILED
from ipcpy.protocol.data.places import held, let_go, pack_spot
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.subscribing.inbound import Inbound
from ipcpy.subscribing.latencies import ask
from ipcpy.subscribing.memory import Shared
from receiving import HERE, THERE, Side
from still import StillLoop

pytest.importorskip("fcntl")
from handing import Giver  # noqa: E402

P, Q, R = 0xA1, 0xB2, 0xC3  # raw, a struct, and one that shares nothing
LIBRARY = MsgLibrary({7: ("<64d", tuple)})
BODIES = [b"x", b"y" * 100, bytes(LIBRARY.pack(7, range(64))), bytes(70_000)]


class Both(BothWays):
    """One subscriber twice, and publishers that share memory with either."""

    def __init__(self) -> None:
        super().__init__(lambda: Side(depth=4))
        self.close = contextlib.ExitStack()
        self.givers: dict[int, list[Giver]] = {P: [], Q: []}
        for side in self.sides:
            for number, changes in ((P, {}), (Q, {"codec": "struct", "schema": LIBRARY.schema})):
                giver = self.close.enter_context(Giver(number, side.number))
                flow = side.match(number, **changes)
                assert flow.memory.take_offer(giver.offer, [giver.descriptor], giver.theirs, StillLoop(), lambda: None)
                giver.read()
                self.givers[number].append(giver)
                self.close.callback(flow.finish, side.now)
            side.match(R)

    def lay(self, number: int, body: bytes, entry: int) -> Any:
        """Have a publisher lay a body into what it shares with either; return where."""
        first, second = (giver.lay(body, entry) for giver in self.givers[number])
        assert first == second
        return first

    def __enter__(self) -> Both:
        return self

    def __exit__(self, *_: object) -> None:
        for side in self.sides:
            side.messages()
        self.close.close()

    def compare(self) -> None:
        """Fail unless both have the same messages, counts and states, and say so in their ledgers."""
        found = []
        for at, side in enumerate(self.sides):
            messages = [(*each[1:], type(each.data), *_content(each.data)) for each in side.inbox.messages]
            shared = [flow.shared for flow in side.inbound.flows.values()]
            ledgers = [givers[at].ledger[:8].tolist() for givers in self.givers.values()]
            found.append({**state_of(side), "messages": messages, "shared": shared, "ledgers": ledgers})
        assert found[0] == found[1]


def _content(data: Any) -> tuple[Any, ...]:
    return (bytes(data), data.readonly) if isinstance(data, memoryview) else (repr(data),)


NUMBERS = st.sampled_from([P, P, P, Q, R, 99])
LIES = st.one_of(
    st.just({}),
    st.just({}),
    st.just({}),
    st.dictionaries(
        st.sampled_from(["segment", "entry", "generation", "offset", "size"]),
        st.sampled_from([0, 1, 7, 15, 16, 1023, 1024, 8191, 1 << 20, (1 << 20) - 64, 1 << 26, (1 << 30) - 1]),
        max_size=2,
    ),
)
CHANGES = st.one_of(
    st.just(None),
    st.just(None),
    st.just(None),
    st.tuples(st.integers(0, 67), st.integers(0, 7), st.booleans()),
    st.just("cut"),
)
STEPS = st.one_of(
    *[
        st.tuples(
            st.just("placed"),
            NUMBERS,
            st.sampled_from(BODIES),
            st.integers(0, 3),
            st.sampled_from([0, 0, 0, 0, 0, 1, -1, 1 << 62]),
            st.sampled_from([5, 5, 0, (1 << 62) - 1, 1 << 62, (1 << 64) - 1]),
            st.sampled_from([None, None, None, 0, 1, 2]),
            LIES,
            CHANGES,
            st.sampled_from([HERE, HERE, HERE, HERE, THERE]),
        )
    ]
    * 4,
    st.tuples(st.just("gone"), st.sampled_from([P, Q]), st.integers(0, 3)),
    st.tuples(st.just("data"), st.sampled_from([P, Q, R])),
    st.tuples(st.just("read"), st.integers(1, 4)),
    st.just(("ask",)),
    st.just(("ended",)),
)


def _do(both: Both, step: Any) -> None:
    first = both.sides[0]
    match step:
        case ("placed", number, body, entry, ahead, sent_ns, codec, lies, change, address):
            flow = first.inbound.flows.get(number)
            seq = max(0, min((flow.receiver.next if flow else 1) + ahead, (1 << 64) - 1))
            spot = both.lay(number if number in (P, Q) else P, body, entry)._replace(**lies)
            told = int(number == Q) if codec is None else codec
            data = bytearray(pack_frame(Kind.PLACED, number, seq, sent_ns, pack_spot(spot), codec=told))
            match change:
                case (at, bit, mends):
                    data[at] ^= 1 << bit
                    if mends:
                        data[-4:] = crc32(data[:-4]).to_bytes(4, "little")
                case "cut":
                    data = data[:-1]
            both.take(bytes(data), address)
        case ("gone", number, entry):
            for giver in both.givers[number]:
                giver.table[entry] = 0
        case ("data", number):
            seq = first.inbound.flows[number].receiver.next
            body = LIBRARY.pack(7, range(64)) if number == Q else b"small"
            both.each(lambda side: side.data(number, seq, body, codec="struct" if number == Q else "raw"))
        case ("read", count):
            both.each(lambda side: [side.inbox.messages.popleft() for _ in range(min(count, len(side.inbox.messages)))])
        case ("ask",):
            both.each(lambda side: [ask(flow, side.wall_ns) for flow in side.inbound.flows.values()])
        case ("ended",):
            both.each(lambda side: side.inbound.flows[Q].memory.close())


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=12))
def test_whatever_a_publisher_says_both_ways_take_it_the_same(steps):
    with Both() as both:
        for step in steps:
            _do(both, step)
            both.compare()


@pytest.mark.skipif(not COMPILED, reason="nothing is taken in C")
def test_what_is_usual_is_taken_in_c_where_that_is(monkeypatch):
    """Else the other test would compare Python with Python."""
    with Both() as both:
        monkeypatch.setattr(Inbound, "take_any", lambda self, data, address: None)
        for seq in (1, 2, 3):
            frame = both.givers[P][0].frame(both.lay(P, b"body", seq), seq)
            both.sides[0].inbound.take(frame, HERE)
        assert [bytes(each) for each in both.sides[0].bodies()] == [b"body"] * 3
        monkeypatch.undo()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("of a handler")])
def test_an_exception_from_outside_goes_on_and_the_message_is_not_delivered(monkeypatch, error):
    def interrupt(*_: object) -> None:
        raise error

    with Both() as both:
        frame = both.givers[P][0].frame(both.lay(P, b"body", 0), 1)
        with monkeypatch.context() as patch:
            patch.setattr(Shared, "take", interrupt)
            for take in (both.sides[0].inbound.take, both.sides[1].inbound.take_any):
                with pytest.raises(type(error)):
                    take(frame, HERE)
        both.compare()
        assert both.sides[0].bodies() == [] and both.sides[0].inbound.flows[P].shared == 0
        both.take(frame, HERE)
        both.compare()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_memory_is_let_go_of_where_a_body_cannot_be_decoded(error):
    def refuse(body: Any) -> None:
        raise error

    with Both() as both:
        both.each(lambda side: setattr(side.inbound.flows[P], "decode", refuse))
        spot = both.lay(P, b"body", 0)
        both.take(both.givers[P][0].frame(spot, 1), HERE)
        both.compare()
        assert both.givers[P][0].ledger[0] in (let_go(spot.generation), held(spot.generation))
        assert both.sides[0].bodies() == []


@pytest.mark.parametrize("field", ["memory", "shared", "local", "noted", "enough", "codec_number", "decode", "topic"])
@pytest.mark.parametrize("value", [None, "x", -1, 1 << 70, ()])
def test_a_field_of_a_type_that_nobody_expects_crashes_nothing(field, value):
    with Both() as both:
        frame = both.givers[P][0].frame(both.lay(P, b"body", 0), 1)
        flow = both.sides[0].inbound.flows[P]
        flow.noted = array("q")  # its own: that which all flows share would keep what is noted here, for other tests
        kept = getattr(flow, field)
        setattr(flow, field, value)
        with contextlib.suppress(Exception):
            both.sides[0].inbound.take(frame, HERE)
        assert len(both.sides[0].messages()) in (0, 1)
        setattr(flow, field, kept)


class _Anything:
    """Something that does what a test says where it is asked for its length, or for what is shared."""

    def __init__(self, do):
        self._do = do

    def __len__(self):
        self._do()
        return 1 << 20

    @property
    def shared(self):
        self._do()
        return self

    def take(self, spot):
        return memoryview(b"body")


@pytest.mark.parametrize("field", ["memory", "noted"])
def test_whoever_is_asked_may_take_away_all_there_is(field):
    with Both() as both:
        frame = both.givers[P][0].frame(both.lay(P, b"body", 0), 1)
        inbound = both.sides[0].inbound
        flow = inbound.flows[P]
        known = [(flow, name) for name in ("memory", "receiver", "noted", "decode", "topic")]
        known += [(inbound, name) for name in ("flows", "intake", "_inbox", "_time_ns")]
        before = [(owner, name, getattr(owner, name)) for owner, name in known]

        def take_away() -> None:
            for owner, name in known:
                with contextlib.suppress(AttributeError):
                    delattr(owner, name)

        setattr(flow, field, _Anything(take_away))
        with contextlib.suppress(Exception):
            inbound.take(frame, HERE)
        for owner, name, value in before:
            setattr(owner, name, value)
        assert len(both.sides[0].messages()) in (0, 1)


@pytest.mark.parametrize("count", [(1 << 63) - 1, 1 << 62, -1])
def test_a_count_that_a_clock_has_changed_is_added_to(count):
    with Both() as both:
        frames = [givers.frame(spot, 1) for givers in both.givers[P] for spot in [givers.lay(b"body", 0)]]
        for side, frame, take in zip(both.sides, frames, ("take", "take_any"), strict=True):
            flow = side.inbound.flows[P]
            side.inbound._time_ns = lambda flow=flow: setattr(flow, "shared", count) or 5
            getattr(side.inbound, take)(frame, HERE)
            assert flow.shared == count + 1
