"""The interior of a client: which server it asks as servers come and go, and forks."""

from __future__ import annotations

import os

import pytest

import ipcpy as ipc
from lan_process import wait_until


def test_it_stays_with_its_server_while_others_come(serve, ask):
    serve(lambda request: "first")
    client = ask()
    assert client.call(timeout=20) == "first"
    serve(lambda request: "second")
    wait_until(lambda: len(client.servers) == 2)
    assert {client.call(timeout=20) for _ in range(20)} == {"first"}


def test_a_server_that_is_started_again_is_found_again(serve, ask):
    client = ask()
    for number in range(5):
        service = serve(lambda request, number=number: number)
        assert client.call(timeout=20) == number
        service.close()
        wait_until(lambda: client.servers == ())


def test_a_client_whose_node_is_closed_says_so(serve, name):
    serve(lambda request: 1)
    node = ipc.Node("brief")
    client = ipc.Client(name, node=node)
    assert client.call(timeout=20) == 1
    node.close()
    with pytest.raises(ipc.ClosedError):
        client.call(timeout=20)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_asks_by_a_line_of_its_own(spawn):
    program = """
        import os
        import ipcpy as ipc
        service = ipc.Service("pid", lambda request: os.getpid())
        client = ipc.Client("pid")
        assert client.call(timeout=20) == os.getpid()
        child = os.fork()
        if not child:
            assert service.closed
            assert client.call(timeout=20) == os.getppid()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert client.call(timeout=20) == os.getpid()
        print("done", flush=True)
    """
    spawn(program).wait_line("done", 40)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_asks_whatever_another_thread_was_at(spawn):
    program = """
        import os, threading
        import ipcpy as ipc
        service = ipc.Service("pid", lambda request: os.getpid())
        client = ipc.Client("pid")
        assert client.call(timeout=20) == os.getpid()
        held, over = threading.Event(), threading.Event()

        def look():  # as client.stats does, for a moment
            with client._asker._lock:
                held.set()
                over.wait(60)

        threading.Thread(target=look).start()
        held.wait(20)
        child = os.fork()
        if not child:
            assert client.call(timeout=20) == os.getppid()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        over.set()
        print("done", flush=True)
    """
    spawn(program).wait_line("done", 40)
