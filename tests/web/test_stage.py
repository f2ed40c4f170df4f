"""The stage: what there is, drawn when it changes, read while somebody looks, and no defect ends it."""

from __future__ import annotations

import asyncio
import json
from collections import namedtuple
from contextlib import suppress

import pytest

pytest.importorskip("aiohttp", reason="needs ipcpy[web]")

import ipcpy as ipc  # noqa: E402
from ipcpy.testing import MemoryNetwork  # noqa: E402
from ipcpy.web import stage as module  # noqa: E402
from ipcpy.web.stage import Stage  # noqa: E402
from pages import PATIENCE  # noqa: E402


@pytest.fixture
def network():
    with MemoryNetwork() as network:
        yield network


def on_stage(network, act):
    """Run a coroutine function with a stage that runs."""

    async def run():
        web = network.node("web")
        stage = Stage(lambda: [web])
        task = asyncio.create_task(stage.run())
        try:
            async with asyncio.timeout(PATIENCE):
                return await act(stage)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return asyncio.run(run())


async def until(condition):
    while not (found := condition()):
        await asyncio.sleep(0.01)
    return found


def test_a_graph_has_a_new_number_when_it_has_changed_and_only_then(network):
    async def act(stage):
        first, _ = stage.graph()
        stage._draw(False)
        assert stage.graph()[0] == first
        pub = ipc.Publisher("imu", node=network.node("robot"))
        await until(lambda: "imu" in stage.graph()[1])
        assert stage.graph()[0] > first and pub
        return json.loads(stage.graph()[1])["nodes"]

    assert [node["name"] for node in on_stage(network, act)] == ["robot"]


def test_what_was_there_before_is_no_event_and_what_comes_is(network):
    robot = network.node("robot")

    async def act(stage):
        await until(lambda: stage.chronicle.last)
        (began,) = stage.chronicle.after(0)
        assert began["text"] == f"began to look at domain {network.domain}"
        other = network.node("other")
        await until(lambda: stage.chronicle.last > 1)
        return [each["text"].partition(" ")[0] for each in stage.chronicle.after(1)], other

    assert on_stage(network, act)[0] == ["other"]
    assert robot


def test_flows_are_read_only_while_somebody_looks(network, monkeypatch):
    monkeypatch.setattr(module, "REST", 0.3)
    monkeypatch.setattr(module, "READ", 0.05)

    async def act(stage):
        await asyncio.sleep(0.5)  # nobody looks
        assert stage.rows(0) == (0, "")
        await until(lambda: stage._rows.reading >= 2)
        rested = -1
        while rested != stage._rows.reading:  # until it rests; the last reading takes a moment where others run
            rested = stage._rows.reading
            await asyncio.sleep(0.5)
        stage.rows(0)
        return await until(lambda: stage._rows.reading > rested)

    assert on_stage(network, act)


def test_a_defect_costs_a_moment_and_not_the_page(network, monkeypatch, caplog):
    monkeypatch.setattr(module, "LOOK", 0.02)

    async def act(stage):
        drawn = stage._draw
        broken = [True]

        def draw(hidden):
            if broken and broken.pop():
                raise RuntimeError("a defect")
            drawn(hidden)

        stage._draw = draw
        await until(lambda: not broken)
        pub = ipc.Publisher("imu", node=network.node("robot"))
        await until(lambda: "imu" in stage.graph()[1])
        return pub

    assert on_stage(network, act)
    assert "a defect" in caplog.text


def test_a_message_is_shown_with_its_publisher(network):
    async def act(stage):
        id = f"{network.domain} imu"
        assert stage.shown_message(id) is None
        stage.hearing.want("page", {id: ()})
        pub = ipc.Publisher("imu", node=network.node("robot"))
        await pub.wait_for_subscribers_async(timeout=PATIENCE)
        pub.publish({"x": 1})
        return await until(lambda: stage.shown_message(id))

    shown = on_stage(network, act)
    assert (shown["topic"], shown["publisher"], shown["data"], shown["fields"]) == ("imu", "robot", {"x": 1}, ["x"])


def test_a_struct_message_is_shown_with_its_name(network):
    imu = namedtuple("Imu", "gx")

    async def act(stage):
        stage.hearing.want("page", {f"{network.domain} imu": ()})
        pub = ipc.Publisher("imu", ipc.MsgLibrary({23: ("<f", imu)}), node=network.node("robot"))
        await pub.wait_for_subscribers_async(timeout=PATIENCE)
        pub.publish(imu(2))
        return await until(lambda: stage.shown_message(f"{network.domain} imu"))

    shown = on_stage(network, act)
    assert (shown["message"], shown["data"]) == ("Imu", {"gx": 2.0})
