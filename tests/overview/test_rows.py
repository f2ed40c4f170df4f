"""Topics sorted and filtered as people ask for them."""

from __future__ import annotations

import pytest

from ipcpy.overview.rows import KEYS, TopicRow, matching, ordered


def names(rows):
    return [row.topic for row in rows]


ROWS = [
    TopicRow("lab", "imu", "struct", rate=100.0, bandwidth=6e3, loss=0.0, latency=(1e-5, 2e-5, 9e-5), nodes=("arm",)),
    TopicRow("lab", "camera", "msgpack", rate=30.0, bandwidth=9e6, loss=0.2, lost=60, nodes=("eye", "robot7")),
    TopicRow("lab", "battery", rate=None, lost=3, latency=(1e-3, 2e-3, 3e-3)),
    TopicRow("home", "imu", rate=0.0, publishers=2, subscribers=3, queued=5),
]


@pytest.mark.parametrize(
    ("key", "first", "last"),
    [
        ("topic", "battery", "imu"),
        ("domain", "imu", "imu"),
        ("rate", "imu", "battery"),
        ("bandwidth", "camera", "imu"),
        ("loss", "camera", "imu"),
        ("latency", "battery", "imu"),
        ("publishers", "imu", "imu"),
        ("queued", "imu", "imu"),
    ],
)
def test_each_key_brings_to_the_top_what_one_looks_for(key, first, last):
    rows = ordered(ROWS, key)
    assert (rows[0].topic, rows[-1].topic) == (first, last)
    assert len(rows) == len(ROWS)


def test_what_is_not_known_stays_last_when_reversed():
    assert names(ordered(ROWS, "rate")) == ["imu", "camera", "imu", "battery"]
    assert names(ordered(ROWS, "rate", reverse=True)) == ["imu", "camera", "imu", "battery"]
    assert [row.rate for row in ordered(ROWS, "rate", reverse=True)] == [0.0, 30.0, 100.0, None]


def test_what_lost_messages_some_time_comes_before_what_never_did():
    assert names(ordered(ROWS, "loss"))[:2] == ["camera", "battery"]


@pytest.mark.parametrize("key", sorted(KEYS))
@pytest.mark.parametrize("reverse", [False, True])
def test_equals_stay_in_the_order_of_their_names(key, reverse):
    rows = [TopicRow("d", name) for name in "dacb"]
    wanted = ["d", "c", "b", "a"] if reverse and key in ("topic", "domain") else ["a", "b", "c", "d"]
    assert names(ordered(rows, key, reverse=reverse)) == wanted


def test_an_unknown_key_is_refused():
    with pytest.raises(KeyError):
        ordered(ROWS, "colour")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["imu", "camera", "battery", "imu"]),
        ("IMU", ["imu", "imu"]),
        ("imu lab", ["imu"]),
        ("robot7", ["camera"]),
        ("struct", ["imu"]),
        ("*a*", ["camera", "battery"]),
        ("i*", ["imu", "imu"]),
        ("!imu", ["camera", "battery"]),
        ("!home !*m*", ["battery"]),
        ("nothing", []),
        ("[", []),
        ("!", []),
    ],
)
def test_a_filter_finds_words_in_topics_domains_codecs_and_nodes(text, found):
    assert names(matching(ROWS, text)) == found
