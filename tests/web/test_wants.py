"""What a page says: anything may come, what is right is taken, what is wrong is said."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcpy.web.wants import MAX_PLOTS, PlotWant, read_page

PLOT = {"id": "p1", "topic": "lab imu", "field": "gz", "seconds": 30, "columns": 600}


def want(**said):
    return read_page(json.dumps({"want": said}))


def test_all_that_a_page_wants_is_read():
    wants, pong, wrong = read_page(
        json.dumps(
            {
                "pong": 7,
                "want": {
                    "plots": [PLOT, PLOT | {"id": "p2", "from": 10, "to": 16}],
                    "trees": ["lab imu", "lab imu"],
                    "images": ["lab cam", {"topic": "lab cam2", "width": 320}],
                    "hidden": True,
                },
            }
        )
    )
    assert (pong, wrong) == (7, [])
    assert wants.plots["p1"] == PlotWant("p1", "lab imu", "gz", 30.0, 600)
    assert wants.plots["p1"].width == 0.05
    assert wants.plots["p2"].width == 0.01
    assert (wants.trees, wants.images, wants.hidden) == (("lab imu",), {"lab cam": 1280, "lab cam2": 320}, True)
    assert wants.topics() == {"lab imu": {"gz"}, "lab cam": set(), "lab cam2": set()}


def test_an_answer_to_a_round_changes_nothing_else():
    assert read_page('{"pong": 3}') == (None, 3, [])


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", "{}", '{"want": 3}', '{"pong": true}', '{"pong": "1"}', "[" * 100_000, '{"x": 1}'],
    ids=lambda text: text[:20],
)
def test_what_is_no_wish_is_said_to_be_none(text):
    wants, pong, wrong = read_page(text)
    assert wants is None and pong is None and len(wrong) == 1


@pytest.mark.parametrize(
    "plot",
    [
        3,
        {},
        PLOT | {"id": 3},
        PLOT | {"id": "x" * 2000},
        PLOT | {"topic": None},
        PLOT | {"field": ["a"]},
        PLOT | {"seconds": 0},
        PLOT | {"seconds": "inf"},
        PLOT | {"seconds": 1e300},
        PLOT | {"columns": 0},
        PLOT | {"columns": 10**9},
        PLOT | {"from": 5},
        PLOT | {"from": 5, "to": 5},
        PLOT | {"from": 0, "to": 1e300},
        PLOT | {"from": "nan", "to": 3},
    ],
    ids=repr,
)
def test_a_wrong_plot_costs_only_itself(plot):
    wants, _, wrong = want(plots=[plot, PLOT])
    assert list(wants.plots) == ["p1"]
    assert len(wrong) == 1 and wrong[0].startswith("this is none of plots")


def test_too_many_wishes_are_cut():
    wants, _, wrong = want(plots=[PLOT | {"id": str(n)} for n in range(MAX_PLOTS + 5)])
    assert len(wants.plots) == MAX_PLOTS
    assert wrong == [f"{MAX_PLOTS + 5} plots are wanted; the first {MAX_PLOTS} are shown"]


@pytest.mark.parametrize("what", ["plots", "trees", "images"])
def test_a_wish_that_is_no_list_is_said_to_be_none(what):
    assert want(**{what: {"a": 1}})[2] == [f"{what} is a list"]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=40)
@given(
    st.fixed_dictionaries({}, optional={name: json_values for name in ("want", "pong")})
    | st.fixed_dictionaries({"want": st.dictionaries(st.sampled_from(["plots", "trees", "images"]), json_values)})
)
def test_nothing_that_a_page_says_raises(said):
    read_page(json.dumps(said))
