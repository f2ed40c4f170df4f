"""bridges.mqtt.connection: it comes back by itself, and what a broker has confirmed is not lost."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from broker import Broker
from ipcpy.bridges.adapter import Unsent
from ipcpy.bridges.mqtt.connection import Connection, next_pause
from ipcpy.bridges.mqtt.engine import Publication
from ipcpy.bridges.mqtt.options import check_options

pytest.importorskip("aiomqtt", reason="needs ipcpy[mqtt]")
PATIENCE = 30.0
WELCOME = bytes([0x20, 3, 0, 0, 0])  # CONNACK of MQTT 5


class Client:
    """A connection in a thread, and what it heard."""

    def __init__(self, address: str, port: int) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.why: list[str] = []
        self.defects: list[Exception] = []
        options = check_options({"connect": f"mqtt://{address}:{port}"}, {})
        self.connection = Connection(
            options,
            "client",
            ("will", b"lost", 60),
            None,
            incoming=self._take,
            up=self._up,
            linked=lambda: None,
            down=self.why.append,
        )
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()

    def _take(self, name: str, payload: bytes, retained: bool, properties: Any, content: str) -> None:
        self.heard.append((name, payload, retained))

    async def _up(self, engine: Any) -> None:
        assert await engine.subscribe(["in/#"]) == []
        if self.defects:
            raise self.defects.pop()

    async def _run(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self.connection.run())
        await asyncio.wait([self._task])

    def close(self) -> None:
        self.connection.stop()
        loop, task = self.connection.loop, self._task
        if loop is not None and task is not None:
            loop.call_soon_threadsafe(task.cancel)
        self._thread.join(20)


@pytest.fixture
def client(broker: Broker, wait_until) -> Iterator[Client]:
    one = Client(broker.address, broker.port)
    wait_until(lambda: one.connection.linked, PATIENCE)
    yield one
    one.close()


def message(name: str, payload: bytes, qos: int) -> Publication:
    return name, payload, qos, False, "", "", 0


def test_what_is_published_arrives_in_order_and_it_hears_not_itself(broker, client, wait_until) -> None:
    for qos in (0, 1):
        for number in range(200):
            client.connection.publish(message("in/x", b"%d" % number, qos))
    wait_until(lambda: client.connection.unacknowledged == 0, PATIENCE)
    assert client.heard == []
    assert client.connection.room(PATIENCE)


def test_while_the_broker_is_away_it_says_so_and_nothing_goes_out(broker, client, wait_until) -> None:
    broker.kill()
    wait_until(lambda: len(client.why) > 1, PATIENCE)
    assert not client.connection.linked
    for qos in (0, 1):
        with pytest.raises(Unsent, match="link"):
            client.connection.publish(message("out/x", b"1", qos))
    assert client.connection.room(0)
    broker.start()
    wait_until(lambda: client.connection.linked, PATIENCE)
    client.connection.publish(message("out/x", b"2", 0))
    assert "no broker at" in client.why[-1]


def test_what_was_not_confirmed_when_the_broker_was_killed_is_sent_again(broker, client, wait_until) -> None:
    broker.process.signal(signal.SIGSTOP)  # SIGSTOP: it takes, and confirms nothing
    for number in range(20):
        client.connection.publish(message("in/x", b"%d" % number, 1))
    assert client.connection.unacknowledged == 20
    broker.kill()
    wait_until(lambda: client.why, PATIENCE)
    broker.start()
    wait_until(lambda: client.connection.unacknowledged == 0, PATIENCE)


def test_a_broker_that_confirms_nothing_holds_up_who_publishes_and_no_more_than_a_window_waits(
    broker, client, wait_until
) -> None:
    broker.process.signal(signal.SIGSTOP)
    done = threading.Event()

    def publish() -> None:
        with pytest.raises(Unsent, match="closed"):
            for _ in range(10_000):
                client.connection.publish(message("in/x", bytes(1000), 1))
        done.set()

    thread = threading.Thread(target=publish, daemon=True)
    thread.start()
    wait_until(lambda: client.connection.unacknowledged == 100, PATIENCE)
    assert not client.connection.room(0)
    client.connection.stop()
    assert done.wait(PATIENCE)
    broker.process.signal(signal.SIGCONT)


def test_what_is_posted_counts_until_the_broker_has_it_or_is_gone(broker, client, wait_until) -> None:
    loop = client.connection.loop
    loop.call_soon_threadsafe(client.connection.post, message("out/x", bytes(1000), 1))
    broker.process.wait_line("Sending PUBACK to client", PATIENCE, stream="stderr")
    wait_until(lambda: client.connection.saying == 0, PATIENCE)
    broker.process.signal(signal.SIGSTOP)
    for _ in range(3):
        loop.call_soon_threadsafe(client.connection.post, message("out/x", bytes(1000), 1))
    wait_until(lambda: client.connection.saying == 3000, PATIENCE)
    broker.kill()
    wait_until(lambda: client.connection.saying == 0, PATIENCE)


def test_more_than_the_broker_takes_is_not_sent(make_broker, wait_until) -> None:
    small = make_broker(more=["max_packet_size 5000"])
    client = Client(small.address, small.port)
    wait_until(lambda: client.connection.linked, PATIENCE)
    client.connection.check_size(message("in/x", bytes(4000), 0))
    with pytest.raises(Unsent, match="too large"):
        client.connection.check_size(message("in/x", bytes(5000), 0))
    client.close()
    with pytest.raises(Unsent, match="closed"):
        client.connection.publish(message("in/x", b"", 0))


def test_the_pauses_double_and_are_short_again_after_a_connection_that_lasted() -> None:
    pauses = [0.0]
    for _ in range(9):
        pauses.append(next_pause(pauses[-1], 0.0))
    assert pauses[1:] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]
    assert (next_pause(15.0, 20.0), next_pause(1.0, 5.0)) == (0.25, 2.0)


def test_a_defect_costs_one_connection(broker, client, wait_until, caplog) -> None:
    client.defects.append(RuntimeError("a defect"))
    broker.kill()
    broker.start()
    wait_until(lambda: not client.defects and client.connection.linked, PATIENCE)
    assert "RuntimeError: a defect" in caplog.text
    assert client.why[-1].endswith("was lost: a defect")


class Stranger:
    """What answers each connection with some bytes, and ends it when it has heard a little."""

    def __init__(self, answer: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._answer = answer
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self._socket.accept()
                with one, contextlib.suppress(OSError):
                    one.settimeout(PATIENCE)
                    one.recv(4096)
                    one.sendall(self._answer)
                    if self._answer.startswith(WELCOME):
                        one.recv(4096)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        WELCOME,  # and it goes before it has answered what is said first
        WELCOME + bytes([0x30, 6, 0, 2, 0xFF, 0xFE, 0, 65]),  # a name that is no text
        WELCOME + bytes([0x30, 5, 0, 1]) + b"#\0A",  # a name that is a filter
        WELCOME + bytes([0x90, 2, 0, 1]),  # SUBACK without codes
        WELCOME + bytes(range(0x30, 0x70)),
    ],
)
def test_what_is_no_broker_is_tried_again_and_leaves_no_traceback(answer: bytes, caplog, wait_until) -> None:
    stranger = Stranger(answer)
    client = Client("127.0.0.1", stranger.port)
    wait_until(lambda: len(client.why) >= 2, PATIENCE)
    client.close()
    stranger.close()
    gc.collect()
    assert all(f"127.0.0.1:{stranger.port}" in why for why in client.why)
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
