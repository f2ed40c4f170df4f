"""Events of the graph: which there are, whom they are about, and that nobody pays for them who watches nothing."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from ipcpy import events
from ipcpy.graph import NodeInfo

NODE = NodeInfo("0" * 16, "arm", "robot", 42, "lab", "10.0.0.2:17770", "1", "alive", 0.5)


def test_an_event_does_not_change_and_equals_one_that_says_the_same():
    event = events.NodeLost(NODE, "closed")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.reason = "timed out"
    assert event == events.NodeLost(NODE, "closed") != events.NodeLost(NODE, "timed out")


def test_an_event_is_any_of_the_eight_and_of_nothing_else():
    kinds = {kind.__name__ for kind in typing.get_args(events.Event)}
    endings = {"Node": ("Found", "Lost", "Stalled", "Resumed"), "Publisher": ("Found", "Lost")}
    endings["Subscriber"] = endings["Publisher"]
    assert kinds == {what + ending for what, each in endings.items() for ending in each}
    assert kinds <= set(events.__all__)


def test_every_event_says_whom_it_is_about_and_a_loss_why():
    for kind in typing.get_args(events.Event):
        names = [field.name for field in dataclasses.fields(kind)]
        about = next(name for name in ("node", "publisher", "subscriber") if kind.__name__.lower().startswith(name))
        assert names == ([about, "reason"] if kind.__name__.endswith("Lost") else [about])


def test_who_watches_nothing_does_not_import_them(spawn):
    program = """
        import sys, ipcpy
        with ipcpy.Publisher("t") as pub, ipcpy.Subscriber("t") as sub:
            pub.wait_for_subscribers(timeout=10)
        print("ipcpy.events" in sys.modules)
    """
    assert spawn(program).succeed().strip() == "False"
