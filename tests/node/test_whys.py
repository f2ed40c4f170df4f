"""Why, in the words of those concerned: who is asked, in which order, and what is made of what they say."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ipcpy.graph import EndpointInfo, NodeInfo, Stranger, TopicInfo
from ipcpy.node import whys
from ipcpy.node.whys import Asked, Whys
from ipcpy.protocol.link.inquiry import Page, Question, What

OWN = 9


def node(id=2, name="cam", **changes):
    known = {"state": "alive", "age": 0.0, **changes}
    return NodeInfo(f"{id:016x}", name, "pi", 7, "lab", "10.0.0.1:17770", "2026.1", known["state"], known["age"])


def endpoint(number, kind="subscriber", topic="imu", of=None):
    return EndpointInfo(f"{number:016x}", kind, topic, "any", {}, False, 0, of or node())


class Picture:
    def __init__(self, *topics):
        self._topics = topics

    def topics(self, *, hidden=False):
        return tuple(topic for topic in self._topics if hidden or not topic.name.startswith("@"))

    def node(self, node):
        return node

    def departed(self, kind, topic):
        return []

    def names(self, kind):
        return ["gps"]

    def strangers(self):
        return (Stranger(2, "a b c d"),)


class Asking:
    """Keeps who is asked."""

    def __init__(self):
        self.asked = []

    def ask(self, what, timeout, about, peers):
        self.asked.append((what, timeout, about, peers))
        return SimpleNamespace(questions={})


@pytest.fixture
def made():
    return Made()


class Made:
    def __init__(self, publishers=(), subscribers=(), name="imu"):
        place = SimpleNamespace(domain="lab", picture=Picture(TopicInfo(name, "raw", {}, publishers, subscribers)))
        self.asking = Asking()
        books = SimpleNamespace(explain=lambda number: f"own words of {number:x}")
        self.whys = Whys(place, books, self.asking, OWN)

    def said(self, answer, of=None):
        """Return the lines of one subscriber whose answer came, or did not."""
        asked = SimpleNamespace(questions={} if answer is None else {2: answer})
        text = self.whys.text("imu", [Asked(endpoint(7, of=of), asked)])
        return text.split("says:\n")[1].split("\n")


def answer(content, *, pages=1):
    question = Question(1, What.WHY, 7, 0.0)
    question.receive(Page(2, 0, 1, 0, pages, 0, content), 0.0)
    return question


def test_subscribers_are_asked_first_each_at_its_own_node():
    made = Made((endpoint(1, "publisher", of=node(3, "arm")),), (endpoint(7),))
    asked = made.whys.ask("imu", 0.5)
    assert [each.endpoint.id for each in asked] == [f"{7:016x}", f"{1:016x}"]
    assert made.asking.asked == [(What.WHY, 0.5, 7, [2]), (What.WHY, 0.5, 1, [3])]


def test_those_of_the_node_itself_are_asked_directly():
    made = Made((), (endpoint(7, of=node(OWN)),))
    asked = made.whys.ask("imu", 0.5)
    assert made.asking.asked == []
    assert "  own words of 7" in made.whys.text("imu", asked)


def test_a_pattern_asks_all_that_it_means_and_another_topic_nobody():
    made = Made((), (endpoint(7, topic="arm/imu"),), name="arm/imu")
    assert len(made.whys.ask("arm/**", 0.5)) == 1
    assert made.whys.ask("gps", 0.5) == []


def test_hidden_topics_are_asked_about_only_by_name():
    made = Made((), (endpoint(7),), name="@ipcpy/service/add/1")
    assert made.whys.ask("**", 0.5) == []
    assert len(made.whys.ask("@ipcpy/**", 0.5)) == 1


def test_not_more_than_some_are_asked_and_that_is_said():
    made = Made((), tuple(endpoint(number) for number in range(100, 200)))
    asked = made.whys.ask("imu", 0.5)
    assert len(asked) == whys.MAX_ASKED
    assert made.whys.text("imu", asked).endswith(f"Only {whys.MAX_ASKED} were asked.")


def test_several_of_one_node_are_told_apart_by_what_they_subscribe_to_and_by_their_id():
    made = Made((), (endpoint(7), endpoint(8, topic="*"), endpoint(9)))
    heads = [line for line in made.whys.text("imu", made.whys.ask("imu", 0.5)).split("\n") if line.endswith("says:")]
    at = "Subscriber 'cam' on pi (10.0.0.1:17770)"
    assert heads == [f"{at}, {7:016x}, says:", f"{at} of '*' says:", f"{at}, {9:016x}, says:"]


def test_that_there_is_nobody_is_said_of_either_side():
    made = Made()
    assert made.whys.text("imu", []) == (
        "No publisher of 'imu' is known in domain 'lab'. Topics with publishers: gps. "
        "2 nodes here use a key you do not have (fingerprint: a b c d).\n"
        "No subscriber of 'imu' is known in domain 'lab'. Topics with subscribers: gps."
    )


def test_what_somebody_says_is_shown_line_by_line(made):
    assert made.said(answer(b"Publisher 'cam': matched.\n3 lost: network.")) == [
        "  Publisher 'cam': matched.",
        "  3 lost: network.",
    ]


def test_what_somebody_says_moves_no_cursor(made):
    assert made.said(answer(b"evil \x1b[2J \xff\r\nlines")) == ["  evil [2J \N{REPLACEMENT CHARACTER}", "  lines"]


def test_who_says_nothing_is_shown_with_the_reason(made):
    assert made.said(None) == ["  nothing: its ipcpy (2026.1) is too old to be asked."]
    assert made.said(answer(b"half", pages=2)) == ["  nothing: it did not answer in time."]
    stopped = node(state="unresponsive", age=3.0)
    (line,) = made.said(None, of=stopped)
    assert line.startswith("  nothing: known, but its process has not answered for 3.0 s")
