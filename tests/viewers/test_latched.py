from __future__ import annotations

from ipcpy.viewers.board import Channel
from ipcpy.viewers.latched import Latched
from ipcpy.views.schema import no_schema

MAP, DOC = Channel("map", "map", no_schema("raw")), Channel("doc", "doc", no_schema("raw"))


def shown(latched: Latched, channel: Channel) -> list[tuple[bytes, int]]:
    return [(parts[0], log_time) for parts, log_time in latched.of(channel)]


def test_the_last_messages_of_latched_publishers_are_kept_and_of_others_none() -> None:
    latched = Latched()
    latched.follow({"a": 2, "b": 0})
    for number in range(4):
        latched.keep(MAP, "a", (b"map", b"%d" % number), number)
        latched.keep(DOC, "b", (b"doc",), number)
    assert shown(latched, MAP) == [(b"map2", 2), (b"map3", 3)]
    assert shown(latched, DOC) == []


def test_what_two_publishers_keep_is_shown_in_the_order_of_time() -> None:
    latched = Latched()
    latched.follow({"a": 1, "b": 1})
    latched.keep(MAP, "b", (b"late",), 9)
    latched.keep(MAP, "a", (b"early",), 1)
    assert shown(latched, MAP) == [(b"early", 1), (b"late", 9)]


def test_a_publisher_that_went_is_forgotten() -> None:
    latched = Latched()
    latched.follow({"a": 1})
    latched.keep(MAP, "a", (b"x",), 1)
    latched.follow({})
    assert shown(latched, MAP) == []


def test_what_is_kept_is_bounded_in_bytes() -> None:
    latched = Latched(max_bytes=100)
    latched.follow({"a": 10, "b": 10})
    for number in range(10):
        latched.keep(MAP, "a", (bytes(30),), number)
        latched.keep(DOC, "b", (bytes(30),), number)
    kept = shown(latched, MAP) + shown(latched, DOC)
    assert 0 < sum(len(body) for body, _ in kept) <= 100
    assert (bytes(30), 9) in kept
    latched.keep(MAP, "a", (bytes(200),), 11)
    assert shown(latched, MAP) == shown(latched, DOC) == []
