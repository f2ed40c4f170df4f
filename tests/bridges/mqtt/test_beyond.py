"""bridges.mqtt.beyond: what the core hears of what comes from a broker, wrong things included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.bridges.adapter import Identity
from ipcpy.bridges.mqtt import beyond as module
from ipcpy.bridges.mqtt.asking import pack_end
from ipcpy.bridges.mqtt.beyond import Beyond
from ipcpy.bridges.mqtt.envelope import pack_head
from ipcpy.bridges.mqtt.names import Names
from ipcpy.bridges.mqtt.options import check_options
from ipcpy.bridges.offers import Beginning, Offer, Parcel, pack_offer
from ipcpy.codec import MsgPack

ME, THEM = "00000000000000aa", "00000000000000cc"
KEY = (THEM, "00000000000000bb")
IMU = Offer(KEY[1], "r7/imu", "msgpack", path=(THEM,))
NAMES = Names()


class Ears:
    """Writes down what it hears; and stands for the wire, which does at once what is to be done later or elsewhere."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.patience: list[Callable[[], object]] = []

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name in ("linked", "offered", "gone", "begun", "arrived", "dropped", "watch", "ask", "answer"):
            return lambda *told: self.heard.append((name, *told))
        raise AttributeError(name)

    def types(self, topic: str) -> list[Any]:
        return []

    def later(self, seconds: float, function: Callable[[], object]) -> None:
        self.patience.append(function)

    def elsewhere(self, function: Callable[[], object], then: Callable[[], object]) -> None:
        function()
        then()

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        return [each for each in self.heard if each[0] in names]


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def beyond(ears: Ears) -> Beyond:
    return make(ears)


def make(ears: Ears) -> Beyond:
    return Beyond(Identity(ME, "me", ("r7/**", "cmd")), ears, NAMES, check_options({"connect": "b"}, {}), ears)  # type: ignore[arg-type]


def say(beyond: Beyond, name: str, payload: bytes, head: str = "", *, retained: bool = False) -> None:
    beyond.take(name, payload, retained, {"ipcpy": head} if head else {}, "")


def offer(beyond: Beyond, offer: Offer = IMU) -> None:
    say(beyond, NAMES.offer(offer.topic, *offer.key), pack_offer(offer), retained=True)


def message(beyond: Beyond, seq: int, payload: bytes = b"5", form: str = "json", **more: Any) -> None:
    say(beyond, "r7/imu", payload, pack_head(KEY, Parcel(seq, 9, b""), form), **more)


def parcel(seq: int, data: Any = 5) -> Parcel:
    return Parcel(seq, 9, bytes(MsgPack().encode(data)))  # type: ignore[arg-type]


def test_an_offer_is_heard_once_and_its_bridge_watched(beyond: Beyond, ears: Ears) -> None:
    offer(beyond)
    offer(beyond)
    assert ears.heard == [("watch", THEM), ("offered", IMU)]
    say(beyond, NAMES.offer("r7/imu", *KEY), b"")
    assert ears.heard[2:] == [("gone", KEY)]


@pytest.mark.parametrize("payload", [b"offline", b""])
def test_the_last_will_of_a_bridge_takes_all_that_it_offered(beyond: Beyond, ears: Ears, payload: bytes) -> None:
    offer(beyond)
    say(beyond, NAMES.bridge("00000000000000dd"), payload)
    say(beyond, NAMES.bridge(THEM), b"online")
    assert ears.of("gone") == []
    say(beyond, NAMES.bridge(THEM), payload)
    assert ears.of("gone") == [("gone", KEY)]


def test_who_is_wanted_is_asked_how_it_begins_and_what_came_meanwhile_follows(beyond: Beyond, ears: Ears) -> None:
    offer(beyond)
    message(beyond, 6)
    assert ears.of("arrived") == []
    beyond.want(IMU)
    assert ears.heard[-1] == ("ask", KEY)
    message(beyond, 7)
    say(beyond, NAMES.answer(ME, *KEY), parcel(4).body, pack_head(KEY, Parcel(4, 9, b""), "raw"))
    say(beyond, NAMES.answer(ME, *KEY), pack_end(5))
    assert ears.of("begun") == [("begun", KEY, Beginning(5, (parcel(4),)))]
    message(beyond, 8)
    assert ears.of("arrived") == [("arrived", KEY, parcel(seq)) for seq in (6, 7, 8)]
    beyond.unwant(KEY)
    message(beyond, 9)
    assert len(ears.of("arrived")) == 3


