from __future__ import annotations

import json
from types import SimpleNamespace

import click
import pytest

from ipcpy.cli.showing import show, told


def test_it_goes_on_for_the_time_that_is_asked_for_and_looks_now_and_then() -> None:
    looks: list[int] = []
    show(SimpleNamespace(closed=False), 0.01, lambda: looks.append(1))
    assert looks


def test_what_ended_by_itself_is_a_failure() -> None:
    with pytest.raises(click.ClickException, match="ended by itself"):
        show(SimpleNamespace(closed=True), None)


def test_ctrl_c_is_its_right_end() -> None:
    def look() -> None:
        raise KeyboardInterrupt

    show(SimpleNamespace(closed=False), None, look)


def test_counts_are_said_where_there_are_any(capsys: pytest.CaptureFixture[str]) -> None:
    stats = SimpleNamespace(messages=1200, lost=3, thinned=0)
    told(stats, ("lost", "thinned"), as_json=False)
    assert capsys.readouterr().err == "showed 1,200 messages, 3 lost\n"
    told(stats, ("lost", "thinned"), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"messages": 1200, "lost": 3, "thinned": 0}
