"""The screens of nodes and of help, and what all screens show."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("textual", reason="needs ipcpy[top]")

from flowing import MadeUpNode, Pair, node
from ipcpy.overview.fleet import Fleet
from ipcpy.top.app import Top
from ipcpy.top.screens import HELP
from terminal import line_with, lines, piloted, remark, text, until


def top(*pairs):
    return Top(Fleet(lambda _: MadeUpNode(*pairs)))


def test_nodes_are_shown_with_what_they_send_and_take():
    silent = replace(node("eye"), state="unresponsive", age=9.0)
    app = top(Pair("imu", pace=(100.0, 0.0)), Pair("camera", publisher=silent, pace=(30.0, 0.5)))

    async def test(pilot):
        await pilot.press("n")
        await until(pilot, lambda: line_with(app, "arm").split()[5:6] == ["100"])
        assert line_with(app, "arm").split()[:5] == ["arm", "robot", "7", "1", "0"]
        assert "silent" in line_with(app, "eye ")
        assert lines(app)[0] == "ipcpy top  3 nodes in domain lab  1 of them silent"
        assert "publishes imu" in remark(app)

    piloted(app, test)


def test_enter_on_a_node_shows_its_topics_alone():
    app = top(Pair("imu"), Pair("camera", publisher=node("eye")))

    async def test(pilot):
        await pilot.press("n")
        await until(pilot, lambda: line_with(app, "eye"))
        await pilot.press("end", "enter")
        await until(pilot, lambda: lines(app)[0].startswith("ipcpy top  1 of 2 topics"))
        assert line_with(app, "camera")

    piloted(app, test)


def test_help_fits_and_any_way_back_leads_back():
    app = top(Pair("imu"))
    assert max(map(len, HELP.splitlines())) <= 80
    assert len(HELP.splitlines()) <= 21

    async def test(pilot):
        for key in ("escape", "enter", "question_mark", "backspace"):
            await pilot.press("question_mark")
            await until(pilot, lambda: "all other keys" in text(app) or "sort by the next" in text(app))
            await pilot.press(key)
            await until(pilot, lambda: line_with(app, "imu"))

    piloted(app, test)


def test_a_long_remark_goes_on_in_the_next_line_where_a_word_ends():
    app = top(Pair("imu", why="The types differ: " + "field 'gx' is <f here and <d there, " * 5))

    async def test(pilot):
        await until(pilot, lambda: lines(app)[-3].startswith("The types differ"))
        first, second = lines(app)[-3:-1]
        assert f"{first} {second}".startswith(app.screen.row.why[0][:150])
        assert first.split()[-1] in ("field", "'gx'", "is", "<f", "here", "and", "<d", "there,")

    piloted(app, test)


def test_a_smaller_and_a_larger_terminal_are_filled():
    app = top(Pair("imu", pace=(100.0, 0.0)))

    async def test(pilot):
        for width, height in ((132, 40), (80, 24), (60, 10), (20, 5)):
            await pilot.resize_terminal(width, height)
            await until(pilot, lambda width=width, height=height: app.size == (width, height))
            await until(  # the screen follows the app a moment later
                pilot,
                lambda width=width: line_with(app, "ipcpy top") and max(map(len, lines(app))) <= width,
            )

    piloted(app, test)
