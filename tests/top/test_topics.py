"""The table of topics: sorted, filtered, marked, in 80 × 24, with made-up systems."""

from __future__ import annotations

import pytest

pytest.importorskip("textual", reason="needs ipcpy[top]")

from flowing import MadeUpNode, Pair, node
from ipcpy.overview.fleet import Fleet
from ipcpy.top.app import Top
from terminal import line_with, lines, piloted, remark, until


def robot():
    return [
        Pair("imu", pace=(100.0, 0.0), latency=(1e-5, 2e-4, 9e-4)),
        Pair("camera", publisher=node("eye"), pace=(30.0, 0.2)),
        Pair("battery", subscriber=None, pace=(2.0, 0.0)),
    ]


def top(*pairs, domain="lab", **options):
    return Top(Fleet(lambda _: MadeUpNode(*pairs, domain=domain)), **options)


def shown(app):
    """Return the topics in the order in which they stand on the screen."""
    return [line[2:].split()[0] for line in lines(app)[2:-3] if line.strip()]


def test_topics_are_shown_with_rate_loss_and_latency():
    app = top(*robot())

    async def test(pilot):
        await until(pilot, lambda: line_with(app, "imu").split()[3:4] == ["100"])
        assert line_with(app, "imu").split()[:8] == ["imu", "1", "1", "100", "10", "kB", "0", "%"]
        assert "200 µs" in line_with(app, "imu")
        assert line_with(app, "camera").startswith("! camera")
        assert "20 %" in line_with(app, "camera")
        assert line_with(app, "battery").split()[:3] == ["battery", "1", "0"]
        assert lines(app)[0] == "ipcpy top  3 topics in domain lab  1 losing"

    piloted(app, test)


def test_the_screen_is_80_times_24_and_shows_the_keys():
    app = top(*robot())

    async def test(pilot):
        await until(pilot, lambda: line_with(app, "imu"))
        assert len(lines(app)) == 24
        assert max(map(len, lines(app))) <= 80
        for key in ("q quit", "enter look", "/ filter", "s sort", "n nodes", "? help"):
            assert key in lines(app)[-1]

    piloted(app, test)


def test_s_sorts_by_the_next_column_and_r_turns_it_round():
    app = top(*robot())

    async def test(pilot):
        await until(pilot, lambda: line_with(app, "imu").split()[3:4] == ["100"])
        assert shown(app) == ["battery", "camera", "imu"]
        await pilot.press("s", "s", "s")
        assert "HZ↓" in lines(app)[1]
        await until(pilot, lambda: shown(app) == ["imu", "camera", "battery"])
        await pilot.press("r")
        assert "HZ↑" in lines(app)[1]
        await until(pilot, lambda: shown(app)[0] == "battery")
        await pilot.press("s", "s")
        await until(pilot, lambda: lines(app)[2].startswith("! camera"))
        await pilot.press("S", "S", "S", "S", "S")
        await until(pilot, lambda: "TOPIC↓" in lines(app)[1])

    piloted(app, test)


def test_a_filter_is_typed_and_ended_by_escape():
    app = top(*robot())

    async def test(pilot):
        await until(pilot, lambda: line_with(app, "imu"))
        await pilot.press("slash", *"bat")
        await until(pilot, lambda: shown(app)[0] == "battery" and not line_with(app, "  imu"))
        await pilot.press("enter")
        assert "1 of 3 topics" in lines(app)[0]
        assert "filter: bat" in lines(app)[0]
        await pilot.press("escape")
        await until(pilot, lambda: line_with(app, "  imu"))
        assert "3 topics" in lines(app)[0]
        await pilot.press("slash", *"eye")  # the name of a node
        await until(pilot, lambda: line_with(app, "camera") and not line_with(app, "  imu"))
        await pilot.press("q")  # is a letter here, and no end
        await until(pilot, lambda: "0 of 3 topics" in lines(app)[0])

    piloted(app, test)
    assert app.return_value is None


def test_the_line_below_tells_what_was_lost_and_why_nothing_comes():
    well, lossy = Pair("imu"), Pair("camera", pace=(30.0, 0.5))
    mute = Pair("gps", why="The types differ: field 'lat' is <d here and <f there.")
    app = top(well, lossy, mute)

    async def test(pilot):
        await until(pilot, lambda: "camera lost" in remark(app))
        assert "network" in remark(app)
        await pilot.press("down")
        assert remark(app) == "The types differ: field 'lat' is <d here and <f there."
        assert line_with(app, "gps").startswith("? gps")
        await pilot.press("down")
        assert remark(app) == "imu: msgpack, by loopback"

    piloted(app, test)


def test_a_thousand_topics_are_shown_and_the_last_one_is_reached():
    app = top(*(Pair(f"robot/sensor{number:04}", pace=(10.0, 0.0)) for number in range(1000)))

    async def test(pilot):
        await until(pilot, lambda: "1000 topics" in lines(app)[0].replace(",", ""))
        await pilot.press("end")
        await until(pilot, lambda: "robot/sensor0999" in lines(app)[-4])
        await pilot.press("pageup", "home")
        await until(pilot, lambda: "robot/sensor0000" in lines(app)[2])

    piloted(app, test)


def test_the_cursor_stays_on_its_topic_when_others_come_and_go():
    made = MadeUpNode(Pair("b"), Pair("c"), Pair("d"))
    app = Top(Fleet(lambda _: made))

    async def test(pilot):
        await until(pilot, lambda: line_with(app, "  d"))
        await pilot.press("down")
        assert app.screen.row.topic == "c"
        made.pairs.insert(0, Pair("a"))
        await until(pilot, lambda: line_with(app, "  a"))
        assert app.screen.row.topic == "c"
        del made.pairs[2]
        await until(pilot, lambda: not line_with(app, "  c "))
        assert app.screen.row.topic == "d"

    piloted(app, test)


def test_several_domains_have_a_column_of_their_own():
    nodes = {"lab": MadeUpNode(Pair("imu")), "home": MadeUpNode(Pair("imu"), domain="home")}
    app = Top(Fleet(lambda domain: nodes[domain], ["lab", "home"]))

    async def test(pilot):
        await until(pilot, lambda: line_with(app, "home") and line_with(app, "  lab"))
        assert "DOMAIN" in lines(app)[1]
        assert "in 2 domains" in lines(app)[0]
        await pilot.press("slash", *"home")
        await until(pilot, lambda: not line_with(app, "  lab"))

    piloted(app, test)


def test_nothing_there_is_said_with_what_to_do():
    app = top()

    async def test(pilot):
        await until(pilot, lambda: remark(app).endswith("Does a program run there? Try: ipcpy doctor"))

    piloted(app, test)


def test_names_from_the_network_move_no_cursor():
    app = top(Pair("imu\x1b[2J\r\n", why="\x1b]0;evil\x07"), domain="\x1b[2J")

    async def test(pilot):
        await until(pilot, lambda: line_with(app, "imu"))
        assert all(line.isprintable() for line in lines(app))

    piloted(app, test)
