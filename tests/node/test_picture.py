"""One truth for all who ask: states and ages as they are now, and who is not there any more."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from ipcpy.graph import EndpointInfo, NodeInfo, Stranger
from ipcpy.node.picture import Picture, reasons
from ipcpy.node.view import View


def node(id=2, name="cam"):
    return NodeInfo(f"{id:016x}", name, "h1", 7, "default", "10.0.0.1:17770", "1", "alive", 0.0)


def endpoint(kind="publisher", topic="imu", number=20, of=None):
    return EndpointInfo(f"{number:016x}", kind, topic, "raw", {}, False, 0, of or node())


@pytest.fixture
def view():
    view = View()
    view.add_node(2, node())
    view.put(2, 20, endpoint())
    return view


@pytest.fixture
def picture(view):
    return Picture(view, {2: SimpleNamespace(heard=time.monotonic() - 4)})


def test_state_and_age_are_the_same_whoever_is_asked_and_however_old_what_he_holds_is(view, picture):
    held = endpoint()
    view.change_node(2, state="unresponsive")
    (topic,) = picture.topics()
    for shown in (picture.nodes()[0], topic.publishers[0].node, picture.endpoint(held).node, picture.node(held.node)):
        assert shown.state == "unresponsive" and 4 <= shown.age < 60
    assert picture.endpoint(held).id == held.id


def test_of_who_is_gone_the_last_that_was_known_is_told(view, picture):
    held = endpoint()
    assert picture.has(held)
    view.remove_node(2, "process died")
    assert not picture.has(held)
    assert picture.endpoint(held) == held and picture.node(held.node) == held.node


def test_topics_are_listed_by_kind(view, picture):
    view.put(2, 21, endpoint("subscriber", "a/*", 21))
    assert (picture.names("publisher"), picture.names("subscriber")) == (["imu"], ["a/*"])


@pytest.mark.parametrize("topic", ["imu", "*", "**"])
def test_a_pattern_asks_for_all_publishers_that_it_matches(view, picture, topic):
    view.remove_node(2, "process died")
    assert picture.departed("publisher", topic) == ["the process of publisher 'cam' on h1 died 0.0 s ago"]
    assert picture.departed("publisher", "a/*") == picture.departed("subscriber", topic) == []


def test_a_publisher_asks_for_all_subscribers_by_whose_pattern_it_is_matched(view, picture):
    view.put(2, 21, endpoint("subscriber", "a/*", 21))
    view.remove(2, 21)
    assert len(picture.departed("subscriber", "a/b")) == 1
    assert picture.departed("subscriber", "b") == []


# -- reasons


def why(view, picture, topic="imu", known=()):
    return reasons("publisher", topic, list(known), SimpleNamespace(domain="lab", picture=picture))


def test_where_nobody_fits_it_says_who_is_there(view, picture):
    assert why(view, picture, "gps") == ["No publisher of 'gps' is known in domain 'lab'. Topics with publishers: imu."]
    for number in range(30, 50):
        view.put(2, number, endpoint(topic=f"t{number}", number=number))
    assert why(view, picture, "gps")[0].endswith("t30, t31, t32, t33, t34, t35, t36, t37, t38 and 11 more.")


def test_where_nobody_is_known_it_says_so(picture):
    empty = Picture(View(), {})
    assert why(None, empty) == ["No publisher of 'imu' is known in domain 'lab'. No publisher is known at all."]


def test_who_shares_no_key_is_told_of_where_nobody_fits(view):
    strangers = lambda: (Stranger(3, "acid coral raft zone"), Stranger(1, ""))  # noqa: E731
    picture = Picture(view, {}, strangers)
    said = " 3 nodes here use a key you do not have (fingerprint: acid coral raft zone)."
    said += " 1 node here uses none, and this program has a key."
    assert why(view, picture, "gps")[0].endswith(f"Topics with publishers: imu.{said}")
    assert why(view, picture, known=["X: matched."]) == ["X: matched."]
    assert reasons("publisher", "gps", [], SimpleNamespace(domain="lab", picture=picture), locked_out=False) == [
        "No publisher of 'gps' is known in domain 'lab'. Topics with publishers: imu."
    ]
    view.remove_node(2, "ended")
    assert why(view, Picture(View(), {}, strangers))[0].endswith(f"No publisher is known at all.{said}")


def test_who_left_is_told_of_beside_who_is_there(view, picture):
    view.remove_node(2, "process died")
    said = "the process of publisher 'cam' on h1 died 0.0 s ago"
    assert why(view, picture) == [f"No publisher of 'imu' is known in domain 'lab': {said}."]
    assert why(view, picture, known=["X: matched."]) == ["X: matched.", f"T{said[1:]}."]
