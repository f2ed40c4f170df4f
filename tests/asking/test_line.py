"""A line between one client and one server: forged answers, and what was answered before the server was gone."""

from __future__ import annotations

import threading

import pytest

import ipcpy as ipc
from ipcpy.asking import turns
from ipcpy.asking.envelope import RESULT, seal
from ipcpy.asking.names import answers_topic, place_of, requests_topic
from ipcpy.asking.types import Envelopes, Kind
from lan_process import wait_until


def test_answers_of_another_node_are_counted_and_not_believed(serve, ask, there, name):
    go = threading.Event()
    serve(lambda request: go.wait(20) and "right")
    client = ask()
    client.wait_for_service(20)
    found = []
    thread = threading.Thread(target=lambda: found.append(client.call(timeout=20)))
    thread.start()
    wait_until(lambda: [len(each.clients) for each in ipc.services(0, there) if each.name == name] == [1])
    topics = [topic for topic in there.topics(hidden=True) if topic.name.startswith(requests_topic(name, ""))]
    place, asker = place_of(topics[0].name), topics[0].publishers[0].id
    with ipc.Node("liar") as liar:
        topic = answers_topic(place.server, asker)
        with ipc.Publisher(topic, Envelopes(Kind("msgpack", {})), reliable=True, node=liar) as pub:
            pub.wait_for_subscribers(timeout=20)
            pub.publish(seal(RESULT, 1, b"\xa5wrong"))
            wait_until(lambda: client.stats.dropped.get("forged") == 1)
    go.set()
    thread.join(20)
    assert found == ["right"]


def test_what_was_answered_before_the_server_was_gone_is_an_answer(serve, ask):
    service = serve(lambda request: request.data)
    client = ask()
    client.wait_for_service(20)
    for number in range(20):
        assert client.call(number, timeout=20) == number
    service.close()
    assert client.stats.answered == 20


def test_a_call_that_nobody_waits_for_any_more_does_not_stay_open(serve, ask):
    serve(lambda request: request.data)
    client = ask()
    assert client.call(1, timeout=20) == 1
    line = client._asker.at_hand
    line.calls.begin_aside(b"\x02", 0, 0.0)  # what an interrupt leaves between two lines
    wait_until(lambda: client.call(3, timeout=20) == 3 and client.stats.open == 0)


def test_a_request_that_a_handler_interrupts_while_it_is_sent_is_not_asked_twice(serve, ask):
    done = []
    serve(lambda request: done.append(request.data))
    client = ask()
    client.call(1, timeout=20)
    line = client._asker.at_hand
    wait_until(lambda: not (client.call(1, timeout=20) or line.calls.wary), 30)  # then requests go aside
    send = line._aside

    def interrupted(body):
        send(body)
        raise ipc.RecvTimeout("of a handler's own recv")

    line._aside = interrupted
    with pytest.raises(ipc.RecvTimeout, match="of a handler"):
        client.call(2, timeout=20)
    line._aside = send
    client.call(3, timeout=20)
    assert [number for number in sorted(done) if number > 1] in (
        [2, 3],
        [3],
    )  # the second is cancelled, perhaps before it began


def test_who_was_interrupted_in_the_midst_of_leaving_keeps_nobody_from_reading(serve, ask, monkeypatch):
    serve(lambda request: request.data)
    client = ask()
    large = bytes(2_000)  # what goes aside does not take turns
    assert client.call(large, timeout=20) == large
    leave = turns.Turns.leave
    interrupts = [KeyboardInterrupt]

    def interrupted(self, call):
        if interrupts:
            raise interrupts.pop()
        leave(self, call)

    monkeypatch.setattr(turns.Turns, "leave", interrupted)
    with pytest.raises(KeyboardInterrupt):
        client.call(large, timeout=20)
    assert [client.call(n, timeout=20) for n in range(10)] == list(range(10))
