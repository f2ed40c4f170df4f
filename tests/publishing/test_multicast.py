"""Fanouts: who is reached by multicast, once it is known to arrive."""

from __future__ import annotations

from ipcpy.protocol.data.matching import TAKES_IT, answer, started
from ipcpy.protocol.wire import FLAG_MULTICAST, Kind, frames
from ipcpy.publishing.multicast import LOCAL_FROM, MAX_PAUSE, Group, random_group
from surroundings import TOKEN, WINDOW, Surroundings

HERE, THERE = "127.0.0.1", "10.0.0.9"


def world_with(count, *, ip=HERE, multicast=None, interfaces=(HERE, THERE)):
    """Return surroundings with some matched subscribers at an ip, and what publishes to them."""
    world = Surroundings()
    world.interfaces = {address: index for index, address in enumerate(interfaces, 1)}
    delivery, dispatch = world.deliver(multicast=multicast)
    listeners = [world.listen(number, (ip, 0)) for number in range(1, count + 1)]
    world.run()
    return world, delivery, dispatch, listeners


def probes(group):
    return [frame for data, address in group.sent if address is None for frame in frames(data, unchecked=True)]


def join(world, group, listener, delivery):
    """Have a subscriber answer the challenge that went through a group; return the START it was sent."""
    probe = next(frame for frame in probes(group) if frame.kind == Kind.PROBE)
    group.answers.append((answer(probe, listener.number, TAKES_IT, WINDOW, TOKEN), listener.address))
    world.ready(group)
    start, to = group.sent[-1]
    assert to == listener.address
    (frame,) = frames(start)
    group.answers.append((started(frame, TOKEN), listener.address))
    world.ready(group)
    return frame


def messages(group):
    return [bytes(frame.body) for frame in probes(group) if frame.kind == Kind.DATA]


def test_a_group_is_administratively_scoped_and_below_the_ephemeral_ports():
    groups = {random_group() for _ in range(50)}
    assert len(groups) > 40
    for group in groups:
        assert isinstance(group, Group)
        assert group.ip.startswith("239.255.") and 20_000 <= group.port < 30_000


def test_several_subscribers_on_this_host_are_worth_a_multicast():
    for count in range(1, LOCAL_FROM + 2):
        world, *_ = world_with(count)
        assert len(world.groups) == (count >= LOCAL_FROM)


def test_several_subscribers_on_another_host_are_reached_by_multicast_if_the_user_says_so():
    assert world_with(LOCAL_FROM, ip=THERE)[0].groups == []
    assert len(world_with(1, ip=THERE, multicast=True)[0].groups) == 1
    assert world_with(LOCAL_FROM, multicast=False)[0].groups == []


def test_where_multicast_does_not_reach_everything_stays_unicast():
    world, _, dispatch, listeners = world_with(LOCAL_FROM, multicast=True, interfaces=())
    assert world.groups == []
    assert dispatch.one(b"body") == LOCAL_FROM
    world.run()
    assert [listener.bodies for listener in listeners] == [[b"body"]] * LOCAL_FROM


def test_a_subscriber_is_reached_by_the_group_once_a_challenge_came_back_through_it():
    world, delivery, dispatch, listeners = world_with(3)
    (group,) = world.groups
    dispatch.one(b"by unicast")
    assert messages(group) == []
    start = join(world, group, listeners[0], delivery)
    assert (start.kind, start.flags & FLAG_MULTICAST) == (Kind.START, FLAG_MULTICAST)
    assert dispatch.one(b"mixed") == 3
    world.run()
    assert messages(group) == [b"mixed"]
    assert [listener.bodies[-1] for listener in listeners] == [b"by unicast", b"mixed", b"mixed"]


def test_with_all_in_the_group_one_send_reaches_them():
    world, delivery, dispatch, listeners = world_with(3)
    (group,) = world.groups
    for listener in listeners:
        join(world, group, listener, delivery)
    assert len(delivery.outlet.ways) == 1
    assert dispatch.one(b"body") == 3
    assert messages(group) == [b"body"]
    group.refuses = True
    assert dispatch.one(b"refused") == 0
    assert (delivery.outlet.stats().handed, delivery.outlet.stats().refused) == (3, 3)


def test_an_answer_from_another_address_makes_no_member():
    world, delivery, _, listeners = world_with(3)
    (group,) = world.groups
    ways = delivery.outlet.ways
    probe = next(frame for frame in probes(group) if frame.kind == Kind.PROBE)
    group.answers.append((answer(probe, 1, TAKES_IT, WINDOW, TOKEN), (THERE, listeners[0].address[1])))
    group.answers.append((b"garbage", listeners[0].address))
    sent = len(group.sent)
    world.ready(group)
    assert len(group.sent) == sent and delivery.outlet.ways == ways


def test_those_who_do_not_answer_are_challenged_ever_more_rarely():
    world, *_ = world_with(3)
    (group,) = world.groups
    world.run(1.0)
    first = len(group.sent)
    world.run(100.0)
    assert 5 < first < 10
    assert len(group.sent) - first <= 100 / MAX_PAUSE + 1


def test_nobody_is_challenged_once_all_are_members():
    world, delivery, _, listeners = world_with(3)
    (group,) = world.groups
    for listener in listeners:
        join(world, group, listener, delivery)
    world.run(1.0)
    sent = len(group.sent)
    world.run(100.0)
    assert len(group.sent) == sent


def test_with_too_few_left_the_others_go_back_to_unicast():
    world, delivery, dispatch, listeners = world_with(3)
    (group,) = world.groups
    for listener in listeners:
        join(world, group, listener, delivery)
    delivery.subscriber_lost(3)
    assert dispatch.one(b"body") == 2
    world.run()
    assert messages(group) == []
    assert [listener.bodies for listener in listeners] == [[b"body"], [b"body"], []]


def test_what_is_closed_sends_through_no_group():
    world, delivery, dispatch, listeners = world_with(3)
    (group,) = world.groups
    for listener in listeners:
        join(world, group, listener, delivery)
    delivery.close()
    assert group.closed
    assert delivery.outlet.ways == ()
