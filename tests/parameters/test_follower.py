"""Parameters of another program: seen at once, set there, and what is said when that one is not there."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import ipcpy as ipc
from ipcpy.errors import ArgumentError, ClosedError, IpcError, NoService, RecvTimeout
from ipcpy.node.shared import node_for
from ipcpy.parameters import follower as follower_module
from ipcpy.parameters.follower import Follower
from ipcpy.testing import MemoryNetwork


@pytest.fixture
def net():
    with MemoryNetwork() as network:
        yield network


@pytest.fixture
def owner(net):
    with ipc.Parameters("cam", gain=1.0, roi=(0, 1), node=net.node("camera")) as params:
        yield params


@pytest.fixture
def follow(net):
    made = []

    def follow(name="cam", **options):
        node = net.node("viewer", **options)
        made.append(Follower(node_for(node).naming.pattern(name), node))
        return made[-1]

    yield follow
    for follower in made:
        follower.close()


def test_what_is_there_is_known_and_what_changes_is_seen(owner, follow, wait_until):
    follower = follow()
    assert follower.known() == {"gain": 1.0, "roi": [0, 1]}
    owner.set(gain=2.0, roi=(5, 6))
    wait_until(lambda: follower.values == {"gain": 2.0, "roi": [5, 6]})


def test_what_was_set_is_known_here_and_there_when_it_returns(owner, follow):
    follower = follow()
    for number in range(20):
        follower.change({"gain": number})
        assert (owner.gain, follower.values["gain"]) == (number, number)


def test_what_is_refused_there_raises_here_as_it_would_there(owner, follow):
    owner.on_set(lambda name, value: "too much" if value == 20 else None)
    follower = follow()
    for wrong in ({"gain": 20}, {"gain": "x"}, {"fan": 1}, {"roi": [1]}):
        with pytest.raises(ArgumentError) as here:
            follower.change(wrong)
        with pytest.raises(ArgumentError) as there:
            owner.set(wrong)
        assert str(here.value) == str(there.value)
    assert owner.gain == 1.0


@pytest.mark.parametrize("wrong", [None, 5, {5: 1}, {"gain": None}, {"gain": {}}, {"gain": b"x"}])
def test_what_can_be_no_value_is_refused_without_asking(follow, wrong):
    began = time.monotonic()
    with pytest.raises(ArgumentError):
        follow().change(wrong)
    assert time.monotonic() - began < follower_module.PATIENCE


def test_functions_are_told_of_changes_and_not_of_what_was_there(owner, follow, wait_until):
    follower, told = follow(), []
    follower.changed.add(lambda name, value: told.append((name, value)))
    follower.wait(30)
    follower.change({"gain": 2.0})
    owner.gain = 3.0
    wait_until(lambda: told == [("gain", 2.0), ("gain", 3.0)])


def test_nobody_there_is_said_with_what_there_is(owner, follow):
    with pytest.raises(RecvTimeout, match="nobody tells the parameters 'arm' within 0.1 s. No publisher of 'arm/para"):
        follow("arm").wait(0.1)


def test_who_has_gone_is_told_and_the_values_stay(net, owner, follow, monkeypatch):
    monkeypatch.setattr(follower_module, "PATIENCE", 0.3)
    follower = follow()
    assert follower.known()["gain"] == 1.0
    owner.close()
    with pytest.raises(
        NoService, match="the parameters 'cam' cannot be set: no server of 'cam/parameters' within 0.3 s"
    ):
        follower.change({"gain": 2.0})
    assert follower.known()["gain"] == 1.0
    monkeypatch.undo()
    with ipc.Parameters("cam", gain=7.0, node=net.node("again")) as again:
        follower.change({"gain": 8.0})
        assert (again.gain, follower.known()) == (8.0, {"gain": 8.0})


def test_one_that_does_not_answer_in_time_is_named(net, follow, monkeypatch):
    released = threading.Event()
    with ipc.Parameters("cam", gain=1.0, node=net.node("camera", namespace="r")) as owner:
        owner.on_set(lambda changes: None if released.wait(20) else "never")
        follower = follow(namespace="r")
        follower.wait(30)
        monkeypatch.setattr(follower_module, "PATIENCE", 0.3)
        says = r"the parameters 'r/cam' \(asked for as 'cam', in namespace 'r'\) cannot be set: "
        with pytest.raises(RecvTimeout, match=says):
            follower.change({"gain": 2.0})
        assert follower.known() == {"gain": 1.0}, "reading waits for nobody"
        released.set()


def test_two_programs_of_one_name_are_both_named_and_none_is_asked(net, owner, follow, monkeypatch, wait_until):
    monkeypatch.setattr(follower_module, "ONE_LEFT", 0.1)
    follower = follow()
    follower.wait(30)
    with ipc.Parameters("cam", gain=5.0, node=net.node("second")) as second:
        wait_until(lambda: len(follower._client.servers) == 2)
        with pytest.raises(IpcError, match=r"2 programs have parameters 'cam', so none is asked: 'camera' .*'second' "):
            follower.change({"gain": 9.0})
        assert (owner.gain, second.gain) == (1.0, 5.0)


def test_what_others_publish_there_is_passed_over(net, follow, wait_until):
    follower = follow()
    with ipc.Publisher("cam/parameters", node=net.node("stranger"), keep=10) as stranger:
        for wrong in (5, None, [1], {5: 1}, b"x" * 1000):
            stranger.publish(wrong)
        stranger.publish({"gain": 1.0})
        follower.wait(30)
        assert follower.values == {"gain": 1.0}


def test_a_name_is_under_the_namespace_of_the_node(net, follow):
    with ipc.Parameters("cam", gain=1.0, node=net.node("camera", namespace="robot1")):
        follower = follow("c", namespace="robot1", remap="c:=cam")
        follower.change({"gain": 2.0})
        assert follow("/robot1/cam").known() == {"gain": 2.0}
        with pytest.raises(ArgumentError, match=r"gain of 'robot1/cam' \(asked for as 'cam', in namespace 'robot1'\)"):
            follower.change({"gain": "x"})


def test_coroutines_wait_and_set_beside_others(owner, follow):
    async def main():
        follower = follow()
        await follower.wait_async(10)
        await asyncio.gather(*[follower.change_async({"gain": number}) for number in range(5)])
        with pytest.raises(ArgumentError):
            await follower.change_async({"gain": "x"})
        with pytest.raises(RecvTimeout):
            await follow("nobody").wait_async(0.05)
        return follower.values

    assert asyncio.run(main())["gain"] == owner.gain


def test_one_that_is_closed_says_so_and_keeps_what_it_knew(owner, follow):
    follower = follow()
    follower.wait(30)
    follower.close()
    follower.close()
    assert follower.known()["gain"] == 1.0
    with pytest.raises(ClosedError, match="the parameters 'cam' are closed"):
        follower.change({"gain": 2.0})


def test_changes_arrive_on_a_bad_network(net, owner, follow):
    net.loss = 0.3
    follower = follow()
    for number in range(10):
        follower.change({"gain": number})
    assert owner.gain == follower.values["gain"] == 9.0