def test_without_an_answer_it_begins_all_the_same(beyond: Beyond, ears: Ears) -> None:
    offer(beyond)
    beyond.want(IMU)
    ears.patience[0]()
    assert ears.of("begun") == [("begun", KEY, Beginning())]
    say(beyond, NAMES.answer(ME, *KEY), pack_end(5))  # too late
    assert len(ears.of("begun")) == 1
    say(beyond, NAMES.begins(*KEY), pack_end(3))
    (arrived,) = ears.of("arrived")
    assert (arrived[2].seq, arrived[2].body) == (3, None)


def test_a_bridge_that_asks_is_answered_and_others_are_not(beyond: Beyond, ears: Ears) -> None:
    say(beyond, NAMES.ask(ME, KEY[1]), THEM.encode())
    assert ears.heard == [("answer", THEM, (ME, KEY[1]))]
    say(beyond, NAMES.ask(THEM, KEY[1]), ME.encode())
    say(beyond, NAMES.answer(THEM, *KEY), pack_end(1))
    assert ears.heard[1:] == []


def test_what_a_phone_publishes_is_offered_and_comes(beyond: Beyond, ears: Ears) -> None:
    say(beyond, "cmd", b'{"speed": 1}')
    (offered,) = ears.of("offered")
    beyond.want(offered[1])
    say(beyond, "cmd", b"ON")
    begun, first, second = ears.of("begun", "arrived")
    assert begun[2] == Beginning(1)
    assert [MsgPack().decode(each[2].body) for each in (first, second)] == [{"speed": 1}, "ON"]


