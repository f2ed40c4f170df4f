"""A list of lines: what is drawn of it, and where its cursor is."""

from __future__ import annotations

import pytest

pytest.importorskip("textual", reason="needs ipcpy[top]")

from rich.style import Style
from textual.app import App

from ipcpy.top.lines import Lines, MadeLines, strip_of
from terminal import lines, piloted, until


class Program(App):
    """A list, and nothing else."""

    def compose(self):
        yield Lines(id="list")

    def on_mount(self):
        self.query_one(Lines).focus()
        self.chosen = []

    def on_lines_chosen(self, event):
        self.chosen.append(event.key)


def fill(app, names):
    app.query_one(Lines).show([((name, ""),) for name in names], names)


def test_the_cursor_moves_within_the_lines_and_the_lines_scroll():
    app = Program()
    names = [f"line{number:03}" for number in range(100)]

    async def test(pilot):
        fill(app, names)
        await pilot.pause()
        listed = app.query_one(Lines)
        for key, at in (
            ("up", 0),
            ("down", 1),
            ("j", 2),
            ("k", 1),
            ("end", 99),
            ("down", 99),
            ("pageup", 76),
            ("g", 0),
        ):
            await pilot.press(key)
            assert listed.cursor == at
            await until(pilot, lambda at=at: names[at] in lines(app))
        await pilot.press("down", "enter")
        assert app.chosen == ["line001"]

    piloted(app, test)


def test_the_cursor_follows_its_line():
    app = Program()

    async def test(pilot):
        fill(app, list("abc"))
        await pilot.press("end")
        listed = app.query_one(Lines)
        fill(app, list("0abc"))
        assert listed.key == "c"
        fill(app, list("ab"))
        assert listed.key == "b"
        fill(app, [])
        assert listed.key is None
        await pilot.press("down", "enter", "pagedown", "home")
        assert (listed.cursor, app.chosen) == (0, [])

    piloted(app, test)


def test_a_line_is_as_wide_as_asked_for_and_plain_where_it_must_be():
    line = (("12.3 µs ", "bold"), ("480×640 相机", ""))
    assert strip_of(line, 30, Style()).cell_length == 30
    assert strip_of(line, 5, Style()).text == "12.3 "
    assert strip_of(line, 0, Style(), plain=True).text == "12.3 us 480x640 ??"
    assert all(segment.style.reverse for segment in strip_of(line, 30, Style(), reverse=True))


def test_of_many_lines_those_that_are_seen_are_made():
    app = Program()
    made = []

    def make(number):
        made.append(number)
        return ((f"line{number}", ""),)

    async def test(pilot):
        app.query_one(Lines).show(MadeLines(range(1000), make), range(1000))
        await until(pilot, lambda: "line23" in lines(app))
        await pilot.press("end")
        await until(pilot, lambda: "line999" in lines(app))

    piloted(app, test)
    assert set(made) <= {*range(24), *range(970, 1000)}
    assert len(made) == len(set(made))
    assert MadeLines("abc", lambda row: ((row, ""),))[1:] == [(("b", ""),), (("c", ""),)]
