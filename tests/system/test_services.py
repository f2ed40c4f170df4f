"""Services between processes and hosts: crashes, stops, loss, forks, Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time

import pytest

import ipcpy as ipc
from ipcpy.testing import MemoryNetwork
from lan_process import wait_until

SERVER = """
    import os, sys, time
    import ipcpy as ipc

    def work(request):
        if request.data == "slow":
            print("begun", flush=True)
            while not request.cancelled:
                time.sleep(0.005)
            print("cancelled", flush=True)
        return request.data

    service = ipc.Service("work", work, threads=2)
    print("ready", flush=True)
    service.wait()
"""


@pytest.fixture
def server(spawn):
    process = spawn(SERVER)
    process.wait_line("ready")
    return process


@pytest.fixture
def client():
    with ipc.Client("work") as made:
        yield made


def asked_slowly(client):
    """Ask for what takes long in a thread; return what it ended with, and when."""
    ended = []

    def run():
        try:
            ended.append((client.call("slow", timeout=60), time.monotonic()))
        except Exception as error:
            ended.append((error, time.monotonic()))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return ended


def test_a_server_that_is_killed_ends_the_call_at_once_and_the_next_server_is_asked(server, client, spawn):
    ended = asked_slowly(client)
    server.wait_line("begun", 40)
    killed = time.monotonic()
    server.kill()
    wait_until(lambda: ended, 20)
    ((error, at),) = ended
    assert isinstance(error, ipc.NoService)
    assert "its process is gone; whether it has done what was asked is not known" in str(error)
    assert at - killed < 5  # 50 ms where nothing else runs; the call would wait for 60 s
    spawn(SERVER).wait_line("ready")
    assert client.call("hello", timeout=20) == "hello"


def test_a_client_that_is_killed_has_its_call_cancelled(server, spawn):
    asker = spawn("""
        import ipcpy as ipc
        ipc.Client("work").call("slow")
    """)
    server.wait_line("begun", 40)
    asker.kill()
    server.wait_line("cancelled", 40)


def test_ctrl_c_in_a_call_cancels_it_and_the_program_goes_on(server, spawn):
    asker = spawn("""
        import ipcpy as ipc
        client = ipc.Client("work")
        try:
            client.call("slow")
        except KeyboardInterrupt:
            print("interrupted", client.call("after", timeout=20), flush=True)
    """)
    server.wait_line("begun", 40)
    asker.signal(signal.SIGINT)
    asker.wait_line("interrupted after", 40)
    server.wait_line("cancelled", 40)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="there is no SIGSTOP here")
def test_a_server_that_is_stopped_answers_once_it_goes_on(server, client):
    assert client.call(1, timeout=20) == 1
    server.signal(signal.SIGSTOP)
    wait_until(lambda: "has not answered for" in client.why(), 20)
    with pytest.raises(TimeoutError, match="no answer from 'work' within 0.3 s"):
        client.call("lost", timeout=0.3)
    found = []
    thread = threading.Thread(target=lambda: found.append(client.call("kept", timeout=60)))
    thread.start()
    wait_until(lambda: client.stats.open == 1, 20)
    server.signal(signal.SIGCONT)
    thread.join(60)
    assert found == ["kept"]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="there is no SIGSTOP here")
def test_a_client_that_is_stopped_holds_up_no_other(server, client, spawn):
    asker = spawn("""
        import ipcpy as ipc
        client = ipc.Client("work")
        print("asking", flush=True)
        while True:
            client.call("x" * 3_000, timeout=60)
    """)
    asker.wait_line("asking", 40)
    assert client.call(0, timeout=20) == 0
    asker.signal(signal.SIGSTOP)
    assert [client.call(n, timeout=20) for n in range(50)] == list(range(50))


def test_all_of_a_thousand_calls_are_answered_and_none_is_done_twice_whatever_is_lost():
    done = []

    def work(request):
        done.append(request.data)
        return request.data

    with MemoryNetwork(loss=0.3, duplicate=0.1, reorder=0.1, seed=1) as net:
        service = ipc.Service("work", work, threads=4, node=net.node("server"))
        clients = [ipc.Client("work", node=net.node(f"client{n}")) for n in range(4)]
        found = []

        def run(at, client):
            found.extend(client.call((at, n), timeout=60) == [at, n] for n in range(250))

        threads = [threading.Thread(target=run, args=each) for each in enumerate(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert found == [True] * 1_000
        assert len({tuple(each) for each in done}) == len(done) == 1_000
        assert service.stats.answered == 1_000


def test_eight_clients_flat_out_are_answered_alike(server, spawn):
    program = """
        import sys, time
        import ipcpy as ipc
        client = ipc.Client("work")
        client.wait_for_service(20)
        print("ready", flush=True)
        for _ in sys.stdin:
            count, end = 0, time.monotonic() + 1.5
            while time.monotonic() < end:
                client.call(count, timeout=20)
                count += 1
            print("count", count, flush=True)
    """
    askers = [spawn(program) for _ in range(8)]
    for asker in askers:
        asker.wait_line("ready", 30)
    rounds = []
    for _ in range(5):  # the system lets some of nine processes wait for long; a service that does would always do so
        for asker in askers:
            asker.send_line("go")
        rounds.append([int(asker.wait_line(r"count (\d+)", 60)[1]) for asker in askers])
        if min(rounds[-1]) * 8 > sum(rounds[-1]) / 4:
            return
    pytest.fail(f"some are answered less than others: {rounds}")


def test_a_request_and_an_answer_of_64_mib_arrive(client, spawn):
    spawn("""
        import ipcpy as ipc
        service = ipc.Service("work", lambda request: request.data)
        print("ready", flush=True)
        service.wait()
    """).wait_line("ready")
    data = bytes(range(256)) * (64 << 12)  # msgpack and the envelope come on top
    assert client.call(data, timeout=60) == data


@pytest.mark.lan
def test_on_a_lan_a_host_that_is_gone_ends_the_call_within_a_second(lan):
    net = lan(hosts=2)
    server = net.spawn(1, SERVER)
    server.wait_line("ready")
    asker = net.spawn(
        2,
        """
        import time
        import ipcpy as ipc
        client = ipc.Client("work")
        print(client.call("hello", timeout=20), flush=True)
        try:
            client.call("slow", timeout=60)
        except ipc.NoService as error:
            print("gone", error, flush=True)
        """,
    )
    asker.wait_line("hello", 40)
    server.wait_line("begun", 40)
    killed = time.monotonic()
    server.kill()
    asker.wait_line("gone", 40)
    assert time.monotonic() - killed < 5  # 1 s where nothing else runs