def test_who_comes_long_after_a_name_became_known_gets_what_comes_from_then_on(
    beyond: Beyond, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(beyond, "cmd", b'"forward"')
    say(beyond, "cmd", b'"faster"')
    (offered,) = ears.of("offered")
    monkeypatch.setattr(module, "AGE", -1.0)
    beyond.want(offered[1])
    say(beyond, "cmd", b'"stop"')
    begun, came = ears.of("begun", "arrived")
    assert (begun[2], came[2].seq, MsgPack().decode(came[2].body)) == (Beginning(3), 3, "stop")


def test_what_a_broker_retained_for_a_phone_is_latched_however_late_it_is_wanted(beyond: Beyond, ears: Ears) -> None:
    say(beyond, "cmd", b'"open"', retained=True)
    (offered,) = ears.of("offered")
    assert offered[1].keep == 1
    beyond.want(offered[1])
    beyond.unwant(offered[1].key)
    beyond.want(offered[1])
    assert [each[2].kept[0].seq for each in ears.of("begun")] == [1, 1]
    say(beyond, "cmd", b"", retained=True)  # the broker forgets it
    assert ears.of("dropped") == []


def test_when_the_broker_is_back_phones_are_offered_again_and_bridges_when_they_are_heard(
    beyond: Beyond, ears: Ears
) -> None:
    offer(beyond)
    say(beyond, "cmd", b"1")
    beyond.unlinked()
    ears.heard.clear()
    beyond.linked()
    assert [each[1].topic for each in ears.of("offered")] == ["cmd"]
    offer(beyond)
    assert [each[1].topic for each in ears.of("offered")] == ["cmd", "r7/imu"]


def test_offers_that_are_not_said_again_end(beyond: Beyond, ears: Ears) -> None:
    offer(beyond)
    beyond.sweep(60)
    assert ears.of("gone") == []
    beyond.sweep(-1)
    assert ears.of("gone") == [("gone", KEY)]


def test_our_own_offers_and_messages_are_none_from_beyond(beyond: Beyond, ears: Ears) -> None:
    offer(beyond, Offer(KEY[1], "r7/imu", "msgpack", path=(ME,)))
    say(beyond, "r7/imu", b"5", pack_head((ME, KEY[1]), Parcel(1, 9, b""), "json"))
    assert ears.heard == []


@pytest.mark.parametrize(
    ("name", "payload", "head", "cause"),
    [
        ("ipcpy/offers/r7/imu/@/00000000000000cc/00000000000000bb", b"{", "", "offer"),
        ("ipcpy/offers/r7/gps/@/00000000000000cc/00000000000000bb", pack_offer(IMU), "", "offer"),
        ("ipcpy/offers/r7/imu/@/00000000000000cc/00000000000000be", pack_offer(IMU), "", "offer"),
        ("ipcpy/nonsense", b"x", "", "malformed"),
        ("ipcpy/asks/00000000000000aa/x", b"not an id", "", "malformed"),
        ("ipcpy/asks/00000000000000aa/x", b"\xff", "", "malformed"),
        ("ipcpy/answers/00000000000000aa/x/y", b"x", "", "malformed"),
        ("ipcpy/begins/x/y", b"-1", "", "malformed"),
        ("cmd", b"{", "", "malformed"),
        ("cmd", b"\xff\xfe", "", "malformed"),
        ("r7/imu", b"5", "1 what", "malformed"),
        ("r7/imu", b"5", pack_head(KEY, Parcel(1, 9, b""), "json"), "unknown"),
        ("r7//imu", b"5", "", "name"),
        ("r7/a b", b"5", "", "name"),
    ],
)
def test_what_is_none_of_ours_is_counted_by_cause(
    beyond: Beyond, ears: Ears, caplog: pytest.LogCaptureFixture, name: str, payload: bytes, head: str, cause: str
) -> None:
    for _ in range(2):
        say(beyond, name, payload, head)
    assert ears.heard == [("dropped", cause)] * 2
    assert len(caplog.messages) == 1 and f"more of them are counted as '{cause}'" in caplog.text


def test_what_filters_take_and_patterns_do_not_is_left_alone(beyond: Beyond, ears: Ears) -> None:
    say(beyond, "elsewhere/imu", b"{")
    assert ears.heard == []


_names = st.sampled_from(
    ["r7/imu", "cmd", "r7/", NAMES.offer("r7/imu", *KEY), NAMES.bridge(THEM), NAMES.ask(ME, KEY[1])]
    + [NAMES.answer(ME, *KEY), NAMES.begins(*KEY), "ipcpy/x", "ipcpy/offers/@/a/b"]
)
_heads = st.sampled_from(
    ["", pack_head(KEY, Parcel(1, 9, b""), "json"), pack_head(KEY, Parcel(1, 9, b""), "raw"), "1 x"]
)
_payloads = st.binary(max_size=40) | st.sampled_from([pack_offer(IMU), b"offline", b"1", b"{}"])


@given(st.lists(st.tuples(_names, _payloads, _heads, st.booleans()), max_size=20))
def test_whatever_comes_nothing_is_raised(messages: list[tuple[str, bytes, str, bool]]) -> None:
    ears = Ears()
    beyond = make(ears)
    for name, payload, head, retained in messages:
        say(beyond, name, payload, head, retained=retained)
        for each in ears.of("offered")[-1:]:
            beyond.want(each[1])


def test_what_a_broker_keeps_of_a_publisher_that_is_gone_is_no_complaint(beyond: Beyond, ears: Ears) -> None:
    say(beyond, "r7/map", b"5", pack_head(KEY, Parcel(1, 9, b""), "json"), retained=True)
    assert ears.heard == []


def test_what_is_sent_once_more_after_an_outage_does_not_hide_with_which_number_it_goes_on(
    beyond: Beyond, ears: Ears
) -> None:
    offer(beyond)
    beyond.want(IMU)
    for seq in (3, 4, 9):
        message(beyond, seq)
    say(beyond, NAMES.answer(ME, *KEY), pack_end(9))
    assert ears.of("begun", "arrived") == [("begun", KEY, Beginning(9, (parcel(3), parcel(4), parcel(9))))]
