"""Whether there is room for a message: nothing is waited for, and those who are behind are asked."""

from __future__ import annotations

import ipcpy as ipc
from ipcpy.publishing.room import has_room
from lan_process import wait_until
from surroundings import Surroundings

LARGE = bytes(600_000)  # more than a listener's socket holds: some of it waits for credit


def test_there_is_none_for_a_large_message_while_another_is_on_its_way_and_then_there_is():
    world = Surroundings()
    delivery, dispatch = world.deliver()
    world.listen(1)
    world.run()
    do, look = delivery.outlet.monitor.do, delivery.pacing.look
    assert do(look(len(LARGE)))
    dispatch.one(LARGE)
    (route,) = delivery.outlet.routes
    assert route.sender.busy
    assert not do(look(len(LARGE)))
    assert world.waits == []
    world.run()
    assert do(look(len(LARGE)))


def test_a_publisher_has_room_for_nobody_for_whoever_keeps_up_and_once_it_is_closed():
    with ipc.Publisher("room", reliable=True, block=0) as pub:
        assert has_room(pub, LARGE)
        with ipc.Subscriber("room") as sub:
            pub.wait_for_subscribers(timeout=20)
            pub.publish(LARGE)
            assert len(sub.recv(timeout=20).data) == len(LARGE)
            wait_until(lambda: has_room(pub, [LARGE, b"x"]))
    assert has_room(pub, b"x")
