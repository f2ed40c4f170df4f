"""transport.wake: a thread that waits is woken, however often and whatever became of the other end."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
from collections.abc import Iterator

import pytest

from ipcpy.errors import TransportError
from ipcpy.transport.wake import Wake


@pytest.fixture
def wake() -> Iterator[Wake]:
    one = Wake()
    yield one
    one.close()


def is_set(wake: Wake) -> bool:
    return bool(select.select([wake], [], [], 0)[0])


def test_it_is_readable_from_set_to_clear(wake: Wake) -> None:
    assert not is_set(wake)
    wake.set()
    assert is_set(wake) and is_set(wake)
    wake.clear()
    assert not is_set(wake)
    wake.clear()  # of what is clear: does not wait


def test_a_thread_that_waits_is_woken(wake: Wake) -> None:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.extend(select.select([wake], [], [], 30)[0]))
    thread.start()
    wake.set()
    thread.join(60)
    assert found == [wake]


def test_it_is_set_any_number_of_times_without_waiting(wake: Wake) -> None:
    """Until the kernel takes no more, and beyond."""
    for _ in range(10_000):
        wake.set()
    assert is_set(wake)
    for _ in range(10):
        wake.clear()
    assert not is_set(wake)


def test_a_closed_one_is_set_and_cleared_for_nobody(wake: Wake) -> None:
    wake.close()
    wake.close()
    wake.set()
    wake.clear()
    assert wake.fileno() == -1


def test_a_system_without_descriptors_is_a_transport_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socketpair", refuse)
    with pytest.raises(TransportError, match="no pair of sockets to be had") as caught:
        Wake()
    assert caught.value.errno == errno.EMFILE
