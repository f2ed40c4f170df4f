"""A page's session: told once what there is, then what is new, never more than it answers to."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("aiohttp", reason="needs ipcpy[web]")

from ipcpy.web.chronicle import Chronicle  # noqa: E402
from ipcpy.web.gallery import Frame  # noqa: E402
from ipcpy.web.plots import Series  # noqa: E402
from ipcpy.web.session import EVENTS, UNANSWERED, Session  # noqa: E402

PLOT = {"id": "p", "topic": "lab imu", "field": "gz", "seconds": 10.0, "columns": 100}


class Stage:
    """What there is to see, as a test says."""

    def __init__(self):
        self.chronicle = Chronicle()
        self.ears = {"lab imu": SimpleNamespace(series={"gz": Series()}, newest=None, missed={})}
        self.graphs = {False: (1, '{"kind":"graph"}'), True: (2, '{"kind":"graph","hidden":1}')}
        self.reading = (1, '{"kind":"rows"}')
        self.recorded = (1, '{"kind":"record"}')
        self.frames = {}
        self.wanted = {}
        self.shown = ("lab",)
        self.hearing = SimpleNamespace(want=self._want, leave=self.wanted.pop, ears=self.ears)
        self.gallery = SimpleNamespace(frame=lambda id, width: self.frames.get((id, width)))

    def _want(self, holder, topics):
        self.wanted[holder] = topics
        return ["no such domain"] if any(id.startswith("nowhere ") for id in topics) else []

    def domains(self):
        return self.shown

    def hello(self):
        return {"kind": "hello"}

    def graph(self, *, hidden):
        return self.graphs[hidden]

    def rows(self, since):
        return self.reading[0], self.reading[1] if since < self.reading[0] else ""

    def record(self):
        return self.recorded

    def shown_message(self, id):
        return {"kind": "tree", "id": id, "data": self.ears[id].newest}


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def session(stage):
    return Session(stage)


def read(session, now=0.0, *, answer=True):
    made = [json.loads(each) if isinstance(each, str) else each for each in session.round(now)]
    if made and answer:
        session.take(json.dumps({"pong": made[-1]["n"]}))
    return made


def want(session, **wants):
    session.take(json.dumps({"want": wants}))


def kinds(made):
    return [each["kind"] if isinstance(each, dict) else "image" for each in made]


def test_a_page_is_greeted_and_told_all_there_is(session, stage):
    stage.chronicle.add("node", True, "camera came")
    assert kinds(read(session)) == ["hello", "graph", "rows", "record", "event", "ping"]
    assert read(session) == []


def test_a_domain_that_comes_later_is_told_with_all_rows(session, stage):
    read(session)
    stage.shown = ("hall", "lab")
    assert kinds(read(session)) == ["hello", "rows", "ping"]
    assert read(session) == []


def test_a_new_page_is_told_of_the_newest_events_only(stage):
    for _ in range(EVENTS + 30):
        stage.chronicle.add("node", True, "it came")
    ids = [each["id"] for each in read(Session(stage)) if each["kind"] == "event"]
    assert ids == list(range(31, EVENTS + 31))


def test_later_it_is_told_what_is_new(session, stage):
    read(session)
    stage.graphs[False], stage.reading = (5, '{"kind":"graph"}'), (2, '{"kind":"rows"}')
    assert kinds(read(session)) == ["graph", "rows", "ping"]
    stage.recorded = (2, '{"kind":"record"}')
    assert kinds(read(session)) == ["record", "ping"]


def test_who_does_not_answer_is_told_no_more_and_the_newest_when_it_does(session, stage):
    for number in range(2, 2 + UNANSWERED):
        assert read(session, answer=False)
        stage.reading = (number, '{"kind":"rows"}')
    assert session.waits
    for number in range(10, 20):
        stage.reading = (number, f'{{"kind":"rows","number":{number}}}')
        assert read(session, answer=False) == []
    session.take('{"pong": 2}')
    made = read(session)
    assert kinds(made) == ["rows", "ping"] and made[0]["number"] == 19


@pytest.mark.parametrize("pong", [-1, 0, 3, 10**9])
def test_an_answer_to_what_was_never_said_is_none(session, stage, pong):
    read(session, answer=False)
    stage.reading = (2, '{"kind":"rows"}')
    read(session, answer=False)
    session.take(json.dumps({"pong": pong}))
    assert session.waits


def test_a_plot_begins_with_what_there_is_and_goes_on_from_there(session, stage):
    series = stage.ears["lab imu"].series["gz"]
    for n in range(20):
        series.add(n, float(n))
    want(session, plots=[PLOT])
    (points,) = [each for each in read(session) if each["kind"] == "points"]
    assert (points["id"], points["reset"], points["t"][0], points["t"][-1]) == ("p", True, 9.0, 19.0)
    assert [each for each in read(session, 1.0) if each["kind"] == "points"] == []
    series.add(19.05, 50.0)
    series.add(20.5, 3.0)
    (points,) = [each for each in read(session, 2.0) if each["kind"] == "points"]
    assert points["reset"] is False and points["since"] == 19.0
    assert (points["t"], points["low"], points["high"]) == ([19.05, 20.5], [19.0, 3.0], [50.0, 3.0])
    assert (points["samples"], points["thinned"]) == (3, True)


def test_a_page_that_stands_still_is_told_once_what_there_was_then(session, stage):
    series = stage.ears["lab imu"].series["gz"]
    for n in range(1000):
        series.add((n + 0.5) / 100, float(n))
    want(session, plots=[PLOT | {"from": 2.0, "to": 3.0}])
    (points,) = [each for each in read(session) if each["kind"] == "points"]
    assert (points["reset"], len(points["t"])) == (True, 101)
    series.add(11.0, 0.0)
    assert [each for each in read(session, 5.0) if each["kind"] == "points"] == []
    want(session, plots=[PLOT])
    (points,) = [each for each in read(session, 6.0) if each["kind"] == "points"]
    assert points["reset"] is True and points["t"][-1] == 11.0


def test_a_wish_that_is_said_again_changes_nothing(session, stage):
    stage.ears["lab imu"].series["gz"].add(1.0, 1.0)
    want(session, plots=[PLOT])
    read(session)
    want(session, plots=[PLOT])
    assert "points" not in kinds(read(session, 1.0))
    want(session, plots=[PLOT | {"columns": 50}])
    assert "points" in kinds(read(session, 2.0))


def test_lines_are_sent_less_often_where_there_are_many(session, stage):
    series = stage.ears["lab imu"].series["gz"]
    want(session, plots=[PLOT | {"id": str(n)} for n in range(200)])
    sent = 0
    for step in range(50):
        series.add(step / 10, 1.0)
        sent += kinds(read(session, step / 10)).count("points")
    assert 200 < sent <= 400 * 5 + 200


def test_what_did_not_arrive_is_in_no_plot_and_said_to_be(session, stage):
    ear = stage.ears["lab imu"]
    ear.missed = {"inbox": 5}
    want(session, plots=[PLOT])
    assert "notice" not in kinds(read(session, 0.0))  # it was lost before this page looked
    ear.missed = {"inbox": 7, "network": 1}
    (notice,) = [each for each in read(session, 1.0) if each["kind"] == "notice"]
    assert notice["text"].startswith("imu: 3 messages are in no plot") and "7 inbox, 1 network in all" in notice["text"]
    assert "notice" not in kinds(read(session, 2.0))


def test_the_newest_message_is_shown_now_and_then(session, stage):
    want(session, trees=["lab imu"])
    assert "tree" not in kinds(read(session, 0.0))
    shown = []
    for step in range(40):
        stage.ears["lab imu"].newest = f"message {step}"
        shown += [each["data"] for each in read(session, step / 10) if each["kind"] == "tree"]
    assert shown[0] == "message 0" and 10 <= len(shown) <= 17
    assert "tree" not in kinds(read(session, 10.0)) or stage.ears["lab imu"].newest != shown[-1]


def test_an_image_is_sent_once(session, stage):
    want(session, images=[{"topic": "lab cam", "width": 320}])
    stage.frames[("lab cam", 320)] = Frame(7, b"data", {}, b"")
    assert kinds(read(session)).count("image") == 1
    assert read(session, 1.0) == []
    stage.frames[("lab cam", 320)] = Frame(9, b"more", {}, b"")
    assert read(session, 2.0)[0] == b"more"


def test_a_round_is_bounded_and_what_is_left_out_comes_in_the_next(session, stage):
    want(session, images=[{"topic": f"lab {n}", "width": 320} for n in range(6)])
    for n in range(6):
        stage.frames[(f"lab {n}", 320)] = Frame(1, bytes(2 << 20), {}, b"")
    assert kinds(read(session)).count("image") == 2
    assert kinds(read(session, 1.0)).count("image") == 2
    assert kinds(read(session, 2.0)).count("image") == 2
    assert read(session, 3.0) == []


def test_who_wants_to_see_hidden_topics_gets_another_graph(session, stage):
    read(session)
    want(session, hidden=True)
    assert read(session)[0] == {"kind": "graph", "hidden": 1}
    want(session, hidden=False)
    assert read(session)[0] == {"kind": "graph"}


def test_what_is_wrong_is_told_the_page(session):
    read(session)
    session.take("nonsense")
    want(session, plots=[PLOT | {"topic": "nowhere imu"}])
    texts = [each["text"] for each in read(session) if each["kind"] == "notice"]
    assert texts == ["what the page said is no JSON", "no such domain"]


def test_a_page_that_goes_looks_at_nothing_any_more(session, stage):
    want(session, trees=["lab imu"])
    assert session in stage.wanted
    session.close()
    assert stage.wanted == {}
