"""Receiving for commands: when it ends, what is said where nothing comes, and who published."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

import ipcpy as ipc
from ipcpy.cli import listen
from ipcpy.cli.endings import NOTHING, NothingFound
from ipcpy.cli.listen import Sources, messages, subscribe
from ipcpy.cli.program import program


@pytest.fixture
def node():
    with ipc.Node("listener") as node:
        yield node


@pytest.fixture
def pair(node):
    """A publisher and a command's subscriber that know each other."""
    with ipc.Publisher("listen/numbers", node=node) as pub, subscribe(node, "listen/numbers") as sub:
        assert pub.wait_for_subscribers(timeout=20)
        yield pub, sub


def test_a_count_ends_it(pair):
    pub, sub = pair
    for number in range(5):
        pub.publish(number)
    assert [message.data for message in messages(sub, 3, 20.0)] == [0, 1, 2]
    assert [message.data for message in messages(sub, 2, 20.0)] == [3, 4]


def test_silence_after_some_messages_is_an_end_where_no_count_was_asked_for(pair, wait_until):
    pub, sub = pair
    pub.publish("only")
    received = messages(sub, None, 20.0)
    assert next(received).data == "only"
    received = messages(sub, None, 0.0)
    pub.publish("last")
    wait_until(lambda: sub.stats.received == 2, timeout=20.0)
    assert [message.data for message in received] == ["last"]


def test_silence_before_the_count_is_nothing_found(pair):
    pub, sub = pair
    pub.publish("only")
    received = messages(sub, 2, 1.0)
    assert next(received).data == "only"
    with pytest.raises(NothingFound, match="1 messages on 'listen/numbers', then none for 1 s"):
        next(received)


def test_nothing_at_all_is_nothing_found_with_the_reason(node):
    with subscribe(node, "listen/nobody") as sub:
        with pytest.raises(NothingFound, match=r"no message on 'listen/nobody' within 0.05 s\. No publisher") as caught:
            next(messages(sub, None, 0.05))
    assert caught.value.exit_code == NOTHING
    assert str(caught.value).endswith("A program that was stopped before (Ctrl-Z, a debugger) is seen once it goes on.")


@pytest.mark.parametrize("command", ["hz", "bw", "delay", "echo"])
def test_who_waits_at_a_terminal_is_told_why(monkeypatch, command):
    monkeypatch.setattr(listen, "WORRY", 0.05)
    monkeypatch.setattr(listen, "sys", SimpleNamespace(stderr=SimpleNamespace(isatty=lambda: True)))
    done = CliRunner().invoke(program, [command, "beet", "--timeout", "0.1"])
    assert done.exit_code == 3
    assert "waiting. No publisher of 'beet' is known" in done.output


def test_who_waits_in_a_pipe_is_told_only_at_the_end(monkeypatch):
    monkeypatch.setattr(listen, "WORRY", 0.05)
    done = CliRunner().invoke(program, ["echo", "beet", "--timeout", "0.1"])
    assert done.exit_code == 3
    assert "waiting." not in done.output


def test_publishers_are_known_also_when_they_are_gone(node, wait_until):
    sources = Sources(node)
    with ipc.Publisher("listen/gone", node=node) as pub, subscribe(node, "listen/gone") as sub:
        assert pub.wait_for_subscribers(timeout=20)
        pub.publish(1)
        message = sub.recv(20.0)
    wait_until(lambda: "listen/gone" not in {topic.name for topic in node.topics()}, timeout=20.0)
    source = sources.of(message)
    assert (source.topic, source.codec) == ("listen/gone", "msgpack")


def test_a_publisher_that_was_never_heard_of_is_none(node):
    assert Sources(node).of(ipc.Message(1, "x", 0, 0, 0, "f" * 16)) is None


def test_what_is_left_of_a_deadline_is_never_negative():
    assert listen.left(None) is None
    assert listen.left(time.monotonic() - 5.0) == 0.0
    assert 50.0 < listen.left(time.monotonic() + 60.0) <= 60.0
